package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
	testpostgres "github.com/muster-scim/muster/test/postgres"
)

const (
	adminToken = "muster_admin_of_the_tests"
	callback   = "https://client.example.com/callback?x=1"
)

// A bench is a server under test, with the clients that most tests are about.
type bench struct {
	server *Server
	http   *httptest.Server
	store  *store.Store
	tenant store.Tenant
}

// onBoth runs a test against a server over each database.
func onBoth(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { test(t, newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newBench(t, testpostgres.URL(t))) })
}

func newBench(t *testing.T, url string) *bench {
	t.Helper()
	ctx := context.Background()
	st, err := store.Open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, server.DefaultTenant, "bootstrap", server.HashToken("muster_bootstrap")); err != nil {
		t.Fatal(err)
	}
	b := &bench{store: st}
	if b.tenant, err = st.Tenant(ctx, server.DefaultTenant); err != nil {
		t.Fatal(err)
	}
	b.add(t, store.Credential{Name: "ops", Kind: store.Bearer, Scopes: []string{"admin"}}, adminToken)
	b.client(t, "c1", func(c *store.Credential) { c.Settings.RedirectURIs = []string{callback} })
	b.server = New(st, Options{Addressed: func(r *http.Request) (string, netip.Addr) {
		return "http://" + r.Host, netip.MustParseAddr("192.0.2.7")
	}})
	next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	b.http = httptest.NewServer(b.server.Before(next))
	t.Cleanup(b.http.Close)
	return b
}

func (b *bench) add(t *testing.T, c store.Credential, secret string) {
	t.Helper()
	var hash []byte
	if secret != "" {
		sum := server.HashToken(secret)
		hash = sum[:]
	}
	if err := b.tenant.AddCredential(context.Background(), c, hash); err != nil {
		t.Fatal(err)
	}
}

// client adds an OAuth client whose secret is "secret of ID".
func (b *bench) client(t *testing.T, id string, set func(*store.Credential)) {
	t.Helper()
	c := store.Credential{Name: id, Kind: store.OAuth, Scopes: []string{"scim", "admin"}, Lookup: store.OAuthLookup(id)}
	set(&c)
	secret := "secret of " + id
	if c.Settings.JWKS != "" {
		secret = ""
	}
	b.add(t, c, secret)
}

// A reply is an answer of the server.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) json(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("status %d: %v: %.300s", r.status, err, r.body)
	}
	return v
}

// refuses checks an error of the token or revocation endpoint.
func (r reply) refuses(t *testing.T, name string, status int, code string) {
	t.Helper()
	if got := r.json(t); r.status != status || got["error"] != code || r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %d %v, want %d %s", name, r.status, r.body, status, code)
	}
}

func (b *bench) send(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	req, err := http.NewRequest(method, b.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if body != "" && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(data)}
}

// ask sends a form, whose names and values come in turn, to the token endpoint.
func (b *bench) ask(t *testing.T, pairs ...string) reply {
	t.Helper()
	return b.send(t, "POST", tokenPath, form(pairs...).Encode())
}

func form(pairs ...string) url.Values {
	values := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		if values.Del(pairs[i]); pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return values
}

// by are the parameters by which the client c1 proves itself.
func by(pairs ...string) []string {
	return append([]string{"client_id", "c1", "client_secret", "secret of c1"}, pairs...)
}

// scopesOf are the scopes of an access token that is valid.
func (b *bench) scopesOf(t *testing.T, token any) []string {
	t.Helper()
	text, _ := token.(string)
	p, err := b.store.Authenticate(context.Background(), server.HashToken(text))
	if err != nil {
		return nil
	}
	return p.Granted
}

func TestClientCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		basic := b.send(t, "POST", tokenPath, "grant_type=client_credentials", "Authorization", "Basic "+basicOf("c1", "secret+of+c1"))
		for name, r := range map[string]reply{"body": b.ask(t, by("grant_type", "client_credentials")...), "header": basic} {
			got := r.json(t)
			token, _ := got["access_token"].(string)
			if r.status != 200 || got["token_type"] != "Bearer" || got["expires_in"] != 3600.0 || got["scope"] != "scim" || got["refresh_token"] != nil {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
			if !strings.HasPrefix(token, "muster_at_") || !slices.Equal(b.scopesOf(t, token), []string{"scim"}) {
				t.Errorf("%s: the token %q has the scopes %v", name, token, b.scopesOf(t, token))
			}
			if r.header.Get("Cache-Control") != "no-store" || r.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: %v", name, r.header)
			}
		}
		for asked, want := range map[string]string{"scim:User:read": "scim:User:read", "scim:read scim:Group": "scim:read scim:Group", "admin": "admin"} {
			r := b.ask(t, by("grant_type", "client_credentials", "scope", asked)...)
			if got := r.json(t); r.status != 200 || got["scope"] != want || !slices.Equal(b.scopesOf(t, got["access_token"]), strings.Fields(want)) {
				t.Errorf("scope %s: %d %s", asked, r.status, r.body)
			}
		}
	})
}

