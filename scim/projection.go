package scim

import (
	"slices"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Projection says which attributes an answer has (RFC 7644 section 3.9). It may
// be applied to any number of resources at once.
type Projection struct{ cuts []cut }

// A cut is an attribute that an answer lacks: wholly, or only parts of it.
type cut struct {
	attr  *Attribute
	parts []cut // none: the whole attribute
}

// A selection is the attributes that a client names, each from its top: the
// attribute of the resource, and its sub-attributes where only those are named.
type selection map[*Attribute]bool

// CompileProjection prepares the answer to a request for some attributes, or for
// all but some; where both lists are empty the answer has what is returned by
// default. Each entry may hold several names, separated by commas, in any letter
// case: of an attribute, of a sub-attribute (name.givenName), either with the URN
// of its schema before it, or the URN alone. Unknown names are ignored. What is
// always returned stays and what is never returned goes, whatever the lists say.
//
// The error is InvalidValue, where both lists name something.
func (rt *ResourceType) CompileProjection(attributes, excluded []string) (*Projection, error) {
	wanted, anyWanted := rt.selection(attributes)
	unwanted, anyUnwanted := rt.selection(excluded)
	switch {
	case anyWanted && anyUnwanted:
		return nil, Errorf(InvalidValue, "attributes and excludedAttributes exclude each other")
	case anyWanted:
		return &Projection{including(rt.top, wanted)}, nil
	case anyUnwanted:
		return &Projection{excluding(rt.top, unwanted)}, nil
	}
	return rt.whole, nil
}

// selection resolves names; named tells whether there were any, known or not.
func (rt *ResourceType) selection(lists []string) (s selection, named bool) {
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			if name = strings.TrimSpace(name); name == "" {
				continue
			}
			if s == nil {
				s = make(selection)
			}
			named = true
			rt.selectName(s, name)
		}
	}
	return s, named
}

// selectName adds what one name stands for: an attribute, a sub-attribute, an
// extension, or for the URN of the core schema each of its attributes.
func (rt *ResourceType) selectName(s selection, name string) {
	if rest, ok := cutURN(name, rt.Schema.URN); ok && rest == "" {
		for _, a := range rt.Schema.Attributes {
			s[a] = true
		}
	} else if a := rt.resolve(name); a != nil {
		s[a] = true
	}
}

// cutURN takes the URN and what separates it from a name off the name. Some
// clients separate by a dot.
func cutURN(name, urn string) (rest string, ok bool) {
	if len(name) < len(urn) || !strings.EqualFold(name[:len(urn)], urn) {
		return "", false
	}
	rest = name[len(urn):]
	if rest == "" {
		return "", true
	}
	return rest[1:], rest[0] == ':' || rest[0] == '.'
}

// excluding is the cuts of an answer with what is returned by default, less the
// unwanted.
func excluding(attrs []*Attribute, unwanted selection) (cuts []cut) {
	for _, a := range attrs {
		gone := unwanted[a]
		switch a.Returned {
		case musterv1.Attribute_RETURNED_ALWAYS:
			gone = false
		case musterv1.Attribute_RETURNED_NEVER, musterv1.Attribute_RETURNED_REQUEST:
			gone = true
		default:
		}
		switch {
		case !gone:
			cuts = a.cut(cuts, excluding(a.Sub, unwanted))
		case a.isExtension():
			cuts = a.cut(cuts, including(a.Sub, nil))
		default:
			cuts = append(cuts, cut{attr: a})
		}
	}
	return cuts
}

// including is the cuts of an answer with the wanted attributes only, beside
// what is always returned.
func including(attrs []*Attribute, wanted selection) (cuts []cut) {
	for _, a := range attrs {
		switch {
		case a.Returned == musterv1.Attribute_RETURNED_NEVER:
			cuts = append(cuts, cut{attr: a})
		case a.Returned == musterv1.Attribute_RETURNED_ALWAYS, wanted.has(a):
			cuts = a.cut(cuts, wholeBut(a.Sub, wanted))
		case wanted.within(a.Sub), a.isExtension(): // of which something may be returned always
			cuts = a.cut(cuts, including(a.Sub, wanted))
		default:
			cuts = append(cuts, cut{attr: a})
		}
	}
	return cuts
}

// cut adds the cuts of parts of a: none, or the whole where nothing would be left.
func (a *Attribute) cut(cuts, parts []cut) []cut {
	left := len(a.Sub) != len(parts) || slices.ContainsFunc(parts, func(c cut) bool { return len(c.parts) > 0 })
	switch {
	case len(parts) == 0:
		return cuts
	case left:
		return append(cuts, cut{a, parts})
	}
	return append(cuts, cut{attr: a})
}

// wholeBut is the cuts of a complex attribute that is wanted as a whole: what is
// never returned, or returned only on request.
func wholeBut(subs []*Attribute, wanted selection) (cuts []cut) {
	for _, sub := range subs {
		never := sub.Returned == musterv1.Attribute_RETURNED_NEVER
		unasked := sub.Returned == musterv1.Attribute_RETURNED_REQUEST && !wanted[sub]
		if never || unasked {
			cuts = append(cuts, cut{attr: sub})
		} else {
			cuts = sub.cut(cuts, wholeBut(sub.Sub, wanted))
		}
	}
	return cuts
}

// has tells whether a itself is wanted, or a $ref that is made from it.
func (s selection) has(a *Attribute) bool {
	if s[a] || a.Parent == nil {
		return s[a]
	}
	if a.Name != "value" && a.Name != "type" {
		return false
	}
	ref := a.Parent.SubAttribute("$ref")
	return ref != nil && s[ref]
}

// within tells whether something among or below attrs is wanted.
func (s selection) within(attrs []*Attribute) bool {
	for _, a := range attrs {
		if s[a] || s.within(a.Sub) {
			return true
		}
	}
	return false
}

// Includes tells whether an answer may have the attribute, one at the top of the
// resource, or a part of it. What it does not include need not be read.
func (p *Projection) Includes(a *Attribute) bool {
	for _, c := range p.cuts {
		if c.attr == a {
			return len(c.parts) > 0
		}
	}
	return true
}

// Apply clears what the answer lacks, in place.
func (p *Projection) Apply(r Resource) {
	if len(p.cuts) > 0 {
		objectOf(r).project(p.cuts)
	}
}

func (o object) project(cuts []cut) {
	for _, c := range cuts {
		if len(c.parts) == 0 {
			o.leaveOut(c.attr)
			continue
		}
		for i := range o.count(c.attr) {
			o.child(c.attr, i).project(c.parts)
		}
	}
}
