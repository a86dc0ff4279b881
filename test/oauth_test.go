package test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const oauthCallback = "http://127.0.0.1:1/callback"

// An authorizationServer is what the program says of its own.
type authorizationServer struct {
	*program

	admin    string // a credential with the scope admin
	endpoint oauth2.Endpoint
	revoke   string
	issuer   string
}

// authorization finds the endpoints as a client does, by RFC 8414.
func (p *program) authorization(t *testing.T) *authorizationServer {
	t.Helper()
	origin := strings.TrimSuffix(p.base, "/scim/v2")
	m := p.must(t, 200, http.MethodGet, origin+"/.well-known/oauth-authorization-server", "", "Authorization", "")
	text := func(name string) string { s, _ := m[name].(string); return s }
	if text("issuer") != origin {
		t.Fatalf("the issuer is %q", text("issuer"))
	}
	return &authorizationServer{
		program: p, admin: p.credential(t, "ops", "admin"), issuer: origin, revoke: text("revocation_endpoint"),
		endpoint: oauth2.Endpoint{AuthURL: text("authorization_endpoint"), TokenURL: text("token_endpoint")},
	}
}

// client makes an OAuth client over gRPC.
func (a *authorizationServer) client(t *testing.T, name string, client *musterv1.OAuthClient, scopes ...string) (id, secret string) {
	t.Helper()
	made, err := musterv1.NewCredentialServiceClient(a.dial(t)).CreateCredential(bearing(a.admin), &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{
		Name: name, Kind: musterv1.Credential_KIND_OAUTH, Scopes: scopes, OfKind: &musterv1.Credential_Oauth{Oauth: client},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetCredential().GetOauth().GetClientId(), made.GetSecret()
}

// users is the status of a list of users with a token, which must be the same over
// gRPC.
func (a *authorizationServer) users(t *testing.T, token string) int {
	t.Helper()
	rest := a.rest(t, http.MethodGet, "/Users", "", "Authorization", "Bearer "+token).status
	_, err := musterv1.NewProvisioningServiceClient(a.dial(t)).ListUsers(bearing(token), &musterv1.ListUsersRequest{})
	if want := map[int]codes.Code{200: codes.OK, 401: codes.Unauthenticated, 403: codes.PermissionDenied}[rest]; status.Code(err) != want {
		t.Errorf("REST answers %d and gRPC %v", rest, err)
	}
	return rest
}

// refusedWith is the OAuth error that a client library was answered with.
func refusedWith(err error) string {
	if e, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return e.ErrorCode
	}
	return ""
}

func TestOAuth_ClientCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		a := p.authorization(t)
		id, secret := a.client(t, "cyberark", nil, "scim")
		var tokens []string
		for name, style := range map[string]oauth2.AuthStyle{"in the header": oauth2.AuthStyleInHeader, "in the body": oauth2.AuthStyleInParams} {
			config := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: a.endpoint.TokenURL, AuthStyle: style}
			got, err := config.Token(t.Context())
			if err != nil || got.Type() != "Bearer" || !strings.HasPrefix(got.AccessToken, "muster_at_") || time.Until(got.Expiry) < 59*time.Minute {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
			res, err := config.Client(t.Context()).Get(p.base + "/Users")
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %v, %v", name, res, err)
			}
			res.Body.Close()
			tokens = append(tokens, got.AccessToken)
		}
		p.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada"}`, "Authorization", "Bearer "+tokens[0])

		narrow := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: a.endpoint.TokenURL, Scopes: []string{"scim:Group"}}
		got, err := narrow.Token(t.Context())
		if err != nil || a.users(t, got.AccessToken) != 403 {
			t.Errorf("with the scope scim:Group: %v", err)
		}
		for name, config := range map[string]clientcredentials.Config{
			"invalid_client": {ClientID: id, ClientSecret: secret + "x"},
			"invalid_scope":  {ClientID: id, ClientSecret: secret, Scopes: []string{"admin"}},
		} {
			config.TokenURL, config.AuthStyle = a.endpoint.TokenURL, oauth2.AuthStyleInHeader
			if _, err := config.Token(t.Context()); refusedWith(err) != name {
				t.Errorf("%s: %v", name, err)
			}
		}
		// The secret of a client is no token.
		if got := a.users(t, secret); got != 401 {
			t.Errorf("the client's secret as a token: %d", got)
		}
		basic := &http.Request{Header: http.Header{}}
		basic.SetBasicAuth(id, secret)
		p.must(t, 401, http.MethodGet, "/Users", "", "Authorization", basic.Header.Get("Authorization"))

		if got := a.users(t, tokens[0]); got != 200 {
			t.Errorf("before its revocation: %d", got)
		}
		a.revokes(t, id, secret, tokens[0])
		if got := a.users(t, tokens[0]); got != 401 {
			t.Errorf("a revoked token: %d", got)
		}
		if got := a.users(t, tokens[1]); got != 200 {
			t.Errorf("another token: %d", got)
		}
		mustRun(t, command(p.database, "credential", "revoke", "cyberark"))
		if got := a.users(t, tokens[1]); got != 401 {
			t.Errorf("a token of a revoked client: %d", got)
		}
		if _, err := narrow.Token(t.Context()); refusedWith(err) != "invalid_client" {
			t.Errorf("a revoked client: %v", err)
		}
		a.logHasNone(t, append(tokens, secret, a.admin))
	})
}

