package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Registrations are kept one row each, for a tenant or for all. What they make of
// the contract, a scim.Catalog, is compiled once for each version of a tenant's;
// the version comes with every authentication, so that a change has effect at once
// on every server.

// allTenants stands in place of a tenant's id for what is registered for all.
const allTenants = 0

// The kinds of registrations.
const (
	schemaKind       = "schema"
	resourceTypeKind = "resourceType"
)

// kindWords are what people call them.
var kindWords = map[string]string{schemaKind: "schema", resourceTypeKind: "resource type"}

// maxRegistrations is the most that is registered for one tenant, and for all.
const maxRegistrations = 500

// registrations are those of one owner, of which no two have the same key; or those
// for all and then those of a tenant.
type registrations []*musterv1.Registration

// keyOf is what a registration is found by, and its content.
func keyOf(r *musterv1.Registration) (kind, name string, content proto.Message) {
	if s := r.GetSchema(); s != nil {
		return schemaKind, s.GetId(), s
	}
	return resourceTypeKind, r.GetResourceType().GetName(), r.GetResourceType()
}

func ofSchema(forAll bool, s *musterv1.Schema) *musterv1.Registration {
	return &musterv1.Registration{AllTenants: forAll, Registered: &musterv1.Registration_Schema{Schema: s}}
}

func ofResourceType(forAll bool, t *musterv1.ResourceType) *musterv1.Registration {
	return &musterv1.Registration{AllTenants: forAll, Registered: &musterv1.Registration_ResourceType{ResourceType: t}}
}

// find is the content of the one with that key, or nil.
func (all registrations) find(kind, name string) proto.Message {
	for _, r := range all {
		if k, n, content := keyOf(r); k == kind && n == name {
			return content
		}
	}
	return nil
}

// catalogs keeps the compiled catalog of each tenant.
type catalogs struct {
	contract *scim.Catalog // of those for which nothing is registered
	mu       sync.Mutex
	byTenant map[int64]versionedCatalog
}

type versionedCatalog struct {
	version int64
	catalog *scim.Catalog
}

// maxCatalogs is the most catalogs kept; beyond, all are thrown away.
const maxCatalogs = 1000

// of is the catalog of a tenant.
func (c *catalogs) of(ctx context.Context, s *Store, tenant, version int64, profile Profile) (*scim.Catalog, error) {
	if version == 0 { // nothing was ever registered, and the profile is the first
		return c.contract, nil
	}
	c.mu.Lock()
	known, ok := c.byTenant[tenant]
	c.mu.Unlock()
	if ok && known.version == version {
		return known.catalog, nil
	}
	all, err := readRegistrations(ctx, s, s, tenant)
	if err != nil {
		return nil, err
	}
	catalog, err := compileCatalog(all)
	if err != nil {
		return nil, fmt.Errorf("the registrations of tenant %d: %w", tenant, err)
	}
	if profile == Strict {
		catalog = catalog.Strict()
	}
	catalog = catalog.Within(c.contract.Limits())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTenant == nil || len(c.byTenant) >= maxCatalogs {
		c.byTenant = make(map[int64]versionedCatalog)
	}
	c.byTenant[tenant] = versionedCatalog{version, catalog}
	return catalog, nil
}

// compileCatalog makes a catalog of registrations; those for all come first.
func compileCatalog(all registrations) (*scim.Catalog, error) {
	var schemas []*musterv1.Schema
	var types []*musterv1.ResourceType
	for _, r := range slices.Backward(all) { // a tenant's own schema is found before one for all
		if s := r.GetSchema(); s != nil {
			schemas = append(schemas, s)
		}
	}
	for _, r := range all {
		if t := r.GetResourceType(); t != nil {
			types = append(types, t)
		}
	}
	return scim.NewCatalog(schemas, types)
}

