package store

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/ent/credential"
	"github.com/muster-scim/muster/ent/registration"
	"github.com/muster-scim/muster/ent/tenant"
	"github.com/muster-scim/muster/scim"
)

// Tenant is a handle on the data of one tenant. Every method on resources hangs
// on it, so that code which forgets whose data it means does not compile.
type Tenant struct {
	store *Store
	id    int64
	// catalog is what its resources can be, as of version.
	catalog *scim.Catalog
	version int64
	profile Profile
}

// ID is the number of the tenant in its database.
func (t Tenant) ID() int64 { return t.id }

// Catalog is what the resources of the tenant can be.
func (t Tenant) Catalog() *scim.Catalog { return t.catalog }

// Profile is how the tenant's clients are understood where they contradict each
// other.
func (t Tenant) Profile() Profile { return t.profile }

// Profile is the client profile of a tenant.
type Profile string

// The client profiles.
const (
	// Tolerant understands what clients are known to mean: a patch of an element
	// that is not there makes it where the filter says how it looks, and the answer
	// to a patch is the resource. It is the default.
	Tolerant Profile = "tolerant"
	// Strict takes RFC 7644 by its word: such a patch fails with noTarget, and the
	// answer to a patch is empty unless the request names attributes.
	Strict Profile = "strict"
)

// TenantInfo is what an operator sees of a tenant.
type TenantInfo struct {
	Name    string
	Profile Profile
	Created time.Time
}

// Tenants lists the tenants by name.
func (s *Store) Tenants(ctx context.Context) ([]TenantInfo, error) {
	all, err := s.client.Tenant.Query().Order(tenant.ByName()).All(ctx)
	if err != nil {
		return nil, err
	}
	var infos []TenantInfo
	for _, t := range all {
		infos = append(infos, TenantInfo{Name: t.Name, Profile: Profile(t.Profile), Created: time.UnixMilli(t.CreatedAt)})
	}
	return infos, nil
}

// SetProfile sets the client profile of a tenant. It has effect with the next
// request, on every server. It fails with NotFound, and with InvalidValue for a
// profile that is none of ours.
func (s *Store) SetProfile(ctx context.Context, name string, profile Profile) error {
	if profile != Tolerant && profile != Strict {
		return scim.Errorf(scim.InvalidValue, "the profile is %s or %s", Tolerant, Strict)
	}
	// What a resource type is depends on the profile, so this is another catalog.
	n, err := s.client.Tenant.Update().Where(tenant.Name(name), tenant.ProfileNEQ(string(profile))).
		SetProfile(string(profile)).AddCatalogVersion(1).Save(ctx)
	if err != nil || n > 0 {
		return err
	}
	if found, err := s.client.Tenant.Query().Where(tenant.Name(name)).Exist(ctx); err != nil || found {
		return err
	}
	return scim.Errorf(scim.NotFound, "there is no tenant %.80q", name)
}

// Principal is who is calling.
type Principal struct {
	Tenant     Tenant
	TenantName string
	// Credential is the name of the credential, for logs.
	Credential string
	// Scopes are what the credential may do.
	Scopes []string
}

// Bootstrap makes the first tenant, with one bearer credential of the scope "scim"
// whose secret has the SHA-256 secretHash. Where the database has a tenant already it does
// nothing, and created is false; of several programs that start at once one
// creates.
func (s *Store) Bootstrap(ctx context.Context, tenantName, credentialName string, secretHash [32]byte) (created bool, err error) {
	tx, err := s.client.Tx(ctx)
	if err != nil {
		return false, err
	}
	created, err = bootstrap(ctx, tx, tenantName, credentialName, secretHash)
	if err != nil {
		err = errors.Join(err, tx.Rollback())
		if ent.IsConstraintError(err) { // another was faster
			return false, nil
		}
		return false, err
	}
	return created, tx.Commit()
}

func bootstrap(ctx context.Context, tx *ent.Tx, tenantName, credentialName string, secretHash [32]byte) (bool, error) {
	if found, err := tx.Tenant.Query().Exist(ctx); found || err != nil {
		return false, err
	}
	t, err := makeTenant(ctx, tx, tenantName)
	if err != nil {
		return false, err
	}
	return true, tx.Credential.Create().SetTenant(t).SetName(credentialName).SetKind("bearer").SetScopes("scim").
		SetSecretHash(secretHash[:]).SetCreatedAt(now()).Exec(ctx)
}

