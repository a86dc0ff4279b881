package console

import (
	"fmt"
	"strings"
	"testing"
	"time"

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
	cyberark     string // the secret of a provisioning client
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
	for i, name := range []string{"Moving to the new building", "Fair of 1843", "Readers of the notes"} {
		c.age(t, c.group(t, name, boss.GetId(), c.ada.GetId()).GetId(), 40+60*i)
	}
	c.connect(t)
	c.cyberark = c.client(t, "cyberark-prod")
	c.traffic(t)
	for name, days := range map[string]int{"portal": 1, "sync": 9} {
		c.execute(t, "UPDATE credentials SET last_used_at = ? WHERE name = ?", time.Now().AddDate(0, 0, -days).UnixMilli(), name)
	}
	return c
}

// traffic is what a provisioning client does on a day that is not its best.
func (c *company) traffic(t testing.TB) {
	t.Helper()
	for _, r := range []struct {
		token, method, path, body string
		want                      int
	}{
		{c.cyberark, "GET", "/ServiceProviderConfig", "", 200},
		{c.cyberark, "GET", "/Users?filter=userName+eq+%22new.hire%40example.com%22", "", 200},
		{c.cyberark, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"new.hire@example.com","name":{"givenName":"New","familyName":"Hire"},"active":true}`, 201},
		{c.cyberark, "POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada.lovelace@example.com"}`, 409},
		{c.cyberark, "PATCH", "/Users/" + c.ada.GetId(), `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"title","value":"Countess"},{"op":"replace","path":"active","value":true}]}`, 200},
		{c.cyberark, "PUT", "/Users/" + c.ada.GetId(), `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":""}`, 400},
		{c.cyberark, "GET", "/Users/00000000-0000-7000-8000-000000000000", "", 404},
		{"an-old-secret", "GET", "/Users?count=1", "", 401},
		{"an-old-secret", "GET", "/Users?count=1", "", 401},
		{c.cyberark, "GET", "/Groups?count=1&attributes=displayName", "", 200},
	} {
		if got := c.ask(t, r.token, r.method, r.path, r.body); got != r.want {
			t.Fatalf("%s %s: %d, want %d", r.method, r.path, got, r.want)
		}
	}
	c.kept(t, 8)
}

// kept waits until so many exchanges are kept, and is the newest of them.
func (w *world) kept(t testing.TB, most int) []*musterv1.LoggedExchange {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, err := w.activity.ListExchanges(w.ctx, &musterv1.ListExchangesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.GetExchanges()) >= most {
			return out.GetExchanges()
		}
	}
	t.Fatalf("there are less than %d exchanges", most)
	return nil
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

// request is the id of an exchange that was kept; empty: there is none.
func (w *world) request(method string, status int32) string {
	out, err := w.activity.ListExchanges(w.ctx, &musterv1.ListExchangesRequest{Filter: &musterv1.ExchangeFilter{Method: method, Status: status, UnknownTenant: true}})
	if err != nil || len(out.GetExchanges()) == 0 {
		return ""
	}
	return out.GetExchanges()[0].GetId()
}

// find is the id of the newest exchange whose path has a text; empty: there is none yet.
func (w *world) find(t testing.TB, text string) string {
	t.Helper()
	out, err := w.activity.ListExchanges(w.ctx, &musterv1.ListExchangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.GetExchanges() {
		if strings.Contains(e.GetPath(), text) {
			return e.GetId()
		}
	}
	return ""
}
