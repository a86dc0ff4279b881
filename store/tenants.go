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
	// preview is set on the handle of a preview credential, which never writes: what it
	// writes to is a copy.
	preview bool
}

// ID is the number of the tenant in its database.
func (t Tenant) ID() int64 { return t.id }

// Catalog is what the resources of the tenant can be.
func (t Tenant) Catalog() *scim.Catalog { return t.catalog }

// CatalogVersion grows with each change of the catalog.
func (t Tenant) CatalogVersion() int64 { return t.version }

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

// State is whether a tenant's credentials are let in.
type State string

// The states of a tenant.
const (
	Active    State = "active"
	Suspended State = "suspended"
	// Deleting is what a tenant is while its data is being removed, and stays until
	// it is gone.
	Deleting State = "deleting"
)

// firstTenant is the tenant that the first start makes. Its administrators
// administer all the others, so it is never suspended or deleted.
const firstTenant = "default"

// TenantInfo is what an operator sees of a tenant.
type TenantInfo struct {
	Name     string
	State    State
	Profile  Profile
	Settings TenantSettings
	Created  time.Time
}

// Tenants lists the tenants by name.
func (s *Store) Tenants(ctx context.Context) ([]TenantInfo, error) {
	all, err := s.client.Tenant.Query().Order(tenant.ByName()).All(ctx)
	if err != nil {
		return nil, err
	}
	infos := make([]TenantInfo, len(all))
	for i, t := range all {
		if infos[i], err = tenantInfo(t); err != nil {
			return nil, err
		}
	}
	return infos, nil
}

// TenantInfo finds one tenant. It fails with NotFound.
func (s *Store) TenantInfo(ctx context.Context, name string) (TenantInfo, error) {
	found, err := s.client.Tenant.Query().Where(tenant.Name(name)).Only(ctx)
	if ent.IsNotFound(err) {
		err = noTenant(name)
	}
	if err != nil {
		return TenantInfo{}, err
	}
	return tenantInfo(found)
}

func noTenant(name string) error { return scim.Errorf(scim.NotFound, "there is no tenant %.80q", name) }

func tenantInfo(t *ent.Tenant) (TenantInfo, error) {
	info := TenantInfo{Name: t.Name, State: Active, Profile: Profile(t.Profile), Created: time.UnixMilli(t.CreatedAt)}
	if t.State != nil {
		info.State = State(*t.State)
	}
	if t.Settings == nil {
		return info, nil
	}
	return info, json.Unmarshal([]byte(*t.Settings), &info.Settings)
}

// settingsText is settings as they are stored; empty: they are the defaults, and
// stored as NULL.
func settingsText(settings any) (string, error) {
	data, err := json.Marshal(settings)
	if err != nil || string(data) == "{}" {
		return "", err
	}
	return string(data), nil
}

func (p Profile) check() error {
	if p != Tolerant && p != Strict {
		return scim.Errorf(scim.InvalidValue, "the profile is %s or %s", Tolerant, Strict).At("profile")
	}
	return nil
}

// CreateTenant makes a tenant without credentials, by the name, the profile and the
// settings of the info; no profile: Tolerant. It fails with InvalidValue for a name
// or a profile that is none, and with Uniqueness where the name is taken.
func (s *Store) CreateTenant(ctx context.Context, info TenantInfo) (TenantInfo, error) {
	if info.Profile == "" {
		info.Profile = Tolerant
	}
	if err := info.Profile.check(); err != nil {
		return TenantInfo{}, err
	}
	if !validName.MatchString(info.Name) {
		return TenantInfo{}, scim.Errorf(scim.InvalidValue, "the name of a tenant is of at most 64 letters, digits and . _ @ -, and begins with a letter or digit").At("name")
	}
	tx, err := s.client.Tx(ctx)
	if err != nil {
		return TenantInfo{}, err
	}
	made, err := makeTenant(ctx, tx, info)
	if err != nil {
		_ = tx.Rollback()
		if ent.IsConstraintError(err) {
			err = scim.Errorf(scim.Uniqueness, "there is a tenant %s already; choose another name", info.Name).At("name")
		}
		return TenantInfo{}, err
	}
	info, err = tenantInfo(made)
	if err == nil {
		err = auditThrough(ctx, tx, stateChanges(nil, info.state()))
	}
	if err != nil {
		return TenantInfo{}, errors.Join(err, tx.Rollback())
	}
	return info, tx.Commit()
}

// UpdateTenant changes the profile and the settings of a tenant, with effect from
// the next request on every server. change may run more than once. It fails with
// NotFound, with InvalidValue for a profile that is none, and as change does.
func (s *Store) UpdateTenant(ctx context.Context, name string, change func(*TenantInfo) error) (TenantInfo, error) {
	return s.changeTenant(ctx, name, func(info *TenantInfo) error {
		state := info.State
		if err := change(info); err != nil {
			return err
		}
		info.State = state
		return info.Profile.check()
	})
}

