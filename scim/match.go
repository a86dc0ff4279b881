package scim

import (
	"cmp"
	"strings"
)

// Match tells whether r meets a filter that rt parsed. It is the reference that
// the store's SQL agrees with:
//
// A singular attribute without value meets ne (but not ne null), and nothing
// else. One that is multi-valued, or inside a multi-valued attribute, meets an
// operator where one of its elements does; an element that lacks the
// sub-attribute counts there like a singular attribute without value. Without
// elements nothing is met. Against null, eq asks that there is no value anywhere
// and ne, like pr, that there is one.
//
// Text is compared byte by byte, folded by Fold unless the attribute is
// caseExact, and dates to the millisecond.
func (rt *ResourceType) Match(f Filter, r Resource) bool { return matchResource(f, objectOf(r)) }

// matchResource is Match for the object of a resource.
func matchResource(f Filter, o object) bool {
	switch f := f.(type) {
	case ValueFilter:
		holder := o.holder(f.Attr, false)
		for i := range holder.count(f.Attr) {
			if matchElement(f.Filter, holder.child(f.Attr, i)) {
				return true
			}
		}
		return false
	case Comparison:
		return f.matchResource(o)
	}
	return matchParts(f, o, matchResource)
}

// matchElement tells whether one element, or a singular complex value, meets a
// filter over its sub-attributes.
func matchElement(f Filter, e object) bool {
	if c, ok := f.(Comparison); ok {
		return c.matchSingle(e)
	}
	return matchParts(f, e, matchElement)
}

// matchParts decides what is made of other filters; match decides those.
func matchParts(f Filter, o object, match func(Filter, object) bool) bool {
	switch f := f.(type) {
	case And:
		for _, part := range f {
			if !match(part, o) {
				return false
			}
		}
		return true
	case Or:
		for _, part := range f {
			if match(part, o) {
				return true
			}
		}
		return false
	case Not:
		return !match(f.Filter, o)
	case Constant:
		return bool(f)
	}
	return false
}

// matchResource compares any attribute of a resource.
func (c Comparison) matchResource(o object) bool {
	a := c.Attr
	if c.Op == Equal && c.Value.Null {
		return !Comparison{Attr: a, Op: Present}.matchResource(o)
	}
	if a.Parent == nil {
		return c.matchAny(o.holder(a, false))
	}
	holder := o.holder(a.Parent, false)
	if !a.Parent.MultiValued && holder.count(a.Parent) == 0 {
		return c.matchSingle(object{})
	}
	for i := range holder.count(a.Parent) {
		if c.matchSingle(holder.child(a.Parent, i)) {
			return true
		}
	}
	return false
}

// matchAny compares an attribute with any number of values, which o holds.
func (c Comparison) matchAny(o object) bool {
	a := c.Attr
	if !a.MultiValued {
		return c.matchSingle(o)
	}
	for i := range o.count(a) {
		switch {
		case a.Type == Complex: // only pr
			if o.child(a, i).hasContent(a) {
				return true
			}
		case c.asksPresence(), c.compare(o, i):
			return true
		}
	}
	return false
}

// asksPresence tells whether the comparison is met by any value.
func (c Comparison) asksPresence() bool {
	return c.Op == Present || c.Op == NotEqual && c.Value.Null
}

// matchSingle compares a singular attribute, which o holds; o may be zero.
func (c Comparison) matchSingle(o object) bool {
	there := o.count(c.Attr) > 0
	switch {
	case c.asksPresence():
		return there
	case c.Value.Null:
		return !there
	case !there:
		return c.Op == NotEqual
	}
	return c.compare(o, 0)
}

// compare compares the i-th value, which is there, with the literal.
func (c Comparison) compare(o object, i int) bool {
	switch a := c.Attr; a.Type {
	case Boolean:
		return (o.boolean(a, i) == c.Value.Bool) == (c.Op == Equal)
	case DateTime:
		return c.Op.holds(cmp.Compare(o.time(a, i).UnixMilli(), c.Value.Time.UnixMilli()))
	case Integer, Decimal:
		return c.Op.holds(cmp.Compare(o.number(a, i), c.Value.Number))
	default:
		return c.compareText(foldFor(a, o.text(a, i)))
	}
}

func (c Comparison) compareText(s string) bool {
	switch c.Op {
	case Contains:
		return strings.Contains(s, c.Value.Text)
	case StartsWith:
		return strings.HasPrefix(s, c.Value.Text)
	case EndsWith:
		return strings.HasSuffix(s, c.Value.Text)
	default:
		return c.Op.holds(strings.Compare(s, c.Value.Text))
	}
}

// holds tells whether the operator holds where the value is less than (-1),
// equal to (0) or greater than (1) the literal.
func (o Operator) holds(order int) bool {
	switch o {
	case Equal:
		return order == 0
	case NotEqual:
		return order != 0
	case GreaterThan:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	case LessThan:
		return order < 0
	case LessOrEqual:
		return order <= 0
	default:
		return false
	}
}
