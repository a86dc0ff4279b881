package server

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/issuer"
	"github.com/muster-scim/muster/store"
)

// outsideIssuer is an outside issuer: it tells where its keys are, and signs.
type outsideIssuer struct {
	*httptest.Server

	mu       sync.Mutex
	keys     map[string]crypto.Signer // that it shows, by id
	answers  map[string]http.HandlerFunc
	down     bool
	asked    atomic.Int32 // for its keys
	inflated int          // bytes more that its key set has
}

var issuerKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func newIssuer(t *testing.T, secure bool) *outsideIssuer {
	t.Helper()
	i := &outsideIssuer{keys: map[string]crypto.Signer{"one": issuerKey()}, answers: make(map[string]http.HandlerFunc)}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(i.answer))
	i.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	if secure {
		i.StartTLS()
	} else {
		i.Start()
	}
	t.Cleanup(i.Close)
	return i
}

func (i *outsideIssuer) answer(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	special, down := i.answers[r.URL.Path], i.down
	i.mu.Unlock()
	switch {
	case down:
		http.Error(w, "down", http.StatusServiceUnavailable)
	case special != nil:
		special(w, r)
	case r.URL.Path == "/.well-known/openid-configuration":
		writeJSON(w, map[string]any{"issuer": i.URL, "jwks_uri": i.URL + "/keys"})
	case r.URL.Path == "/keys":
		i.writeKeys(w)
	default:
		http.NotFound(w, r)
	}
}

func (i *outsideIssuer) writeKeys(w http.ResponseWriter) {
	i.asked.Add(1)
	i.mu.Lock()
	defer i.mu.Unlock()
	set := map[string]any{"filler": strings.Repeat("x", i.inflated)}
	keys := []any{map[string]string{"kty": "of tomorrow", "kid": "odd"}}
	for id, key := range i.keys {
		keys = append(keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Use: "sig"})
	}
	set["keys"] = keys
	writeJSON(w, set)
}

func writeJSON(w http.ResponseWriter, v map[string]any) {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Write(data)
}

