package test

import (
	"net/http"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A tenant decides what a DELETE of a user does: through both doors, in a bulk too.
func TestTenant_DisablesOnDelete(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		user := func(name string) string {
			return p.must(t, 201, http.MethodPost, "/Users", `{"userName":"`+name+`","active":true}`)["id"].(string)
		}
		a, b, c := user("a"), user("b"), user("c")
		group := p.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"g","members":[{"value":"`+a+`"}]}`)["id"].(string)
		mustRun(t, command(p.database, "tenant", "set", "default", "--deprovision", "disable"))

		for range 2 {
			p.must(t, 204, http.MethodDelete, "/Users/"+a, "")
		}
		if u := p.must(t, 200, http.MethodGet, "/Users/"+a, ""); u["active"] != false || u["userName"] != "a" || len(u["groups"].([]any)) != 1 ||
			u["meta"].(map[string]any)["version"] != `W/"2"` {
			t.Errorf("the deleted user is %v", u)
		}
		p.must(t, 412, http.MethodDelete, "/Users/"+b, "", "If-Match", `W/"7"`)
		users := musterv1.NewProvisioningServiceClient(p.dial(t))
		if _, err := users.DeleteUser(authorized(), &musterv1.DeleteUserRequest{Id: b}); err != nil {
			t.Error(err)
		}
		out := p.must(t, 200, http.MethodPost, "/Bulk", `{"Operations":[{"method":"DELETE","path":"/Users/`+c+`"},{"method":"DELETE","path":"/Users/nobody"}]}`)
		if got := statuses(out); got != "204 404" {
			t.Errorf("in a bulk: %s", got)
		}
		for _, id := range []string{b, c} {
			if u := p.must(t, 200, http.MethodGet, "/Users/"+id, ""); u["active"] != false {
				t.Errorf("the deleted user is %v", u)
			}
		}
		p.must(t, 409, http.MethodPost, "/Users", `{"userName":"a"}`)
		p.must(t, 404, http.MethodDelete, "/Users/nobody", "")
		p.must(t, 204, http.MethodDelete, "/Groups/"+group, "") // only users are kept
		p.must(t, 404, http.MethodGet, "/Groups/"+group, "")

		mustRun(t, command(p.database, "tenant", "set", "default", "--deprovision", "delete"))
		p.must(t, 204, http.MethodDelete, "/Users/"+a, "")
		p.must(t, 404, http.MethodGet, "/Users/"+a, "")
	})
}

// A path may name the tenant, which must be the credential's.
func TestTenant_InThePath(t *testing.T) {
	p := start(t, sqliteURL(t))
	mustRun(t, command(p.database, "tenant", "create", "acme"))
	acme := "Bearer " + strings.Fields(mustRun(t, command(p.database, "credential", "create", "c", "--tenant", "acme", "--scope", "scim")))[0]
	origin := strings.TrimSuffix(p.base, "/scim/v2")
	base := origin + "/t/acme/scim/v2"
	r := p.rest(t, http.MethodPost, base+"/Users", `{"userName":"a"}`, "Authorization", acme)
	id, _ := r.json(t)["id"].(string)
	if want := base + "/Users/" + id; r.status != 201 || r.header.Get("Location") != want || r.json(t)["meta"].(map[string]any)["location"] != want {
		t.Errorf("status %d, %v, %s", r.status, r.header, r.body)
	}
	if r := p.rest(t, http.MethodGet, "/Users/"+id, "", "Authorization", acme); r.json(t)["meta"].(map[string]any)["location"] != p.base+"/Users/"+id {
		t.Errorf("without the tenant: %s", r.body)
	}
	for _, test := range []struct {
		path, authorization string
		want                int
	}{
		{"/t/acme/scim/v2/Users/" + id, acme, 200},
		{"//t//acme/scim//v2/Users/" + id + "/", acme, 200},
		{"/t/acme/scim/v2/ServiceProviderConfig", acme, 200},
		{"/t/default/scim/v2/Users", acme, 403},
		{"/t/nobody/scim/v2/Users", acme, 403},
		{"/t/acme/scim/v2/Users", "Bearer " + token, 403},
		{"/t/acme/scim/v2/Users", "Bearer wrong", 401},
		{"/t/acme/scim/v2/Users", "", 401},
		{"/t/a%2Fcme/scim/v2/Users", acme, 404},
		{"/t/acme%0d%0a/scim/v2/Users", acme, 404},
		{"/t/acme", acme, 404},
		{"/t/acme/admin/v1/tenants", acme, 404},
		{"/t/acme/t/acme/scim/v2/Users", acme, 404},
	} {
		r := p.rest(t, http.MethodGet, origin+test.path, "", "Authorization", test.authorization)
		if r.status != test.want || r.header.Get("Content-Type") != "application/scim+json" {
			t.Errorf("%s: status %d, want %d: %s", test.path, r.status, test.want, r.body)
		}
	}
}
