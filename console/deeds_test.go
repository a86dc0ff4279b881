package console

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/test/postgres"
)

// notDeeds are the forms that do nothing which anybody would look for in a log.
var notDeeds = map[string]string{
	"POST /theme": "colours are a cookie of the browser's",
}

// A trial is one deed of an operator, on something that was made for it.
type trial struct {
	*world
	*testing.T

	name     string // of nothing else
	operator string // whose name the event has to have
	log      string // the tenant whose log has it; empty: the operator's
	about    string // the resource id that it has to have; empty: any
}

// send does it by a form, and is the answer.
func (x *trial) send(path string, form url.Values) *http.Response {
	x.Helper()
	answer, _ := x.post(x.T, path, form)
	return answer
}

// ok is for what a trial prepares.
func (x *trial) ok(err error) {
	x.Helper()
	if err != nil {
		x.Fatal(err)
	}
}

// ofCredential makes a credential, and is its path.
func (x *trial) ofCredential(mode musterv1.Credential_Mode) string {
	x.credential(x.T, &musterv1.Credential{Name: x.name, Scopes: []string{"scim"}, Mode: mode})
	x.about = "default/" + x.name
	return "credentials/" + x.name
}

func (x *trial) ofTenant() string {
	_, err := x.tenants.CreateTenant(x.ctx, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: x.name}})
	x.ok(err)
	x.about = x.name
	return "tenants/" + x.name
}

func (x *trial) ofSuspended() string {
	path := x.ofTenant()
	_, err := x.tenants.SuspendTenant(x.ctx, &musterv1.SuspendTenantRequest{Name: x.name})
	x.ok(err)
	return path
}

func (x *trial) ofRecording() string {
	x.credential(x.T, &musterv1.Credential{Name: x.name, Scopes: []string{"scim"}})
	out, err := x.recordings.StartRecording(x.ctx, &musterv1.StartRecordingRequest{Credential: x.name, Duration: durationpb.New(time.Hour)})
	x.ok(err)
	x.about = out.GetRecording().GetId()
	return "activity/recordings/" + x.about
}

func (x *trial) ofWebhook() string {
	_, err := x.subscriptions.CreateSubscription(x.ctx, &musterv1.CreateSubscriptionRequest{Subscription: &musterv1.Subscription{
		Name: x.name, Delivery: &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{}},
	}})
	x.ok(err)
	x.about = "default/" + x.name
	return "settings/webhooks/" + x.name
}

func (x *trial) ofProvider() string {
	_, err := x.operators.SetSignInProvider(x.ctx, &musterv1.SetSignInProviderRequest{Provider: &musterv1.SignInProvider{
		Name: x.name, Kind: musterv1.SignInProvider_KIND_OIDC, OfKind: &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: "https://login.example.com", ClientId: "muster"}},
		Roles: []*musterv1.RoleMapping{{Attribute: "groups", Value: "staff", Role: asViewer}},
	}})
	x.ok(err)
	x.about = "default/" + x.name
	return "settings/sign-in/" + x.name
}

// providerEntry is what somebody enters of a provider.
func (x *trial) providerEntry() url.Values {
	return url.Values{"name": {x.name}, "issuer": {"https://login.example.com"}, "client": {"muster"}, "attribute": {"groups"}, "value": {"staff"}, "role": {"viewer"}}
}

// schemaText is an extension that nothing uses.
func (x *trial) schemaText() string {
	return `{"id": "urn:example:` + x.name + `", "name": "Idle", "attributes": [{"name": "a", "type": "string"}]}`
}

// browser is another one, in which nobody is signed in.
func (x *trial) browser() *signInWorld {
	jar, err := cookiejar.New(nil)
	x.ok(err)
	return newSignInWorldOn(x.T, x.server, jar)
}

