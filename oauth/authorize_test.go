package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

const verifier = "a-code-verifier-of-at-least-forty-three-characters"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// asking are the parameters of a good authorization request, with changes.
func asking(changes ...string) url.Values {
	return form(append([]string{"response_type", "code", "client_id", "c1", "redirect_uri", callback, "state", `s&"<>'`,
		"code_challenge", challengeOf(verifier), "code_challenge_method", "S256"}, changes...)...)
}

// decide sends the form of the page.
func (b *bench) decide(t *testing.T, values url.Values, decision, secret string, header ...string) reply {
	t.Helper()
	values.Set("decision", decision)
	values.Set("credential", secret)
	return b.send(t, "POST", authorizePath, values.Encode(), header...)
}

// answered are the parameters with which the browser goes back to the client.
func (b *bench) answered(t *testing.T, r reply) url.Values {
	t.Helper()
	if r.status != http.StatusSeeOther {
		t.Fatalf("status %d: %.500s", r.status, r.body)
	}
	u, err := url.Parse(r.header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	values := u.Query()
	if u.RawQuery = ""; u.String() != "https://client.example.com/callback" || values.Get("x") != "1" || values.Get("iss") != b.http.URL {
		t.Errorf("the answer goes to %s", r.header.Get("Location"))
	}
	return values
}

// code is one that an administrator approved.
func (b *bench) code(t *testing.T, changes ...string) string {
	t.Helper()
	values := b.answered(t, b.decide(t, asking(changes...), "allow", adminToken))
	if values.Get("state") != `s&"<>'` || !strings.HasPrefix(values.Get("code"), "muster_ac_") {
		t.Fatalf("the answer is %v", values)
	}
	return values.Get("code")
}

func exchanging(code string, changes ...string) []string {
	return by(append([]string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier}, changes...)...)
}

func TestAuthorizationCode(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		r := b.ask(t, exchanging(b.code(t, "scope", "scim:User"))...)
		got := r.json(t)
		refresh, _ := got["refresh_token"].(string)
		if r.status != 200 || got["scope"] != "scim:User" || got["expires_in"] != 3600.0 || !strings.HasPrefix(refresh, "muster_rt_") || r.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if scopes := b.scopesOf(t, got["access_token"]); !slices.Equal(scopes, []string{"scim:User"}) {
			t.Errorf("the token has the scopes %v", scopes)
		}
		if b.scopesOf(t, refresh) != nil {
			t.Error("the refresh token is let in")
		}
		// With fewer scopes, and then with all again.
		narrow := b.ask(t, by("grant_type", "refresh_token", "refresh_token", refresh, "scope", "scim:User:read")...).json(t)
		if narrow["scope"] != "scim:User:read" || narrow["refresh_token"] == refresh {
			t.Errorf("refreshed: %v", narrow)
		}
		next, _ := narrow["refresh_token"].(string)
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", next, "scope", "scim")...).refuses(t, "more than was allowed", 400, "invalid_scope")
		again := b.ask(t, by("grant_type", "refresh_token", "refresh_token", next)...).json(t)
		if again["scope"] != "scim:User" {
			t.Errorf("refreshed: %v", again)
		}
		// The first refresh token once more: somebody stole it.
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", refresh)...).refuses(t, "reuse", 400, "invalid_grant")
		for _, token := range []any{got["access_token"], narrow["access_token"], again["access_token"]} {
			if b.scopesOf(t, token) != nil {
				t.Error("an access token outlives the reuse")
			}
		}
		last, _ := again["refresh_token"].(string)
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", last)...).refuses(t, "the last refresh token", 400, "invalid_grant")
	})
}

