package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

func TestFace_Body(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	for _, media := range []string{"", "application/scim+json", "application/json", "application/json; charset=utf-8", "Application/SCIM+JSON;charset=UTF-8", "application/json;"} {
		var headers []string
		if media != "" {
			headers = []string{"Content-Type", media}
		}
		c.request = nil
		ask(t, h, http.MethodPost, "/scim/v2/Users", `{"userName":"ada"}`, headers...)
		if want := (&musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}}); !proto.Equal(c.request, want) {
			t.Errorf("%q: asks for %v, want %v", media, c.request, want)
		}
	}
	for _, media := range []string{"text/plain", "application/xml", "application/x-www-form-urlencoded", "application/", "json"} {
		checkProblem(t, ask(t, h, http.MethodPost, "/scim/v2/Users", `{}`, "Content-Type", media), 415, "")
	}
	checkProblem(t, ask(t, h, http.MethodPost, "/scim/v2/Users", `{}`, "Content-Encoding", "gzip"), 415, "")
	for _, method := range []string{"POST /scim/v2/Users", "PUT /scim/v2/Users/u", "PATCH /scim/v2/Groups/g"} {
		verb, path, _ := strings.Cut(method, " ")
		checkProblem(t, ask(t, h, verb, path, ""), 400, "invalidSyntax")
		checkProblem(t, ask(t, h, verb, path, "{"), 400, "invalidSyntax")
		checkProblem(t, ask(t, h, verb, path, `[]`), 400, "invalidSyntax")
	}
	checkProblem(t, ask(t, h, http.MethodPost, "/scim/v2/Users", `{"userName":7}`), 400, "invalidValue")
	ask(t, h, http.MethodPatch, "/scim/v2/Groups/g", `{"Operations":[{"op":"Add","path":"displayName","value":"x"}]}`)
	ops := c.request.(*musterv1.PatchGroupRequest).GetOperations()
	if len(ops) != 1 || ops[0].GetOp() != musterv1.PatchOperation_OP_ADD || ops[0].GetValue().GetStringValue() != "x" {
		t.Errorf("the operations are %v", ops)
	}
}

func TestFace_BodyTooLarge(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	fits := `{"userName":"` + strings.Repeat("a", scim.MaxBody-len(`{"userName":""}`)) + `"}`
	if ask(t, h, http.MethodPost, "/scim/v2/Users", fits); c.calls != 1 {
		t.Error("a body of the largest size did not pass")
	}
	checkProblem(t, ask(t, h, http.MethodPost, "/scim/v2/Users", fits+" "), 413, "")
	r := httptest.NewRequest(http.MethodPost, "/scim/v2/Users", io.MultiReader(strings.NewReader(fits), strings.NewReader("  ")))
	w := httptest.NewRecorder() // of unknown length
	h.ServeHTTP(w, r)
	checkProblem(t, w.Result(), 413, "")
}

func TestFace_Accept(t *testing.T) {
	h := newFace(t, &canned{answer: &musterv1.GetUserResponse{User: ada}}, Options{})
	for accept, want := range map[string]string{
		"":                                  scimJSON,
		"*/*":                               scimJSON,
		"text/html":                         scimJSON,
		"application/scim+json":             scimJSON,
		"application/json":                  plainJSON,
		"application/json; charset=utf-8":   plainJSON,
		"Application/JSON":                  plainJSON,
		"application/json, */*":             scimJSON,
		"application/scim+json, text/plain": scimJSON,
		"application/json, application/scim+json;q=0.9": scimJSON,
	} {
		var headers []string
		if accept != "" {
			headers = []string{"Accept", accept}
		}
		r := ask(t, h, http.MethodGet, "/scim/v2/Users/u1", "", headers...)
		if got := r.Header.Get("Content-Type"); got != want {
			t.Errorf("Accept %q: answers %q, want %q", accept, got, want)
		}
	}
}