// SuspendTenant refuses all credentials of a tenant until it is resumed. It fails
// with NotFound, and with Conflict for a tenant that is being deleted or is the
// first one.
func (s *Store) SuspendTenant(ctx context.Context, name string) (TenantInfo, error) {
	return s.changeTenant(ctx, name, func(info *TenantInfo) error {
		if name == firstTenant {
			return scim.Errorf(scim.Conflict, "the tenant %s is never suspended: its administrators would be locked out", firstTenant)
		}
		return info.become(Suspended)
	})
}

// ResumeTenant ends a suspension. It fails with NotFound, and with Conflict for a
// tenant that is being deleted.
func (s *Store) ResumeTenant(ctx context.Context, name string) (TenantInfo, error) {
	return s.changeTenant(ctx, name, func(info *TenantInfo) error { return info.become(Active) })
}

func (info *TenantInfo) become(state State) error {
	if info.State == Deleting {
		return scim.Errorf(scim.Conflict, "the tenant %s is being deleted; that cannot be undone", info.Name)
	}
	info.State = state
	return nil
}

// changeTenant reads a tenant, changes it, and writes it, while nobody else does.
func (s *Store) changeTenant(ctx context.Context, name string, change func(*TenantInfo) error) (info TenantInfo, err error) {
	err = s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		id, before, err := s.lockTenant(ctx, tx, name)
		if err != nil {
			return err
		}
		info = before
		if err := change(&info); err != nil {
			return err
		}
		settings, err := settingsText(info.Settings)
		if err != nil {
			return err
		}
		st := s.statement()
		st.add("UPDATE tenants SET profile = ", arg{string(info.Profile)}, ", settings = ", arg{textOrNull(settings)}, ", state = ", arg{textOrNull(info.State.column())})
		if info.Profile != before.Profile || info.State == Deleting {
			// What a resource type is depends on the profile, so this is another catalog;
			// and a write that was checked by the old one must not be kept any more.
			st.add(", catalog_version = catalog_version + 1")
		}
		if err := tx.write(ctx, st.add(" WHERE id = ", arg{id})); err != nil {
			return err
		}
		return s.auditState(ctx, tx, before.state(), info.state())
	})
	return info, err
}

// column is the state as it is stored; empty: as NULL.
func (state State) column() string {
	if state == Active {
		return ""
	}
	return string(state)
}

// lockTenant reads a tenant that this transaction will write.
func (s *Store) lockTenant(ctx context.Context, tx tx, name string) (id int64, info TenantInfo, err error) {
	st := s.statement()
	st.add("SELECT id, name, state, profile, settings, created_at FROM tenants WHERE name = ", arg{name})
	if s.dialect == postgres {
		st.add(" FOR NO KEY UPDATE")
	}
	var t ent.Tenant
	err = tx.read(ctx, st, func(scan scan) error {
		return scan(&t.ID, &t.Name, &t.State, &t.Profile, &t.Settings, &t.CreatedAt)
	})
	if err == nil && t.ID == 0 {
		err = noTenant(name)
	}
	if err != nil {
		return 0, TenantInfo{}, err
	}
	info, err = tenantInfo(&t)
	return t.ID, info, err
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
	t, err := makeTenant(ctx, tx, TenantInfo{Name: tenantName, Profile: Tolerant})
	if err != nil {
		return false, err
	}
	c := Credential{Name: credentialName, Kind: Bearer, Scopes: []string{"scim"}}
	if err := addCredential(ctx, tx, t.ID, c, secretHash[:]); err != nil {
		return false, err
	}
	if a := actOf(ctx); a != nil {
		a.TenantID, a.ResourceType, a.ResourceID = t.ID, "Credential", tenantName+"/"+credentialName
	}
	return true, auditThrough(ctx, tx, stateChanges(nil, c.state()))
}

// makeTenant makes a tenant. Where something is registered for all tenants, that is
// its first catalog. It is looked for after the tenant is there: from then on a
// registration waits for this transaction, and reaches the tenant.
func makeTenant(ctx context.Context, tx *ent.Tx, info TenantInfo) (*ent.Tenant, error) {
	settings, err := settingsText(info.Settings)
	if err != nil {
		return nil, err
	}
	t, err := tx.Tenant.Create().SetName(info.Name).SetProfile(string(info.Profile)).SetNillableSettings(nilIfEmpty(settings)).
		SetCatalogVersion(0).SetCreatedAt(now()).Save(ctx)
	if err != nil {
		return nil, err
	}
	found, err := tx.Registration.Query().Where(registration.TenantID(allTenants)).Exist(ctx)
	if err != nil || !found && info.Profile == Tolerant {
		return t, err
	}
	return t.Update().SetCatalogVersion(1).Save(ctx)
}

// Tenant finds a tenant by its name, for an operator, who may work on one that is
// suspended too. It fails with NotFound, and with Conflict for one that is being
// deleted.
func (s *Store) Tenant(ctx context.Context, name string) (Tenant, error) {
	found, err := s.client.Tenant.Query().Where(tenant.Name(name)).Only(ctx)
	if ent.IsNotFound(err) {
		err = noTenant(name)
	}
	if err != nil {
		return Tenant{}, err
	}
	if found.State != nil && State(*found.State) == Deleting {
		return Tenant{}, scim.Errorf(scim.Conflict, "the tenant %s is being deleted", name)
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
