package server

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strings"
	"unicode"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// What only some kinds of credentials have. Those that are not found by a secret
// are found by a lookup, whose form is the business of this file.

// oauthLookup is the lookup of a client of our OAuth 2.0 server.
func oauthLookup(clientID string) string { return "oauth:" + clientID }

// issuerLookup is the lookup of an outside issuer and one audience.
func issuerLookup(issuer, audience string) string { return "issuer:" + issuer + " " + audience }

// kinds are the kinds of the contract.
var kinds = map[musterv1.Credential_Kind]store.Kind{
	musterv1.Credential_KIND_UNSPECIFIED: store.Bearer,
	musterv1.Credential_KIND_BEARER:      store.Bearer,
	musterv1.Credential_KIND_BASIC:       store.Basic,
	musterv1.Credential_KIND_DIRECT:      store.Direct,
	musterv1.Credential_KIND_OAUTH:       store.OAuth,
	musterv1.Credential_KIND_CERTIFICATE: store.Certificate,
	musterv1.Credential_KIND_ISSUER:      store.Issuer,
}

func kindOf(kind store.Kind) musterv1.Credential_Kind {
	for k, known := range kinds {
		if known == kind && k != musterv1.Credential_KIND_UNSPECIFIED {
			return k
		}
	}
	return musterv1.Credential_KIND_UNSPECIFIED
}

// Limits of what a kind has.
const (
	maxLogin        = 255 // bytes
	maxURI          = 2048
	maxRedirectURIs = 20
	maxJWKS         = 64 << 10
	maxKeys         = 20
)

// Where nothing else is asked for.
var defaultAlgorithms = []string{"RS256", "ES256"}

// safeAlgorithms are the signature algorithms that a token may have: by a private
// key, so that who checks a token cannot make one.
var safeAlgorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// makeKind gives a new credential what is decided once: the login, the id of a
// client, the fingerprint of a certificate.
func makeKind(c *store.Credential, asked *musterv1.Credential) error {
	given := map[store.Kind]bool{
		store.Basic: asked.GetBasic() != nil, store.OAuth: asked.GetOauth() != nil,
		store.Certificate: asked.GetCertificate() != nil, store.Issuer: asked.GetIssuer() != nil,
	}
	for kind, isGiven := range given {
		if isGiven && kind != c.Kind {
			return scim.Errorf(scim.InvalidValue, "the kind is %s, and %s is given", c.Kind, kind).At("kind")
		}
	}
	switch c.Kind {
	case store.Basic:
		c.Settings.Login = asked.GetBasic().GetLogin()
		if c.Settings.Login == "" {
			c.Settings.Login = c.Name
		}
		return checkLogin(c.Settings.Login)
	case store.OAuth:
		c.Lookup = oauthLookup("client-" + rand.Text())
	case store.Certificate:
		fingerprint, err := readFingerprint(asked.GetCertificate())
		c.Lookup = CertificateLookup(fingerprint)
		return err
	case store.Issuer:
		c.Settings.Algorithms, c.Settings.RequiredScope = defaultAlgorithms, ScopeSCIM
	case store.Bearer, store.Direct:
	}
	return nil
}

// checkLogin refuses what Basic authorization cannot carry (RFC 7617 section 2).
func checkLogin(login string) error {
	if len(login) > maxLogin || strings.ContainsRune(login, ':') || strings.ContainsFunc(login, unicode.IsControl) {
		return scim.Errorf(scim.InvalidValue, "the login has at most %d bytes, no colon and no control characters", maxLogin).At("basic.login")
	}
	return nil
}

