package test

import (
	"net/http"
	"strings"
	"testing"
)

// A tenant's client profile decides where clients contradict each other, from the
// next request on.
func TestProfiles(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		id := p.must(t, 201, http.MethodPost, "/Users", `{"userName":"of-profiles"}`)["id"].(string)
		const unmatched = `{"Operations":[{"op":"replace","path":"emails[type eq \"work\"].value","value":"a@x.example"}]}`
		set := func(profile string) {
			t.Helper()
			if out, err := command(p.database, "tenant", "set", "default", "--profile", profile).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		set("strict")
		if r := p.must(t, 400, http.MethodPatch, "/Users/"+id, unmatched); r["scimType"] != "noTarget" {
			t.Errorf("an address that is not there: %v", r)
		}
		p.must(t, 204, http.MethodPatch, "/Users/"+id, `{"Operations":[{"op":"add","path":"title","value":"T"}]}`)
		if r := p.must(t, 200, http.MethodPatch, "/Users/"+id+"?attributes=title", `{"Operations":[{"op":"add","path":"title","value":"U"}]}`); r["title"] != "U" {
			t.Errorf("a patch that names attributes answers %v", r)
		}
		set("tolerant")
		if r := p.must(t, 200, http.MethodPatch, "/Users/"+id, unmatched); r["emails"] == nil {
			t.Errorf("the address is not made: %v", r)
		}
		if out, err := command(p.database, "tenant", "set", "default", "--profile", "lenient").CombinedOutput(); err == nil {
			t.Errorf("a profile that is none: %s", out)
		}
		if out, err := command(p.database, "tenant", "set", "nobody", "--profile", "strict").CombinedOutput(); err == nil {
			t.Errorf("a tenant that is not there: %s", out)
		}
		out, err := command(p.database, "tenant", "list").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "tolerant") {
			t.Errorf("%v: %s", err, out)
		}
	})
}
