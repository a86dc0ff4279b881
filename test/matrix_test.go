package test

import (
	"encoding/base64"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

// A stranger is a caller who must get nothing, whatever is asked.
type stranger struct {
	name          string
	authorization string
	tenant        string // that the base names; empty: none
	status        int
}

// strangers makes one of each kind. Those that lack the scope have the other one: for
// resources an administrator, for administration a client.
func (p *program) strangers(t *testing.T) (all []stranger, client, administrator stranger) {
	t.Helper()
	mustRun(t, command(p.database, "tenant", "create", "acme"))
	secret := func(name, kind, tenant string, flags ...string) string {
		args := append([]string{"credential", "create", name, "--kind", kind, "--tenant", tenant}, flags...)
		if len(flags) == 0 || flags[0] != "--scope" {
			args = append(args, "--scope", "scim", "--scope", "admin")
		}
		fields := strings.Fields(mustRun(t, command(p.database, args...)))
		for _, f := range fields {
			if strings.HasPrefix(f, "muster_") {
				return f
			}
		}
		t.Fatalf("%s has no secret: %q", name, fields)
		return ""
	}
	revoked, expired := secret("revoked", "bearer", "default"), secret("expired", "bearer", "default")
	mustRun(t, command(p.database, "credential", "revoke", "revoked"))
	execute(t, p.database, "UPDATE credentials SET expires_at = 1 WHERE name = 'expired'")
	elsewhere := secret("elsewhere", "bearer", "default", "--network", "192.0.2.0/24")
	suspended := secret("suspended", "bearer", "acme")
	mustRun(t, command(p.database, "tenant", "suspend", "acme"))
	basic, direct, bearer := secret("basic", "basic", "default"), secret("direct", "direct", "default"), secret("all", "bearer", "default")
	encoded := func(text string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, good := range []string{"Bearer " + bearer, encoded("basic:" + basic), direct} {
		p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", good)
	}
	all = []stranger{
		{"no credential", "", "", 401},
		{"unknown", "Bearer unknown", "", 401},
		{"revoked", "Bearer " + revoked, "", 401},
		{"expired", "Bearer " + expired, "", 401},
		{"a wrong tenant", "Bearer " + bearer, "acme", 403},
		{"a wrong network", "Bearer " + elsewhere, "", 403},
		{"a suspended tenant", "Bearer " + suspended, "", 403},
		{"a password as bearer token", "Bearer " + basic, "", 401},
		{"a wrong login", encoded("other:" + basic), "", 401},
		{"a token as password", encoded("all:" + bearer), "", 401},
		{"a direct secret as password", encoded("direct:" + direct), "", 401},
	}
	client = stranger{"the scope scim", "Bearer " + secret("client", "bearer", "default", "--scope", "scim"), "", 403}
	administrator = stranger{"the scope admin", "Bearer " + secret("administrator", "bearer", "default", "--scope", "admin"), "", 403}
	return all, client, administrator
}

// ofResources tells whether a method is for clients; the others are for administrators.
func ofResources(method string) bool {
	return regexp.MustCompile(`\b(Provisioning|Resource|Discovery|Change|Directory|Event)Service\b`).MatchString(method)
}

// isPublic tells whether a method is for anybody.
func isPublic(method string) bool { return strings.HasSuffix(method, "EventService.ListSigningKeys") }

// Who is nobody gets nothing, on any method of the contract and any route.
func TestStrangers_AreRefusedEverywhere(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		all, client, administrator := p.strangers(t)
		more, clients, administrators := p.strangersOfOtherKinds(t)
		all, clients, administrators = append(all, more...), append(clients, client), append(administrators, administrator)
		of := func(method string) []stranger {
			if ofResources(method) {
				return append(slices.Clip(all), administrators...)
			}
			return append(slices.Clip(all), clients...)
		}
		conn, calls := p.dial(t), 0
		eachMethod(func(method protoreflect.MethodDescriptor) {
			if isPublic(string(method.FullName())) {
				return
			}
			for _, s := range of(string(method.Parent().Name())) {
				calls++
				p.refusesCall(t, conn, method, s)
			}
		})
		if calls < 1000 {
			t.Errorf("only %d calls: this test looks in the wrong place", calls)
		}
		for _, r := range routes(t) {
			if isPublic(r.selector) {
				continue
			}
			for _, s := range of(r.selector) {
				p.refusesRequest(t, r, s)
			}
		}
	})
}

