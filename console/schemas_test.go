package console

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/test/browser"
)

const userSchema = "urn:ietf:params:scim:schemas:core:2.0:User"

// tableRow is the row of a table that has a text.
func tableRow(t *testing.T, body, text string) string {
	t.Helper()
	for _, row := range strings.Split(body, "<tr")[1:] {
		if strings.Contains(row, text) {
			return row
		}
	}
	t.Fatalf("no row has %s", text)
	return ""
}

// isRegistered tells whether something is registered for the tenant.
func (w *world) isRegistered(t *testing.T, name string) (tenant, all bool) {
	t.Helper()
	out, err := w.registry.ListRegistrations(w.ctx, &musterv1.ListRegistrationsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range out.GetRegistrations() {
		if r.GetSchema().GetId() == name || r.GetResourceType().GetName() == name {
			tenant, all = tenant || !r.GetAllTenants(), all || r.GetAllTenants()
		}
	}
	return tenant, all
}

// The pages tell where a schema comes from, what its attributes are, and how many
// resources have a value of each.
func TestSchemas_Tell(t *testing.T) {
	c := newCompany(t)
	users, err := c.provisioning.ListUsers(c.ctx, &musterv1.ListUsersRequest{Count: new(int32)})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprint(users.GetTotalResults())
	_, body := c.get(t, "schemas")
	for text, want := range map[string]string{
		`href="/console/schemas/urn:ietf:params:scim:schemas:core:2.0:User">User</a>`: "extended for this tenant",
		`<code class="small">` + badge:                                    "registered for this tenant",
		`<code class="small">urn:ietf:params:scim:schemas:core:2.0:Group`: "built-in",
	} {
		if row := tableRow(t, body, text); !strings.Contains(row, want) {
			t.Errorf("%s: %s", text, row)
		}
	}
	_, body = c.get(t, "schemas/"+badge)
	if row := tableRow(t, body, "<code>number</code>"); !strings.Contains(row, "integer") || !strings.Contains(row, "What is printed on it.") || !strings.Contains(row, `data-label="In use">1</td>`) {
		t.Errorf("the number is %s", row)
	}
	if !strings.Contains(body, "in use: of all "+all+" resources of User") {
		t.Errorf("it does not say of how many: %s", body)
	}
	_, body = c.get(t, "schemas/"+userSchema)
	for text, want := range map[string][]string{
		"<code>userName</code>": {"required", "unique: server", `data-label="In use">` + all + "</td>"}, "<code>password</code>": {"mutability: writeOnly", "returned: never", `>0</td>`},
		"<code>emails</code>": {"multi-valued", "complex"}, "<code>emails.type</code>": {"work, home, other"}, "<code>name.givenName</code>": {">" + all + "</td>"},
	} {
		row := tableRow(t, body, text)
		for _, w := range want {
			if !strings.Contains(row, w) {
				t.Errorf("%s has not %q: %s", text, w, row)
			}
		}
	}
	if answer, _ := c.get(t, "schemas/urn:of:nothing"); answer.StatusCode != http.StatusNotFound {
		t.Error(answer.Status)
	}
}

// What is pasted or uploaded is registered; what the core does not take is told on the
// form, with what was entered.
func TestSchemas_Register(t *testing.T) {
	w := newWorld(t)
	urn := "urn:example:schemas:extension:badge:2.0:User"
	for text, want := range map[string]string{
		"":                    "Paste JSON",
		`{"id": "urn:x:y",`:   "expected a member name",
		`{"name": "nothing"}`: "neither a schema",
		`{"id": "urn:x:y", "name": "Odd", "attributes": [{"name": "a b", "type": "string"}]}`:                                                                        "a b",
		`{"id": "User", "name": "User", "endpoint": "/Users", "schema": "` + userSchema + `", "schemaExtensions": [{"schema": "urn:missing:x", "required": false}]}`: "urn:missing:x",
	} {
		answer, body := w.post(t, "schemas-new", url.Values{"text": {text}})
		_, problem, _ := strings.Cut(body, `role="alert">`)
		problem, after, _ := strings.Cut(problem, "</p>")
		if answer.StatusCode != http.StatusBadRequest || !strings.Contains(problem, want) || text != "" && !strings.Contains(after, `&#34;name&#34;`) && !strings.Contains(after, "urn:x:y") {
			t.Errorf("%s: %s, %s", text, answer.Status, problem)
		}
	}
	if answer, body := w.upload(t, "schemas-new", exampleRegistration); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s\n%s", answer.Status, body)
	}
	if tenant, all := w.isRegistered(t, urn); !tenant || all {
		t.Errorf("for the tenant %v, for all %v", tenant, all)
	}
	idle := `{"id": "urn:example:idle", "name": "Idle", "attributes": [{"name": "a", "type": "string"}]}`
	if answer, body := w.post(t, "schemas-new", url.Values{"text": {idle}, "all": {"1"}}); answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("%s\n%s", answer.Status, body)
	}
	if tenant, all := w.isRegistered(t, "urn:example:idle"); tenant || !all {
		t.Errorf("for the tenant %v, for all %v", tenant, all)
	}
	if _, body := w.get(t, "schemas/urn:example:idle"); !strings.Contains(body, "it has no effect") || !strings.Contains(body, "registered for all tenants") {
		t.Error(body)
	}
}

