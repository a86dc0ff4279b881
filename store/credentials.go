package store

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Kind is how a credential is shown on the wire.
type Kind string

// The kinds of credentials. All but the last two are proved by a random secret, of
// which a hash is kept.
const (
	Bearer      Kind = "bearer"
	Basic       Kind = "basic"
	Direct      Kind = "direct"
	OAuth       Kind = "oauth" // a client of our own OAuth 2.0 server
	Certificate Kind = "certificate"
	Issuer      Kind = "issuer" // JWTs of an outside issuer
)

// Credential is how a client, a service or an operator proves who it is: all of it
// but its secrets, which are nowhere.
type Credential struct {
	Name   string
	Kind   Kind
	Scopes []string
	// Preview: its writes are validated and answered, and not kept.
	Preview bool
	// Networks are where it may be used from; none: anywhere.
	Networks []netip.Prefix
	Expires  time.Time // zero: never
	// Lookup is what it is found by where that is no secret; unique among all
	// credentials of the database. Empty: it is found by its secret.
	Lookup   string
	Settings CredentialSettings

	// Created and what follows is the store's.
	Created  time.Time
	LastUsed LastUse
}

// CredentialSettings are what only some kinds of credentials have.
type CredentialSettings struct {
	Login         string   `json:"login,omitempty"`         // basic
	RedirectURIs  []string `json:"redirectUris,omitempty"`  // oauth
	JWKS          string   `json:"jwks,omitempty"`          // oauth
	Issuer        string   `json:"issuer,omitempty"`        // issuer
	Audience      string   `json:"audience,omitempty"`      // issuer
	Algorithms    []string `json:"algorithms,omitempty"`    // issuer
	RequiredScope string   `json:"requiredScope,omitempty"` // issuer
}

// LastUse is when and how a credential was last used; the zero LastUse: never.
type LastUse struct {
	Time    time.Time
	Address string
	Client  string // the user agent
}

// Principal is who is calling: a credential, and the tenant that it belongs to.
type Principal struct {
	Tenant     Tenant
	TenantName string
	// ID is the number of the credential in its database.
	ID int64
	// Credential is all that is needed to decide what it may do: neither Created nor
	// LastUsed.
	Credential Credential
	// Granted are the scopes of the access token that the caller showed, which may be
	// fewer than the credential has by now, or others; nil: it showed none.
	Granted []string
	// Subject is whom an outside issuer says that the token of the caller is for; empty:
	// it showed none of an outside issuer.
	Subject string
	// Session is that of an operator of the console; nil: the caller is none.
	Session *Session
}

// The purposes of tokens.
const (
	purposeSecret  = "secret"
	purposeAccess  = "access"
	purposeRefresh = "refresh"
	purposeCode    = "code"
)

// principalColumns are what scanPrincipal reads, of t and c.
const principalColumns = "t.id, t.name, t.profile, t.catalog_version, t.state, t.settings," +
	" c.id, c.name, c.kind, c.scopes, c.mode, c.networks, c.expires_at, c.lookup, c.settings"

// Authenticate finds the credential that a secret or an access token with the
// SHA-256 hash stands for. The secret of an OAuth client is good for access tokens
// only, and stands for nothing here. It fails with Unauthenticated where there is none
// or it has expired, and with Forbidden where its tenant is suspended; of these two the
// principal tells whose it was, for the logs. The secret is random, so comparing its
// hash in an index tells nothing about it.
func (s *Store) Authenticate(ctx context.Context, hash [32]byte) (Principal, error) {
	st := s.statement()
	st.add("SELECT "+principalColumns+", k.scopes, k.expires_at FROM tokens k JOIN credentials c ON c.id = k.credential_id JOIN tenants t ON t.id = c.tenant_id"+
		" WHERE k.hash = ", arg{hash[:]}, " AND (k.purpose = '"+purposeSecret+"' AND c.kind <> '"+string(OAuth)+"' OR k.purpose = '"+purposeAccess+"' AND c.kind = '"+string(OAuth)+"')")
	return s.principal(ctx, st)
}

