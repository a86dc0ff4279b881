package store

import (
	"slices"
	"strconv"

	"github.com/muster-scim/muster/scim"
)

// A list is sorted by an expression over each resource, its key, and then by the
// id. What the order means is scim's Compare to say.
//
// A page that begins behind a place is found by comparing key and id with it, which
// is a walk along an index where there is one for the key: the last page of a
// million costs what the first does. NULL is neither before nor behind anything, so
// the resources without a value are asked for by themselves.

// A section is a stretch of a list.
type section uint8

const (
	all section = iota
	assigned
	unassigned
)

// sections are the stretches that the page may lie in, in order.
func (l *listing) sections() []section {
	if l.key() == nil || l.After == nil && l.Offset > 0 {
		return []section{all}
	}
	some := []section{assigned}
	if slices.ContainsFunc(l.parts, func(p Part) bool { return mayLack(p.SortBy) }) {
		some = append(some, unassigned)
	}
	if l.Descending {
		slices.Reverse(some)
	}
	if l.After != nil && l.After.Assigned != (some[0] == assigned) { // it is behind the first
		some = some[1:]
	}
	return some
}

// mayLack tells whether there may be resources without a value of the attribute.
// To find out that there are none, a database might read them all.
func mayLack(a *scim.Attribute) bool {
	switch {
	case a == nil:
		return true
	case a.Parent == nil:
		return !a.Required
	}
	return a.Parent.Path != "meta"
}

// key is the attribute that the list is sorted by, of one of the types that have
// it. Nil: the id decides.
func (l *listing) key() *scim.Attribute {
	for _, p := range l.parts {
		if p.SortBy != nil && p.SortBy.Path != "id" {
			return p.SortBy
		}
	}
	return nil
}

// farOff is the offset from which on a page is found by its keys and ids alone, and
// read when it is found: resources that are passed over need not be read, and not
// be kept where the database has to sort. Nearer by, looking twice costs more.
var farOff = 1000

// add appends the query of what is still missing from the page, from one section,
// and of one resource more.
func (l *listing) add(st *statement, s section) {
	offset := 0
	if s == all && l.After == nil {
		offset = l.Offset
	}
	if offset < farOff {
		l.addUnion(st, s, offset, func(i int) string {
			return rowColumns + ", " + askLinked(l.parts[i].Type, l.parts[i].Links) + ", " + strconv.Itoa(i)
		})
		return
	}
	st.add("SELECT ", rowColumns, ", CASE k.part")
	for i, p := range l.parts {
		st.add(" WHEN ", strconv.Itoa(i), " THEN ", askLinked(p.Type, p.Links))
	}
	st.add(" END, k.part, k.sort_key FROM (")
	l.addUnion(st, s, offset, func(i int) string { return "r.id, " + strconv.Itoa(i) + " AS part" })
	st.add(") AS k CROSS JOIN resources r WHERE r.id = k.id")
	l.addOrder(st, s, "k.")
}

// addUnion appends the query of some columns, of the parts that the section has.
// Several are a union; PostgreSQL sees that it need not sort all of it only where
// each has an order and a limit of its own.
func (l *listing) addUnion(st *statement, s section, offset int, columns func(part int) string) {
	limit := l.Count + 1 - len(l.found)
	var of []int
	for i, p := range l.parts {
		if s == assigned && p.SortBy == nil || s == unassigned && !mayLack(p.SortBy) {
			continue
		}
		of = append(of, i)
	}
	each := len(of) > 1 && st.dialect == postgres
	for n, i := range of {
		p := l.parts[i]
		if n > 0 {
			st.add(" UNION ALL ")
		}
		if each {
			st.add("(")
		}
		st.add("SELECT ", columns(i), ", ")
		l.addKey(st, p)
		st.add(" AS sort_key")
		l.tenant.addFrom(st, p.Type, p.Filter)
		l.addSection(st, p, s)
		if each {
			l.addOrder(st, s, "")
			st.add(" LIMIT ", arg{offset + limit}, ")")
		}
	}
	l.addOrder(st, s, "")
	st.add(" LIMIT ", arg{limit}, " OFFSET ", arg{offset})
}

// addSection appends the conditions that keep a section, and what is behind the
// place where the page begins.
func (l *listing) addSection(st *statement, p Part, s section) {
	if s != all && p.SortBy != nil {
		st.add(" AND ")
		l.addKey(st, p)
		st.add(map[section]string{assigned: " IS NOT NULL", unassigned: " IS NULL"}[s])
	}
	behind := " > "
	if l.Descending {
		behind = " < "
	}
	switch {
	case l.After == nil, s == assigned && !l.After.Assigned, s == unassigned && l.After.Assigned:
	case s == assigned:
		st.add(" AND (")
		l.addKey(st, p)
		st.add(", r.id)", behind, "(", arg{l.afterKey()}, ", ", arg{l.After.ID}, ")")
	default:
		st.add(" AND r.id", behind, arg{l.After.ID})
	}
}