// revokes revokes a token, as RFC 7009 says.
func (a *authorizationServer) revokes(t *testing.T, id, secret, token string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, a.revoke, strings.NewReader(url.Values{"token": {token}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(id, secret)
	res, err := noRedirects.Do(req)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", res, err)
	}
	res.Body.Close()
}

func (a *authorizationServer) logHasNone(t *testing.T, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" || strings.Contains(a.out.String(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// submit opens the page as a browser does, and sends its form with a decision.
func (a *authorizationServer) submit(t *testing.T, address, credential string) reply {
	t.Helper()
	page := a.rest(t, http.MethodGet, address, "", "Authorization", "")
	if page.status != 200 {
		t.Fatalf("the page: %d %.500s", page.status, page.body)
	}
	form := url.Values{"decision": {"allow"}, "credential": {credential}}
	for _, input := range hiddenInput.FindAllStringSubmatch(string(page.body), -1) {
		form.Set(input[1], html.UnescapeString(input[2]))
	}
	return a.rest(t, http.MethodPost, a.endpoint.AuthURL, form.Encode(), "Authorization", "", "Content-Type", "application/x-www-form-urlencoded",
		"Origin", a.issuer, "Sec-Fetch-Site", "same-origin")
}

// allow submits the form with a good credential. It returns the query of the redirect
// URI.
func (a *authorizationServer) allow(t *testing.T, address, credential string) url.Values {
	t.Helper()
	answer := a.submit(t, address, credential)
	to, query, _ := strings.Cut(answer.header.Get("Location"), "?")
	if answer.status != http.StatusSeeOther || to != oauthCallback {
		t.Fatalf("the form: %d %v %.500s", answer.status, answer.header, answer.body)
	}
	values, err := url.ParseQuery(query)
	if err != nil || values.Get("iss") != a.issuer {
		t.Fatalf("the answer is %v, %v", values, err)
	}
	return values
}

func TestOAuth_AuthorizationCode(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		a := p.authorization(t)
		id, secret := a.client(t, "cyberark", &musterv1.OAuthClient{RedirectUris: []string{oauthCallback}}, "scim")
		config := &oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: a.endpoint, RedirectURL: oauthCallback, Scopes: []string{"scim"}}
		verifier := oauth2.GenerateVerifier()
		values := a.allow(t, config.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier)), a.admin)
		code := values.Get("code")
		if values.Get("state") != "the state" || a.users(t, code) != 401 {
			t.Errorf("the answer is %v, or the code is let in", values)
		}
		if _, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(oauth2.GenerateVerifier())); refusedWith(err) != "invalid_grant" {
			t.Errorf("with another verifier: %v", err)
		}
		first, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
		if err != nil || a.users(t, first.AccessToken) != 200 || a.users(t, first.RefreshToken) != 401 {
			t.Fatalf("%+v, %v", first, err)
		}

		// The library refreshes what has expired; each refresh token is good once.
		refresh := func(old *oauth2.Token) (*oauth2.Token, error) {
			return config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: old.RefreshToken, Expiry: time.Now().Add(-time.Hour)}).Token()
		}
		second, err := refresh(first)
		if err != nil || second.RefreshToken == first.RefreshToken || a.users(t, second.AccessToken) != 200 {
			t.Fatalf("%+v, %v", second, err)
		}
		if _, err := refresh(first); refusedWith(err) != "invalid_grant" {
			t.Errorf("a refresh token once more: %v", err)
		}
		for _, token := range []*oauth2.Token{first, second} {
			if got := a.users(t, token.AccessToken); got != 401 {
				t.Errorf("after the reuse: %d", got)
			}
		}
		if _, err := refresh(second); refusedWith(err) != "invalid_grant" {
			t.Errorf("the other refresh token: %v", err)
		}
		a.logHasNone(t, []string{code, first.AccessToken, first.RefreshToken, second.RefreshToken, secret, verifier, a.admin})
	})
}

