package store

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/muster-scim/muster/scim"
)

// A group is stale when no client has written it for long. Clients repeat what they
// have pushed already, which changes nothing: that such a push came is remembered in a
// table of its own, beside the moment of the last real change, so that a group that is
// kept up to date is not taken for one that is forgotten.

// StaleGroup is a group that nobody has written since a moment.
type StaleGroup struct {
	ID          string
	DisplayName string
	ExternalID  string
	Members     int64
	Modified    time.Time
	Pushed      time.Time // at the latest push that changed nothing, or the zero time
	version     int64
}

// StalePlace is where a page of stale groups begins behind.
type StalePlace struct {
	Modified time.Time
	ID       string
}

// StaleGroups reads the groups that nobody has written since before, at most count,
// the oldest first, behind a place; nil: from the first.
func (t Tenant) StaleGroups(ctx context.Context, before time.Time, behind *StalePlace, count int) ([]StaleGroup, error) {
	st := t.selectStale(before)
	if behind != nil {
		st.add(" AND (r.updated_at, r.id) > (", arg{behind.Modified.UnixMilli()}, ", ", arg{behind.ID}, ")")
	}
	return t.readStale(ctx, st.add(" ORDER BY r.updated_at, r.id LIMIT ", arg{count}))
}

// StaleGroupsOf reads those of some groups, by their ids, that nobody has written since
// before.
func (t Tenant) StaleGroupsOf(ctx context.Context, before time.Time, ids []string) ([]StaleGroup, error) {
	return t.readStale(ctx, t.selectStale(before).add(" AND r.id", in(ids), " ORDER BY r.updated_at, r.id"))
}

func (t Tenant) selectStale(before time.Time) *statement {
	st := t.store.statement()
	st.add("SELECT r.id, r.version, coalesce(r.display, ''), coalesce(r.external_id, ''), r.updated_at, coalesce(p.pushed_at, 0)," +
		" (SELECT count(*) FROM memberships m WHERE m.group_id = r.id)")
	t.addStale(st, before)
	return st
}

func (t Tenant) readStale(ctx context.Context, st *statement) (all []StaleGroup, err error) {
	err = t.store.read(ctx, st, func(scan scan) error {
		var g StaleGroup
		var modified, pushed int64
		if err := scan(&g.ID, &g.version, &g.DisplayName, &g.ExternalID, &modified, &pushed, &g.Members); err != nil {
			return err
		}
		if g.Modified = time.UnixMilli(modified); pushed > 0 {
			g.Pushed = time.UnixMilli(pushed)
		}
		all = append(all, g)
		return nil
	})
	return all, err
}

// addStale adds the groups that nobody has written since, as r with their pushes p.
func (t Tenant) addStale(st *statement, before time.Time) {
	at := before.UnixMilli()
	st.add(" FROM resources r LEFT JOIN group_pushes p ON p.group_id = r.id WHERE r.tenant_id = ", arg{t.id}, " AND r.type = ", arg{scim.Group.Name},
		" AND r.updated_at < ", arg{at}, " AND (p.pushed_at IS NULL OR p.pushed_at < ", arg{at}, ")")
}

// CountStaleGroups is how many groups nobody has written since before.
func (t Tenant) CountStaleGroups(ctx context.Context, before time.Time) (n int64, err error) {
	st := t.store.statement()
	st.add("SELECT count(*)")
	t.addStale(st, before)
	err = t.store.read(ctx, st, func(scan scan) error { return scan(&n) })
	return n, err
}

// DeleteStaleGroup deletes a group as Delete does, unless it was changed since it was
// read: then it fails with VersionMismatch, or with NotFound.
func (t Tenant) DeleteStaleGroup(ctx context.Context, g *StaleGroup) error {
	match, err := scim.ParseMatch(scim.FormatVersion(g.version), "")
	if err != nil {
		return err
	}
	return t.Delete(ctx, t.catalog.ResourceType(scim.Group.Name), g.ID, match)
}

// RecordPushes writes down when clients last wrote groups of any tenant, by their ids.
// What is no group, or is gone, is passed over.
func (s *Store) RecordPushes(ctx context.Context, pushes map[string]time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		for _, id := range slices.Sorted(maps.Keys(pushes)) { // in one order everywhere, so that two servers do not wait for each other
			at := pushes[id].UnixMilli()
			st := s.statement()
			st.add("INSERT INTO group_pushes (group_id, pushed_at) SELECT id, ", arg{at}, " FROM resources WHERE id = ", arg{id}, " AND type = ", arg{scim.Group.Name},
				" ON CONFLICT (group_id) DO UPDATE SET pushed_at = excluded.pushed_at WHERE group_pushes.pushed_at < excluded.pushed_at")
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}
