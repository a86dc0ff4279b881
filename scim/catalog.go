package scim

import (
	"maps"
	"slices"
	"strings"

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
// Of schemas with one URN the first counts, and of types with one name the last;
// but "User" and "Group" stand for the contract's, which get the extensions that
// any of them lists. The error is InvalidValue and says what does not fit: a schema
// that is not there, a name or endpoint that is taken.
func NewCatalog(schemas []*musterv1.Schema, types []*musterv1.ResourceType) (*Catalog, error) {
	c := &Catalog{types: slices.Clone(Contract.types)}
	for _, t := range types {
		rt, err := c.compile(t, schemas)
		if err != nil {
			return nil, err
		}
		if i := c.index(rt.Name); i >= 0 {
			c.types[i] = rt
		} else {
			c.types = append(c.types, rt)
		}
	}
	c.schemas = schemasOf(c.types)
	return c, c.check()
}

// compile makes a registered resource type, or extends one of the contract.
func (c *Catalog) compile(t *musterv1.ResourceType, schemas []*musterv1.Schema) (*ResourceType, error) {
	var rt *ResourceType
	if i := c.index(t.GetName()); i >= 0 && !c.types[i].Registered() {
		known := *c.types[i] // its attributes are shared: they do not change
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
			continue // of the contract, or registered for all tenants
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

// index is the place of the type of that name, or -1.
func (c *Catalog) index(name string) int {
	return slices.IndexFunc(c.types, func(rt *ResourceType) bool { return rt.Name == name })
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
	rt.Schema.byName = newNameTable(rt.Schema.Attributes)
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

// registeredAttribute is compileAttribute for what CheckRegistrations let pass.
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

// check refuses a catalog in which a name could mean two things, or nothing.
func (c *Catalog) check() error {
	for i, rt := range c.types {
		for _, other := range c.types[:i] {
			switch {
			case sameName(rt, other):
				return Errorf(InvalidValue, "the name or endpoint of the resource type %s, %s, is taken by %s", rt.Name, rt.Endpoint, other.Name).At("endpoint")
			case strings.EqualFold(rt.Schema.URN, other.Schema.URN):
				return Errorf(InvalidValue, "the schema %s is that of the resource type %s already", rt.Schema.URN, other.Name).At("schema")
			}
		}
		for _, ext := range rt.Extensions {
			if slices.ContainsFunc(c.types, func(t *ResourceType) bool { return strings.EqualFold(t.Schema.URN, ext.URN) }) {
				return Errorf(InvalidValue, "%s is the schema of a resource type and cannot extend %s", ext.URN, rt.Name).At("schemaExtensions")
			}
			if rt.ambiguous(ext) {
				return Errorf(InvalidValue, "%s is the name of an attribute of another schema of %s, too", ext.URN, rt.Name).At("schemaExtensions")
			}
		}
		for _, a := range rt.references {
			for _, t := range a.referenceTypes() {
				if c.index(t) < 0 {
					return Errorf(InvalidValue, "%s refers to %q, which is no resource type", a.Path, t).At("referenceTypes")
				}
			}
		}
	}
	return nil
}

// sameName tells whether a name or path could mean either of two types.
func sameName(rt, other *ResourceType) bool {
	return strings.EqualFold(rt.Name, other.Name) || strings.EqualFold(rt.Endpoint, other.Endpoint) ||
		strings.EqualFold(rt.Endpoint, "/"+other.Name) || strings.EqualFold(other.Endpoint, "/"+rt.Name)
}

// ambiguous tells whether the URN of an extension is an attribute's, qualified by
// the URN of its schema.
func (rt *ResourceType) ambiguous(ext *Schema) bool {
	for _, s := range append([]*Schema{rt.Schema}, rt.Extensions...) {
		if rest, ok := cutURN(ext.URN, s.URN); ok && s.byName.findDotted(rest) != nil {
			return true
		}
	}
	return false
}

// adopt takes what a client sent for registered attributes, in whatever spelling,
// into the form in which it is held, and drops what is not registered. What is in
// that form already stays as it is.
func (rt *ResourceType) adopt(r Resource) error {
	attributes, extensions := registeredParts(r)
	objectOf(r).v.Field(rt.registry).SetZero()
	if generic, ok := r.(*musterv1.Resource); ok {
		id := generic.GetId()
		generic.Attributes = &structpb.Struct{}
		in := &valueReader{at: structpb.NewStructValue(attributes)}
		d := decoder{rt: rt, in: in}
		d.resource(objectOf(r))
		if in.fault != nil {
			return in.fault
		}
		if id != "" {
			generic.Id = id
		}
	}
	for _, urn := range slices.Sorted(maps.Keys(extensions)) {
		if err := rt.adoptExtension(objectOf(r), urn, extensions[urn]); err != nil {
			return err
		}
	}
	return nil
}

// adoptExtension is adopt for what stands under one URN: that of an extension or
// of an attribute, or what is before the last colon of the latter.
func (rt *ResourceType) adoptExtension(o object, urn string, sent *structpb.Struct) error {
	if err := rt.adoptAttribute(o, urn, structpb.NewStructValue(sent)); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(sent.GetFields())) {
		if rt.resolve(urn) == nil || strings.Contains(name, ".") {
			if err := rt.adoptAttribute(o, urn+":"+name, sent.GetFields()[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// adoptAttribute reads the value of a registered attribute, if the name is one.
func (rt *ResourceType) adoptAttribute(o object, name string, value *structpb.Value) error {
	a := rt.resolve(name)
	if a == nil || !a.Registered() || a.Parent != nil && a.Parent.MultiValued {
		return nil
	}
	in := &valueReader{at: value}
	d := decoder{rt: rt, in: in}
	d.attribute(o.locate(a), a)
	if in.fault != nil {
		return in.fault
	}
	return nil
}

// extension finds the pseudo-attribute of an extension by its URN, or nil.
func (rt *ResourceType) extension(urn string) *Attribute {
	if a := rt.byName.find(urn); a != nil && a.isExtension() {
		return a
	}
	return nil
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
				all = append(all, ResourceReference{Attr: a, ID: text[strings.LastIndexByte(text, '/')+1:], Types: a.referenceTypes()})
			}
		})
	}
	return all
}