// readFingerprint reads a certificate, or its fingerprint.
func readFingerprint(from *musterv1.CertificateCredential) (string, error) {
	given := strings.ToLower(strings.ReplaceAll(from.GetFingerprint(), ":", ""))
	if sum, err := hex.DecodeString(given); given != "" && (err != nil || len(sum) != sha256.Size) {
		return "", scim.Errorf(scim.InvalidValue, "the fingerprint is no SHA-256 in hex, of 64 digits").At("certificate.fingerprint")
	}
	data := from.GetCertificate()
	if len(data) == 0 && given == "" {
		return "", scim.Errorf(scim.InvalidValue, "give the certificate, as PEM or DER, or the fingerprint of its public key").At("certificate")
	}
	if len(data) == 0 {
		return given, nil
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	cert, err := x509.ParseCertificate(data)
	if err != nil {
		return "", scim.Errorf(scim.InvalidValue, "it is no certificate in PEM or DER").At("certificate.certificate")
	}
	of := CertificateFingerprint(cert)
	if given != "" && given != of {
		return "", scim.Errorf(scim.InvalidValue, "the fingerprint of the certificate's public key is %s", of).At("certificate.fingerprint")
	}
	return of, nil
}

// setKind sets a field of what only the credential's kind has.
func setKind(c *store.Credential, from *musterv1.Credential, path string) error {
	of, _, _ := strings.Cut(path, ".")
	if of != string(c.Kind) {
		return scim.Errorf(scim.InvalidValue, "the kind of %s is %s, which has no %s", c.Name, c.Kind, of).At(of)
	}
	set, client, issuer := &c.Settings, from.GetOauth(), from.GetIssuer()
	switch path {
	case "oauth":
		set.RedirectURIs, set.JWKS = client.GetRedirectUris(), client.GetJwks()
	case "oauth.redirect_uris":
		set.RedirectURIs = client.GetRedirectUris()
	case "oauth.jwks":
		set.JWKS = client.GetJwks()
	case "issuer":
		set.Issuer, set.Audience, set.Algorithms, set.RequiredScope = issuer.GetIssuer(), issuer.GetAudience(), issuer.GetAlgorithms(), issuer.GetRequiredScope()
	case "issuer.issuer":
		set.Issuer = issuer.GetIssuer()
	case "issuer.audience":
		set.Audience = issuer.GetAudience()
	case "issuer.algorithms":
		set.Algorithms = issuer.GetAlgorithms()
	case "issuer.required_scope":
		set.RequiredScope = issuer.GetRequiredScope()
	}
	return nil
}

// finishKind checks what the kind has, once all is set.
func finishKind(c *store.Credential) error {
	switch c.Kind {
	case store.OAuth:
		if err := checkRedirects(c.Settings.RedirectURIs); err != nil {
			return err
		}
		return checkKeys(c.Settings.JWKS)
	case store.Issuer:
		return finishIssuer(c)
	case store.Bearer, store.Basic, store.Direct, store.Certificate:
	}
	return nil
}

// checkRedirects refuses what an authorization must not be answered to (RFC 9700
// section 2.1): a URI is compared as it is written, and only https keeps the code
// from others on the way, but for a client on the user's own machine.
func checkRedirects(uris []string) error {
	if len(uris) > maxRedirectURIs {
		return scim.Errorf(scim.InvalidValue, "a client has at most %d redirect URIs", maxRedirectURIs).At("oauth.redirectUris")
	}
	for _, text := range uris {
		u, ok := parseSecure(text)
		if !ok || strings.Contains(text, "#") || u.User != nil {
			return scim.Errorf(scim.InvalidValue, "the redirect URI %.200q is not an absolute https URL, or http of a loopback address, without a fragment", text).At("oauth.redirectUris")
		}
	}
	return nil
}

// parseSecure parses an absolute URL of https, or of http and a loopback address.
func parseSecure(text string) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || len(text) > maxURI {
		return nil, false
	}
	if u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		return u, u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	}
	return u, u.Scheme == "https"
}

// checkKeys refuses what is no JSON Web Key Set of public keys (RFC 7517 section 5).
func checkKeys(text string) error {
	if text == "" {
		return nil
	}
	bad := func(why string) error {
		return scim.Errorf(scim.InvalidValue, "jwks is no JSON Web Key Set of 1 to %d public keys: %s", maxKeys, why).At("oauth.jwks")
	}
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if len(text) > maxJWKS {
		return bad("it is too long")
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		return bad("it is not JSON of that form")
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeys {
		return bad("it has another number of keys")
	}
	needed := map[any][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}
	for _, key := range set.Keys {
		members, known := needed[key["kty"]]
		if !known {
			return bad("kty is RSA, EC or OKP")
		}
		for _, name := range members {
			if text, ok := key[name].(string); !ok || text == "" {
				return bad("a key lacks " + name)
			}
		}
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
			if _, has := key[private]; has {
				return bad("it has a private key, which nobody else should know; make another key pair")
			}
		}
	}
	return nil
}

