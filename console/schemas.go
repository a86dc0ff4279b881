package console

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

const schemasPath = root + "schemas"

// An origin says where a schema or a resource type comes from: the contract, or somebody
// who registered it. User and Group come from the contract, and what was registered of
// them are extensions.
type origin struct {
	Contract, Tenant, All bool
	// Remove is the page that asks whether to remove what was registered; empty: there is
	// nothing, or the operator may not.
	Remove string
}

// A typeRow is a resource type as pages tell it.
type typeRow struct {
	*musterv1.ResourceType

	From    origin
	Schemas []schemaRef // its own, and then its extensions
}

// A schemaRef is a schema where a resource type names it.
type schemaRef struct {
	Name, Path string
	Extension  bool
	Required   bool
}

// A schemaRow is a schema as pages tell it.
type schemaRow struct {
	*musterv1.Schema

	From  origin
	Path  string
	Types []string // the resource types that name it
}

func schemaPath(urn string) string { return schemasPath + "/" + url.PathEscape(urn) }

// A vocabulary is all that a tenant's resources are made of.
type vocabulary struct {
	Types   []typeRow
	Schemas []schemaRow
}

// schema is the schema of that URN, or nil.
func (of *vocabulary) schema(urn string) *schemaRow {
	i := slices.IndexFunc(of.Schemas, func(s schemaRow) bool { return s.GetId() == urn })
	if i < 0 {
		return nil
	}
	return &of.Schemas[i]
}

// registered are the origins of what is registered, by URN or name.
type registered map[string]origin

// registered reads what is registered for the tenant and for all; the schemas of it may
// be of no effect yet, since no resource type names them.
func (v *visit) registered() (registered, []*musterv1.Schema, error) {
	out, err := v.registry.ListRegistrations(v.Context(), &musterv1.ListRegistrationsRequest{})
	if err != nil {
		return nil, nil, err
	}
	all := make(registered)
	var schemas []*musterv1.Schema
	for _, r := range out.GetRegistrations() {
		key := r.GetResourceType().GetName()
		if s := r.GetSchema(); s != nil {
			key, schemas = s.GetId(), append(schemas, s)
		}
		from := all[key]
		from.All, from.Tenant = from.All || r.GetAllTenants(), from.Tenant || !r.GetAllTenants()
		if from.Tenant && v.session.can(administer) || v.session.can(govern) {
			from.Remove = schemaPath(key) + "/remove"
		}
		all[key] = from
	}
	return all, schemas, nil
}

// vocabulary reads the resource types and schemas of the tenant.
func (v *visit) vocabulary() (*vocabulary, error) {
	types, err := v.discovery.ListResourceTypes(v.Context(), &musterv1.ListResourceTypesRequest{})
	if err != nil {
		return nil, err
	}
	schemas, err := v.discovery.ListSchemas(v.Context(), &musterv1.ListSchemasRequest{})
	if err != nil {
		return nil, err
	}
	from, idle, err := v.registered()
	if err != nil {
		return nil, err
	}
	of := &vocabulary{}
	for _, s := range slices.Concat(schemas.GetSchemas(), idle) {
		if of.schema(s.GetId()) == nil {
			o := from[s.GetId()]
			o.Contract = !o.Tenant && !o.All
			of.Schemas = append(of.Schemas, schemaRow{Schema: s, From: o, Path: schemaPath(s.GetId())})
		}
	}
	for _, t := range types.GetResourceTypes() {
		o := from[t.GetName()]
		o.Contract = !o.Tenant && !o.All || t.GetName() == resourceUser || t.GetName() == resourceGroup
		row := typeRow{ResourceType: t, From: o}
		row.refer(of, t.GetSchema(), schemaRef{})
		for _, e := range t.GetSchemaExtensions() {
			row.refer(of, e.GetSchema(), schemaRef{Extension: true, Required: e.GetRequired()})
		}
		of.Types = append(of.Types, row)
	}
	return of, nil
}

// refer notes that a resource type names a schema.
func (t *typeRow) refer(of *vocabulary, urn string, ref schemaRef) {
	ref.Name, ref.Path = urn, schemaPath(urn)
	if s := of.schema(urn); s != nil {
		ref.Name = s.Label()
		s.Types = append(s.Types, t.GetName())
	}
	t.Schemas = append(t.Schemas, ref)
}

// Label is its name, or where it has none its URN.
func (s schemaRow) Label() string {
	if s.GetName() == "" {
		return s.GetId()
	}
	return s.GetName()
}

