package server

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/muster-scim/muster/issuer"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of a token of an outside issuer.
const (
	maxJWT       = 12 << 10 // bytes
	maxAudiences = 10
	tokenLeeway  = 30 * time.Second // by which clocks may differ
)

// issuers let in who has a JWT access token (RFC 9068) of an outside issuer that a
// credential trusts.
type issuers struct {
	store *store.Store
	log   *slog.Logger
	keys  *issuer.Keys
}

func newIssuers(st *store.Store, log *slog.Logger) *issuers {
	return &issuers{store: st, log: log, keys: issuer.NewKeys(log)}
}

// looksLikeJWT tells whether a bearer token may be a signed JWT: three parts, of
// which the first is a JSON object in base64url.
func looksLikeJWT(token string) bool {
	header, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 || len(token) > maxJWT {
		return false
	}
	plain, err := base64.RawURLEncoding.DecodeString(header)
	return err == nil && len(plain) > 0 && plain[0] == '{' && json.Valid(plain)
}

// A tokenError is why a token is not valid. Only the log has it.
type tokenError struct{ cause string }

func (f tokenError) Error() string { return f.cause }

func faultf(format string, args ...any) error { return tokenError{fmt.Sprintf(format, args...)} }

// identify finds whom a token lets in. Who has no valid one is told nothing else;
// with one that is valid it is as with a credential of any other kind.
func (i *issuers) identify(ctx context.Context, requestID, token string) (store.Principal, error) {
	p, err := i.check(ctx, token)
	if fault, ok := errors.AsType[tokenError](err); ok {
		i.log.LogAttrs(ctx, slog.LevelInfo, "a token of an outside issuer is not valid",
			slog.String("cause", fault.cause), slog.String("request_id", requestID))
		return store.Principal{}, &outsideError{scim.Errorf(scim.Unauthenticated, "the credential is not valid"), fault.cause}
	}
	return p, err
}

// outsideError is what the client of a token that is not valid is told, with the cause,
// which it is not told.
type outsideError struct {
	error

	cause string
}

func (e *outsideError) Unwrap() error { return e.error }

// claims are what is read of a token.
type claims struct {
	jwt.Claims

	Scope texts `json:"scope"` // RFC 9068 section 2.2.3
	Scp   texts `json:"scp"`   // the same, elsewhere

	// What tokens that are no access tokens have.
	Nonce      any `json:"nonce"`
	AccessHash any `json:"at_hash"`
	CodeHash   any `json:"c_hash"`
	Events     any `json:"events"`
	Use        any `json:"token_use"`
	Typ        any `json:"typ"`
}

// texts are a text with blanks, or an array of texts.
type texts []string

func (t *texts) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*t = strings.Fields(one)
		return nil
	}
	return json.Unmarshal(data, (*[]string)(t))
}

// check checks a token, in the order that costs an outsider most and us least: what
// it says of itself, whether anybody trusts its issuer, and then its signature.
func (i *issuers) check(ctx context.Context, token string) (store.Principal, error) {
	algorithms := make([]jose.SignatureAlgorithm, len(safeAlgorithms))
	for n, name := range safeAlgorithms {
		algorithms[n] = jose.SignatureAlgorithm(name)
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return store.Principal{}, faultf("it cannot be read: %.200v", err)
	}
	var unverified claims
	if err := parsed.UnsafeClaimsWithoutVerification(&unverified); err != nil {
		return store.Principal{}, faultf("its claims cannot be read: %.200v", err)
	}
	p, outcome, err := i.find(ctx, &unverified)
	if err != nil {
		return store.Principal{}, err
	}
	settings := &p.Credential.Settings
	said, err := i.verify(ctx, parsed, settings)
	if err != nil {
		return store.Principal{}, err
	}
	p.Subject = said.Subject
	if err := said.check(settings); err != nil {
		return store.Principal{}, err
	}
	if said.narrow(&p.Credential); len(p.Credential.Scopes) == 0 && outcome == nil {
		return store.Principal{}, faultf("its scopes %.200q and those of the credential %s have nothing in common", said.scopes(), p.Credential.Name)
	}
	return p, outcome
}

// find finds the credential that trusts the issuer of a token, and how it would end
// for it if the token were valid.
func (i *issuers) find(ctx context.Context, said *claims) (p store.Principal, outcome, err error) {
	if said.Issuer == "" || len(said.Issuer) > maxURI || len(said.Audience) == 0 || len(said.Audience) > maxAudiences {
		return p, nil, faultf("it has no issuer, or not from 1 to %d audiences", maxAudiences)
	}
	audiences := slices.Compact(slices.Sorted(slices.Values(said.Audience)))
	found := 0
	for _, audience := range audiences {
		candidate, err := i.store.AuthenticateLookup(ctx, store.Issuer, issuerLookup(said.Issuer, audience))
		switch {
		case candidate.ID != 0:
			p, outcome = candidate, err
			found++
		case scim.ReasonOf(err) != scim.Unauthenticated:
			return p, nil, err
		}
	}
	switch found {
	case 0:
		return p, nil, faultf("no credential trusts the issuer %.200q with an audience of %.300q", said.Issuer, audiences)
	case 1:
		return p, outcome, nil
	}
	return p, nil, faultf("several credentials trust the issuer %.200q, each with an audience of %.300q: which is meant?", said.Issuer, audiences)
}

