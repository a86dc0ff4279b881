package scim

import (
	"encoding/base64"
	"net/url"
	"reflect"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// AppendJSON appends the resource as clients read it (RFC 7643 section 3),
// without what is never returned. baseURL, without a trailing slash, makes
// meta.location and every $ref; where it is empty they are left out.
func (rt *ResourceType) AppendJSON(dst []byte, r Resource, baseURL string) []byte {
	e := encoder{base: baseURL, endpoint: rt.Endpoint, id: r.GetId()}
	return e.object(dst, objectOf(r), rt.top)
}

// AppendDocument appends what the store keeps in its document column: all but
// id, meta and links, which have columns and rows of their own, and what is
// never returned.
func (rt *ResourceType) AppendDocument(dst []byte, r Resource) []byte {
	var e encoder
	return e.object(dst, objectOf(r), rt.stored)
}

// An encoder prints objects. The attributes it is given decide what it prints,
// and in which order.
type encoder struct {
	base     string
	endpoint string // of the resource
	id       string // of the resource
}

// object appends o with those of the attributes that have a value.
func (e *encoder) object(dst []byte, o object, attrs []*Attribute) []byte {
	dst = append(dst, '{')
	empty := true
	for _, a := range attrs {
		if a.Returned == musterv1.Attribute_RETURNED_NEVER {
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
	if a.Computed {
		return e.location(dst, o, a)
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
		return t.AsTime().AppendFormat(dst, `"2006-01-02T15:04:05.000Z"`), true
	default:
		before := len(dst)
		dst = e.object(dst, object{f.Elem()}, a.Sub)
		return dst, len(dst) > before+len("{}")
	}
}

// location appends what only the REST face knows: meta.location, and the $ref
// of an element that names a resource.
func (e *encoder) location(dst []byte, o object, a *Attribute) (_ []byte, ok bool) {
	endpoint, id := e.endpoint, e.id
	if value := a.Parent.SubAttribute("value"); value != nil {
		target := a.ReferenceTypes[0]
		if len(a.ReferenceTypes) > 1 {
			target = o.v.Field(a.Parent.SubAttribute("type").field).String()
		}
		endpoint, id = endpointOf(target), o.v.Field(value.field).String()
	}
	if e.base == "" || id == "" || endpoint == "" {
		return dst, false
	}
	dst = append(dst, '"')
	dst = append(dst, e.base...)
	dst = append(dst, endpoint...)
	dst = append(dst, '/')
	dst = append(dst, url.PathEscape(id)...) // does not allocate for our own ids
	return append(dst, '"'), true
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
