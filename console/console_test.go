package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// noRedirects gives back redirects as they are.
var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

// get asks for a page; headers are pairs of name and value.
func (w *world) get(t testing.TB, path string, headers ...string) (answer *http.Response, body string) {
	t.Helper()
	return w.send(t, http.MethodGet, path, nil, headers...)
}

// post sends a form.
func (w *world) post(t testing.TB, path string, form url.Values, headers ...string) (answer *http.Response, body string) {
	t.Helper()
	return w.send(t, http.MethodPost, path, strings.NewReader(form.Encode()), append(headers, "Content-Type", "application/x-www-form-urlencoded")...)
}

func (w *world) send(t testing.TB, method, path string, body io.Reader, headers ...string) (answer *http.Response, text string) {
	t.Helper()
	r, err := http.NewRequest(method, w.URL+root+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err = noRedirects.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.Header.Get("Content-Type") == "text/event-stream" {
		return answer, "" // it does not end
	}
	all, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(all)
}

// named are what routes with a name can be asked for.
var named = map[string]string{"credentials/": "cyberark", "schemas/": badge, "tenants/": "initech", "settings/sign-in/": "company", "settings/webhooks/": "siem"}

// recording is the id of a recording, which is begun where there is none.
func (c *company) recording() string {
	all, err := c.recordings.ListRecordings(c.ctx, &musterv1.ListRecordingsRequest{})
	if err != nil {
		panic(err)
	}
	if len(all.GetRecordings()) > 0 {
		return all.GetRecordings()[0].GetId()
	}
	out, err := c.recordings.StartRecording(c.ctx, &musterv1.StartRecordingRequest{Credential: "portal"})
	if err != nil {
		panic(err)
	}
	return out.GetRecording().GetId()
}

// pathOf is a path that a route serves, of something that there is.
func (c *company) pathOf(rt route) (method, path string) {
	method, path = cutPattern(rt.pattern)
	id := c.ada.GetId()
	if strings.HasPrefix(path, "groups/") {
		id = c.staff.GetId()
	}
	if strings.HasPrefix(path, "activity/requests/") {
		id = c.request("GET", http.StatusUnauthorized)
	}
	if strings.HasPrefix(path, "activity/recordings/") {
		id = c.recording()
	}
	path = strings.ReplaceAll(path, "{$}", "")
	path = strings.ReplaceAll(path, "{id}", id)
	for prefix, name := range named {
		if strings.HasPrefix(path, prefix) {
			path = strings.ReplaceAll(path, "{name}", name)
		}
	}
	return method, regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, c.ada.GetId())
}

// Every answer has the headers that guard it, and no page has a script or style of its
// own, which its policy forbids.
func TestEveryRoute_IsGuarded(t *testing.T) {
	c := newCompany(t)
	own := regexp.MustCompile(`(?i)<script(>| [^s])|<style|\sstyle=|\son\w+=|javascript:|(src|href|action)="(https?:)?//`)
	for _, rt := range routes {
		method, path := c.pathOf(rt)
		if method != http.MethodGet {
			continue
		}
		answer, body := c.get(t, path)
		withProvider := slices.Contains([]string{"signin/start", "oidc/callback", "saml/metadata"}, path) // fails without one
		if answer.StatusCode >= 400 && !withProvider {
			t.Errorf("%s: %s\n%s", path, answer.Status, body)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": contentPolicy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := answer.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if found := own.FindString(body); found != "" {
			t.Errorf("%s has a script, a style or an address of its own: %q", path, found)
		}
	}
}

