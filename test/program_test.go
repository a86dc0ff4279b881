// Package test proves the whole program from outside: it is built, started as an
// operator would start it, and used through both of its doors, on an empty
// SQLite database and on an empty PostgreSQL one.
package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/muster-scim/muster/test/browser"
	"github.com/muster-scim/muster/test/postgres"
)

// token is the bearer token of every server under test.
const token = "token-of-a-server-under-test"

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "muster-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "muster")
	if raceEnabled {
		// A program with the detector sleeps for a second when it ends, and many end here.
		os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	}
	if err := compile(binary, "../cmd/muster"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer browser.Stop()
	return m.Run()
}

// compile compiles a program of ours, with the race detector where this is.
func compile(path, source string) error {
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if out, err := exec.Command("go", append(args, source)...).CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", source, err, out)
	}
	return nil
}

// onBoth runs a test against a server on each database.
func onBoth(t *testing.T, test func(t *testing.T, p *program)) {
	t.Helper()
	onBothDatabases(t, func(t *testing.T, database string) { test(t, start(t, database)) })
}

// long are tests that take long with the race detector, most of it in the one client
// that they have, or in waiting. With it they run on one database; without it, as all
// others, on both.
var long = []string{
	"TestConformance", "TestPreview_AnswersAsLiveDoes", "TestSimulate_CyberArk", "TestRecording_PlaysOnTheOtherDatabase", "TestDeleteTenant_Killed",
	"TestConsole_WholeWay", "TestTorture", "TestWatchers_ThatDoNotRead", "TestMirror_Large", "TestMirror_Converges", "TestWatch_DeadConnection",
	"TestActivity_TellsWhyVerifyFails", "TestTraffic_CountsEach", "TestOpenAPI_AnswersAreAsDescribed", "TestEvents_PushSurvivesAKill",
	"TestExample_Mirror", "TestExample_Sessions", "TestSAML_WholeWay", "TestSAML_Deeds", "TestSAML_Encrypted",
}

// alone are tests that measure how long something takes, or how much memory: no other
// runs beside them. Those that do wait for others most of their time, and so run two by
// two, or as many as there are processors.
var alone = []string{
	"TestLimits_ANoisyTenantDoesNotSlowAQuietOne", "TestWatchers_ThatDoNotRead", "TestBulk_MemoryStaysBounded", "TestMirror_Large",
}

// onBothDatabases runs a test on a database of each kind that has nothing in it yet.
func onBothDatabases(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	if !slices.Contains(alone, t.Name()) {
		t.Parallel()
	}
	if raceEnabled && slices.Contains(long, t.Name()) {
		t.Run("PostgreSQL", func(t *testing.T) { test(t, postgresURL(t)) })
		return
	}
	t.Run("SQLite", func(t *testing.T) { test(t, sqliteURL(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, postgresURL(t)) })
}

// sqliteURL is of a file that serve makes, as it does for an operator.
func sqliteURL(t *testing.T) string {
	t.Helper()
	return "sqlite://" + filepath.Join(t.TempDir(), "muster.db")
}

// postgresURL is of a database that was empty before `muster migrate`: serve wants that
// on PostgreSQL.
func postgresURL(t *testing.T) string {
	t.Helper()
	return postgres.Filled(t, func(url string) error {
		if out, err := command(url, "migrate").CombinedOutput(); err != nil {
			return fmt.Errorf("migrate: %w\n%s", err, out)
		}
		return nil
	})
}

// program is a running server.
type program struct {
	cmd      *exec.Cmd
	database string
	base     string // SCIM base URL
	grpc     string // address
	out      *output
	ended    chan error
	client   *http.Client // of rest; nil: noRedirects
}

// start serves a database that no server has served before.
func start(t *testing.T, database string, args ...string) *program {
	t.Helper()
	p := serve(t, database, args...)
	p.awaitLine(t, "Bearer token:  ")
	return p
}

// serve starts a server on free ports, without the limits that a test could meet by its
// speed, or by credentials that are wrong; args may set them.
func serve(t *testing.T, database string, args ...string) *program {
	t.Helper()
	p := &program{database: database, out: &output{}, ended: make(chan error, 1)}
	p.cmd = command(database, append([]string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log-format", "json",
		"--rate-limit", "0", "--credential-rate-limit", "0", "--failed-logins", "0"}, args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { p.kill() })
	p.base = p.awaitLine(t, "SCIM Base URL: ")
	p.grpc = p.awaitLine(t, "gRPC address:  ")
	return p
}

func command(database string, args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "MUSTER_DATABASE="+database, "MUSTER_BOOTSTRAP_TOKEN="+token)
	return cmd
}

// awaitLine waits for a line that the program prints and returns its end.
func (p *program) awaitLine(t *testing.T, prefix string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for line := range strings.Lines(p.out.String()) {
			if rest, ok := strings.CutPrefix(line, prefix); ok && strings.HasSuffix(rest, "\n") {
				return strings.TrimSpace(rest)
			}
		}
	}
	t.Fatalf("the program does not print %q:\n%s", prefix, p.out)
	return ""
}

// kill ends the program as kill -9 does.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	p.wait()
}

// terminate ends the program as an operator does, and returns how it ended.
func (p *program) terminate(t *testing.T) error {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return p.wait()
}

func (p *program) wait() error {
	err := <-p.ended
	p.ended <- err // for the next who asks
	return err
}

// output is what the program printed so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// A reply is an answer over REST.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// json decodes the body.
func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Fatalf("status %d, not a JSON object: %v: %.300s", r.status, err, r.body)
	}
	return v
}

// noRedirects is a client as provisioning clients are.
var noRedirects = &http.Client{
	Timeout:       time.Minute,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
}

// rest makes a request below the base URL, or of a whole URL. header holds names and values in turn;
// an empty value leaves the header out.
func (p *program) rest(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	r, err := p.tryREST(method, path, body, header...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (p *program) tryREST(method, path, body string, header ...string) (reply, error) {
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = p.base + path
	}
	req, err := http.NewRequest(method, url, in)
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if req.Header.Del(header[i]); header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	client := p.client
	if client == nil {
		client = noRedirects
	}
	res, err := client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, data}, err
}

// must is rest where one status is expected.
func (p *program) must(t *testing.T, status int, method, path, body string, header ...string) map[string]any {
	t.Helper()
	r := p.rest(t, method, path, body, header...)
	if r.status != status {
		t.Fatalf("%s %s: status %d, want %d: %.500s", method, path, r.status, status, r.body)
	}
	if len(r.body) == 0 {
		return nil
	}
	return r.json(t)
}

// dial connects to the gRPC server.
func (p *program) dial(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// authorized is a context for gRPC calls with the token.
func authorized() context.Context { return bearing(token) }

func bearing(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

// logLines are the lines of the log, decoded.
func (p *program) logLines(t *testing.T) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for scanner := bufio.NewScanner(strings.NewReader(p.out.String())); scanner.Scan(); {
		var line map[string]any
		if json.Unmarshal(scanner.Bytes(), &line) == nil {
			lines = append(lines, line)
		}
	}
	return lines
}
