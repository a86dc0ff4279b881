package test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// sizes are limits that an operator sets.
var sizes = []string{
	"--max-body", "65536", "--max-bulk-operations", "3", "--max-patch-operations", "2", "--max-page-size", "4",
	"--max-filter-length", "100", "--max-filter-depth", "2", "--max-filter-comparisons", "3",
}

// What an operator sets is enforced, through both doors, and advertised.
func TestLimits_OfRequestsAreSettings(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, sizes...)
		for i := range 6 {
			p.must(t, 201, "POST", "/Users", fmt.Sprintf(`{"userName":"u%d"}`, i))
		}
		checkAdvertised(t, p)
		id := p.must(t, 200, "GET", `/Users?filter=userName+eq+"u1"`, "")["Resources"].([]any)[0].(map[string]any)["id"].(string)
		long := `"` + strings.Repeat("x", 100) + `"`
		operation := `{"op":"replace","path":"title","value":"x"}`
		post := func(n int) string {
			return fmt.Sprintf(`{"method":"POST","path":"/Users","bulkId":"b%d","data":{"userName":"b%d"}}`, n, n)
		}
		for _, c := range []struct {
			method, path, body string
			status             int
			reason             string
		}{
			{"GET", `/Users?filter=title+eq+` + long, "", 400, "invalidFilter"},
			{"GET", `/Users?filter=(((title+pr)))`, "", 400, "invalidFilter"},
			{"GET", `/Users?filter=title+pr+or+title+pr+or+title+pr+or+title+pr`, "", 400, "invalidFilter"},
			{"PATCH", "/Users/" + id, `{"Operations":[` + operation + `,` + operation + `]}`, 200, ""},
			{"PATCH", "/Users/" + id, `{"Operations":[` + operation + `,` + operation + `,` + operation + `]}`, 400, "tooMany"},
			{"POST", "/Bulk", `{"Operations":[` + post(1) + `,` + post(2) + `,` + post(3) + `]}`, 200, ""},
			{"POST", "/Bulk", `{"Operations":[` + post(4) + `,` + post(5) + `,` + post(6) + `,` + post(7) + `]}`, 413, ""},
			{"POST", "/Users", `{"userName":"` + strings.Repeat("x", 65536) + `"}`, 413, ""},
		} {
			r := p.rest(t, c.method, c.path, c.body)
			if r.status != c.status || !bytes.Contains(r.body, []byte(c.reason)) {
				t.Errorf("%s %.60s: %d %.200s, want %d %s", c.method, c.path, r.status, r.body, c.status, c.reason)
			}
		}
		for _, path := range []string{"/Users", "/Users?count=100", "/Users?count=100&cursor"} {
			if n := len(p.must(t, 200, "GET", path, "")["Resources"].([]any)); n != 4 {
				t.Errorf("%s: %d resources in a page", path, n)
			}
		}
		checkLimitsOverGRPC(t, p, id)
	})
}

// checkAdvertised holds what discovery says against the settings.
func checkAdvertised(t *testing.T, p *program) {
	t.Helper()
	c := p.must(t, 200, "GET", "/ServiceProviderConfig", "")
	for path, want := range map[string]float64{
		"bulk.maxOperations": 3, "bulk.maxPayloadSize": 65536, "filter.maxResults": 4, "pagination.defaultPageSize": 4, "pagination.maxPageSize": 4,
	} {
		part, name, _ := strings.Cut(path, ".")
		if got := c[part].(map[string]any)[name]; got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

func checkLimitsOverGRPC(t *testing.T, p *program, id string) {
	t.Helper()
	c := musterv1.NewProvisioningServiceClient(p.dial(t))
	ctx := authorized()
	deep, many := "(((title pr)))", int32(100)
	operation := &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REMOVE, Path: "title"}
	page, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{Count: &many})
	if err != nil || len(page.GetUsers()) != 4 {
		t.Errorf("a page has %d users, %v", len(page.GetUsers()), err)
	}
	for what, call := range map[string]func() error{
		"invalidFilter": func() error {
			_, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{Filter: deep})
			return err
		},
		"tooMany": func() error {
			_, err := c.PatchUser(ctx, &musterv1.PatchUserRequest{Id: id, Operations: []*musterv1.PatchOperation{operation, operation, operation}})
			return err
		},
		"payloadTooLarge": func() error {
			_, err := c.Bulk(ctx, &musterv1.BulkRequest{Operations: make([]*musterv1.BulkOperation, 4)})
			return err
		},
		"": func() error { // gRPC itself
			_, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: strings.Repeat("x", 2*65536)}})
			if status.Code(err) != codes.ResourceExhausted {
				t.Errorf("a message that is too large: %v", err)
			}
			return nil
		},
	} {
		if got := reasonOf(call()); got != what {
			t.Errorf("%q, want %s", got, what)
		}
	}
}

