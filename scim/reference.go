package scim

import "slices"

// References are the places where a resource names another one by its id. Which
// these are follows from the attribute table: the value beside a $ref, and a
// reference to a resource type that a client may set.

// isReference tells whether the values of the attribute are ids of resources.
func (a *Attribute) isReference() bool {
	if a.Type == Reference {
		return !a.ReadOnly() && namesResourceType(a.ReferenceTypes)
	}
	if a.Name != "value" || a.Parent == nil {
		return false
	}
	ref := a.Parent.SubAttribute("$ref")
	return ref != nil && namesResourceType(ref.ReferenceTypes)
}

// namesResourceType tells whether one of the reference types is a resource type.
func namesResourceType(types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool { return !isForeign(t) })
}

// namesResources tells whether each value of the attribute must be the id of a
// resource, since it can be nothing else.
func (a *Attribute) namesResources() bool {
	return a.isReference() && !slices.ContainsFunc(a.referenceTypes(), isForeign)
}

// referenceTypes are those of a reference, or of the $ref beside it.
func (a *Attribute) referenceTypes() []string {
	if a.Type == Reference {
		return a.ReferenceTypes
	}
	return a.Parent.SubAttribute("$ref").ReferenceTypes
}

// isForeign tells whether a reference type is none of our resource types (RFC 7643
// section 7).
func isForeign(referenceType string) bool {
	return referenceType == "external" || referenceType == "uri"
}

// A Referrer replaces the id of a resource by the one that is meant.
type Referrer func(id string) (string, *Error)

// References replaces each id by which r names another resource by what f makes
// of it. The first error of f ends it; it names the attribute.
func (rt *ResourceType) References(r Resource, f Referrer) error {
	if err := objectOf(r).references(rt.top, f); err != nil {
		return err
	}
	return nil
}

// references does what References promises for some attributes of o.
func (o object) references(attrs []*Attribute, f Referrer) *Error {
	for _, a := range attrs {
		switch {
		case a.Type == Complex:
			for i := range o.count(a) {
				if err := o.child(a, i).references(a.Sub, f); err != nil {
					return err
				}
			}
		case a.isReference() && o.count(a) > 0:
			ids := make([]string, o.count(a))
			for i := range ids {
				ids[i] = o.text(a, i)
			}
			if err := f.each(a, ids); err != nil {
				return err
			}
			o.clear(a)
			for _, id := range ids {
				if err := o.setText(a, id); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// each replaces ids, which are values of a.
func (f Referrer) each(a *Attribute, ids []string) *Error {
	for i, id := range ids {
		meant, err := f(id)
		if err != nil {
			return err.At(a.Path)
		}
		ids[i] = meant
	}
	return nil
}

// links replaces the ids in changes of links.
func (f Referrer) links(changes []LinkChange) error {
	for i := range changes {
		c := &changes[i]
		if err := f.each(c.Attr.SubAttribute("value"), c.Values); err != nil {
			return err
		}
		var err *Error
		if c.Filter, err = f.filter(c.Filter); err != nil {
			return err
		}
	}
	return nil
}

// filter makes a filter that asks for the ids that are meant; of nil it makes nil.
func (f Referrer) filter(in Filter) (Filter, *Error) {
	switch in := in.(type) {
	case And:
		parts, err := f.filters(in)
		return And(parts), err
	case Or:
		parts, err := f.filters(in)
		return Or(parts), err
	case Not:
		part, err := f.filter(in.Filter)
		return Not{part}, err
	case Comparison:
		if !in.Attr.isReference() || in.Value.Written == "" {
			return in, nil
		}
		id := []string{in.Value.Written}
		err := f.each(in.Attr, id)
		in.Value.Written, in.Value.Text = id[0], foldFor(in.Attr, id[0])
		return in, err
	}
	return in, nil
}

func (f Referrer) filters(in []Filter) ([]Filter, *Error) {
	out := make([]Filter, len(in))
	for i := range in {
		var err *Error
		if out[i], err = f.filter(in[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (c *replacement) References(f Referrer) error {
	if err := c.rt.References(c.r, f); err != nil {
		return err
	}
	return f.links(c.links)
}

func (p *patch) References(f Referrer) error {
	for i := range p.steps {
		s := &p.steps[i]
		if err := p.rt.References(s.from, f); err != nil {
			return err
		}
		var err *Error
		if s.path.Filter, err = f.filter(s.path.Filter); err != nil {
			return err
		}
	}
	return f.links(p.links)
}
