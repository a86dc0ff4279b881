package scim

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A Catalog is what the resources of a tenant can be: the types of the contract
// and what operators registered. It never changes; a registration makes a new one.
type Catalog struct {
	types   []*ResourceType
	schemas []*Schema
}

// Contract is the catalog of a tenant for which nothing is registered.
var Contract = &Catalog{types: []*ResourceType{User, Group}, schemas: schemasOf([]*ResourceType{User, Group})}

// Strict is the catalog for clients that take RFC 7644 by its word: a patch of the
// elements that meet a filter fails with noTarget where none does. Otherwise, if
// the filter is one comparison for equality, such an element is made, as some
// clients expect.
func (c *Catalog) Strict() *Catalog {
	strict := &Catalog{schemas: c.schemas}
	for _, rt := range c.types {
		same := *rt
		same.strict = true
		strict.types = append(strict.types, &same)
	}
	return strict
}

// ResourceTypes lists the resource types, those of the contract first.
func (c *Catalog) ResourceTypes() []*ResourceType { return c.types }

// Schemas lists the core schemas of all resource types and then the extensions.
func (c *Catalog) Schemas() []*Schema { return c.schemas }

// ResourceType finds a type by its name or by its endpoint without the slash, or
// nil.
func (c *Catalog) ResourceType(name string) *ResourceType {
	for _, rt := range c.types {
		if rt.Name == name || rt.Endpoint == "/"+name {
			return rt
		}
	}
	return nil
}

// ResourceTypeAt finds the type that is served at an endpoint, such as /Users, or
// nil.
func (c *Catalog) ResourceTypeAt(endpoint string) *ResourceType {
	for _, rt := range c.types {
		if rt.Endpoint == endpoint {
			return rt
		}
	}
	return nil
}

// Schema finds a schema by its URN in any letter case, or nil.
func (c *Catalog) Schema(urn string) *Schema {
	for _, s := range c.schemas {
		if strings.EqualFold(s.URN, urn) {
			return s
		}
	}
	return nil
}

// Registered tells whether the type was registered at run time: its resources are
// musterv1.Resource messages.
func (rt *ResourceType) Registered() bool { return rt.message == unregistered.message }

func schemasOf(types []*ResourceType) []*Schema {
	var core, extensions []*Schema
	for _, rt := range types {
		core = append(core, rt.Schema)
		for _, ext := range rt.Extensions {
			if !slices.ContainsFunc(extensions, func(s *Schema) bool { return s.URN == ext.URN }) {
				extensions = append(extensions, ext)
			}
		}
	}
	return append(core, extensions...)
}

// NewCatalog adds registered schemas and resource types to those of the contract.
// The types "User" and "Group" stand for the contract's, with the extensions they
// list. The error is InvalidValue and says what does not fit: a schema that is
// not there, a name or endpoint that is taken.
func NewCatalog(schemas []*musterv1.Schema, types []*musterv1.ResourceType) (*Catalog, error) {
	c := &Catalog{types: slices.Clone(Contract.types)}
	for _, t := range types {
		rt, err := c.compile(t, schemas)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(c.types, func(known *ResourceType) bool { return known.Name == rt.Name }); i >= 0 {
			c.types[i] = rt
		} else {
			c.types = append(c.types, rt)
		}
	}
	c.schemas = schemasOf(c.types)
	return c, c.check()
}

// compile makes a registered resource type.
func (c *Catalog) compile(t *musterv1.ResourceType, schemas []*musterv1.Schema) (*ResourceType, error) {
	var rt *ResourceType
	if i := slices.IndexFunc(Contract.types, func(known *ResourceType) bool { return known.Name == t.GetName() }); i >= 0 {
		known := *Contract.types[i] // its attributes are shared: they do not change
		rt = &known
		rt.top, rt.Extensions = slices.Clone(rt.top), slices.Clone(rt.Extensions)
	} else {
		core := findSchema(schemas, t.GetSchema())
		if core == nil {
			return nil, Errorf(InvalidValue, "the schema %.200q of the resource type %s is not registered", t.GetSchema(), t.GetName()).At("schema")
		}
		rt = newRegisteredType(t, core)
	}
	for _, named := range t.GetSchemaExtensions() {
		if slices.ContainsFunc(rt.Extensions, func(s *Schema) bool { return strings.EqualFold(s.URN, named.GetSchema()) }) {
			continue // of the contract
		}
		ext := findSchema(schemas, named.GetSchema())
		if ext == nil {
			return nil, Errorf(InvalidValue, "the schema %.200q, an extension of %s, is not registered", named.GetSchema(), t.GetName()).At("schemaExtensions")
		}
		rt.extend(ext, named.GetRequired())
	}
	rt.index()
	return rt, nil
}

func findSchema(schemas []*musterv1.Schema, urn string) *musterv1.Schema {
	for _, s := range schemas {
		if strings.EqualFold(s.GetId(), urn) {
			return s
		}
	}
	return nil
}