// verify checks the signature of a token, and returns what it says.
func (i *issuers) verify(ctx context.Context, token *jwt.JSONWebToken, settings *store.CredentialSettings) (*claims, error) {
	header := token.Headers[0] // a compact token has one
	if !slices.Contains(settings.Algorithms, header.Algorithm) {
		return nil, faultf("its algorithm is %.20q, and %q are accepted", header.Algorithm, settings.Algorithms)
	}
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "", "jwt", "at+jwt":
	default:
		return nil, faultf("its type is %.40q, and not at+jwt or JWT", typ)
	}
	keys, err := i.keys.Find(ctx, settings.Issuer, header.KeyID)
	if err != nil {
		return nil, faultf("%v", err)
	}
	for _, key := range keys {
		said := &claims{}
		if fits(&key, header.Algorithm) && token.Claims(key.Key, said) == nil {
			return said, nil
		}
	}
	return nil, faultf("no key %.80q of the issuer %s has signed it", header.KeyID, settings.Issuer)
}

// fits tells whether a key is for signatures by an algorithm.
func fits(key *jose.JSONWebKey, algorithm string) bool {
	return (key.Use == "" || key.Use == "sig") && (key.Algorithm == "" || key.Algorithm == algorithm)
}

// check checks what a token says, once it is sure that the issuer says it.
func (c *claims) check(settings *store.CredentialSettings) error {
	expected := jwt.Expected{Issuer: settings.Issuer, AnyAudience: jwt.Audience{settings.Audience}}
	if err := c.ValidateWithLeeway(expected, tokenLeeway); err != nil {
		return faultf("of the issuer %s: %v", settings.Issuer, err)
	}
	typ, _ := c.Typ.(string)
	use, _ := c.Use.(string)
	switch {
	case c.Expiry == nil:
		return faultf("of the issuer %s: it never expires", settings.Issuer)
	case c.Nonce != nil, c.AccessHash != nil, c.CodeHash != nil, c.Events != nil, use != "" && use != "access",
		slices.Contains([]string{"id", "refresh", "offline", "logout"}, strings.ToLower(typ)):
		return faultf("of the issuer %s: it is an ID token or another one, and no access token", settings.Issuer)
	case !slices.Contains(c.scopes(), settings.RequiredScope):
		return faultf("of the issuer %s: its scopes %.200q lack %q", settings.Issuer, c.scopes(), settings.RequiredScope)
	}
	return nil
}

func (c *claims) scopes() []string { return slices.Concat(c.Scope, c.Scp) }

// narrow takes from a credential what the token does not give. A token that has no
// scopes of ours but the required one gives what the credential has of that; one
// that has a part of the required scope too gives the part.
func (c *claims) narrow(credential *store.Credential) {
	given := slices.DeleteFunc(c.scopes(), func(s string) bool { return CheckScopes([]string{s}) != nil })
	if len(given) == 0 {
		return
	}
	required := credential.Settings.RequiredScope
	if slices.ContainsFunc(given, func(s string) bool { both, ok := meet(s, required); return ok && both == s && s != required }) {
		given = slices.DeleteFunc(given, func(s string) bool { return s == required })
	}
	credential.Scopes = meetAll(given, credential.Scopes)
}

// meetAll are the scopes that allow what some of each allow.
func meetAll(some, others []string) []string {
	both := []string{}
	for _, a := range some {
		for _, b := range others {
			if m, ok := meet(a, b); ok && !slices.Contains(both, m) {
				both = append(both, m)
			}
		}
	}
	return both
}

// meet is the scope that allows what both allow, if there is anything.
func meet(a, b string) (string, bool) {
	x, y := splitScope(a), splitScope(b)
	both := scopeParts{x.area, cmp.Or(x.ofType, y.ofType), cmp.Or(x.only, y.only)}
	same := func(a, b string) bool { return a == "" || b == "" || a == b }
	return both.String(), x.area == y.area && same(x.ofType, y.ofType) && same(x.only, y.only)
}

// scopeParts are the parts of a scope: of what is absent, it allows all.
type scopeParts struct{ area, ofType, only string }

func splitScope(scope string) scopeParts {
	area, rest, _ := strings.Cut(scope, ":")
	ofType, only, _ := strings.Cut(rest, ":")
	if ofType == "read" || ofType == "write" {
		ofType, only = "", ofType
	}
	return scopeParts{area, ofType, only}
}

func (p scopeParts) String() string {
	parts := slices.DeleteFunc([]string{p.area, p.ofType, p.only}, func(s string) bool { return s == "" })
	return strings.Join(parts, ":")
}