func (i *outsideIssuer) set(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

// claims are those of a valid token.
func (i *outsideIssuer) claims(change map[string]any) map[string]any {
	now := time.Now().Unix()
	all := map[string]any{"iss": i.URL, "aud": "muster", "sub": "hr", "exp": now + 300, "iat": now, "nbf": now, "scope": "openid scim"}
	for name, value := range change {
		if all[name] = value; value == nil {
			delete(all, name)
		}
	}
	return all
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, kid, typ string, claims map[string]any) string {
	t.Helper()
	opts := (&jose.SignerOptions{}).WithHeader("kid", kid)
	if typ != "" {
		opts.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, opts)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// token is a valid one, but for the changes.
func (i *outsideIssuer) token(t *testing.T, change map[string]any) string {
	t.Helper()
	return sign(t, jose.RS256, issuerKey(), "one", "at+jwt", i.claims(change))
}

// logText is a log that can be read while it is written.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logText) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

// trusting is a server that trusts an issuer by a credential, as c says of it.
func trusting(t *testing.T, i *outsideIssuer, c store.Credential) (*Server, *logText) {
	t.Helper()
	var log logText
	s, _ := newServerWith(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	addTrust(t, s, "default", i.URL, "muster", c)
	return s, &log
}

func addTrust(t *testing.T, s *Server, tenantName, url, audience string, c store.Credential) {
	t.Helper()
	tenant, err := s.store.Tenant(t.Context(), tenantName)
	if err != nil {
		t.Fatal(err)
	}
	c.Name, c.Kind = "outside", store.Issuer
	if c.Scopes == nil {
		c.Scopes = []string{"scim"}
	}
	c.Settings.Issuer, c.Settings.Audience = url, audience
	if err := finishKind(&c); err != nil {
		t.Fatal(err)
	}
	if err := tenant.AddCredential(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
}

func lists(s *Server, token string) error {
	return errOf(musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(as(token), &musterv1.ListUsersRequest{}))
}

// refuses fails where a token is not refused with the same words as every other, and
// the cause in the log.
func refuses(t *testing.T, s *Server, log *logText, what, token, cause string) {
	t.Helper()
	log.Reset()
	err := lists(s, token)
	if status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "the credential is not valid" {
		t.Errorf("%s: %v", what, err)
	}
	if !strings.Contains(log.String(), cause) {
		t.Errorf("%s: the log lacks %q: %s", what, cause, log)
	}
	if strings.Contains(log.String(), token) {
		t.Errorf("%s: the log has the token", what)
	}
}

func TestIssuer_Tokens(t *testing.T) {
	i := newIssuer(t, false)
	s, log := trusting(t, i, store.Credential{})
	now := time.Now().Unix()
	for what, token := range map[string]string{
		"plain":             i.token(t, nil),
		"many audiences":    i.token(t, map[string]any{"aud": []string{"x", "muster", "muster"}}),
		"scp as array":      i.token(t, map[string]any{"scope": nil, "scp": []string{"a", "scim"}}),
		"scp as text":       i.token(t, map[string]any{"scope": nil, "scp": "a scim"}),
		"no nbf and no iat": i.token(t, map[string]any{"nbf": nil, "iat": nil}),
		"clocks differ":     i.token(t, map[string]any{"nbf": now + 15, "iat": now + 15}),
		"of type JWT":       sign(t, jose.RS256, issuerKey(), "one", "JWT", i.claims(nil)),
		"without a type":    sign(t, jose.RS256, issuerKey(), "one", "", i.claims(nil)),
		"without a kid":     sign(t, jose.RS256, issuerKey(), "", "at+jwt", i.claims(nil)),
	} {
		if err := lists(s, token); err != nil {
			t.Errorf("%s: %v: %s", what, err, log)
		}
	}
	for what, c := range map[string]struct {
		change map[string]any
		cause  string
	}{
		"another audience":   {map[string]any{"aud": "other"}, "no credential trusts"},
		"no audience":        {map[string]any{"aud": nil}, "audiences"},
		"very many":          {map[string]any{"aud": slices.Repeat([]string{"muster"}, 11)}, "audiences"},
		"another issuer":     {map[string]any{"iss": i.URL + "/"}, "no credential trusts"},
		"expired":            {map[string]any{"exp": now - 60}, "expired"},
		"without an end":     {map[string]any{"exp": nil}, "never expires"},
		"not yet":            {map[string]any{"nbf": now + 90}, "not valid yet"},
		"issued tomorrow":    {map[string]any{"iat": now + 86400}, "issued in the future"},
		"no scope":           {map[string]any{"scope": nil}, "lack"},
		"another scope":      {map[string]any{"scope": "scim:write scimx"}, "lack"},
		"an ID token":        {map[string]any{"nonce": "n"}, "no access token"},
		"an ID token too":    {map[string]any{"at_hash": "h"}, "no access token"},
		"said to be ID":      {map[string]any{"typ": "ID"}, "no access token"},
		"used as ID":         {map[string]any{"token_use": "id"}, "no access token"},
		"scopes of no sense": {map[string]any{"scope": 7}, "claims cannot be read"},
	} {
		refuses(t, s, log, what, i.token(t, c.change), c.cause)
	}
}

func TestIssuer_ForgedTokens(t *testing.T) {
	i := newIssuer(t, false)
	s, log := trusting(t, i, store.Credential{})
	public, err := x509.MarshalPKIXPublicKey(issuerKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	another, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	valid := i.token(t, nil)
	parts := strings.Split(valid, ".")
	header := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	claims, err := json.Marshal(i.claims(map[string]any{"sub": "root"}))
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"alg none":                  header(`{"alg":"none","typ":"at+jwt"}`) + "." + parts[1] + ".",
		"HS256 with the public key": sign(t, jose.HS256, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "one", "at+jwt", i.claims(nil)),
		"HS256 with it as DER":      sign(t, jose.HS256, public, "one", "at+jwt", i.claims(nil)),
		"another key":               sign(t, jose.RS256, another, "one", "at+jwt", i.claims(nil)),
		"its own key":               sign(t, jose.RS256, another, "", "at+jwt", i.claims(nil)),
		"another algorithm":         sign(t, jose.RS512, issuerKey(), "one", "at+jwt", i.claims(nil)),
		"another type":              sign(t, jose.RS256, issuerKey(), "one", "logout+jwt", i.claims(nil)),
		"other claims":              parts[0] + "." + base64.RawURLEncoding.EncodeToString(claims) + "." + parts[2],
		"no signature":              parts[0] + "." + parts[1] + ".",
	} {
		refuses(t, s, log, what, token, "a token of an outside issuer is not valid")
	}
	for what, token := range map[string]string{"two parts": parts[0] + "." + parts[1], "five parts": valid + ".x.y", "very long": valid + strings.Repeat("A", maxJWT)} {
		if err := lists(s, token); status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := lists(s, valid); err != nil {
		t.Error(err)
	}
}

// What holds for credentials of every kind holds for this one; who has no valid token
// does not learn of it.
func TestIssuer_IsACredentialLikeOthers(t *testing.T) {
	i := newIssuer(t, false)
	expires := time.Now().Add(time.Hour)
	for what, test := range map[string]struct {
		c      store.Credential
		reason string
	}{
		"of another network": {store.Credential{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, "forbidden"},
		"expired":            {store.Credential{Expires: time.Now().Add(-time.Hour)}, "unauthenticated"},
		"not expired":        {store.Credential{Expires: expires}, ""},
		"of other scopes":    {store.Credential{Scopes: []string{"scim:Group"}}, "forbidden"},
	} {
		s, log := trusting(t, i, test.c)
		if err := lists(s, i.token(t, nil)); reasonOf(err) != test.reason {
			t.Errorf("%s: %v, %s", what, err, log)
		}
		refuses(t, s, log, what, i.token(t, map[string]any{"exp": 1}), "expired")
	}
	s, log := trusting(t, i, store.Credential{})
	ctx := context.Background()
	if _, err := s.store.CreateTenant(ctx, store.TenantInfo{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	addTrust(t, s, "acme", i.URL, "acme", store.Credential{})
	if _, err := s.store.SuspendTenant(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if err := lists(s, i.token(t, map[string]any{"aud": "acme"})); reasonOf(err) != "forbidden" {
		t.Errorf("of a suspended tenant: %v", err)
	}
	refuses(t, s, log, "of a suspended tenant, expired", i.token(t, map[string]any{"aud": "acme", "exp": 1}), "expired")
}

func TestIssuer_TwoTenants(t *testing.T) {
	i := newIssuer(t, false)
	s, log := trusting(t, i, store.Credential{})
	if _, err := s.store.CreateTenant(t.Context(), store.TenantInfo{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	addTrust(t, s, "acme", i.URL, "acme", store.Credential{})
	users := musterv1.NewProvisioningServiceClient(s.Conn())
	of := map[string]string{"muster": i.token(t, nil), "acme": i.token(t, map[string]any{"aud": "acme"})}
	for name, token := range of {
		if _, err := users.CreateUser(as(token), &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "of-" + name}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, token := range of {
		all, err := users.ListUsers(as(token), &musterv1.ListUsersRequest{})
		if err != nil || len(all.GetUsers()) != 1 || all.GetUsers()[0].GetUserName() != "of-"+name {
			t.Errorf("%s sees %v, %v", name, all, err)
		}
	}
	refuses(t, s, log, "for both", i.token(t, map[string]any{"aud": []string{"muster", "acme"}}), "which is meant")
}

func TestIssuer_Scopes(t *testing.T) {
	for _, test := range []struct {
		token, required, has, want string
	}{
		{"scim", "scim", "scim", "scim"},
		{"scim", "scim", "scim:read", "scim:read"},
		{"scim", "scim", "scim admin", "scim"},
		{"scim admin", "scim", "scim admin", "scim admin"},
		{"scim admin", "scim", "scim", "scim"},
		{"scim scim:User:read", "scim", "scim", "scim:User:read"},
		{"scim scim:read", "scim", "scim:User scim:Group:write", "scim:User:read"},
		{"scim:read", "scim:read", "scim:User", "scim:User:read"},
		{"scim:read", "scim:read", "scim:write", ""},
		{"provision openid", "provision", "scim:User admin", "scim:User admin"},
		{"provision admin:read", "provision", "scim admin", "admin:read"},
		{"provision scim:Group", "provision", "scim:User scim:write", "scim:Group:write"},
	} {
		said := claims{Scope: strings.Fields(test.token)}
		c := store.Credential{Scopes: strings.Fields(test.has), Settings: store.CredentialSettings{RequiredScope: test.required}}
		said.narrow(&c)
		if got := strings.Join(c.Scopes, " "); got != test.want {
			t.Errorf("%q, where %q is required, of %q: got %q, want %q", test.token, test.required, test.has, got, test.want)
		}
		for _, scope := range c.Scopes {
			if !ScopeWithin(scope, strings.Fields(test.has)) {
				t.Errorf("%q has more than %q", scope, test.has)
			}
		}
	}
}

func TestIssuer_Rotation(t *testing.T) {
	i := newIssuer(t, false)
	s, log := trusting(t, i, store.Credential{})
	var late atomic.Int64
	s.issuers.keys.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	after := func(d time.Duration) { late.Add(int64(d)) }
	old := i.token(t, nil)
	if err := lists(s, old); err != nil {
		t.Fatal(err)
	}
	two, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	token := sign(t, jose.ES256, two, "two", "at+jwt", i.claims(nil))
	for range 50 {
		refuses(t, s, log, "a key that nobody knows", token, "has no key")
	}
	if n := i.asked.Load(); n != 1 {
		t.Errorf("unknown keys ask the issuer %d times", n)
	}
	after(issuer.Pause)
	i.set(func() { i.keys["two"] = two })
	if err := lists(s, token); err != nil {
		t.Errorf("after the pause: %v, %s", err, log)
	}
	after(issuer.Pause)
	for n := range 50 {
		refuses(t, s, log, "keys by chance", sign(t, jose.RS256, issuerKey(), fmt.Sprint("random", n), "at+jwt", i.claims(nil)), "no key")
	}
	if n := i.asked.Load(); n != 3 {
		t.Errorf("the issuer is asked %d times, not 3", n)
	}
	i.set(func() { delete(i.keys, "one") })
	after(issuer.Fresh)
	for deadline := time.Now().Add(10 * time.Second); lists(s, old) == nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a key that was withdrawn is good for ever")
		}
	}
}

func TestIssuer_Outage(t *testing.T) {
	i := newIssuer(t, false)
	s, log := trusting(t, i, store.Credential{})
	var late atomic.Int64
	s.issuers.keys.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	i.set(func() { i.down = true })
	refuses(t, s, log, "keys that were never known", i.token(t, nil), "cannot be reached")
	i.set(func() { i.down = false })
	late.Add(int64(issuer.Pause))
	if err := lists(s, i.token(t, nil)); err != nil {
		t.Fatal(err, log)
	}
	i.set(func() { i.down = true })
	for range 23 {
		late.Add(int64(time.Hour))
		if err := lists(s, i.token(t, nil)); err != nil {
			t.Fatalf("while the issuer is down, after %s: %v", time.Duration(late.Load()), err)
		}
	}
	late.Add(int64(2 * time.Hour))
	refuses(t, s, log, "a day later", i.token(t, nil), "cannot be reached")
}

func TestIssuer_WhatItTells(t *testing.T) {
	text := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }
	}
	for what, test := range map[string]struct {
		change func(i *outsideIssuer)
		works  bool
	}{
		"metadata of RFC 8414": {func(i *outsideIssuer) {
			i.answers["/.well-known/openid-configuration"] = http.NotFound
			i.answers["/.well-known/oauth-authorization-server"] = text(`{"issuer":"` + i.URL + `","jwks_uri":"` + i.URL + `/keys"}`)
		}, true},
		"nothing": {func(i *outsideIssuer) { i.answers["/.well-known/openid-configuration"] = http.NotFound }, false},
		"another issuer": {func(i *outsideIssuer) {
			i.answers["/.well-known/openid-configuration"] = text(`{"issuer":"https://x.test","jwks_uri":"` + i.URL + `/keys"}`)
		}, false},
		"keys of another scheme": {func(i *outsideIssuer) {
			i.answers["/.well-known/openid-configuration"] = text(`{"issuer":"` + i.URL + `","jwks_uri":"file:///etc/passwd"}`)
		}, false},
		"keys in plain text elsewhere": {func(i *outsideIssuer) {
			i.answers["/.well-known/openid-configuration"] = text(`{"issuer":"` + i.URL + `","jwks_uri":"http://keys.test/"}`)
		}, false},
		"a redirect on the same host": {func(i *outsideIssuer) {
			i.answers["/keys"] = http.RedirectHandler("/moved", http.StatusFound).ServeHTTP
			i.answers["/moved"] = func(w http.ResponseWriter, _ *http.Request) { i.writeKeys(w) }
		}, true},
		"a redirect to another host": {func(i *outsideIssuer) {
			other := newIssuer(t, false)
			i.answers["/keys"] = http.RedirectHandler(other.URL+"/keys", http.StatusFound).ServeHTTP
		}, false},
		"an endless key set": {func(i *outsideIssuer) { i.inflated = issuer.MaxAnswer }, false},
		"a large key set":    {func(i *outsideIssuer) { i.inflated = issuer.MaxAnswer / 2 }, true},
		"no JSON":            {func(i *outsideIssuer) { i.answers["/keys"] = text("keys") }, false},
	} {
		i := newIssuer(t, false)
		test.change(i)
		s, log := trusting(t, i, store.Credential{})
		err := lists(s, i.token(t, nil))
		if test.works && err != nil || !test.works && status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: %v, %s", what, err, log)
		}
	}
}

func TestIssuer_OverTLS(t *testing.T) {
	i := newIssuer(t, true)
	s, log := trusting(t, i, store.Credential{})
	refuses(t, s, log, "of an authority that is not known", i.token(t, nil), "certificate")
	s, log = trusting(t, i, store.Credential{})
	pool := x509.NewCertPool()
	pool.AddCert(i.Certificate())
	s.issuers.keys.Client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	if err := lists(s, i.token(t, nil)); err != nil {
		t.Error(err, log)
	}
	i.answers["/keys"] = http.RedirectHandler("http://"+strings.TrimPrefix(i.URL, "https://")+"/keys", http.StatusFound).ServeHTTP
	s, log = trusting(t, i, store.Credential{})
	s.issuers.keys.Client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool}
	refuses(t, s, log, "a redirect to plain text", i.token(t, nil), "leads to")
}

// An issuer that does not answer keeps only its own tokens waiting, and not very many.
func TestIssuer_Slow(t *testing.T) {
	i := newIssuer(t, false)
	release := make(chan struct{})
	i.answers["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) { <-release }
	s, _ := trusting(t, i, store.Credential{})
	slow := i.token(t, nil)
	var wg sync.WaitGroup
	outcomes := make(chan error, 2*issuer.MaxWaiting)
	for range cap(outcomes) {
		wg.Go(func() { outcomes <- lists(s, slow) })
	}
	for range cap(outcomes) - issuer.MaxWaiting {
		if err := <-outcomes; status.Code(err) != codes.Unauthenticated {
			t.Errorf("one too many: %v", err)
		}
	}
	begun := time.Now()
	if err := lists(s, token); err != nil || time.Since(begun) > issuer.Timeout/2 {
		t.Errorf("another credential: %v after %s", err, time.Since(begun))
	}
	if len(outcomes) != 0 {
		t.Error("those who wait do not wait")
	}
	close(release)
	wg.Wait()
}