// finishIssuer checks the trust in an issuer, and fills in what is left out.
func finishIssuer(c *store.Credential) error {
	set := &c.Settings
	if len(set.Algorithms) == 0 {
		set.Algorithms = defaultAlgorithms
	}
	if set.RequiredScope == "" {
		set.RequiredScope = ScopeSCIM
	}
	u, ok := parseSecure(set.Issuer)
	blank := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	switch {
	case !ok || u.User != nil || strings.ContainsAny(set.Issuer, "?#") || strings.ContainsFunc(set.Issuer, blank):
		return scim.Errorf(scim.InvalidValue, "the issuer is an absolute https URL, or http of a loopback address, without query and fragment").At("issuer.issuer")
	case set.Audience == "" || len(set.Audience) > maxURI || strings.ContainsFunc(set.Audience, blank):
		return scim.Errorf(scim.InvalidValue, "the audience is what the claim aud of its tokens has: a text without blanks").At("issuer.audience")
	case len(set.RequiredScope) > maxLogin || strings.ContainsFunc(set.RequiredScope, blank) || strings.ContainsAny(set.RequiredScope, `"\`):
		return scim.Errorf(scim.InvalidValue, "the required scope is one scope, without blanks").At("issuer.requiredScope")
	}
	for _, name := range set.Algorithms {
		if !slices.Contains(safeAlgorithms, name) {
			return scim.Errorf(scim.InvalidValue, "the algorithm %.40q is not accepted; these are: %s", name, strings.Join(safeAlgorithms, ", ")).At("issuer.algorithms")
		}
	}
	c.Lookup = issuerLookup(set.Issuer, set.Audience)
	return nil
}

// keepsKind fails where an update says that a credential is another than it is.
func keepsKind(c *store.Credential, asked *musterv1.Credential) error {
	kind, known := kinds[asked.GetKind()]
	if asked.GetKind() != musterv1.Credential_KIND_UNSPECIFIED && (!known || kind != c.Kind) {
		return scim.Errorf(scim.InvalidValue, "the kind of %s is %s and cannot change; make another credential", c.Name, c.Kind).At("kind")
	}
	if login := asked.GetBasic().GetLogin(); login != "" && login != c.Settings.Login {
		return scim.Errorf(scim.InvalidValue, "the login of a credential cannot change; make another credential").At("basic.login")
	}
	if asked.GetCertificate() == nil {
		return nil
	}
	fingerprint, err := readFingerprint(asked.GetCertificate())
	if err == nil && CertificateLookup(fingerprint) != c.Lookup {
		err = scim.Errorf(scim.InvalidValue, "the key of a credential cannot change; make another credential").At("certificate")
	}
	return err
}

// describeKind fills in what only the credential's kind has.
func describeKind(m *musterv1.Credential, c *store.Credential) {
	set := &c.Settings
	_, found, _ := strings.Cut(c.Lookup, ":")
	switch c.Kind {
	case store.Basic:
		m.OfKind = &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: set.Login}}
	case store.OAuth:
		m.OfKind = &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{ClientId: found, RedirectUris: set.RedirectURIs, Jwks: set.JWKS}}
	case store.Certificate:
		m.OfKind = &musterv1.Credential_Certificate{Certificate: &musterv1.CertificateCredential{Fingerprint: found}}
	case store.Issuer:
		m.OfKind = &musterv1.Credential_Issuer{Issuer: &musterv1.IssuerCredential{
			Issuer: set.Issuer, Audience: set.Audience, Algorithms: set.Algorithms, RequiredScope: set.RequiredScope}}
	case store.Bearer, store.Direct:
	}
}