func listSchemas(v *visit) error {
	of, err := v.vocabulary()
	if err != nil {
		return err
	}
	return v.show("schemas", page{Title: "Schemas", Section: "schemas", Data: of})
}

// schemaView is what the page of a schema shows.
type schemaView struct {
	schemaRow

	Uses []typeUse
	Rows []attributeRow
}

// A typeUse is how many resources of a type were looked at.
type typeUse struct {
	*musterv1.ListAttributeUseResponse

	Type string
}

// Count is in how many of them an attribute of the schema has a value; -1: unknown.
func (u typeUse) Count(urn, path string) int64 {
	for _, a := range u.GetAttributes() {
		if a.GetSchema() == urn && (a.GetPath() == path || a.GetPath() == urn+":"+path) {
			return a.GetResources()
		}
	}
	return -1
}

// An attributeRow is an attribute, or a part of one that is complex.
type attributeRow struct {
	*musterv1.Attribute

	Path   string
	Counts []int64 // by type, as Uses
}

// Part tells whether it is a part of another.
func (a attributeRow) Part() bool { return strings.Contains(a.Path, ".") }

// Kind is the data type, as SCIM writes it.
func (a attributeRow) Kind() string {
	return characteristic(a.GetType(), "string")
}

// Traits are the characteristics that are not the defaults of the RFC.
func (a attributeRow) Traits() []string {
	var all []string
	add := func(set bool, text string) {
		if set {
			all = append(all, text)
		}
	}
	add(a.GetMultiValued(), "multi-valued")
	add(a.GetRequired(), "required")
	for _, of := range []struct{ is, usual, text string }{
		{characteristic(a.GetMutability(), "readWrite"), "readWrite", "mutability"},
		{characteristic(a.GetReturned(), "default"), "default", "returned"},
		{characteristic(a.GetUniqueness(), "none"), "none", "unique"},
	} {
		add(of.is != of.usual, of.text+": "+of.is)
	}
	add(a.GetCaseExact(), "case matters")
	return all
}

// characteristic is the word of RFC 7643 for a characteristic, or else its default.
func characteristic(is fmt.Stringer, usual string) string {
	if word := enumWord(is); word != "unspecified" {
		return word
	}
	return usual
}

func showSchema(v *visit) error {
	of, err := v.vocabulary()
	if err != nil {
		return err
	}
	s := of.schema(v.PathValue("name"))
	if s == nil {
		return status.Errorf(codes.NotFound, "there is no schema %.200q", v.PathValue("name"))
	}
	view := &schemaView{schemaRow: *s}
	for _, t := range s.Types {
		out, err := v.activity.ListAttributeUse(v.Context(), &musterv1.ListAttributeUseRequest{ResourceType: t})
		if err != nil {
			return err
		}
		view.Uses = append(view.Uses, typeUse{out, t})
	}
	view.add("", s.GetAttributes())
	return v.show("schema", page{Title: s.Label(), Section: "schemas", Crumbs: []crumb{{"Schemas", schemasPath}}, Data: view})
}

// add adds rows for attributes and their parts.
func (s *schemaView) add(prefix string, attributes []*musterv1.Attribute) {
	for _, a := range attributes {
		row := attributeRow{Attribute: a, Path: prefix + a.GetName()}
		for _, u := range s.Uses {
			row.Counts = append(row.Counts, u.Count(s.GetId(), row.Path))
		}
		s.Rows = append(s.Rows, row)
		s.add(row.Path+".", a.GetSubAttributes())
	}
}

// registrationForm is what somebody enters to register schemas and resource types.
type registrationForm struct {
	Text    string
	All     bool
	Problem string
}

// exampleRegistration is an extension of User, to begin with.
const exampleRegistration = `[
  {
    "id": "urn:example:schemas:extension:badge:2.0:User",
    "name": "Badge",
    "attributes": [
      {"name": "number", "type": "string", "caseExact": true, "uniqueness": "server"},
      {"name": "color", "type": "string", "canonicalValues": ["red", "green"]}
    ]
  },
  {
    "id": "User", "name": "User", "endpoint": "/Users",
    "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
    "schemaExtensions": [
      {"schema": "urn:example:schemas:extension:badge:2.0:User", "required": false}
    ]
  }
]`

// Example is what could be pasted.
func (registrationForm) Example() string { return exampleRegistration }