// AuthenticateLookup finds the credential of a kind that is found by what is no
// secret, once the caller has proved it. It fails as Authenticate does.
func (s *Store) AuthenticateLookup(ctx context.Context, kind Kind, lookup string) (Principal, error) {
	st := s.statement()
	st.add("SELECT "+principalColumns+", NULL, NULL FROM credentials c JOIN tenants t ON t.id = c.tenant_id"+
		" WHERE c.lookup = ", arg{lookup}, " AND c.kind = ", arg{string(kind)})
	return s.principal(ctx, st)
}

// principal runs a query for one.
func (s *Store) principal(ctx context.Context, st *statement) (Principal, error) {
	var p Principal
	var row principalRow
	err := s.read(context.WithoutCancel(ctx), st, func(scan scan) error {
		p.Tenant.store = s
		return row.scan(&p, scan)
	})
	if err != nil {
		return Principal{}, err
	}
	if p.Tenant.store == nil {
		return Principal{}, errNoCredential
	}
	if err := row.finish(&p); err != nil {
		return p, err
	}
	p.Tenant.catalog, err = s.catalogs.of(ctx, s, p.Tenant.id, p.Tenant.version, p.Tenant.profile)
	return p, err
}

// What is said of a credential that is not let in. Whether it is unknown or revoked
// nobody can tell.
var (
	errNoCredential = scim.Errorf(scim.Unauthenticated, "the credential is not valid")
	errExpired      = scim.Errorf(scim.Unauthenticated, "the credential has expired")
	errSuspended    = scim.Errorf(scim.Forbidden, "the tenant is suspended")
)

// A principalRow is what has to be understood of a principal's row.
type principalRow struct {
	profile, scopes, kind            string
	state, tenantSettings            *string
	mode, networks, lookup, settings *string
	expires, tokenExpires            *int64
	tokenScopes                      *string
}

func (row *principalRow) scan(p *Principal, scan scan) error {
	c := &p.Credential
	return scan(&p.Tenant.id, &p.TenantName, &row.profile, &p.Tenant.version, &row.state, &row.tenantSettings,
		&p.ID, &c.Name, &row.kind, &row.scopes, &row.mode, &row.networks, &row.expires, &row.lookup, &row.settings,
		&row.tokenScopes, &row.tokenExpires)
}

// finish makes the principal of the row, or tells why it is not let in.
func (row *principalRow) finish(p *Principal) error {
	p.Tenant.profile = Profile(row.profile)
	c := &p.Credential
	c.Kind, c.Scopes = Kind(row.kind), strings.Fields(row.scopes)
	if row.tokenScopes != nil {
		p.Granted = append([]string{}, strings.Fields(*row.tokenScopes)...)
	}
	c.understand(row.mode, row.networks, row.lookup, row.expires)
	p.Tenant.preview = c.Preview
	if row.tenantSettings != nil {
		if err := json.Unmarshal([]byte(*row.tenantSettings), &p.Tenant.settings); err != nil {
			return err
		}
	}
	if row.settings != nil {
		if err := json.Unmarshal([]byte(*row.settings), &c.Settings); err != nil {
			return err
		}
	}
	at := now()
	switch {
	case row.expires != nil && *row.expires <= at, row.tokenExpires != nil && *row.tokenExpires <= at:
		return errExpired
	case row.state != nil:
		return errSuspended
	}
	return nil
}

// understand takes over columns that may be NULL.
func (c *Credential) understand(mode, networks, lookup *string, expires *int64) {
	c.Preview = mode != nil
	if networks != nil {
		for text := range strings.FieldsSeq(*networks) {
			if prefix, err := netip.ParsePrefix(text); err == nil { // as it was written
				c.Networks = append(c.Networks, prefix)
			}
		}
	}
	if lookup != nil {
		c.Lookup = *lookup
	}
	if expires != nil {
		c.Expires = time.UnixMilli(*expires)
	}
}
