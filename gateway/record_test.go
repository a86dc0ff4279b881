package gateway

import (
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
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
		r, ok := c.request.(*musterv1.RecordExchangeRequest)
		if !ok || c.calls != 2 {
			t.Errorf("%s %s: status %d, %d calls, the last with %v", test.method, test.target, res.StatusCode, c.calls, c.request)
			continue
		}
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
	c := &canned{}
	ask(t, newFace(t, c, Options{}), "GET", "/scim/v2/Users/1", "", "Authorization", "Bearer x")
	if c.calls != 1 {
		t.Errorf("what is not recorded makes %d calls", c.calls)
	}
	c = &canned{header: metadata.Pairs("muster-recording", "7")}
	ask(t, newFace(t, c, Options{}), "GET", "/scim/v2/Users/1", "", "Muster-Recording", "8")
	if r, ok := c.request.(*musterv1.RecordExchangeRequest); !ok || r.GetRecording() != "7" {
		t.Errorf("a client decides where it is recorded: %v", c.request)
	}
}
