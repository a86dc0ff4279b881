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

// Who has an access token of an issuer that the tenant trusts is let in at both doors,
// and who has an expired one at none; the log says why.
func TestIssuer_BothDoors(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			json.NewEncoder(w).Encode(map[string]string{"issuer": issuer.URL, "jwks_uri": issuer.URL + "/keys"})
		case "/keys":
			json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
		}
	}))
	defer issuer.Close()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	token := func(ends time.Duration) string {
		text, err := jwt.Signed(signer).Claims(map[string]any{"iss": issuer.URL, "aud": "muster", "scope": "scim", "exp": time.Now().Add(ends).Unix()}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	onBoth(t, func(t *testing.T, p *program) {
		tenant, err := openStore(t, p).Tenant(t.Context(), "default")
		if err != nil {
			t.Fatal(err)
		}
		if err := tenant.AddCredential(t.Context(), store.Credential{Name: "hr", Kind: store.Issuer, Scopes: []string{"scim"}, Lookup: "issuer:" + issuer.URL + " muster",
			Settings: store.CredentialSettings{Issuer: issuer.URL, Audience: "muster", Algorithms: []string{"ES256"}, RequiredScope: "scim"}}, nil); err != nil {
			t.Fatal(err)
		}
		for ends, want := range map[time.Duration]struct {
			http int
			grpc codes.Code
		}{time.Hour: {200, codes.OK}, -time.Hour: {401, codes.Unauthenticated}} {
			bearer := "Bearer " + token(ends)
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
