package scim

import (
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// projected is a user with something at every level that a projection can cut.
func projected() *musterv1.User {
	yes := true
	return &musterv1.User{
		Schemas: []string{User.Schema.URN, User.Extensions[0].URN}, Id: "1", ExternalId: "x",
		Meta:     &musterv1.Meta{ResourceType: "User", Version: `W/"1"`},
		UserName: "ada", Password: "secret",
		Name:   &musterv1.Name{GivenName: "Ada", FamilyName: "L"},
		Emails: []*musterv1.Email{{Value: "a@x", Type: "work", Primary: &yes}, {Value: "b@x"}},
		EnterpriseUser: &musterv1.EnterpriseUser{
			Department: "D", Manager: &musterv1.Manager{Value: "m", DisplayName: "M"},
		},
	}
}

const (
	enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	printedHead   = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + enterpriseURN + `"],"id":"1"`
	printedMeta   = `"meta":{"resourceType":"User","version":"W/\"1\""}`
	printedName   = `"name":{"familyName":"L","givenName":"Ada"}`
	printedEmails = `"emails":[{"value":"a@x","type":"work","primary":true},{"value":"b@x"}]`
	printedBoss   = `"manager":{"value":"m","displayName":"M"}`
	printedWork   = `"` + enterpriseURN + `":{"department":"D",` + printedBoss + `}`
	printedAll    = printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,` + printedEmails + `,` + printedWork
)

func TestProjection(t *testing.T) {
	type lists []string
	for name, c := range map[string]struct {
		attributes, excluded lists
		want                 string
	}{
		"neither list":             {nil, nil, printedAll},
		"empty lists":              {lists{""}, lists{" , "}, printedAll},
		"one name":                 {lists{"userName"}, nil, printedHead + `,"userName":"ada"`},
		"any letter case":          {lists{"USERNAME"}, nil, printedHead + `,"userName":"ada"`},
		"entries and commas":       {lists{"userName, externalId", "meta"}, nil, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada"`},
		"unknown names only":       {lists{"shoeSize,name.shoe,urn:x:y,urn"}, nil, printedHead},
		"a sub-attribute":          {lists{"name.givenName"}, nil, printedHead + `,"name":{"givenName":"Ada"}`},
		"of every element":         {lists{"emails.type"}, nil, printedHead + `,"emails":[{"type":"work"}]`},
		"attribute and its part":   {lists{"name,name.givenName"}, nil, printedHead + `,` + printedName},
		"qualified":                {lists{"urn:ietf:params:scim:schemas:core:2.0:User:name.givenName"}, nil, printedHead + `,"name":{"givenName":"Ada"}`},
		"the core schema":          {lists{"urn:ietf:params:scim:schemas:core:2.0:user"}, nil, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,` + printedEmails},
		"an extension":             {lists{enterpriseURN}, nil, printedHead + `,` + printedWork},
		"of an extension":          {lists{enterpriseURN + ":department"}, nil, printedHead + `,"` + enterpriseURN + `":{"department":"D"}`},
		"after a dot":              {lists{enterpriseURN + ".department"}, nil, printedHead + `,"` + enterpriseURN + `":{"department":"D"}`},
		"below an extension":       {lists{enterpriseURN + ":manager.value"}, nil, printedHead + `,"` + enterpriseURN + `":{"manager":{"value":"m"}}`},
		"never, though asked for":  {lists{"password"}, nil, printedHead},
		"exclude one":              {nil, lists{"emails"}, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,` + printedWork},
		"exclude a sub-attribute":  {nil, lists{"emails.type,emails.primary"}, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,"emails":[{"value":"a@x"},{"value":"b@x"}],` + printedWork},
		"exclude what must stay":   {nil, lists{"id", "schemas"}, printedAll},
		"exclude nothing known":    {nil, lists{"shoeSize"}, printedAll},
		"exclude an extension":     {nil, lists{enterpriseURN}, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,` + printedEmails},
		"exclude of an extension":  {nil, lists{enterpriseURN + ":department"}, printedHead + `,"externalId":"x",` + printedMeta + `,"userName":"ada",` + printedName + `,` + printedEmails + `,"` + enterpriseURN + `":{` + printedBoss + `}`},
		"exclude the core schema":  {nil, lists{"urn:ietf:params:scim:schemas:core:2.0:User"}, printedHead + `,` + printedWork},
		"an empty list counts not": {lists{""}, lists{"urn:ietf:params:scim:schemas:core:2.0:User"}, printedHead + `,` + printedWork},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := User.CompileProjection(c.attributes, c.excluded)
			if err != nil {
				t.Fatal(err)
			}
			r := projected()
			p.Apply(r)
			if r.GetPassword() != "" {
				t.Error("the password is still there")
			}
			if got := string(User.AppendJSON(nil, r, "")); got != "{"+c.want+"}" {
				t.Errorf("got  %s\nwant {%s}", got, c.want)
			}
		})
	}
}

