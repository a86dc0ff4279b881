package console

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// newOpenIDProvider starts an OpenID provider, of another library than Muster's client is
// made with, and makes it one of Muster's.
func newOpenIDProvider(t *testing.T, w *signInWorld, value string) {
	t.Helper()
	was := slog.Default()
	t.Cleanup(func() { slog.SetDefault(was) })
	var handler http.Handler
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(s.Close)
	storage.RegisterClients(storage.WebClient("muster", "secret of muster", w.URL+root+"oidc/callback"))
	handler = exampleop.SetupServer(s.URL, storage.NewStorage(storage.NewUserStore(s.URL)), slog.New(slog.DiscardHandler), false, op.WithAllowInsecure())
	w.console.clientSecret = func(issuer, clientID string) (string, error) {
		if issuer != s.URL || clientID != "muster" {
			t.Errorf("the secret of %s at %s is asked for", clientID, issuer)
		}
		return "secret of muster", nil
	}
	_, err := w.operators().SetSignInProvider(t.Context(), &musterv1.SetSignInProviderRequest{Provider: &musterv1.SignInProvider{
		Name: "openid", Kind: musterv1.SignInProvider_KIND_OIDC,
		OfKind: &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: s.URL, ClientId: "muster"}},
		Roles:  []*musterv1.RoleMapping{{Attribute: "preferred_username", Value: value, Role: musterv1.OperatorRole_OPERATOR_ROLE_VIEWER}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// signsInThere begins a sign-in, types the password at the provider, and returns where
// that sends the browser back to.
func (w *signInWorld) signsInThere(t *testing.T) string {
	t.Helper()
	return w.signsInWith(t, func(url.Values) {})
}

// signsInWith is the same, with something else of what the provider is asked.
func (w *signInWorld) signsInWith(t *testing.T, change func(asked url.Values)) string {
	t.Helper()
	answer, body := w.do(t, http.MethodGet, root+"signin/start?provider=openid&return=/console/groups", nil)
	to := answer.Header.Get("Location")
	for _, want := range []string{"code_challenge_method=S256", "code_challenge=", "state=", "nonce="} {
		if answer.StatusCode != http.StatusSeeOther || !strings.Contains(to, want) {
			t.Fatalf("%s to %q: %s", answer.Status, to, body)
		}
	}
	at, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	asked := at.Query()
	change(asked)
	at.RawQuery = asked.Encode()
	jar, _ := cookiejar.New(nil)
	back := ""
	browser := &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), w.URL) {
			back = r.URL.RequestURI()
			return http.ErrUseLastResponse
		}
		return nil
	}}
	page, err := browser.Get(at.String())
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(page.Body)
	page.Body.Close()
	id := page.Request.URL.Query().Get("authRequestID")
	sent, err := browser.PostForm(page.Request.URL.Scheme+"://"+page.Request.URL.Host+"/login/username", url.Values{"id": {id}, "username": {"test-user@" + page.Request.URL.Hostname()}, "password": {"verysecure"}})
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Body.Close()
	if back == "" {
		more, _ := io.ReadAll(sent.Body)
		t.Fatalf("the provider does not send back: %s\n%s", text, more)
	}
	return back
}

// Who an OpenID provider names is signed in; a code and an answer are good once, and in
// the browser that asked.
func TestOIDC(t *testing.T) {
	w := newSignInWorld(t)
	newOpenIDProvider(t, w, "test-user@127.0.0.1")
	back := w.signsInThere(t)
	address, _ := url.Parse(w.URL)
	before := w.jar.Cookies(address)
	answer, body := w.do(t, http.MethodGet, back, nil)
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/console/groups" || !w.isSignedIn(t) {
		t.Fatalf("%s to %q: %s", answer.Status, answer.Header.Get("Location"), body)
	}
	w.jar, _ = cookiejar.New(nil)
	w.jar.SetCookies(address, before)
	if answer, _ := w.do(t, http.MethodGet, back, nil); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("again: %s", answer.Status)
	}

	for name, change := range map[string]func(q url.Values){
		"another state":  func(q url.Values) { q.Set("state", "another") },
		"no state":       func(q url.Values) { q.Del("state") },
		"another code":   func(q url.Values) { q.Set("code", "another") },
		"another issuer": func(q url.Values) { q.Set("iss", "https://other.example.com") },
		"an error":       func(q url.Values) { q.Set("error", "access_denied") },
	} {
		w.jar, _ = cookiejar.New(nil)
		u, _ := url.Parse(w.signsInThere(t))
		q := u.Query()
		change(q)
		if answer, _ := w.do(t, http.MethodGet, u.Path+"?"+q.Encode(), nil); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	back = w.signsInThere(t)
	w.jar, _ = cookiejar.New(nil)
	if answer, _ := w.do(t, http.MethodGet, back, nil); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("another browser: %s", answer.Status)
	}
	// The code of one sign-in in the attempt of another: neither verifier nor nonce fit.
	first, _ := url.Parse(w.signsInThere(t))
	second, _ := url.Parse(w.signsInThere(t))
	q := second.Query()
	q.Set("code", first.Query().Get("code"))
	if answer, _ := w.do(t, http.MethodGet, second.Path+"?"+q.Encode(), nil); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("another's code: %s", answer.Status)
	}
}

// An ID token for another nonce is refused, with all else as it was asked: the code, the
// verifier and the state.
func TestOIDC_Nonce(t *testing.T) {
	w := newSignInWorld(t)
	newOpenIDProvider(t, w, "test-user@127.0.0.1")
	for name, change := range map[string]func(url.Values){
		"another": func(asked url.Values) { asked.Set("nonce", "of-another-sign-in") },
		"none":    func(asked url.Values) { asked.Del("nonce") },
	} {
		back := w.signsInWith(t, change)
		if answer, body := w.do(t, http.MethodGet, back, nil); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "not for this sign-in") || w.isSignedIn(t) {
			t.Errorf("%s: %s: %s", name, answer.Status, body)
		}
	}
}

// Who has no role is refused.
func TestOIDC_NoRole(t *testing.T) {
	w := newSignInWorld(t)
	newOpenIDProvider(t, w, "somebody else")
	if answer, body := w.do(t, http.MethodGet, w.signsInThere(t), nil); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "no role") || w.isSignedIn(t) {
		t.Errorf("%s: %s", answer.Status, body)
	}
}
