package test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const tokenOfOther = "token-of-the-other"

// twoTenants is a server with two tenants, and what the first one has.
type twoTenants struct {
	*program

	user, second, group, own, cursor, recording string
	origin                                      string
	n                                           int // of what the second sent
}

func (p *program) twoTenants(t *testing.T) *twoTenants {
	t.Helper()
	o := &twoTenants{program: p, origin: strings.TrimSuffix(p.base, "/scim/v2")}
	admin := p.credential(t, "ops-of-one", "admin")
	mustRun(t, p.schema(admin, "add", write(t, filepath.Join(t.TempDir(), "own.json"), own)))
	id := func(path, body string) string { return p.must(t, 201, http.MethodPost, path, body)["id"].(string) }
	o.user = id("/Users", `{"userName":"user-`+mark+`","title":"`+mark+`"}`)
	o.second = id("/Users", `{"userName":"second-`+mark+`"}`)
	o.group = id("/Groups", `{"displayName":"group-`+mark+`","members":[{"value":"`+o.user+`"}]}`)
	o.own = id("/Owns", `{"schemas":["urn:example:own"],"a":"`+mark+`"}`)
	p.must(t, 200, http.MethodPost, "/Bulk", `{"Operations":[`+post("/Users", "bulk-id-of-one", "bulk-"+mark, "")+`]}`)
	o.cursor, _ = p.must(t, 200, http.MethodGet, "/Users?cursor&count=1", "")["nextCursor"].(string)
	o.recording = p.record(t)
	p.runs(t, "subscription", "create", "of-one", "--poll", "--audience", mark, "--from", "beginning")
	id("/Users", `{"userName":"recorded-`+mark+`"}`)
	if o.cursor == "" || o.recording == "" {
		t.Fatalf("there is no cursor or no recording: %+v", o)
	}
	addTenant(t, p.database, tokenOfOther, "scim admin")
	mustRun(t, command(p.database, "credential", "create", "secret-"+mark, "--scope", "scim"))
	return o
}

// asks is a request of the second tenant, whose answer must tell nothing of the first
// but what was sent.
func (o *twoTenants) asks(t *testing.T, method, path, body string, header ...string) reply {
	t.Helper()
	o.n++
	got := o.rest(t, method, path, body, append([]string{"Authorization", "Bearer " + tokenOfOther}, header...)...)
	said := string(got.body) + fmt.Sprint(got.header)
	for _, of := range []string{mark, o.user, o.second, o.group, o.own} {
		if strings.Contains(said, of) && !strings.Contains(path+body, of) {
			t.Errorf("%s %s %s tells of the first tenant: %s", method, path, body, said)
		}
	}
	return got
}

// body is what a route is sent, with references to an id.
func (o *twoTenants) body(r route, id string) string {
	switch {
	case r.method == http.MethodGet || r.method == http.MethodDelete:
		return ""
	case strings.HasSuffix(r.path, "/.search"):
		return `{"count":100,"filter":"id eq \"` + id + `\" or members.value eq \"` + id + `\" or manager.value eq \"` + id + `\""}`
	case strings.HasSuffix(r.path, "/Bulk"):
		return `{"Operations":[{"method":"PATCH","path":"/Users/` + id + `","data":{"Operations":[{"op":"replace","path":"title","value":"x"}]}}]}`
	case r.method == http.MethodPatch && strings.HasPrefix(r.path, "/scim"):
		return `{"Operations":[{"op":"add","value":{"externalId":"` + id + `"}}]}`
	case strings.HasPrefix(r.path, "/scim"):
		return fmt.Sprintf(`{"userName":"own-%d","displayName":"own-%d",%s,%s}`, o.n, o.n, members(id), manager(id))
	case strings.HasSuffix(r.template, "registrations"):
		return `{"schemas":[{"id":"urn:example:x","attributes":[{"name":"a"}]}]}`
	}
	return `{}`
}

