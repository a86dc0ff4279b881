package scim

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// The schemas of the resources that describe the server (RFC 7643 sections 5 to
// 7). They cannot be found at /Schemas, which lists what a client may write.
const (
	serviceProviderConfigURN = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	resourceTypeURN          = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaURN                = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// Proto is the answer to a query for the resource type.
func (rt *ResourceType) Proto() *musterv1.ResourceType {
	p := &musterv1.ResourceType{
		Id: rt.Name, Name: rt.Name, Description: rt.Description, Endpoint: rt.Endpoint, Schema: rt.Schema.URN,
	}
	for _, ext := range rt.Extensions {
		p.SchemaExtensions = append(p.SchemaExtensions, &musterv1.SchemaExtension{Schema: ext.URN, Required: slices.Contains(rt.mandatory, ext)})
	}
	return p
}

// Proto is the answer to a query for the schema, with all its attributes but the
// common ones, which belong to every resource and to no schema (RFC 7643 section
// 3.1).
func (s *Schema) Proto() *musterv1.Schema {
	p := &musterv1.Schema{Id: s.URN, Name: s.Name, Description: s.Description}
	for _, a := range s.Attributes {
		if !a.isCommon() {
			p.Attributes = append(p.Attributes, a.proto())
		}
	}
	return p
}

// isCommon tells whether the attribute is one that every resource has.
func (a *Attribute) isCommon() bool {
	if a.Parent != nil || a.container != nil {
		return false
	}
	switch a.Name {
	case "schemas", "id", "externalId", "meta":
		return true
	}
	return false
}

func (a *Attribute) proto() *musterv1.Attribute {
	p := &musterv1.Attribute{
		Name: a.Name, Type: a.Type, MultiValued: a.MultiValued, Description: a.Description,
		Required: a.Required, CanonicalValues: a.CanonicalValues, CaseExact: a.CaseExact,
		Mutability: a.Mutability, Returned: a.Returned, Uniqueness: a.Uniqueness, ReferenceTypes: a.ReferenceTypes,
	}
	for _, sub := range a.Sub {
		p.SubAttributes = append(p.SubAttributes, sub.proto())
	}
	return p
}

// AppendSchemaJSON appends a schema as RFC 7643 section 7 defines it. Every
// characteristic is printed, those at their default too: clients differ in what
// they take for granted.
func AppendSchemaJSON(dst []byte, s *musterv1.Schema, baseURL string) []byte {
	dst = append(dst, `{"schemas":["`+schemaURN+`"]`...)
	dst = appendText(dst, "id", s.GetId())
	dst = appendText(dst, "name", s.GetName())
	dst = appendText(dst, "description", s.GetDescription())
	dst = appendAttributes(dst, "attributes", s.GetAttributes())
	return appendOrigin(dst, "Schema", baseURL, "/Schemas/"+url.PathEscape(s.GetId()))
}

func appendAttributes(dst []byte, name string, attrs []*musterv1.Attribute) []byte {
	dst = append(dst, `,"`+name+`":[`...)
	for i, a := range attrs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendAttribute(dst, a)
	}
	return append(dst, ']')
}

// appendAttribute appends one attribute definition.
func appendAttribute(dst []byte, a *musterv1.Attribute) []byte {
	dst = append(dst, `{"name":`...)
	dst = appendString(dst, a.GetName())
	dst = appendText(dst, "type", enumWord(a.GetType().String(), "TYPE_"))
	dst = appendFlag(dst, "multiValued", a.GetMultiValued())
	dst = appendText(dst, "description", a.GetDescription())
	dst = appendFlag(dst, "required", a.GetRequired())
	dst = appendTexts(dst, "canonicalValues", a.GetCanonicalValues())
	dst = appendFlag(dst, "caseExact", a.GetCaseExact())
	dst = appendText(dst, "mutability", enumWord(a.GetMutability().String(), "MUTABILITY_"))
	dst = appendText(dst, "returned", enumWord(a.GetReturned().String(), "RETURNED_"))
	dst = appendText(dst, "uniqueness", enumWord(a.GetUniqueness().String(), "UNIQUENESS_"))
	dst = appendTexts(dst, "referenceTypes", a.GetReferenceTypes())
	if len(a.GetSubAttributes()) > 0 {
		dst = appendAttributes(dst, "subAttributes", a.GetSubAttributes())
	}
	return append(dst, '}')
}

// enumWord makes the RFC's word of the name of an enum value: dateTime of
// TYPE_DATE_TIME.
func enumWord(value, prefix string) string {
	var b strings.Builder
	for i, part := range strings.Split(strings.TrimPrefix(value, prefix), "_") {
		if i > 0 {
			b.WriteString(part[:1])
			part = part[1:]
		}
		b.WriteString(strings.ToLower(part))
	}
	return b.String()
}

