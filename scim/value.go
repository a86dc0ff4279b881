package scim

import (
	"encoding/base64"
	"reflect"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
)

// An object is one complex value: a resource, or the value of a complex
// attribute. It is the only place that knows how values are held: as fields of
// the Go struct that protoc-gen-go wrote, found by their index. Everything above
// knows attributes only.
type object struct{ v reflect.Value }

func objectOf(r Resource) object { return object{reflect.ValueOf(r).Elem()} }

// zero tells whether there is no object at all.
func (o object) zero() bool { return !o.v.IsValid() }

// holder is the object that holds a top-level attribute: the resource itself, or
// its extension, which is absent (zero) unless make is set.
func (o object) holder(a *Attribute, makeIt bool) object {
	if a.container == nil {
		return o
	}
	if makeIt {
		return o.make(a.container)
	}
	if o.count(a.container) == 0 {
		return object{}
	}
	return o.child(a.container, 0)
}

// locate is the object that holds any attribute that is not inside a
// multi-valued one, made where it is absent. o is the resource.
func (o object) locate(a *Attribute) object {
	if a.Parent == nil {
		return o.holder(a, true)
	}
	return o.holder(a.Parent, true).make(a.Parent)
}

// count is how many values the attribute has here: 0 or 1 if it is singular. A
// complex value without any content counts as none.
func (o object) count(a *Attribute) int {
	if o.zero() {
		return 0
	}
	f := o.v.Field(a.field)
	switch {
	case a.MultiValued:
		return f.Len()
	case f.Kind() == reflect.String, f.Kind() == reflect.Slice: // text, bytes
		if f.Len() == 0 {
			return 0
		}
	case f.IsNil(): // a pointer to a bool or a message
		return 0
	case a.Type == Complex && !o.child(a, 0).hasContent(a):
		return 0
	}
	return 1
}

// hasContent tells whether any sub-attribute of a has a value here.
func (o object) hasContent(a *Attribute) bool {
	for _, sub := range a.Sub {
		if o.count(sub) > 0 {
			return true
		}
	}
	return false
}

// value is the i-th value of the attribute. The attribute must have it.
func (o object) value(a *Attribute, i int) reflect.Value {
	f := o.v.Field(a.field)
	if a.MultiValued {
		f = f.Index(i)
	}
	return f
}

// child is the i-th value of a complex attribute.
func (o object) child(a *Attribute, i int) object { return object{o.value(a, i).Elem()} }

// text is the i-th value of a string, reference or binary attribute; binary as
// base64.
func (o object) text(a *Attribute, i int) string {
	f := o.value(a, i)
	if a.Type == Binary {
		return base64.StdEncoding.EncodeToString(f.Bytes())
	}
	return f.String()
}

// boolean is the value of a boolean attribute.
func (o object) boolean(a *Attribute) bool { return o.value(a, 0).Elem().Bool() }

// time is the value of a dateTime attribute.
func (o object) time(a *Attribute) time.Time {
	t, _ := reflect.TypeAssert[*timestamppb.Timestamp](o.value(a, 0))
	return t.AsTime()
}

// clear makes the attribute unassigned.
func (o object) clear(a *Attribute) { o.v.Field(a.field).SetZero() }

// setText sets a singular string, reference or binary attribute, or appends a
// value to a multi-valued one.
func (o object) setText(a *Attribute, s string) *Error {
	f := o.v.Field(a.field)
	if a.Type == Binary {
		raw, err := decodeBase64(s)
		if err != nil {
			return Errorf(InvalidValue, "%s is not base64", a.Path).At(a.Path)
		}
		f.SetBytes(raw)
		return nil
	}
	if a.MultiValued {
		f.Set(reflect.Append(f, reflect.ValueOf(s)))
		return nil
	}
	f.SetString(s)
	return nil
}

// decodeBase64 reads base64 with or without padding.
func decodeBase64(s string) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return base64.RawStdEncoding.DecodeString(s)
	}
	return raw, nil
}

// setBoolean sets a boolean attribute.
func (o object) setBoolean(a *Attribute, b bool) { o.v.Field(a.field).Set(reflect.ValueOf(&b)) }

// setTime sets a dateTime attribute.
func (o object) setTime(a *Attribute, t time.Time) {
	o.v.Field(a.field).Set(reflect.ValueOf(timestamppb.New(t)))
}

// make returns the value of a singular complex attribute, made if absent.
func (o object) make(a *Attribute) object {
	f := o.v.Field(a.field)
	if f.IsNil() {
		f.Set(reflect.New(a.goType))
	}
	return object{f.Elem()}
}

// grow appends an empty element to a multi-valued complex attribute.
func (o object) grow(a *Attribute) object {
	f := o.v.Field(a.field)
	p := reflect.New(a.goType)
	f.Set(reflect.Append(f, p))
	return object{p.Elem()}
}

// keep drops the elements of a multi-valued attribute that keep refuses.
func (o object) keep(a *Attribute, keep func(i int) bool) {
	f := o.v.Field(a.field)
	kept := reflect.MakeSlice(f.Type(), 0, f.Len())
	for i := range f.Len() {
		if keep(i) {
			kept = reflect.Append(kept, f.Index(i))
		}
	}
	if kept.Len() == 0 {
		f.SetZero()
		return
	}
	f.Set(kept)
}

// copy makes the attribute here what it is in from. The two share memory.
func (o object) copy(a *Attribute, from object) {
	if from.zero() {
		o.clear(a)
		return
	}
	o.v.Field(a.field).Set(from.v.Field(a.field))
}