// What a role may not do is refused on every route, and nothing is done; who is not
// signed in comes back after it to where he was.
func TestEveryRoute_AsksTheRole(t *testing.T) {
	c := newCompany(t)
	for _, rt := range routes {
		method, path := c.pathOf(rt)
		for _, role := range []string{"viewer", "operator"} {
			c.signIn(role)
			c.session.secret = "of nobody" // where it were let through, the core would send it to the sign-in
			answer, body := c.send(t, method, path, nil)
			if !c.session.can(rt.needs) && (answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "Your role cannot do this")) {
				t.Errorf("%s as %s: %s", rt.pattern, role, answer.Status)
			}
			if c.session.can(rt.needs) && answer.StatusCode == http.StatusForbidden {
				t.Errorf("%s as %s is refused", rt.pattern, role)
			}
		}
		c.session = nil
		answer, _ := c.send(t, method, path, nil)
		want := signInPath(root + path)
		if method == http.MethodPost {
			want = signInPath(root)
		}
		if rt.needs != open && (answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != want) {
			t.Errorf("%s of nobody: %s to %s", rt.pattern, answer.Status, answer.Header.Get("Location"))
		}
	}
}

// A page of another site makes nobody's browser do anything.
func TestPost_FromAnotherSite(t *testing.T) {
	c := newCompany(t)
	for _, rt := range routes {
		method, path := c.pathOf(rt)
		if method != http.MethodPost || root+path == acsPath { // that is what SAML providers do, and it is signed
			continue
		}
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}} {
			answer, body := c.post(t, path, nil, header...)
			if answer.StatusCode != http.StatusForbidden || !strings.Contains(body, "another site") {
				t.Errorf("%s with %v: %s", path, header, answer.Status)
			}
		}
	}
	if u := c.read(t, c.ada.GetId()); !u.GetActive() {
		t.Error("it was done all the same")
	}
}

func TestAssets_AreKept(t *testing.T) {
	w := newWorld(t)
	_, page := w.get(t, "keys")
	addresses := regexp.MustCompile(`/console/(assets/[^"]+)`).FindAllStringSubmatch(page, -1)
	if len(addresses) < 3 {
		t.Fatalf("the page has %v", addresses)
	}
	for _, a := range addresses {
		answer, body := w.get(t, a[1])
		if answer.StatusCode != http.StatusOK || body == "" || !strings.Contains(answer.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %s, %v", a[1], answer.Status, answer.Header)
		}
		if answer, _ := w.get(t, a[1], "If-None-Match", answer.Header.Get("ETag")); answer.StatusCode != http.StatusNotModified {
			t.Errorf("%s again: %s", a[1], answer.Status)
		}
		old := regexp.MustCompile(`assets/\w+`).ReplaceAllString(a[1], "assets/0000")
		if answer, _ := w.get(t, old); answer.StatusCode != http.StatusOK || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s, of another version: %s, %s", old, answer.Status, answer.Header.Get("Cache-Control"))
		}
	}
	if answer, _ := w.get(t, "assets/0/..%2fdoc.go"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a file that is no asset: %s", answer.Status)
	}
}

func TestReturnPath(t *testing.T) {
	for sent, want := range map[string]string{
		"/console/users": "/console/users", "/console/users?q=a&sort=userName": "/console/users?q=a&sort=userName", "/console/": "/console/",
		"": "else", "users": "else", "/": "else", "/console": "else", "//evil.example/console/": "else", "https://evil.example/console/": "else",
		"/console//evil.example": "else", `/console/\evil.example`: "else", "/console/../x": "else", "/console/%2e%2e/x": "else", "/console/\r\nX: y": "else", "javascript:alert(1)": "else",
		"/console/" + strings.Repeat("a", 3000): "else",
	} {
		if got := returnPath(sent, "else"); got != want {
			t.Errorf("%q: %q", sent, got)
		}
	}
}

