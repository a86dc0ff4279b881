package test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A listener keeps all answers over HTTP but those whose purpose is to hand out a
// secret: a good answer of the token endpoint, and the redirect with the code.
type listener struct {
	mu   sync.Mutex
	said strings.Builder
	n    int
}

func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := noRedirects.Transport.RoundTrip(r)
	if err != nil {
		return res, err
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	res.Body = io.NopCloser(bytes.NewReader(body))
	if r.URL.Path == "/oauth2/token" && res.StatusCode == http.StatusOK || res.StatusCode == http.StatusSeeOther {
		return res, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	l.said.Write(body)
	_ = res.Header.Write(&l.said)
	return res, err
}

// shapes are all texts by which a secret would be known again.
func shapes(secret string) []string {
	all := []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), url.QueryEscape(secret)}
	for part := range strings.SplitSeq(secret, ".") { // of a JWT: what it says, and its signature
		if len(part) > 30 {
			all = append(all, part)
		}
	}
	if _, random, ok := strings.Cut(secret, "muster_at_"); ok {
		all = append(all, random)
	}
	if _, random, ok := strings.Cut(secret, "muster_rt_"); ok {
		all = append(all, random)
	}
	return all
}

// What OAuth hands out or is given, and what an outside issuer signed, is where it is
// shown once and nowhere else: in no log, no other answer, no row of any table.
func TestOAuth_SecretsAreNowhere(t *testing.T) {
	issuer := newOutsideIssuer(t)
	onBoth(t, func(t *testing.T, p *program) {
		ear := &listener{}
		p.client = &http.Client{Transport: ear, CheckRedirect: noRedirects.CheckRedirect, Timeout: time.Minute}
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, p.client)
		a := p.authorization(t)
		issuer.trusted(t, p, "hr", "muster", "scim")
		id, secret := a.client(t, "cyberark", &musterv1.OAuthClient{RedirectUris: []string{oauthCallback}}, "scim")
		mustRun(t, command(p.database, "recording", "start", "cyberark", "--max", "10000"))
		mustRun(t, command(p.database, "recording", "start", "hr", "--max", "10000"))

		secrets := map[string]string{"the secret of the client": secret, "the operator's token": a.admin}
		a.converse(t, ctx, id, secret, secrets)
		secrets["a token of the issuer"] = issuer.token(t, "muster", "scim", time.Hour)
		secrets["an expired token of the issuer"] = issuer.token(t, "muster", "scim", -time.Hour)
		secrets["a token of the issuer for another"] = issuer.token(t, "another", "scim", time.Hour)
		p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", "Bearer "+secrets["a token of the issuer"])

		for deadline := time.Now().Add(15 * time.Second); strings.Contains(p.runs(t, "recording", "list", "--json"), `"exchanges":0`); time.Sleep(100 * time.Millisecond) {
			p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", "Bearer "+secrets["a token of the issuer"])
			p.must(t, 200, http.MethodGet, "/Users", "", "Authorization", "Bearer "+secrets["the next access token"])
			if time.Now().After(deadline) {
				t.Fatal("nothing is recorded")
			}
		}

		said := ""
		for _, s := range secrets {
			said += p.showsAround(t, s)
		}
		for _, what := range []string{"audit-events", "credentials", "recordings"} {
			p.must(t, 200, http.MethodGet, a.issuer+"/admin/v1/tenants/default/"+what, "", "Authorization", "Bearer "+a.admin)
		}
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		p.hidesAll(t, secrets, map[string]string{"log": p.out.String(), "answers": ear.said.String(), "answers of gRPC": said, "rows": dump(t, p.database)})
		if ear.n < 100 || !strings.Contains(ear.said.String(), id) {
			t.Errorf("%d answers: this test looks in the wrong place", ear.n)
		}
	})
}