// newRegisteredType makes a type whose own attributes are those of core, beside
// the common ones.
func newRegisteredType(t *musterv1.ResourceType, core *musterv1.Schema) *ResourceType {
	rt := compileResourceType(&musterv1.Resource{})
	rt.Name, rt.Description, rt.Endpoint = t.GetName(), t.GetDescription(), t.GetEndpoint()
	rt.Schema.URN, rt.Schema.Name, rt.Schema.Description = core.GetId(), core.GetName(), core.GetDescription()
	for _, p := range core.GetAttributes() {
		if rt.Schema.Attribute(p.GetName()) == nil { // some list the common ones too
			a := registeredAttribute(p, rt.Schema, nil, nil)
			rt.Schema.Attributes, rt.top = append(rt.Schema.Attributes, a), append(rt.top, a)
		}
	}
	return rt
}

// extend adds a registered extension.
func (rt *ResourceType) extend(p *musterv1.Schema, required bool) {
	ext := &Schema{URN: p.GetId(), Name: p.GetName(), Description: p.GetDescription()}
	box := &Attribute{
		Name: ext.URN, Path: ext.URN, Type: Complex, Schema: ext, held: asExtension, field: rt.registry, key: jsonKey(ext.URN), required: required,
	}
	for _, a := range p.GetAttributes() {
		sub := registeredAttribute(a, ext, nil, box)
		ext.Attributes = append(ext.Attributes, sub)
		box.required = box.required || sub.required
	}
	ext.byName = newNameTable(ext.Attributes)
	ext.extension, box.Sub, box.subByName = box, ext.Attributes, ext.byName
	rt.Extensions, rt.top = append(rt.Extensions, ext), append(rt.top, box)
	if required {
		rt.mandatory = append(slices.Clone(rt.mandatory), ext)
	}
}

// registeredAttribute is compileAttribute for what CheckSchema let pass.
func registeredAttribute(p *musterv1.Attribute, schema *Schema, parent, box *Attribute) *Attribute {
	a := &Attribute{
		Name: p.GetName(), Path: p.GetName(), Parent: parent, Schema: schema, container: box, held: asKey,
		Type: p.GetType(), MultiValued: p.GetMultiValued(), Required: p.GetRequired(), required: p.GetRequired(), CaseExact: p.GetCaseExact(),
		Mutability: p.GetMutability(), Returned: p.GetReturned(), Uniqueness: p.GetUniqueness(),
		CanonicalValues: p.GetCanonicalValues(), ReferenceTypes: p.GetReferenceTypes(), Description: p.GetDescription(),
		key: jsonKey(p.GetName()),
	}
	switch {
	case parent != nil:
		a.Path = parent.Path + "." + a.Name
	case box != nil:
		a.Path = box.Path + ":" + a.Name
	}
	for _, sub := range p.GetSubAttributes() {
		a.Sub = append(a.Sub, registeredAttribute(sub, schema, a, box))
		a.required = a.required || sub.GetRequired()
	}
	a.subByName = newNameTable(a.Sub)
	return a
}

// check refuses a catalog in which a name could mean two things.
func (c *Catalog) check() error {
	for i, rt := range c.types {
		for _, other := range c.types[:i] {
			switch {
			case rt.Endpoint == other.Endpoint, rt.Endpoint == "/"+other.Name, other.Endpoint == "/"+rt.Name:
				return Errorf(InvalidValue, "the endpoint %s of the resource type %s is taken by %s", rt.Endpoint, rt.Name, other.Name).At("endpoint")
			case strings.EqualFold(rt.Schema.URN, other.Schema.URN):
				return Errorf(InvalidValue, "the schema %s is that of the resource type %s already", rt.Schema.URN, other.Name).At("schema")
			}
		}
		for _, ext := range rt.Extensions {
			if slices.ContainsFunc(c.types, func(t *ResourceType) bool { return strings.EqualFold(t.Schema.URN, ext.URN) }) {
				return Errorf(InvalidValue, "%s is the schema of a resource type and cannot extend %s", ext.URN, rt.Name).At("schemaExtensions")
			}
		}
		for _, a := range rt.references {
			if t := c.unknownTarget(a); t != "" {
				return Errorf(InvalidValue, "%s refers to %q, which is no resource type", a.Path, t).At("referenceTypes")
			}
		}
	}
	return nil
}

// unknownTarget is a resource type that a reference names and that is not there.
func (c *Catalog) unknownTarget(a *Attribute) string {
	for _, t := range a.targets() {
		if c.ResourceType(t) == nil {
			return t
		}
	}
	return ""
}