func TestClientCredentials_Refused(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.client(t, "reader", func(c *store.Credential) { c.Scopes = []string{"scim:read"} })
		b.client(t, "old", func(c *store.Credential) { c.Expires = time.Now().Add(-time.Minute) })
		b.client(t, "far", func(c *store.Credential) { c.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
		b.client(t, "boss", func(c *store.Credential) { c.Scopes = []string{"admin"} })
		const grant = "client_credentials"
		for _, test := range []struct {
			name   string
			form   []string
			status int
			code   string
		}{
			{"wrong secret", by("grant_type", grant, "client_secret", "secret of reader"), 401, "invalid_client"},
			{"no secret", by("grant_type", grant, "client_secret", ""), 401, "invalid_client"},
			{"no client", []string{"grant_type", grant}, 400, "invalid_request"},
			{"unknown client", by("grant_type", grant, "client_id", "c9"), 401, "invalid_client"},
			{"a bearer token as secret", by("grant_type", grant, "client_id", "ops", "client_secret", adminToken), 401, "invalid_client"},
			{"expired", by("grant_type", grant, "client_id", "old", "client_secret", "secret of old"), 401, "invalid_client"},
			{"from elsewhere", by("grant_type", grant, "client_id", "far", "client_secret", "secret of far"), 401, "invalid_client"},
			{"more than it has", by("grant_type", grant, "client_id", "reader", "client_secret", "secret of reader", "scope", "scim"), 400, "invalid_scope"},
			{"admin that it has not", by("grant_type", grant, "client_id", "reader", "client_secret", "secret of reader", "scope", "admin"), 400, "invalid_scope"},
			{"admin that it has, unasked", by("grant_type", grant, "client_id", "boss", "client_secret", "secret of boss"), 400, "invalid_scope"},
			{"no scope of ours", by("grant_type", grant, "scope", "openid"), 400, "invalid_scope"},
			{"no grant", by(), 400, "invalid_request"},
			{"another grant", by("grant_type", "password"), 400, "unsupported_grant_type"},
			{"a grant of others", by("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", "x", "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"), 400, ""},
			{"code without redirect URIs", by("grant_type", "authorization_code", "client_id", "reader", "client_secret", "secret of reader", "code", "x"), 400, "unauthorized_client"},
		} {
			r := b.ask(t, test.form...)
			if test.code == "" {
				if r.status != test.status {
					t.Errorf("%s: %d %s", test.name, r.status, r.body)
				}
				continue
			}
			r.refuses(t, test.name, test.status, test.code)
			if (r.status == 401) != (r.header.Get("WWW-Authenticate") != "") {
				t.Errorf("%s: WWW-Authenticate is %q", test.name, r.header.Get("WWW-Authenticate"))
			}
		}
		body := form(by("grant_type", grant)...).Encode()
		b.send(t, "POST", tokenPath, body+"&client_secret=x").refuses(t, "a parameter twice", 400, "invalid_request")
		b.send(t, "POST", tokenPath, body, "Authorization", "Basic "+basicOf("c1", "secret of c1")).refuses(t, "two proofs", 400, "invalid_request")
		b.send(t, "POST", tokenPath, body, "Content-Type", "application/json").refuses(t, "no form", 400, "invalid_request")
		b.send(t, "POST", tokenPath+"?"+body, "x=y").refuses(t, "a secret in the address", 400, "invalid_request")
		b.send(t, "POST", tokenPath, body+"&x="+strings.Repeat("x", maxForm)).refuses(t, "too large", 400, "invalid_request")
		if r := b.send(t, "GET", tokenPath+"?"+body, ""); r.status != 405 || r.header.Get("Allow") != "POST" {
			t.Errorf("GET: %d %v", r.status, r.header)
		}
	})
}

func basicOf(login, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(login + ":" + password))
}

func TestAccessToken_FollowsItsClient(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		end := time.Now().Add(10 * time.Minute)
		b.client(t, "short", func(c *store.Credential) { c.Expires = end })
		r := b.ask(t, "grant_type", "client_credentials", "client_id", "short", "client_secret", "secret of short")
		if seconds, _ := r.json(t)["expires_in"].(float64); seconds < 590 || seconds > 600 {
			t.Errorf("a client that expires in ten minutes got a token for %v seconds", seconds)
		}
		token := r.json(t)["access_token"]
		if err := b.tenant.RevokeCredential(context.Background(), "short"); err != nil {
			t.Fatal(err)
		}
		if b.scopesOf(t, token) != nil {
			t.Error("the token of a revoked client is valid")
		}
		b.ask(t, "grant_type", "client_credentials", "client_id", "short", "client_secret", "secret of short").refuses(t, "a revoked client", 401, "invalid_client")
	})
}

