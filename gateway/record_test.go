package gateway

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// What the core wants to have recorded it gets whole, but for what proves who is
// calling; and nothing else is handed over.
func TestRecord(t *testing.T) {
	for _, test := range []struct{ method, target, body, path, sent, answered string }{
		{"POST", "/scim/v2/Users?attributes=id", `{"userName":"ada"}`, "/Users?attributes=id", `{"userName":"ada"}`, "{"},
		{"GET", "/scim//v2/Users/a%20b", "", "/Users/a%20b", "", "{"},
		{"GET", "/t/acme/scim/v2//Users/1/", "", "//Users/1/", "", "{"},
		{"HEAD", "/scim/v2/Users/1", "", "/Users/1", "", ""},
		{"PUT", "/scim/v2/Users/1", `{"userName":"ada"}` + strings.Repeat(" ", maxKept), "/Users/1", "", "{"},
	} {
		c := &canned{header: metadata.Pairs("muster-recording", "7", "muster-tenant", "acme")}
		res := ask(t, newFace(t, c, Options{BaseURL: "https://b.test/scim/v2"}), test.method, test.target, test.body, "Authorization", "Bearer secret-of-the-client", "Cookie", "secret=of-the-client", "If-Match", `W/"1"`)
		r := c.exchange
		e := r.GetExchange()
		base := "https://b.test/scim/v2"
		if strings.HasPrefix(test.target, "/t/acme") {
			base = "https://b.test/t/acme/scim/v2"
		}
		if r.GetRecording() != "7" || r.GetBase() != base || e.GetMethod() != test.method || e.GetPath() != test.path || e.GetRequestBody() != test.sent ||
			int(e.GetStatus()) != res.StatusCode || !strings.HasPrefix(e.GetAnswerBody(), test.answered) || (e.GetAnswerBody() == "") != (test.answered == "") ||
			e.GetRequestCut() != (len(test.body) > maxKept) || e.GetRequestHeader()["If-Match"] != `W/"1"` || strings.Contains(r.String(), "of-the-client") {
			t.Errorf("%s %s: recorded is %v", test.method, test.target, r)
		}
	}
	c := &canned{header: metadata.Pairs("muster-recording", "7")}
	ask(t, newFace(t, c, Options{}), "GET", "/scim/v2/Users/1", "", "Muster-Recording", "8")
	if c.exchange.GetRecording() != "7" {
		t.Errorf("a client decides where it is recorded: %v", c.exchange)
	}
}

// Each exchange is handed back with what the core has told of it and who asked. Its
// bodies are so only if it failed or the core wants them, and never those of
// administration.
func TestRecord_HandsBackEach(t *testing.T) {
	notFound := status.Error(codes.NotFound, "there is no User")
	for _, test := range []struct {
		method, target string
		sampled        bool
		err            error
		bodies         bool
		reason, detail string
	}{
		{"PUT", "/scim/v2/Users/1", false, nil, false, "", ""},
		{"PUT", "/scim/v2/Users/1", true, nil, true, "", ""},
		{"PUT", "/scim/v2/Users/1", false, notFound, true, "notFound", "there is no User"},
		{"PUT", "/Users/1", false, nil, true, "notFound", "there is nothing at this path"},
		{"DELETE", "/scim/v2/Users", false, nil, true, "", "not allowed"},
		{"PATCH", "/admin/v1/tenants/acme", true, nil, false, "", ""},
		{"PATCH", "/admin/v1/tenants/acme", true, notFound, false, "notFound", "there is no User"},
	} {
		c := &canned{header: metadata.Pairs("muster-call", "of the core"), err: test.err}
		if test.sampled {
			c.header.Set("muster-sampled", "1")
		}
		body := `{"userName":"of-the-body"}`
		if strings.HasPrefix(test.target, "/admin") {
			body = `{"name":"of-the-body"}`
		}
		res := ask(t, newFace(t, c, Options{}), test.method, test.target, body, "Authorization", "Bearer x", "User-Agent", "tester", "X-Request-Id", "id-1")
		r, e := c.exchange, c.exchange.GetExchange()
		if r.GetPath() != test.target || e.GetMethod() != test.method || int(e.GetStatus()) != res.StatusCode || r.GetReason() != test.reason || !strings.Contains(r.GetDetail(), test.detail) ||
			(r.GetCall() == "of the core") != (c.calls == 1) || (e.GetAnswerHeader() != nil) != test.bodies || (e.GetAnswerBody() != "") != test.bodies ||
			!test.bodies && strings.Contains(r.String(), "of-the-body") || test.sampled && test.bodies && !strings.Contains(e.GetRequestBody(), "of-the-body") {
			t.Errorf("%s %s: handed back is %v", test.method, test.target, r)
		}
		for key, want := range map[string]string{"authorization": "Bearer x", "muster-agent": "tester", "x-request-id": "id-1", "muster-address": "192.0.2.1"} {
			if first(c.handed, key) != want {
				t.Errorf("%s is %q", key, first(c.handed, key))
			}
		}
	}
}