func TestAuthorizationCode_Refused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.client(t, "other", func(c *store.Credential) { c.Settings.RedirectURIs = []string{callback} })
		code := b.code(t)
		for name, changes := range map[string][]string{
			"another redirect URI": {"redirect_uri", callback + "&y=2"},
			"another verifier":     {"code_verifier", verifier + "x"},
			"no verifier":          {"code_verifier", ""},
			"the challenge":        {"code_verifier", challengeOf(verifier)},
			"another client":       {"client_id", "other", "client_secret", "secret of other"},
			"an unknown code":      {"code", "muster_ac_x"},
		} {
			b.ask(t, exchanging(code, changes...)...).refuses(t, name, 400, "invalid_grant")
		}
		b.ask(t, exchanging(code, "redirect_uri", "")...).refuses(t, "no redirect URI", 400, "invalid_request")
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", code)...).refuses(t, "as a refresh token", 400, "invalid_grant")
		got := b.ask(t, exchanging(code)...).json(t)
		if b.scopesOf(t, got["access_token"]) == nil {
			t.Fatalf("none of these spent the code: %v", got)
		}
		refresh, _ := got["refresh_token"].(string)
		b.ask(t, "client_id", "other", "client_secret", "secret of other", "grant_type", "refresh_token", "refresh_token", refresh).refuses(t, "another client's refresh token", 400, "invalid_grant")
		b.ask(t, exchanging(code)...).refuses(t, "replay", 400, "invalid_grant")
		if b.scopesOf(t, got["access_token"]) != nil {
			t.Error("the access token outlives the replay of its code")
		}
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", refresh)...).refuses(t, "its refresh token", 400, "invalid_grant")
	})
}

// What a client loses after the authorization, the authorization loses too.
func TestRefreshToken_FollowsTheClient(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		set := func(change func(*store.Credential)) {
			t.Helper()
			if _, err := b.tenant.UpdateCredential(ctx, "c1", func(c *store.Credential) error { change(c); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		tokens := func() (access, refresh string) {
			got := b.ask(t, exchanging(b.code(t))...).json(t)
			access, _ = got["access_token"].(string)
			refresh, _ = got["refresh_token"].(string)
			return access, refresh
		}
		use := func(refresh string) reply {
			return b.ask(t, by("grant_type", "refresh_token", "refresh_token", refresh)...)
		}
		access, refresh := tokens()
		set(func(c *store.Credential) { c.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
		use(refresh).refuses(t, "from elsewhere", 401, "invalid_client")
		set(func(c *store.Credential) { c.Networks = nil })
		set(func(c *store.Credential) { c.Scopes = []string{"scim:read"} })
		if b.scopesOf(t, access) != nil {
			t.Error("the access token has scopes that the client lost")
		}
		use(refresh).refuses(t, "with scopes that the client lost", 400, "invalid_grant")
		_, refresh = tokens()
		if err := b.tenant.RevokeCredential(ctx, "c1"); err != nil {
			t.Fatal(err)
		}
		use(refresh).refuses(t, "a revoked client", 401, "invalid_client")
	})
}

func TestSuspendedTenant_GetsNoTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		if _, err := b.store.CreateTenant(ctx, store.TenantInfo{Name: "other", Profile: store.Tolerant}); err != nil {
			t.Fatal(err)
		}
		var err error
		if b.tenant, err = b.store.Tenant(ctx, "other"); err != nil {
			t.Fatal(err)
		}
		b.client(t, "c2", func(c *store.Credential) { c.Settings.RedirectURIs = []string{callback} })
		mine := []string{"client_id", "c2", "client_secret", "secret of c2"}
		ask := func(pairs ...string) reply { return b.ask(t, append(slices.Clone(mine), pairs...)...) }
		code := b.code(t, "client_id", "c2") // which an administrator of default allows
		token := ask("grant_type", "client_credentials").json(t)["access_token"]
		if b.scopesOf(t, token) == nil {
			t.Fatal("there is no token")
		}
		if _, err := b.store.SuspendTenant(ctx, "other"); err != nil {
			t.Fatal(err)
		}
		ask("grant_type", "client_credentials").refuses(t, "a suspended client", 401, "invalid_client")
		ask("grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", verifier).refuses(t, "its code", 401, "invalid_client")
		if b.scopesOf(t, token) != nil {
			t.Error("the token of a suspended client is valid")
		}
		if r := b.send(t, "GET", authorizePath+"?"+asking("client_id", "c2").Encode(), ""); r.status != 403 || r.header.Get("Location") != "" {
			t.Errorf("the page: %d", r.status)
		}
	})
}

func TestRevocation_OfARefreshTokenEndsItsFamily(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		got := b.ask(t, exchanging(b.code(t))...).json(t)
		refresh, _ := got["refresh_token"].(string)
		if r := b.send(t, "POST", revokePath, form(by("token", refresh)...).Encode()); r.status != 200 {
			t.Fatalf("%d %s", r.status, r.body)
		}
		if b.scopesOf(t, got["access_token"]) != nil {
			t.Error("the access token is valid")
		}
		b.ask(t, by("grant_type", "refresh_token", "refresh_token", refresh)...).refuses(t, "the refresh token", 400, "invalid_grant")
	})
}