// upload sends a file of a form.
func (w *world) upload(t *testing.T, path, text string) (*http.Response, string) {
	t.Helper()
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	file, err := parts.CreateFormFile("file", "schemas.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := parts.Close(); err != nil {
		t.Fatal(err)
	}
	return w.send(t, http.MethodPost, path, &form, "Content-Type", parts.FormDataContentType())
}

// What is needed stays, and the page says by whom; what is not is removed.
func TestSchemas_Unregister(t *testing.T) {
	w := newWorld(t)
	urn := "urn:example:schemas:extension:badge:2.0:User"
	w.post(t, "schemas-new", url.Values{"text": {exampleRegistration}})
	if answer, body := w.get(t, "schemas/"+urn+"/remove"); answer.StatusCode != http.StatusOK || !strings.Contains(body, "Remove "+urn+"?") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	answer, _ := w.post(t, "schemas/"+urn+"/remove", nil)
	if _, body := w.get(t, "schemas", "Cookie", answer.Header.Get("Set-Cookie")); !strings.Contains(body, "is not removed: it is needed") {
		t.Errorf("it does not say why: %s", body)
	}
	if is, _ := w.isRegistered(t, urn); !is {
		t.Error("it is removed all the same")
	}
	for _, name := range []string{"User", urn} {
		w.post(t, "schemas/"+name+"/remove", nil)
		if is, _ := w.isRegistered(t, name); is {
			t.Errorf("%s is still registered", name)
		}
		if answer, _ := w.post(t, "schemas/"+name+"/remove", nil); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s again: %s", name, answer.Status)
		}
	}
}

// Who only looks sees no deed, and is refused one; and an administrator of one tenant
// removes nothing that is registered for all.
func TestSchemas_OfOthers(t *testing.T) {
	c := newCompany(t)
	c.post(t, "schemas-new", url.Values{"text": {`{"id": "urn:example:idle", "name": "Idle", "attributes": [{"name": "a", "type": "string"}]}`}, "all": {"1"}})
	c.session.Switches = false
	if _, body := c.get(t, "schemas/urn:example:idle"); strings.Contains(body, "/remove") {
		t.Error("it is offered to remove for all tenants")
	}
	if answer, _ := c.post(t, "schemas/urn:example:idle/remove", nil); answer.StatusCode != http.StatusForbidden {
		t.Error(answer.Status)
	}
	c.signIn("viewer")
	for _, path := range []string{"schemas", "schemas/" + badge} {
		if answer, body := c.get(t, path); answer.StatusCode != http.StatusOK || strings.Contains(body, "/remove") || strings.Contains(body, "schemas-new") {
			t.Errorf("%s: %s\n%s", path, answer.Status, body)
		}
	}
	for _, path := range []string{"schemas-new", "schemas/" + badge + "/remove"} {
		if answer, _ := c.post(t, path, url.Values{"text": {exampleRegistration}}); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
	if is, _ := c.isRegistered(t, badge); !is {
		t.Error("it is removed all the same")
	}
}

// With clicks: what is wrong stands beside the text, which is not lost; mended, it is
// registered, and removed again after a question.
func TestSchemas_Clicks(t *testing.T) {
	w := newWorld(t)
	tab := browser.Open(t, w.URL+root)
	tab.Visit("schemas-new")
	tab.Type("#text", `{"id": "urn:example:Parking", "name": "Parking", "attributes": [{"name": "no good name", "type": "string"}]}`)
	tab.Click("form[enctype] button.primary")
	tab.AwaitTrue(`document.querySelector("[role=alert]")?.innerText.includes("no good name")`)
	tab.AwaitTrue(`document.querySelector("#text").value.includes("urn:example:Parking")`)
	tab.Evaluate(`document.querySelector("#text").value = document.querySelector("#text").value.replace("no good name", "lot")`, nil)
	tab.Click("form[enctype] button.primary")
	tab.Await("1 schema and 0 resource types")
	tab.ClickText("Parking")
	tab.Await("No resource type names this schema")
	tab.ClickText("Remove")
	tab.Await("Remove urn:example:Parking?")
	tab.Click("dialog button.danger")
	tab.Await("urn:example:Parking is removed.")
}
