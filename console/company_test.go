package console

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// badge is an extension that is registered at run time.
const badge = "urn:example:params:scim:schemas:Badge"

// A company is what the pages are looked at with: people, groups in groups, and a history.
type company struct {
	*world

	ada, mallory *musterv1.User
	staff, board *musterv1.Group
}

func newCompany(t testing.TB) *company {
	t.Helper()
	c := &company{world: newWorld(t)}
	if _, err := c.registry.Register(c.ctx, &musterv1.RegisterRequest{
		Schemas:       []*musterv1.Schema{{Id: badge, Name: "Badge", Description: "The card for the doors.", Attributes: []*musterv1.Attribute{{Name: "number", Type: musterv1.Attribute_TYPE_INTEGER, Description: "What is printed on it."}, {Name: "issuedAt", Type: musterv1.Attribute_TYPE_DATE_TIME}}}},
		ResourceTypes: []*musterv1.ResourceType{{Id: "User", Name: "User", Endpoint: "/Users", Schema: "urn:ietf:params:scim:schemas:core:2.0:User", SchemaExtensions: []*musterv1.SchemaExtension{{Schema: badge}}}},
	}); err != nil {
		t.Fatal(err)
	}
	boss := c.person(t, "Grace", "Hopper", "Director")
	c.ada = c.person(t, "Ada", "Lovelace", "Engineer")
	numbers, err := structpb.NewStruct(map[string]any{"number": 4711, "issuedAt": "2026-03-04T09:00:00.000Z"})
	if err != nil {
		t.Fatal(err)
	}
	c.ada.EnterpriseUser = &musterv1.EnterpriseUser{EmployeeNumber: "E-1815", Department: "Analytical Engines", CostCenter: "4130", Manager: &musterv1.Manager{Value: boss.GetId()}}
	c.ada.Extensions = map[string]*structpb.Struct{badge: numbers}
	c.ada.PhoneNumbers = []*musterv1.PhoneNumber{{Value: "tel:+44-20-7946-0815", Type: "work"}}
	c.replace(t, c.ada)
	c.ada.Title = "Principal engineer"
	c.replace(t, c.ada)
	c.mallory = c.person(t, "Mallory", "Xi", "Contractor")
	c.mallory.Active = new(false)
	c.replace(t, c.mallory)
	ids := []string{c.ada.GetId(), c.mallory.GetId()}
	for i := range 60 {
		ids = append(ids, c.person(t, given[i%len(given)], fmt.Sprintf("%s %c.", family[i%len(family)], 'A'+i/len(family)), "Engineer").GetId())
	}
	engines := c.group(t, "Analytical Engines", ids...)
	c.board = c.group(t, "Board", boss.GetId())
	c.staff = c.group(t, "All staff", engines.GetId(), c.board.GetId())
	for _, name := range []string{"VPN", "Expense reports", "Source code, with write access to everything that is kept in the archive"} {
		c.group(t, name, engines.GetId())
	}
	c.connect(t)
	return c
}

var (
	given  = []string{"Barbara", "Edsger", "Frances", "Donald", "Radia", "Tony", "Sophie", "Ken"}
	family = []string{"Liskov", "Dijkstra", "Allen", "Knuth", "Perlman", "Hoare", "Wilson", "Thompson", "Lamport"}
)

func (c *company) person(t testing.TB, givenName, familyName, title string) *musterv1.User {
	t.Helper()
	name := strings.ToLower(givenName + "." + strings.Trim(strings.ReplaceAll(familyName, " ", "-"), ".") + "@example.com")
	return c.user(t, &musterv1.User{
		UserName: name, DisplayName: givenName + " " + familyName, Title: title, ExternalId: "x-" + name, Active: new(true),
		Name: &musterv1.Name{GivenName: givenName, FamilyName: familyName}, Emails: []*musterv1.Email{{Value: name, Type: "work", Primary: new(true)}},
	})
}

func (c *company) replace(t testing.TB, u *musterv1.User) {
	t.Helper()
	out, err := c.provisioning.ReplaceUser(c.ctx, &musterv1.ReplaceUserRequest{Id: u.GetId(), User: proto.CloneOf(u)}) // what is sent is the server's
	if err != nil {
		t.Fatal(err)
	}
	u.Meta = out.GetUser().GetMeta()
}
