package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/ent/tenant"
	"github.com/muster-scim/muster/scim"
)

// A tenant is deleted in many small transactions, so that no other tenant's write
// waits for long. It is marked first: from then on nobody is let in, a write that
// was under way is not kept, and a deletion that was interrupted can be finished by
// anybody. Its own row goes last.

// How much one transaction removes.
const (
	rowsAtOnce        = 1000
	resourcesAtOnce   = 200
	membershipsAtOnce = 5000
)

// tenantRows are rows that are removed with a tenant: those of a table with the
// column key, found by a query that ends with the number of the tenant.
type tenantRows struct{ table, key, from string }

// tenantTables are all such rows but for resources, which come before them: from
// then on nothing writes to the log of changes any more. What has a foreign key to
// another of these tables comes before it.
var tenantTables = []tenantRows{
	ofTenant("changes", "position"),
	ofTenant("change_logs", "id"),
	ofTenant("resource_counts", "id"),
	ofTenant("registrations", "id"),
	{"tokens", "id", "tokens x JOIN credentials c ON c.id = x.credential_id WHERE c.tenant_id = "},
	ofTenant("credentials", "id"),
	{"recorded_exchanges", "id", "recorded_exchanges x JOIN recordings r ON r.id = x.recording_id WHERE r.tenant_id = "},
	ofTenant("recordings", "id"),
	ofTenant("exchanges", "id"),
	ofTenant("traffic", "id"),
	ofTenant("watchers", "id"),
	ofTenant("revoked_tokens", "id"),
	ofTenant("sessions", "id"),
	ofTenant("login_links", "id"),
	ofTenant("sign_in_providers", "id"),
	{"dead_letters", "id", "dead_letters x JOIN subscriptions s ON s.id = x.subscription_id WHERE s.tenant_id = "},
	ofTenant("subscriptions", "id"),
	ofTenant("audit_events", "id"),
	ofTenant("audit_chains", "id"),
}

func ofTenant(table, key string) tenantRows {
	return tenantRows{table, key, table + " x WHERE x.tenant_id = "}
}

// DeleteTenant removes a suspended tenant with all its data. Where it fails or is
// interrupted on its way the tenant stays marked, and it is finished by calling it
// again or by FinishDeletions. It fails with NotFound, and with Conflict for a
// tenant that is not suspended or is the first one.
func (s *Store) DeleteTenant(ctx context.Context, name string) error {
	_, err := s.changeTenant(ctx, name, func(info *TenantInfo) error {
		switch {
		case name == firstTenant:
			return scim.Errorf(scim.Conflict, "the tenant %s cannot be deleted", firstTenant)
		case info.State == Active:
			return scim.Errorf(scim.Conflict, "the tenant %s is active; suspend it first", name)
		}
		info.State = Deleting
		return nil
	})
	if err != nil {
		return err
	}
	found, err := s.client.Tenant.Query().Where(tenant.Name(name)).Only(ctx)
	if ent.IsNotFound(err) { // another server was faster
		return nil
	}
	if err != nil {
		return err
	}
	return s.removeTenant(ctx, found.ID)
}

// FinishDeletions removes the tenants whose deletion was interrupted, and returns
// their names; and what came into the audit log of a tenant that was gone already, such
// as an attempt with its credential. Several servers may do so at once.
func (s *Store) FinishDeletions(ctx context.Context) (names []string, err error) {
	marked, err := s.client.Tenant.Query().Where(tenant.State(string(Deleting))).All(ctx)
	if err != nil {
		return nil, err
	}
	for _, t := range marked {
		if err := s.removeTenant(ctx, t.ID); err != nil {
			return names, fmt.Errorf("removing the tenant %s: %w", t.Name, err)
		}
		names = append(names, t.Name)
	}
	return names, s.removeLateEvents(ctx)
}

