package reference

import (
	"slices"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// A direction is who sends a resource. What each sends differs: the server has what is
// read-only and keeps what is write-only to itself.
type direction uint8

const (
	answered direction = iota
	sent
)

// resourceSchema is a resource of a type.
func resourceSchema(rt *scim.ResourceType, d direction) schema {
	members := attributeSchemas(rt.Schema.Attributes, d)
	for _, ext := range rt.Extensions {
		members[ext.URN] = described(object(attributeSchemas(ext.Attributes, d)), ext.Description)
	}
	s := object(members, requiredOf(rt.Schema.Attributes, d)...)
	s["patternProperties"] = schema{"^[Uu][Rr][Nn]:": described(schema{"type": "object"}, "An extension that is registered for the tenant; /Schemas has it.")}
	return described(s, rt.Description)
}

// registeredSchema is a resource of a type that is registered at run time: what all
// resources have, and any attributes beside it.
func registeredSchema(d direction) schema {
	common := slices.DeleteFunc(slices.Clone(scim.User.Schema.Attributes), func(a *scim.Attribute) bool {
		return !slices.Contains([]string{"schemas", "id", "externalId", "meta"}, a.Name)
	})
	s := object(attributeSchemas(common, d), requiredOf(common, d)...)
	s["additionalProperties"] = true
	return described(s, "A resource of a type that is registered for the tenant; /ResourceTypes and /Schemas describe it.")
}

// requiredOf are the members that are always there. An answer may lack what is required
// of a resource, where the request names other attributes.
func requiredOf(attributes []*scim.Attribute, d direction) (names []string) {
	for _, a := range attributes {
		always := a.Returned == musterv1.Attribute_RETURNED_ALWAYS && a.Parent == nil
		needed := a.Required && !a.ReadOnly() && a.Name != "schemas" // which follow from what is sent
		if d == answered && always || d == sent && needed {
			names = append(names, a.Name)
		}
	}
	return names
}

// attributeSchemas are the members of an object with these attributes.
func attributeSchemas(attributes []*scim.Attribute, d direction) map[string]any {
	members := make(map[string]any)
	for _, a := range attributes {
		hidden := a.Returned == musterv1.Attribute_RETURNED_NEVER || a.Mutability == musterv1.Attribute_MUTABILITY_WRITE_ONLY
		if d == answered && hidden || d == sent && a.ReadOnly() && a.Name != "$ref" {
			continue
		}
		members[a.Name] = attributeSchema(a, d)
	}
	return members
}

func attributeSchema(a *scim.Attribute, d direction) schema {
	var s schema
	switch a.Type {
	case scim.Boolean:
		s = schema{"type": "boolean"}
	case scim.Decimal:
		s = schema{"type": "number"}
	case scim.Integer:
		s = schema{"type": "integer"}
	case scim.DateTime:
		s = schema{"type": "string", "format": "date-time"}
	case scim.Binary:
		s = schema{"type": "string", "contentEncoding": "base64", "maxLength": scim.MaxValueLength}
	case scim.Complex:
		s = object(attributeSchemas(a.Sub, d))
		// What refers to another resource may name it by its $ref alone.
		if needed := requiredOf(a.Sub, d); d == sent && len(needed) > 0 && a.SubAttribute("$ref") == nil {
			s["required"] = needed
		}
	default:
		s = schema{"type": "string", "maxLength": scim.MaxValueLength}
	}
	if len(a.CanonicalValues) > 0 {
		s["examples"] = a.CanonicalValues // suggestions, as RFC 7643 section 7 has it
	}
	if a.MultiValued {
		s = schema{"type": "array", "items": s}
		if !a.Link {
			s["maxItems"] = scim.MaxElements
		}
	}
	if d == sent && a.Mutability == musterv1.Attribute_MUTABILITY_WRITE_ONLY {
		s["writeOnly"] = true
	}
	return described(s, a.Description)
}
