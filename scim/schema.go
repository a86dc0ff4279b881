// Package scim holds the rules of SCIM 2.0 that need no I/O: what attributes
// there are and how they behave (RFC 7643), and the filter, path and patch
// languages and the JSON form (RFC 7644).
//
// Everything follows from the descriptors of the resource messages in
// muster.v1, read once when the program starts: the message that a client sends
// over gRPC is the SCIM resource, and its field options are the SCIM schema.
// Nothing in this package reads a clock, a network or a log, and nothing in it
// starts a goroutine.
package scim

import (
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Resource is a User, a Group, or another message with a resource type.
type Resource interface {
	proto.Message
	GetSchemas() []string
	GetId() string
	GetExternalId() string
	GetMeta() *musterv1.Meta
}

// Type is the data type of an attribute (RFC 7643 section 2.3).
type Type = musterv1.Attribute_Type

// The data types, under short names.
const (
	String    = musterv1.Attribute_TYPE_STRING
	Boolean   = musterv1.Attribute_TYPE_BOOLEAN
	Decimal   = musterv1.Attribute_TYPE_DECIMAL
	Integer   = musterv1.Attribute_TYPE_INTEGER
	DateTime  = musterv1.Attribute_TYPE_DATE_TIME
	Binary    = musterv1.Attribute_TYPE_BINARY
	Reference = musterv1.Attribute_TYPE_REFERENCE
	Complex   = musterv1.Attribute_TYPE_COMPLEX
)

// Attribute is one attribute or sub-attribute, with its characteristics (RFC
// 7643 section 2.2).
type Attribute struct {
	// Name is the canonical name, as JSON shows it.
	Name string
	// Path is how a filter names the attribute: "name.familyName", or
	// "urn:…:User:department" for an attribute of an extension.
	Path            string
	Type            Type
	MultiValued     bool
	Required        bool
	CaseExact       bool
	Mutability      musterv1.Attribute_Mutability
	Returned        musterv1.Attribute_Returned
	Uniqueness      musterv1.Attribute_Uniqueness
	CanonicalValues []string
	ReferenceTypes  []string
	Description     string
	// Link marks a multi-valued attribute whose elements are other resources,
	// kept beside the resource and not in it.
	Link bool
	// Computed marks what only the REST face knows: $ref and meta.location. Its
	// field holds no value; where it is set an answer leaves the attribute out.
	Computed bool

	// Parent is the complex attribute that holds this one, or nil.
	Parent *Attribute
	// Schema is the schema that defines the attribute.
	Schema *Schema
	// Sub are the sub-attributes of a complex attribute, in schema order.
	Sub []*Attribute

	subByName nameTable
	held      held
	field     int          // index of the Go struct field that holds the value
	goType    reflect.Type // of one value: the element type if multi-valued
	container *Attribute   // the pseudo-attribute of the extension, or nil
	key       []byte       // `"name":`, ready to print
	required  bool         // this or something below is required
}

// held is how the value of an attribute is held: see object.
type held uint8

const (
	asField     held = iota // in a field of its own
	asKey                   // under its name in a Struct: it was registered at run time
	asExtension             // under its URN in a map of Structs: all of a registered extension
)

// Registered tells whether the attribute was registered at run time.
func (a *Attribute) Registered() bool { return a.held != asField }

// Unique tells whether no two resources may have the same value.
func (a *Attribute) Unique() bool {
	return a.Uniqueness == musterv1.Attribute_UNIQUENESS_SERVER || a.Uniqueness == musterv1.Attribute_UNIQUENESS_GLOBAL
}

// isExtension tells whether the attribute stands for all of an extension.
func (a *Attribute) isExtension() bool { return a.Schema.extension == a }

// SubAttribute finds a sub-attribute by name in any letter case, or nil.
func (a *Attribute) SubAttribute(name string) *Attribute { return a.subByName.find(name) }

// ReadOnly tells whether clients cannot set the attribute. A $ref may be written
// with the value beside it, but never has a value of its own.
func (a *Attribute) ReadOnly() bool {
	return a.Mutability == musterv1.Attribute_MUTABILITY_READ_ONLY || a.Computed
}

// Schema is a set of attributes under a URN (RFC 7643 section 7).
type Schema struct {
	URN         string
	Name        string
	Description string
	Attributes  []*Attribute

	byName nameTable
	// extension is the pseudo-attribute whose sub-attributes are those of the
	// extension; nil for a core schema.
	extension *Attribute
}

// Attribute finds an attribute by name in any letter case, or nil.
func (s *Schema) Attribute(name string) *Attribute { return s.byName.find(name) }

// ResourceType is a kind of resource (RFC 7643 section 6), with everything that
// is known about its attributes.
type ResourceType struct {
	Name        string
	Description string
	// Endpoint is relative to the base URL: "/Users".
	Endpoint   string
	Schema     *Schema
	Extensions []*Schema

	message    reflect.Type // the Go struct of the message
	registry   int          // index of the field that holds registered extensions
	strict     bool         // see Catalog.Strict
	limits     *Limits      // see Catalog.Within; nil: the default
	mandatory  []*Schema    // the extensions that every resource must have
	top        []*Attribute // core attributes, then one pseudo-attribute an extension
	stored     []*Attribute // those of top that the document holds
	byName     nameTable
	schemas    *Attribute
	id         *Attribute
	meta       *Attribute
	switches   []*Attribute // top-level booleans and write-only attributes
	links      []*Attribute
	unique     []*Attribute // see UniqueValues
	immutable  []*Attribute // outside of multi-valued attributes
	references []*Attribute // see NamedResources
	whole      *Projection  // of a request that names no attributes: nearly all
}

// The resource types that the contract defines.
var (
	User  = compileResourceType(&musterv1.User{})
	Group = compileResourceType(&musterv1.Group{})
)

// unregistered stands for every type that is registered at run time where only
// the message counts: it knows no more than the attributes that all have.
var unregistered = compileResourceType(&musterv1.Resource{})

// ResourceTypeOf returns what the contract alone knows of the type of a message.
// A tenant's own view of it is in its Catalog.
func ResourceTypeOf(r Resource) *ResourceType {
	switch r.(type) {
	case *musterv1.User:
		return User
	case *musterv1.Group:
		return Group
	}
	return unregistered
}

// New makes an empty resource.
func (rt *ResourceType) New() Resource {
	return reflect.New(rt.message).Interface().(Resource) //nolint:forcetypeassert // compileResourceType got one
}

// Attribute finds a top-level attribute of the core schema by name in any
// letter case, or nil.
func (rt *ResourceType) Attribute(name string) *Attribute { return rt.Schema.Attribute(name) }

// Attributes lists the top-level attributes of the core schema and then those
// of the extensions.
func (rt *ResourceType) Attributes() []*Attribute {
	all := append([]*Attribute(nil), rt.Schema.Attributes...)
	for _, ext := range rt.Extensions {
		all = append(all, ext.Attributes...)
	}
	return all
}

// Links lists the attributes whose elements are other resources.
func (rt *ResourceType) Links() []*Attribute { return rt.links }

// Stamp sets what the server alone decides: the id and the metadata.
func (rt *ResourceType) Stamp(r Resource, id string, meta *musterv1.Meta) {
	v := reflect.ValueOf(r).Elem()
	v.Field(rt.id.field).SetString(id)
	v.Field(rt.meta.field).Set(reflect.ValueOf(meta))
}

func compileResourceType(m Resource) *ResourceType {
	d := m.ProtoReflect().Descriptor()
	opt := proto.GetExtension(d.Options(), musterv1.E_ResourceType).(*musterv1.ResourceType) //nolint:forcetypeassert // the type of the option
	rt := &ResourceType{
		Name:        opt.GetName(),
		Description: opt.GetDescription(),
		Endpoint:    opt.GetEndpoint(),
		message:     reflect.TypeOf(m).Elem(),
	}
	rt.Schema = compileSchema(d)
	for i, goField := range fieldIndexes(d, rt.message) {
		f := d.Fields().Get(i)
		switch {
		case f.IsMap(): // the extensions that are registered at run time
			rt.registry = goField
			continue
		case proto.HasExtension(f.Options(), musterv1.E_Attribute):
			a := compileAttribute(f, rt.Schema, nil, nil, rt.message, goField)
			rt.Schema.Attributes = append(rt.Schema.Attributes, a)
			rt.top = append(rt.top, a)
			continue
		case !isSchema(f.Message()): // the attributes of a registered type
			continue
		}
		ext := compileSchema(f.Message())
		box := &Attribute{
			Name: ext.URN, Path: ext.URN, Type: Complex, Schema: ext, field: goField,
			goType: rt.message.Field(goField).Type.Elem(), key: jsonKey(ext.URN),
		}
		for j, extField := range fieldIndexes(f.Message(), box.goType) {
			a := compileAttribute(f.Message().Fields().Get(j), ext, nil, box, box.goType, extField)
			ext.Attributes = append(ext.Attributes, a)
			box.required = box.required || a.required
		}
		ext.byName = newNameTable(ext.Attributes)
		ext.extension, box.Sub, box.subByName = box, ext.Attributes, ext.byName
		rt.Extensions = append(rt.Extensions, ext)
		rt.top = append(rt.top, box)
	}
	rt.Schema.byName = newNameTable(rt.Schema.Attributes)
	rt.index()
	return rt
}

// index fills what follows from the attributes. Schemas may belong to other types
// too, and are only read.
func (rt *ResourceType) index() {
	rt.byName = newNameTable(rt.top)
	rt.schemas, rt.id, rt.meta = rt.Attribute("schemas"), rt.Attribute("id"), rt.Attribute("meta")
	rt.stored, rt.links, rt.switches, rt.unique, rt.immutable, rt.references = nil, nil, nil, nil, nil, nil
	for _, a := range rt.top {
		switch {
		case a.Link:
			rt.links = append(rt.links, a)
		case a != rt.id && a != rt.meta:
			rt.stored = append(rt.stored, a)
			rt.classify(a, false)
		}
	}
	rt.whole = &Projection{excluding(rt.top, nil)}
}

// classify puts an attribute, and those below it, into the lists that it belongs
// to; many tells that it stands inside of a multi-valued one.
func (rt *ResourceType) classify(a *Attribute, many bool) {
	box := a.isExtension()
	switch {
	case a.Type == Complex:
		for _, sub := range a.Sub {
			rt.classify(sub, many || a.MultiValued)
		}
	case a.Computed:
		return // where a resource is follows from its id
	case a.namesResources() && !a.ReadOnly() && (a.Parent == nil || !a.Parent.ReadOnly()):
		rt.references = append(rt.references, a)
	}
	if a.Unique() && a.Registered() {
		rt.unique = append(rt.unique, a)
	}
	if a.Mutability == musterv1.Attribute_MUTABILITY_IMMUTABLE && !many {
		rt.immutable = append(rt.immutable, a)
	}
	if a.Parent == nil && !box && !a.MultiValued && (a.Type == Boolean || isWriteOnly(a)) {
		rt.switches = append(rt.switches, a)
	}
}

func isSchema(d protoreflect.MessageDescriptor) bool {
	return proto.HasExtension(d.Options(), musterv1.E_Schema)
}

func compileSchema(d protoreflect.MessageDescriptor) *Schema {
	opt := proto.GetExtension(d.Options(), musterv1.E_Schema).(*musterv1.Schema) //nolint:forcetypeassert // the type of the option
	return &Schema{URN: opt.GetId(), Name: opt.GetName(), Description: opt.GetDescription()}
}

func compileAttribute(f protoreflect.FieldDescriptor, schema *Schema, parent, box *Attribute, in reflect.Type, field int) *Attribute {
	opt := proto.GetExtension(f.Options(), musterv1.E_Attribute).(*musterv1.Attribute) //nolint:forcetypeassert // the type of the option
	a := &Attribute{                                                                   //nolint:forcetypeassert // the type of the option
		Name: f.JSONName(), Path: f.JSONName(), Parent: parent, Schema: schema, container: box,
		Type: attributeType(f, opt), MultiValued: f.IsList(),
		Required: opt.GetRequired(), CaseExact: opt.GetCaseExact(),
		Mutability: opt.GetMutability(), Returned: opt.GetReturned(), Uniqueness: opt.GetUniqueness(),
		CanonicalValues: opt.GetCanonicalValues(), ReferenceTypes: opt.GetReferenceTypes(),
		Description: opt.GetDescription(),
		Link:        proto.GetExtension(f.Options(), musterv1.E_Link).(bool),
		field:       field, goType: in.Field(field).Type, key: jsonKey(f.JSONName()),
	}
	if a.Mutability == musterv1.Attribute_MUTABILITY_UNSPECIFIED {
		a.Mutability = musterv1.Attribute_MUTABILITY_READ_WRITE
	}
	if a.Returned == musterv1.Attribute_RETURNED_UNSPECIFIED {
		a.Returned = musterv1.Attribute_RETURNED_DEFAULT
	}
	if a.Uniqueness == musterv1.Attribute_UNIQUENESS_UNSPECIFIED {
		a.Uniqueness = musterv1.Attribute_UNIQUENESS_NONE
	}
	a.required = a.Required
	a.Computed = a.Type == Reference && (a.ReadOnly() || a.Name == "$ref")
	switch {
	case parent != nil:
		a.Path = parent.Path + "." + a.Name
	case box != nil:
		a.Path = box.Path + ":" + a.Name
	}
	if a.MultiValued && a.goType.Kind() == reflect.Slice {
		a.goType = a.goType.Elem()
	}
	if a.Type == Complex {
		a.goType = a.goType.Elem()
		for i, goField := range fieldIndexes(f.Message(), a.goType) {
			sub := compileAttribute(f.Message().Fields().Get(i), schema, a, box, a.goType, goField)
			a.Sub = append(a.Sub, sub)
			a.required = a.required || sub.required
		}
		a.subByName = newNameTable(a.Sub)
	}
	return a
}

// attributeType is the type that the option names, or else the field's own.
func attributeType(f protoreflect.FieldDescriptor, opt *musterv1.Attribute) Type {
	switch {
	case opt.GetType() != musterv1.Attribute_TYPE_UNSPECIFIED:
		return opt.GetType()
	case f.Kind() == protoreflect.StringKind:
		return String
	case f.Kind() == protoreflect.BoolKind:
		return Boolean
	case f.Kind() == protoreflect.BytesKind:
		return Binary
	case f.Kind() == protoreflect.MessageKind && f.Message().FullName() == "google.protobuf.Timestamp":
		return DateTime
	case f.Kind() == protoreflect.MessageKind:
		return Complex
	}
	panic(fmt.Sprintf("scim: field %s has a kind that SCIM has no type for", f.FullName()))
}

// fieldIndexes finds, for each field of a message, its place in the Go struct.
func fieldIndexes(d protoreflect.MessageDescriptor, t reflect.Type) []int {
	byNumber := make(map[string]int)
	for i := range t.NumField() {
		if tag := strings.Split(t.Field(i).Tag.Get("protobuf"), ","); len(tag) > 1 {
			byNumber[tag[1]] = i
		}
	}
	indexes := make([]int, d.Fields().Len())
	for i := range indexes {
		indexes[i] = byNumber[fmt.Sprint(d.Fields().Get(i).Number())]
	}
	return indexes
}
