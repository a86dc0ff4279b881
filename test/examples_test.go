package test

import (
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// buildExample builds a program of docs/examples, and returns what starts it.
func buildExample(t *testing.T, name string) func(args ...string) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := compile(path, "../docs/examples/"+name); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) *program {
		t.Helper()
		p := &program{cmd: exec.Command(path, args...), out: &output{}, ended: make(chan error, 1)}
		p.cmd.Env = append(os.Environ(), "MUSTER_TOKEN="+token)
		p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		go func() { p.ended <- p.cmd.Wait() }()
		t.Cleanup(p.kill)
		return p
	}
}

// eventually fails the test if something does not come true.
func eventually(t *testing.T, p *program, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never %s:\n%s", what, p.out)
		}
	}
}

// The example of a mirror answers what Muster would, also when Muster is gone and it
// has just been started itself.
func TestExample_Mirror(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	c := dialClient(t, p.grpc, token)
	engineering, company := makeGroup(t, c, "Engineering"), makeGroup(t, c, "Company")
	join(t, c, company, []string{engineering})
	addUser(t.Context(), c, engineering, "ada")
	run, file := buildExample(t, "mirror"), filepath.Join(t.TempDir(), "users.db")
	serve := func() func(path string) string {
		mirror := run("-muster", p.grpc, "-listen", "127.0.0.1:0", "-copy", file)
		var base string
		eventually(t, mirror, "listens", func() bool {
			if m := regexp.MustCompile(`listening.*address=(\S+)`).FindStringSubmatch(mirror.out.String()); m != nil {
				base = "http://" + m[1]
			}
			return base != ""
		})
		get := func(path string) string {
			r, err := p.tryREST(http.MethodGet, base+path, "")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%d %s", r.status, r.body)
		}
		eventually(t, mirror, "has a copy", func() bool { return get("/users/ada")[:3] != "503" })
		return get
	}
	get := serve()
	addUser(t.Context(), c, company, "bob")
	eventually(t, p, "knows bob", func() bool {
		return get("/users/bob")[:3] == "200" && get("/groups/Company/members/bob") == "200 {\"allowed\":true}\n"
	})
	p.kill()
	for range 2 { // the second is started while there is no Muster
		for path, want := range map[string]string{
			"/users/ADA":                       `^200 \{"active":true,"groups":\["Company","Engineering"\],"id":"[0-9a-f-]{36}","userName":"ada"\}\n$`,
			"/users/nobody":                    `^404 `,
			"/groups/engineering/members/ada":  `^200 \{"allowed":true\}\n$`,
			"/groups/Company/members/ada":      `^200 \{"allowed":true\}\n$`,
			"/groups/Engineering/members/bob":  `^200 \{"allowed":false\}\n$`,
			"/groups/Engineering/members/none": `^200 \{"allowed":false\}\n$`,
		} {
			if got := get(path); !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %s", path, got)
			}
		}
		get = serve()
	}
}

// The example of a worker ends the sessions of those who are disabled or deleted, each
// once, although it is killed in between.
func TestExample_Sessions(t *testing.T) {
	t.Parallel()
	p := start(t, sqliteURL(t))
	c := dialClient(t, p.grpc, token)
	ids := fillUsers(t, c, 60)
	file := filepath.Join(t.TempDir(), "sessions.db")
	run := buildExample(t, "sessions")
	worker := run("-muster", p.grpc, "-database", file)
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	number := func(query string, args ...any) (n int) {
		_ = db.QueryRow(query, args...).Scan(&n) // the tables may not be there yet
		return n
	}
	eventually(t, worker, "has begun", func() bool { return number("SELECT position FROM progress") > 0 })
	for _, id := range ids {
		if _, err := db.Exec("INSERT INTO sessions (user_id) VALUES (?), (?)", id, id); err != nil {
			t.Fatal(err)
		}
	}
	for i, id := range ids[:50] {
		if i%2 == 0 {
			_, err = c.Provisioning.DeleteUser(t.Context(), &musterv1.DeleteUserRequest{Id: id})
		} else {
			_, err = c.Directory.UpdateUser(t.Context(), &musterv1.UpdateUserRequest{User: &musterv1.User{Id: id, Active: new(false)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"active"}}})
		}
		if err != nil {
			t.Fatal(err)
		}
		if i%10 == 5 {
			worker.kill()
			worker = run("-muster", p.grpc, "-database", file)
		}
	}
	eventually(t, worker, "has signed out all", func() bool { return number("SELECT count(*) FROM sign_outs") == 50 })
	if users, ended, left := number("SELECT count(DISTINCT user_id) FROM sign_outs"), number("SELECT sum(sessions) FROM sign_outs"), number("SELECT count(*) FROM sessions"); users != 50 || ended != 100 || left != 20 {
		t.Errorf("%d users were signed out of %d sessions; %d are left", users, ended, left)
	}
	// Where its position is gone it compares with a snapshot.
	worker.kill()
	if _, err := db.Exec("INSERT INTO sessions (user_id) VALUES (?), ('nobody')", ids[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("UPDATE progress SET position = 1000000"); err != nil {
		t.Fatal(err)
	}
	worker = run("-muster", p.grpc, "-database", file)
	eventually(t, worker, "has compared", func() bool { return number("SELECT count(*) FROM sessions") == 20 })
}