// eachMethod visits all methods of the contract.
func eachMethod(visit func(protoreflect.MethodDescriptor)) {
	protoregistry.GlobalFiles.RangeFilesByPackage("muster.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				visit(methods.Get(j))
			}
		}
		return true
	})
}

func (p *program) refusesCall(t *testing.T, conn *grpc.ClientConn, method protoreflect.MethodDescriptor, s stranger) {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", s.authorization)
	if s.tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "muster-base-tenant", s.tenant)
	}
	name := "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, name)
	if err == nil {
		_ = stream.SendMsg(&emptypb.Empty{})
		_ = stream.CloseSend()
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	want := codes.Unauthenticated
	if s.status == 403 {
		want = codes.PermissionDenied
	}
	if status.Code(err) != want {
		t.Errorf("%s, %s: %v, want %v", name, s.name, err, want)
	}
}

// A route is one line of the HTTP rules: its template, and a path that matches it.
type route struct{ selector, method, template, path string }

func routes(t *testing.T) (all []route) {
	t.Helper()
	data, err := os.ReadFile("../gateway/http.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		HTTP struct {
			Rules []map[string]any `yaml:"rules"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	variable := regexp.MustCompile(`\{[^}]*\}`)
	for _, rule := range file.HTTP.Rules {
		bindings := []map[string]any{rule}
		if more, ok := rule["additional_bindings"].([]any); ok {
			for _, b := range more {
				bindings = append(bindings, b.(map[string]any))
			}
		}
		for _, b := range bindings {
			for _, method := range []string{"get", "post", "put", "patch", "delete"} {
				if path, ok := b[method].(string); ok {
					all = append(all, route{rule["selector"].(string), strings.ToUpper(method), path, variable.ReplaceAllString(path, "Things")})
				}
			}
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d routes", len(all))
	}
	return all
}

func (p *program) refusesRequest(t *testing.T, r route, s stranger) {
	t.Helper()
	scim := strings.HasPrefix(r.path, "/scim/")
	origin, body, mediaType := strings.TrimSuffix(p.base, "/scim/v2"), "", "application/json"
	if s.tenant != "" {
		if !scim {
			return // only the base of SCIM can name a tenant
		}
		origin += "/t/" + s.tenant
	}
	if r.method == http.MethodPost || r.method == http.MethodPut || r.method == http.MethodPatch {
		body = "{}"
	}
	if scim {
		mediaType = "application/scim+json"
		if body != "" {
			body = `{"Operations":[{"op":"add","value":{},"method":"POST","path":"/Users","bulkId":"1","data":{}}]}`
		}
	}
	got := p.rest(t, r.method, origin+r.path, body, "Authorization", s.authorization)
	if got.status != s.status || got.header.Get("Content-Type") != mediaType {
		t.Errorf("%s %s, %s: status %d, want %d: %s", r.method, r.path, s.name, got.status, s.status, got.body)
		return
	}
	if scim && got.json(t)["status"] != strconv.Itoa(s.status) {
		t.Errorf("%s %s, %s: the body is %s", r.method, r.path, s.name, got.body)
	}
	challenge := got.header.Get("WWW-Authenticate")
	if want := s.status == 401 || strings.HasPrefix(s.name, "the scope"); (challenge != "") != want {
		t.Errorf("%s %s, %s: the challenge is %q", r.method, r.path, s.name, challenge)
	}
}