// trials are how each deed is done, by the pattern of its route.
var trials = map[string]func(*trial) *http.Response{
	"POST /users/{id}/deactivate": func(x *trial) *http.Response {
		x.about = x.user(x.T, &musterv1.User{UserName: x.name}).GetId()
		return x.send("users/"+x.about+"/deactivate", nil)
	},
	"POST /users/{id}/activate": func(x *trial) *http.Response {
		x.about = x.user(x.T, &musterv1.User{UserName: x.name, Active: new(false)}).GetId()
		return x.send("users/"+x.about+"/activate", nil)
	},
	"POST /groups/{id}/members/{member}/remove": func(x *trial) *http.Response {
		member := x.user(x.T, &musterv1.User{UserName: x.name}).GetId()
		x.about = x.group(x.T, x.name, member).GetId()
		return x.send("groups/"+x.about+"/members/"+member+"/remove", nil)
	},
	"POST /health/stale/delete": func(x *trial) *http.Response {
		id := x.group(x.T, x.name).GetId()
		x.age(x.T, id, 40)
		return x.send("health/stale/delete?days=30", url.Values{"id": {id}})
	},

	"POST /connect": func(x *trial) *http.Response {
		return x.send("connect", url.Values{"kind": {"bearer"}, "name": {x.name}, "scope": {"scim"}})
	},
	"POST /credentials/{name}/edit": func(x *trial) *http.Response {
		return x.send(x.ofCredential(musterv1.Credential_MODE_LIVE)+"/edit", url.Values{"scope": {"scim:read"}})
	},
	"POST /credentials/{name}/rotate": func(x *trial) *http.Response {
		return x.send(x.ofCredential(musterv1.Credential_MODE_LIVE)+"/rotate", url.Values{"overlap": {"0s"}})
	},
	"POST /credentials/{name}/revoke": func(x *trial) *http.Response {
		return x.send(x.ofCredential(musterv1.Credential_MODE_LIVE)+"/revoke", nil)
	},
	"POST /credentials/{name}/to-live": func(x *trial) *http.Response {
		return x.send(x.ofCredential(musterv1.Credential_MODE_PREVIEW)+"/to-live", nil)
	},
	"POST /credentials/{name}/to-preview": func(x *trial) *http.Response {
		return x.send(x.ofCredential(musterv1.Credential_MODE_LIVE)+"/to-preview", nil)
	},

	"POST /schemas-new": func(x *trial) *http.Response {
		return x.send("schemas-new", url.Values{"text": {x.schemaText()}})
	},
	"POST /schemas/{name}/remove": func(x *trial) *http.Response {
		urn := "urn:example:" + x.name
		_, err := x.registry.Register(x.ctx, &musterv1.RegisterRequest{Schemas: []*musterv1.Schema{{Id: urn, Name: "Idle", Attributes: []*musterv1.Attribute{{Name: "a", Type: musterv1.Attribute_TYPE_STRING}}}}})
		x.ok(err)
		return x.send("schemas/"+urn+"/remove", nil)
	},

	"POST /tenants-new":            func(x *trial) *http.Response { return x.send("tenants-new", url.Values{"name": {x.name}}) },
	"POST /tenants/{name}":         func(x *trial) *http.Response { return x.send(x.ofTenant(), url.Values{"profile": {"strict"}}) },
	"POST /tenants/{name}/suspend": func(x *trial) *http.Response { return x.send(x.ofTenant()+"/suspend", nil) },
	"POST /tenants/{name}/resume": func(x *trial) *http.Response {
		return x.send(x.ofSuspended()+"/resume", nil)
	},
	"POST /tenants/{name}/delete": func(x *trial) *http.Response {
		return x.send(x.ofSuspended()+"/delete", url.Values{"typed": {x.name}})
	},
	"POST /tenant": func(x *trial) *http.Response {
		x.ofTenant()
		x.log = x.name
		return x.send("tenant", url.Values{"tenant": {x.name}})
	},

	"POST /activity/recordings/start": func(x *trial) *http.Response {
		x.credential(x.T, &musterv1.Credential{Name: x.name, Scopes: []string{"scim"}})
		return x.send("activity/recordings/start", url.Values{"credential": {x.name}, "time": {"15m"}, "most": {"10"}})
	},
	"POST /activity/recordings/{id}/stop":   func(x *trial) *http.Response { return x.send(x.ofRecording()+"/stop", nil) },
	"POST /activity/recordings/{id}/delete": func(x *trial) *http.Response { return x.send(x.ofRecording()+"/delete", nil) },
	"GET /activity/recordings/{id}/export":  func(x *trial) *http.Response { return x.look(x.ofRecording() + "/export") },
	"GET /activity/export": func(x *trial) *http.Response {
		x.look("activity") // what is looked at again and again is one event, and not this one
		return x.look("activity/export?credential=nobody")
	},
	"GET /audit/export": func(x *trial) *http.Response {
		x.look("audit")
		return x.look("audit/export?method=CreateUser")
	},
	"GET /audit/verify": func(x *trial) *http.Response { return x.look("audit/verify") },

	"POST /settings/sessions/link": func(x *trial) *http.Response {
		return x.send("settings/sessions/link", url.Values{"operator": {x.name}, "role": {"viewer"}})
	},
	"POST /settings/sessions/{id}/end": func(x *trial) *http.Response {
		out, err := x.console.operators.SignIn(x.Context(), &musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: x.linkSecret()}})
		x.ok(err)
		x.about = out.GetSession().GetId()
		return x.send("settings/sessions/"+x.about+"/end", nil)
	},
	"POST /settings/sign-in-new":           func(x *trial) *http.Response { return x.send("settings/sign-in-new", x.providerEntry()) },
	"POST /settings/sign-in/{name}":        func(x *trial) *http.Response { return x.send(x.ofProvider(), x.providerEntry()) },
	"POST /settings/sign-in/{name}/delete": func(x *trial) *http.Response { return x.send(x.ofProvider()+"/delete", nil) },

	"POST /settings/webhooks-new": func(x *trial) *http.Response {
		return x.send("settings/webhooks-new", url.Values{"name": {x.name}, "by": {"poll"}})
	},
	"POST /settings/webhooks/{name}/pause": func(x *trial) *http.Response {
		return x.send(x.ofWebhook()+"/pause", url.Values{"paused": {"1"}})
	},
	"POST /settings/webhooks/{name}/retry":   func(x *trial) *http.Response { return x.send(x.ofWebhook()+"/retry", nil) },
	"POST /settings/webhooks/{name}/discard": func(x *trial) *http.Response { return x.send(x.ofWebhook()+"/discard", nil) },
	"POST /settings/webhooks/{name}/skip":    func(x *trial) *http.Response { return x.send(x.ofWebhook()+"/skip", nil) },
	"POST /settings/webhooks/{name}/delete":  func(x *trial) *http.Response { return x.send(x.ofWebhook()+"/delete", nil) },

	"POST /signin": func(x *trial) *http.Response {
		x.operator = x.name
		return x.send("signin", url.Values{"secret": {x.linkSecret()}})
	},
	"POST /saml/acs": func(x *trial) *http.Response {
		w := x.browser()
		idp := newIDP(x.T, w)
		w.trust(x.T, idp, false)
		x.operator = "grace@example.com"
		answer, _ := w.bring(x.T, answers(x.T, idp, w.asks(x.T), forgery{}))
		return answer
	},
	"GET /oidc/callback": func(x *trial) *http.Response {
		w := x.browser()
		newOpenIDProvider(x.T, w, "test-user@127.0.0.1")
		x.operator = "test-user@zitadel.ch"
		answer, _ := w.do(x.T, http.MethodGet, w.signsInThere(x.T), nil)
		return answer
	},
	"POST /signout": func(x *trial) *http.Response { return x.send("signout", nil) },
}

