package scim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"
)

// A valueReader yields the parts of a google.protobuf.Value, the value of a
// patch operation. Members of an object come in the order of their names.
type valueReader struct {
	at    *structpb.Value
	stack []valueFrame
	fault *Error
}

// valueFrame is where the reader is in an object (keys is set) or array.
type valueFrame struct {
	fields map[string]*structpb.Value
	keys   []string
	list   []*structpb.Value
	next   int
}

func (r *valueReader) err() *Error { return r.fault }

func (r *valueReader) fail(err *Error) {
	if r.fault == nil {
		r.fault = err
	}
}

func (r *valueReader) peek() kind {
	if r.fault != nil {
		return kindNone
	}
	switch r.at.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return kindBool
	case *structpb.Value_NumberValue:
		return kindNumber
	case *structpb.Value_StringValue:
		return kindString
	case *structpb.Value_StructValue:
		return kindObject
	case *structpb.Value_ListValue:
		return kindArray
	default:
		return kindNull
	}
}

func (r *valueReader) text() string {
	s := r.at.GetStringValue()
	if strings.IndexByte(s, 0) >= 0 {
		r.fail(Errorf(InvalidValue, "a string holds the character U+0000"))
	}
	return s
}

func (r *valueReader) boolean() bool { return r.at.GetBoolValue() }

func (r *valueReader) number() string {
	return strconv.FormatFloat(r.at.GetNumberValue(), 'g', -1, 64)
}

func (r *valueReader) open() {
	if len(r.stack) == maxJSONDepth {
		r.fail(Errorf(InvalidSyntax, "objects and arrays nest more than %d deep", maxJSONDepth))
		return
	}
	f := valueFrame{list: r.at.GetListValue().GetValues()}
	if s := r.at.GetStructValue(); s != nil {
		f.fields, f.keys = s.GetFields(), slices.Sorted(maps.Keys(s.GetFields()))
	}
	r.stack = append(r.stack, f)
}

func (r *valueReader) next() (key string, more bool) {
	if r.fault != nil {
		return "", false
	}
	f := &r.stack[len(r.stack)-1]
	switch {
	case f.next < len(f.keys):
		key = f.keys[f.next]
		r.at = f.fields[key]
	case f.next < len(f.list):
		r.at = f.list[f.next]
	default:
		r.stack = r.stack[:len(r.stack)-1]
		return "", false
	}
	f.next++
	return key, true
}

// null needs nothing: next moves on by itself.
func (r *valueReader) null() {}

// readValue reads any JSON value.
func readValue(in source) *structpb.Value {
	switch in.peek() {
	case kindBool:
		return structpb.NewBoolValue(in.boolean())
	case kindNumber:
		n, err := strconv.ParseFloat(in.number(), 64)
		if err != nil {
			in.fail(Errorf(InvalidValue, "a number is too large"))
		}
		return structpb.NewNumberValue(n)
	case kindString:
		return structpb.NewStringValue(in.text())
	case kindObject:
		fields := make(map[string]*structpb.Value)
		in.open()
		for key, more := in.next(); more; key, more = in.next() {
			fields[key] = readValue(in)
		}
		return structpb.NewStructValue(&structpb.Struct{Fields: fields})
	case kindArray:
		var values []*structpb.Value
		in.open()
		for _, more := in.next(); more; _, more = in.next() {
			values = append(values, readValue(in))
		}
		return structpb.NewListValue(&structpb.ListValue{Values: values})
	case kindNull:
		in.null()
	case kindNone:
	}
	return structpb.NewNullValue()
}
