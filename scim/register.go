package scim

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// The limits of what is registered.
const (
	// MaxAttributes is the most attributes of a schema, sub-attributes counted.
	MaxAttributes = 500
	// maxName is the most bytes of the name of an attribute or resource type.
	maxName = 64
	// maxURN is the most bytes of a URN.
	maxURN = 200
	// maxText is the most bytes of a description, and of any other text.
	maxText = 2000
	// maxTexts is the most canonical values, reference types or extensions.
	maxTexts = 500
)

// Names and URNs become parts of SQL texts and JSON keys: the characters that
// they may have need no escape in either.
var (
	attributeName = regexp.MustCompile(`^(?:[A-Za-z][A-Za-z0-9_-]*|\$ref)$`) // RFC 7643 section 2.1
	typeName      = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)
	schemaURI     = regexp.MustCompile(`^urn:[A-Za-z0-9][A-Za-z0-9-]*:[A-Za-z0-9._:-]*[A-Za-z0-9_-]$`)
)

// reserved are endpoints that mean something else.
var reserved = map[string]bool{"bulk": true, "me": true, "schemas": true, "resourcetypes": true, "serviceproviderconfig": true, "serviceproviderconfigs": true}

// ownSchemas begin the URNs of what is neither a resource nor an extension.
var ownSchemas = []string{"urn:ietf:params:scim:api:", serviceProviderConfigURN, resourceTypeURN, schemaURN}

// checkTexts refuses texts that are too long, too many of them, and U+0000, which
// PostgreSQL cannot keep.
func checkTexts(of string, texts ...[]string) error {
	for _, some := range texts {
		if len(some) > maxTexts {
			return Errorf(InvalidValue, "%s has a list of more than %d texts", of, maxTexts)
		}
		for _, text := range some {
			if len(text) > maxText || strings.IndexByte(text, 0) >= 0 {
				return Errorf(InvalidValue, "%s has a text that is longer than %d bytes or holds U+0000", of, maxText)
			}
		}
	}
	return nil
}

// CheckRegistrations checks schemas and resource types that are to be registered,
// each by itself, and sets what they leave out to the defaults of RFC 7643 section
// 2.2; NewCatalog checks whether they fit. The error is InvalidValue.
func CheckRegistrations(schemas []*musterv1.Schema, types []*musterv1.ResourceType) error {
	seen := make(map[string]bool)
	for i, s := range schemas {
		if err := checkSchema(s); err != nil {
			return about("schema", s.GetId(), InField(fmt.Sprintf("schemas[%d]", i), err))
		}
		if urn := strings.ToLower(s.GetId()); !seen[urn] {
			seen[urn] = true
			continue
		}
		return InField(fmt.Sprintf("schemas[%d].id", i), Errorf(InvalidValue, "there are two schemas %s", s.GetId()).At("id"))
	}
	for i, t := range types {
		if err := checkResourceType(t); err != nil {
			return about("resource type", t.GetName(), InField(fmt.Sprintf("resource_types[%d]", i), err))
		}
		if seen[t.GetName()] {
			return InField(fmt.Sprintf("resource_types[%d].name", i), Errorf(InvalidValue, "there are two resource types %s", t.GetName()).At("name"))
		}
		seen[t.GetName()] = true
	}
	return nil
}

// about says which registration is at fault.
func about(kind, name string, err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	return InField(e.Field, Errorf(e.Reason, "the %s %.200q: %s", kind, name, e.Detail).At(e.Attribute))
}

