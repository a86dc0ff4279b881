package store

import (
	"context"
	"math"
	"slices"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Memberships are edges between resources, one row each: adding or removing one
// costs the same in a group of ten and in one of a hundred thousand.

// changeLinks makes the link changes of a write, in order, and notes in d what
// really changed.
func (t Tenant) changeLinks(ctx context.Context, tx tx, group string, changes []scim.LinkChange, d *diff) error {
	for i := 0; i < len(changes); i++ {
		c := changes[i]
		for c.Filter == nil && c.Kind != scim.SetLinks && i+1 < len(changes) && changes[i+1].Kind == c.Kind {
			i++ // neighbours of one kind are one change
			c.Values = append(slices.Clip(c.Values), changes[i].Values...)
		}
		var err error
		switch c.Kind {
		case scim.AddLinks:
			var fresh []string
			if fresh, err = t.newLinks(ctx, tx, group, c.Values); err == nil {
				err = t.addLinks(ctx, tx, group, fresh, d)
			}
		case scim.RemoveLinks, scim.RemoveLinksWhere:
			err = t.removeLinks(ctx, tx, group, c, d)
		case scim.SetLinks:
			err = t.setLinks(ctx, tx, group, c.Values, d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// newLinks are those of the ids that are not members of the group yet, each
// once. It fails with InvalidValue unless each is that of a resource of this
// tenant.
func (t Tenant) newLinks(ctx context.Context, tx tx, group string, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var fresh []string
	seen := make(map[string]bool, len(ids))
	st := t.store.statement()
	t.addCheck(st, group, ids)
	err := tx.read(ctx, st, func(scan scan) error {
		var id string
		var exists, member bool
		if err := scan(&id, &exists, &member); err != nil {
			return err
		}
		if !exists {
			return scim.Errorf(scim.InvalidValue, "members.value: there is no user or group with the id %.80q", id).At("members.value")
		}
		if !member && !seen[id] {
			seen[id] = true
			fresh = append(fresh, id)
		}
		return nil
	})
	return fresh, err
}

// Statements about the memberships of a group name the members by their ids, in
// a table j. A join of j with memberships may be planned as a walk over the whole
// group: to a planner that has not heard how large the group is now, that looks
// as cheap as looking for one member. So each membership is looked for by a
// subquery, which has the whole key and cannot be planned but as a search for it.

// addMembership is that subquery: the row of the membership of j in the group, or
// NULL.
func addMembership(st *statement, group string) {
	st.add("(SELECT m.", rowID(st.dialect), " FROM memberships m WHERE m.group_id = ", arg{group}, " AND m.member_id = j.value)")
}

// rowID is the name that a database gives to the place of a row.
func rowID(d dialect) string {
	if d == postgres {
		return "ctid"
	}
	return "rowid"
}

// addCheck is the query that tells, for each id, whether it is that of a resource
// of the tenant and whether that is a member of the group.
func (t Tenant) addCheck(st *statement, group string, ids []string) {
	st.add("SELECT j.value, (SELECT r.id FROM resources r WHERE r.id = j.value AND +r.tenant_id = ", arg{t.id}, " AND r.type IN ('User', 'Group')) IS NOT NULL, ")
	addMembership(st, group)
	st.add(" IS NOT NULL FROM ", table(ids))
}

// addPresent is the query of those of the ids that are members of the group.
func addPresent(st *statement, group string, ids []string) {
	st.add("SELECT j.value FROM ", table(ids), " WHERE ")
	addMembership(st, group)
	st.add(" IS NOT NULL")
}

// addDrop is the statement that removes members from a group.
func addDrop(st *statement, group string, ids []string) {
	open, end := " IN (SELECT ", ")"
	if st.dialect == postgres { // which joins with an IN, but looks up what stands in an array
		open, end = " = ANY(ARRAY(SELECT ", "))"
	}
	st.add("DELETE FROM memberships WHERE ", rowID(st.dialect), open)
	addMembership(st, group)
	st.add(" FROM ", table(ids), end)
}

// addLinks adds members that exist, and that the group does not have.
func (t Tenant) addLinks(ctx context.Context, tx tx, group string, ids []string, d *diff) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		d.add(id)
	}
	st := t.store.statement()
	st.add("INSERT INTO memberships (group_id, member_id, tenant_id, member_type) SELECT ",
		"CAST(", arg{group}, " AS text), id, tenant_id, type FROM resources WHERE +tenant_id = ", arg{t.id}, " AND id", in(ids))
	return tx.write(ctx, st)
}

// removeLinks removes those members of the group that c selects, by their ids or
// by a filter over one element.
func (t Tenant) removeLinks(ctx context.Context, tx tx, group string, c scim.LinkChange, d *diff) error {
	st := t.store.statement()
	if c.Kind == scim.RemoveLinks {
		addPresent(st, group, c.Values)
	} else {
		st.add("SELECT m.member_id FROM memberships m JOIN resources x ON x.id = m.member_id WHERE m.group_id = ", arg{group}, " AND ")
		st.addMemberFilter(c.Filter)
	}
	present, err := readIDs(ctx, tx, st)
	if err != nil {
		return err
	}
	return t.dropLinks(ctx, tx, group, present, d)
}

// dropLinks removes members that the group has.
func (t Tenant) dropLinks(ctx context.Context, tx tx, group string, ids []string, d *diff) error {
	if len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		d.remove(id)
	}
	st := t.store.statement()
	addDrop(st, group, ids)
	return tx.write(ctx, st)
}

// setLinks makes the members the only ones.
func (t Tenant) setLinks(ctx context.Context, tx tx, group string, ids []string, d *diff) error {
	st := t.store.statement()
	st.add("SELECT member_id FROM memberships WHERE group_id = ", arg{group})
	present, err := readIDs(ctx, tx, st)
	if err != nil {
		return err
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	var extra []string
	for _, id := range present {
		if wanted[id] {
			delete(wanted, id)
		} else {
			extra = append(extra, id)
		}
	}
	missing := make([]string, 0, len(wanted))
	for _, id := range ids {
		if wanted[id] {
			missing = append(missing, id)
		}
	}
	fresh, err := t.newLinks(ctx, tx, group, missing)
	if err != nil {
		return err
	}
	if err := t.dropLinks(ctx, tx, group, extra, d); err != nil {
		return err
	}
	return t.addLinks(ctx, tx, group, fresh, d)
}

func readIDs(ctx context.Context, from reader, st *statement) ([]string, error) {
	var ids []string
	err := from.read(ctx, st, func(scan scan) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// The limits on links in memory. An answer with more than a few takes its turn,
// so that what is in memory at once stays bounded whatever clients ask for.
const (
	// maxLinks is the most links of one page. A page with more is cut after the
	// last resource that is whole; one resource alone is never cut.
	maxLinks = 100_000
	// fewLinks need no turn.
	fewLinks = 2000
)

// takeLarge waits for a turn of an answer with many links, which ends with the
// request that ctx belongs to.
func (t Tenant) takeLarge(ctx context.Context) error {
	taken, _ := ctx.Value(largeKey{}).(*bool)
	if ctx.Done() == nil || taken != nil && *taken {
		return nil // not a request: nobody would end the turn; or it has one
	}
	done, err := t.store.shares.large.take(ctx, t.id)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, done)
	if taken != nil {
		*taken = true
	}
	return nil
}

type largeKey struct{}

// withOneLarge is a context for an answer of several parts: it takes one turn, however
// many of them have many links. Answers that wait for a second one would wait for each
// other.
func withOneLarge(ctx context.Context) context.Context {
	return context.WithValue(ctx, largeKey{}, new(bool))
}

// A link is one element of members or groups.
type link struct{ id, kind, display string }

// loadLinks reads the links of resources, and returns of how many of them, from
// the first, it did: see maxLinks.
func (t Tenant) loadLinks(ctx context.Context, rt *scim.ResourceType, resources []scim.Resource) (served int, err error) {
	served, err = t.readLinks(ctx, rt, resources, fewLinks)
	if err != errEnough { //nolint:errorlint // our own, unwrapped
		return served, err
	}
	if err := t.takeLarge(ctx); err != nil {
		return 0, err
	}
	if len(resources) > 1 {
		served, err = t.readLinks(ctx, rt, resources, maxLinks)
		if err != errEnough { //nolint:errorlint // our own, unwrapped
			return served, err
		}
		if served > 0 {
			return served, nil
		}
	}
	return t.readLinks(ctx, rt, resources[:1], math.MaxInt)
}

// errEnough ends a query whose rows are enough.
var errEnough = scim.Errorf(scim.Internal, "enough")

// readLinks sets the links of resources, which may stand in any order. Where there
// are more than limit it stops with errEnough, and served is how many resources,
// from the first, have all of theirs.
func (t Tenant) readLinks(ctx context.Context, rt *scim.ResourceType, resources []scim.Resource, limit int) (served int, err error) {
	owners := make([]string, len(resources))
	byID := make(map[string]scim.Resource, len(resources))
	for i, r := range resources {
		owners[i], byID[r.GetId()] = r.GetId(), r
	}
	st := t.store.statement()
	if rt.Name == scim.Group.Name {
		addMembersOf(st, owners)
	} else {
		addGroupsOf(st, owners)
	}
	at, rows := "", 0 // whose links are at hand
	var links []link
	err = t.store.read(ctx, st, func(scan scan) error {
		var owner string
		var l link
		if err := scan(&owner, &l.id, &l.kind, &l.display); err != nil {
			return err
		}
		if owner != at {
			setLinks(byID[at], links)
			at, links = owner, links[:0]
		}
		if rows++; rows > limit {
			return errEnough
		}
		links = append(links, l)
		return nil
	})
	if err != nil {
		// Rows come in the order of owners: those before this one are whole.
		if served = slices.IndexFunc(owners, func(id string) bool { return id >= at }); served < 0 {
			served = len(owners)
		}
		return served, err
	}
	setLinks(byID[at], links)
	return len(resources), nil
}

// addMembersOf is the query of the members of groups.
func addMembersOf(st *statement, groups []string) {
	st.add("SELECT m.group_id, m.member_id, m.member_type, coalesce(x.display, '')"+
		" FROM memberships m JOIN resources x ON x.id = m.member_id WHERE m.group_id", in(groups),
		" ORDER BY m.group_id, m.member_id")
}

// addGroupsOf is the query of the groups of users, and of the groups that hold
// those groups, however deep; UNION ends where groups hold each other.
func addGroupsOf(st *statement, users []string) {
	st.add("WITH RECURSIVE up (user_id, group_id, direct) AS ("+
		"SELECT member_id, group_id, 1 FROM memberships WHERE member_id", in(users),
		" UNION SELECT up.user_id, m.group_id, 0 FROM up JOIN memberships m ON m.member_id = up.group_id)"+
			" SELECT up.user_id, up.group_id, CASE max(up.direct) WHEN 1 THEN 'direct' ELSE 'indirect' END, coalesce(g.display, '')"+
			" FROM up JOIN resources g ON g.id = up.group_id"+
			" GROUP BY up.user_id, up.group_id, g.display ORDER BY up.user_id, up.group_id")
}

// setLinks puts links into a resource.
func setLinks(r scim.Resource, links []link) {
	switch r := r.(type) {
	case *musterv1.Group:
		slab := make([]musterv1.Member, len(links)) // one allocation for all
		r.Members = make([]*musterv1.Member, len(links))
		for i, l := range links {
			r.Members[i] = &slab[i]
			slab[i].Value, slab[i].Type, slab[i].Display = l.id, l.kind, l.display
		}
	case *musterv1.User:
		r.Groups = make([]*musterv1.UserGroup, len(links))
		for i, l := range links {
			r.Groups[i] = &musterv1.UserGroup{Value: l.id, Type: l.kind, Display: l.display}
		}
	}
}
