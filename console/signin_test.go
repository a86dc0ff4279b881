package console

import (
	"database/sql"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// link makes a login link.
func (w *signInWorld) link(t *testing.T, tenant string, role musterv1.OperatorRole) url.Values {
	t.Helper()
	made, err := w.operators().CreateLoginLink(t.Context(), &musterv1.CreateLoginLinkRequest{Tenant: tenant, Operator: "grace", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"secret": {made.GetSecret()}}
}

const asViewer = musterv1.OperatorRole_OPERATOR_ROLE_VIEWER

// A login link is spent by the form alone, and once; the session ends when its operator
// signs out, and with the next request when it is revoked.
func TestSignIn_ByLink(t *testing.T) {
	w := newSignInWorld(t)
	form := w.link(t, "", asViewer)
	for range 2 { // looking at it spends nothing
		if answer, body := w.do(t, http.MethodGet, root+"signin", nil); answer.StatusCode != http.StatusOK || !strings.Contains(body, `name="secret"`) {
			t.Fatalf("%s: %s", answer.Status, body)
		}
	}
	if answer, _ := w.do(t, http.MethodPost, root+"signin", form, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != http.StatusForbidden || w.isSignedIn(t) {
		t.Errorf("from another site: %s", answer.Status)
	}
	form.Set("return", "https://evil.example/")
	if answer, _ := w.do(t, http.MethodPost, root+"signin", form); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != root || !w.isSignedIn(t) {
		t.Fatalf("%s to %q", answer.Status, answer.Header.Get("Location"))
	}
	kept := w.jar
	w.jar, _ = cookiejar.New(nil)
	if answer, body := w.do(t, http.MethodPost, root+"signin", form); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) || !strings.Contains(body, "used before") {
		t.Errorf("again: %s", answer.Status)
	}
	w.jar = kept
	if answer, _ := w.do(t, http.MethodPost, root+"signout", url.Values{}); answer.Header.Get("Location") != root+"signin" || w.isSignedIn(t) {
		t.Errorf("signing out: %s", answer.Status)
	}

	if answer, _ := w.do(t, http.MethodPost, root+"signin", w.link(t, "", asViewer)); answer.StatusCode != http.StatusSeeOther || !w.isSignedIn(t) {
		t.Fatal(answer.Status)
	}
	all, err := w.operators().ListSessions(t.Context(), &musterv1.ListSessionsRequest{})
	if err != nil || len(all.GetSessions()) != 1 {
		t.Fatalf("the sessions are %v, %v", all, err)
	}
	if _, err := w.operators().RevokeSession(t.Context(), &musterv1.RevokeSessionRequest{Id: all.GetSessions()[0].GetId()}); err != nil {
		t.Fatal(err)
	}
	if w.isSignedIn(t) {
		t.Error("a revoked session goes on")
	}
}

// Over TLS no script, no plain request and no other host has the cookie; on plain HTTP no
// script.
func TestSignIn_Cookie(t *testing.T) {
	w := newSignInWorld(t)
	for base, name := range map[string]string{"http://127.0.0.1:8080": "muster_session", "https://scim.example.com": "__Host-muster_session"} {
		w.console.addressed = func(*http.Request) (string, netip.Addr) { return base + "/scim/v2", netip.Addr{} }
		answer, _ := w.do(t, http.MethodPost, root+"signin", w.link(t, "", asViewer))
		for _, c := range answer.Cookies() {
			if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != strings.HasPrefix(base, "https") {
				t.Errorf("%s: %v", base, c)
			}
			if c.MaxAge == 0 && c.Name != name {
				t.Errorf("%s: the cookie is %s", base, c.Name)
			}
		}
		if len(answer.Cookies()) == 0 {
			t.Errorf("%s: %s without a cookie", base, answer.Status)
		}
	}
}

// The secret in the cookie is replaced each quarter of an hour, by the next page. The one
// before it is good for some seconds more.
func TestSession_CookieRotates(t *testing.T) {
	w := newSignInWorld(t)
	db, err := sql.Open("sqlite", "file:"+w.database+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	ago := func(column string, by time.Duration) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), "UPDATE sessions SET "+column+" = ?", time.Now().Add(-by).UnixMilli()); err != nil {
			t.Fatal(err)
		}
	}
	address, _ := url.Parse(w.URL)
	secret := func() string { return w.jar.Cookies(address)[0].Value }
	with := func(value string) bool {
		kept := w.jar
		defer func() { w.jar = kept }()
		w.jar, _ = cookiejar.New(nil)
		w.jar.SetCookies(address, []*http.Cookie{{Name: sessionCookie, Value: value}})
		return w.isSignedIn(t)
	}
	w.do(t, http.MethodPost, root+"signin", w.link(t, "", asViewer))
	first := secret()
	ago("secret_at", rotateEvery-time.Minute)
	if !w.isSignedIn(t) || secret() != first {
		t.Error("it is replaced too early")
	}
	ago("secret_at", rotateEvery+time.Second)
	w.do(t, http.MethodPost, root+"theme", url.Values{"theme": {"dark"}}) // could be lost with its answer
	if secret() != first {
		t.Error("a form replaces it")
	}
	if !w.isSignedIn(t) || secret() == first {
		t.Fatal("it is not replaced")
	}
	second := secret()
	if !with(first) || !with(second) {
		t.Error("one of both is not good at once")
	}
	if w.isSignedIn(t); secret() != second {
		t.Error("it is replaced twice")
	}
	ago("previous_until", time.Second)
	if with(first) || !with(second) {
		t.Errorf("later, the one before is good: %v; the present one: %v", with(first), with(second))
	}
}

