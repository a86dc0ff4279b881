package test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
	_ "modernc.org/sqlite" // registers the driver

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const (
	badgeURN = "urn:example:params:scim:schemas:extension:badge:2.0:User"
	placeURN = "urn:example:params:scim:schemas:extension:place:2.0:TestResource"
)

// The cases in test/registered are for schemas and resource types that were
// registered at run time: some by files that the server reads when it starts, some
// while it runs. They are like those of the contract, through both doors.
func TestRegistered(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--schemas", "../docs/examples/devices")
		p.register(t)
		runCases(t, p, "registered")
	})
}

// register registers the schemas of the cases, and returns the token that may.
func (p *program) register(t *testing.T) (admin string) {
	t.Helper()
	files, err := filepath.Glob("registered/schemas/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	admin = p.credential(t, "ops", "admin")
	mustRun(t, p.schema(admin, append([]string{"add"}, files...)...))
	return admin
}

// mustRun runs a command and returns what it prints.
func mustRun(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return string(out)
}

// mustFail runs a command that must fail and say this.
func mustFail(t *testing.T, cmd *exec.Cmd, want string) {
	t.Helper()
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
		t.Errorf("%s: %v, want %q\n%s", strings.Join(cmd.Args, " "), err, want, out)
	}
}

// credential makes a credential of the default tenant and returns its token.
func (p *program) credential(t *testing.T, name, scopes string) string {
	t.Helper()
	return strings.Fields(mustRun(t, command(p.database, "credential", "create", name, "--scope", scopes)))[0]
}

// schema is `muster schema`, which asks the server.
func (p *program) schema(token string, args ...string) *exec.Cmd {
	cmd := command(p.database, append([]string{"schema"}, args...)...)
	cmd.Args = append(cmd.Args, "--grpc", p.grpc)
	cmd.Env = append(cmd.Env, "MUSTER_TOKEN="+token)
	return cmd
}

// write makes a file with this text.
func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What is registered has addresses over HTTP as everything has.
func TestRegistered_HTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		p.register(t)
		for _, path := range []string{
			"/Schemas/" + badgeURN, "/Schemas/" + strings.ReplaceAll(badgeURN, ":", "%3A"), "/Schemas/" + strings.ToUpper(badgeURN[:11]) + badgeURN[11:],
			"/ResourceTypes/TestResource", "/ResourceTypes/TestResource/", "//TestResources", "/TestResources/?", "/TestResources?attributes=displayName",
		} {
			p.must(t, 200, http.MethodGet, path, "")
		}
		for path, want := range map[string]int{"/Schemas": 8, "/ResourceTypes": 3} {
			if n := p.must(t, 200, http.MethodGet, path, "")["totalResults"]; n != float64(want) {
				t.Errorf("%s lists %v, want %d", path, n, want)
			}
		}
		r := p.rest(t, http.MethodPost, "/TestResources", `{"displayName":"a","secret":"x","`+placeURN+`":{"room":"1"}}`)
		id, _ := r.json(t)["id"].(string)
		if want := p.base + "/TestResources/" + id; r.status != 201 || r.header.Get("Location") != want || r.json(t)["meta"].(map[string]any)["location"] != want {
			t.Errorf("status %d, %v, %s", r.status, r.header, r.body)
		}
		for _, test := range []struct {
			method, path, body string
			want               int
		}{
			{http.MethodHead, "/TestResources/" + id, "", 200},
			{http.MethodPut, "/TestResources", `{}`, 405},
			{http.MethodPost, "/TestResources/" + id, `{}`, 405},
			{http.MethodGet, "/Nothing", "", 404},
			{http.MethodPost, "/Nothing", `{}`, 404},
			{http.MethodGet, "/TestResources/nothing", "", 404},
			{http.MethodPost, "/TestResources", `[]`, 400},
			{http.MethodPost, "/TestResources", `{`, 400},
			{http.MethodPatch, "/TestResources/" + id, `{"Operations":[]}`, 400},
			{http.MethodPost, "/TestResources/.search", `{"filter":"displayName eq \"A\""}`, 200},
			{http.MethodDelete, "/TestResources/" + id, "", 204},
		} {
			if r := p.rest(t, test.method, test.path, test.body); r.status != test.want {
				t.Errorf("%s %s: status %d, want %d: %s", test.method, test.path, r.status, test.want, r.body)
			}
		}
	})
}

