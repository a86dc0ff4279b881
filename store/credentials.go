package store

import (
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/ent/credential"
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
// SHA-256 hash stands for. It fails with Unauthenticated where there is none or it
// has expired, and with Forbidden where its tenant is suspended. The secret is
// random, so comparing its hash in an index tells nothing about it.
func (s *Store) Authenticate(ctx context.Context, hash [32]byte) (Principal, error) {
	st := s.statement()
	st.add("SELECT "+principalColumns+", k.scopes, k.expires_at FROM tokens k JOIN credentials c ON c.id = k.credential_id JOIN tenants t ON t.id = c.tenant_id"+
		" WHERE k.hash = ", arg{hash[:]}, " AND k.purpose IN ('"+purposeSecret+"', '"+purposeAccess+"')")
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
		return Principal{}, err
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
	at := now()
	switch {
	case row.expires != nil && *row.expires <= at, row.tokenExpires != nil && *row.tokenExpires <= at:
		return errExpired
	case row.state != nil:
		return errSuspended
	}
	p.Tenant.profile = Profile(row.profile)
	c := &p.Credential
	c.Kind, c.Scopes = Kind(row.kind), strings.Fields(row.scopes)
	if row.tokenScopes != nil {
		c.Scopes = strings.Fields(*row.tokenScopes)
	}
	c.understand(row.mode, row.networks, row.lookup, row.expires)
	if row.tenantSettings != nil {
		if err := json.Unmarshal([]byte(*row.tenantSettings), &p.Tenant.settings); err != nil {
			return err
		}
	}
	if row.settings != nil {
		return json.Unmarshal([]byte(*row.settings), &c.Settings)
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

// AddCredential makes a credential, whose secret has the SHA-256 hash; nil: it has
// none. It fails with InvalidValue for a name that is none, and with Uniqueness where
// the tenant has a credential of that name, or another credential the lookup.
func (t Tenant) AddCredential(ctx context.Context, c Credential, hash []byte) error {
	if !validName.MatchString(c.Name) {
		return scim.Errorf(scim.InvalidValue, "the name of a credential is of at most 64 letters, digits and . _ @ -")
	}
	tx, err := t.store.client.Tx(ctx)
	if err != nil {
		return err
	}
	if err := addCredential(ctx, tx, t.id, c, hash); err != nil {
		_ = tx.Rollback()
		if !ent.IsConstraintError(err) {
			return err
		}
		found, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id), credential.Name(c.Name)).Exist(ctx)
		switch {
		case err != nil:
			return err
		case found:
			return scim.Errorf(scim.Uniqueness, "there is a credential %s already; revoke it, or choose another name", c.Name)
		}
		return scim.Errorf(scim.Uniqueness, "another credential is proved by the same")
	}
	return tx.Commit()
}

func addCredential(ctx context.Context, tx *ent.Tx, tenant int64, c Credential, hash []byte) error {
	create := tx.Credential.Create().SetTenantID(tenant).SetName(c.Name).SetKind(string(c.Kind)).
		SetScopes(strings.Join(c.Scopes, " ")).SetCreatedAt(now()).SetNillableLookup(nilIfEmpty(c.Lookup))
	if c.Preview {
		create.SetMode("preview")
	}
	if len(c.Networks) > 0 {
		create.SetNetworks(joinPrefixes(c.Networks))
	}
	if !c.Expires.IsZero() {
		create.SetExpiresAt(c.Expires.UnixMilli())
	}
	settings, err := json.Marshal(c.Settings)
	if err != nil {
		return err
	}
	if string(settings) != "{}" {
		create.SetSettings(string(settings))
	}
	made, err := create.Save(ctx)
	if err != nil || hash == nil {
		return err
	}
	return tx.Token.Create().SetCredentialID(made.ID).SetPurpose(purposeSecret).SetHash(hash).SetCreatedAt(now()).Exec(ctx)
}

func joinPrefixes(all []netip.Prefix) string {
	texts := make([]string, len(all))
	for i, prefix := range all {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, " ")
}

// Credentials lists the tenant's credentials by name.
func (t Tenant) Credentials(ctx context.Context) ([]Credential, error) {
	rows, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id)).Order(credential.ByName()).All(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Credential, len(rows))
	for i, row := range rows {
		if all[i], err = credentialOf(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func credentialOf(row *ent.Credential) (Credential, error) {
	c := Credential{Name: row.Name, Kind: Kind(row.Kind), Scopes: strings.Fields(row.Scopes), Created: time.UnixMilli(row.CreatedAt)}
	c.understand(row.Mode, row.Networks, row.Lookup, row.ExpiresAt)
	if row.LastUsedAt != nil {
		c.LastUsed.Time = time.UnixMilli(*row.LastUsedAt)
	}
	if row.LastUsedFrom != nil {
		c.LastUsed.Address = *row.LastUsedFrom
	}
	if row.LastUsedBy != nil {
		c.LastUsed.Client = *row.LastUsedBy
	}
	if row.Settings == nil {
		return c, nil
	}
	return c, json.Unmarshal([]byte(*row.Settings), &c.Settings)
}

// RevokeCredential removes a credential and its tokens. No request that comes after
// it is let in. It fails with NotFound.
func (t Tenant) RevokeCredential(ctx context.Context, name string) error {
	n, err := t.store.client.Credential.Delete().Where(credential.TenantID(t.id), credential.Name(name)).Exec(ctx)
	if err == nil && n == 0 {
		err = scim.Errorf(scim.NotFound, "there is no credential %.80q", name)
	}
	return err
}

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