func TestAuthorize_RefusedToTheClient(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	for name, test := range map[string]struct {
		changes []string
		code    string
	}{
		"no PKCE":            {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"plain PKCE":         {[]string{"code_challenge", verifier, "code_challenge_method", "plain"}, "invalid_request"},
		"no method":          {[]string{"code_challenge_method", ""}, "invalid_request"},
		"no SHA-256":         {[]string{"code_challenge", "abc"}, "invalid_request"},
		"implicit":           {[]string{"response_type", "token"}, "unsupported_response_type"},
		"no response type":   {[]string{"response_type", ""}, "unsupported_response_type"},
		"more than it has":   {[]string{"scope", "admin openid"}, "invalid_scope"},
		"an answer as form":  {[]string{"response_mode", "form_post"}, "invalid_request"},
		"a request object":   {[]string{"request", "e30.e30."}, "request_not_supported"},
		"a request URI":      {[]string{"request_uri", "https://x.example.com"}, "request_not_supported"},
		"a fragment as mode": {[]string{"response_mode", "fragment"}, "invalid_request"},
	} {
		values := asking(test.changes...)
		for method, r := range map[string]reply{"GET": b.send(t, "GET", authorizePath+"?"+values.Encode(), ""), "POST": b.decide(t, values, "allow", adminToken)} {
			got := b.answered(t, r)
			if got.Get("error") != test.code || got.Get("state") != `s&"<>'` || got.Has("code") {
				t.Errorf("%s, %s: %v", name, method, got)
			}
		}
	}
}

// Who cannot be trusted to be the client gets no answer: the page tells the person.
func TestAuthorize_RefusedOnThePage(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	b.client(t, "old", func(c *store.Credential) {
		c.Settings.RedirectURIs = []string{callback}
		c.Expires = time.Now().Add(-time.Minute)
	})
	b.client(t, "none", func(*store.Credential) {})
	for name, changes := range map[string][]string{
		"another redirect URI":  {"redirect_uri", "https://client.example.com/callback"},
		"longer redirect URI":   {"redirect_uri", callback + "1"},
		"no redirect URI":       {"redirect_uri", ""},
		"unknown client":        {"client_id", "c9"},
		"no client":             {"client_id", ""},
		"expired client":        {"client_id", "old"},
		"client without a URI":  {"client_id", "none"},
		"no credential of ours": {"client_id", "ops"},
	} {
		values := asking(changes...)
		for method, r := range map[string]reply{"GET": b.send(t, "GET", authorizePath+"?"+values.Encode(), ""), "POST": b.decide(t, values, "allow", adminToken)} {
			if r.status < 400 || r.status > 403 || r.header.Get("Location") != "" || strings.Contains(r.body, "<form") {
				t.Errorf("%s, %s: %d %v %.300s", name, method, r.status, r.header, r.body)
			}
		}
	}
	if r := b.send(t, "GET", authorizePath+"?"+asking().Encode()+"&client_id=c1", ""); r.status != 400 {
		t.Errorf("a parameter twice: %d", r.status)
	}
}

func TestAuthorize_Page(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	r := b.send(t, "GET", authorizePath+"?"+asking("scope", "scim:read scim:Group").Encode(), "")
	for _, want := range []string{"c1", "default", "client.example.com", "read users, groups and all other resources", "read and write resources of the type Group"} {
		if !strings.Contains(r.body, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
	policy := r.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self' https://client.example.com"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q does not have %q", policy, want)
		}
	}
	// The policy lets through the style that is on the page.
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(r.body)
	if sum := sha256.Sum256([]byte(style[1])); !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Error("the policy is not for the style of the page")
	}
	if r.status != 200 || r.header.Get("Cache-Control") != "no-store" || r.header.Get("X-Frame-Options") != "DENY" || strings.Contains(r.body, "<script") {
		t.Errorf("%d %v", r.status, r.header)
	}
	// The form sends what was asked, to the letter.
	sent := make(url.Values)
	for _, input := range regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`).FindAllStringSubmatch(r.body, -1) {
		sent.Set(input[1], html.UnescapeString(input[2]))
	}
	if want := asking("scope", "scim:read scim:Group"); sent.Encode() != want.Encode() {
		t.Errorf("the form sends %v, want %v", sent, want)
	}
	if values := b.answered(t, b.decide(t, sent, "allow", adminToken)); values.Get("code") == "" {
		t.Errorf("allowed: %v", values)
	}
	if values := b.answered(t, b.decide(t, sent, "deny", "")); values.Get("error") != "access_denied" || values.Get("state") != `s&"<>'` {
		t.Errorf("denied: %v", values)
	}
	if head := b.send(t, "HEAD", authorizePath+"?"+asking().Encode(), ""); head.status != 200 || head.body != "" {
		t.Errorf("HEAD: %d %q", head.status, head.body)
	}
}

