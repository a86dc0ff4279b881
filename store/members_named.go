package store

import (
	"cmp"
	"context"
	"slices"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Bounds of a search among the members of a group, which make it quick however many
// members and however many resources there are.
var (
	// fewMembers is the size of a group up to which each member is looked at.
	fewMembers = 2000
	// maxWalked is how many of the names of the tenant that begin with what is searched
	// for are looked at in a larger group.
	maxWalked = 5000
)

// valuesSearched are the attributes in rows whose values are names of a user.
var valuesSearched = []string{familyName, givenName, emailsValue}

// MembersNamed reads at most limit members of a group of whom a name begins with a text:
// displayName, userName, given or family name, or an e-mail address, in any letter case.
// They are sorted by what they are called. It tells whether there may be more.
func (t Tenant) MembersNamed(ctx context.Context, group, beginning string, limit int) (all []*musterv1.Member, more bool, err error) {
	s := memberSearch{tenant: t, group: group, prefix: scim.Fold(beginning), limit: limit, seen: make(map[string]bool)}
	few, err := s.few(ctx)
	switch {
	case err != nil:
	case few:
		st := t.store.statement()
		s.addEach(st)
		err = t.store.read(ctx, st, s.take)
	default:
		for _, w := range s.walks() {
			if err = s.walk(ctx, w); err != nil {
				break
			}
		}
	}
	if err != nil {
		return nil, false, err
	}
	slices.SortFunc(s.found, func(a, b *musterv1.Member) int {
		return cmp.Or(cmp.Compare(scim.Fold(a.GetDisplay()), scim.Fold(b.GetDisplay())), cmp.Compare(a.GetValue(), b.GetValue()))
	})
	if len(s.found) > limit {
		return s.found[:limit], true, nil
	}
	return s.found, s.more, nil
}

// A memberSearch is a search of MembersNamed under way.
type memberSearch struct {
	tenant        Tenant
	group, prefix string
	limit         int

	found []*musterv1.Member
	seen  map[string]bool
	more  bool // there are names beyond those that were looked at
}

// take keeps one row of an answer.
func (s *memberSearch) take(scan scan) error {
	m := &musterv1.Member{}
	if err := scan(&m.Value, &m.Type, &m.Display); err != nil {
		return err
	}
	if !s.seen[m.GetValue()] {
		s.seen[m.GetValue()] = true
		s.found = append(s.found, m)
	}
	return nil
}

// few tells whether the group has so few members that each is looked at.
func (s *memberSearch) few(ctx context.Context) (bool, error) {
	n := 0
	st := s.tenant.store.statement()
	st.add("SELECT count(*) FROM (")
	s.addGroup(st, fewMembers+1)
	st.add(") AS m")
	err := s.tenant.store.read(ctx, st, func(scan scan) error { return scan(&n) })
	return n <= fewMembers, err
}

// addGroup appends the query of the first members of the group, as a walk along the key.
func (s *memberSearch) addGroup(st *statement, limit int) {
	st.add("SELECT group_id, member_id, member_type, tenant_id FROM memberships WHERE group_id = ", arg{s.group}, " ORDER BY group_id, member_id LIMIT ", arg{limit})
}

// What is asked of one row stands in a subquery that yields one value: that cannot be
// planned but as a look for it, whatever the statistics say. See addMembership.

// addEach appends the query that looks at each member.
func (s *memberSearch) addEach(st *statement) {
	w := &filterWriter{statement: st}
	st.add("SELECT m.member_id, m.member_type, coalesce((SELECT x.display FROM resources x WHERE x.id = m.member_id), '') FROM (")
	s.addGroup(st, fewMembers)
	st.add(") AS m WHERE m.tenant_id = ", arg{s.tenant.id}, " AND ((SELECT (")
	w.comparePrefix(operand{sql: "coalesce(x.display_name, '')"}, s.prefix)
	st.add(" OR ")
	w.comparePrefix(operand{sql: "coalesce(x.user_name, '')"}, s.prefix)
	st.add(") FROM resources x WHERE x.id = m.member_id) OR (SELECT v.id FROM attribute_values v WHERE v.resource_id = m.member_id AND v.attr", in(valuesSearched), " AND ")
	w.comparePrefix(operand{sql: "v.value"}, s.prefix)
	st.add(" LIMIT 1) IS NOT NULL)")
}

// A nameWalk is a walk along an index, over names that begin with the prefix.
type nameWalk struct {
	rt  *scim.ResourceType
	add func(st *statement, columns string) // the query of the names, in order
}

// walks are all that a name of a member may be found by.
func (s *memberSearch) walks() []nameWalk {
	column := func(rt *scim.ResourceType, name, order string) nameWalk {
		return nameWalk{rt, func(st *statement, columns string) {
			st.add("SELECT ", columns, " FROM (SELECT r.id AS id FROM resources r WHERE ")
			st.addScope("r", s.tenant.id, rt)
			st.add(" AND ")
			(&filterWriter{statement: st}).comparePrefix(operand{"r." + name, true}, s.prefix)
			st.add(" ORDER BY ", order)
		}}
	}
	all := []nameWalk{ // each in the order of its index
		column(scim.Group, "display_name", "r.display_name, r.id"), column(scim.User, "display_name", "r.display_name, r.id"), column(scim.User, "user_name", "r.user_name"),
	}
	for _, attr := range valuesSearched {
		all = append(all, nameWalk{scim.User, func(st *statement, columns string) {
			st.add("SELECT ", columns, " FROM (SELECT v.resource_id AS id FROM attribute_values v WHERE v.tenant_id = ", arg{s.tenant.id},
				" AND v.type = ", arg{scim.User.Name}, " AND v.attr = ", arg{attr}, " AND ")
			(&filterWriter{statement: st}).comparePrefix(operand{"v.value", true}, s.prefix)
			st.add(" ORDER BY v.value, v.resource_id")
		}})
	}
	return all
}

// walk keeps those of a walk that are members, and notes where it ended before the names
// did.
func (s *memberSearch) walk(ctx context.Context, w nameWalk) error {
	st, rows := s.tenant.store.statement(), 0
	s.addWalk(st, w)
	err := s.tenant.store.read(ctx, st, func(scan scan) error { rows++; return s.take(scan) })
	if rows > s.limit {
		s.more = true
	}
	if err != nil || s.more {
		return err
	}
	st = s.tenant.store.statement()
	w.add(st, "1")
	st.add(" LIMIT 1 OFFSET ", arg{maxWalked}, ") AS c")
	return s.tenant.store.read(ctx, st, func(scan scan) error {
		s.more = true
		var one int
		return scan(&one)
	})
}

func (s *memberSearch) addWalk(st *statement, w nameWalk) {
	w.add(st, "c.id, '"+w.rt.Name+"', coalesce((SELECT x.display FROM resources x WHERE x.id = c.id), '')")
	st.add(" LIMIT ", arg{maxWalked}, ") AS c WHERE (SELECT m.member_id FROM memberships m WHERE m.group_id = ", arg{s.group},
		" AND m.member_id = c.id) IS NOT NULL LIMIT ", arg{s.limit + 1})
}
