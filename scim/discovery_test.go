package scim

import (
	"encoding/json"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Whatever the schemas advertise can be named in a path.
func TestSchemas_AdvertiseWhatResolves(t *testing.T) {
	for _, rt := range Contract.ResourceTypes() {
		for _, s := range append([]*Schema{rt.Schema}, rt.Extensions...) {
			for _, a := range s.Proto().GetAttributes() {
				names := []string{a.GetName()}
				for _, sub := range a.GetSubAttributes() {
					names = append(names, a.GetName()+"."+sub.GetName())
				}
				for _, name := range names {
					path, err := rt.ParsePath(s.URN + ":" + name)
					if err != nil {
						t.Errorf("%s:%s: %v", s.URN, name, err)
						continue
					}
					if found := path.Attr.Name; found != name[strings.LastIndex(name, ".")+1:] {
						t.Errorf("%s:%s resolves to %s", s.URN, name, found)
					}
				}
			}
		}
	}
}

// definition is an attribute of a schema as a client reads it; a pointer tells
// whether the member is there at all.
type definition struct {
	Name           string       `json:"name"`
	Type           string       `json:"type"`
	Description    string       `json:"description"`
	Mutability     string       `json:"mutability"`
	Returned       string       `json:"returned"`
	Uniqueness     string       `json:"uniqueness"`
	MultiValued    *bool        `json:"multiValued"`
	Required       *bool        `json:"required"`
	CaseExact      *bool        `json:"caseExact"`
	ReferenceTypes []string     `json:"referenceTypes"`
	SubAttributes  []definition `json:"subAttributes"`
}

func TestAppendSchemaJSON(t *testing.T) {
	const base = "https://x/scim/v2"
	var names []string
	for _, s := range Contract.Schemas() {
		names = append(names, s.Name)
		var doc struct {
			Schemas    []string     `json:"schemas"`
			ID         string       `json:"id"`
			Attributes []definition `json:"attributes"`
			Meta       struct {
				ResourceType string `json:"resourceType"`
				Location     string `json:"location"`
			} `json:"meta"`
		}
		if err := json.Unmarshal(AppendSchemaJSON(nil, s.Proto(), base), &doc); err != nil {
			t.Fatal(err)
		}
		if doc.ID != s.URN || doc.Schemas[0] != schemaURN || doc.Meta.ResourceType != "Schema" || doc.Meta.Location != base+"/Schemas/"+s.URN {
			t.Errorf("the head of %s is %+v", s.URN, doc)
		}
		checkDefinitions(t, s.Name, doc.Attributes)
	}
	if got := strings.Join(names, " "); got != "User Group EnterpriseUser" {
		t.Errorf("the schemas are %s", got)
	}
}

// checkDefinitions checks what RFC 7643 section 7 requires of every attribute.
func checkDefinitions(t *testing.T, at string, attrs []definition) {
	t.Helper()
	for _, a := range attrs {
		name := at + "." + a.Name
		if a.Description == "" || a.Mutability == "" || a.Returned == "" || a.Uniqueness == "" ||
			a.MultiValued == nil || a.Required == nil || a.CaseExact == nil {
			t.Errorf("%s lacks a characteristic: %+v", name, a)
		}
		if (a.Type == "complex") != (len(a.SubAttributes) > 0) || (a.Type == "reference") != (len(a.ReferenceTypes) > 0) {
			t.Errorf("%s has type %s, sub-attributes %v, reference types %v", name, a.Type, a.SubAttributes, a.ReferenceTypes)
		}
		checkDefinitions(t, name, a.SubAttributes)
	}
}

func TestAppendSchemaJSON_Attribute(t *testing.T) {
	group := string(AppendSchemaJSON(nil, Group.Schema.Proto(), ""))
	for _, want := range []string{
		`"attributes":[{"name":"displayName","type":"string","multiValued":false,"description":"A human-readable name for the group.","required":true,"caseExact":false,"mutability":"readWrite","returned":"default","uniqueness":"none"},{"name":"members"`,
		`{"name":"$ref","type":"reference","multiValued":false,"description":"The URI of the member.","required":false,"caseExact":true,"mutability":"immutable","returned":"default","uniqueness":"none","referenceTypes":["User","Group"]}`,
		`"canonicalValues":["User","Group"]`,
		`"meta":{"resourceType":"Schema"}}`,
	} {
		if !strings.Contains(group, want) {
			t.Errorf("the Group schema lacks %s:\n%s", want, group)
		}
	}
	user := string(AppendSchemaJSON(nil, User.Schema.Proto(), ""))
	for _, want := range []string{
		`"caseExact":true,"mutability":"writeOnly","returned":"never","uniqueness":"none"`,
		`"uniqueness":"server"`, `"type":"binary"`, `"type":"boolean"`,
	} {
		if !strings.Contains(user, want) {
			t.Errorf("the User schema lacks %s:\n%s", want, user)
		}
	}
	if word := enumWord(DateTime.String(), "TYPE_"); word != "dateTime" {
		t.Errorf("the type of a time is called %s", word)
	}
}

func TestAppendResourceTypeJSON(t *testing.T) {
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],"id":"User","name":"User","description":"User Account",` +
		`"endpoint":"/Users","schema":"urn:ietf:params:scim:schemas:core:2.0:User",` +
		`"schemaExtensions":[{"schema":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","required":false}],` +
		`"meta":{"resourceType":"ResourceType","location":"https://x/ResourceTypes/User"}}`
	if got := string(AppendResourceTypeJSON(nil, User.Proto(), "https://x")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAppendServiceProviderConfigJSON(t *testing.T) {
	config := &musterv1.ServiceProviderConfig{
		DocumentationUri: "https://docs", Patch: &musterv1.ServiceProviderConfig_Patch{Supported: true},
		Filter:                &musterv1.ServiceProviderConfig_Filter{Supported: true, MaxResults: 200},
		Pagination:            &musterv1.ServiceProviderConfig_Pagination{Cursor: true, Index: true, DefaultPaginationMethod: "index", DefaultPageSize: 100, MaxPageSize: 200, CursorTimeout: 600},
		SecurityEvents:        &musterv1.ServiceProviderConfig_SecurityEvents{AsyncRequest: "none", EventUris: []string{"urn:a", "urn:b"}},
		AuthenticationSchemes: []*musterv1.ServiceProviderConfig_AuthenticationScheme{{Type: "oauthbearertoken", Name: "Bearer", Primary: true}, {Type: "httpbasic"}},
	}
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],"documentationUri":"https://docs",` +
		`"patch":{"supported":true},"bulk":{"supported":false,"maxOperations":0,"maxPayloadSize":0},"filter":{"supported":true,"maxResults":200},` +
		`"changePassword":{"supported":false},"sort":{"supported":false},"etag":{"supported":false},` +
		`"pagination":{"cursor":true,"index":true,"defaultPaginationMethod":"index","defaultPageSize":100,"maxPageSize":200,"cursorTimeout":600},` +
		`"securityEvents":{"asyncRequest":"none","eventUris":["urn:a","urn:b"]},` +
		`"authenticationSchemes":[{"type":"oauthbearertoken","name":"Bearer","primary":true},{"type":"httpbasic","primary":false}],` +
		`"meta":{"resourceType":"ServiceProviderConfig","location":"https://x/ServiceProviderConfig"}}`
	if got := string(AppendServiceProviderConfigJSON(nil, config, "https://x")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
