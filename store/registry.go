package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

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

// Registration is a schema or a resource type that an operator added.
type Registration struct {
	// ForAll tells that it is registered for all tenants.
	ForAll bool
	// One of the two is set.
	Schema       *musterv1.Schema
	ResourceType *musterv1.ResourceType
}

// key is what a registration is found by.
func (r *Registration) key() (kind, name string) {
	if r.Schema != nil {
		return schemaKind, r.Schema.GetId()
	}
	return resourceTypeKind, r.ResourceType.GetName()
}

// catalogs keeps the compiled catalog of each tenant.
type catalogs struct {
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
		return scim.Contract, nil
	}
	c.mu.Lock()
	known, ok := c.byTenant[tenant]
	c.mu.Unlock()
	if ok && known.version == version {
		return known.catalog, nil
	}
	registrations, err := readRegistrations(ctx, s, s, tenant)
	if err != nil {
		return nil, err
	}
	catalog, err := compileCatalog(registrations)
	if err != nil {
		return nil, fmt.Errorf("the registrations of tenant %d: %w", tenant, err)
	}
	if profile == Strict {
		catalog = catalog.Strict()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byTenant == nil || len(c.byTenant) >= maxCatalogs {
		c.byTenant = make(map[int64]versionedCatalog)
	}
	c.byTenant[tenant] = versionedCatalog{version, catalog}
	return catalog, nil
}

// compileCatalog makes a catalog of registrations; those for all come first.
func compileCatalog(registrations []Registration) (*scim.Catalog, error) {
	var schemas []*musterv1.Schema
	var types []*musterv1.ResourceType
	for _, r := range slices.Backward(registrations) { // a tenant's own schema is found before one for all
		if s := r.Schema; s != nil {
			schemas = append(schemas, s)
		}
	}
	for _, r := range registrations {
		if r.ResourceType != nil {
			types = append(types, r.ResourceType)
		}
	}
	return scim.NewCatalog(schemas, types)
}

// readRegistrations reads those of a tenant, after those for all.
func readRegistrations(ctx context.Context, s *Store, from reader, tenant int64) ([]Registration, error) {
	st := s.statement()
	st.add("SELECT tenant_id, kind, document FROM registrations WHERE tenant_id IN (0, ", arg{tenant}, ") ORDER BY tenant_id, id")
	var all []Registration
	err := from.read(ctx, st, func(scan scan) error {
		var owner int64
		var kind string
		var document []byte
		if err := scan(&owner, &kind, &document); err != nil {
			return err
		}
		r := Registration{ForAll: owner == allTenants}
		var m proto.Message
		if kind == schemaKind {
			r.Schema = &musterv1.Schema{}
			m = r.Schema
		} else {
			r.ResourceType = &musterv1.ResourceType{}
			m = r.ResourceType
		}
		all = append(all, r)
		return protojson.Unmarshal(document, m)
	})
	return all, err
}

// Registrations lists what is registered for all and for the tenant.
func (t Tenant) Registrations(ctx context.Context) ([]Registration, error) {
	return readRegistrations(ctx, t.store, t.store, t.id)
}

// checkCatalog fails with Unavailable where the tenant's catalog is no longer the
// one that this write was checked by. The lock holds off whoever would change it.
func (t Tenant) checkCatalog(ctx context.Context, tx tx) error {
	if t.version == 0 {
		return nil // a first registration waits for writes under way: see Register
	}
	st := t.store.statement()
	st.add("SELECT catalog_version FROM tenants WHERE id = ", arg{t.id})
	if t.store.dialect == postgres {
		st.add(" FOR SHARE")
	}
	var version int64
	if err := tx.read(ctx, st, func(scan scan) error { return scan(&version) }); err != nil {
		return err
	}
	if version != t.version {
		return scim.Errorf(scim.Unavailable, "what is registered for the tenant has just changed; send the request again")
	}
	return nil
}

// Register adds a registration or replaces the one of the same kind and name, for
// the tenant or for all. It fails with InvalidValue where it does not fit what is
// registered already, and with Conflict where a stored resource would not fit it.
func (t Tenant) Register(ctx context.Context, r Registration) error {
	kind, name := r.key()
	var m proto.Message = r.ResourceType
	if r.Schema != nil {
		m = r.Schema
	}
	document, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	owner := t.owner(r.ForAll)
	return t.changeCatalog(ctx, r.ForAll, func(ctx context.Context, tx tx) error {
		st := t.store.statement()
		st.add("INSERT INTO registrations (tenant_id, kind, name, document, updated_at) VALUES (", arg{owner}, ", ", arg{kind}, ", ", arg{name}, ", ",
			arg{string(document)}, ", ", arg{now()}, ") ON CONFLICT (tenant_id, kind, name) DO UPDATE SET document = excluded.document, updated_at = excluded.updated_at")
		return tx.write(ctx, st)
	})
}