// Every kind of error of the core becomes a page that says what to do.
func TestFailureOf(t *testing.T) {
	for err, want := range map[error]int{
		status.Error(codes.NotFound, "x"): 404, status.Error(codes.PermissionDenied, "x"): 403, status.Error(codes.InvalidArgument, "x"): 400,
		status.Error(codes.AlreadyExists, "x"): 409, status.Error(codes.Aborted, "x"): 409, status.Error(codes.ResourceExhausted, "x"): 429,
		status.Error(codes.Unavailable, "x"): 503, status.Error(codes.Internal, "x"): 500, errors.New("x"): 500, errNoPage: 404, errMayNot: 403,
	} {
		f := failureOf(err)
		if f.Status != want || f.Title == "" || f.Text == "" || f.Advice == "" {
			t.Errorf("%v: %+v", err, f)
		}
		if want == 500 && strings.Contains(f.Text, "x") {
			t.Errorf("%v: it tells the cause: %+v", err, f)
		}
	}
}

// Whose session has ended goes to the sign-in; a script is told by the status.
func TestSessionEnded(t *testing.T) {
	w := newWorld(t)
	w.session.secret = "which is no longer good"
	answer, _ := w.get(t, "users?q=a")
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/console/signin?return=%2Fconsole%2Fusers%3Fq%3Da" {
		t.Errorf("a page: %s, %s", answer.Status, answer.Header.Get("Location"))
	}
	if answer, _ := w.get(t, "users?q=a", "Muster-Fragment", "results"); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a fragment: %s", answer.Status)
	}
}

// A stream sends events as they come, signs of life are no events, and it ends when the
// server does.
func TestStream(t *testing.T) {
	w := newWorld(t)
	events, ended := make(chan event), make(chan error, 1)
	w.console.handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.console.serve(rw, r, route{needs: look, handle: func(v *visit) error {
			return v.stream(func(ctx context.Context, send func(event) error) error {
				for {
					select {
					case e := <-events:
						if err := send(e); err != nil {
							return err
						}
					case <-ctx.Done():
						ended <- ctx.Err()
						return ctx.Err()
					}
				}
			})
		}})
	})
	answer, err := http.Get(w.URL + root)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	read := func(want string) {
		t.Helper()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
	read("retry: 2000\n\n")
	events <- event{ID: "7", HTML: "<p>\none\n</p>"}
	read("id: 7\ndata: <p>\ndata: one\ndata: </p>\n\n")
	events <- event{Name: "count", HTML: "2"}
	read("event: count\ndata: 2\n\n")
	w.console.EndStreams()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on")
	}
	if _, err := answer.Body.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the answer goes on: %v", err)
	}
}

func TestWords(t *testing.T) {
	for n, want := range map[any]string{0: "0", 12: "12", 123: "123", 1234: "1,234", int32(100000): "100,000", int64(-1234567): "-1,234,567"} {
		if got := number(n); got != want {
			t.Errorf("%v: %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		10 * time.Second: "just now", time.Minute: "1 min ago", 89 * time.Minute: "89 min ago", 3 * time.Hour: "3 h ago",
		47 * time.Hour: "2 days ago", -10 * time.Minute: "in 10 min", 100 * 24 * time.Hour: "3 months ago", 3000 * 24 * time.Hour: "8 years ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
	for name, want := range map[string]string{"givenName": "Given name", "x509Certificates": "X509 certificates", "externalId": "External id", "profileUrl": "Profile url", "ims": "Ims", "userURL": "User URL"} {
		if got := label(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// What somebody typed is a text in a filter, whatever is in it.
func TestBeginnings_AreFilters(t *testing.T) {
	for _, typed := range []string{"a", `"`, `a" or userName pr or userName eq "`, "ada love", "Lovelace, Ada", "\\", "ä\u0000", strings.Repeat("ä", maxQuery), "  ", "\xff\x00"} {
		typed = plainText(typed)
		for _, f := range append(beginnings(typed), contains(typed+"a", "userName", "displayName"), both(beginnings(typed)[0], "active eq true")) {
			parsed, err := scim.User.ParseFilter(f)
			if err != nil {
				t.Errorf("%q: %s: %v", typed, f, err)
			}
			if _, or := parsed.(scim.Or); or && !strings.Contains(f, " co ") {
				t.Errorf("%q has got out of its quotes: %s", typed, f)
			}
		}
	}
}
