package test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/muster-scim/muster/store"
)

// An outsideIssuer is an issuer of access tokens that tenants can trust, with OIDC
// discovery and one key.
type outsideIssuer struct {
	*httptest.Server

	signer jose.Signer
}

func newOutsideIssuer(t *testing.T) *outsideIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	o := &outsideIssuer{}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": o.URL, "jwks_uri": o.URL + "/keys"})
		case "/keys":
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
		}
	}))
	t.Cleanup(o.Close)
	o.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// token is an access token for an audience, with scopes, that ends then.
func (o *outsideIssuer) token(t *testing.T, audience, scope string, ends time.Duration) string {
	t.Helper()
	text, err := jwt.Signed(o.signer).Claims(map[string]any{"iss": o.URL, "aud": audience, "scope": scope, "exp": time.Now().Add(ends).Unix()}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// trusted makes the default tenant trust the tokens for this audience, with these
// scopes of the credential.
func (o *outsideIssuer) trusted(t *testing.T, p *program, name, audience string, scopes ...string) {
	t.Helper()
	tenant, err := openStore(t, p).Tenant(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.AddCredential(t.Context(), store.Credential{Name: name, Kind: store.Issuer, Scopes: scopes, Lookup: "issuer:" + o.URL + " " + audience,
		Settings: store.CredentialSettings{Issuer: o.URL, Audience: audience, Algorithms: []string{"ES256"}, RequiredScope: "scim"}}, nil); err != nil {
		t.Fatal(err)
	}
}

// Who has an access token of an issuer that the tenant trusts is let in at both doors,
// and who has an expired one at none; the log says why.
func TestIssuer_BothDoors(t *testing.T) {
	issuer := newOutsideIssuer(t)
	onBoth(t, func(t *testing.T, p *program) {
		issuer.trusted(t, p, "hr", "muster", "scim")
		for ends, want := range map[time.Duration]struct {
			http int
			grpc codes.Code
		}{time.Hour: {200, codes.OK}, -time.Hour: {401, codes.Unauthenticated}} {
			bearer := "Bearer " + issuer.token(t, "muster", "scim", ends)
			p.must(t, want.http, http.MethodGet, "/Users", "", "Authorization", bearer)
			if got := list(metadata.AppendToOutgoingContext(context.Background(), "authorization", bearer), p.dial(t)); got != want.grpc {
				t.Errorf("gRPC answers %v, want %v", got, want.grpc)
			}
		}
		if log := p.out.String(); !strings.Contains(log, `"credential":"hr"`) || !strings.Contains(log, "token is expired") || strings.Contains(log, "eyJ") {
			t.Errorf("the log: %s", log)
		}
	})
}