// readRegistrations reads those of a tenant, after those for all.
func readRegistrations(ctx context.Context, s *Store, from reader, tenant int64) (registrations, error) {
	st := s.statement()
	st.add("SELECT tenant_id, kind, document FROM registrations WHERE tenant_id IN (0, ", arg{tenant}, ") ORDER BY tenant_id, id")
	var all registrations
	err := from.read(ctx, st, func(scan scan) error {
		var owner int64
		var kind string
		var document []byte
		if err := scan(&owner, &kind, &document); err != nil {
			return err
		}
		if kind == schemaKind {
			m := &musterv1.Schema{}
			all = append(all, ofSchema(owner == allTenants, m))
			return protojson.Unmarshal(document, m)
		}
		m := &musterv1.ResourceType{}
		all = append(all, ofResourceType(owner == allTenants, m))
		return protojson.Unmarshal(document, m)
	})
	return all, err
}

// Registrations lists what is registered for all and for the tenant.
func (t Tenant) Registrations(ctx context.Context) ([]*musterv1.Registration, error) {
	return readRegistrations(ctx, t.store, t.store, t.id)
}

// errCatalogChanged is what confirmCatalog fails with.
var errCatalogChanged = scim.Errorf(scim.Unavailable, "what is registered for the tenant has just changed; send the request again")

// confirmCatalog fails with Unavailable where the tenant's catalog is no longer the
// one that this write was checked by. It comes after the first change of resources:
// from then on a change of the catalog waits until the write is over, and looks at
// what it wrote.
func (t Tenant) confirmCatalog(ctx context.Context, tx tx) error {
	st := t.store.statement()
	if t.store.dialect == postgres {
		// It waits for the commit like any other statement, so that it costs no
		// exchange, and can stop it only by failing itself: it divides by zero.
		st.add("SELECT 1 / count(*) FROM tenants WHERE id = ", arg{t.id}, " AND catalog_version = ", arg{t.version})
		return tx.write(ctx, st)
	}
	var version int64
	st.add("SELECT catalog_version FROM tenants WHERE id = ", arg{t.id})
	err := tx.read(ctx, st, func(scan scan) error { return scan(&version) })
	if err == nil && version != t.version {
		err = errCatalogChanged
	}
	return err
}

// Register adds schemas and resource types, or replaces those of the same URN or
// name, for the tenant or for all: all of them or none. What is registered like
// that already changes nothing. It fails with InvalidValue where they do not fit
// each other or what is registered already, and with Conflict where a stored
// resource would not fit them.
func (t Tenant) Register(ctx context.Context, forAll bool, schemas []*musterv1.Schema, types []*musterv1.ResourceType) error {
	if err := scim.CheckRegistrations(schemas, types); err != nil {
		return err
	}
	return t.changeCatalog(ctx, forAll, func(ctx context.Context, tx tx, present registrations) (changed bool, err error) {
		var all registrations
		for _, s := range schemas {
			all = append(all, ofSchema(forAll, s))
		}
		for _, t := range types {
			all = append(all, ofResourceType(forAll, t))
		}
		total := len(present)
		for _, r := range all {
			kind, name, content := keyOf(r)
			known := present.find(kind, name)
			if known == nil {
				total++
			}
			if known != nil && proto.Equal(known, content) {
				continue
			}
			changed = true
			if err := t.putRegistration(ctx, tx, t.owner(forAll), r); err != nil {
				return false, err
			}
		}
		if total > maxRegistrations {
			return false, scim.Errorf(scim.InvalidValue, "at most %d schemas and resource types can be registered", maxRegistrations)
		}
		return changed, nil
	})
}

func (t Tenant) putRegistration(ctx context.Context, tx tx, owner int64, r *musterv1.Registration) error {
	kind, name, content := keyOf(r)
	document, err := protojson.Marshal(content)
	if err != nil {
		return err
	}
	st := t.store.statement()
	st.add("INSERT INTO registrations (tenant_id, kind, name, document, updated_at) VALUES (", arg{owner}, ", ", arg{kind}, ", ", arg{name}, ", ",
		arg{string(document)}, ", ", arg{now()}, ") ON CONFLICT (tenant_id, kind, name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at")
	return tx.write(ctx, st)
}

