package store

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// GetMany reads resources of one type by their ids, in the order of the ids; ids that
// no resource has are passed over. links tells whether to read their links too: it
// fails with PayloadTooLarge where all together have more than an answer holds.
func (t Tenant) GetMany(ctx context.Context, rt *scim.ResourceType, ids []string, links bool) ([]scim.Resource, error) {
	st := t.store.statement()
	st.add("SELECT "+rowColumns+", "+askLinked(rt, links)+" FROM resources r WHERE r.id", in(ids),
		" AND +r.tenant_id = ", arg{t.id}, " AND r.type = ", arg{rt.Name}, " ORDER BY r.id")
	var all, linked []scim.Resource
	err := t.store.read(ctx, st, func(scan scan) error {
		var w row
		if err := w.scan(scan); err != nil {
			return err
		}
		r, err := w.resource(rt)
		all = append(all, r)
		if w.linked {
			linked = append(linked, r)
		}
		return err
	})
	if err != nil || len(linked) == 0 {
		return all, err
	}
	served, err := t.loadLinks(ctx, rt, linked)
	if err == nil && served < len(linked) {
		return nil, scim.Errorf(scim.PayloadTooLarge, "these groups have more than %d members; ask for fewer, or page through the members of one", maxLinks)
	}
	return all, err
}

// Members reads at most limit members of a group, in the order of their ids, behind
// one of them.
func (t Tenant) Members(ctx context.Context, group, behind string, limit int) (all []*musterv1.Member, err error) {
	st := t.store.statement()
	t.addMembers(st, group, behind, limit)
	err = t.store.read(ctx, st, func(scan scan) error {
		m := &musterv1.Member{}
		err := scan(&m.Value, &m.Type, &m.Display)
		all = append(all, m)
		return err
	})
	return all, err
}

// addMembers adds the query of some members. It asks for a range of the key in the order of
// the key, and cuts it before it asks for more, so that the key is walked and nothing sorted,
// whatever the statistics say of how many members a group has. What a member is called is
// asked for one by one: a join may be planned as one of all members with all resources.
func (t Tenant) addMembers(st *statement, group, behind string, limit int) {
	st.add("SELECT m.member_id, m.member_type, coalesce((SELECT x.display FROM resources x WHERE x.id = m.member_id), '') FROM"+
		" (SELECT group_id, member_id, member_type, tenant_id FROM memberships WHERE (group_id, member_id) > (", arg{group}, ", ", arg{behind},
		") AND group_id <= ", arg{group}, " ORDER BY group_id, member_id LIMIT ", arg{limit}, ") m WHERE m.tenant_id = ", arg{t.id},
		" ORDER BY m.group_id, m.member_id")
}

// Memberships reads at most limit groups that a resource is in, in the order of their
// ids, behind one of them: only those that name it, or also those that hold them.
func (t Tenant) Memberships(ctx context.Context, member string, directOnly bool, behind string, limit int) (all []*musterv1.UserGroup, err error) {
	st := t.store.statement()
	st.add("WITH RECURSIVE ")
	t.addUp(st, member, directOnly)
	st.add(" SELECT up.group_id, CASE max(up.direct) WHEN 1 THEN 'direct' ELSE 'indirect' END,"+
		" coalesce((SELECT g.display FROM resources g WHERE g.id = up.group_id), '') FROM up WHERE up.group_id > ", arg{behind},
		" GROUP BY up.group_id ORDER BY up.group_id LIMIT ", arg{limit})
	err = t.store.read(ctx, st, func(scan scan) error {
		g := &musterv1.UserGroup{}
		err := scan(&g.Value, &g.Type, &g.Display)
		all = append(all, g)
		return err
	})
	return all, err
}

// IsMember tells whether a group holds a resource, itself or through other groups.
func (t Tenant) IsMember(ctx context.Context, member, group string, directOnly bool) (is bool, err error) {
	st := t.store.statement()
	if directOnly {
		st.add("SELECT 1 FROM memberships WHERE group_id = ", arg{group}, " AND member_id = ", arg{member}, " AND +tenant_id = ", arg{t.id})
	} else {
		st.add("WITH RECURSIVE ")
		t.addUp(st, member, false)
		st.add(" SELECT 1 FROM up WHERE group_id = ", arg{group}, " LIMIT 1")
	}
	err = t.store.read(ctx, st, func(scan) error { is = true; return nil })
	return is, err
}

// addUp is the groups of a member as a table up: each by its id, and whether it names
// the member itself (1) or holds a group that does (0). UNION ends where groups hold
// each other.
func (t Tenant) addUp(st *statement, member string, directOnly bool) {
	st.add("up (group_id, direct) AS (SELECT group_id, 1 FROM memberships WHERE member_id = ", arg{member}, " AND +tenant_id = ", arg{t.id})
	if !directOnly {
		st.add(" UNION SELECT m.group_id, 0 FROM up JOIN memberships m ON m.member_id = up.group_id")
	}
	st.add(")")
}