func TestAuthorize_OnlyAnAdministratorAllows(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		ctx := context.Background()
		add := func(name string, set func(*store.Credential)) string {
			c := store.Credential{Name: name, Kind: store.Bearer, Scopes: []string{"admin"}}
			set(&c)
			b.add(t, c, "muster_"+name)
			return "muster_" + name
		}
		if _, err := b.store.CreateTenant(ctx, store.TenantInfo{Name: "other", Profile: store.Tolerant}); err != nil {
			t.Fatal(err)
		}
		tenant, err := b.store.Tenant(ctx, "other")
		if err != nil {
			t.Fatal(err)
		}
		foreign := server.HashToken("muster_foreign")
		if err := tenant.AddCredential(ctx, store.Credential{Name: "foreign", Kind: store.Bearer, Scopes: []string{"admin"}}, foreign[:]); err != nil {
			t.Fatal(err)
		}
		access, _ := b.ask(t, by("grant_type", "client_credentials")...).json(t)["access_token"].(string)
		for name, secret := range map[string]string{
			"nothing":             "",
			"something":           "muster_x",
			"without admin":       "muster_bootstrap",
			"who only looks":      add("looks", func(c *store.Credential) { c.Scopes = []string{"admin:read", "scim"} }),
			"a preview":           add("preview", func(c *store.Credential) { c.Preview = true }),
			"an expired one":      add("expired", func(c *store.Credential) { c.Expires = time.Now().Add(-time.Minute) }),
			"from elsewhere":      add("far", func(c *store.Credential) { c.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} }),
			"of another tenant":   "muster_foreign",
			"the client's secret": "secret of c1",
			"the client's token":  access,
			"a password":          add("basic", func(c *store.Credential) { c.Kind, c.Settings.Login = store.Basic, "x" }),
		} {
			r := b.decide(t, asking(), "allow", secret)
			if r.status < 400 || r.status > 403 || r.header.Get("Location") != "" || !strings.Contains(r.body, `role="alert"`) || !strings.Contains(r.body, "<form") {
				t.Errorf("%s: %d %v %.300s", name, r.status, r.header, r.body)
			}
			if secret != "" && strings.Contains(r.body, secret) {
				t.Errorf("%s: the page shows the secret", name)
			}
		}
		if r := b.decide(t, asking(), "allow", " "+adminToken+"\n"); r.status != http.StatusSeeOther {
			t.Errorf("an administrator: %d", r.status)
		}
	})
}

func TestAuthorize_OtherSitesCannotDecide(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example.com"}} {
		for _, decision := range []string{"allow", "deny"} {
			if r := b.decide(t, asking(), decision, adminToken, header...); r.status != 403 || r.header.Get("Location") != "" {
				t.Errorf("%v, %s: %d %v", header, decision, r.status, r.header)
			}
		}
	}
	if r := b.decide(t, asking(), "allow", adminToken, "Sec-Fetch-Site", "same-origin", "Origin", b.http.URL); r.status != http.StatusSeeOther {
		t.Errorf("our own page: %d", r.status)
	}
}

func TestAuthorize_Throttled(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	throttle := &fixed{}
	b.server.opts.Throttle = throttle
	if b.decide(t, asking(), "allow", "muster_x"); throttle.failed != 1 {
		t.Errorf("%d failures were counted", throttle.failed)
	}
	throttle.err = scim.Errorf(scim.RateLimited, "too many attempts").After(time.Minute)
	if r := b.decide(t, asking(), "allow", adminToken); r.status != 429 || r.header.Get("Retry-After") != "60" {
		t.Errorf("%d %v", r.status, r.header)
	}
}