// The second tenant's credential gets nothing of the first by any route of REST: what
// is the first's is for it as what is not there, and what names the first is refused.
func TestTenants_GetNothingOfEachOtherOverREST(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		o := p.twoTenants(t)
		before := o.everythingOfREST(t)
		ids, nobody := []string{o.user, o.group, o.own, o.recording}, "00000000-0000-7000-8000-000000000000"
		of := func(template, tenant, id, resourceType string) string {
			return strings.NewReplacer("{id}", id, "{resource_type}", resourceType, "{tenant}", tenant, "{credential.tenant}", tenant, "{tenant.name}", tenant,
				"{name}", map[bool]string{true: "bootstrap", false: tenant}[strings.Contains(template, "/credentials/")], "{credential.name}", "bootstrap",
				"{subscription.tenant}", tenant, "{subscription}", "of-one", "{subscription.name}", "of-one").Replace(template)
		}
		named := 0
		for _, r := range routes(t) {
			for _, id := range ids {
				for _, rt := range []string{"Users", "Groups", "Owns"}[:1+2*strings.Count(r.template, "{resource_type}")] {
					path := of(r.template, "default", id, rt)
					if !strings.HasPrefix(r.path, "/scim") {
						got := o.asks(t, r.method, o.origin+path, o.body(r, id), "Content-Type", "application/json")
						if path != r.template && got.status != 403 && got.status != 404 {
							t.Errorf("%s %s: %d %s", r.method, path, got.status, got.body)
						}
						continue
					}
					if got := o.asks(t, r.method, o.origin+"/t/default"+path, o.body(r, id)); got.status != 403 {
						t.Errorf("%s /t/default%s: %d %s", r.method, path, got.status, got.body)
					}
					got := o.asks(t, r.method, o.origin+path, o.body(r, id))
					if !strings.Contains(r.template, "{id}") {
						continue
					}
					// Not to be told from an id that nobody has.
					none := o.asks(t, r.method, o.origin+of(r.template, "default", nobody, rt), o.body(r, nobody))
					want := strings.ReplaceAll(string(none.body), nobody, id)
					if named++; got.status != none.status || string(got.body) != want || got.status < 400 {
						t.Errorf("%s %s: %d %s, want %d %s", r.method, path, got.status, got.body, none.status, want)
					}
				}
			}
		}
		if named < 60 || o.n < 250 {
			t.Errorf("%d requests, %d with an id: this test looks in the wrong place", o.n, named)
		}
		o.isStill(t, before)
	})
}

// everythingOfREST is everything, with what is registered and recorded.
func (o *twoTenants) everythingOfREST(t *testing.T) string {
	t.Helper()
	return o.everything(t) + string(o.rest(t, http.MethodGet, "/Owns", "").body) + "\n" + string(o.rest(t, http.MethodGet, "/Schemas", "").body) +
		"\n" + string(o.rest(t, http.MethodGet, "/Groups/"+o.group, "").body) + "\nrecordings: " + strings.Join(regexp.MustCompile(`"(id|running)":[^,}]*`).FindAllString(o.runs(t, "recording", "list", "--json"), -1), " ")
}

// isStill tells that the first tenant has what it had.
func (o *twoTenants) isStill(t *testing.T, before string) {
	t.Helper()
	was, is := strings.Split(before, "\n"), strings.Split(o.everythingOfREST(t), "\n")
	for i := range max(len(was), len(is)) {
		if i >= len(was) || i >= len(is) || was[i] != is[i] {
			t.Errorf("the first tenant has changed: it was\n%s\nand is\n%s", strings.Join(was[min(i, len(was)):], "\n"), strings.Join(is[min(i, len(is)):], "\n"))
			return
		}
	}
}

