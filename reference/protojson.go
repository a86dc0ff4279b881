package reference

import (
	"maps"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// A mapping collects the schemas of messages in the JSON form of protobuf, as
// administration speaks it.
type mapping struct {
	contract commented
	schemas  map[string]schema
}

// The messages of protobuf that have a JSON form of their own.
var wellKnown = map[protoreflect.FullName]schema{
	"google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
	"google.protobuf.Duration":  {"type": "string", "pattern": `^-?[0-9]+(\.[0-9]+)?s$`, "examples": []string{"900s"}},
	"google.protobuf.FieldMask": {"type": "string", "examples": []string{"scopes,expireTime"}},
	"google.protobuf.Struct":    {"type": "object"},
	"google.protobuf.Value":     {},
	"google.protobuf.ListValue": {"type": "array"},
}

// message is the schema of a message: a reference to the component that it becomes.
func (m *mapping) message(d protoreflect.MessageDescriptor) schema {
	if s, known := wellKnown[d.FullName()]; known {
		return copied(s)
	}
	name := string(d.FullName())
	if _, known := m.schemas[name]; !known {
		m.schemas[name] = nil // it may hold itself
		m.schemas[name] = described(m.fields(d, nil), m.contract.comment(d.FullName()))
	}
	return refTo(name)
}

// fields is an object with the fields of a message, but for some.
func (m *mapping) fields(d protoreflect.MessageDescriptor, without map[string]bool) schema {
	members := make(map[string]any)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if !without[string(f.Name())] {
			members[f.JSONName()] = m.field(f)
		}
	}
	return object(members)
}

// field is the schema of a field, with what the contract says of it.
func (m *mapping) field(f protoreflect.FieldDescriptor) schema {
	var s schema
	switch {
	case f.IsMap():
		s = schema{"type": "object", "additionalProperties": m.value(f.MapValue())}
	case f.IsList():
		s = listOf(m.value(f))
	default:
		s = m.value(f)
	}
	return described(s, m.contract.comment(f.FullName()))
}

// value is the schema of one value of a field.
func (m *mapping) value(f protoreflect.FieldDescriptor) schema {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return schema{"type": "boolean"}
	case protoreflect.StringKind:
		return schema{"type": "string"}
	case protoreflect.BytesKind:
		return schema{"type": "string", "contentEncoding": "base64"}
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return schema{"type": "number"}
	case protoreflect.EnumKind:
		var words []string
		for i := range f.Enum().Values().Len() {
			words = append(words, string(f.Enum().Values().Get(i).Name()))
		}
		return schema{"enum": words}
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return m.message(f.Message())
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return schema{"type": "string", "pattern": "^-?[0-9]+$"} // which no JSON number holds
	default:
		return schema{"type": "integer"}
	}
}

func copied(s schema) schema {
	out := make(schema)
	maps.Copy(out, s)
	return out
}

// statusSchema is google.rpc.Status, in which administration tells of errors.
func statusSchema() schema {
	return described(object(map[string]any{
		"code": described(schema{"type": "integer"}, "The gRPC code."), "message": described(schema{"type": "string"}, "What was wrong, for people."),
		"details": listOf(schema{"type": "object", "properties": map[string]any{
			"@type":  text,
			"reason": described(schema{"type": "string"}, "Of a google.rpc.ErrorInfo: what was wrong, as one word."),
			"domain": text, "metadata": schema{"type": "object", "additionalProperties": text},
			"fieldViolations": described(listOf(object(map[string]any{"field": text, "description": text, "reason": text})), "Of a google.rpc.BadRequest: the field at fault."),
			"retryDelay":      text,
		}, "required": []string{"@type"}}),
	}, "code", "message"), "Why a request failed: google.rpc.Status.")
}