// adopt takes what a client sent for registered attributes, in whatever spelling,
// into the form in which it is held, and drops what is not registered. What is in
// that form already stays as it is.
func (rt *ResourceType) adopt(r Resource) error {
	attributes, extensions := registeredParts(r)
	o := objectOf(r)
	if generic, ok := r.(*musterv1.Resource); ok {
		id := generic.GetId()
		generic.Attributes, generic.Extensions = &structpb.Struct{}, nil
		o = objectOf(r)
		in := &valueReader{at: structpb.NewStructValue(attributes)}
		d := decoder{rt: rt, in: in}
		d.resource(o)
		if in.fault != nil {
			return in.fault
		}
		if id != "" {
			generic.Id = id
		}
	} else {
		setExtensions(r, nil)
	}
	for urn, sent := range extensions {
		ext := rt.registeredExtension(urn)
		if ext == nil {
			continue
		}
		in := &valueReader{at: structpb.NewStructValue(sent)}
		d := decoder{rt: rt, in: in}
		d.attribute(o, ext)
		if in.fault != nil {
			return in.fault
		}
	}
	return nil
}

// Renew reads a resource that another state of its type made as rt would have it,
// and fails with InvalidValue where something of it would be lost or does not fit.
func (rt *ResourceType) Renew(r Resource) (Resource, error) {
	renewed, err := rt.DecodeDocument(ResourceTypeOf(r).AppendJSON(nil, r, ""))
	if err != nil {
		return nil, err
	}
	if err := rt.Prepare(renewed); err != nil {
		return nil, err
	}
	was, wasExtended := registeredParts(r)
	is, isExtended := registeredParts(renewed)
	if name := firstDifference(was, is); name != "" {
		return nil, Errorf(InvalidValue, "the value of %s would be lost or changed", name).At(name)
	}
	for urn, s := range wasExtended {
		if name := firstDifference(s, isExtended[urn]); name != "" {
			return nil, Errorf(InvalidValue, "the value of %s:%s would be lost or changed", urn, name).At(urn)
		}
	}
	return renewed, nil
}

// firstDifference is the name of a member of x that y lacks or has otherwise.
func firstDifference(x, y *structpb.Struct) string {
	for name, v := range x.GetFields() {
		if !proto.Equal(v, y.GetFields()[name]) {
			return name
		}
	}
	return ""
}

// registeredExtension finds the pseudo-attribute of a registered extension.
func (rt *ResourceType) registeredExtension(urn string) *Attribute {
	if a := rt.byName.find(urn); a != nil && a.held == asExtension {
		return a
	}
	return nil
}

func setExtensions(r Resource, extensions map[string]*structpb.Struct) {
	switch r := r.(type) {
	case *musterv1.User:
		r.Extensions = extensions
	case *musterv1.Group:
		r.Extensions = extensions
	}
}

// A UniqueValue is a value that no other resource may have.
type UniqueValue struct {
	Attr *Attribute
	// Text is the value, folded unless the attribute is caseExact.
	Text string
}

// UniqueValues are the values of r that must be unique and have no column of
// their own: those of registered attributes.
func (rt *ResourceType) UniqueValues(r Resource) []UniqueValue {
	var values []UniqueValue
	for _, a := range rt.unique {
		objectOf(r).eachHolder(a, func(o object) {
			for i := range o.count(a) {
				values = append(values, UniqueValue{a, foldFor(a, o.plain(a, i))})
			}
		})
	}
	return values
}

// eachHolder calls f with each object that holds the attribute: one for each
// element where it stands inside of a multi-valued attribute. o is the resource.
func (o object) eachHolder(a *Attribute, f func(object)) {
	if a.Parent == nil {
		if h := o.holder(a, false); !h.zero() {
			f(h)
		}
		return
	}
	h := o.holder(a.Parent, false)
	for i := range h.count(a.Parent) {
		f(h.child(a.Parent, i))
	}
}

// plain is the i-th value of an attribute that is not complex, as text.
func (o object) plain(a *Attribute, i int) string {
	switch a.Type {
	case Boolean, Integer, Decimal:
		return string(appendValue(nil, o.registered(a, i)))
	default:
		return o.text(a, i)
	}
}

// A ResourceReference is a value that names another resource: see NamedResources.
type ResourceReference struct {
	Attr *Attribute
	ID   string
	// Types are the names of the types that the resource may be of.
	Types []string
}

// NamedResources are the resources that values of r name, other than its links:
// each must exist.
func (rt *ResourceType) NamedResources(r Resource) []ResourceReference {
	var all []ResourceReference
	for _, a := range rt.references {
		objectOf(r).eachHolder(a, func(o object) {
			for i := range o.count(a) {
				text := o.text(a, i)
				// A reference is a URI (RFC 7643 section 2.3.7), which ends in the id.
				all = append(all, ResourceReference{Attr: a, ID: text[strings.LastIndexByte(text, '/')+1:], Types: a.targets()})
			}
		})
	}
	return all
}

// targets are the names of the resource types that a reference may name: its own,
// or those of the $ref beside it.
func (a *Attribute) targets() []string {
	from := a
	if a.Type != Reference {
		from = a.Parent.SubAttribute("$ref")
	}
	var names []string
	for _, t := range from.ReferenceTypes {
		if t != "external" && t != "uri" {
			names = append(names, t)
		}
	}
	return names
}
