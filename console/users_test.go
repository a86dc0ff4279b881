package console

import (
	"html"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/test/browser"
)

// read reads a user.
func (w *world) read(t *testing.T, id string) *musterv1.User {
	t.Helper()
	out, err := w.provisioning.GetUser(w.ctx, &musterv1.GetUserRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetUser()
}

// Search finds by the beginning of each name and address, in any letter case, and what
// stands inside of one on demand; a filter narrows it.
func TestUsers_Search(t *testing.T) {
	c := newCompany(t)
	c.user(t, &musterv1.User{UserName: "jdoe", Name: &musterv1.Name{GivenName: "Jean", FamilyName: "Ähler"}, Emails: []*musterv1.Email{{Value: "another@elsewhere.example"}}, Active: new(false)})
	for query, want := range map[string]bool{
		"q=jd": true, "q=JEAN": true, "q=%C3%A4hl": true, "q=another%40": true, "q=jean+%C3%84": true, "q=%C3%84hler%2C+je": true, "q=jean+x": false,
		"q=oe": false, "q=oe&inside=1": true, "q=elsewhere": false, "q=elsewhere&inside=1": true, "q=jd&filter=active+eq+true": false, "q=jd&filter=active+eq+false": true,
		"filter=userName+eq+%22jdoe%22": true, "q=%22": false, "q=%25": false,
	} {
		answer, body := c.get(t, "users?"+query)
		if got := strings.Contains(body, "jdoe"); got != want || answer.StatusCode != http.StatusOK {
			t.Errorf("%s: %s, found: %t", query, answer.Status, got)
		}
	}
	if _, body := c.get(t, "users?q=%3Cscript%3E"); strings.Contains(body, "<script>") {
		t.Error("what was typed is in the page as it is")
	}
}

// The pages of a list have every user once, in any order, and a page that is gone leads
// to the first.
func TestUsers_Pages(t *testing.T) {
	c := newCompany(t)
	all, err := c.provisioning.ListUsers(c.ctx, &musterv1.ListUsersRequest{Count: new(int32(0))})
	if err != nil || all.GetTotalResults() < 60 {
		t.Fatalf("%d users: %v", all.GetTotalResults(), err)
	}
	for _, order := range []string{"", "sort=userName", "down=1", "sort=meta.lastModified"} {
		seen := map[string]int{}
		for path, pages := "users?"+order, 0; path != ""; pages++ {
			_, body := c.get(t, path)
			for _, part := range strings.Split(body, `class="row" href="/console/users/`)[1:] {
				seen[part[:36]]++
			}
			_, rest, more := strings.Cut(body, `href="/console/users?after=`)
			if path = ""; more && strings.Contains(rest, `rel="next"`) {
				after, _, _ := strings.Cut(rest, `"`)
				path = "users?after=" + strings.ReplaceAll(after, "&amp;", "&")
			} else if strings.Contains(body, `rel="next"`) {
				t.Fatalf("%s: the next page is not where this test looks", order)
			}
			if pages > 3 {
				t.Fatal("there is no end")
			}
		}
		if len(seen) != int(all.GetTotalResults()) {
			t.Errorf("%s: %d users", order, len(seen))
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s: %s is there %d times", order, id, n)
			}
		}
	}
	if answer, _ := c.get(t, "users?sort=userName&after=gone"); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/console/users?sort=userName" {
		t.Errorf("a page that is gone: %s, %s", answer.Status, answer.Header.Get("Location"))
	}
}

// A user's page has what it has of each schema, registered ones too, its groups, who its
// manager is by name, and what was changed of it.
func TestUser_Page(t *testing.T) {
	c := newCompany(t)
	_, body := c.get(t, "users/"+c.ada.GetId())
	body = html.UnescapeString(body)
	for _, want := range []string{
		"Principal engineer", "tel:+44-20-7946-0815", ">E-1815<", "urn:example:params:scim:schemas:Badge", ">4711<", ">Grace Hopper</a>",
		">Analytical Engines</a>", ">All staff</a>", ">indirect<", `before: </span>Engineer</del>`, `after: </span>Principal engineer</ins>`, c.ada.GetId(),
	} {
		if !strings.Contains(body, want) {
			t.Errorf("it has no %s", want)
		}
	}
	if strings.Contains(body, "password") {
		t.Error("it tells of a password")
	}
}

// A page shows the latest of a history, and leads to the rest; what was a preview is told
// from what was done.
func TestHistory_LeadsToTheRest(t *testing.T) {
	c := newCompany(t)
	team := c.group(t, "Team").GetId()
	history := "/console/audit?resource=" + team
	if _, body := c.get(t, "groups/"+team); strings.Contains(body, history) {
		t.Error("there is no more, and the page says so")
	}
	for range maxGroupEvents {
		c.addMembers(t, team, &musterv1.Group{Members: []*musterv1.Member{{Value: c.ada.GetId()}}})
	}
	c.eventually(t, "groups/"+team, history) // those that changed nothing are written a little later
	list, err := c.provisioning.ListUsers(c.ctx, &musterv1.ListUsersRequest{Filter: `userName eq "mallory.xi@example.com"`})
	if err != nil || len(list.GetUsers()) != 1 {
		t.Fatal(list, err)
	}
	if _, body := c.get(t, "users/"+list.GetUsers()[0].GetId()); strings.Count(body, "in preview, not kept") != 1 {
		t.Error("the page does not tell what was a preview")
	}
}

