package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/muster-scim/muster/store"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keysOf is a JSON Web Key Set.
func keysOf(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func withAssertion(assertion string, pairs ...string) []string {
	return append([]string{"grant_type", "client_credentials", "client_assertion", assertion,
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, pairs...)
}

func TestPrivateKeyJWT(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		first, second, strange := newKey(t), newKey(t), newKey(t)
		b.client(t, "k1", func(c *store.Credential) {
			c.Settings.JWKS = keysOf(t, jose.JSONWebKey{Key: &first.PublicKey, KeyID: "a"}, jose.JSONWebKey{Key: &second.PublicKey, KeyID: "b", Use: "sig"})
		})
		issuer := b.http.URL
		n := 0
		// claims are good ones, but for what changes; nil takes a claim out.
		claims := func(changes map[string]any) map[string]any {
			n++
			c := map[string]any{"iss": "k1", "sub": "k1", "aud": issuer, "exp": time.Now().Add(time.Minute).Unix(), "jti": n}
			c["jti"] = string(rune('a'+n)) + "jti"
			maps.Copy(c, changes)
			maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
			return c
		}
		for name, assertion := range map[string]string{
			"for the issuer":         sign(t, jose.ES256, first, "a", claims(nil)),
			"for the token endpoint": sign(t, jose.ES256, second, "b", claims(map[string]any{"aud": []string{"x", issuer + tokenPath}, "iat": time.Now().Unix(), "nbf": time.Now().Unix()})),
		} {
			if r := b.ask(t, withAssertion(assertion)...); r.status != 200 || b.scopesOf(t, r.json(t)["access_token"]) == nil {
				t.Errorf("%s: %d %s", name, r.status, r.body)
			}
			b.ask(t, withAssertion(assertion)...).refuses(t, name+", again", 401, "invalid_client")
		}
		if r := b.ask(t, withAssertion(sign(t, jose.ES256, first, "a", claims(nil)), "client_id", "k1")...); r.status != 200 {
			t.Errorf("with client_id: %d %s", r.status, r.body)
		}
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + payloadOf(t, claims(nil)) + "."
		for name, assertion := range map[string]string{
			"another key":         sign(t, jose.ES256, strange, "a", claims(nil)),
			"an unknown key":      sign(t, jose.ES256, first, "c", claims(nil)),
			"alg none":            none,
			"a MAC":               sign(t, jose.HS256, []byte(strings.Repeat("k", 32)), "a", claims(nil)),
			"another audience":    sign(t, jose.ES256, first, "a", claims(map[string]any{"aud": "https://elsewhere.example.com"})),
			"no audience":         sign(t, jose.ES256, first, "a", claims(map[string]any{"aud": nil})),
			"expired":             sign(t, jose.ES256, first, "a", claims(map[string]any{"exp": time.Now().Add(-time.Second).Unix()})),
			"no exp":              sign(t, jose.ES256, first, "a", claims(map[string]any{"exp": nil})),
			"valid for too long":  sign(t, jose.ES256, first, "a", claims(map[string]any{"exp": time.Now().Add(25 * time.Hour).Unix()})),
			"of the future":       sign(t, jose.ES256, first, "a", claims(map[string]any{"nbf": time.Now().Add(10 * time.Minute).Unix()})),
			"issued later":        sign(t, jose.ES256, first, "a", claims(map[string]any{"iat": time.Now().Add(10 * time.Minute).Unix()})),
			"no jti":              sign(t, jose.ES256, first, "a", claims(map[string]any{"jti": nil})),
			"another subject":     sign(t, jose.ES256, first, "a", claims(map[string]any{"sub": "c1"})),
			"another client":      sign(t, jose.ES256, first, "a", claims(map[string]any{"iss": "c1", "sub": "c1"})),
			"no client":           sign(t, jose.ES256, first, "a", claims(map[string]any{"iss": "k9", "sub": "k9"})),
			"changed afterwards":  changed(t, sign(t, jose.ES256, first, "a", claims(nil)), claims(nil)),
			"no JWT":              "x",
			"no JSON in the JWT":  "e30.e30e30.e30",
			"a signature missing": strings.Join(strings.Split(none, ".")[:2], "."),
		} {
			b.ask(t, withAssertion(assertion)...).refuses(t, name, 401, "invalid_client")
		}
		good := func() string { return sign(t, jose.ES256, first, "a", claims(nil)) }
		b.ask(t, withAssertion(good(), "client_id", "c1")...).refuses(t, "with another client_id", 401, "invalid_client")
		b.ask(t, withAssertion(good(), "client_assertion_type", "x")...).refuses(t, "another type", 400, "invalid_request")
		b.ask(t, withAssertion(good(), "client_id", "c1", "client_secret", "secret of c1")...).refuses(t, "two proofs", 400, "invalid_request")
		b.ask(t, "grant_type", "client_credentials", "client_id", "k1", "client_secret", "secret of k1").refuses(t, "a secret that it has not", 401, "invalid_client")
	})
}

func payloadOf(t *testing.T, claims map[string]any) string {
	t.Helper()
	text, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// changed is a JWT with other claims under the same signature.
func changed(t *testing.T, jwt string, claims map[string]any) string {
	t.Helper()
	parts := strings.Split(jwt, ".")
	return parts[0] + "." + payloadOf(t, claims) + "." + parts[2]
}
