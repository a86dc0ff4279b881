package test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The commands of an administrator do the same through a running server and on the
// database itself, and a server follows with the next request.
func TestAdminCommands(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		admin := p.credential(t, "ops", "admin")
		ways := map[string]func(args ...string) *exec.Cmd{
			"server": func(args ...string) *exec.Cmd {
				cmd := command(p.database, append(args, "--grpc", p.grpc)...)
				cmd.Env = append(cmd.Env, "MUSTER_TOKEN="+admin)
				return cmd
			},
			"database": func(args ...string) *exec.Cmd { return command(p.database, append(args, "--database", p.database)...) },
		}
		said := make(map[string]string)
		for way, run := range ways {
			t.Run(way, func(t *testing.T) { said[way] = administer(t, p, run) })
		}
		if said["server"] != said["database"] || said["server"] == "" {
			t.Errorf("the server says\n%s\nand the database\n%s", said["server"], said["database"])
		}
	})
}

// administer is a session of an administrator. It returns what the commands said, but
// for times and secrets.
func administer(t *testing.T, p *program, run func(args ...string) *exec.Cmd) string {
	t.Helper()
	var said strings.Builder
	do := func(args ...string) string {
		t.Helper()
		out := mustRun(t, run(args...))
		said.WriteString(out)
		return out
	}
	mustRun(t, run("tenant", "create", "acme", "--profile", "strict", "--requests-per-second", "500"))
	mustFail(t, run("tenant", "create", "acme"), "there is a tenant acme already")
	mustRun(t, run("tenant", "set", "acme", "--deprovision", "disable"))
	var tenant map[string]any
	if err := json.Unmarshal([]byte(mustRun(t, run("tenant", "get", "acme", "--json"))), &tenant); err != nil || tenant["profile"] != "CLIENT_PROFILE_STRICT" ||
		tenant["deprovision"] != "DEPROVISION_DISABLE" || tenant["limits"].(map[string]any)["requestsPerSecond"] != 500.0 {
		t.Errorf("the tenant is %v, %v", tenant, err)
	}

	token := strings.Fields(mustRun(t, run("credential", "create", "client", "--tenant", "acme", "--scope", "scim")))[0]
	users := func(token string, want int) {
		t.Helper()
		if r := p.rest(t, http.MethodGet, "/Users", "", "Authorization", "Bearer "+token); r.status != want {
			t.Errorf("status %d, want %d: %s", r.status, want, r.body)
		}
	}
	users(token, 200)
	p.must(t, 201, http.MethodPost, "/Users", `{"userName":"of acme"}`, "Authorization", "Bearer "+token)
	if n := p.must(t, 200, http.MethodGet, "/Users", "")["totalResults"]; n != 0.0 {
		t.Errorf("another tenant sees %v users", n)
	}
	rotated := strings.Fields(mustRun(t, run("credential", "rotate", "client", "--tenant", "acme")))[0]
	users(token, 200)
	users(rotated, 200)
	mustRun(t, run("credential", "rotate", "client", "--tenant", "acme", "--overlap", "0"))
	users(token, 401)
	users(rotated, 401)

	mustRun(t, run("credential", "create", "basic", "--tenant", "acme", "--kind", "basic", "--login", "ada", "--scope", "scim:read", "--expires", "90d"))
	do("credential", "set", "basic", "--tenant", "acme", "--scope", "scim:User:read,scim:Group", "--network", "10.0.0.0/8", "--expires", "2999-01-31T00:00:00Z", "--json")
	mustRun(t, run("credential", "create", "cert", "--tenant", "acme", "--kind", "certificate", "--fingerprint", strings.Repeat("ab", 32), "--scope", "scim"))
	mustRun(t, run("credential", "create", "entra", "--tenant", "acme", "--kind", "issuer", "--issuer", "https://login.example.com/", "--audience", "muster", "--scope", "scim"))
	if out := mustRun(t, run("credential", "list", "--tenant", "acme")); !strings.Contains(out, "certificate") || !strings.Contains(out, "scim:User:read,scim:Group") || strings.Contains(out, "muster_") {
		t.Errorf("the list is\n%s", out)
	}
	if out := mustRun(t, run("credential", "get", "entra", "--tenant", "acme")); !strings.Contains(out, "RS256, ES256") {
		t.Errorf("the issuer is\n%s", out)
	}
	mustFail(t, run("credential", "create", "x", "--tenant", "acme"), "a scope such as scim")
	mustFail(t, run("credential", "create", "x", "--tenant", "acme", "--scope", "scim", "--network", "office"), "10.0.0.0/8")
	mustFail(t, run("credential", "rotate", "cert", "--tenant", "acme"), "no secret")
	mustFail(t, run("credential", "get", "nobody", "--tenant", "acme"), "no credential")
	mustFail(t, run("credential", "list", "--tenant", "nobody"), "no tenant")
	do("credential", "revoke", "entra", "--tenant", "acme")

	schema := write(t, filepath.Join(t.TempDir(), "own.json"), own)
	do("schema", "add", schema, "--tenant", "acme")
	do("schema", "list", "--tenant", "acme")
	if out := mustRun(t, run("schema", "list")); strings.Contains(out, "Own") {
		t.Errorf("another tenant has\n%s", out)
	}

	mustFail(t, run("tenant", "delete", "acme"), "--yes-delete acme")
	mustFail(t, run("tenant", "delete", "acme", "--yes-delete", "acme"), "suspend it first")
	fresh := strings.Fields(mustRun(t, run("credential", "rotate", "client", "--tenant", "acme")))[0]
	mustRun(t, run("tenant", "suspend", "acme"))
	users(fresh, 403)
	mustRun(t, run("tenant", "resume", "acme"))
	users(fresh, 200)
	mustRun(t, run("tenant", "suspend", "acme"))
	do("tenant", "delete", "acme", "--yes-delete", "acme")
	users(fresh, 401)
	mustFail(t, run("tenant", "get", "acme"), "no tenant")
	mustFail(t, run("tenant", "suspend", "default"), "never suspended")
	return withoutCreated(said.String())
}