// numeric tells whether keys are numbers; else they are texts.
func (l *listing) numeric() bool {
	key := l.key()
	return key != nil && key.Numeric()
}

func (l *listing) afterKey() any {
	switch {
	case l.numeric() && l.key().Type == scim.DateTime:
		return int64(l.After.Number) // as its column
	case l.numeric():
		return l.After.Number
	}
	return l.After.Text
}

// addOrder appends the order of a section; of is what stands before the names of
// columns. A descending order is the reverse of the ascending one in all, so that
// one index serves both.
func (l *listing) addOrder(st *statement, s section, of string) {
	direction, nulls := "", ""
	if l.Descending {
		direction = " DESC"
	}
	switch {
	case s == all && l.Descending:
		nulls = " NULLS FIRST"
	case s == all:
		nulls = " NULLS LAST"
	}
	st.add(" ORDER BY ")
	// The unassigned stand in the order of their ids. Where the key is a column they
	// do so in its index, which PostgreSQL must be told.
	key := l.key()
	if key != nil && (s != unassigned || st.dialect == postgres && columns[key.Path].column && !key.Registered()) {
		st.add(of, "sort_key", direction, nulls, ", ")
	}
	id := of + "id"
	if of == "" && st.dialect == postgres && key == nil && l.fewMatch() {
		id = "r.id || ''" // which no index is in the order of
	}
	st.add(id, direction)
}

// fewMatch tells whether the filter asks for a value that few have and that an
// index finds. To a planner that does not know how many resources there are it
// looks as good to read all of them in the order of their ids.
func (l *listing) fewMatch() bool {
	return len(l.parts) == 1 && slices.ContainsFunc(conjuncts(l.parts[0].Filter), func(f scim.Filter) bool {
		c, ok := f.(scim.Comparison)
		return ok && isSelective(f) && !c.Attr.Registered() && columns[c.Attr.Path].column
	})
}

// addKey appends the key of a resource r of one of the types. A type without the
// attribute has none; only numbers of the contract, the dates of meta, are not
// float8, and every type has those.
func (l *listing) addKey(st *statement, p Part) {
	switch {
	case l.numeric() && p.SortBy == nil:
		st.add("CAST(NULL AS float8)")
	case l.key() == nil, p.SortBy == nil:
		st.add("CAST(NULL AS text)")
	default:
		(&filterWriter{statement: st, tenant: l.tenant.id, rt: p.Type}).addKey(p.SortBy)
	}
}

func (w *filterWriter) addKey(a *scim.Attribute) {
	x := w.deciding(a)
	switch {
	case x.column, w.dialect == sqlite && a.Numeric():
		w.sql(x.sql)
	case a.Type == scim.Boolean:
		w.sql("CAST(CASE ", x.sql, " WHEN 'true' THEN 1 WHEN 'false' THEN 0 END AS float8)")
	case a.Type == scim.DateTime && a.Numeric():
		w.sql(x.sql)
	case a.Numeric():
		w.sql("CAST(", x.sql, " AS float8)")
	default:
		if !a.CaseExact && a.Type != scim.Binary && a.Type != scim.DateTime {
			x.sql = "muster_fold(" + x.sql + ")"
		}
		w.sql("substr(", x.sql, ", 1, ", strconv.Itoa(scim.SortLength), ")")
		if w.dialect == postgres {
			w.sql(` COLLATE "C"`)
		}
	}
}

// deciding is the place of the value that a resource is sorted by: of many, that of
// the primary element, or else of the first.
func (w *filterWriter) deciding(a *scim.Attribute) operand {
	many := a
	if a.Parent != nil {
		many = a.Parent
	}
	switch {
	case !many.MultiValued:
		return w.place(a)
	case many.Link && w.rt.Name == scim.Group.Name:
		return operand{sql: "(SELECT " + memberColumn(a).sql + " FROM memberships m LEFT JOIN resources x ON x.id = m.member_id" +
			" WHERE m.group_id = r.id ORDER BY m.member_id LIMIT 1)"}
	case many.Link:
		return operand{sql: "(" + walkUp + " SELECT " + groupColumn(a).sql + " FROM up JOIN resources x ON x.id = up.id ORDER BY x.id LIMIT 1)"}
	case many == a:
		return operand{sql: "(r.document" + w.steps(a, " -> ") + " ->> 0)"}
	case many.Primary() == nil:
		return operand{sql: "(r.document" + w.steps(many, " -> ") + " -> 0 ->> " + w.key(a.Name) + ")"}
	}
	elements, no := "json_each(r.document"+w.steps(many, " -> ")+") AS e", "0"
	if w.dialect == postgres {
		elements, no = "jsonb_array_elements(r.document"+w.steps(many, " -> ")+") WITH ORDINALITY AS e (value, key)", "'false'"
	}
	return operand{sql: "(SELECT e.value ->> " + w.key(a.Name) + " FROM " + elements +
		" ORDER BY coalesce(e.value ->> " + w.key(many.Primary().Name) + ", " + no + ") DESC, e.key LIMIT 1)"}
}