func TestOAuth_CodeOnceMore(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		a := p.authorization(t)
		id, secret := a.client(t, "cyberark", &musterv1.OAuthClient{RedirectUris: []string{oauthCallback}}, "scim")
		config := &oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: a.endpoint, RedirectURL: oauthCallback}
		verifier := oauth2.GenerateVerifier()
		code := a.allow(t, config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)), a.admin).Get("code")
		got, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)); refusedWith(err) != "invalid_grant" {
			t.Errorf("once more: %v", err)
		}
		if got := a.users(t, got.AccessToken); got != 401 {
			t.Errorf("its token is let in: %d", got)
		}
	})
}

// An assertion is good once, on all servers of a database.
func TestOAuth_PrivateKeyJWT(t *testing.T) {
	t.Parallel()
	database := postgresURL(t)
	a := start(t, database).authorization(t)
	second := serve(t, database)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	id, secret := a.client(t, "cyberark", &musterv1.OAuthClient{Jwks: string(keys)}, "scim")
	if secret != "" {
		t.Error("a client with keys has a secret")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := strings.TrimSuffix(second.base, "/scim/v2")
	assertion, err := jwt.Signed(signer).Claims(jwt.Claims{
		Issuer: id, Subject: id, Audience: jwt.Audience{a.issuer, elsewhere}, ID: rand.Text(), Expiry: jwt.NewNumericDate(time.Now().Add(time.Minute)),
	}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(tokenURL string) (*oauth2.Token, error) {
		config := clientcredentials.Config{TokenURL: tokenURL, AuthStyle: oauth2.AuthStyleInParams, EndpointParams: url.Values{
			"client_assertion": {assertion}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}}
		return config.Token(context.Background())
	}
	got, err := ask(a.endpoint.TokenURL)
	if err != nil || a.users(t, got.AccessToken) != 200 {
		t.Fatalf("%+v, %v", got, err)
	}
	second.must(t, 200, http.MethodGet, "/Users", "", "Authorization", "Bearer "+got.AccessToken)
	for _, tokenURL := range []string{a.endpoint.TokenURL, elsewhere + "/oauth2/token"} {
		if _, err := ask(tokenURL); refusedWith(err) != "invalid_client" {
			t.Errorf("once more at %s: %v", tokenURL, err)
		}
	}
}

// What discovery says of OAuth is there.
func TestOAuth_IsAdvertised(t *testing.T) {
	p := start(t, sqliteURL(t))
	config := p.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")
	var types []string
	for _, scheme := range config["authenticationSchemes"].([]any) {
		types = append(types, scheme.(map[string]any)["type"].(string))
	}
	if want := []string{"oauthbearertoken", "oauth2", "httpbasic"}; !slices.Equal(types, want) {
		t.Errorf("authenticationSchemes are %v, want %v", types, want)
	}
}
