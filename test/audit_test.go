package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	bigendian "encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// muster runs a command of the program on the database of a server, and returns what
// it prints.
func (p *program) muster(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	cmd := command(p.database, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err = cmd.Run(); err != nil {
		if _, exit := err.(*exec.ExitError); !exit { //nolint:errorlint // exec's own
			t.Fatal(err)
		}
	}
	if problems.Len() > 0 {
		t.Log(problems.String())
	}
	return out.String(), err
}

// sealedEvents are the lines of the export, once it has at least so many.
func (p *program) sealedEvents(t *testing.T, atLeast int, args ...string) (lines []map[string]any) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		out, err := p.muster(t, append([]string{"audit", "export"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		lines = nil
		for line := range strings.Lines(out) {
			var event map[string]any
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			event["line"] = line
			lines = append(lines, event)
		}
		if len(lines) >= atLeast {
			return lines
		}
	}
	t.Fatalf("the export has %d events, want %d: %v", len(lines), atLeast, lines)
	return nil
}

// What is asked through either door, and by commands, is in the log that is exported:
// who, what, from where, and what came of it; and nothing of it is a secret.
func TestAudit_BothDoors(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		const password = "correct horse battery"
		u := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`, "X-Request-Id", "one", "User-Agent", "test/1")
		id := u["id"].(string)
		p.must(t, 200, http.MethodPatch, "/Users/"+id, `{"Operations":[{"op":"replace","path":"title","value":"T"}]}`)
		p.must(t, 200, http.MethodPost, "/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[
			{"method":"POST","path":"/Groups","bulkId":"g","data":{"displayName":"G","members":[{"value":"`+id+`"}]}},{"method":"DELETE","path":"/Users/nobody"}]}`, "X-Request-Id", "two")
		p.must(t, 400, http.MethodPost, "/Users", `{"userName":"x","password":["`+password+`"]}`)
		p.must(t, 409, http.MethodPost, "/Users", `{"userName":"ada","password":"`+password+`"}`)
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", "Bearer a-wrong-token")
		p.must(t, 200, http.MethodGet, "/Users", "")
		conn, err := grpc.NewClient(p.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("over-grpc"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		users := musterv1.NewProvisioningServiceClient(conn)
		if _, err := users.DeleteUser(authorized(), &musterv1.DeleteUserRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		_, _ = users.DeleteUser(context.Background(), &musterv1.DeleteUserRequest{Id: id})
		secret, err := p.muster(t, "credential", "create", "ops", "--scope", "admin")
		if err != nil {
			t.Fatal(err)
		}
		secret, _, _ = strings.Cut(secret, " ")

		lines := p.sealedEvents(t, 10)
		if e := lines[0]; e["method"] != "muster serve/Bootstrap" || e["resourceId"] != "default/bootstrap" || e["outcome"] != "ok" {
			t.Errorf("the start is %v", e)
		}
		if e := lines[1]; e["method"] != "muster serve/CreateLoginLink" || e["outcome"] != "ok" {
			t.Errorf("the link to the console is %v", e)
		}
		lines = lines[2:]
		var got []string
		for _, e := range lines {
			_, method, _ := strings.Cut(e["method"].(string), "/")
			got = append(got, method+" "+e["outcome"].(string))
			for _, s := range []string{password, token, "a-wrong-token", secret, "argon2"} {
				if strings.Contains(e["line"].(string), s) {
					t.Errorf("the log has the secret %s: %s", s, e["line"])
				}
			}
		}
		// What was not done is written a little later than it happened.
		for _, want := range []string{"CreateUser ok", "PatchUser ok", "CreateGroup ok", "DeleteUser notFound", "CreateUser uniqueness", "DeleteUser ok", "CreateCredential ok"} {
			n := 0
			for _, g := range got {
				if g == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d events are %q: %v", n, want, got)
			}
		}
		first := lines[0]
		if first["requestId"] != "one" || first["client"] != "test/1" || first["address"] != "127.0.0.1" || first["credential"] != "bootstrap" || first["resourceId"] != id ||
			!strings.Contains(first["line"].(string), `"changes":{"attributes":{"password":{},"userName":{"after":"ada"}}}`) {
			t.Errorf("the first event is %v", first)
		}
		for _, e := range lines {
			if e["method"] == "muster.v1.ProvisioningService/DeleteUser" && e["outcome"] == "ok" && !strings.HasPrefix(e["client"].(string), "over-grpc") {
				t.Errorf("over gRPC: %v", e)
			}
		}
		if refused := p.sealedEvents(t, 2, "--tenant", "-"); len(refused) != 2 || refused[0]["outcome"] != "unauthenticated" || refused[0]["address"] != "127.0.0.1" || refused[1]["credential"] != nil {
			t.Errorf("refused are %v", refused)
		}
	})
}

// The chain can be computed by the words of docs/audit.md, verified by the program
// over both of its ways, and a change of the database shows.
func TestAudit_Chain(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		for _, name := range []string{"ada", "grace", "hedy"} {
			p.must(t, 201, http.MethodPost, "/Users", `{"userName":"`+name+`","title":"<é>"}`)
		}
		var previous []byte
		var last string
		for _, e := range p.sealedEvents(t, 4) {
			previous = asDocumented(t, previous, e)
			if hex.EncodeToString(previous) != e["hash"] {
				t.Fatalf("the hash is %v, and by the documentation %x", e["hash"], previous)
			}
			last = fmt.Sprint(e["sequence"])
		}
		out, err := p.muster(t, "audit", "verify")
		if err != nil || !strings.Contains(out, "whole") {
			t.Errorf("verified: %v: %s", err, out)
		}
		secret, err := p.muster(t, "credential", "create", "auditor", "--scope", "admin:read")
		if err != nil {
			t.Fatal(err)
		}
		secret, _, _ = strings.Cut(secret, " ")
		overGRPC := func(head string) (string, error) {
			return p.muster(t, "audit", "verify", "--grpc", p.grpc, "--token", secret, "--head", head)
		}
		if out, err := overGRPC(last + ":" + hex.EncodeToString(previous)); err != nil || !strings.Contains(out, "whole") {
			t.Errorf("by the server: %v: %s", err, out)
		}
		admin := strings.Replace(p.base, "/scim/v2", "/admin/v1/tenants/default/audit-events", 1)
		list := p.must(t, 200, http.MethodGet, admin+"?method=CreateUser&pageSize=2", "", "Authorization", "Bearer "+secret)
		if events := list["events"].([]any); len(events) != 2 || events[0].(map[string]any)["outcome"] != "ok" || list["nextPageToken"] == "" {
			t.Errorf("over REST: %v", list)
		}
		if v := p.must(t, 200, http.MethodPost, admin+":verify", "{}", "Authorization", "Bearer "+secret); v["whole"] != true {
			t.Errorf("verified over REST: %v", v)
		}
		if out, err := overGRPC("1:" + hex.EncodeToString(previous)); err == nil || !strings.Contains(out, "BROKEN") {
			t.Errorf("with another head: %v: %s", err, out)
		}
	})
}

