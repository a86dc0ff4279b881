package console

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/simulate"
	"github.com/muster-scim/muster/test/browser"
)

// copied clicks on the button that copies the value of a field of the steps, and is the
// value.
func copied(t *testing.T, tab *browser.Tab, field string) (value string) {
	t.Helper()
	button := `[...document.querySelectorAll(".values > div, .values")].filter(d => d.querySelector("dt")?.textContent === ` + quoted(field) + `).at(-1)?.querySelector("[data-copy]")`
	tab.AwaitTrue(button + ` != null`)
	tab.Evaluate(button+`.setAttribute("id", "to-copy") ?? ""`, new(string))
	tab.Click("#to-copy")
	tab.AwaitTrue(`document.querySelector("#to-copy").classList.contains("copied")`)
	tab.Evaluate(`(() => { const b = document.querySelector("#to-copy"); b.removeAttribute("id"); return b.dataset.copy })()`, &value)
	return value
}

func quoted(text string) string { return `"` + text + `"` }

// An administrator who has never read a manual connects CyberArk Identity: a credential
// is made, its values are copied, and the panel tells how Verify goes, without a reload.
// In the end the credential is revoked, and what the client sends then is shown as
// refused.
func TestConnectCyberArk(t *testing.T) {
	w := newWorld(t)
	w.base = w.URL + scimPath
	tab := browser.Open(t, w.URL+root)
	tab.Visit("credentials")
	tab.ClickText("Connect CyberArk")
	tab.ClickText("Create, and show the secret")
	tab.Await("shown this once")
	base, secret := copied(t, tab, "SCIM Service URL"), copied(t, tab, "Token")
	if base != w.base || len(secret) < 20 {
		t.Fatalf("copied %q and a secret of %d bytes", base, len(secret))
	}
	checkPage(t, tab)
	picture(tab, "connect-made")
	tab.Await("Waiting for the client")
	w.scim(t, secret+"x", "/ServiceProviderConfig", http.StatusUnauthorized)
	tab.Await("Something is not right yet")
	tab.Await("no secret of this server")
	picture(tab, "connect-wrong")
	report, err := simulate.CyberArk(t.Context(), simulate.Options{URL: base, Token: secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range report.Steps {
		if step.Outcome == simulate.Failed {
			t.Errorf("%s: %s", step.Name, step.Detail)
		}
	}
	tab.Await("Verified")
	picture(tab, "connect-verified")

	tab.Visit("credentials/cyberark")
	if strings.Contains(tab.Text("#main"), secret) {
		t.Error("the secret is shown again")
	}
	tab.ClickText("Revoke")
	tab.Click("dialog .danger")
	tab.Await("cyberark is revoked")
	w.scim(t, secret, "/Users?count=1", http.StatusUnauthorized)
	tab.Await("Its credential was revoked")
	picture(tab, "credentials-refused")
	w.audited(t, "default/cyberark", "CreateCredential", "RevokeCredential")
}

// picture takes one where somebody wants to look.
func picture(tab *browser.Tab, name string) {
	if folder := os.Getenv("MUSTER_SCREENSHOTS"); folder != "" {
		tab.Screenshot(filepath.Join(folder, name+".png"))
	}
}

// audited checks that the audit log has the methods on something, by the operator's name.
func (w *world) audited(t *testing.T, id string, methods ...string) {
	t.Helper()
	for _, method := range methods {
		out, err := w.audit.ListAuditEvents(w.ctx, &musterv1.ListAuditEventsRequest{ResourceId: id, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.GetEvents()) == 0 {
			t.Errorf("the audit log has no %s of %s", method, id)
		}
		for _, e := range out.GetEvents() {
			if e.GetOperator() != w.session.Operator {
				t.Errorf("%s of %s is by %q", method, id, e.GetOperator())
			}
		}
	}
}

// Without a script the same is told by loading the page again.
func TestConnectCyberArk_WithoutScript(t *testing.T) {
	w := newWorld(t)
	tab := browser.Open(t, w.URL+root)
	tab.NoScript()
	tab.Visit("connect?kind=bearer")
	tab.ClickText("Create, and show the secret")
	if secret := tab.Text(".paste.secret"); len(secret) < 20 {
		t.Errorf("the secret is %q", secret)
	}
	tab.Visit("credentials/cyberark/connect")
	if text := tab.Text("#main"); !strings.Contains(text, "Waiting for the client") || !strings.Contains(text, "It was shown once") {
		t.Fatalf("the page shows %s", text)
	}
	out, err := w.credentials.RotateCredential(w.ctx, &musterv1.RotateCredentialRequest{Name: "cyberark"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range verifying {
		w.scim(t, out.GetSecret(), path, http.StatusOK)
	}
	w.eventually(t, "credentials/cyberark/connect", "Verified")
	tab.ClickText("Look again")
	if text := tab.Text("#main"); !strings.Contains(text, "Verified") {
		t.Errorf("the page shows %s", text)
	}
}

// eventually loads a page until it has a text: what happens is kept within a second.
func (w *world) eventually(t *testing.T, path, text string) {
	t.Helper()
	for range 100 {
		if _, body := w.get(t, path); strings.Contains(body, text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s never has %q", path, text)
}

// Every kind of credential can be made, and changed; what is wrong about an entry is told
// beside what was entered.
func TestCredentialForm(t *testing.T) {
	w := newWorld(t)
	for kind, form := range map[string]url.Values{
		"bearer": {}, "direct": {}, "basic": {"login": {"scim-user"}}, "oauth": {"redirects": {"https://tenant.example.com/callback"}},
		"certificate": {"certificate": {strings.Repeat("ab", 32)}}, "issuer": {"issuer": {"https://login.example.com"}, "audience": {"muster"}},
	} {
		form.Set("kind", kind)
		form.Set("name", kind)
		form.Set("scope", "other")
		form.Set("scopes", "scim:User:read scim:Group:read")
		form.Set("networks", "10.0.0.0/8\n192.0.2.1")
		form.Set("expires", "2999-12-31")
		if answer, body := w.post(t, "connect", form); answer.StatusCode != http.StatusOK || !strings.Contains(body, "is made") {
			t.Errorf("%s: %s\n%s", kind, answer.Status, body)
		}
		form.Set("networks", "10.0.0.0/8")
		form.Set("scope", "scim:read")
		form.Set("expires", "")
		if answer, body := w.post(t, "credentials/"+kind+"/edit", form); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %s\n%s", kind, answer.Status, body)
		}
		out, err := w.credentials.GetCredential(w.ctx, &musterv1.GetCredentialRequest{Name: kind})
		if err != nil {
			t.Fatal(err)
		}
		if c := out.GetCredential(); len(c.GetNetworks()) != 1 || strings.Join(c.GetScopes(), " ") != "scim:read" || c.GetExpireTime() != nil || kindOf(c).Word != kind {
			t.Errorf("%s became %v", kind, c)
		}
		w.audited(t, "default/"+kind, "CreateCredential", "UpdateCredential")
	}
	answer, body := w.post(t, "connect", url.Values{"kind": {"basic"}, "name": {"other"}, "login": {"kept"}, "scope": {"scim"}, "networks": {"nowhere"}})
	if answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, "neither an address nor a network") || !strings.Contains(body, `value="kept"`) {
		t.Errorf("%s\n%s", answer.Status, body)
	}
}

// A secret is shown by the answer to the POST alone; the old one stays good for as long
// as somebody said.
func TestRotate_Overlap(t *testing.T) {
	w := newWorld(t)
	old := w.credential(t, &musterv1.Credential{Name: "cyberark", Scopes: []string{"scim"}})
	shown := func(overlap string) string {
		answer, body := w.post(t, "credentials/cyberark/rotate", url.Values{"overlap": {overlap}})
		_, after, _ := strings.Cut(body, `<span class="paste secret"><code>`)
		secret, _, _ := strings.Cut(after, "<")
		if answer.Header.Get("Cache-Control") != "no-store" || len(secret) < 20 {
			t.Fatalf("%s: %v, %q", answer.Status, answer.Header, secret)
		}
		return secret
	}
	second := shown("24h")
	w.scim(t, old, "/Users?count=1", http.StatusOK)
	w.scim(t, second, "/Users?count=1", http.StatusOK)
	third := shown("0s")
	w.scim(t, second, "/Users?count=1", http.StatusUnauthorized)
	w.scim(t, third, "/Users?count=1", http.StatusOK)
	w.audited(t, "default/cyberark", "RotateCredential")
}

// What a client would have changed is told in numbers and one by one; then it is made
// live.
func TestPreview_Report(t *testing.T) {
	c := newCompany(t)
	for _, want := range []string{"edna@example.com", "would be created", "mallory.xi@example.com", "would be deleted", "Teachers", "would fail"} {
		c.eventually(t, "credentials/rehearsal/preview", want)
	}
	if answer, _ := c.post(t, "credentials/rehearsal/to-live", nil); answer.StatusCode != http.StatusSeeOther {
		t.Error(answer.Status)
	}
	out, err := c.credentials.GetCredential(c.ctx, &musterv1.GetCredentialRequest{Name: "rehearsal"})
	if err != nil || out.GetCredential().GetMode() != musterv1.Credential_MODE_LIVE {
		t.Errorf("%v, %v", out, err)
	}
}

// A tenant is deleted only by who types its name.
func TestTenant_Life(t *testing.T) {
	w := newWorld(t)
	w.post(t, "tenants-new", url.Values{"name": {"acme"}, "profile": {"strict"}, "deprovision": {"disable"}, "rate": {"12.5"}, "burst": {"40"}})
	out, err := w.tenants.GetTenant(w.ctx, &musterv1.GetTenantRequest{Name: "acme"})
	row := tenantRowOf(out.GetTenant())
	if err != nil || !row.Strict() || !row.Disables() || row.GetLimits().GetRequestsPerSecond() != 12.5 || row.GetLimits().GetBurst() != 40 || row.GetLimits().ConcurrentRequests != nil {
		t.Fatalf("%v, %v", out, err)
	}
	if answer, body := w.post(t, "tenants/acme", url.Values{"rate": {"many"}}); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, `value="many"`) {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	w.post(t, "tenants/acme", url.Values{"profile": {"tolerant"}})
	w.post(t, "tenants/acme/suspend", nil)
	if answer, _ := w.post(t, "tenants/acme/delete", url.Values{"typed": {"acm"}}); answer.StatusCode != http.StatusBadRequest {
		t.Error(answer.Status)
	}
	if out, err = w.tenants.GetTenant(w.ctx, &musterv1.GetTenantRequest{Name: "acme"}); err != nil || !tenantRowOf(out.GetTenant()).Suspended() || out.GetTenant().GetLimits().RequestsPerSecond != nil {
		t.Fatalf("%v, %v", out, err)
	}
	if answer, body := w.post(t, "tenants/acme/delete", url.Values{"typed": {"acme"}}); answer.StatusCode != http.StatusSeeOther {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	if _, err := w.tenants.GetTenant(w.ctx, &musterv1.GetTenantRequest{Name: "acme"}); reasonOf(err) != "notFound" {
		t.Errorf("it is still there: %v", err)
	}
	w.audited(t, "acme", "CreateTenant", "UpdateTenant", "SuspendTenant", "DeleteTenant")
}

// The panel tells from calls how far a client is.
func TestConnection_State(t *testing.T) {
	const name = "cyberark"
	call := func(credential, path string, status int32) *musterv1.LoggedExchange {
		return &musterv1.LoggedExchange{Door: musterv1.Door_DOOR_REST, Time: timestamppb.Now(), Method: http.MethodGet, Path: scimPath + path, Status: status, Credential: credential}
	}
	config, types, schemas, users := call(name, "/ServiceProviderConfig", 200), call(name, "//ResourceTypes/User", 200), call(name, "/Schemas", 200), call(name, "/Users?count=1", 200)
	stranger := call("", "/ServiceProviderConfig", 401)
	for _, of := range []struct {
		name  string
		calls []*musterv1.LoggedExchange
		want  string
	}{
		{"nothing came", nil, stateWaiting},
		{"some was read", []*musterv1.LoggedExchange{config, types}, stateGoing},
		{"all was read", []*musterv1.LoggedExchange{config, types, schemas}, stateGood},
		{"all was read, and users", []*musterv1.LoggedExchange{config, types, schemas, users}, stateGood},
		{"a wrong secret", []*musterv1.LoggedExchange{stranger}, stateBad},
		{"a wrong secret, and then the right one", []*musterv1.LoggedExchange{stranger, config}, stateGoing},
		{"another client's wrong secret, later", []*musterv1.LoggedExchange{config, types, schemas, stranger}, stateGood},
		{"refused later", []*musterv1.LoggedExchange{config, types, schemas, users, call(name, "/Users", 403)}, stateBad},
		{"refused, and let in again", []*musterv1.LoggedExchange{config, types, schemas, users, call(name, "/Users", 403), users}, stateGood},
		{"a filter that is wrong, in a sync", []*musterv1.LoggedExchange{config, types, schemas, users, call(name, "/Users?filter=x", 400)}, stateGood},
		{"a look for SCIM 1.1", []*musterv1.LoggedExchange{config, call(name, "/ServiceProviderConfigs", 404)}, stateGoing},
		{"another credential's calls", []*musterv1.LoggedExchange{call("other", "/Schemas", 200), call("other", "/Users", 403)}, stateWaiting},
	} {
		n := newConnection(credentialRowOf(&musterv1.Credential{Name: name, CreateTime: timestamppb.New(time.Now().Add(-time.Hour))}))
		for _, e := range of.calls {
			n.add(e)
		}
		if got := n.State(); got != of.want {
			t.Errorf("%s: %s and not %s", of.name, got, of.want)
		}
	}
}

// An operator of another tenant connects clients of that one: there is no page of tenants
// for him, and he is not told who was refused elsewhere.
func TestCredentials_OfAnotherTenant(t *testing.T) {
	c := newCompany(t)
	c.eventually(t, "credentials", "What it showed is no secret of this server")
	link, err := newCore(c.server.LocalConn()).operators.CreateLoginLink(t.Context(), &musterv1.CreateLoginLinkRequest{Tenant: "acme", Operator: "wile@acme.example", Role: musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR})
	if err != nil {
		t.Fatal(err)
	}
	in, err := c.console.operators.SignIn(t.Context(), &musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: link.GetSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	c.session = &session{Operator: "wile@acme.example", Role: "administrator", Tenant: "acme", secret: in.GetSecret()}
	if answer, body := c.post(t, "connect", url.Values{"kind": {"bearer"}, "name": {"cyberark"}, "scope": {"scim"}}); answer.StatusCode != http.StatusOK || !strings.Contains(body, "https://scim.example.com/t/acme/scim/v2") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	_, body := c.get(t, "credentials")
	for _, not := range []string{"rehearsal", "no secret of this server", tenantsPath} {
		if strings.Contains(body, not) {
			t.Errorf("the page has %q", not)
		}
	}
	if answer, _ := c.get(t, "tenants"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("the tenants: %s", answer.Status)
	}
	if answer, _ := c.get(t, "credentials/rehearsal"); answer.StatusCode != http.StatusNotFound {
		t.Errorf("a credential of another tenant: %s", answer.Status)
	}
}