// The first tenant's ETags and cursors say nothing to the second, not even that they
// are right.
func TestTenants_ForeignVersionsAndCursors(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		o := p.twoTenants(t)
		before := o.everythingOfREST(t)
		for at, body := range map[string]string{"/Users/" + o.user: `{"userName":"own"}`, "/Groups/" + o.group: `{"displayName":"own"}`} {
			tag := o.rest(t, http.MethodGet, at, "").header.Get("ETag")
			if tag == "" {
				t.Fatal("there is no ETag")
			}
			for _, condition := range []string{"If-Match", "If-None-Match"} {
				for _, version := range []string{tag, `W/"999"`, "*"} {
					for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
						sent := map[string]string{http.MethodPut: body, http.MethodPatch: `{"Operations":[{"op":"replace","path":"externalId","value":"x"}]}`}[method]
						if got := o.asks(t, method, at, sent, condition, version); got.status != 404 {
							t.Errorf("%s with %s: %s: %d %s", method, condition, version, got.status, got.body)
						}
					}
				}
			}
		}
		cursor := url.QueryEscape(o.cursor)
		for _, query := range []string{"cursor=" + cursor, "cursor=" + cursor + "&count=1", "count=100&cursor=" + cursor} {
			if got := o.asks(t, http.MethodGet, "/Users?"+query, ""); got.status != 400 || got.json(t)["scimType"] != "invalidCursor" {
				t.Errorf("a cursor: %d %s", got.status, got.body)
			}
		}
		if got := o.asks(t, http.MethodPost, "/Users/.search", `{"count":1,"cursor":"`+o.cursor+`"}`); got.status != 400 || got.json(t)["scimType"] != "invalidCursor" {
			t.Errorf("a cursor in a search: %d %s", got.status, got.body)
		}
		o.must(t, 200, http.MethodGet, "/Users?count=1&cursor="+cursor, "") // it is good for its own
		o.isStill(t, before)
	})
}

// A bulk request reaches nothing of another tenant, by path, reference or bulkId.
func TestTenants_ForeignBulk(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		o := p.twoTenants(t)
		before := o.everythingOfREST(t)
		replace := func(path, value string) string {
			return `{"Operations":[{"op":"add","path":"` + path + `","value":` + value + `}]}`
		}
		for name, row := range map[string]struct{ ops, want string }{
			"paths": {`{"method":"PATCH","path":"/Users/` + o.user + `","data":` + replace("title", `"x"`) + `},
				{"method":"PUT","path":"/Users/` + o.user + `","data":{"userName":"own"}},
				{"method":"PUT","path":"/Users/` + o.user + `","version":"W/\"1\"","data":{"userName":"own"}},
				{"method":"DELETE","path":"/Users/` + o.second + `"},{"method":"DELETE","path":"/Groups/` + o.group + `","version":"W/\"1\""},
				{"method":"PATCH","path":"/Groups/` + o.group + `","data":` + replace("members", `[{"value":"`+o.second+`"}]`) + `}`, "404 404 404 404 404 404"},
			"references": {post("/Groups", "g", "own-g", members(o.user)) + "," + post("/Users", "u", "own-u", manager(o.user)) + "," + post("/Groups", "h", "own-h", members(o.group)), "400 400 400"},
			"own with references": {post("/Users", "a", "own-a", "") + "," + post("/Groups", "b", "own-b", members("bulkId:a")) +
				`,{"method":"PATCH","path":"/Groups/bulkId:b","data":` + replace("members", `[{"value":"`+o.user+`"}]`) + `}` +
				`,{"method":"PATCH","path":"/Users/bulkId:a","data":` + replace(enterprise+":manager", `{"value":"`+o.user+`"}`) + `}`, "201 201 400 400"},
			"bulkIds": {post("/Groups", "c", "own-c", members("bulkId:bulk-id-of-one")) + "," + post("/Users", "d", "own-d", manager("bulkId:"+o.user)) +
				`,{"method":"DELETE","path":"/Users/bulkId:bulk-id-of-one"}`, "same"},
		} {
			body := strings.ReplaceAll(`{"Operations":[`+row.ops+`]}`, "-#", "")
			got := o.asks(t, http.MethodPost, "/Bulk", body)
			if row.want == "same" { // as one that nobody ever had
				row.want = statuses(o.asks(t, http.MethodPost, "/Bulk", strings.NewReplacer("bulk-id-of-one", "nobodys", o.user, "nobodys-2").Replace(body)).json(t))
				if strings.Contains(row.want, "20") {
					t.Errorf("%s: %s", name, row.want)
				}
			}
			if got.status != 200 || statuses(got.json(t)) != row.want {
				t.Errorf("%s: %d %s, want %s: %s", name, got.status, statuses(got.json(t)), row.want, got.body)
			}
		}
		o.isStill(t, before)
	})
}