// withoutCreated leaves out when things were made.
func withoutCreated(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		before, _, _ := strings.Cut(line, `"createTime"`)
		lines = append(lines, before)
	}
	return strings.Join(lines, "")
}

// Where a command goes is what its flags say, and then the environment; it tells what
// to do where it cannot go there.
func TestAdminCommands_Where(t *testing.T) {
	t.Parallel()
	database := sqliteURL(t)
	p := start(t, database)
	admin := p.credential(t, "ops", "admin")
	bare := func(env []string, args ...string) *exec.Cmd {
		cmd := exec.Command(binary, args...)
		cmd.Dir, cmd.Env = t.TempDir(), env
		return cmd
	}
	list := []string{"credential", "list"}
	with := func(more ...string) []string { return append(append([]string{}, list...), more...) }
	mustFail(t, bare(nil, list...), "muster serve")
	mustFail(t, bare(nil, with("--grpc", p.grpc)...), "MUSTER_TOKEN")
	mustFail(t, bare(nil, with("--grpc", p.grpc, "--database", database)...), "not both")
	mustFail(t, bare([]string{"MUSTER_TOKEN=" + admin}, with("--grpc", "127.0.0.1:1")...), "does not answer")
	mustFail(t, bare([]string{"MUSTER_TOKEN=" + token}, with("--grpc", p.grpc)...), "the scope admin")
	for _, cmd := range []*exec.Cmd{
		bare([]string{"MUSTER_TOKEN=" + admin}, with("--grpc", p.grpc)...),
		bare([]string{"MUSTER_TOKEN=" + admin, "MUSTER_GRPC=" + p.grpc}, list...),
		bare(nil, with("--grpc", p.grpc, "--token", admin)...),
		bare([]string{"MUSTER_TOKEN=not used"}, with("--database", database)...),
		bare([]string{"MUSTER_TOKEN=not used", "MUSTER_DATABASE=" + database}, list...),
		bare(nil, with("--data", filepath.Dir(strings.TrimPrefix(database, "sqlite://")))...),
	} {
		if out := mustRun(t, cmd); !strings.Contains(out, "bootstrap") {
			t.Errorf("%s: %s", strings.Join(cmd.Args, " "), out)
		}
	}
	mustFail(t, command(database, "credential", "revoke", "ops", "--grpc", p.grpc, "--token", admin), "with another one")
}

// A deletion that is cut off by kill -9 is finished by the next server.
func TestDeleteTenant_Killed(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database)
		mustRun(t, command(database, "tenant", "create", "acme"))
		token := strings.Fields(mustRun(t, command(database, "credential", "create", "c", "--tenant", "acme", "--scope", "scim")))[0]
		operation := `{"method":"POST","path":"/Groups","data":{"displayName":"g"}}`
		p.must(t, 200, http.MethodPost, "/Bulk", `{"Operations":[`+strings.Repeat(operation+",", 499)+operation+`]}`, "Authorization", "Bearer "+token)
		mustRun(t, command(database, "tenant", "suspend", "acme"))
		p.kill()
		execute(t, database, "UPDATE tenants SET state = 'deleting' WHERE name = 'acme'") // as far as it came
		p = serve(t, database)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
			out := mustRun(t, command(database, "tenant", "list"))
			if !strings.Contains(out, "acme") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it is still there:\n%s\n%s", out, p.out)
			}
		}
		mustRun(t, command(database, "tenant", "create", "acme"))
	})
}