// showRegistration shows the form, with what is wrong with it.
func (v *visit) showRegistration(f *registrationForm, problem string) error {
	p := page{Title: "Register schemas", Section: "schemas", Crumbs: []crumb{{"Schemas", schemasPath}}, Data: f}
	if f.Problem = problem; problem != "" {
		p.Status = http.StatusBadRequest
	}
	return v.show("schema-form", p)
}

func newSchema(v *visit) error { return v.showRegistration(&registrationForm{}, "") }

// readRegistration reads what was sent: a file, or else what was pasted.
func (v *visit) readRegistration() (*registrationForm, error) {
	if err := v.ParseMultipartForm(maxForm); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, err
	}
	f := &registrationForm{Text: strings.TrimSpace(v.FormValue("text")), All: v.FormValue("all") != ""}
	if v.MultipartForm == nil || len(v.MultipartForm.File["file"]) == 0 {
		return f, nil
	}
	file, err := v.MultipartForm.File["file"][0].Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if len(text) > 0 {
		f.Text = string(text)
	}
	return f, err
}

// register registers all of what was sent or nothing. What is wrong is told on the form.
func register(v *visit) error {
	f, err := v.readRegistration()
	if err != nil {
		return err
	}
	if f.Text == "" {
		return v.showRegistration(f, "Paste JSON, or choose a file.")
	}
	schemas, types, err := scim.ParseRegistrations([]byte(f.Text))
	if wrong, ok := errors.AsType[*scim.Error](err); ok {
		return v.showRegistration(f, wrong.Detail)
	}
	if err != nil {
		return err
	}
	ctx := v.Context()
	if f.All {
		ctx = v.atHome()
	}
	_, err = v.registry.Register(ctx, &musterv1.RegisterRequest{Schemas: schemas, ResourceTypes: types, AllTenants: f.All})
	if isInput(err) {
		return v.showRegistration(f, messageOf(err))
	}
	if err != nil {
		return err
	}
	return v.done(schemasPath, "Registered, with effect from the next request: "+plural(len(schemas), "schema", "schemas")+" and "+plural(len(types), "resource type", "resource types")+".")
}

// A removal is a registration that is to be removed: that of the tenant, or else the one
// for all tenants.
type removal struct {
	name   string
	schema bool
	all    bool
}

// removal is the one that the path names.
func (v *visit) removal() (removal, error) {
	r := removal{name: v.PathValue("name")}
	r.schema = strings.Contains(r.name, ":")
	all, _, err := v.registered()
	if err != nil {
		return r, err
	}
	from := all[r.name]
	switch {
	case !from.Tenant && !from.All:
		return r, status.Errorf(codes.NotFound, "%.200q is not registered", r.name)
	case from.Remove == "":
		return r, errMayNot
	}
	r.all = !from.Tenant
	return r, nil
}

func askUnregister(v *visit) error {
	r, err := v.removal()
	if err != nil {
		return err
	}
	q := question{Title: "Remove " + r.name + "?", Button: "Remove", Danger: true, Back: schemasPath, Text: "It is registered for this tenant."}
	if r.all {
		q.Text = "It is registered for all tenants, and is removed for all of them."
	}
	switch {
	case r.schema:
		q.Points = []string{"While a resource type names it, it stays: remove that one first, or register it anew without this schema."}
	case r.name == resourceUser || r.name == resourceGroup:
		q.Title = "Remove the registered extensions of " + r.name + "?"
		q.Points = []string{r.name + " itself stays, and so do the extensions that are built in.", "While a resource has a value in one of them, they stay."}
	default:
		q.Points = []string{"Its endpoint is gone from the next request on.", "While there are resources of this type, it stays."}
	}
	return v.ask(page{Section: "schemas", Crumbs: []crumb{{"Schemas", schemasPath}}}, q)
}

// unregister removes a registration. What stands in its way is told on the page of all.
func unregister(v *visit) error {
	r, err := v.removal()
	if err != nil {
		return err
	}
	req, ctx := &musterv1.UnregisterRequest{AllTenants: r.all}, v.Context()
	if r.all {
		ctx = v.atHome()
	}
	if r.schema {
		req.Schemas = []string{r.name}
	} else {
		req.ResourceTypes = []string{r.name}
	}
	_, err = v.registry.Unregister(ctx, req)
	if isInput(err) {
		v.flash(flash{Text: r.name + " is not removed: " + messageOf(err), Bad: true})
		return v.redirect(schemasPath)
	}
	if err != nil {
		return err
	}
	return v.done(schemasPath, r.name+" is removed.")
}
