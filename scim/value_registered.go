package scim

import (
	"reflect"

	"google.golang.org/protobuf/types/known/structpb"
)

// How the values of registered attributes are held: each under the name of its
// attribute in a Struct. Text, binary values (as base64) and dates are strings,
// a multi-valued attribute is a list, a complex value is a Struct again. What is
// unassigned has no key, and no list is empty.

// single is the value of a registered attribute, or nil.
func (o object) single(a *Attribute) *structpb.Value { return o.s.GetFields()[a.Name] }

// registered is the i-th value of a registered attribute, which must be there.
func (o object) registered(a *Attribute, i int) *structpb.Value {
	if a.MultiValued {
		return o.single(a).GetListValue().GetValues()[i]
	}
	return o.single(a)
}

// extensions are the registered extensions of the resource o; nil where it has
// none. box is the pseudo-attribute of one.
func (o object) extensions(box *Attribute) map[string]*structpb.Struct {
	m, _ := reflect.TypeAssert[map[string]*structpb.Struct](o.v.Field(box.field))
	return m
}

// registeredStruct is the i-th value of a registered complex attribute, or a
// registered extension.
func (o object) registeredStruct(a *Attribute, i int) *structpb.Struct {
	if a.held == asExtension {
		return o.extensions(a)[a.Name]
	}
	return o.registered(a, i).GetStructValue()
}

func (o object) countRegistered(a *Attribute) int {
	switch {
	case a.held == asExtension:
		if s := o.extensions(a)[a.Name]; s == nil || !(object{s: s}).hasContent(a) {
			return 0
		}
		return 1
	case a.MultiValued:
		return len(o.single(a).GetListValue().GetValues())
	case o.single(a) == nil, a.Type == Complex && !o.child(a, 0).hasContent(a):
		return 0
	}
	return 1
}

// setRegistered sets a registered attribute, or appends to a multi-valued one.
func (o object) setRegistered(a *Attribute, v *structpb.Value) {
	if o.s.Fields == nil {
		o.s.Fields = make(map[string]*structpb.Value)
	}
	if !a.MultiValued {
		o.s.Fields[a.Name] = v
		return
	}
	list := o.single(a).GetListValue()
	if list == nil {
		list = &structpb.ListValue{}
		o.s.Fields[a.Name] = structpb.NewListValue(list)
	}
	list.Values = append(list.Values, v)
}

func (o object) makeRegistered(a *Attribute) object {
	if a.held == asKey {
		if o.single(a).GetStructValue() == nil {
			o.setRegistered(a, structpb.NewStructValue(&structpb.Struct{}))
		}
		return o.child(a, 0)
	}
	all := o.extensions(a)
	if all == nil {
		all = make(map[string]*structpb.Struct)
		o.v.Field(a.field).Set(reflect.ValueOf(all))
	}
	if all[a.Name] == nil {
		all[a.Name] = &structpb.Struct{}
	}
	return object{s: all[a.Name]}
}

func (o object) keepRegistered(a *Attribute, keep func(i int) bool) {
	list := o.single(a).GetListValue()
	var kept []*structpb.Value
	for i, v := range list.GetValues() {
		if keep(i) {
			kept = append(kept, v)
		}
	}
	if len(kept) == 0 {
		o.clear(a)
		return
	}
	list.Values = kept
}

func (o object) copyRegistered(a *Attribute, from object) {
	if from.count(a) == 0 {
		o.clear(a)
		return
	}
	if a.held == asExtension {
		o.make(a)
		o.extensions(a)[a.Name] = from.extensions(a)[a.Name]
		return
	}
	o.clear(a)
	if o.s.Fields == nil {
		o.s.Fields = make(map[string]*structpb.Value)
	}
	o.s.Fields[a.Name] = from.single(a)
}