// A program that follows the log gets what comes, and ends well when it is told to.
func TestAudit_Follow(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		cmd := command(p.database, "audit", "export", "--follow", "--method", "CreateUser")
		out := &output{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = cmd.Process.Kill() }()
		for i, name := range []string{"ada", "grace"} {
			p.must(t, 201, http.MethodPost, "/Users", `{"userName":"`+name+`"}`)
			for deadline := time.Now().Add(20 * time.Second); strings.Count(out.String(), "\n") <= i; time.Sleep(50 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s does not come: %s", name, out)
				}
			}
		}
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil || strings.Count(out.String(), "\n") != 2 {
			t.Errorf("it ended with %v: %s", err, out)
		}
	})
}

// asDocumented is the hash of an exported event as docs/audit.md defines it.
func asDocumented(t *testing.T, previous []byte, e map[string]any) []byte {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, e["time"].(string))
	if err != nil {
		t.Fatal(err)
	}
	text := func(name string) []byte {
		s, _ := e[name].(string)
		return []byte(s)
	}
	_, changes, _ := strings.Cut(e["line"].(string), `"changes":`)
	changes, _, found := strings.Cut(changes, `,"hash":`)
	if !found {
		changes = ""
	}
	var b bytes.Buffer
	b.Write(previous)
	b.WriteString("muster audit event 1\n")
	for _, n := range []int64{int64(e["tenantId"].(float64)), int64(e["sequence"].(float64)), at.UnixMilli()} {
		_ = bigendian.Write(&b, bigendian.BigEndian, n)
	}
	for _, field := range [][]byte{text("requestId"), text("credential"), text("operator"), text("address"), text("client"), text("method"),
		text("resourceType"), text("resourceId"), text("outcome"), text("detail"), []byte(changes)} {
		_ = bigendian.Write(&b, bigendian.BigEndian, int64(len(field)))
		b.Write(field)
	}
	b.WriteByte(0)
	sum := sha256.Sum256(b.Bytes())
	return sum[:]
}