// converse goes through the grants of a client, well and badly, and notes its secrets.
func (a *authorizationServer) converse(t *testing.T, ctx context.Context, id, secret string, secrets map[string]string) {
	t.Helper()
	config := &oauth2.Config{ClientID: id, ClientSecret: secret, Endpoint: a.endpoint, RedirectURL: oauthCallback, Scopes: []string{"scim"}}
	verifier := oauth2.GenerateVerifier()
	address := config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier))
	secrets["a wrong operator's token"], secrets["the verifier"], secrets["a wrong secret"] = "muster_operators-wrong-token", verifier, secret[:len(secret)-4]+"9999-wrong"
	if got := a.submit(t, address, secrets["a wrong operator's token"]); got.status == http.StatusSeeOther {
		t.Errorf("a wrong operator is let in: %v", got.header)
	}
	secrets["the code"] = a.allow(t, address, a.admin).Get("code")
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
		wrong := *config
		wrong.ClientSecret, wrong.Endpoint.AuthStyle = secrets["a wrong secret"], style
		if _, err := wrong.Exchange(ctx, secrets["the code"], oauth2.VerifierOption(verifier)); refusedWith(err) != "invalid_client" {
			t.Errorf("with a wrong secret: %v", err)
		}
	}
	first, err := config.Exchange(ctx, secrets["the code"], oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	secrets["an access token"], secrets["a refresh token"] = first.AccessToken, first.RefreshToken
	a.must(t, 201, http.MethodPost, "/Users", `{"userName":"ada"}`, "Authorization", "Bearer "+first.AccessToken)
	second, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: first.RefreshToken, Expiry: time.Now().Add(-time.Hour)}).Token()
	if err != nil {
		t.Fatal(err)
	}
	secrets["the next access token"], secrets["the next refresh token"] = second.AccessToken, second.RefreshToken
	a.users(t, second.AccessToken)
	for name, form := range map[string]url.Values{
		"a refresh token that is wrong": {"grant_type": {"refresh_token"}, "refresh_token": {second.RefreshToken + "x"}},
		"another grant":                 {"grant_type": {"password"}, "username": {"u"}, "password": {secrets["a wrong secret"]}},
		"no scope":                      {"grant_type": {"client_credentials"}, "scope": {secrets["a wrong secret"]}},
	} {
		form.Set("client_id", id)
		form.Set("client_secret", secret)
		for _, query := range []string{"", "?" + form.Encode()} {
			if got := a.rest(t, http.MethodPost, a.endpoint.TokenURL+query, form.Encode(), "Authorization", "", "Content-Type", "application/x-www-form-urlencoded"); got.status < 400 {
				t.Errorf("%s: %d", name, got.status)
			}
		}
	}
	a.revokes(t, id, secret, "muster_at_unknown")
}

// showsAround shows a secret wherever one could be shown by mistake, and returns what
// gRPC says.
func (p *program) showsAround(t *testing.T, s string) (said string) {
	t.Helper()
	origin := strings.TrimSuffix(p.base, "/scim/v2")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("cyberark:"+s))
	for _, authorization := range []string{"Bearer " + s, basic, s, "SSWS " + s, s + " " + s + " x", "Bearer " + s + "x", "Digest " + s} {
		for _, path := range []string{"/Groups", origin + "/admin/v1/tenants", origin + "/oauth2/authorize", "/Nothing"} {
			p.rest(t, http.MethodGet, path, "", "Authorization", authorization)
		}
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke"} {
			form := url.Values{"token": {s}, "grant_type": {"refresh_token"}, "refresh_token": {s}, "code": {s}}
			p.rest(t, http.MethodPost, origin+path, form.Encode(), "Authorization", authorization, "Content-Type", "application/x-www-form-urlencoded")
		}
	}
	p.rest(t, http.MethodGet, "/Groups?access_token="+url.QueryEscape(s), "", "Authorization", "")
	for _, bearer := range []string{s, s + "x"} {
		answer, err := musterv1.NewProvisioningServiceClient(p.dial(t)).ListGroups(bearing(bearer), &musterv1.ListGroupsRequest{})
		if said += answer.String(); err != nil {
			said += err.Error()
		}
	}
	return said
}

// hidesAll tells that none of the places has one of the secrets in any shape.
func (p *program) hidesAll(t *testing.T, secrets, places map[string]string) {
	t.Helper()
	// The binary columns are looked into as well, or the hash would not be there.
	for _, name := range []string{"an access token", "a refresh token", "the operator's token"} {
		if hash := sha256.Sum256([]byte(secrets[name])); !strings.Contains(places["rows"], string(hash[:])) {
			t.Errorf("the rows have no hash of %s: this test looks in the wrong place", name)
		}
	}
	for name, s := range secrets {
		if len(s) < 20 {
			t.Errorf("%s is %q", name, s)
		}
		for _, shape := range shapes(s) {
			for place, text := range places {
				if at := strings.Index(text, shape); at >= 0 {
					t.Errorf("%s is in the %s: %q", name, place, text[max(0, at-100):min(len(text), at+len(shape)+20)])
				}
			}
			if path, ok := strings.CutPrefix(p.database, "sqlite://"); ok && holds(t, path, shape) {
				t.Errorf("%s is in the file", name)
			}
		}
	}
}