// Providers are for where the address of the server is known.
func TestSignIn_PublicAddress(t *testing.T) {
	w := newSignInWorld(t)
	idp := newIDP(t, w)
	w.trust(t, idp, false)
	w.console.public = false
	w.asks(t) // this very machine
	w.console.addressed = func(*http.Request) (string, netip.Addr) { return "https://of.the.request/scim/v2", netip.Addr{} }
	for _, path := range []string{"signin/start?provider=cyberark", "saml/metadata"} {
		if answer, body := w.do(t, http.MethodGet, root+path, nil); answer.StatusCode != http.StatusConflict || !strings.Contains(body, "base-url") {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

// An operator of the first tenant chooses another; one of another has no choice.
func TestTenant_Choice(t *testing.T) {
	w := newSignInWorld(t)
	local := newCore(w.core.LocalConn())
	if _, err := local.tenants.CreateTenant(t.Context(), &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: "acme"}}); err != nil {
		t.Fatal(err)
	}
	tenantOf := func() string {
		_, body := w.do(t, http.MethodGet, root+"keys", nil)
		_, rest, _ := strings.Cut(body, "· tenant ")
		name, _, _ := strings.Cut(rest, "<")
		return name
	}
	w.do(t, http.MethodPost, root+"signin", w.link(t, "", asViewer))
	if got := tenantOf(); got != "default" {
		t.Errorf("at first it is %q", got)
	}
	if _, body := w.do(t, http.MethodGet, root+"tenant", nil); !strings.Contains(body, `value="acme"`) {
		t.Errorf("there is no choice: %s", body)
	}
	w.do(t, http.MethodPost, root+"tenant", url.Values{"tenant": {"acme"}})
	if got := tenantOf(); got != "acme" {
		t.Errorf("then it is %q", got)
	}
	w.do(t, http.MethodPost, root+"tenant", url.Values{"tenant": {"nowhere"}})
	if got := tenantOf(); got != "default" {
		t.Errorf("with one that is not there it is %q", got)
	}
	w.jar, _ = cookiejar.New(nil)
	w.do(t, http.MethodPost, root+"signin", w.link(t, "acme", asViewer))
	w.do(t, http.MethodPost, root+"tenant", url.Values{"tenant": {"other"}})
	if got := tenantOf(); got != "acme" {
		t.Errorf("of another tenant it is %q", got)
	}
	if answer, _ := w.do(t, http.MethodGet, root+"tenant", nil); answer.StatusCode != http.StatusForbidden {
		t.Errorf("its choice: %s", answer.Status)
	}
}