// look asks for a page.
func (x *trial) look(path string) *http.Response {
	x.Helper()
	answer, _ := x.get(x.T, path)
	return answer
}

// linkSecret is the secret of a login link.
func (x *trial) linkSecret() string {
	out, err := x.operators.CreateLoginLink(x.ctx, &musterv1.CreateLoginLinkRequest{Operator: x.name, Role: asViewer})
	x.ok(err)
	return out.GetSecret()
}

// Whatever an operator does in the console is in the audit log with his name; so is what
// the console refuses him for his role. Every route that does something is tried, by each
// role: one without a trial fails here.
func TestEveryDeed_IsAudited(t *testing.T) {
	for _, rt := range routes {
		does, tried := rt.does != nothing, trials[rt.pattern] != nil
		if strings.HasPrefix(rt.pattern, "POST ") && notDeeds[rt.pattern] == "" && (!does || !tried) {
			t.Errorf("%s has no deed in routes, or none here", rt.pattern)
		}
		if does != tried {
			t.Errorf("%s is a deed: %v; and tried: %v", rt.pattern, does, tried)
		}
	}
	for database, at := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite://" + filepath.Join(t.TempDir(), "muster.db") },
		"PostgreSQL": func(t *testing.T) string { t.Helper(); return postgres.URL(t) },
	} {
		t.Run(database, func(t *testing.T) {
			w, n := newWorldOn(t, at(t)), 0
			for _, rt := range routes {
				for _, role := range []string{"viewer", "operator", "administrator"} {
					if trials[rt.pattern] == nil || rt.needs == open && role != "viewer" {
						continue
					}
					n++
					t.Run(strings.ReplaceAll(rt.pattern, "/", " ")+" as "+role, func(t *testing.T) { w.try(t, rt, role, fmt.Sprint("n", n)) })
				}
			}
		})
	}
}

