package scim

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// compileLinks adds what an operation does to an attribute whose elements are
// links. Elements come and go whole.
func (p *patch) compileLinks(op musterv1.PatchOperation_Op, path Path, value *structpb.Value) error {
	a := path.Attr
	if a.Parent != nil {
		a = a.Parent
	}
	if path.Sub != nil || path.Attr.Parent != nil {
		return Errorf(Mutability, "an element of %s cannot change in part; remove it and add another", a.Path).At(a.Path)
	}
	values, err := p.linkValues(a, value)
	if err != nil {
		return err
	}
	if op == opRemove || op == opReplace && path.Filter != nil {
		p.links = append(p.links, removeLinks(a, path.Filter, value, values))
	}
	kind := AddLinks
	switch {
	case op == opRemove:
		return nil
	case op == opReplace && path.Filter == nil:
		kind = SetLinks
	case op == opAdd && path.Filter != nil:
		selected, single := equalTo(path.Filter, a.SubAttribute("value"))
		if !single {
			return Errorf(NoTarget, "elements are added to %s by their value", a.Path).At(a.Path)
		}
		if !slices.Contains(values, selected) {
			values = append(values, selected)
		}
	}
	p.links = append(p.links, LinkChange{Attr: a, Kind: kind, Values: values})
	return nil
}

// removeLinks is the removal of what the filter selects, or else of the values,
// or of everything where an operation has neither.
func removeLinks(a *Attribute, filter Filter, value *structpb.Value, values []string) LinkChange {
	selected, single := equalTo(filter, a.SubAttribute("value"))
	switch {
	case single:
		return LinkChange{Attr: a, Kind: RemoveLinks, Values: []string{selected}}
	case filter != nil:
		return LinkChange{Attr: a, Kind: RemoveLinksWhere, Filter: filter}
	case value == nil || isNull(value):
		return LinkChange{Attr: a, Kind: SetLinks}
	default:
		return LinkChange{Attr: a, Kind: RemoveLinks, Values: values}
	}
}

// linkValues reads the ids that a value of a link attribute names.
func (p *patch) linkValues(a *Attribute, value *structpb.Value) ([]string, error) {
	if value == nil || isNull(value) {
		return nil, nil
	}
	in := &valueReader{at: value}
	d := decoder{rt: p.rt, in: in}
	r := p.rt.New()
	o := objectOf(r)
	d.attribute(o, a)
	if in.fault != nil {
		return nil, in.fault
	}
	if err := o.checkNamed(a, value); err != nil {
		return nil, err
	}
	if err := checkRequired(o, a, InvalidValue, noneStays); err != nil {
		return nil, err
	}
	return o.linkValues(a), nil
}

// isEmptyList tells whether the value is [] or {"members": []}.
func isEmptyList(v *structpb.Value, a *Attribute) bool {
	if fields := v.GetStructValue().GetFields(); len(fields) == 1 {
		for key, inner := range fields {
			return strings.EqualFold(key, a.Name) && isEmptyList(inner, a)
		}
	}
	list := v.GetListValue()
	return list != nil && len(list.GetValues()) == 0
}

// equalTo tells whether the filter is a single comparison of attr for equality,
// and with what.
func equalTo(f Filter, attr *Attribute) (value string, ok bool) {
	c, ok := f.(Comparison)
	if !ok || c.Op != Equal || c.Value.Null || c.Attr != attr {
		return "", false
	}
	return c.Value.Text, true
}
