package store

import (
	"github.com/muster-scim/muster/scim"
)

// A filter becomes one boolean expression. It is TRUE exactly where scim's Match
// is; elsewhere it is FALSE or NULL, which WHERE and EXISTS take alike. A
// negation is therefore never written NOT, which leaves NULL as it is, but
// IS NOT TRUE.
//
// Of a filter only names that the schema knows enter the text. What the client
// wrote is always an argument: nothing can be injected, and filters of one shape
// are one prepared statement.

// addFilter appends the expression over the row r of resources, whose tenant and
// type the caller fixes.
func (st *statement) addFilter(tenant int64, rt *scim.ResourceType, f scim.Filter) {
	(&filterWriter{statement: st, tenant: tenant, rt: rt}).add(f)
}

// addMemberFilter appends the expression over one element of members: the row m
// of memberships, joined with the row x of resources that is the member.
func (st *statement) addMemberFilter(f scim.Filter) {
	(&filterWriter{statement: st, rt: scim.Group}).within(memberColumn).add(f)
}

// addScope appends that a row of resources belongs to the tenant and the type.
// The values stand in subqueries, so that PostgreSQL does not see them: it would
// take a tenant that its statistics do not know, a new one, for empty, and all
// indexes that begin with the tenant for equally good.
func (st *statement) addScope(row string, tenant int64, rt *scim.ResourceType) {
	st.add(row, ".tenant_id = (SELECT CAST(", arg{tenant}, " AS bigint)) AND ", row, ".type = (SELECT CAST(", arg{rt.Name}, " AS text))")
}

// A filterWriter appends filters to a statement.
type filterWriter struct {
	*statement

	tenant int64
	rt     *scim.ResourceType
	// element tells where the sub-attributes of the element at hand are, within
	// the filter of a multi-valued attribute; nil: the resource is at hand.
	element func(*scim.Attribute) operand
}

// An operand is the place of one value.
type operand struct {
	sql string // NULL where the attribute has no value
	// column tells that it is a column with an index, folded unless the attribute
	// is caseExact.
	column bool
}

// within is a writer of filters over one element.
func (w *filterWriter) within(element func(*scim.Attribute) operand) *filterWriter {
	inner := *w
	inner.element = element
	return &inner
}

func (w *filterWriter) sql(parts ...any) { w.statement.add(parts...) }

func (w *filterWriter) add(f scim.Filter) {
	switch f := f.(type) {
	case scim.And:
		w.addAll(f, " AND ")
	case scim.Or:
		w.addAll(f, " OR ")
	case scim.Not:
		w.sql("(")
		w.add(f.Filter)
		w.sql(") IS NOT TRUE")
	case scim.Comparison:
		w.addComparison(f)
	case scim.ValueFilter:
		w.addValueFilter(f)
	case scim.Constant:
		w.sql(map[scim.Constant]string{true: "TRUE", false: "FALSE"}[f])
	}
}

func (w *filterWriter) addAll(parts []scim.Filter, between string) {
	w.sql("(")
	for i, part := range parts {
		if i > 0 {
			w.sql(between)
		}
		w.add(part)
	}
	w.sql(")")
}

// addComparison compares an attribute with a literal. One that is or stands
// inside a multi-valued attribute is a question to each element.
func (w *filterWriter) addComparison(c scim.Comparison) {
	many := c.Attr
	if c.Attr.Parent != nil {
		many = c.Attr.Parent
	}
	switch {
	case w.element != nil:
		w.compare(w.element(c.Attr), c)
	case hasRows(c.Attr) && byRows(c) && (many.MultiValued || c.Op != scim.NotEqual):
		w.addRows(c)
	case !many.MultiValued:
		w.compare(w.place(c.Attr), c)
	case c.Op == scim.Equal && c.Value.Null: // no element has a value
		w.add(scim.Not{Filter: scim.Comparison{Attr: c.Attr, Op: scim.Present}})
	case many.Link:
		w.addLink(many, c)
	case c.Attr == many && asksPresence(c):
		w.sql(w.place(many).sql, " IS NOT NULL") // the document holds no empty lists
	default:
		w.addElement(many, c)
	}
}

// asksPresence tells whether any value will do.
func asksPresence(c scim.Comparison) bool {
	return c.Op == scim.Present || c.Op == scim.NotEqual && c.Value.Null
}

// addValueFilter asks for one element that meets the whole filter.
func (w *filterWriter) addValueFilter(f scim.ValueFilter) {
	switch {
	case !f.Attr.MultiValued:
		w.sql("(", w.place(f.Attr).sql, " IS NOT NULL AND ")
		w.add(f.Filter)
		w.sql(")")
	case f.Attr.Link:
		w.addLink(f.Attr, f.Filter)
	default:
		w.sql("(")
		for _, part := range conjuncts(f.Filter) {
			// What an index finds is searched for first.
			if c, ok := part.(scim.Comparison); ok && hasRows(c.Attr) && byRows(c) && isSelective(c) {
				w.addRows(c)
				w.sql(" AND ")
			}
		}
		w.addElement(f.Attr, f.Filter)
		w.sql(")")
	}
}