// Administration over REST: the same services, as JSON.
func TestAdminREST(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		admin := "Bearer " + p.credential(t, "ops", "admin")
		at := strings.TrimSuffix(p.base, "/scim/v2") + "/admin/v1"
		ask := func(status int, method, path, body string) map[string]any {
			t.Helper()
			return p.must(t, status, method, at+path, body, "Authorization", admin, "Content-Type", "application/json")
		}
		made := ask(201, http.MethodPost, "/tenants", `{"name":"acme","deprovision":"DEPROVISION_DISABLE"}`)
		if made["state"] != "STATE_ACTIVE" || made["deprovision"] != "DEPROVISION_DISABLE" || made["createTime"] == nil {
			t.Errorf("made %v", made)
		}
		changed := ask(200, http.MethodPatch, "/tenants/acme", `{"profile":"CLIENT_PROFILE_STRICT","limits":{"burst":50}}`)
		if changed["profile"] != "CLIENT_PROFILE_STRICT" || changed["deprovision"] != "DEPROVISION_DISABLE" || changed["limits"].(map[string]any)["burst"] != 50.0 {
			t.Errorf("changed to %v", changed)
		}
		if n := len(ask(200, http.MethodGet, "/tenants", "")["tenants"].([]any)); n != 2 {
			t.Errorf("%d tenants", n)
		}
		out := ask(201, http.MethodPost, "/tenants/acme/credentials", `{"name":"client","scopes":["scim"],"networks":["127.0.0.1"]}`)
		secret := "Bearer " + out["secret"].(string)
		if c := out["credential"].(map[string]any); c["tenant"] != "acme" || c["kind"] != "KIND_BEARER" || c["networks"].([]any)[0] != "127.0.0.1/32" {
			t.Errorf("made %v", c)
		}
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"a"}`, "Authorization", secret)
		c := ask(200, http.MethodPatch, "/tenants/acme/credentials/client", `{"networks":["192.0.2.0/24"],"expireTime":"2999-01-01T00:00:00Z"}`)
		if c["expireTime"] != "2999-01-01T00:00:00Z" {
			t.Errorf("changed to %v", c)
		}
		p.must(t, 403, http.MethodGet, "/Users", "", "Authorization", secret)
		c = ask(200, http.MethodPatch, "/tenants/acme/credentials/client", `{"networks":[],"expireTime":null}`)
		if c["expireTime"] != nil || len(c["networks"].([]any)) != 0 {
			t.Errorf("changed to %v", c)
		}
		p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", secret)
		rotated := ask(200, http.MethodPost, "/tenants/acme/credentials/client:rotate", `{"overlap":"0s"}`)["secret"].(string)
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", secret)
		p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", "Bearer "+rotated)
		ask(200, http.MethodPost, "/tenants/acme/registrations", `{"schemas":[{"id":"urn:example:own","attributes":[{"name":"a","type":"TYPE_STRING"}]}],"resourceTypes":[{"name":"Own","endpoint":"/Owns","schema":"urn:example:own"}]}`)
		p.must(t, 201, http.MethodPost, "/Owns", `{"a":"1"}`, "Authorization", "Bearer "+rotated)
		if n := len(ask(200, http.MethodGet, "/tenants/acme/registrations", "")["registrations"].([]any)); n != 2 {
			t.Errorf("%d registrations", n)
		}

		if said := ask(409, http.MethodDelete, "/tenants/acme", ""); said["code"] != 9.0 || !strings.Contains(said["message"].(string), "suspend") {
			t.Errorf("it says %v", said)
		}
		ask(409, http.MethodDelete, "/tenants/default/credentials/ops", "")
		ask(404, http.MethodGet, "/tenants/nobody", "")
		ask(400, http.MethodPost, "/tenants", `{"name":"a b"}`)
		ask(200, http.MethodPost, "/tenants/acme:suspend", "")
		ask(204, http.MethodDelete, "/tenants/acme", "")

		for header, want := range map[string]int{"": 401, "Bearer wrong": 401, "Bearer " + token: 403} {
			r := p.rest(t, http.MethodGet, at+"/tenants", "", "Authorization", header)
			if r.status != want || r.header.Get("Content-Type") != "application/json" || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%q: status %d, %v", header, r.status, r.header)
			}
		}
		if strings.Contains(p.out.String(), rotated) {
			t.Error("the log has a secret")
		}
	})
}
