package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/muster-scim/muster/scim"
)

// failure is an error as the core sends it: the reason beside the code.
func failure(t *testing.T, code codes.Code, domain, reason string) error {
	t.Helper()
	st, err := status.New(code, "what was wrong").WithDetails(&errdetails.ErrorInfo{Domain: domain, Reason: reason})
	if err != nil {
		t.Fatal(err)
	}
	return st.Err()
}

// The reason decides, whatever the code is; only RFC 7644's words are told.
func TestError_Reasons(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	want := map[string]int{
		"invalidSyntax": 400, "invalidFilter": 400, "invalidPath": 400, "invalidValue": 400, "invalidVers": 400,
		"invalidCursor": 400, "expiredCursor": 400, "invalidCount": 400,
		"tooMany": 400, "uniqueness": 409, "mutability": 400, "noTarget": 400, "sensitive": 403,
		"notFound": 404, "versionMismatch": 412, "conflict": 409, "payloadTooLarge": 413, "rateLimited": 429,
		"unauthenticated": 401, "forbidden": 403, "unavailable": 503, "internal": 500, "notImplemented": 501,
	}
	for reason := range scim.NotImplemented + 1 {
		word := reason.String()
		c.err = failure(t, codes.Unknown, "muster", word)
		scimType := ""
		if reason.IsSCIMType() {
			scimType = word
		}
		checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/Users/u1", ""), want[word], scimType)
	}
}

func TestError_CodeWithoutReason(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	for code, want := range map[codes.Code]struct {
		status   int
		scimType string
	}{
		codes.InvalidArgument:   {400, "invalidValue"},
		codes.AlreadyExists:     {409, "uniqueness"},
		codes.NotFound:          {404, ""},
		codes.Aborted:           {412, ""},
		codes.ResourceExhausted: {429, ""},
		codes.Unauthenticated:   {401, ""},
		codes.PermissionDenied:  {403, ""},
		codes.Unavailable:       {503, ""},
		codes.DeadlineExceeded:  {503, ""},
		codes.Unimplemented:     {501, ""},
		codes.Unknown:           {500, ""},
		codes.DataLoss:          {500, ""},
	} {
		c.err = status.Error(code, "what was wrong")
		checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/Users/u1", ""), want.status, want.scimType)
		// A reason that is not ours says nothing.
		c.err = failure(t, code, "elsewhere", "noTarget")
		checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/Users/u1", ""), want.status, want.scimType)
	}
}

func TestError_Detail(t *testing.T) {
	c := &canned{err: failure(t, codes.InvalidArgument, "muster", "invalidFilter")}
	h := newFace(t, c, Options{})
	want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidFilter","detail":"what was wrong"}`
	if got := read(t, ask(t, h, http.MethodGet, "/scim/v2/Users", "")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// What went wrong inside is no business of the client.
	for _, code := range []codes.Code{codes.Internal, codes.Unknown} {
		c.err = status.Error(code, "disk /var/lib is on fire")
		if got := read(t, ask(t, h, http.MethodGet, "/scim/v2/Users", "", "X-Request-Id", "r7")); strings.Contains(got, "fire") || !strings.Contains(got, "r7") {
			t.Errorf("got %s", got)
		}
	}
	if r := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "Accept", "application/json"); r.Header.Get("Content-Type") != plainJSON {
		t.Errorf("the content type is %s", r.Header.Get("Content-Type"))
	}
}

func TestError_Headers(t *testing.T) {
	c := &canned{err: status.Error(codes.Unauthenticated, "no")}
	h := newFace(t, c, Options{})
	const bearer, basic = `Bearer realm="muster"`, `Basic realm="muster", charset="UTF-8"`
	for authorization, want := range map[string]string{"": bearer, "Bearer x": bearer + `, error="invalid_token"`, "x": bearer + `, error="invalid_token"`, "basic x": bearer} {
		got := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "Authorization", authorization).Header.Values("WWW-Authenticate")
		if !slices.Equal(got, []string{want, basic}) {
			t.Errorf("%q: the challenges are %q", authorization, got)
		}
	}
	lacking, err := status.New(codes.PermissionDenied, "no").WithDetails(&errdetails.ErrorInfo{Domain: "muster", Reason: "forbidden", Metadata: map[string]string{"scope": "scim:User:read"}})
	if err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{bearer + `, error="insufficient_scope", scope="scim:User:read"`: lacking.Err(), "": failure(t, codes.PermissionDenied, "muster", "forbidden")} {
		c.err = err
		if got := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "Authorization", "Bearer x").Header.Get("WWW-Authenticate"); got != want {
			t.Errorf("the challenge is %s, want %s", got, want)
		}
	}
	c.err, c.header = failure(t, codes.ResourceExhausted, "muster", "rateLimited"), metadata.Pairs("retry-after", "17")
	if got := ask(t, h, http.MethodGet, "/scim/v2/Users", "").Header.Get("Retry-After"); got != "17" {
		t.Errorf("after 429, Retry-After is %q", got)
	}
	c.err, c.header = status.Error(codes.Unavailable, "stopping"), nil
	if got := ask(t, h, http.MethodGet, "/scim/v2/Users", "").Header.Get("Retry-After"); got == "" {
		t.Error("after 503, Retry-After is missing")
	}
	c.err = status.Error(codes.NotFound, "no such user")
	if got := ask(t, h, http.MethodGet, "/scim/v2/Users/u", "").Header.Get("Retry-After"); got != "" {
		t.Errorf("after 404, Retry-After is %q", got)
	}
}
