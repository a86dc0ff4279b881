package store

import (
	"slices"

	"github.com/muster-scim/muster/scim"
)

// Links are filtered where they are kept, in the rows of memberships.

// addLink asks for one element, of an attribute whose elements are other
// resources, that meets the filter.
func (w *filterWriter) addLink(a *scim.Attribute, f scim.Filter) {
	c, ok := f.(scim.Comparison)
	pr := ok && c.Attr == a // of a whole complex attribute only pr is asked
	switch {
	case w.rt.Name == scim.User.Name && pr:
		w.sql("EXISTS (SELECT 1 FROM memberships m WHERE m.member_id = r.id)")
	case w.rt.Name == scim.User.Name:
		w.addGroup(f)
	case pr:
		w.sql("EXISTS (SELECT 1 FROM memberships m WHERE m.group_id = r.id)")
	default:
		w.addMember(f)
	}
}

// addMember asks for one member of the group r. Where its id is known the search
// goes from the member to its groups, and else from each group to its members.
// The join costs nothing where the filter asks for nothing of it.
func (w *filterWriter) addMember(f scim.Filter) {
	const members = "memberships m LEFT JOIN resources x ON x.id = m.member_id WHERE "
	for _, part := range conjuncts(f) {
		if c, ok := part.(scim.Comparison); ok && c.Attr.Name == "value" && isSelective(c) {
			w.addIDIn(true, func() {
				w.sql("SELECT m.group_id FROM ", members, "m.tenant_id = ", arg{w.tenant}, " AND ")
				w.within(memberColumn).add(f)
			})
			return
		}
	}
	w.sql("EXISTS (SELECT 1 FROM ", members, "m.group_id = r.id AND ")
	w.within(memberColumn).add(f)
	w.sql(")")
}

// memberColumn is where the sub-attributes of members are, for a row m of
// memberships and the resource x that is the member.
func memberColumn(sub *scim.Attribute) operand {
	switch sub.Name {
	case "value":
		return operand{"m.member_id", true}
	case "type":
		return operand{"m.member_type", false}
	default:
		return operand{"x.display", false}
	}
}

// addGroup asks for one group of the user r, direct or through other groups.
// Whatever the filter asks of the group alone is answered downwards, by one walk
// from the groups that meet it to all who are in them. Whether a user is in a
// group directly depends on the user too; for that there is a walk upwards from
// each user that is left.
func (w *filterWriter) addGroup(f scim.Filter) {
	var ofGroup scim.And
	for _, part := range conjuncts(f) {
		if !asksType(part) {
			ofGroup = append(ofGroup, part)
		}
	}
	switch {
	case !asksType(f):
		w.addDown(ofGroup)
	case len(ofGroup) == 0:
		w.addUp(f)
	default:
		w.sql("(")
		w.addDown(ofGroup)
		w.sql(" AND ")
		w.addUp(f)
		w.sql(")")
	}
}

// asksType tells whether a filter over an element of groups asks for its type.
func asksType(f scim.Filter) bool {
	switch f := f.(type) {
	case scim.And:
		return slices.ContainsFunc(f, asksType)
	case scim.Or:
		return slices.ContainsFunc(f, asksType)
	case scim.Not:
		return asksType(f.Filter)
	case scim.Comparison:
		return f.Attr.Name == "type"
	default:
		return false
	}
}

// addDown asks whether r is in one of the groups x that meet f, or in a group
// that is. UNION, which drops what was met before, ends the walk where groups
// hold each other.
func (w *filterWriter) addDown(f scim.And) {
	w.addIDIn(slices.ContainsFunc(f, isSelective), func() {
		w.sql("WITH RECURSIVE down (id, type) AS (" +
			"SELECT m.member_id, m.member_type FROM resources x JOIN memberships m ON m.group_id = x.id WHERE ")
		w.addScope("x", w.tenant, scim.Group)
		w.sql(" AND ")
		w.within(groupColumn).add(f)
		w.sql(" UNION SELECT m.member_id, m.member_type FROM down JOIN memberships m ON m.group_id = down.id WHERE down.type = ", arg{scim.Group.Name},
			") SELECT id FROM down WHERE type = ", arg{scim.User.Name})
	})
}

// addUp asks whether one of the groups x that r is in, however deep, meets f.
func (w *filterWriter) addUp(f scim.Filter) {
	w.sql("EXISTS (", walkUp, " SELECT 1 FROM up JOIN resources x ON x.id = up.id WHERE ")
	w.within(groupColumn).add(f)
	w.sql(")")
}

// walkUp finds all groups that r is in, however deep.
const walkUp = "WITH RECURSIVE up (id) AS (SELECT m.group_id FROM memberships m WHERE m.member_id = r.id" +
	" UNION SELECT m.group_id FROM up JOIN memberships m ON m.member_id = up.id)"

// groupColumn is where the sub-attributes of groups are, for the row x of the
// group. A group is shown by its displayName, which has a folded column.
func groupColumn(sub *scim.Attribute) operand {
	switch sub.Name {
	case "value":
		return operand{"x.id", true}
	case "display":
		return operand{"x.display_name", true}
	default:
		return operand{"CASE WHEN EXISTS (SELECT 1 FROM memberships d WHERE d.group_id = x.id AND d.member_id = r.id)" +
			" THEN 'direct' ELSE 'indirect' END", false}
	}
}
