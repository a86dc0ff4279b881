package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// assertionAlgorithms are how a client may sign.
var assertionAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

const (
	// maxAssertion is how far ahead an assertion may expire: so long it is remembered.
	maxAssertion = 24 * time.Hour
	// clockSkew is how far the clock of a client may be ahead.
	clockSkew = time.Minute
)

// proveByAssertion finds the client that signed a JWT (private_key_jwt: RFC 7523
// section 2.2) with one of its keys, and has not used it before.
func (g *grants) proveByAssertion(ctx context.Context, issuer string, shown *op.ClientCredentials) (store.Principal, error) {
	claims := new(oidc.JWTTokenRequest)
	payload, err := oidc.ParseToken(shown.ClientAssertion, claims)
	if err != nil {
		return store.Principal{}, wrongAssertion("is no JWT")
	}
	id := claims.Issuer
	if id == "" || id != claims.Subject || shown.ClientID != "" && shown.ClientID != id {
		return store.Principal{}, wrongAssertion("needs the client_id as iss and as sub")
	}
	p, err := g.store.OAuthClient(ctx, id)
	if err != nil {
		return store.Principal{}, err
	}
	var keys keySet
	if jwks := p.Credential.Settings.JWKS; jwks != "" {
		if err := json.Unmarshal([]byte(jwks), &keys); err != nil {
			return store.Principal{}, err
		}
	}
	if err := oidc.CheckSignature(ctx, shown.ClientAssertion, payload, claims, assertionAlgorithms, keys); err != nil {
		return store.Principal{}, wrongAssertion("is not signed with a key of the client")
	}
	if err := checkClaims(claims, issuer); err != nil {
		return store.Principal{}, err
	}
	used := sha256.Sum256([]byte("assertion\x00" + id + "\x00" + claims.JWTID))
	return p, g.store.RememberAssertion(ctx, p.ID, used, claims.GetExpiration())
}

// checkClaims holds what a client signed against RFC 7523 section 3.
func checkClaims(claims *oidc.JWTTokenRequest, issuer string) error {
	now := time.Now()
	early := now.Add(clockSkew)
	notBefore, hasNotBefore := claims.GetCustomClaim("nbf").(float64)
	switch {
	case !slices.Contains(claims.Audience, issuer) && !slices.Contains(claims.Audience, issuer+tokenPath):
		return wrongAssertion("needs the issuer or the token endpoint as aud")
	case oidc.CheckExpiration(claims, 0) != nil:
		return wrongAssertion("has expired, or says not when it expires")
	case claims.GetExpiration().After(now.Add(maxAssertion)):
		return wrongAssertion("expires more than a day from now")
	case hasNotBefore && time.Unix(int64(notBefore), 0).After(early), claims.GetIssuedAt().After(early):
		return wrongAssertion("is of the future; are the clocks right?")
	case claims.JWTID == "":
		return wrongAssertion("needs a jti, another each time")
	}
	return nil
}

func wrongAssertion(what string) error {
	return scim.Errorf(scim.Unauthenticated, "the assertion %s", what)
}

// keySet are the keys of a client.
type keySet struct{ jose.JSONWebKeySet }

// VerifySignature returns what was signed with one of the keys.
func (keys keySet) VerifySignature(_ context.Context, jws *jose.JSONWebSignature) (payload []byte, err error) {
	id, algorithm := oidc.GetKeyIDAndAlg(jws)
	key, err := oidc.FindMatchingKey(id, oidc.KeyUseSignature, algorithm, keys.Keys...)
	if err != nil {
		return nil, err
	}
	return jws.Verify(&key)
}