// makeTenant makes a tenant. Where something is registered for all tenants, that is
// its first catalog. It is looked for after the tenant is there: from then on a
// registration waits for this transaction, and reaches the tenant.
func makeTenant(ctx context.Context, tx *ent.Tx, name string) (*ent.Tenant, error) {
	t, err := tx.Tenant.Create().SetName(name).SetProfile(string(Tolerant)).SetCatalogVersion(0).SetCreatedAt(now()).Save(ctx)
	if err != nil {
		return nil, err
	}
	if found, err := tx.Registration.Query().Where(registration.TenantID(allTenants)).Exist(ctx); err != nil || !found {
		return t, err
	}
	return t.Update().SetCatalogVersion(1).Save(ctx)
}

// Authenticate finds the credential whose secret has the SHA-256 secretHash. It
// fails with Unauthenticated where there is none. The secret is random, so
// comparing its hash in an index tells nothing about it.
func (s *Store) Authenticate(ctx context.Context, secretHash [32]byte) (Principal, error) {
	st := s.statement()
	st.add("SELECT t.id, t.name, t.profile, t.catalog_version, c.name, c.scopes FROM credentials c JOIN tenants t ON t.id = c.tenant_id WHERE c.secret_hash = ", arg{secretHash[:]})
	var p Principal
	var profile, scopes string
	err := s.read(context.WithoutCancel(ctx), st, func(scan scan) error {
		p.Tenant.store = s
		return scan(&p.Tenant.id, &p.TenantName, &profile, &p.Tenant.version, &p.Credential, &scopes)
	})
	if err != nil {
		return p, err
	}
	if p.Tenant.store == nil {
		return p, scim.Errorf(scim.Unauthenticated, "the token is not valid")
	}
	p.Scopes, p.Tenant.profile = strings.Fields(scopes), Profile(profile)
	p.Tenant.catalog, err = s.catalogs.of(ctx, s, p.Tenant.id, p.Tenant.version, p.Tenant.profile)
	return p, err
}

// Tenant finds a tenant by its name, for an operator who works on the database. It
// fails with NotFound.
func (s *Store) Tenant(ctx context.Context, name string) (Tenant, error) {
	found, err := s.client.Tenant.Query().Where(tenant.Name(name)).Only(ctx)
	if ent.IsNotFound(err) {
		err = scim.Errorf(scim.NotFound, "there is no tenant %.80q", name)
	}
	if err != nil {
		return Tenant{}, err
	}
	t := Tenant{store: s, id: found.ID, version: found.CatalogVersion, profile: Profile(found.Profile)}
	t.catalog, err = s.catalogs.of(ctx, s, t.id, t.version, t.profile)
	return t, err
}

// CredentialInfo is what an operator sees of a credential: all but the secret,
// which is nowhere.
type CredentialInfo struct {
	Name    string
	Kind    string // bearer
	Scopes  []string
	Created time.Time
}

// validName is what logs can show.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

// AddCredential makes a bearer credential, whose secret has the SHA-256 secretHash.
// It fails with InvalidValue for a name that is none, and with Uniqueness where the
// tenant has a credential of that name.
func (t Tenant) AddCredential(ctx context.Context, name string, scopes []string, secretHash [32]byte) error {
	if !validName.MatchString(name) {
		return scim.Errorf(scim.InvalidValue, "the name of a credential is of at most 64 letters, digits and . _ @ -")
	}
	err := t.store.client.Credential.Create().SetTenantID(t.id).SetName(name).SetKind("bearer").
		SetScopes(strings.Join(scopes, " ")).SetSecretHash(secretHash[:]).SetCreatedAt(now()).Exec(ctx)
	if ent.IsConstraintError(err) {
		return scim.Errorf(scim.Uniqueness, "there is a credential %s already; revoke it, or choose another name", name)
	}
	return err
}

// Credentials lists the tenant's credentials by name.
func (t Tenant) Credentials(ctx context.Context) ([]CredentialInfo, error) {
	all, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id)).Order(credential.ByName()).All(ctx)
	if err != nil {
		return nil, err
	}
	var infos []CredentialInfo
	for _, c := range all {
		infos = append(infos, CredentialInfo{Name: c.Name, Kind: c.Kind, Scopes: strings.Fields(c.Scopes), Created: time.UnixMilli(c.CreatedAt)})
	}
	return infos, nil
}

// RevokeCredential removes a credential. No request that comes after it is let in.
// It fails with NotFound.
func (t Tenant) RevokeCredential(ctx context.Context, name string) error {
	n, err := t.store.client.Credential.Delete().Where(credential.TenantID(t.id), credential.Name(name)).Exec(ctx)
	if err == nil && n == 0 {
		err = scim.Errorf(scim.NotFound, "there is no credential %.80q", name)
	}
	return err
}