// Over both doors a caller beyond its rate, or who guesses credentials, is told when to
// come again.
func TestLimits_OfCallersAreSettings(t *testing.T) {
	p := start(t, sqliteURL(t), "--rate-limit", "0.1", "--rate-burst", "5", "--failed-logins", "4", "--failed-logins-window", "1h")
	for i := range 5 {
		if r := p.rest(t, "GET", "/Schemas", ""); r.status != 200 {
			t.Fatalf("request %d: %d", i, r.status)
		}
	}
	wait := func(r reply) int {
		seconds, _ := strconv.Atoi(r.header.Get("Retry-After"))
		return seconds
	}
	r := p.rest(t, "GET", "/Users", "")
	if r.status != http.StatusTooManyRequests || wait(r) < 1 || wait(r) > 10 || r.json(t)["status"] != "429" || r.header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("beyond the rate: %d, Retry-After %q: %s", r.status, r.header.Get("Retry-After"), r.body)
	}
	_, err := musterv1.NewDiscoveryServiceClient(p.dial(t)).ListSchemas(authorized(), &musterv1.ListSchemasRequest{})
	if status.Code(err) != codes.ResourceExhausted || reasonOf(err) != "rateLimited" {
		t.Errorf("beyond the rate: %v", err)
	}
	for i := range 6 {
		want := http.StatusUnauthorized
		if i >= 4 {
			want = http.StatusTooManyRequests
		}
		if r := p.rest(t, "GET", "/Users", "", "Authorization", fmt.Sprint("Bearer guess", i)); r.status != want || i >= 4 && (wait(r) < 800 || wait(r) > 900) {
			t.Errorf("guess %d: %d, Retry-After %q", i, r.status, r.header.Get("Retry-After"))
		}
	}
	_, err = musterv1.NewDiscoveryServiceClient(p.dial(t)).ListSchemas(bearing("guess"), &musterv1.ListSchemasRequest{})
	if reasonOf(err) != "rateLimited" {
		t.Errorf("guessing over the other door: %v", err)
	}
	if r := p.rest(t, "GET", "/Users", ""); r.status != http.StatusTooManyRequests || wait(r) > 10 {
		t.Errorf("who is known is told %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
	}
}

// What is set for one tenant has effect with its next request, and for no other.
func TestLimits_OfOneTenant(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--rate-limit", "1000", "--rate-burst", "2000")
		second := p.secondTenant(t, "second")
		admitted := func(token string) (n int) {
			for range 20 {
				if r := p.rest(t, "GET", "/ServiceProviderConfig", "", "Authorization", "Bearer "+token); r.status == 200 {
					n++
				}
			}
			return n
		}
		if n := admitted(second); n != 20 {
			t.Fatalf("%d of 20 are admitted at first", n)
		}
		p.setLimits(t, "second", &musterv1.TenantLimits{RequestsPerSecond: new(0.001), Burst: new(int32(7))})
		if n := admitted(second); n != 7 {
			t.Errorf("%d of 20 are admitted, want the 7 that are set", n)
		}
		if n := admitted(token); n != 20 {
			t.Errorf("%d of 20 are admitted of the other tenant", n)
		}
		p.setLimits(t, "second", &musterv1.TenantLimits{RequestsPerSecond: new(0.0)})
		if n := admitted(second); n != 20 {
			t.Errorf("%d of 20 are admitted without a limit", n)
		}
	})
}

// setLimits sets the limits of a tenant.
func (p *program) setLimits(t *testing.T, tenant string, limits *musterv1.TenantLimits) {
	t.Helper()
	_, err := musterv1.NewTenantServiceClient(p.dial(t)).UpdateTenant(p.operator(t), &musterv1.UpdateTenantRequest{Tenant: &musterv1.Tenant{Name: tenant, Limits: limits}})
	if err != nil {
		t.Fatal(err)
	}
}

// Settings that cannot be are refused at the start.
func TestLimits_BadSettings(t *testing.T) {
	for _, args := range [][]string{{"--rate-limit", "many"}, {"--max-filter-depth", "33"}, {"--max-body", "10"}, {"--failed-logins-window", "soon"}} {
		out, err := command(sqliteURL(t), append([]string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), strings.TrimPrefix(args[0], "--")) {
			t.Errorf("%v: %v, %s", args, err, out)
		}
	}
}

// reasonOf is the reason that an error of the core carries, or "".
func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}