// fixed is a throttle with a fixed answer, which counts failures.
type fixed struct {
	err            error
	failed, worked int
}

func (f *fixed) Allow(netip.Addr, string) error { return f.err }
func (f *fixed) Failed(netip.Addr, string)      { f.failed++ }
func (f *fixed) Worked(netip.Addr, string)      { f.worked++ }

func TestToken_Throttled(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	throttle := &fixed{}
	b.server.opts.Throttle = throttle
	b.ask(t, by("grant_type", "client_credentials")...)
	b.ask(t, by("grant_type", "client_credentials", "client_secret", "wrong")...)
	if throttle.failed != 1 || throttle.worked != 1 {
		t.Errorf("%d failures and %d successes were counted", throttle.failed, throttle.worked)
	}
	throttle.err = scim.Errorf(scim.RateLimited, "too many attempts").After(1500 * time.Millisecond)
	r := b.ask(t, by("grant_type", "client_credentials")...)
	if r.refuses(t, "throttled", 429, "invalid_request"); r.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	throttle.err = nil
	b.server.opts.Admit = func(p *store.Principal) error {
		return scim.Errorf(scim.RateLimited, "too many requests of %s", p.Credential.Name).After(time.Second)
	}
	b.ask(t, by("grant_type", "client_credentials")...).refuses(t, "beyond its rate", 429, "invalid_request")
}

func TestRevocation(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		b.client(t, "other", func(*store.Credential) {})
		token, _ := b.ask(t, by("grant_type", "client_credentials")...).json(t)["access_token"].(string)
		revoke := func(pairs ...string) reply { return b.send(t, "POST", revokePath, form(pairs...).Encode()) }
		if r := revoke("client_id", "other", "client_secret", "secret of other", "token", token); r.status != 200 || b.scopesOf(t, token) == nil {
			t.Errorf("another client: %d, or the token is gone", r.status)
		}
		revoke(by("client_secret", "wrong", "token", token)...).refuses(t, "a wrong secret", 401, "invalid_client")
		revoke(by()...).refuses(t, "no token", 400, "invalid_request")
		for _, again := range []string{"first", "again"} {
			if r := revoke(by("token", token, "token_type_hint", "access_token")...); r.status != 200 || b.scopesOf(t, token) != nil {
				t.Errorf("%s: %d %s", again, r.status, r.body)
			}
		}
	})
}

func TestMetadata_IsTrue(t *testing.T) {
	b := newBench(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	m := b.send(t, "GET", metadataPath, "").json(t)
	if m["issuer"] != b.http.URL {
		t.Errorf("the issuer is %v", m["issuer"])
	}
	for name, status := range map[string]int{"token_endpoint": 405, "revocation_endpoint": 405, "authorization_endpoint": 403} {
		path, ok := strings.CutPrefix(m[name].(string), b.http.URL)
		if r := b.send(t, "GET", path, ""); !ok || r.status != status {
			t.Errorf("%s: GET %s is %d", name, path, r.status)
		}
	}
	for _, grant := range m["grant_types_supported"].([]any) {
		if got := b.ask(t, by("grant_type", grant.(string))...).json(t); got["error"] == "unsupported_grant_type" {
			t.Errorf("%v: %v", grant, got)
		}
	}
	if r := b.send(t, "GET", metadataPath+"/elsewhere", ""); r.status != 404 {
		t.Errorf("another issuer: %d", r.status)
	}
	b.server.opts.Addressed = func(*http.Request) (string, netip.Addr) { return "https://example.com/a/b", netip.Addr{} }
	for _, path := range []string{metadataPath, metadataPath + "/a/b"} {
		if m := b.send(t, "GET", path, "").json(t); m["issuer"] != "https://example.com/a/b" || m["token_endpoint"] != "https://example.com/a/b/oauth2/token" {
			t.Errorf("%s: %v", path, m)
		}
	}
	for _, path := range []string{"/", "/scim/v2/Users", "/oauth2", "/oauth2/token/", "/healthz", "/.well-known/openid-configuration"} {
		if r := b.send(t, "GET", path, ""); r.status != http.StatusTeapot {
			t.Errorf("%s is not left to others: %d", path, r.status)
		}
	}
}

func TestIssuerOf(t *testing.T) {
	for base, want := range map[string]string{
		"https://scim.example.com/scim/v2":   "https://scim.example.com",
		"https://example.com/muster/scim/v2": "https://example.com/muster",
		"https://example.com:8443/elsewhere": "https://example.com:8443",
	} {
		if got := IssuerOf(base); got != want {
			t.Errorf("%s: %s, want %s", base, got, want)
		}
	}
}