// Unregister removes schemas, by their URNs, and resource types, by their names,
// all of them or none. It fails with NotFound where one is not registered for the
// tenant, or else for all, and with Conflict where another registration or a stored
// resource needs it.
func (t Tenant) Unregister(ctx context.Context, forAll bool, urns, names []string) error {
	err := t.changeCatalog(ctx, forAll, func(ctx context.Context, tx tx, present registrations) (changed bool, err error) {
		for i, name := range slices.Concat(names, urns) {
			kind := resourceTypeKind
			if i >= len(names) {
				kind = schemaKind
			}
			if present.find(kind, name) == nil {
				return false, scim.Errorf(scim.NotFound, "no %s %.200q is registered", kindWords[kind], name)
			}
			st := t.store.statement()
			st.add("DELETE FROM registrations WHERE tenant_id = ", arg{t.owner(forAll)}, " AND kind = ", arg{kind}, " AND name = ", arg{name})
			if err := tx.write(ctx, st); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if e, ok := errors.AsType[*scim.Error](err); ok && e.Reason == scim.InvalidValue {
		return scim.Errorf(scim.Conflict, "it is needed: %s", e.Detail)
	}
	return err
}

func (t Tenant) owner(forAll bool) int64 {
	if forAll {
		return allTenants
	}
	return t.id
}

// maxCatalogChange is how long a change of the catalog may take. It may have to
// look at every resource of a type.
const maxCatalogChange = 10 * time.Minute

// A catalogChange changes the registrations of one owner, and tells whether it did.
type catalogChange func(ctx context.Context, tx tx, present registrations) (changed bool, err error)

// changeCatalog changes registrations in one transaction: it holds off writes of
// resources, changes, compiles what comes of it for each tenant, and holds that
// against what is stored.
func (t Tenant) changeCatalog(ctx context.Context, forAll bool, change catalogChange) error {
	return t.writeWithin(ctx, maxCatalogChange, func(ctx context.Context, tx tx) error {
		tenants, err := t.lockTenants(ctx, tx, forAll)
		if err != nil {
			return err
		}
		before := make([]*scim.Catalog, len(tenants))
		var present registrations
		for i, other := range tenants {
			var all registrations
			if all, before[i], err = t.store.readCatalog(ctx, tx, other.id); err != nil {
				return err
			}
			if other.id == t.id {
				present = slices.DeleteFunc(all, func(r *musterv1.Registration) bool { return r.GetAllTenants() != forAll })
			}
		}
		if changed, err := change(ctx, tx, present); err != nil || !changed {
			return err
		}
		for i, other := range tenants {
			if err := other.renewCatalog(ctx, tx, before[i]); err != nil {
				return other.named(err, forAll)
			}
		}
		return t.auditCatalog(ctx, tx, forAll, present)
	})
}

// auditCatalog records how the registrations of one owner differ from what they were.
func (t Tenant) auditCatalog(ctx context.Context, tx tx, forAll bool, before registrations) error {
	if actOf(ctx) == nil {
		return nil
	}
	all, err := readRegistrations(ctx, t.store, tx, t.id)
	if err != nil {
		return err
	}
	after := slices.DeleteFunc(all, func(r *musterv1.Registration) bool { return r.GetAllTenants() != forAll })
	differ := make(map[string]map[string]json.RawMessage)
	for when, side := range map[string][2]registrations{"before": {before, after}, "after": {after, before}} {
		for _, r := range side[0] {
			kind, name, content := keyOf(r)
			if other := side[1].find(kind, name); other != nil && proto.Equal(content, other) {
				continue
			}
			document, err := protojson.Marshal(content)
			if err != nil {
				return err
			}
			key := kindWords[kind] + " " + name
			if differ[key] == nil {
				differ[key] = make(map[string]json.RawMessage, 2)
			}
			differ[key][when] = document
		}
	}
	changes := struct {
		AllTenants bool                                  `json:"allTenants,omitempty"`
		Attributes map[string]map[string]json.RawMessage `json:"attributes"`
	}{forAll, differ}
	return t.store.audit(ctx, tx, "", "", "", string(mustJSON(changes)))
}

// renewCatalog makes what has been changed of the registrations the tenant's
// catalog.
func (t lockedTenant) renewCatalog(ctx context.Context, tx tx, before *scim.Catalog) error {
	_, after, err := t.store.readCatalog(ctx, tx, t.id)
	if err != nil {
		return err
	}
	if err := t.checkStored(ctx, tx, before, after); err != nil {
		return err
	}
	st := t.store.statement()
	st.add("UPDATE tenants SET catalog_version = catalog_version + 1 WHERE id = ", arg{t.id})
	return tx.write(ctx, st)
}

func (s *Store) readCatalog(ctx context.Context, tx tx, tenant int64) (registrations, *scim.Catalog, error) {
	all, err := readRegistrations(ctx, s, tx, tenant)
	if err != nil {
		return nil, nil, err
	}
	catalog, err := compileCatalog(all)
	return all, catalog, err
}

// A lockedTenant is one whose catalog and resources nobody else changes now.
type lockedTenant struct {
	Tenant

	name string
}

// named says of an error which tenant it is about, where it may be any.
func (t lockedTenant) named(err error, anyTenant bool) error {
	if e, ok := errors.AsType[*scim.Error](err); ok && anyTenant {
		return scim.InField(e.Field, scim.Errorf(e.Reason, "for the tenant %s: %s", t.name, e.Detail).At(e.Attribute))
	}
	return err
}

// lockTenants locks the tenants that a change of registrations is about. On
// PostgreSQL no resource is written and no tenant made before the change is over;
// on SQLite nothing is.
func (t Tenant) lockTenants(ctx context.Context, tx tx, forAll bool) (all []lockedTenant, err error) {
	if t.store.dialect == postgres {
		lock := t.store.statement()
		if err := tx.write(ctx, lock.add("LOCK TABLE tenants, resources IN SHARE ROW EXCLUSIVE MODE")); err != nil {
			return nil, err
		}
	}
	st := t.store.statement()
	st.add("SELECT id, name FROM tenants WHERE coalesce(state, '') <> '" + string(Deleting) + "'")
	if !forAll {
		st.add(" AND id = ", arg{t.id})
	}
	err = tx.read(ctx, st.add(" ORDER BY id"), func(scan scan) error {
		other := lockedTenant{Tenant: Tenant{store: t.store}}
		err := scan(&other.id, &other.name)
		all = append(all, other)
		return err
	})
	if err == nil && len(all) == 0 {
		err = scim.Errorf(scim.NotFound, "the tenant is gone")
	}
	return all, err
}

// checkStored holds the stored resources against a new catalog and writes the
// rows of values that must be unique by it. It reads each resource of a type that
// may not accept them all, some at a time.
func (t Tenant) checkStored(ctx context.Context, tx tx, before, after *scim.Catalog) error {
	for _, old := range before.ResourceTypes() {
		rt := after.ResourceType(old.Name)
		if rt != nil && rt.Accepts(old) {
			continue
		}
		if err := t.checkStoredType(ctx, tx, old, rt); err != nil {
			return err
		}
	}
	return nil
}

// checkStoredType is checkStored for one type; rt is nil where it is gone.
func (t Tenant) checkStoredType(ctx context.Context, tx tx, old, rt *scim.ResourceType) error {
	const step = 500
	last := ""
	for {
		var rows []row
		st := t.store.statement()
		st.add("SELECT "+rowColumns+", FALSE FROM resources r WHERE r.tenant_id = ", arg{t.id}, " AND r.type = ", arg{old.Name},
			" AND r.id > ", arg{last}, " ORDER BY r.id LIMIT ", arg{step})
		err := tx.read(ctx, st, func(scan scan) error {
			var w row
			err := w.scan(scan)
			rows = append(rows, w)
			return err
		})
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			err := t.checkRow(ctx, tx, old, rt, &rows[i])
			if e, ok := errors.AsType[*scim.Error](err); ok {
				return scim.Errorf(scim.Conflict, "the stored %s %s would not fit: %s", old.Name, rows[i].id, e.Detail)
			}
			if err != nil {
				return err
			}
		}
		last = rows[len(rows)-1].id
	}
}

// checkRow holds one resource against the new state of its type.
func (t Tenant) checkRow(ctx context.Context, tx tx, old, rt *scim.ResourceType, w *row) error {
	if rt == nil {
		return scim.Errorf(scim.Conflict, "its resource type would be gone")
	}
	was, is, err := rt.Renew(old, w.document)
	if err != nil {
		return err
	}
	values := lift(rt, is)
	if err := values.check(); err != nil {
		return err
	}
	return t.updateValues(ctx, tx, rt, w.id, lift(old, was).values, values.values)
}
