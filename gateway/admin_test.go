package gateway

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A request of administration becomes the call of its RPC, and the answer JSON.
func TestAdmin_Calls(t *testing.T) {
	called := make(map[string]bool)
	defer func() {
		rules, err := os.ReadFile("http.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range regexp.MustCompile(`selector: muster\.v1\.(\w+)\.(\w+), \w+: "?/admin/`).FindAllStringSubmatch(string(rules), -1) {
			if !called[rule[1]+"/"+rule[2]] {
				t.Errorf("http.yaml has a rule for %s, which this test does not call", rule[0])
			}
		}
	}()
	for _, test := range []struct {
		method, path, body string
		rpc, request       string // as protobuf JSON
		status             int
	}{
		{"GET", "/tenants", "", "TenantService/ListTenants", `{}`, 200},
		{"POST", "/tenants", `{"name":"acme","profile":"CLIENT_PROFILE_STRICT"}`, "TenantService/CreateTenant", `{"tenant":{"name":"acme","profile":"CLIENT_PROFILE_STRICT"}}`, 201},
		{"GET", "/tenants/a.b@c-d", "", "TenantService/GetTenant", `{"name":"a.b@c-d"}`, 200},
		{"HEAD", "/tenants/acme", "", "TenantService/GetTenant", `{"name":"acme"}`, 200},
		{"PATCH", "/tenants/acme", `{"limits":{"burst":5}}`, "TenantService/UpdateTenant", `{"tenant":{"name":"acme","limits":{"burst":5}},"updateMask":"limits.burst"}`, 200},
		{"PATCH", "/tenants/acme", `{"name":"other","deprovision":null}`, "TenantService/UpdateTenant", `{"tenant":{"name":"acme"},"updateMask":"deprovision,name"}`, 200},
		{"POST", "/tenants/acme:suspend", "", "TenantService/SuspendTenant", `{"name":"acme"}`, 200},
		{"POST", "/tenants/acme:resume", "{}", "TenantService/ResumeTenant", `{"name":"acme"}`, 200},
		{"DELETE", "/tenants/acme", "", "TenantService/DeleteTenant", `{"name":"acme"}`, 204},
		{"GET", "/tenants/acme/credentials", "", "CredentialService/ListCredentials", `{"tenant":"acme"}`, 200},
		{"POST", "/tenants/acme/credentials", `{"name":"c","scopes":["scim"]}`, "CredentialService/CreateCredential", `{"credential":{"tenant":"acme","name":"c","scopes":["scim"]}}`, 201},
		{"GET", "/tenants/acme/credentials/c", "", "CredentialService/GetCredential", `{"tenant":"acme","name":"c"}`, 200},
		{"PATCH", "/tenants/acme/credentials/c", `{"networks":["10.0.0.0/8"],"expireTime":null}`, "CredentialService/UpdateCredential",
			`{"credential":{"tenant":"acme","name":"c","networks":["10.0.0.0/8"]},"updateMask":"expireTime,networks"}`, 200},
		{"POST", "/tenants/acme/credentials/c:rotate", `{"overlap":"60s"}`, "CredentialService/RotateCredential", `{"tenant":"acme","name":"c","overlap":"60s"}`, 200},
		{"POST", "/tenants/acme/credentials/c:rotate", "", "CredentialService/RotateCredential", `{"tenant":"acme","name":"c"}`, 200},
		{"DELETE", "/tenants/acme/credentials/c", "", "CredentialService/RevokeCredential", `{"tenant":"acme","name":"c"}`, 204},
		{"GET", "/tenants/acme/registrations", "", "RegistryService/ListRegistrations", `{"tenant":"acme"}`, 200},
		{"POST", "/tenants/acme/registrations", `{"schemas":[{"id":"urn:x"}]}`, "RegistryService/Register", `{"tenant":"acme","schemas":[{"id":"urn:x"}]}`, 200},
		{"POST", "/tenants/acme/registrations:remove", `{"schemas":["urn:x"]}`, "RegistryService/Unregister", `{"tenant":"acme","schemas":["urn:x"]}`, 200},
		{"GET", "/tenants/acme/recordings", "", "RecordingService/ListRecordings", `{"tenant":"acme"}`, 200},
		{"POST", "/tenants/acme/recordings", `{"credential":"c","duration":"60s","redacted":["userName"]}`, "RecordingService/StartRecording", `{"tenant":"acme","credential":"c","duration":"60s","redacted":["userName"]}`, 200},
		{"POST", "/tenants/acme/recordings/7:stop", "", "RecordingService/StopRecording", `{"tenant":"acme","id":"7"}`, 200},
		{"GET", "/tenants/acme/recordings/7?pageToken=x", "", "RecordingService/ExportRecording", `{"tenant":"acme","id":"7","pageToken":"x"}`, 200},
		{"DELETE", "/tenants/acme/recordings/7", "", "RecordingService/DeleteRecording", `{"tenant":"acme","id":"7"}`, 204},
		{"GET", "/tenants/acme/audit-events?credential=c&failures=true", "", "AuditService/ListAuditEvents", `{"tenant":"acme","credential":"c","failures":true}`, 200},
		{"GET", "/tenants/acme/exchanges?filter.errors=true&filter.kinds=KIND_USERS&filter.kinds=KIND_GROUPS&filter.unknownTenant=true&pageSize=5", "", "ActivityService/ListExchanges",
			`{"tenant":"acme","filter":{"errors":true,"kinds":["KIND_USERS","KIND_GROUPS"],"unknownTenant":true},"pageSize":5}`, 200},
		{"GET", "/tenants/-/exchanges/7", "", "ActivityService/GetExchange", `{"tenant":"-","id":"7"}`, 200},
		{"GET", "/tenants/acme/traffic?step=300s&door=DOOR_REST&total=true", "", "ActivityService/GetTraffic", `{"tenant":"acme","step":"300s","door":"DOOR_REST","total":true}`, 200},
		{"GET", "/tenants/acme/watchers", "", "ActivityService/ListWatchers", `{"tenant":"acme"}`, 200},
		{"GET", "/tenants/acme/stale-groups?days=90", "", "ActivityService/ListStaleGroups", `{"tenant":"acme","days":90}`, 200},
		{"POST", "/tenants/acme/stale-groups:delete", `{"days":90,"dryRun":true}`, "ActivityService/DeleteStaleGroups", `{"tenant":"acme","days":90,"dryRun":true}`, 200},
		{"GET", "/tenants/acme/attribute-use/User", "", "ActivityService/ListAttributeUse", `{"tenant":"acme","resourceType":"User"}`, 200},
		{"POST", "/tenants/acme/audit-events:verify", "", "AuditService/VerifyAuditLog", `{"tenant":"acme"}`, 200},
		{"GET", "/tenants/acme/subscriptions", "", "SubscriptionService/ListSubscriptions", `{"tenant":"acme"}`, 200},
		{"POST", "/tenants/acme/subscriptions", `{"name":"s","poll":{}}`, "SubscriptionService/CreateSubscription", `{"subscription":{"tenant":"acme","name":"s","poll":{}}}`, 201},
		{"POST", "/tenants/acme/subscriptions?afterPosition=7", `{"name":"s"}`, "SubscriptionService/CreateSubscription", `{"subscription":{"tenant":"acme","name":"s"},"afterPosition":"7"}`, 201},
		{"GET", "/tenants/acme/subscriptions/s", "", "SubscriptionService/GetSubscription", `{"tenant":"acme","subscription":"s"}`, 200},
		{"PATCH", "/tenants/acme/subscriptions/s", `{"paused":true,"push":{"endpoint":"https://a"}}`, "SubscriptionService/UpdateSubscription",
			`{"subscription":{"tenant":"acme","name":"s","paused":true,"push":{"endpoint":"https://a"}},"updateMask":"paused,push.endpoint"}`, 200},
		{"DELETE", "/tenants/acme/subscriptions/s", "", "SubscriptionService/DeleteSubscription", `{"tenant":"acme","subscription":"s"}`, 204},
		{"POST", "/tenants/acme/subscriptions/s:replay", `{"afterPosition":"0"}`, "SubscriptionService/ReplaySubscription", `{"tenant":"acme","subscription":"s","afterPosition":"0"}`, 200},
		{"GET", "/tenants/acme/subscriptions/s/dead-letters?pageSize=5", "", "SubscriptionService/ListDeadLetters", `{"tenant":"acme","subscription":"s","pageSize":5}`, 200},
		{"POST", "/tenants/acme/subscriptions/s/dead-letters:retry", `{"ids":["4"]}`, "SubscriptionService/RetryDeadLetters", `{"tenant":"acme","subscription":"s","ids":["4"]}`, 200},
		{"POST", "/tenants/acme/subscriptions/s/dead-letters:discard", "", "SubscriptionService/DiscardDeadLetters", `{"tenant":"acme","subscription":"s"}`, 200},
		{"POST", "/signing-keys:rotate", `{"removeOld":true}`, "SubscriptionService/RotateSigningKey", `{"removeOld":true}`, 200},
	} {
		c := &canned{}
		called[test.rpc] = true
		res := ask(t, newFace(t, c, Options{}), test.method, adminPath+test.path, test.body, "Authorization", "Bearer t", "User-Agent", "curl")
		if res.StatusCode != test.status || c.method != "/muster.v1."+test.rpc {
			t.Errorf("%s %s: status %d, %s", test.method, test.path, res.StatusCode, c.method)
			continue
		}
		want := c.request.ProtoReflect().New().Interface()
		if err := protojson.Unmarshal([]byte(test.request), want); err != nil || !proto.Equal(c.request, want) {
			t.Errorf("%s %s: asked %v, want %v, %v", test.method, test.path, c.request, want, err)
		}
		if got := c.sent.Get("authorization"); len(got) == 0 || got[0] != "Bearer t" || c.sent.Get("muster-agent")[0] != "curl" || len(c.sent.Get("x-request-id")) != 1 {
			t.Errorf("%s %s: sent %v", test.method, test.path, c.sent)
		}
		if test.status != 204 && res.Header.Get("Content-Type") != "application/json" || res.Header.Get("Cache-Control") != "no-store" || len(res.Header[requestIDHeader]) != 1 {
			t.Errorf("%s %s: %v", test.method, test.path, res.Header)
		}
	}
}

func TestAdmin_Answer(t *testing.T) {
	c := &canned{answer: &musterv1.ListTenantsResponse{}}
	body := func() string {
		data, _ := io.ReadAll(ask(t, newFace(t, c, Options{}), "GET", "/admin/v1/tenants", "").Body)
		return strings.ReplaceAll(string(data), " ", "")
	}
	if got := body(); got != `{"tenants":[]}` {
		t.Errorf("an empty list is %s", got)
	}
	c.answer = &musterv1.ListTenantsResponse{Tenants: []*musterv1.Tenant{{Name: "a", Profile: musterv1.ClientProfile_CLIENT_PROFILE_STRICT}}}
	if got := body(); !strings.Contains(got, `"name":"a"`) || !strings.Contains(got, `"profile":"CLIENT_PROFILE_STRICT"`) {
		t.Errorf("a list is %s", got)
	}
}

// What goes wrong is told as google.rpc.Status, whoever finds it.
func TestAdmin_Errors(t *testing.T) {
	conflict, _ := status.New(codes.FailedPrecondition, "suspend it first").WithDetails(&errdetails.ErrorInfo{Reason: "conflict", Domain: "muster"})
	for name, test := range map[string]struct {
		method, path, body string
		headers            []string
		err                error
		status, code       int
		reason, header     string
	}{
		"conflict":          {method: "DELETE", path: "/tenants/a", err: conflict.Err(), status: 409, code: 9, reason: "conflict"},
		"unauthenticated":   {method: "GET", path: "/tenants", err: status.Error(codes.Unauthenticated, "no"), status: 401, code: 16, reason: "unauthenticated", header: "Www-Authenticate"},
		"internal":          {method: "GET", path: "/tenants", err: status.Error(codes.Internal, "a secret"), status: 500, code: 13},
		"unavailable":       {method: "GET", path: "/tenants", err: status.Error(codes.Unavailable, "later"), status: 503, code: 14, header: "Retry-After"},
		"no place":          {method: "GET", path: "/nothing", status: 404, code: 5, reason: "notFound"},
		"root":              {method: "GET", path: "", status: 404, code: 5, reason: "notFound"},
		"slash at the end":  {method: "GET", path: "/tenants/", status: 404, code: 5, reason: "notFound"},
		"escaped slash":     {method: "GET", path: "/tenants/a%2Fcredentials", status: 404, code: 5, reason: "notFound"},
		"method":            {method: "PUT", path: "/tenants/a", body: "{}", status: 405, code: 12, header: "Allow"},
		"method of a verb":  {method: "GET", path: "/tenants/a:suspend", status: 200}, // a name that no tenant has
		"not JSON":          {method: "POST", path: "/tenants", body: "{", status: 400, code: 3, reason: "invalidValue"},
		"unknown field":     {method: "POST", path: "/tenants", body: `{"colour":"red"}`, status: 400, code: 3, reason: "invalidValue"},
		"unknown enum":      {method: "POST", path: "/tenants", body: `{"profile":"LENIENT"}`, status: 400, code: 3, reason: "invalidValue"},
		"unknown in patch":  {method: "PATCH", path: "/tenants/a", body: `{"colour":"red"}`, status: 400, code: 3, reason: "invalidValue"},
		"unknown parameter": {method: "GET", path: "/tenants/a/audit-events?credentail=c", status: 400, code: 3, reason: "invalidValue"},
		"bad parameter":     {method: "GET", path: "/tenants/a/audit-events?failures=perhaps", status: 400, code: 3, reason: "invalidValue"},
		"bad query":         {method: "GET", path: "/tenants?a=%zz", status: 400, code: 3, reason: "invalidValue"},
		"media type":        {method: "POST", path: "/tenants", body: "a", headers: []string{"Content-Type", "text/plain"}, status: 415, code: 3},
		"too large":         {method: "POST", path: "/tenants", body: strings.Repeat(" ", 3<<20), status: 413, code: 8, reason: "payloadTooLarge"},
	} {
		c := &canned{err: test.err}
		res := ask(t, newFace(t, c, Options{}), test.method, adminPath+test.path, test.body, test.headers...)
		if res.StatusCode != test.status {
			t.Errorf("%s: status %d, want %d", name, res.StatusCode, test.status)
		}
		if test.status == 200 {
			continue
		}
		var said struct {
			Code    int                 `json:"code"`
			Message string              `json:"message"`
			Details []map[string]string `json:"details"`
		}
		if err := json.NewDecoder(res.Body).Decode(&said); err != nil || said.Code != test.code || said.Message == "" || strings.Contains(said.Message, "secret") || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %+v, %v, %v", name, said, err, res.Header)
		}
		if test.reason != "" && (len(said.Details) != 1 || said.Details[0]["reason"] != test.reason || said.Details[0]["domain"] != "muster") {
			t.Errorf("%s: details %v", name, said.Details)
		}
		if test.header != "" && res.Header.Get(test.header) == "" {
			t.Errorf("%s: no %s", name, test.header)
		}
		if test.err == nil && c.calls != 0 {
			t.Errorf("%s: it reached the core", name)
		}
	}
}

func TestAdmin_Allow(t *testing.T) {
	h := newFace(t, &canned{}, Options{})
	for path, want := range map[string]string{
		"/tenants": "GET, POST, HEAD", "/tenants/a": "GET, PATCH, DELETE, HEAD", "/tenants/a/credentials/b": "GET, PATCH, DELETE, HEAD", "/tenants/a/registrations": "GET, POST, HEAD",
	} {
		if res := ask(t, h, http.MethodPut, adminPath+path, "{}"); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != want {
			t.Errorf("%s: status %d, allow %q, want %q", path, res.StatusCode, res.Header.Get("Allow"), want)
		}
	}
}

// The two faces do not mix: what is below the one is not served by the other.
func TestAdmin_BesideSCIM(t *testing.T) {
	c := &canned{header: metadata.MD{}}
	h := newFace(t, c, Options{})
	for _, path := range []string{"/admin", "/admin/v2/tenants", "/adminv1/tenants", "/scim/v2/admin/v1/tenants", "/scim/v2/tenants/a/credentials", "/admin/v1x/tenants"} {
		if res := ask(t, h, "GET", path, ""); res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/scim+json" {
			t.Errorf("%s: status %d, %v", path, res.StatusCode, res.Header)
		}
	}
	if res := ask(t, h, "GET", "/admin/v1/Users", ""); res.StatusCode != http.StatusNotFound || res.Header.Get("Content-Type") != "application/json" || c.calls != 0 {
		t.Errorf("status %d, %v, %d calls", res.StatusCode, res.Header, c.calls)
	}
}