// removeLateEvents removes what the audit log has of tenants that are gone. Once sealed
// such events have a chain, so that is where they are looked for.
func (s *Store) removeLateEvents(ctx context.Context) error {
	var gone numbers
	st := s.statement()
	st.add("SELECT c.tenant_id FROM audit_chains c WHERE c.tenant_id <> ", arg{NoTenant}, " AND NOT EXISTS (SELECT 1 FROM tenants t WHERE t.id = c.tenant_id)")
	err := s.read(ctx, st, func(scan scan) error {
		var id int64
		err := scan(&id)
		gone = append(gone, id)
		return err
	})
	for _, id := range gone {
		if err == nil {
			err = s.removeTenant(ctx, id)
		}
	}
	return err
}

// removeTenant removes what a marked tenant has, and at last its row. A write that
// had begun before the tenant was marked may end after its table was emptied: the
// foreign keys tell, and then all of it begins again.
func (s *Store) removeTenant(ctx context.Context, id int64) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		if err := s.removeResources(ctx, id); err != nil {
			return err
		}
		for _, rows := range tenantTables {
			if err := s.removeRows(ctx, rows, id); err != nil {
				return err
			}
		}
		err := s.write(ctx, func(ctx context.Context, tx tx) error {
			return tx.write(ctx, s.statement().add("DELETE FROM tenants WHERE id = ", arg{id}))
		})
		if !errors.Is(err, errGone) || attempt == attempts {
			return err
		}
	}
}

// removeResources removes the resources of a tenant with their values, secrets and
// memberships.
func (s *Store) removeResources(ctx context.Context, tenant int64) error {
	for {
		ids, err := s.someResources(ctx, tenant)
		if err != nil || len(ids) == 0 {
			return err
		}
		// A group may have very many members.
		for more := true; more; {
			if more, err = s.removeMemberships(ctx, ids); err != nil {
				return err
			}
		}
		err = s.write(ctx, func(ctx context.Context, tx tx) error {
			return tx.write(ctx, s.statement().add("DELETE FROM resources WHERE id", in(ids)))
		})
		if err != nil {
			return err
		}
	}
}

func (s *Store) someResources(ctx context.Context, tenant int64) (ids []string, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	st := s.statement()
	st.add("SELECT id FROM resources WHERE tenant_id = ", arg{tenant}, " ORDER BY type, id LIMIT ", arg{resourcesAtOnce})
	err = s.read(ctx, st, func(scan scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// removeMemberships removes members of groups, and tells whether there may be more.
func (s *Store) removeMemberships(ctx context.Context, groups []string) (more bool, err error) {
	some := s.statement()
	some.add("SELECT group_id, member_id FROM memberships WHERE group_id", in(groups), " LIMIT ", arg{membershipsAtOnce})
	found := 0
	if err := s.read(ctx, some, func(scan) error { found++; return nil }); err != nil || found == 0 {
		return false, err
	}
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		st := s.statement()
		st.add("DELETE FROM memberships WHERE (group_id, member_id) IN (SELECT group_id, member_id FROM memberships WHERE group_id", in(groups),
			" LIMIT ", arg{membershipsAtOnce}, ")")
		return tx.write(ctx, st)
	})
	return found == membershipsAtOnce, err
}

// removeRows removes rows of one table, in the order of their keys.
func (s *Store) removeRows(ctx context.Context, rows tenantRows, tenant int64) error {
	last := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var keys numbers
		st := s.statement()
		st.add("SELECT x."+rows.key+" FROM "+rows.from, arg{tenant}, " AND x."+rows.key+" > ", arg{last}, " ORDER BY x."+rows.key+" LIMIT ", arg{rowsAtOnce})
		err := s.read(ctx, st, func(scan scan) error {
			var key int64
			err := scan(&key)
			keys = append(keys, key)
			return err
		})
		if err != nil || len(keys) == 0 {
			return err
		}
		err = s.write(ctx, func(ctx context.Context, tx tx) error {
			return tx.write(ctx, s.statement().add("DELETE FROM "+rows.table+" WHERE "+rows.key, keys))
		})
		if err != nil {
			return err
		}
		last = keys[len(keys)-1]
	}
}