func TestProjection_BothLists(t *testing.T) {
	if _, err := User.CompileProjection([]string{"userName"}, []string{"emails"}); ReasonOf(err) != InvalidValue || err == nil {
		t.Errorf("got %v, want invalidValue", err)
	}
}

// A $ref is made from the value beside it, so the value comes along.
func TestProjection_Reference(t *testing.T) {
	p, err := Group.CompileProjection([]string{"members.$ref"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &musterv1.Group{Id: "1", DisplayName: "g", Members: []*musterv1.Member{{Value: "u", Type: "User", Display: "U"}}}
	p.Apply(g)
	want := `{"id":"1","members":[{"value":"u","$ref":"https://x/Users/u","type":"User"}]}`
	if got := string(Group.AppendJSON(nil, g, "https://x")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// What only the REST face knows is left out like anything else.
func TestProjection_LeavesOutLocations(t *testing.T) {
	for _, c := range []struct{ attributes, excluded, want string }{
		{"members.value", "", `{"id":"1","members":[{"value":"u"}]}`},
		{"members", "", `{"id":"1","members":[{"value":"u","$ref":"https://x/Users/u","type":"User"}]}`},
		{"meta.resourceType", "", `{"id":"1","meta":{"resourceType":"Group"}}`},
		{"meta.location", "", `{"id":"1","meta":{"location":"https://x/Groups/1"}}`},
		{"", "members.$ref,meta.location,displayName", `{"id":"1","meta":{"resourceType":"Group"},"members":[{"value":"u","type":"User"}]}`},
	} {
		p, err := Group.CompileProjection([]string{c.attributes}, []string{c.excluded})
		if err != nil {
			t.Fatal(err)
		}
		g := &musterv1.Group{
			Id: "1", Meta: &musterv1.Meta{ResourceType: "Group"}, DisplayName: "g",
			Members: []*musterv1.Member{{Value: "u", Type: "User"}},
		}
		p.Apply(g)
		if got := string(Group.AppendJSON(nil, g, "https://x")); got != c.want {
			t.Errorf("attributes=%q excludedAttributes=%q: got %s, want %s", c.attributes, c.excluded, got, c.want)
		}
	}
}

func TestProjection_Includes(t *testing.T) {
	for _, c := range []struct {
		attributes, excluded string
		want                 bool
	}{
		{"", "", true},
		{"displayName", "", false},
		{"displayName,members.value", "", true},
		{"MEMBERS", "", true},
		{"", "members", false},
		{"", "members.display", true},
		{"", "displayName", true},
	} {
		p, err := Group.CompileProjection([]string{c.attributes}, []string{c.excluded})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Includes(Group.Attribute("members")); got != c.want {
			t.Errorf("attributes=%q excludedAttributes=%q: got %v, want %v", c.attributes, c.excluded, got, c.want)
		}
	}
}

// No attribute of ours is returned on request only, and no sub-attribute always;
// the rules hold all the same for those that come.
func TestProjection_Returned(t *testing.T) {
	rt := compileResourceType(&musterv1.User{})
	rt.Attribute("title").Returned = musterv1.Attribute_RETURNED_REQUEST
	rt.Attribute("name").SubAttribute("middleName").Returned = musterv1.Attribute_RETURNED_REQUEST
	rt.Attribute("name").SubAttribute("givenName").Returned = musterv1.Attribute_RETURNED_ALWAYS
	rt.Attribute("emails").SubAttribute("display").Returned = musterv1.Attribute_RETURNED_NEVER
	rt.index()
	whole := &musterv1.User{
		Title:  "T",
		Name:   &musterv1.Name{GivenName: "Ada", MiddleName: "M", FamilyName: "L"},
		Emails: []*musterv1.Email{{Value: "a@x", Display: "A"}},
	}
	for _, c := range []struct{ attributes, excluded, want string }{
		{"", "", `{"name":{"familyName":"L","givenName":"Ada"},"emails":[{"value":"a@x"}]}`},
		{"title", "", `{"title":"T"}`},
		{"name", "", `{"name":{"familyName":"L","givenName":"Ada"}}`},
		{"name.middleName", "", `{"name":{"givenName":"Ada","middleName":"M"}}`},
		{"emails.display", "", `{}`},
		{"emails", "", `{"emails":[{"value":"a@x"}]}`},
		{"", "name.givenName,name.familyName,emails", `{"name":{"givenName":"Ada"}}`},
		{"", "name,emails", `{}`},
	} {
		p, err := rt.CompileProjection([]string{c.attributes}, []string{c.excluded})
		if err != nil {
			t.Fatal(err)
		}
		r := proto.Clone(whole).(Resource)
		p.Apply(r)
		if got := string(rt.AppendJSON(nil, r, "")); got != c.want {
			t.Errorf("attributes=%q excludedAttributes=%q: got %s, want %s", c.attributes, c.excluded, got, c.want)
		}
	}
}