// What clients sent last about a user or group leads to the request whole, with its body.
func TestSentLast_Opens(t *testing.T) {
	w := newWorld(t)
	ada := w.user(t, &musterv1.User{UserName: "ada"}).GetId()
	staff, token := w.group(t, "Staff", ada).GetId(), w.client(t, "cyberark")
	for of, path := range map[string]string{"/Users/" + ada: "users/" + ada, "/Groups/" + staff: "groups/" + staff} {
		body := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"Countess"}]}`
		if got := w.ask(t, token, http.MethodPatch, of, body); got >= 300 {
			t.Fatal(got)
		}
		w.eventually(t, path, "PATCH "+scimPath+of)
		_, page := w.get(t, path)
		_, page, _ = strings.Cut(page, ">Sent last<")
		link := regexp.MustCompile(`href="/console/(activity/requests/[^"]+)"><code>PATCH `).FindStringSubmatch(page)
		if link == nil {
			t.Fatalf("%s has no link to it: %s", path, page)
		}
		if answer, whole := w.get(t, link[1]); answer.StatusCode != http.StatusOK || !strings.Contains(whole, "PatchOp") || !strings.Contains(whole, "Countess") {
			t.Errorf("%s leads to %s: %s", path, answer.Status, whole)
		}
		if !strings.Contains(page, `href="/console/activity?resource=`+path[strings.Index(path, "/")+1:]+`"`) {
			t.Errorf("%s does not lead to all requests: %s", path, page)
		}
	}
}

// A viewer is shown everything, and no button.
func TestUsers_Viewer(t *testing.T) {
	c := newCompany(t)
	c.signIn("viewer")
	for _, path := range []string{"users/" + c.ada.GetId(), "groups/" + c.staff.GetId()} {
		answer, body := c.get(t, path)
		if answer.StatusCode != http.StatusOK || strings.Contains(body, "activate") || strings.Contains(body, ">Remove<") {
			t.Errorf("%s: %s, or it has a button", path, answer.Status)
		}
	}
}

// What somebody types is looked for while he types; the filter's mistake is told where it
// is; a sorted list and the next page come without loading the page anew.
func TestUsers_InABrowser(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("users")
	tab.Evaluate(`window.stays = true`, nil)
	tab.Press("/")
	tab.Press("lovel")
	tab.AwaitGone("Grace Hopper")
	tab.Await("Ada Lovelace")
	if path := tab.Path(); path != "/console/users?q=lovel" {
		t.Errorf("the address is %s", path)
	}
	tab.Visit("users")
	tab.Click(".filter summary")
	tab.Type("[name=filter]", `userName zz "a"`)
	tab.ClickText("Apply")
	tab.Await("expected an operator")
	tab.Visit("users")
	tab.Evaluate(`window.stays = true`, nil)
	tab.ClickText("User name")
	tab.AwaitTrue(`document.querySelector("#results [rel=next]").href.includes("sort=userName")`) // it is there, and not only asked for
	tab.AwaitTrue(`document.querySelector("#results tbody tr").innerText.includes("Ada Lovelace")`)
	tab.ClickText("Next page")
	tab.Await("First page")
	tab.AwaitTrue(`window.stays === true`)
	for _, problem := range tab.Problems() {
		t.Error(problem)
	}
}

// A user is deactivated after a question, and activated again; both are in the history.
func TestUser_Deactivate(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("users/" + c.ada.GetId())
	tab.ClickText("Deactivate")
	tab.Await("Deactivate Ada Lovelace?")
	if !c.read(t, c.ada.GetId()).GetActive() {
		t.Fatal("it is done before it is confirmed")
	}
	tab.ClickText("Cancel")
	tab.AwaitTrue(`!document.querySelector("dialog")`)
	tab.ClickText("Deactivate")
	tab.Await("Deactivate Ada Lovelace?")
	tab.Click("dialog button.danger")
	tab.Await("Ada Lovelace is deactivated.")
	if c.read(t, c.ada.GetId()).GetActive() {
		t.Error("she is active still")
	}
	tab.AwaitTrue(`document.querySelector(".events li .before").innerText.includes("true") && document.querySelector(".events li .after").innerText.includes("false")`)
	tab.NoScript()
	tab.Visit("users/" + c.ada.GetId())
	tab.Click(`a[href$="/activate"]`)
	tab.Await("Activate Ada Lovelace?")
	tab.Click("main form button")
	tab.Await("Ada Lovelace is activated.")
	if !c.read(t, c.ada.GetId()).GetActive() {
		t.Error("she is not active")
	}
}