// checkSchema is CheckRegistrations for a schema.
func checkSchema(s *musterv1.Schema) error {
	switch {
	case len(s.GetId()) > maxURN || !schemaURI.MatchString(s.GetId()):
		return Errorf(InvalidValue, "the id of a schema is a URN such as urn:example:schemas:2.0:Badge, of letters, digits and . _ - : only").At("id")
	case Contract.Schema(s.GetId()) != nil:
		return Errorf(InvalidValue, "%s is a schema of the contract and cannot be registered", s.GetId()).At("id")
	case slices.ContainsFunc(ownSchemas, func(own string) bool { return hasPrefixFold(s.GetId(), own) }):
		return Errorf(InvalidValue, "%s belongs to SCIM itself and cannot be registered", s.GetId()).At("id")
	case len(s.GetAttributes()) == 0:
		return Errorf(InvalidValue, "a schema has at least one attribute").At("attributes")
	}
	if err := checkTexts("the schema", []string{s.GetName(), s.GetDescription()}); err != nil {
		return err
	}
	if s.GetName() == "" {
		s.Name = s.GetId()[strings.LastIndexByte(s.GetId(), ':')+1:]
	}
	n := 0
	return checkAttributes(s.GetAttributes(), "", &n)
}

func checkAttributes(attrs []*musterv1.Attribute, within string, n *int) error {
	seen := make(map[string]bool)
	for _, a := range attrs {
		path := within + a.GetName()
		if *n++; *n > MaxAttributes {
			return Errorf(InvalidValue, "a schema has at most %d attributes", MaxAttributes).At("attributes")
		}
		if len(a.GetName()) > maxName || !attributeName.MatchString(a.GetName()) {
			return Errorf(InvalidValue, "%.80q is not the name of an attribute (RFC 7643 section 2.1)", a.GetName()).At("name")
		}
		lower := strings.ToLower(a.GetName())
		if seen[lower] {
			return Errorf(InvalidValue, "there are two attributes %s", path).At("name")
		}
		seen[lower] = true
		if err := checkAttribute(a, path, within != ""); err != nil {
			return err
		}
		if err := checkTexts("the attribute "+path, []string{a.GetDescription()}, a.GetCanonicalValues(), a.GetReferenceTypes()); err != nil {
			return err
		}
		if err := checkAttributes(a.GetSubAttributes(), path+".", n); err != nil {
			return err
		}
	}
	return nil
}

// checkAttribute checks one attribute, and sets its defaults.
func checkAttribute(a *musterv1.Attribute, path string, isSub bool) error {
	if a.GetType() == musterv1.Attribute_TYPE_UNSPECIFIED {
		a.Type = String
	}
	if a.GetMutability() == musterv1.Attribute_MUTABILITY_UNSPECIFIED {
		a.Mutability = musterv1.Attribute_MUTABILITY_READ_WRITE
	}
	if a.GetReturned() == musterv1.Attribute_RETURNED_UNSPECIFIED {
		a.Returned = musterv1.Attribute_RETURNED_DEFAULT
	}
	if a.GetUniqueness() == musterv1.Attribute_UNIQUENESS_UNSPECIFIED {
		a.Uniqueness = musterv1.Attribute_UNIQUENESS_NONE
	}
	if a.GetType() == Binary || a.GetType() == Reference { // RFC 7643 sections 2.3.6 and 2.3.7
		a.CaseExact = true
	}
	refuse := func(format string) error {
		return Errorf(InvalidValue, "the attribute %s "+format, path).At(path)
	}
	complexType := a.GetType() == Complex
	switch {
	case typeWord(a.GetType()) == "", !known(a.GetMutability()), !known(a.GetReturned()), !known(a.GetUniqueness()):
		return refuse("has a characteristic that this version does not know")
	case complexType && isSub:
		return refuse("is complex inside of a complex attribute (RFC 7643 section 2.3.8)")
	case complexType && len(a.GetSubAttributes()) == 0:
		return refuse("is complex and has no sub-attributes")
	case !complexType && len(a.GetSubAttributes()) > 0:
		return refuse("has sub-attributes and is not complex")
	case isSub && a.GetMultiValued():
		return refuse("is multi-valued inside of a complex attribute, which is not supported")
	case complexType && a.GetUniqueness() != musterv1.Attribute_UNIQUENESS_NONE:
		return refuse("is complex; make one of its sub-attributes unique")
	case a.GetRequired() && a.GetMutability() == musterv1.Attribute_MUTABILITY_READ_ONLY:
		return refuse("is required and read-only: no client could set it")
	case len(a.GetCanonicalValues()) > 0 && a.GetType() != String && a.GetType() != Reference:
		return refuse("has canonical values and is not a string")
	case len(a.GetReferenceTypes()) > 0 && a.GetType() != Reference:
		return refuse("has reference types and is not a reference")
	}
	if a.GetMutability() == musterv1.Attribute_MUTABILITY_WRITE_ONLY {
		if isSub || a.GetMultiValued() || a.GetType() != String || a.GetUniqueness() != musterv1.Attribute_UNIQUENESS_NONE || len(a.GetCanonicalValues()) > 0 {
			return refuse("is write-only; only a single, simple string that need not be unique can be, since it is kept as a hash")
		}
		a.Returned = musterv1.Attribute_RETURNED_NEVER
	}
	return nil
}

