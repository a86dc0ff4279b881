package store

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"github.com/muster-scim/muster/ent"
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
	catalog  *scim.Catalog
	version  int64
	profile  Profile
	settings TenantSettings
	act      *Act // nil: its writes are not recorded in the audit log
}

// ID is the number of the tenant in its database.
func (t Tenant) ID() int64 { return t.id }

// Catalog is what the resources of the tenant can be.
func (t Tenant) Catalog() *scim.Catalog { return t.catalog }

// Profile is how the tenant's clients are understood where they contradict each
// other.
func (t Tenant) Profile() Profile { return t.profile }

// Settings are what else an operator decides for the tenant.
func (t Tenant) Settings() TenantSettings { return t.settings }

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

// TenantSettings are what an operator decides for a tenant, beside the profile.
// The zero TenantSettings are the defaults.
type TenantSettings struct {
	// DisableOnDelete: a DELETE of a user sets active to false.
	DisableOnDelete bool `json:"disableOnDelete,omitempty"`
	// RequestsPerSecond, Burst and ConcurrentRequests are limits; nil: the server's.
	RequestsPerSecond  *float64 `json:"requestsPerSecond,omitempty"`
	Burst              *int32   `json:"burst,omitempty"`
	ConcurrentRequests *int32   `json:"concurrentRequests,omitempty"`
}

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
	return true, addCredential(ctx, tx, t.ID, Credential{Name: credentialName, Kind: Bearer, Scopes: []string{"scim"}}, secretHash[:])
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
	if found.Settings != nil {
		if err := json.Unmarshal([]byte(*found.Settings), &t.settings); err != nil {
			return Tenant{}, err
		}
	}
	t.catalog, err = s.catalogs.of(ctx, s, t.id, t.version, t.profile)
	return t, err
}

// validName is what logs and paths can show.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