// conjuncts are the filters that must all hold for f to hold.
func conjuncts(f scim.Filter) []scim.Filter {
	and, ok := f.(scim.And)
	if !ok {
		return []scim.Filter{f}
	}
	var all []scim.Filter
	for _, part := range and {
		all = append(all, conjuncts(part)...)
	}
	return all
}

// isSelective tells whether f asks for a value that few have, and that an index
// finds if there is one.
func isSelective(f scim.Filter) bool {
	c, ok := f.(scim.Comparison)
	return ok && !c.Value.Null && (c.Op == scim.Equal || c.Op == scim.StartsWith)
}

// addElement asks for one element, of an attribute that the document holds, that
// meets the filter.
func (w *filterWriter) addElement(a *scim.Attribute, f scim.Filter) {
	unnest := "json_each("
	switch {
	case w.dialect == postgres && a.Type == scim.Complex:
		unnest = "jsonb_array_elements("
	case w.dialect == postgres:
		unnest = "jsonb_array_elements_text("
	}
	w.sql("EXISTS (SELECT 1 FROM ", unnest, "r.document", w.steps(a, " -> "), ") AS e WHERE ")
	w.within(func(sub *scim.Attribute) operand {
		if sub == a {
			return operand{sql: "e.value"}
		}
		return operand{sql: "(e.value ->> " + w.key(sub.Name) + ")"}
	}).add(f)
	w.sql(")")
}

// byRows tells whether the rows of values answer the comparison: they hold texts,
// and only those that are there.
func byRows(c scim.Comparison) bool {
	return (c.Attr.Type == scim.String || c.Attr.Type == scim.Reference) && (c.Op != scim.NotEqual && !c.Value.Null || asksPresence(c))
}

// addRows asks for one value of an attribute whose values have rows, by way of
// the rows that an index finds.
func (w *filterWriter) addRows(c scim.Comparison) {
	w.addIDIn(isSelective(c), func() {
		w.sql("SELECT v.resource_id FROM attribute_values v WHERE v.tenant_id = ", arg{w.tenant},
			" AND v.type = ", arg{w.rt.Name}, " AND v.attr = ", arg{c.Attr.Path}, " AND ")
		w.compare(operand{sql: "v.value", column: true}, c)
	})
}

// addIDIn asks whether r is one of those that a query finds; few tells that they
// are likely to be few. PostgreSQL cannot see that: it guesses far too many, and
// would rather read all resources. Of an array it always expects few members, and
// looks each up.
func (w *filterWriter) addIDIn(few bool, query func()) {
	if few && w.dialect == postgres {
		w.sql("r.id = ANY(ARRAY(")
		query()
		w.sql("))")
		return
	}
	w.sql("r.id IN (")
	query()
	w.sql(")")
}

// columns are the attributes that have a column, by path.
var columns = map[string]operand{
	"id":                {"r.id", true},
	"externalId":        {"r.external_id", true},
	"userName":          {"r.user_name", true},
	"displayName":       {"r.display_name", true},
	"meta":              {"r.version", false}, // it is always there
	"meta.resourceType": {"r.type", false},
	"meta.created":      {"r.created_at", false},
	"meta.lastModified": {"r.updated_at", true},
	"meta.version":      {`('W/"' || CAST(r.version AS text) || '"')`, false},
}

// place is where the resource keeps an attribute: in a column or in the document.
func (w *filterWriter) place(a *scim.Attribute) operand {
	if column, ok := columns[a.Path]; ok && !a.Registered() {
		return column
	}
	return operand{sql: "(r.document" + w.steps(a, " ->> ") + ")"}
}

// steps lead from the document to an attribute, by operators that both databases
// have; last is the last of them: -> for JSON, ->> for text.
func (w *filterWriter) steps(a *scim.Attribute, last string) string {
	path := last + w.key(a.Name)
	if a.Parent != nil {
		path = " -> " + w.key(a.Parent.Name) + path
	}
	if a.Schema != w.rt.Schema { // an extension
		path = " -> " + w.key(a.Schema.URN) + path
	}
	return path
}

// key is the name of a member of an object. Names and URNs have no character that
// needs an escape; but SQLite takes one that begins with $ for a path.
func (w *filterWriter) key(name string) string {
	if w.dialect == sqlite && name[0] == '$' {
		return `'$."` + name + `"'`
	}
	return "'" + name + "'"
}