// try does the deed of a route as one role, and looks for its event.
func (w *world) try(t *testing.T, rt route, role, name string) {
	t.Helper()
	x := &trial{world: w, T: t, name: name, operator: name + "@" + role + ".example.com"}
	w.signInAs(x.operator, role)
	may := w.session.can(rt.needs)
	answer := trials[rt.pattern](x)
	outcome := "ok"
	if !may {
		outcome, x.log = "forbidden", ""
	}
	if may && answer.StatusCode >= 400 || !may && answer.StatusCode != http.StatusForbidden {
		t.Fatalf("it is answered %s", answer.Status)
	}
	method := strings.TrimPrefix(rt.does.method, "/")
	found := false
	for end := time.Now().Add(20 * time.Second); !found && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		out, err := w.audit.ListAuditEvents(w.ctx, &musterv1.ListAuditEventsRequest{
			RequestId: answer.Header.Get("X-Request-ID"), Tenant: x.log,
			WithoutReads: rt.pattern != "GET /audit/verify", // to verify is to look; all else is shown at once
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range out.GetEvents() {
			if e.GetOperator() != x.operator || e.GetCredential() != "console" {
				t.Fatalf("not by %s: %v", x.operator, e)
			}
			found = found || e.GetMethod() == method && e.GetOutcome() == outcome && (x.about == "" || e.GetResourceId() == x.about)
		}
	}
	if !found {
		t.Errorf("the audit log has no %s %s of %q by %s", method, outcome, x.about, x.operator)
	}
}

// To look at a page does nothing: the audit log has no deed of it. A route that does
// something by GET has to have a deed in routes.
func TestToLook_IsNoDeed(t *testing.T) {
	c := newCompany(t)
	asked := make(map[string]string)
	for _, rt := range routes {
		if method, path := c.pathOf(rt); method == http.MethodGet && rt.does == nothing {
			answer, _ := c.get(t, path)
			asked[answer.Header.Get("X-Request-ID")] = rt.pattern
		}
	}
	c.logged(t, c.session.Operator) // and all that came before
	req := &musterv1.ListAuditEventsRequest{WithoutReads: true, Operator: c.session.Operator, PageSize: 1000}
	out, err := c.audit.ListAuditEvents(c.ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range out.GetEvents() {
		if pattern := asked[e.GetRequestId()]; pattern != "" && e.GetOutcome() == "ok" && !strings.HasPrefix(e.GetDetail(), "a dry run") {
			t.Errorf("%s did %v", pattern, e)
		}
	}
}

// logged waits until a look of the operator is in the audit log.
func (w *world) logged(t *testing.T, operator string) {
	t.Helper()
	answer, _ := w.get(t, "audit/verify")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		out, err := w.audit.ListAuditEvents(w.ctx, &musterv1.ListAuditEventsRequest{RequestId: answer.Header.Get("X-Request-ID"), Operator: operator})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.GetEvents()) > 0 {
			return
		}
	}
	t.Fatal("the audit log does not have it")
}