// What goes to the core is a short list; a client cannot forge the rest.
func TestFace_Metadata(t *testing.T) {
	c := &canned{}
	h := newFace(t, c, Options{})
	r := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "Authorization", "Bearer t", "X-Request-Id", "abc-1", "Cookie", "c=1",
		"Grpc-Metadata-Muster-Tenant", "other", "Muster-Address", "10.0.0.1", "User-Agent", "a client", "Muster-Tenant", "other", "Grpc-Timeout", "nonsense", "Te", "trailers", "X-Http-Method-Override", "DELETE")
	if r.StatusCode != http.StatusOK || r.Header.Get("X-Request-ID") != "abc-1" || len(r.Trailer) > 0 {
		t.Errorf("got %d with %v", r.StatusCode, r.Header)
	}
	for key, values := range c.sent {
		switch key {
		case "authorization", "x-request-id", "x-forwarded-host", "x-forwarded-for", "muster-address", "muster-agent":
		default:
			t.Errorf("%s: %v went to the core", key, values)
		}
	}
	for key, want := range map[string]string{"authorization": "Bearer t", "muster-address": "192.0.2.1", "muster-agent": "a client"} {
		if got := c.sent.Get(key); !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %v", key, got)
		}
	}
	if got := c.sent.Get("x-request-id"); !slices.Equal(got, []string{"abc-1"}) {
		t.Errorf("x-request-id is %v", got)
	}
}

func TestFace_RequestID(t *testing.T) {
	h := newFace(t, &canned{}, Options{})
	for _, sent := range []string{"", "two words", "<script>", strings.Repeat("a", 129), "a\x00"} {
		a := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "X-Request-Id", sent).Header.Get("X-Request-ID")
		b := ask(t, h, http.MethodGet, "/scim/v2/Users", "", "X-Request-Id", sent).Header.Get("X-Request-ID")
		if a == sent || len(a) < 20 || a == b {
			t.Errorf("sent %q: answered %q and %q", sent, a, b)
		}
	}
}

func TestFace_Log(t *testing.T) {
	var out bytes.Buffer
	c := &canned{answer: &musterv1.CreateUserResponse{User: ada}, header: metadata.Pairs("muster-tenant", "acme", "muster-credential", "cyberark")}
	h := newFace(t, c, Options{Log: slog.New(slog.NewJSONHandler(&out, nil))})
	type line struct {
		Level      string   `json:"level"`
		Msg        string   `json:"msg"`
		Method     string   `json:"method"`
		Path       string   `json:"path"`
		Tenant     string   `json:"tenant"`
		Credential string   `json:"credential"`
		Status     int      `json:"status"`
		Duration   *float64 `json:"duration_ms"`
		RequestID  string   `json:"request_id"`
	}
	check := func(want line) {
		t.Helper()
		var got line
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
		if got.Duration == nil {
			t.Errorf("no duration in %s", out.String())
		}
		if got.Duration = nil; got != want {
			t.Errorf("the line is %+v, want %+v", got, want)
		}
		for _, secret := range []string{"t0ken", "hidden"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("the log tells %s: %s", secret, out.String())
			}
		}
		out.Reset()
	}
	headers := []string{"X-Request-Id", "r1", "Authorization", "Bearer t0ken"}
	ask(t, h, http.MethodPost, "/scim/v2/Users?attributes=hidden", `{"userName":"hidden"}`, headers...)
	check(line{"INFO", "request", "POST", "/scim/v2/Users", "acme", "cyberark", 201, nil, "r1"})
	c.err = status.Error(codes.Internal, "hidden")
	ask(t, h, http.MethodGet, "/scim/v2/Users/u1?filter=hidden", "", headers...)
	check(line{"ERROR", "request", "GET", "/scim/v2/Users/u1", "acme", "cyberark", 500, nil, "r1"})
	ask(t, h, http.MethodGet, "/nowhere", "", headers...)
	check(line{"INFO", "request", "GET", "/nowhere", "", "", 404, nil, "r1"})
	ask(t, h, http.MethodGet, "/scim/v2/Me", "", headers...)
	check(line{"INFO", "request", "GET", "/scim/v2/Me", "", "", 501, nil, "r1"})
}

func TestFace_ClientGone(t *testing.T) {
	var out bytes.Buffer
	c := &canned{err: status.Error(codes.Canceled, "context canceled")}
	h := newFace(t, c, Options{Log: slog.New(slog.NewTextHandler(&out, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/scim/v2/Users", nil).WithContext(ctx))
	if !strings.Contains(out.String(), "level=INFO") || !strings.Contains(out.String(), "status=499") {
		t.Errorf("the log says %s", out.String())
	}
}

func TestFace_Panic(t *testing.T) {
	var out bytes.Buffer
	h := newFace(t, &canned{answer: &musterv1.GetUserResponse{}}, Options{Log: slog.New(slog.NewJSONHandler(&out, nil))})
	// A core that answers without the resource breaks its promise.
	checkProblem(t, ask(t, h, http.MethodGet, "/scim/v2/Users/u1", ""), 500, "")
	if !strings.Contains(out.String(), `"msg":"panic"`) {
		t.Errorf("the log says nothing of it: %s", out.String())
	}
}
