package console

import (
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

const schemasPath = root + "schemas"

// schemasView is what the page of schemas shows.
type schemasView struct {
	Types   []*musterv1.ResourceType
	Schemas []schemaLine
}

// A schemaLine is a schema in the list.
type schemaLine struct {
	*musterv1.Schema

	Origin string // who registered it; empty: it is of the contract
}

func listSchemas(v *visit) error {
	types, err := v.discovery.ListResourceTypes(v.Context(), &musterv1.ListResourceTypesRequest{})
	if err != nil {
		return err
	}
	schemas, err := v.discovery.ListSchemas(v.Context(), &musterv1.ListSchemasRequest{})
	if err != nil {
		return err
	}
	registered, err := v.registry.ListRegistrations(v.Context(), &musterv1.ListRegistrationsRequest{})
	if err != nil {
		return err
	}
	origin := make(map[string]string)
	view := schemasView{Types: types.GetResourceTypes()}
	served := make(map[string]bool)
	for _, s := range schemas.GetSchemas() {
		served[s.GetId()] = true
	}
	all := schemas.GetSchemas()
	for _, r := range registered.GetRegistrations() {
		if s := r.GetSchema(); s != nil {
			origin[s.GetId()] = "registered here"
			if r.GetAllTenants() {
				origin[s.GetId()] = "registered for all tenants"
			}
			if !served[s.GetId()] { // no resource type names it
				all = append(all, s)
			}
		}
	}
	for _, s := range all {
		view.Schemas = append(view.Schemas, schemaLine{s, origin[s.GetId()]})
	}
	return v.show("schemas", page{Title: "Schemas", Section: "schemas", Data: view})
}

// registerForm is what the page shows on which schemas are registered.
type registerForm struct{ Text, Problem string }

func askRegister(v *visit) error { return v.registerForm(registerForm{}) }

func (v *visit) registerForm(f registerForm) error {
	return v.show("register", page{Title: "Register a schema", Section: "schemas", Crumbs: []crumb{{"Schemas", schemasPath}}, Data: f})
}

// register registers what was pasted, as muster schema add does with a file. What the
// core says against it stands beside the text, which is not lost.
func register(v *visit) error {
	f := registerForm{Text: v.FormValue("text")}
	schemas, types, err := scim.ParseRegistrations([]byte(strings.TrimSpace(f.Text)))
	if err != nil {
		f.Problem = err.Error()
		return v.registerForm(f)
	}
	_, err = v.registry.Register(v.Context(), &musterv1.RegisterRequest{Schemas: schemas, ResourceTypes: types})
	if problem, bad := deedProblem(err); bad {
		f.Problem = problem
		return v.registerForm(f)
	} else if err != nil {
		return err
	}
	return v.done(schemasPath, plural(len(schemas), "schema", "schemas")+" and "+plural(len(types), "resource type", "resource types")+" registered.")
}
