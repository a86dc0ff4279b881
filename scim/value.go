package scim

import (
	"encoding/base64"
	"reflect"
	"time"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// An object is one complex value: a resource, or the value of a complex
// attribute. It is the only place that knows how values are held. Those of the
// contract are fields of the Go struct that protoc-gen-go wrote, found by their
// index; those registered at run time are in a Struct, found by their name.
// Everything above knows attributes only.
type object struct {
	v reflect.Value    // the Go struct, if there is one
	s *structpb.Struct // what is registered, if anything is
}

func objectOf(r Resource) object {
	o := object{v: reflect.ValueOf(r).Elem()}
	if r, ok := r.(*musterv1.Resource); ok {
		if r.GetAttributes() == nil {
			r.Attributes = &structpb.Struct{}
		}
		o.s = r.GetAttributes()
	}
	return o
}

// zero tells whether there is no object at all.
func (o object) zero() bool { return !o.v.IsValid() && o.s == nil }

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
	if o.zero() || a.Computed {
		return 0
	}
	if a.held != asField {
		return o.countRegistered(a)
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

// value is the i-th value of an attribute that has a field. It must be there.
func (o object) value(a *Attribute, i int) reflect.Value {
	f := o.v.Field(a.field)
	if a.MultiValued {
		f = f.Index(i)
	}
	return f
}

// child is the i-th value of a complex attribute.
func (o object) child(a *Attribute, i int) object {
	if a.held != asField {
		return object{s: o.registeredStruct(a, i)}
	}
	return object{v: o.value(a, i).Elem()}
}

// text is the i-th value of a string, reference or binary attribute; binary as
// base64.
func (o object) text(a *Attribute, i int) string {
	if a.held != asField {
		return o.registered(a, i).GetStringValue()
	}
	f := o.value(a, i)
	if a.Type == Binary {
		return base64.StdEncoding.EncodeToString(f.Bytes())
	}
	return f.String()
}

// boolean is the i-th value of a boolean attribute.
func (o object) boolean(a *Attribute, i int) bool {
	if a.held != asField {
		return o.registered(a, i).GetBoolValue()
	}
	return o.value(a, i).Elem().Bool()
}

// number is the i-th value of an integer or decimal attribute; only registered
// ones are of these types.
func (o object) number(a *Attribute, i int) float64 { return o.registered(a, i).GetNumberValue() }

// time is the i-th value of a dateTime attribute.
func (o object) time(a *Attribute, i int) time.Time {
	if a.held != asField {
		t, _ := time.Parse(time.RFC3339, o.registered(a, i).GetStringValue()) // setTime wrote it
		return t
	}
	t, _ := reflect.TypeAssert[*timestamppb.Timestamp](o.value(a, i))
	return t.AsTime()
}

// equal tells whether a value that is not complex, the i-th here, is the j-th of
// with.
func (o object) equal(a *Attribute, i int, with object, j int) bool {
	switch {
	case a.Type == DateTime:
		return o.time(a, i).Equal(with.time(a, j))
	case a.Type == Boolean:
		return o.boolean(a, i) == with.boolean(a, j)
	case a.Type == Integer, a.Type == Decimal:
		return o.number(a, i) == with.number(a, j)
	case a.Type == Binary && a.held == asField:
		return string(o.value(a, i).Bytes()) == string(with.value(a, j).Bytes())
	}
	return o.text(a, i) == with.text(a, j)
}

// clear makes the attribute unassigned.
func (o object) clear(a *Attribute) {
	switch a.held {
	case asField:
		o.v.Field(a.field).SetZero()
	case asKey:
		delete(o.s.GetFields(), a.Name)
	case asExtension:
		delete(o.extensions(a), a.Name)
	}
}

// leftOut marks what an answer leaves out; nobody writes to it.
var leftOut = reflect.ValueOf(new(string))

// leaveOut takes the attribute out of an answer: it makes it unassigned, or, if
// it is yet to be computed, says that it is not wanted.
func (o object) leaveOut(a *Attribute) {
	if a.Computed {
		o.v.Field(a.field).Set(leftOut)
		return
	}
	o.clear(a)
}

// isLeftOut tells whether leaveOut was called for what is to be computed.
func (o object) isLeftOut(a *Attribute) bool { return !o.v.Field(a.field).IsNil() }

// setText sets a singular string, reference or binary attribute, or appends a
// value to a multi-valued one.
func (o object) setText(a *Attribute, s string) *Error {
	var raw []byte
	if a.Type == Binary {
		var err error
		if raw, err = decodeBase64(s); err != nil {
			return Errorf(InvalidValue, "%s is not base64", a.Path).At(a.Path)
		}
	}
	if a.held != asField {
		if a.Type == Binary {
			s = base64.StdEncoding.EncodeToString(raw)
		}
		if s != "" { // an empty text is none
			o.setRegistered(a, structpb.NewStringValue(s))
		}
		return nil
	}
	f := o.v.Field(a.field)
	switch {
	case a.Type == Binary:
		f.SetBytes(raw)
	case a.MultiValued:
		f.Set(reflect.Append(f, reflect.ValueOf(s)))
	default:
		f.SetString(s)
	}
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
func (o object) setBoolean(a *Attribute, b bool) {
	if a.held != asField {
		o.setRegistered(a, structpb.NewBoolValue(b))
		return
	}
	o.v.Field(a.field).Set(reflect.ValueOf(&b))
}

// setTime sets a dateTime attribute.
func (o object) setTime(a *Attribute, t time.Time) {
	if a.held != asField {
		o.setRegistered(a, structpb.NewStringValue(FormatTime(t)))
		return
	}
	o.v.Field(a.field).Set(reflect.ValueOf(timestamppb.New(t)))
}

// FormatTime is how a date is written: in UTC and to the millisecond, so that the
// order of the texts is that of the dates.
func FormatTime(t time.Time) string { return t.UTC().Format(timeLayout) }

const timeLayout = "2006-01-02T15:04:05.000Z"

// setNumber sets an integer or decimal attribute.
func (o object) setNumber(a *Attribute, n float64) { o.setRegistered(a, structpb.NewNumberValue(n)) }

// make returns the value of a singular complex attribute, made if absent.
func (o object) make(a *Attribute) object {
	if a.held != asField {
		return o.makeRegistered(a)
	}
	f := o.v.Field(a.field)
	if f.IsNil() {
		f.Set(reflect.New(a.goType))
	}
	return object{v: f.Elem()}
}

// grow appends an empty element to a multi-valued complex attribute.
func (o object) grow(a *Attribute) object {
	if a.held != asField {
		s := &structpb.Struct{}
		o.setRegistered(a, structpb.NewStructValue(s))
		return object{s: s}
	}
	f := o.v.Field(a.field)
	p := reflect.New(a.goType)
	f.Set(reflect.Append(f, p))
	return object{v: p.Elem()}
}

// push appends the i-th value of from to a multi-valued attribute.
func (o object) push(a *Attribute, from object, i int) {
	if a.held != asField {
		o.setRegistered(a, from.registered(a, i))
		return
	}
	f := o.v.Field(a.field)
	f.Set(reflect.Append(f, from.value(a, i)))
}

// keep drops the elements of a multi-valued attribute that keep refuses.
func (o object) keep(a *Attribute, keep func(i int) bool) {
	if a.held != asField {
		o.keepRegistered(a, keep)
		return
	}
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
	if a.held != asField {
		o.copyRegistered(a, from)
		return
	}
	o.v.Field(a.field).Set(from.v.Field(a.field))
}
