package scim

import (
	"encoding/base64"
	"maps"
	"net/url"
	"reflect"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// AppendJSON appends the resource as clients read it (RFC 7643 section 3),
// without what is never returned. baseURL, without a trailing slash, makes
// meta.location and every $ref; where it is empty they are left out.
func (rt *ResourceType) AppendJSON(dst []byte, r Resource, baseURL string) []byte {
	e := encoder{base: baseURL, endpoint: rt.Endpoint, id: r.GetId()}
	dst = e.object(dst, objectOf(r), rt.top)
	return rt.appendUnknown(dst, r)
}

// AppendDocument appends what the store keeps in its document column: all but
// id, meta and links, which have columns and rows of their own. Of a write-only
// value it has KeptSecret, whatever r holds.
func (rt *ResourceType) AppendDocument(dst []byte, r Resource) []byte {
	e := encoder{whole: true}
	return e.object(dst, objectOf(r), rt.stored)
}

// An encoder prints objects. The attributes it is given decide what it prints,
// and in which order.
type encoder struct {
	base     string
	endpoint string // of the resource
	id       string // of the resource
	// whole is set for our own documents: nothing is left out.
	whole bool
}

// object appends o with those of the attributes that have a value.
func (e *encoder) object(dst []byte, o object, attrs []*Attribute) []byte {
	dst = append(dst, '{')
	empty := true
	for _, a := range attrs {
		if a.Returned == musterv1.Attribute_RETURNED_NEVER && !e.whole {
			continue
		}
		before := len(dst)
		if !empty {
			dst = append(dst, ',')
		}
		dst = append(dst, a.key...)
		if printed, ok := e.attribute(dst, o, a); ok {
			dst, empty = printed, false
		} else {
			dst = dst[:before]
		}
	}
	return append(dst, '}')
}

// attribute appends the value of a in o; not ok: it has none.
func (e *encoder) attribute(dst []byte, o object, a *Attribute) (_ []byte, ok bool) {
	switch {
	case a.Computed:
		return e.location(dst, o, a)
	case isWriteOnly(a):
		return append(dst, `"`+KeptSecret+`"`...), o.count(a) > 0
	case a.held != asField:
		return e.registered(dst, o, a)
	}
	f := o.v.Field(a.field)
	if !a.MultiValued {
		return e.value(dst, f, a)
	}
	n := f.Len()
	if n == 0 {
		return dst, false
	}
	dst = append(dst, '[')
	empty := true
	for i := range n {
		before := len(dst)
		if !empty {
			dst = append(dst, ',')
		}
		if printed, ok := e.value(dst, f.Index(i), a); ok {
			dst, empty = printed, false
		} else {
			dst = dst[:before]
		}
	}
	return append(dst, ']'), !empty
}

// value appends one value; not ok: it is unassigned.
func (e *encoder) value(dst []byte, f reflect.Value, a *Attribute) (_ []byte, ok bool) {
	switch f.Kind() { //nolint:exhaustive // the others are pointers
	case reflect.String:
		if f.Len() == 0 {
			return dst, false
		}
		return appendString(dst, f.String()), true
	case reflect.Slice:
		if f.Len() == 0 {
			return dst, false
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, f.Bytes())
		return append(dst, '"'), true
	}
	if f.IsNil() {
		return dst, false
	}
	switch a.Type {
	case Boolean:
		if f.Elem().Bool() {
			return append(dst, "true"...), true
		}
		return append(dst, "false"...), true
	case DateTime:
		t, _ := reflect.TypeAssert[*timestamppb.Timestamp](f)
		return t.AsTime().AppendFormat(dst, `"`+timeLayout+`"`), true
	default:
		before := len(dst)
		dst = e.object(dst, object{v: f.Elem()}, a.Sub)
		return dst, len(dst) > before+len("{}")
	}
}

// registered appends the value of a registered attribute in o; not ok: it has
// none.
func (e *encoder) registered(dst []byte, o object, a *Attribute) (_ []byte, ok bool) {
	n := o.count(a)
	if n == 0 {
		return dst, false
	}
	if !a.MultiValued {
		return e.element(dst, o, a, 0), true
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = e.element(dst, o, a, i)
	}
	return append(dst, ']'), true
}

// element appends the i-th value of a registered attribute.
func (e *encoder) element(dst []byte, o object, a *Attribute, i int) []byte {
	if a.Type == Complex {
		return e.object(dst, o.child(a, i), a.Sub)
	}
	return appendValue(dst, o.registered(a, i))
}

// appendUnknown appends what r holds and rt does not know, to an object that
// ends with it: registered attributes, where rt is the contract's view of the
// type. Those are printed as they are, in the order of their names.
func (rt *ResourceType) appendUnknown(dst []byte, r Resource) []byte {
	attributes, extensions := registeredParts(r)
	if len(attributes.GetFields()) == 0 && len(extensions) == 0 {
		return dst
	}
	dst = dst[:len(dst)-1]
	for _, name := range slices.Sorted(maps.Keys(attributes.GetFields())) {
		if v := attributes.GetFields()[name]; rt.byName.find(name) == nil && holdsAnything(v) {
			dst = appendString(append(dst, ','), name)
			dst = appendValue(append(dst, ':'), v)
		}
	}
	for _, urn := range slices.Sorted(maps.Keys(extensions)) {
		if rt.byName.find(urn) == nil && holdsAnything(structpb.NewStructValue(extensions[urn])) {
			dst = appendString(append(dst, ','), urn)
			dst = appendStruct(append(dst, ':'), extensions[urn])
		}
	}
	return append(dst, '}')
}

// registeredParts are the registered attributes and extensions of a resource.
func registeredParts(r Resource) (attributes *structpb.Struct, extensions map[string]*structpb.Struct) {
	switch r := r.(type) {
	case *musterv1.Resource:
		return r.GetAttributes(), r.GetExtensions()
	case *musterv1.User:
		return nil, r.GetExtensions()
	case *musterv1.Group:
		return nil, r.GetExtensions()
	}
	return nil, nil
}

// location appends what only the REST face knows: meta.location, and the $ref
// of an element that names a resource.
func (e *encoder) location(dst []byte, o object, a *Attribute) (_ []byte, ok bool) {
	endpoint, id := e.endpoint, e.id
	value := a.Parent.SubAttribute("value")
	if value == nil && endpoint == "" { // a registered type: the core said where it is
		return e.knownLocation(dst, o.v.Field(a.field))
	}
	if value != nil {
		target := a.ReferenceTypes[0]
		if len(a.ReferenceTypes) > 1 {
			target = o.v.Field(a.Parent.SubAttribute("type").field).String()
		}
		endpoint, id = endpointOf(target), o.v.Field(value.field).String()
	}
	if e.base == "" || id == "" || endpoint == "" || o.isLeftOut(a) {
		return dst, false
	}
	dst = append(dst, '"')
	dst = append(dst, e.base...)
	dst = append(dst, endpoint...)
	dst = append(dst, '/')
	dst = append(dst, url.PathEscape(id)...) // does not allocate for our own ids
	return append(dst, '"'), true
}

// knownLocation appends a location that is relative to the base URL. It is empty
// where an answer leaves it out.
func (e *encoder) knownLocation(dst []byte, path reflect.Value) (_ []byte, ok bool) {
	if e.base == "" || path.IsNil() || path.Elem().Len() == 0 {
		return dst, false
	}
	return appendString(dst, e.base+path.Elem().String()), true
}

func endpointOf(resourceType string) string {
	switch resourceType {
	case User.Name:
		return User.Endpoint
	case Group.Name:
		return Group.Endpoint
	}
	return ""
}
