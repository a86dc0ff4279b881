package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The session of the README's first ten minutes works as it is written: what
// curl wrote over REST grpcurl reads over gRPC, and the other way round. Only the
// addresses are those of the server under test.
//
// The session builds grpcurl, which takes a minute the first time: it is played
// where MUSTER_TEST_README is set, as .ci/run does. make test says so elsewhere.
func TestReadme_Session(t *testing.T) {
	if os.Getenv("MUSTER_TEST_README") == "" {
		t.Skip("NOT TESTED: the README's session with grpcurl; MUSTER_TEST_README=1 plays it")
	}
	p := start(t, sqliteURL(t))
	var said []string
	for _, command := range readmeCommands(t) {
		if out := p.play(t, command); !strings.HasPrefix(command, "make ") {
			said = append(said, out)
		}
	}
	if len(said) != 6 {
		t.Fatalf("the README has %d commands of curl and grpcurl, and this test knows 6", len(said))
	}
	ada, found := object(t, said[0]), object(t, said[1])
	checkFound(t, "curl", found["Resources"], ada)
	for text, in := range map[string]string{
		"muster.v1.ProvisioningService\n": said[2],
		"rpc CreateUser ( .muster.v1.CreateUserRequest ) returns ( .muster.v1.CreateUserResponse );": said[3],
	} {
		if !strings.Contains(in, text) {
			t.Errorf("grpcurl does not say %q:\n%s", text, in)
		}
	}
	checkFound(t, "grpcurl", object(t, said[4])["users"], ada)
	bob, _ := object(t, said[5])["user"].(map[string]any)
	checkFound(t, "REST", []any{p.must(t, http.StatusOK, http.MethodGet, fmt.Sprint("/Users/", bob["id"]), "")}, bob)
}

// checkFound checks that one user was found, and that it is the one that was
// created: whole, but for its address, which only REST knows.
func checkFound(t *testing.T, by string, found any, created map[string]any) {
	t.Helper()
	if wrong := differences("", []any{withoutAddresses(created)}, withoutAddresses(found), true); wrong != nil || created["userName"] == nil {
		t.Errorf("%s does not find %v: %v", by, created, wrong)
	}
}

// readmeCommand is a command, set in by four blanks; a backslash at the end of a
// line continues it.
var readmeCommand = regexp.MustCompile(`(?m)^    ((?:curl|bin/grpcurl|make grpcurl)\b(?:.*\\\n)*.*)$`)

// readmeCommands are the commands of the session, in order.
func readmeCommands(t *testing.T) (commands []string) {
	t.Helper()
	data, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range readmeCommand.FindAllStringSubmatch(string(data), -1) {
		commands = append(commands, m[1])
	}
	return commands
}

// play runs a command of the README in the repository, against this server.
func (p *program) play(t *testing.T, command string) string {
	t.Helper()
	at := strings.NewReplacer("http://127.0.0.1:8080/scim/v2", p.base, "127.0.0.1:9090", p.grpc).Replace(command)
	cmd := exec.Command("bash", "-c", at)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), "TOKEN="+token)
	var fault strings.Builder
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s\n%v: %s%s", at, err, out, fault.String())
	}
	return string(out)
}

func object(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}