// known tells whether the contract has a value of an enum: newer clients may know more.
func known(e protoreflect.Enum) bool { return e.Descriptor().Values().ByNumber(e.Number()) != nil }

// checkResourceType is CheckRegistrations for a resource type.
func checkResourceType(t *musterv1.ResourceType) error {
	if t.GetName() == "" {
		t.Name = t.GetId()
	}
	if t.GetId() == "" {
		t.Id = t.GetName()
	}
	switch known := Contract.ResourceType(t.GetName()); {
	case len(t.GetName()) > maxName || !typeName.MatchString(t.GetName()):
		return Errorf(InvalidValue, "the name of a resource type is of letters, digits, _ and -").At("name")
	case t.GetId() != t.GetName():
		return Errorf(InvalidValue, "the id of a resource type is its name").At("id")
	case known != nil && known.Name != t.GetName():
		return Errorf(InvalidValue, "%s is an endpoint of the contract", t.GetName()).At("name")
	case known != nil:
		t.Endpoint, t.Schema, t.Description = known.Endpoint, known.Schema.URN, known.Description
		return nil
	}
	if !strings.HasPrefix(t.GetEndpoint(), "/") {
		t.Endpoint = "/" + t.GetEndpoint()
	}
	endpoint := t.GetEndpoint()[1:]
	if len(endpoint) > maxName || !typeName.MatchString(endpoint) || reserved[strings.ToLower(endpoint)] {
		return Errorf(InvalidValue, "the endpoint of a resource type is one segment such as /Devices, and none of SCIM's own").At("endpoint")
	}
	if len(t.GetSchemaExtensions()) > maxTexts {
		return Errorf(InvalidValue, "a resource type has at most %d extensions", maxTexts).At("schemaExtensions")
	}
	return checkTexts("the resource type", []string{t.GetDescription()})
}

// ParseRegistrations reads SCIM schemas and resource types (RFC 7643 sections 6
// and 7) from JSON: one of them, a list, or a ListResponse. What is a resource
// type has an endpoint or names its schema; what has attributes is a schema. The
// error is InvalidSyntax or InvalidValue.
func ParseRegistrations(data []byte) (schemas []*musterv1.Schema, types []*musterv1.ResourceType, err error) {
	in := newJSONReader(data, MaxValues)
	value := readValue(in)
	in.end()
	if in.fault != nil {
		return nil, nil, in.fault
	}
	items := []*structpb.Value{value}
	if list := value.GetListValue(); list != nil {
		items = list.GetValues()
	} else if list := field(value, "Resources").GetListValue(); list != nil {
		items = list.GetValues()
	}
	for _, item := range items {
		switch {
		case field(item, "attributes").GetListValue() != nil:
			s, err := readSchema(item)
			if err != nil {
				return nil, nil, err
			}
			schemas = append(schemas, s)
		case field(item, "schema") != nil || field(item, "endpoint") != nil || field(item, "schemaExtensions") != nil:
			types = append(types, readResourceType(item))
		default:
			return nil, nil, Errorf(InvalidValue, "there is neither a schema (with attributes) nor a resource type (with schema and endpoint)")
		}
	}
	return schemas, types, nil
}