// A bulk request refers to and from what is registered, through both doors.
func TestRegistered_Bulk(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		p.register(t)
		user := func(name string) string {
			return `{"userName":"` + name + `","` + badgeURN + `":{"prints":[{"value":"bulkId:r"}]}}`
		}
		resource := func(name string) string {
			return `{"displayName":"` + name + `","owner":"bulkId:u","parts":["bulkId:r"],"secret":"x","` + placeURN + `":{"room":"1"}}`
		}
		answer := p.must(t, 200, http.MethodPost, "/Bulk", `{"Operations":[
			{"method":"POST","path":"/TestResources","bulkId":"r","data":`+resource("a")+`},
			{"method":"POST","path":"/Users","bulkId":"u","data":`+user("a")+`},
			{"method":"PATCH","path":"/TestResources/bulkId:r","data":{"Operations":[{"op":"add","path":"ports","value":3}]}},
			{"method":"POST","path":"/TestResources","bulkId":"s","data":{"displayName":"lacks its room","secret":"x"}},
			{"method":"POST","path":"/Users","bulkId":"v","data":{"userName":"b","`+badgeURN+`":{"sponsor":{"value":"bulkId:r"}}}},
			{"method":"DELETE","path":"/Nothing/1"}]}`)
		if got := statuses(answer); got != "201 201 200 400 400 404" {
			t.Errorf("over REST %s: %v", got, answer)
		}
		out, err := musterv1.NewProvisioningServiceClient(p.dial(t)).Bulk(authorized(), &musterv1.BulkRequest{Operations: []*musterv1.BulkOperation{
			{Method: musterv1.BulkOperation_METHOD_POST, Path: "/TestResources", BulkId: "r", Data: resource("c")},
			{Method: musterv1.BulkOperation_METHOD_POST, Path: "/Users", BulkId: "u", Data: user("c")},
		}})
		if err != nil || out.GetOperations()[0].GetStatus() != "201" || out.GetOperations()[1].GetStatus() != "201" {
			t.Errorf("over gRPC %v, %v", out, err)
		}
		for _, name := range []string{"a", "c"} {
			r := p.must(t, 200, http.MethodGet, "/TestResources?filter="+url.QueryEscape(`displayName eq "`+name+`"`), "")["Resources"].([]any)[0].(map[string]any)
			u := p.must(t, 200, http.MethodGet, "/Users?filter="+url.QueryEscape(badgeURN+`:prints.value eq "`+r["id"].(string)+`"`), "")
			if u["totalResults"] != 1.0 || r["owner"] != u["Resources"].([]any)[0].(map[string]any)["id"] || r["parts"].([]any)[0] != r["id"] {
				t.Errorf("%v and %v do not name each other", r, u)
			}
		}
	})
}

// own is a small resource type.
const own = `[{"id":"urn:example:own","attributes":[{"name":"a"}]},{"name":"Own","endpoint":"/Owns","schema":"urn:example:own"}]`

func statuses(answer map[string]any) string {
	var all []string
	for _, op := range answer["Operations"].([]any) {
		all = append(all, op.(map[string]any)["status"].(string))
	}
	return strings.Join(all, " ")
}

// Each scope opens its own services only, and each tenant has its own types.
func TestRegistered_WhoMay(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		admin := p.register(t)
		id := p.must(t, 201, http.MethodPost, "/TestResources", `{"displayName":"a","secret":"x","`+placeURN+`":{"room":"1"}}`)["id"].(string)
		conn := p.dial(t)
		for _, test := range []struct {
			service *grpc.ServiceDesc
			token   string
			want    codes.Code
		}{
			{&musterv1.RegistryService_ServiceDesc, token, codes.PermissionDenied},
			{&musterv1.RegistryService_ServiceDesc, "wrong", codes.Unauthenticated},
			{&musterv1.ResourceService_ServiceDesc, admin, codes.PermissionDenied},
			{&musterv1.ResourceService_ServiceDesc, "wrong", codes.Unauthenticated},
		} {
			for _, m := range test.service.Methods {
				err := conn.Invoke(bearing(test.token), "/"+test.service.ServiceName+"/"+m.MethodName, &emptypb.Empty{}, &emptypb.Empty{})
				if status.Code(err) != test.want {
					t.Errorf("%s: got %v, want %s", m.MethodName, err, test.want)
				}
			}
		}
		mustFail(t, p.schema(token, "list"), "scope admin")
		for _, path := range []string{"/TestResources", "/TestResources/" + id, "/Schemas"} {
			p.must(t, 403, http.MethodGet, path, "", "Authorization", "Bearer "+admin)
		}

		const other = "token-of-the-other-tenant"
		addTenant(t, p.database, other, "scim admin")
		for method, path := range map[string]string{
			http.MethodGet: "/TestResources/" + id, http.MethodDelete: "/TestResources/" + id, http.MethodHead: "/TestResources", "get": "/ResourceTypes/TestResource", "Get": "/Schemas/" + badgeURN,
		} {
			if r := p.rest(t, strings.ToUpper(method), path, "", "Authorization", "Bearer "+other); r.status != 404 {
				t.Errorf("the other tenant: %s %s: status %d", method, path, r.status)
			}
		}
		file := write(t, filepath.Join(t.TempDir(), "own.json"), own)
		mustFail(t, p.schema(other, "add", file, "--all-tenants"), "only a credential of the tenant default")
		mustRun(t, p.schema(other, "add", file))
		p.must(t, 201, http.MethodPost, "/Owns", `{"a":"1"}`, "Authorization", "Bearer "+other)
		p.must(t, 404, http.MethodGet, "/Owns", "")
		mustRun(t, p.schema(admin, "add", "../docs/examples/devices/device.json", "../docs/examples/devices/ble.json", "../docs/examples/devices/endpoint-apps.json", "../docs/examples/devices/dpp.json",
			"../docs/examples/devices/ethernet-mab.json", "../docs/examples/devices/fdo.json", "../docs/examples/devices/zigbee.json", "../docs/examples/devices/endpoint-app.json", "../docs/examples/devices/resource-types.json", "--all-tenants"))
		device := p.must(t, 201, http.MethodPost, "/Devices", `{"active":true}`)["id"].(string)
		p.must(t, 404, http.MethodGet, "/Devices/"+device, "", "Authorization", "Bearer "+other)
		p.must(t, 201, http.MethodPost, "/Devices", `{"active":true}`, "Authorization", "Bearer "+other)

		mustRun(t, command(p.database, "credential", "revoke", "ops"))
		mustFail(t, p.schema(admin, "list"), "the credential is not valid")
		if out := mustRun(t, command(p.database, "credential", "list", "--json")); strings.Contains(out, "ops") || !strings.Contains(out, `"name":"bootstrap"`) {
			t.Errorf("credentials are %s", out)
		}
	})
}