// Unregister removes the registration with the kind and name of r. It fails with
// NotFound, with InvalidValue where another registration names it, and with
// Conflict where a stored resource needs it.
func (t Tenant) Unregister(ctx context.Context, r Registration) error {
	kind, name := r.key()
	owner := t.owner(r.ForAll)
	return t.changeCatalog(ctx, r.ForAll, func(ctx context.Context, tx tx) error {
		found := false
		st := t.store.statement()
		st.add("SELECT 1 FROM registrations WHERE tenant_id = ", arg{owner}, " AND kind = ", arg{kind}, " AND name = ", arg{name})
		err := tx.read(ctx, st, func(scan) error {
			found = true
			return nil
		})
		if err != nil {
			return err
		}
		if !found {
			return scim.Errorf(scim.NotFound, "there is no registered %s %.200q", kind, name)
		}
		st = t.store.statement()
		st.add("DELETE FROM registrations WHERE tenant_id = ", arg{owner}, " AND kind = ", arg{kind}, " AND name = ", arg{name})
		return tx.write(ctx, st)
	})
}

func (t Tenant) owner(forAll bool) int64 {
	if forAll {
		return allTenants
	}
	return t.id
}

// changeCatalog changes registrations in one transaction: it holds off writes of
// resources, changes, compiles what comes of it for each tenant, and holds that
// against what is stored.
func (t Tenant) changeCatalog(ctx context.Context, forAll bool, change job) error {
	return t.store.write(ctx, func(ctx context.Context, tx tx) error {
		tenants, err := t.lockTenants(ctx, tx, forAll)
		if err != nil {
			return err
		}
		before := make(map[int64]*scim.Catalog)
		for _, id := range tenants {
			if before[id], err = t.store.readCatalog(ctx, tx, id); err != nil {
				return err
			}
		}
		if err := change(ctx, tx); err != nil {
			return err
		}
		for _, id := range tenants {
			after, err := t.store.readCatalog(ctx, tx, id)
			if err != nil {
				return err
			}
			other := Tenant{store: t.store, id: id}
			if err := other.checkStored(ctx, tx, before[id], after); err != nil {
				return err
			}
			st := t.store.statement()
			st.add("UPDATE tenants SET catalog_version = catalog_version + 1 WHERE id = ", arg{id})
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Store) readCatalog(ctx context.Context, tx tx, tenant int64) (*scim.Catalog, error) {
	registrations, err := readRegistrations(ctx, s, tx, tenant)
	if err != nil {
		return nil, err
	}
	return compileCatalog(registrations)
}

// lockTenants locks the tenants that a change of registrations is about. On
// PostgreSQL no resource is written before the change is over; on SQLite nothing
// is.
func (t Tenant) lockTenants(ctx context.Context, tx tx, forAll bool) ([]int64, error) {
	st := t.store.statement()
	st.add("SELECT id FROM tenants")
	if !forAll {
		st.add(" WHERE id = ", arg{t.id})
	}
	st.add(" ORDER BY id")
	if t.store.dialect == postgres {
		lock := t.store.statement()
		if err := tx.write(ctx, lock.add("LOCK TABLE resources IN SHARE ROW EXCLUSIVE MODE")); err != nil {
			return nil, err
		}
		st.add(" FOR UPDATE")
	}
	var ids []int64
	err := tx.read(ctx, st, func(scan scan) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// checkStored holds the stored resources against a new catalog and writes the
// rows of values that must be unique by it. It reads each resource of a type that
// changed, one by one.
func (t Tenant) checkStored(ctx context.Context, tx tx, before, after *scim.Catalog) error {
	for _, old := range before.ResourceTypes() {
		rt := after.ResourceType(old.Name)
		if rt == old {
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
			if err := t.checkRow(ctx, tx, old, rt, &rows[i]); err != nil {
				return err
			}
		}
		last = rows[len(rows)-1].id
	}
}

// checkRow holds one resource against the new state of its type.
func (t Tenant) checkRow(ctx context.Context, tx tx, old, rt *scim.ResourceType, w *row) error {
	conflict := func(err error) error {
		if e, ok := errors.AsType[*scim.Error](err); ok {
			return scim.Errorf(scim.Conflict, "the stored %s %s would not fit: %s", old.Name, w.id, e.Detail)
		}
		return err
	}
	if rt == nil {
		return conflict(scim.Errorf(scim.Conflict, "its resource type would be gone"))
	}
	r, err := w.resource(old)
	if err != nil {
		return err
	}
	renewed, err := rt.Renew(r)
	if err != nil {
		return conflict(err)
	}
	was, is := lift(old, r), lift(rt, renewed)
	if err := is.check(); err != nil {
		return conflict(err)
	}
	if err := t.updateValues(ctx, tx, rt, w.id, was.values, is.values); err != nil {
		return conflict(err)
	}
	return nil
}
