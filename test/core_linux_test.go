package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unlimited runs a command in a folder of its own, with core files as large as the
// system lets it.
func unlimited(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `ulimit -c "$(ulimit -H -c)" && exec "$0" "$@"`, name}, args...)...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "GOTRACEBACK=crash")
	return cmd
}

func files(t *testing.T, folder string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// However it ends, the memory of the program reaches no file, and what it prints has
// no secret.
func TestProgram_LeavesNoCoreFile(t *testing.T) {
	t.Parallel()
	control := unlimited(t, "sleep", "100")
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // it is sleep by now, not the shell
	_ = control.Process.Signal(syscall.SIGABRT)
	_ = control.Wait()
	if len(files(t, control.Dir)) == 0 {
		t.Log("this system writes core files elsewhere or nowhere: only the limit is checked")
	}
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGSEGV} {
		t.Run(signal.String(), func(t *testing.T) {
			database := sqliteURL(t)
			if out, err := command(database, "migrate").CombinedOutput(); err != nil {
				t.Fatalf("migrate: %v\n%s", err, out)
			}
			cmd := unlimited(t, binary, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
			cmd.Env = append(cmd.Env, "MUSTER_DATABASE="+database, "MUSTER_BOOTSTRAP_TOKEN="+token)
			p := &program{database: database, cmd: cmd, out: &output{}, ended: make(chan error, 1)}
			p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
			if err := p.cmd.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { p.ended <- p.cmd.Wait() }()
			t.Cleanup(p.kill)
			p.base = p.awaitLine(t, "SCIM Base URL: ")
			const password = "correct horse battery"
			p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`)
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
			if err != nil || !regexp.MustCompile(`Max core file size\s+0\s+0`).Match(limits) {
				t.Errorf("%v, the limits are %s", err, limits)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if p.wait() == nil {
				t.Fatal("the program goes on after the signal: this test proves nothing")
			}
			if left := files(t, cmd.Dir); len(left) > 0 {
				t.Errorf("the program left %v", left)
			}
			if !strings.Contains(p.out.String(), "goroutine ") {
				t.Errorf("there is no trace: this test looks at the wrong place: %s", p.out)
			}
			for _, secret := range []string{token, password} {
				if strings.Contains(p.out.String(), secret) {
					t.Errorf("the trace has %q", secret)
				}
			}
		})
	}
}