// AppendResourceTypeJSON appends a resource type as RFC 7643 section 6 defines it.
func AppendResourceTypeJSON(dst []byte, rt *musterv1.ResourceType, baseURL string) []byte {
	dst = append(dst, `{"schemas":["`+resourceTypeURN+`"]`...)
	dst = appendText(dst, "id", rt.GetId())
	dst = appendText(dst, "name", rt.GetName())
	dst = appendText(dst, "description", rt.GetDescription())
	dst = appendText(dst, "endpoint", rt.GetEndpoint())
	dst = appendText(dst, "schema", rt.GetSchema())
	dst = append(dst, `,"schemaExtensions":[`...)
	for i, ext := range rt.GetSchemaExtensions() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"schema":`...)
		dst = appendString(dst, ext.GetSchema())
		dst = appendFlag(dst, "required", ext.GetRequired())
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	return appendOrigin(dst, "ResourceType", baseURL, "/ResourceTypes/"+url.PathEscape(rt.GetId()))
}

// AppendServiceProviderConfigJSON appends what the server supports as RFC 7643
// section 5 defines it.
func AppendServiceProviderConfigJSON(dst []byte, c *musterv1.ServiceProviderConfig, baseURL string) []byte {
	dst = append(dst, `{"schemas":["`+serviceProviderConfigURN+`"]`...)
	dst = appendText(dst, "documentationUri", c.GetDocumentationUri())
	dst = append(appendFeature(dst, "patch", c.GetPatch().GetSupported()), '}')
	dst = appendFeature(dst, "bulk", c.GetBulk().GetSupported())
	dst = appendNumber(dst, "maxOperations", c.GetBulk().GetMaxOperations())
	dst = append(appendNumber(dst, "maxPayloadSize", c.GetBulk().GetMaxPayloadSize()), '}')
	dst = appendFeature(dst, "filter", c.GetFilter().GetSupported())
	dst = append(appendNumber(dst, "maxResults", c.GetFilter().GetMaxResults()), '}')
	dst = append(appendFeature(dst, "changePassword", c.GetChangePassword().GetSupported()), '}')
	dst = append(appendFeature(dst, "sort", c.GetSort().GetSupported()), '}')
	dst = append(appendFeature(dst, "etag", c.GetEtag().GetSupported()), '}')
	dst = appendPagination(dst, c.GetPagination())
	dst = appendSecurityEvents(dst, c.GetSecurityEvents())
	dst = append(dst, `,"authenticationSchemes":[`...)
	for i, s := range c.GetAuthenticationSchemes() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"type":`...)
		dst = appendString(dst, s.GetType())
		dst = appendText(dst, "name", s.GetName())
		dst = appendText(dst, "description", s.GetDescription())
		dst = appendText(dst, "specUri", s.GetSpecUri())
		dst = append(appendFlag(dst, "primary", s.GetPrimary()), '}')
	}
	dst = append(dst, ']')
	return appendOrigin(dst, "ServiceProviderConfig", baseURL, "/ServiceProviderConfig")
}

// appendPagination appends how lists come in pages (RFC 9865 section 4).
func appendPagination(dst []byte, p *musterv1.ServiceProviderConfig_Pagination) []byte {
	dst = append(dst, `,"pagination":{"cursor":`...)
	dst = strconv.AppendBool(dst, p.GetCursor())
	dst = appendFlag(dst, "index", p.GetIndex())
	dst = appendText(dst, "defaultPaginationMethod", p.GetDefaultPaginationMethod())
	dst = appendNumber(dst, "defaultPageSize", p.GetDefaultPageSize())
	dst = appendNumber(dst, "maxPageSize", p.GetMaxPageSize())
	return append(appendNumber(dst, "cursorTimeout", p.GetCursorTimeout()), '}')
}

// appendSecurityEvents appends which security events there are (RFC 9967 section 4);
// where there are none, nothing.
func appendSecurityEvents(dst []byte, e *musterv1.ServiceProviderConfig_SecurityEvents) []byte {
	if len(e.GetEventUris()) == 0 {
		return dst
	}
	dst = append(dst, `,"securityEvents":{"asyncRequest":`...)
	dst = appendString(dst, e.GetAsyncRequest())
	return append(appendTexts(dst, "eventUris", e.GetEventUris()), '}')
}

// appendFeature appends an object that tells whether something is supported, and
// leaves it open for more.
func appendFeature(dst []byte, name string, supported bool) []byte {
	dst = append(dst, `,"`+name+`":{"supported":`...)
	return strconv.AppendBool(dst, supported)
}

// appendOrigin appends the meta of a discovery resource and ends the resource.
func appendOrigin(dst []byte, resourceType, baseURL, path string) []byte {
	dst = append(dst, `,"meta":{"resourceType":"`+resourceType+`"`...)
	if baseURL != "" {
		dst = appendText(dst, "location", baseURL+path)
	}
	return append(dst, '}', '}')
}

// appendText appends a member, not the first one, unless it is empty.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, `,"`+name+`":`...)
	return appendString(dst, value)
}

// appendTexts appends a list of strings unless it is empty.
func appendTexts(dst []byte, name string, values []string) []byte {
	for i, value := range values {
		if i == 0 {
			dst = append(dst, `,"`+name+`":[`...)
		} else {
			dst = append(dst, ',')
		}
		dst = appendString(dst, value)
	}
	if len(values) == 0 {
		return dst
	}
	return append(dst, ']')
}

func appendFlag(dst []byte, name string, value bool) []byte {
	dst = append(dst, `,"`+name+`":`...)
	return strconv.AppendBool(dst, value)
}

func appendNumber(dst []byte, name string, value int32) []byte {
	dst = append(dst, `,"`+name+`":`...)
	return strconv.AppendInt(dst, int64(value), 10)
}