// field finds a member by name in any letter case, or nil.
func field(v *structpb.Value, name string) *structpb.Value {
	fields := v.GetStructValue().GetFields()
	if f := fields[name]; f != nil {
		return f
	}
	for key, f := range fields {
		if strings.EqualFold(key, name) {
			return f
		}
	}
	return nil
}

func textOf(v *structpb.Value, name string) string { return field(v, name).GetStringValue() }

func textsOf(v *structpb.Value, name string) []string {
	f := field(v, name)
	if one := f.GetStringValue(); one != "" { // some write a list of one without brackets
		return []string{one}
	}
	var texts []string
	for _, t := range f.GetListValue().GetValues() {
		texts = append(texts, t.GetStringValue())
	}
	return texts
}

// flagOf reads a boolean, perhaps written as a string.
func flagOf(v *structpb.Value, name string) bool {
	f := field(v, name)
	return f.GetBoolValue() || strings.EqualFold(f.GetStringValue(), "true")
}

func readSchema(v *structpb.Value) (*musterv1.Schema, error) {
	s := &musterv1.Schema{Id: textOf(v, "id"), Name: textOf(v, "name"), Description: textOf(v, "description")}
	var err error
	s.Attributes, err = readAttributes(field(v, "attributes"))
	return s, err
}

func readAttributes(list *structpb.Value) ([]*musterv1.Attribute, error) {
	var attrs []*musterv1.Attribute
	for _, v := range list.GetListValue().GetValues() {
		a := &musterv1.Attribute{
			Name: textOf(v, "name"), MultiValued: flagOf(v, "multiValued"), Description: textOf(v, "description"),
			Required: flagOf(v, "required"), CaseExact: flagOf(v, "caseExact"),
			CanonicalValues: textsOf(v, "canonicalValues"), ReferenceTypes: textsOf(v, "referenceTypes"),
		}
		words := []struct {
			name, prefix string
			values       map[string]int32
			set          func(int32)
		}{
			{"type", "TYPE_", musterv1.Attribute_Type_value, func(n int32) { a.Type = Type(n) }},
			{"mutability", "MUTABILITY_", musterv1.Attribute_Mutability_value, func(n int32) { a.Mutability = musterv1.Attribute_Mutability(n) }},
			{"returned", "RETURNED_", musterv1.Attribute_Returned_value, func(n int32) { a.Returned = musterv1.Attribute_Returned(n) }},
			{"uniqueness", "UNIQUENESS_", musterv1.Attribute_Uniqueness_value, func(n int32) { a.Uniqueness = musterv1.Attribute_Uniqueness(n) }},
		}
		for _, w := range words {
			n, ok := enumValue(textOf(v, w.name), w.prefix, w.values)
			if !ok {
				return nil, Errorf(InvalidValue, "the attribute %s has the unknown %s %.40q", a.GetName(), w.name, textOf(v, w.name)).At(a.GetName())
			}
			w.set(n)
		}
		var err error
		if a.SubAttributes, err = readAttributes(field(v, "subAttributes")); err != nil {
			return nil, err
		}
		attrs = append(attrs, a)
	}
	return attrs, nil
}

// enumValue finds the value of an enum by the RFC's word, the inverse of enumWord.
// No word is the value 0.
func enumValue(word, prefix string, values map[string]int32) (n int32, ok bool) {
	if word == "" {
		return 0, true
	}
	for name, n := range values {
		if n != 0 && strings.EqualFold(enumWord(name, prefix), word) {
			return n, true
		}
	}
	return 0, false
}

func readResourceType(v *structpb.Value) *musterv1.ResourceType {
	t := &musterv1.ResourceType{
		Id: textOf(v, "id"), Name: textOf(v, "name"), Description: textOf(v, "description"),
		Endpoint: textOf(v, "endpoint"), Schema: textOf(v, "schema"),
	}
	for _, ext := range field(v, "schemaExtensions").GetListValue().GetValues() {
		t.SchemaExtensions = append(t.SchemaExtensions, &musterv1.SchemaExtension{Schema: textOf(ext, "schema"), Required: flagOf(ext, "required")})
	}
	return t
}
