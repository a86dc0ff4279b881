package scim

import (
	"cmp"
	"strings"
	"unicode/utf8"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Sort is the order of a list (RFC 7644 section 3.4.2.3).
type Sort struct {
	// Attr is the attribute whose values decide: a simple attribute or
	// sub-attribute. Nil: the id alone decides, which is the order of creation.
	Attr       *Attribute
	Descending bool
}

// SortLength is how many characters of a text count for its place in a list. A
// place travels in cursors, and may not grow without end.
const SortLength = 1024

// ParseSort finds the attribute that a list of rt is sorted by, named as in a
// filter. A complex attribute stands for its sub-attribute "value".
//
// The error is InvalidValue: for an attribute that does not exist, that nobody may
// learn of or that is not a single value. RFC 7644 names none.
func (rt *ResourceType) ParseSort(sortBy string) (*Attribute, error) {
	a := rt.resolve(strings.TrimSpace(sortBy))
	if a == nil {
		return nil, Errorf(InvalidValue, "sortBy: %s is not an attribute of %s", quote(sortBy), rt.Name)
	}
	if a.Type == Complex {
		value := a.SubAttribute("value")
		if value == nil || a.isExtension() {
			return nil, Errorf(InvalidValue, "sortBy: %s has sub-attributes; name one of them", a.Path)
		}
		a = value
	}
	switch {
	case a.Returned == musterv1.Attribute_RETURNED_NEVER:
		return nil, Errorf(InvalidValue, "sortBy: %s is never returned", a.Path)
	case a.Computed:
		return nil, Errorf(InvalidValue, "sortBy: %s depends on the server's address", a.Path)
	}
	return a, nil
}

// ParseSorts is ParseSort for a list of several types. A type that has no such
// attribute, or one that does not compare with those of the others, gets nil: its
// resources have no value. The error says that none has it.
func ParseSorts(types []*ResourceType, sortBy string) ([]*Attribute, error) {
	attrs := make([]*Attribute, len(types))
	var known *Attribute
	var fault error
	for i, rt := range types {
		a, err := rt.ParseSort(sortBy)
		switch {
		case err != nil:
			fault = cmp.Or(fault, err)
		case known == nil, a.Numeric() == known.Numeric():
			attrs[i], known = a, a
		}
	}
	if known == nil {
		return nil, fault
	}
	return attrs, nil
}

// Numeric tells whether values of the attribute have a Number in their Place, and
// not a Text.
func (a *Attribute) Numeric() bool {
	switch a.Type {
	case Boolean, Integer, Decimal:
		return true
	case DateTime:
		return !a.Registered()
	default:
		return false
	}
}

// Primary is the sub-attribute that marks one element of many, or nil.
func (a *Attribute) Primary() *Attribute {
	if primary := a.SubAttribute("primary"); primary != nil && primary.Type == Boolean {
		return primary
	}
	return nil
}

// A Place is where a resource stands in a sorted list: its value, and its id where
// values are equal.
type Place struct {
	// Assigned tells whether there is a value. Without one a resource comes last,
	// or first where the order is descending.
	Assigned bool `json:"a,omitempty"`
	// Number is the value of a number; false 0, true 1; of a date of the contract the
	// milliseconds since 1970.
	Number float64 `json:"n,omitempty"`
	// Text is the value of all other types, folded unless the attribute is caseExact;
	// a date that is registered is written so that texts sort as dates do.
	Text string `json:"t,omitempty"`
	ID   string `json:"i"`
}

// PlaceOf is the place of r. Of several values that of the primary element counts,
// or else that of the first.
func (s Sort) PlaceOf(r Resource) Place {
	p := Place{ID: r.GetId()}
	if s.Attr == nil {
		return p
	}
	o := objectOf(r).deciding(s.Attr)
	if p.Assigned = o.count(s.Attr) > 0; !p.Assigned {
		return p
	}
	switch s.Attr.Type {
	case Boolean:
		if o.boolean(s.Attr, 0) {
			p.Number = 1
		}
	case Integer, Decimal:
		p.Number = o.number(s.Attr, 0)
	case DateTime:
		if s.Attr.Numeric() {
			p.Number = float64(o.time(s.Attr, 0).UnixMilli())
		} else {
			p.Text = FormatTime(o.time(s.Attr, 0))
		}
	default:
		p.Text = firstRunes(foldFor(s.Attr, o.text(s.Attr, 0)), SortLength)
	}
	return p
}

// deciding is the object that holds the value of a that counts for the order, or
// zero. o is the resource.
func (o object) deciding(a *Attribute) object {
	if a.Parent == nil {
		return o.holder(a, false)
	}
	holder := o.holder(a.Parent, false)
	n := holder.count(a.Parent)
	if n == 0 {
		return object{}
	}
	if primary := a.Parent.Primary(); primary != nil {
		for i := range n {
			if e := holder.child(a.Parent, i); e.count(primary) > 0 && e.boolean(primary, 0) {
				return e
			}
		}
	}
	return holder.child(a.Parent, 0)
}

// firstRunes is the beginning of s, n characters at most.
func firstRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	at := 0
	for range n {
		if at == len(s) {
			break
		}
		_, size := utf8.DecodeRuneInString(s[at:])
		at += size
	}
	return s[:at]
}

// Compare tells which of two places comes first: p (-1) or q (+1). It is the
// reference that the store's SQL agrees with. Texts are compared byte by byte,
// which is the order of their characters in Unicode; no two resources share a
// place. A descending order is the reverse of the ascending one in all.
func (s Sort) Compare(p, q Place) int {
	order := cmp.Or(
		compareAssigned(p.Assigned, q.Assigned),
		cmp.Compare(p.Number, q.Number),
		strings.Compare(p.Text, q.Text),
		strings.Compare(p.ID, q.ID),
	)
	if s.Descending {
		return -order
	}
	return order
}

func compareAssigned(p, q bool) int {
	switch {
	case p == q:
		return 0
	case p:
		return -1
	}
	return 1
}