// The change log of a tenant is its own, whatever the filter names; so is a stream of
// it, from its snapshot on.
func TestTenants_ForeignChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		o := p.twoTenants(t)
		made := o.asks(t, http.MethodPost, "/Users", `{"userName":"own-user"}`).json(t)["id"].(string)
		group := o.asks(t, http.MethodPost, "/Groups", `{"displayName":"own-group","members":[{"value":"`+made+`"}]}`).json(t)["id"].(string)
		client := musterv1.NewChangeServiceClient(p.dial(t))
		for name, row := range map[string]struct {
			filter *musterv1.ChangeFilter
			own    bool
		}{
			"no filter":       {nil, true},
			"its own group":   {&musterv1.ChangeFilter{Groups: []string{group}}, true},
			"foreign groups":  {&musterv1.ChangeFilter{Groups: []string{o.group}}, false},
			"both":            {&musterv1.ChangeFilter{Groups: []string{o.group, group}}, true},
			"foreign, a type": {&musterv1.ChangeFilter{Groups: []string{o.group}, ResourceTypes: []string{"User"}}, false},
		} {
			listed, err := client.ListChanges(bearing(tokenOfOther), &musterv1.ListChangesRequest{Filter: row.filter})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			said := fmt.Sprint(listed.GetChanges())
			if strings.Contains(said, group) != row.own {
				t.Errorf("%s: it lists %s", name, said)
			}
			said += o.watches(t, client, name, row.filter, made, group, row.own)
			for _, of := range []string{mark, o.user, o.second, o.group, o.own} {
				if strings.Contains(said, of) {
					t.Errorf("%s tells of the first tenant: %s", name, said)
				}
			}
		}
		_, err := client.ListChanges(bearing(tokenOfOther), &musterv1.ListChangesRequest{Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"Own"}}})
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("a type that only the first has: %v", err)
		}
	})
}

// watches reads a stream with a snapshot, while both tenants change things, for as
// long as the second's own change takes to come; or a second, where it must not.
func (o *twoTenants) watches(t *testing.T, client musterv1.ChangeServiceClient, name string, filter *musterv1.ChangeFilter, made, group string, own bool) (said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(bearing(tokenOfOther), 20*time.Second)
	defer cancel()
	stream, err := client.WatchChanges(ctx, &musterv1.WatchChangesRequest{Filter: filter, Snapshot: true})
	if err != nil {
		t.Fatal(err)
	}
	for complete, changed := false, false; !changed; {
		event, err := stream.Recv()
		if err != nil {
			if own || !complete || status.Code(err) != codes.Canceled {
				t.Errorf("%s: the stream ends with %v after %s", name, err, said)
			}
			break
		}
		said += event.String()
		changed = event.GetChange() != nil
		if event.GetSnapshotComplete() != nil {
			complete = true
			if !strings.Contains(said, made) { // the snapshot asks for types alone
				t.Errorf("%s: the snapshot is %s", name, said)
			}
			o.n++
			patch := fmt.Sprintf(`{"Operations":[{"op":"replace","path":"externalId","value":"change %d"}]}`, o.n)
			o.must(t, 204, http.MethodPatch, "/Groups/"+o.group, patch)
			o.must(t, 204, http.MethodPatch, "/Groups/"+group, patch, "Authorization", "Bearer "+tokenOfOther)
			if !own {
				time.AfterFunc(time.Second, cancel)
			}
		}
	}
	return said
}
