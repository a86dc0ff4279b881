package store

import (
	"context"
	"maps"
	"slices"

	"github.com/muster-scim/muster/scim"
)

// To count the resources of a tenant is to read them all, and every list tells how
// many there are. So the number is kept, and each write that makes or removes a
// resource changes it in its own transaction.

// countParts is how many rows add up to one number on PostgreSQL. A row stays
// locked until the write that changed it is durable, so all writes of a tenant
// would stand in line before a single row. Connections have a row each, but for
// those that meet by chance. SQLite has one writer, and one row.
const countParts = "64"

// keepCount adds n, which may be negative, to how many resources of a type there
// are. It is the last statement of a write, for the sake of who waits for the row.
func (t Tenant) keepCount(ctx context.Context, tx tx, rt *scim.ResourceType, n int) error {
	part := "0"
	if t.store.dialect == postgres {
		part = "pg_backend_pid() % " + countParts
	}
	st := t.store.statement()
	st.add("INSERT INTO resource_counts AS c (tenant_id, type, part, resources) VALUES (",
		arg{t.id}, ", ", arg{rt.Name}, ", ", part, ", ", arg{n}, ")",
		" ON CONFLICT (tenant_id, type, part) DO UPDATE SET resources = c.resources + excluded.resources")
	return tx.write(ctx, st)
}

// keepCounts is keepCount for new resources. Types come in one order in all writes,
// so that none of two waits for the other.
func (t Tenant) keepCounts(ctx context.Context, tx tx, all []*New) error {
	created := make(map[string]int)
	types := make(map[string]*scim.ResourceType)
	for _, n := range all {
		created[n.Type.Name]++
		types[n.Type.Name] = n.Type
	}
	for _, name := range slices.Sorted(maps.Keys(created)) {
		if err := t.keepCount(ctx, tx, types[name], created[name]); err != nil {
			return err
		}
	}
	return nil
}

// count is how many resources match. Only where there is no filter is it known
// without looking.
func (t Tenant) count(ctx context.Context, rt *scim.ResourceType, f scim.Filter) (n int, err error) {
	st := t.store.statement()
	if f == nil {
		st.add("SELECT CAST(coalesce(sum(resources), 0) AS bigint) FROM resource_counts WHERE tenant_id = ", arg{t.id}, " AND type = ", arg{rt.Name})
	} else {
		st.add("SELECT count(*)")
		t.addFrom(st, rt, f)
	}
	err = t.store.read(ctx, st, func(scan scan) error { return scan(&n) })
	return n, err
}
