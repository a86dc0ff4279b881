package server

import (
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muster-scim/muster/scim"
)

// fieldAtFault is the path of the field of the request that an error is about, as
// google.rpc.BadRequest wants it; empty: the error is about no field. The rules speak of
// attributes, by their SCIM paths: here these become fields of the message, as in
// "user.enterprise_user.department". Where that fails, or there is no message to look
// into, as of a stream, the path of the attribute is better than nothing.
func fieldAtFault(request any, e *scim.Error) string {
	m, isProto := request.(proto.Message)
	if !isProto {
		if e.Field != "" {
			return e.Field
		}
		return e.Attribute
	}
	message := m.ProtoReflect()
	if top, _, _ := strings.Cut(e.Field, "."); e.Field != "" {
		name, _, _ := strings.Cut(top, "[")
		if message.Descriptor().Fields().ByName(protoreflect.Name(name)) != nil {
			return e.Field
		}
	}
	switch {
	case e.Attribute == "":
		return ""
	case fieldOfResource(message, e.Attribute) != "":
		return fieldOfResource(message, e.Attribute)
	case fieldPath(message.Descriptor(), e.Attribute) != "":
		return fieldPath(message.Descriptor(), e.Attribute)
	}
	fields := message.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() == nil || f.IsList() || f.IsMap() {
			continue
		}
		if path := fieldPath(f.Message(), e.Attribute); path != "" {
			return string(f.Name()) + "." + path
		}
	}
	return e.Attribute
}

// fieldOfResource is the path of an attribute of the resource that a request holds;
// empty: it holds none, or none with such an attribute.
func fieldOfResource(request protoreflect.Message, attribute string) string {
	fields := request.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Message() == nil || f.IsList() || f.IsMap() {
			continue
		}
		if r, is := request.NewField(f).Message().Interface().(scim.Resource); is {
			if path := scim.FieldPath(r, attribute); path != "" {
				return string(f.Name()) + "." + path
			}
		}
	}
	return ""
}

// fieldPath is a path of fields of a message by their names, given by their names or
// their names in JSON; empty: it leads nowhere.
func fieldPath(message protoreflect.MessageDescriptor, path string) string {
	var names []string
	for part := range strings.SplitSeq(path, ".") {
		if message == nil {
			return ""
		}
		field := message.Fields().ByName(protoreflect.Name(part))
		if field == nil {
			field = message.Fields().ByJSONName(part)
		}
		if field == nil {
			return ""
		}
		names, message = append(names, string(field.Name())), field.Message()
	}
	return strings.Join(names, ".")
}