// A member is removed after a question.
func TestGroup_RemoveMember(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("groups/" + c.staff.GetId())
	tab.ClickText("Remove Board")
	tab.Await("Remove Board from All staff?")
	tab.Click("dialog button.danger")
	tab.Await("Board is no longer a member.")
	out, err := c.provisioning.GetGroup(c.ctx, &musterv1.GetGroupRequest{Id: c.staff.GetId()})
	if err != nil || len(out.GetGroup().GetMembers()) != 1 {
		t.Errorf("got %v, %v", out, err)
	}
}

// Members are searched while somebody types, and without a script; groups in the group are
// found, and who is in one of those alone is not. To type reads nothing but the members.
func TestGroup_SearchMembers(t *testing.T) {
	c := newCompany(t)
	engines := c.ada.GetId()
	out, err := c.directory.ListMemberships(c.ctx, &musterv1.ListMembershipsRequest{MemberId: engines, DirectOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range out.GetGroups() {
		if g.GetDisplay() == "Analytical Engines" {
			engines = g.GetValue()
		}
	}
	for path, want := range map[string][]string{
		engines + "?q=lovel": {"Ada Lovelace"}, engines + "?q=MALLORY.XI%40": {"Mallory Xi"}, c.staff.GetId() + "?q=anal": {"Analytical Engines"}, c.staff.GetId() + "?q=lovel": nil,
	} {
		_, body := c.get(t, "groups/"+path, "Muster-Fragment", "members")
		var found []string
		for _, row := range regexp.MustCompile(`<a class="row" href="[^"]+">([^<]+)<`).FindAllStringSubmatch(body, -1) {
			found = append(found, row[1])
		}
		if !slices.Equal(found, want) || strings.Contains(body, "History") {
			t.Errorf("%s finds %v and not %v: %s", path, found, want, body)
		}
	}
	if _, body := c.get(t, "groups/"+engines+"?q=example"); !strings.Contains(body, "of a member begins with “example”") {
		t.Error("it does not say that there is nobody")
	}
	tab := browser.Open(t, c.URL+root)
	tab.Visit("groups/" + engines)
	tab.Await("Next page")
	tab.Press("/")
	tab.Press("lovel")
	tab.AwaitTrue(`document.querySelectorAll("#members [data-row]").length === 1`)
	tab.Await("Ada Lovelace")
	if path := tab.Path(); path != "/console/groups/"+engines+"?q=lovel" {
		t.Errorf("the address is %s", path)
	}
	picture(tab, "group-search")
	tab.Type("#main [name=q]", "nobody")
	tab.ClickText("Show all members")
	tab.Await("Next page")
	tab.NoScript()
	tab.Visit("groups/" + engines)
	tab.Type("#main [name=q]", "liskov")
	tab.ClickText("Search")
	tab.AwaitTrue(`document.querySelectorAll("#members [data-row]").length > 1 && [...document.querySelectorAll("#members [data-row]")].every(r => r.innerText.includes("Liskov"))`)
}

// Keys go to sections, through rows and to the help; the colours change and stay.
func TestKeys_InABrowser(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Prefer("light")
	tab.Visit("users")
	tab.Press("gg")
	tab.AwaitTrue(`location.pathname === "/console/groups"`)
	tab.AwaitTrue(`document.documentElement.classList.contains("scripted") && document.readyState === "complete"`)
	tab.Press("jj")
	tab.AwaitTrue(`document.activeElement === document.querySelectorAll("#results a.row")[1]`)
	tab.Press("?")
	tab.AwaitTrue(`document.querySelector("dialog[open]")?.innerText.includes("Keyboard shortcuts") ?? false`)
	tab.ClickText("Close")
	tab.ClickText("Dark colours")
	tab.AwaitTrue(`getComputedStyle(document.documentElement).colorScheme === "dark"`)
	tab.AwaitTrue(`fetch("/console/groups").then(r => r.text()).then(text => text.includes('data-theme="dark"'))`)
	tab.Visit("users")
	tab.AwaitTrue(`getComputedStyle(document.documentElement).colorScheme === "dark"`)
	for _, problem := range tab.Problems() {
		t.Error(problem)
	}
}

// A list shows what clients push without being loaded anew, and keeps the row that has
// the focus.
func TestUsers_Live(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("users?q=zz")
	tab.Await("Nobody matches")
	tab.Evaluate(`window.stays = true`, nil)
	c.user(t, &musterv1.User{UserName: "zz.top", DisplayName: "Zz Top"})
	tab.Await("Zz Top")
	tab.Evaluate(`document.querySelector("#results a.row").focus()`, nil)
	c.user(t, &musterv1.User{UserName: "zz.second", DisplayName: "Zz Second"})
	tab.Await("Zz Second")
	tab.AwaitTrue(`document.activeElement.innerText === "Zz Top"`)
	tab.AwaitTrue(`window.stays === true`)
	tab.Visit("groups?q=zz")
	tab.Await("No group matches")
	c.group(t, "Zz tops", c.ada.GetId())
	tab.Await("Zz tops")
	for _, problem := range tab.Problems() {
		t.Error(problem)
	}
}