// addTenant makes another tenant with one credential.
func addTenant(t *testing.T, database, token, scopes string) {
	t.Helper()
	hash := sha256.Sum256([]byte(token))
	execute(t, database, "INSERT INTO tenants (id, name, profile, catalog_version, created_at) VALUES (77, 'other', 'tolerant', 0, 0)")
	execute(t, database, "INSERT INTO credentials (id, tenant_id, name, kind, scopes, created_at) VALUES (77, 77, 'other', 'bearer', $1, 0)", scopes)
	execute(t, database, "INSERT INTO tokens (credential_id, purpose, hash, created_at) VALUES (77, 'secret', $1, 0)", hash[:])
}

// execute runs SQL behind the program's back.
func execute(t *testing.T, database, text string, args ...any) {
	t.Helper()
	driver, source := "pgx", database
	if path, ok := strings.CutPrefix(database, "sqlite://"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(context.Background(), text, args...); err != nil {
		t.Fatal(err)
	}
}

// The command line registers, lists in the form that it reads, and removes: through
// the server, and in the database.
func TestSchemaCommand(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		admin := p.register(t)
		if out := mustRun(t, p.schema(admin, "list")); !strings.Contains(out, "TestResource ") || strings.Count(out, "this") != 8 {
			t.Errorf("the list is\n%s", out)
		}
		listed := mustRun(t, p.schema(admin, "list", "--json"))
		again := p.schema(admin, "add", "-")
		again.Stdin = strings.NewReader(listed)
		mustRun(t, again)
		if now := mustRun(t, p.schema(admin, "list", "--json")); now != listed {
			t.Errorf("after it was registered again the list is\n%s\nand was\n%s", now, listed)
		}

		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"a","`+badgeURN+`":{"level":1}}`)
		schema := write(t, filepath.Join(t.TempDir(), "a.json"), `{"id":"`+badgeURN+`","attributes":[{"name":"level","type":"string"}]}`)
		mustFail(t, p.schema(admin, "add", schema), "the stored User")
		mustFail(t, p.schema(admin, "remove", badgeURN), "it is needed")
		mustFail(t, p.schema(admin, "remove", "TestResource", "Nothing"), `no resource type "Nothing"`)
		mustFail(t, p.schema(admin, "add", write(t, filepath.Join(t.TempDir(), "b.json"), `{`)), "b.json: ")
		mustFail(t, p.schema(admin, "add", "missing.json"), "missing.json")
		mustFail(t, p.schema("", "list"), "MUSTER_TOKEN")
		mustFail(t, p.schema(admin, "remove", "TestResource"), `refers to "TestResource"`)
		file := write(t, filepath.Join(t.TempDir(), "own.json"), own)
		mustRun(t, p.schema(admin, "add", file))
		p.must(t, 201, http.MethodPost, "/Owns", `{"a":"1"}`)
		mustFail(t, p.schema(admin, "remove", "urn:example:own", "Own"), "the stored Own")

		direct := func(args ...string) *exec.Cmd {
			return command(p.database, append([]string{"schema"}, append(args, "--database", p.database)...)...)
		}
		mustFail(t, direct("add", schema), "the stored User")
		mustFail(t, direct("remove", "urn:example:own", "Own"), "the stored Own")
		p.must(t, 204, http.MethodDelete, "/Owns/"+p.must(t, 200, http.MethodGet, "/Owns", "")["Resources"].([]any)[0].(map[string]any)["id"].(string), "")
		mustRun(t, direct("remove", "urn:example:own", "Own"))
		p.must(t, 404, http.MethodGet, "/Owns", "")
		mustRun(t, direct("add", file))
		p.must(t, 200, http.MethodGet, "/Owns", "")
		if out := mustRun(t, direct("list")); !strings.Contains(out, "Own ") {
			t.Errorf("the list is\n%s", out)
		}
		mustRun(t, p.schema(admin, "remove", "urn:example:own", "Own"))
		p.must(t, 404, http.MethodGet, "/Owns", "")
		mustFail(t, direct("list", "--tenant", "nobody"), "no tenant")
	})
}

// The files of a folder are registered when a server starts: what does not fit stops
// it, what is as it was changes nothing, and what is gone stays.
func TestServe_Schemas(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		folder := t.TempDir()
		schema := `{"id":"urn:example:badge","attributes":[{"name":"number","type":"%s"}]}`
		write(t, filepath.Join(folder, "badge.json"), fmt.Sprintf(schema, "string"))
		user := write(t, filepath.Join(folder, "user.json"), `{"name":"User","schemaExtensions":[{"schema":"urn:example:badge"}]}`)
		write(t, filepath.Join(folder, "notes.txt"), "not read")
		p := start(t, database, "--schemas", folder)
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"a","urn:example:badge":{"number":"1"}}`)

		var wg sync.WaitGroup // more servers at once
		for range 3 {
			wg.Go(func() {
				other := serve(t, database, "--schemas", folder)
				if v := other.must(t, 200, http.MethodGet, "/Users?filter="+url.QueryEscape(`urn:example:badge:number eq "1"`), "")["totalResults"]; v != 1.0 {
					t.Errorf("another server finds %v", v)
				}
				if err := other.terminate(t); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()

		refused := func(want ...string) {
			t.Helper()
			out, err := command(database, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--schemas", folder).CombinedOutput()
			for _, w := range want {
				if err == nil || !strings.Contains(string(out), w) {
					t.Errorf("%v, want %q:\n%s", err, w, out)
				}
			}
		}
		write(t, filepath.Join(folder, "badge.json"), fmt.Sprintf(schema, "integer"))
		refused("the stored User", "correct the files")
		write(t, filepath.Join(folder, "badge.json"), `{"id":"urn:example:badge","attributes":[`)
		refused("badge.json: ")
		write(t, filepath.Join(folder, "badge.json"), fmt.Sprintf(schema, "string"))
		write(t, filepath.Join(folder, "twice.json"), fmt.Sprintf(schema, "string"))
		refused("there are two schemas")
		if err := os.Remove(filepath.Join(folder, "twice.json")); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(user); err != nil {
			t.Fatal(err)
		}
		other := serve(t, database, "--schemas", folder)
		other.must(t, 200, http.MethodGet, "/Schemas/urn:example:badge", "")
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
		refused(folder)
	})
}

// Of registered secrets, too, the database has hashes only.
func TestDatabase_HoldsNoRegisteredSecrets(t *testing.T) {
	database := sqliteURL(t)
	p := start(t, database)
	p.register(t)
	const pin, secret = "a pin that nobody guesses", "a secret that nobody guesses"
	p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada","`+badgeURN+`":{"pin":"`+pin+`"}}`)
	id := p.must(t, 201, http.MethodPost, "/TestResources", `{"displayName":"a","secret":"first","`+placeURN+`":{"room":"1"}}`)["id"].(string)
	out, err := musterv1.NewResourceServiceClient(p.dial(t)).PatchResource(authorized(), &musterv1.PatchResourceRequest{
		ResourceType: "TestResource", Id: id, Attributes: []string{"secret,displayName"},
		Operations: []*musterv1.PatchOperation{{Op: musterv1.PatchOperation_OP_REPLACE, Path: "secret", Value: structpb.NewStringValue(secret)}},
	})
	if err != nil || out.GetResource().GetAttributes().GetFields()["secret"] != nil {
		t.Errorf("%v, %v", out, err)
	}
	if err := p.terminate(t); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(database, "sqlite://")
	for _, text := range []string{pin, secret} {
		if holds(t, path, text) || strings.Contains(p.out.String(), text) {
			t.Errorf("%q is in the database or the log", text)
		}
	}
	if !holds(t, path, "$argon2id$") {
		t.Error("the database has no hash: this test looks in the wrong place")
	}
}
