package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A bulkDoor sends a bulk request, written as over REST, through one of the doors.
// A request that is refused as a whole has a problem, which says why.
type bulkDoor struct {
	*program

	name string
	send func(t *testing.T, body string) (results []bulkResult, problem string)
}

// A bulkResult is the outcome of one operation. Its location is relative to the
// base URL, and its type is the scimType.
type bulkResult struct {
	Method   string `json:"method"`
	BulkID   string `json:"bulkId"`
	Location string `json:"location"`
	Version  string `json:"version"`
	Status   string `json:"status"`
	Type     string `json:"-"`
	Detail   string `json:"-"`
}

// id is the id in the location.
func (r bulkResult) id() string { return r.Location[strings.LastIndexByte(r.Location, '/')+1:] }

// throughBoth runs a test through REST and through gRPC, on both databases. Each
// run has a tag of its own, for names that must be unique.
func throughBoth(t *testing.T, test func(t *testing.T, d bulkDoor)) {
	t.Helper()
	onBoth(t, func(t *testing.T, p *program) {
		t.Run("REST", func(t *testing.T) { test(t, bulkDoor{p, "rest", p.bulkREST}) })
		t.Run("gRPC", func(t *testing.T) { test(t, bulkDoor{p, "grpc", p.bulkGRPC}) })
	})
}

func (p *program) bulkREST(t *testing.T, body string) ([]bulkResult, string) {
	t.Helper()
	r := p.rest(t, http.MethodPost, "/Bulk", body)
	if r.status != http.StatusOK {
		var e struct {
			Status   string `json:"status"`
			ScimType string `json:"scimType"`
			Detail   string `json:"detail"`
		}
		if err := json.Unmarshal(r.body, &e); err != nil || e.Status != fmt.Sprint(r.status) {
			t.Fatalf("not a SCIM error: %d %.300s", r.status, r.body)
		}
		return nil, fmt.Sprintf("%d %s %s", r.status, e.ScimType, e.Detail)
	}
	var answer struct {
		Schemas    []string `json:"schemas"`
		Operations []struct {
			bulkResult

			Response *struct {
				Schemas  []string `json:"schemas"`
				Status   string   `json:"status"`
				ScimType string   `json:"scimType"`
				Detail   string   `json:"detail"`
			} `json:"response"`
		} `json:"Operations"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		t.Fatalf("%v: %.300s", err, r.body)
	}
	if !slices.Equal(answer.Schemas, []string{"urn:ietf:params:scim:api:messages:2.0:BulkResponse"}) {
		t.Errorf("the schemas of the answer are %v", answer.Schemas)
	}
	var results []bulkResult
	for _, op := range answer.Operations {
		result := op.bulkResult
		result.Location = p.relative(t, result.Location)
		if op.Response != nil {
			if op.Response.Status != result.Status || len(op.Response.Schemas) != 1 {
				t.Errorf("%+v has the response %+v", result, op.Response)
			}
			result.Type, result.Detail = op.Response.ScimType, op.Response.Detail
		}
		results = append(results, result)
	}
	return results, ""
}

// relative cuts the base URL off a location.
func (p *program) relative(t *testing.T, location string) string {
	t.Helper()
	rest, ok := strings.CutPrefix(location, p.base)
	if !ok && location != "" {
		t.Errorf("the location %s is not below %s", location, p.base)
	}
	return rest
}

func (p *program) bulkGRPC(t *testing.T, body string) ([]bulkResult, string) {
	t.Helper()
	var sent struct {
		FailOnErrors int32 `json:"failOnErrors"`
		Operations   []struct {
			Method  string          `json:"method"`
			BulkID  string          `json:"bulkId"`
			Version string          `json:"version"`
			Path    string          `json:"path"`
			Data    json.RawMessage `json:"data"`
		} `json:"Operations"`
	}
	if err := json.Unmarshal([]byte(body), &sent); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	req := &musterv1.BulkRequest{FailOnErrors: sent.FailOnErrors}
	for _, op := range sent.Operations {
		method := musterv1.BulkOperation_Method_value["METHOD_"+op.Method]
		req.Operations = append(req.Operations, &musterv1.BulkOperation{
			Method: musterv1.BulkOperation_Method(method), BulkId: op.BulkID, Version: op.Version, Path: op.Path, Data: string(op.Data),
		})
	}
	answer, err := musterv1.NewProvisioningServiceClient(p.dial(t)).Bulk(authorized(), req)
	if err != nil {
		return nil, status.Code(err).String() + " " + status.Convert(err).Message()
	}
	var results []bulkResult
	for _, op := range answer.GetOperations() {
		result := bulkResult{
			Method: strings.TrimPrefix(op.GetMethod().String(), "METHOD_"), BulkID: op.GetBulkId(),
			Location: op.GetLocation(), Version: op.GetVersion(), Status: op.GetStatus(), Detail: op.GetError().GetDetail(),
		}
		if op.GetMethod() == musterv1.BulkOperation_METHOD_UNSPECIFIED {
			result.Method = ""
		}
		if reason := op.GetError().GetReason(); isSCIMType[reason] {
			result.Type = reason
		}
		results = append(results, result)
	}
	return results, ""
}

// isSCIMType are the words of RFC 7644 table 9.
var isSCIMType = map[string]bool{
	"invalidFilter": true, "tooMany": true, "uniqueness": true, "mutability": true, "invalidSyntax": true,
	"invalidPath": true, "noTarget": true, "invalidValue": true, "invalidVers": true, "sensitive": true,
}

// bulk sends operations and checks their statuses, and that the results stand in
// the order of the operations.
func (d bulkDoor) bulk(t *testing.T, statuses string, ops ...string) []bulkResult {
	t.Helper()
	results, problem := d.send(t, d.body(0, ops...))
	if problem != "" {
		t.Fatalf("the request is refused: %s", problem)
	}
	var got []string
	for _, r := range results {
		got = append(got, r.Status)
		failed := r.Status[0] != '2'
		if failed != (r.Detail != "") || (failed && r.Method == http.MethodPost) != (r.Location == "") {
			t.Errorf("a result that is neither success nor error: %+v", r)
		}
	}
	if strings.Join(got, " ") != statuses {
		t.Fatalf("the statuses are %v, want %s:\n%+v", got, statuses, results)
	}
	return results
}

// body writes a request; # in an operation is the tag of the run.
func (d bulkDoor) body(failOnErrors int, ops ...string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":%d,"Operations":[%s]}`,
		failOnErrors, strings.ReplaceAll(strings.Join(ops, ","), "#", d.name))
}

// count is how many resources of a type match a filter.
func (d bulkDoor) count(t *testing.T, endpoint, filter string) int {
	t.Helper()
	filter = strings.NewReplacer("#", d.name, " ", "+", `"`, "%22").Replace(filter)
	return int(d.must(t, 200, http.MethodGet, endpoint+"?filter="+filter, "")["totalResults"].(float64))
}

// values are the sorted values of a multi-valued attribute of a resource.
func (d bulkDoor) values(t *testing.T, location, attr string) []string {
	t.Helper()
	var ids []string
	list, _ := d.must(t, 200, http.MethodGet, location, "")[attr].([]any)
	for _, e := range list {
		ids = append(ids, e.(map[string]any)["value"].(string))
	}
	slices.Sort(ids)
	return ids
}

func (d bulkDoor) wantMembers(t *testing.T, location string, members ...string) {
	t.Helper()
	slices.Sort(members)
	if got := d.values(t, location, "members"); !slices.Equal(got, members) {
		t.Errorf("the members of %s are %v, want %v", location, got, members)
	}
}

const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

func (d bulkDoor) wantManager(t *testing.T, location, manager string) {
	t.Helper()
	ext, _ := d.must(t, 200, http.MethodGet, location, "")[enterprise].(map[string]any)
	if got, _ := ext["manager"].(map[string]any); got["value"] != manager {
		t.Errorf("the manager of %s is %v, want %s", location, got, manager)
	}
}

// post is an operation that creates a resource; rest are more members of it.
func post(endpoint, bulkID, name, rest string) string {
	attr := map[string]string{"/Users": "userName", "/Groups": "displayName"}[endpoint]
	if rest != "" {
		rest = "," + rest
	}
	return fmt.Sprintf(`{"method":"POST","path":%q,"bulkId":%q,"data":{%q:"%s-#"%s}}`, endpoint, bulkID, attr, name, rest)
}

func members(ids ...string) string {
	var list []string
	for _, id := range ids {
		list = append(list, fmt.Sprintf(`{"value":%q}`, id))
	}
	return `"members":[` + strings.Join(list, ",") + `]`
}

func manager(id string) string {
	return fmt.Sprintf(`%q:{"manager":{"value":%q}}`, enterprise, id)
}

func TestBulk_EveryMethod(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		made := d.bulk(t, "201 201 201",
			post("/Users", "a", "every-a", `"title":"old"`), post("/Users", "b", "every-b", ""), post("/Groups", "g", "every-g", members("bulkId:b")))
		a, b, g := made[0].Location, made[1].Location, made[2].Location
		done := d.bulk(t, "200 200 204 200",
			fmt.Sprintf(`{"method":"PUT","path":%q,"data":{"userName":"every-a2-#","displayName":"A"}}`, a),
			fmt.Sprintf(`{"method":"PATCH","path":%q,"data":{"Operations":[{"op":"add","path":"members","value":[{"value":%q}]}]}}`, g, made[0].id()),
			fmt.Sprintf(`{"method":"DELETE","path":%q}`, b),
			fmt.Sprintf(`{"method":"PATCH","path":%q,"data":{"Operations":[{"op":"replace","value":{"title":"new"}}]}}`, a))
		for i, want := range []bulkResult{
			{Method: "PUT", Location: a, Version: `W/"2"`, Status: "200"},
			{Method: "PATCH", Location: g, Version: `W/"2"`, Status: "200"},
			{Method: "DELETE", Location: b, Status: "204"},
			{Method: "PATCH", Location: a, Version: `W/"3"`, Status: "200"},
		} {
			if done[i] != want {
				t.Errorf("result %d is %+v, want %+v", i, done[i], want)
			}
		}
		u := d.must(t, 200, http.MethodGet, a, "")
		if u["userName"] != "every-a2-"+d.name || u["title"] != "new" || u["displayName"] != "A" {
			t.Errorf("the user is %v", u)
		}
		d.must(t, 404, http.MethodGet, b, "")
		d.wantMembers(t, g, made[0].id())
	})
}

// Two groups that contain each other, and three in a ring with a user, whatever
// the order; and one that contains itself.
func TestBulk_CircularGroups(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		two := d.bulk(t, "201 201", post("/Groups", "a", "ring-a", members("bulkId:b")), post("/Groups", "b", "ring-b", members("bulkId:a")))
		d.wantMembers(t, two[0].Location, two[1].id())
		d.wantMembers(t, two[1].Location, two[0].id())
		ring := d.bulk(t, "201 201 201 201",
			post("/Groups", "1", "ring-1", members("bulkId:2")), post("/Groups", "2", "ring-2", members("bulkId:u", "bulkId:3")),
			post("/Users", "u", "ring-u", ""), post("/Groups", "3", "ring-3", members("bulkId:1", two[0].id())))
		d.wantMembers(t, ring[0].Location, ring[1].id())
		d.wantMembers(t, ring[1].Location, ring[2].id(), ring[3].id())
		d.wantMembers(t, ring[3].Location, ring[0].id(), two[0].id())
		if got := d.values(t, ring[2].Location, "groups"); len(got) != 3 {
			t.Errorf("the user is in %v", got)
		}
		self := d.bulk(t, "201", post("/Groups", "me", "ring-self", members("bulkId:me")))
		d.wantMembers(t, self[0].Location, self[0].id())
	})
}

func TestBulk_CircularManagers(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		users := d.bulk(t, "201 201 201 201",
			post("/Users", "a", "boss-a", manager("bulkId:b")), post("/Users", "b", "boss-b", manager("bulkId:c")), post("/Users", "c", "boss-c", manager("bulkId:a")),
			post("/Users", "d", "boss-d", fmt.Sprintf(`%q:{"manager":"bulkId:a"}`, enterprise))) // a bare value, as some clients write it
		for i, of := range []int{1, 2, 0, 0} {
			d.wantManager(t, users[i].Location, users[of].id())
		}
		// A group manages nobody, in a circle as little as elsewhere.
		d.bulk(t, "400 409", post("/Users", "u", "boss-u", manager("bulkId:g")), post("/Groups", "g", "boss-g", members("bulkId:u")))
	})
}

// References forward and backward, in paths, in PUT and in PATCH, and in the filter
// of a path; something that is deleted where it was created.
func TestBulk_ReferencesEverywhere(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		g := d.must(t, 201, http.MethodPost, "/Groups", `{"displayName":"refs-old-`+d.name+`"}`)["id"].(string)
		r := d.bulk(t, "200 201 201 201 200 200 200 200 204",
			fmt.Sprintf(`{"method":"PUT","path":"/Groups/%s","data":{"displayName":"refs-new-#",%s}}`, g, members("bulkId:u", "bulkId:v")),
			post("/Groups", "h", "refs-h", members("bulkId:v", g)),
			post("/Users", "u", "refs-u", ""),
			post("/Users", "v", "refs-v", manager("bulkId:u")),
			`{"method":"PATCH","path":"/Groups/bulkId:h","data":{"Operations":[{"op":"add","path":"members","value":[{"value":"bulkId:u"}]}]}}`,
			`{"method":"PATCH","path":"Groups/bulkId%3Ah/","data":{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:v\"]"}]}}`,
			fmt.Sprintf(`{"method":"PATCH","path":"/Users/bulkId:u","data":{"Operations":[{"op":"add","value":{"%s:manager":{"value":"bulkId:v"},"displayName":"bulkId:v"}}]}}`, enterprise),
			fmt.Sprintf(`{"method":"PATCH","path":"/Groups/%s","data":{"Operations":[{"op":"remove","path":"members[value eq \"bulkId:u\" or display eq \"nobody\"]"}]}}`, g),
			`{"method":"DELETE","path":"/Users/bulkId:v"}`)
		u, v := r[2].id(), r[3].id()
		if r[0].Location != "/Groups/"+g || r[4].Location != r[1].Location || r[8].Location != "/Users/"+v {
			t.Errorf("the locations are %+v", r)
		}
		d.must(t, 404, http.MethodGet, "/Users/"+v, "")
		d.wantMembers(t, r[1].Location, u, g)
		d.wantMembers(t, "/Groups/"+g)
		d.wantManager(t, "/Users/"+u, v)
		if name := d.must(t, 200, http.MethodGet, "/Users/"+u, "")["displayName"]; name != "bulkId:v" {
			t.Errorf("what is no reference became %v", name)
		}
	})
}

// One failed operation leaves the others whole, and says what was wrong with it
// alone.
func TestBulk_FailuresAreTheirOwn(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		const nobody = "01900000-0000-7000-8000-000000000000"
		u := d.must(t, 201, http.MethodPost, "/Users", `{"userName":"own-taken-`+d.name+`"}`)["id"].(string)
		cases := []struct{ op, status, scimType, location string }{
			{post("/Users", "taken", "own-taken", ""), "409", "uniqueness", ""},
			{post("/Groups", "of-taken", "own-of-taken", members("bulkId:taken")), "409", "", ""},
			{post("/Groups", "of-nobody", "own-of-nobody", members("bulkId:nobody")), "400", "invalidValue", ""},
			{post("/Groups", "absent", "own-absent", members(nobody)), "400", "invalidValue", ""},
			{`{"method":"POST","path":"/Users","bulkId":"empty","data":{}}`, "400", "invalidValue", ""},
			{`{"method":"POST","path":"/Users","data":{"userName":"own-unnamed-#"}}`, "400", "invalidSyntax", ""},
			{`{"method":"POST","path":"/Users","bulkId":"bare"}`, "400", "invalidSyntax", ""},
			{`{"method":"POST","path":"/Users","bulkId":"array","data":[1]}`, "400", "invalidSyntax", ""},
			{`{"method":"POST","path":"/Users/x","bulkId":"deep","data":{"userName":"own-deep-#"}}`, "400", "invalidSyntax", ""},
			{`{"method":"POST","path":"/Robots","bulkId":"robot","data":{"userName":"own-robot-#"}}`, "404", "", ""},
			{post("/Users", "twice", "own-twice-1", ""), "400", "invalidSyntax", ""},
			{post("/Users", "twice", "own-twice-2", ""), "400", "invalidSyntax", ""},
			{post("/Groups", "of-twice", "own-of-twice", members("bulkId:twice")), "409", "", ""},
			{`{"method":"GET","path":"/Users/` + u + `"}`, "400", "invalidSyntax", "/Users/" + u},
			{`{"path":"/Users/` + u + `"}`, "400", "invalidSyntax", "/Users/" + u},
			{`{"method":"DELETE"}`, "404", "", ""},
			{`{"method":"DELETE","path":"/Users"}`, "400", "invalidSyntax", "/Users"},
			{`{"method":"DELETE","path":"/Users/a/b"}`, "404", "", "/Users/a/b"},
			{`{"method":"DELETE","path":"/Users/` + nobody + `"}`, "404", "", "/Users/" + nobody},
			{`{"method":"DELETE","path":"/Groups/` + u + `"}`, "404", "", "/Groups/" + u},
			{`{"method":"DELETE","path":"/Users/bulkId:nobody"}`, "400", "invalidValue", "/Users/bulkId:nobody"},
			{`{"method":"DELETE","path":"/Users/bulkId:taken"}`, "409", "", "/Users/bulkId:taken"},
			{`{"method":"DELETE","path":"/Users/` + u + `","version":"W/\"7\""}`, "412", "", "/Users/" + u},
			{`{"method":"PATCH","path":"/Users/` + u + `","version":"7","data":{"Operations":[{"op":"remove","path":"title"}]}}`, "400", "invalidVers", "/Users/" + u},
			{`{"method":"PATCH","path":"/Users/` + u + `","data":{"Operations":[{"op":"replace","path":"id","value":"x"}]}}`, "400", "mutability", "/Users/" + u},
			{`{"method":"PATCH","path":"/Users/` + u + `","data":{"Operations":[{"op":"add","path":"nothing","value":1}]}}`, "400", "invalidPath", "/Users/" + u},
			{`{"method":"PUT","path":"/Users/` + u + `"}`, "400", "invalidSyntax", "/Users/" + u},
			{post("/Users", "last", "own-last", ""), "201", "", "any"},
		}
		var ops []string
		for _, c := range cases {
			ops = append(ops, c.op)
		}
		results, problem := d.send(t, d.body(0, ops...))
		if problem != "" || len(results) != len(cases) {
			t.Fatalf("%d results; %s", len(results), problem)
		}
		for i, c := range cases {
			r := results[i]
			if r.Status != c.status || r.Type != c.scimType || (r.Detail == "") != (c.status == "201") || c.location != "any" && r.Location != c.location {
				t.Errorf("%s\n got %+v\nwant %+v", c.op, r, c)
			}
		}
		if n := d.count(t, "/Users", `userName sw "own-" and userName ew "-#"`); n != 2 {
			t.Errorf("%d users are there, want 2", n)
		}
		if n := d.count(t, "/Groups", `displayName sw "own-" and displayName ew "-#"`); n != 0 {
			t.Errorf("%d groups are there, want none", n)
		}
	})
}

// Of a circle all are created or none; the one at fault says so, and the others
// that it was not they.
func TestBulk_CircleFailsWhole(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		d.must(t, 201, http.MethodPost, "/Users", `{"userName":"whole-taken-`+d.name+`"}`)
		for name, ops := range map[string][]string{
			"the store refuses one": {post("/Users", "a", "whole-a", manager("bulkId:b")), post("/Users", "b", "whole-taken", manager("bulkId:c")), post("/Users", "c", "whole-c", manager("bulkId:a"))},
			"two have one name":     {post("/Users", "a", "whole-same", manager("bulkId:b")), post("/Users", "b", "whole-same", manager("bulkId:c")), post("/Users", "c", "whole-c", manager("bulkId:a"))},
		} {
			t.Run(name, func(t *testing.T) {
				r := d.bulk(t, "409 409 409 409 201", append(ops, post("/Groups", "g", "whole-g", members("bulkId:a")), post("/Users", "z", "whole-z-"+name[:3], ""))...)
				for i, want := range []string{"", "uniqueness", "", ""} {
					if r[i].Type != want || want == "" && !strings.Contains(r[i].Detail, "bulkId") {
						t.Errorf("result %d is %+v", i, r[i])
					}
				}
			})
		}
		r := d.bulk(t, "409 400 201", post("/Groups", "a", "whole-ga", members("bulkId:b")),
			post("/Groups", "b", "whole-gb", members("bulkId:a", "no-such-id")), post("/Groups", "c", "whole-gc", ""))
		if r[1].Type != "invalidValue" {
			t.Errorf("the one at fault says %+v", r[1])
		}
		if n := d.count(t, "/Users", `userName sw "whole-" and userName co "#"`); n != 3 {
			t.Errorf("%d users are there, want 3", n)
		}
		if n := d.count(t, "/Groups", `displayName sw "whole-" and displayName ew "-#"`); n != 1 {
			t.Errorf("%d groups are there, want 1", n)
		}
	})
}

func TestBulk_FailOnErrors(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		ops := []string{
			post("/Users", "a", "foe-a", ""), `{"method":"DELETE","path":"/Users/none"}`, post("/Users", "b", "foe-b", ""),
			`{"method":"DELETE","path":"/Users/none"}`, post("/Users", "c", "foe-c", ""),
		}
		for _, step := range []struct {
			limit int
			want  string
			users int
		}{{1, "201 404", 1}, {2, "409 404", 1}, {3, "409 404 201 404", 2}, {0, "409 404 409 404 201", 3}} {
			results, problem := d.send(t, d.body(step.limit, ops...))
			var got []string
			for _, r := range results {
				got = append(got, r.Status)
			}
			if strings.Join(got, " ") != step.want || problem != "" {
				t.Errorf("failOnErrors %d: %v %s, want %s", step.limit, got, problem, step.want)
			}
			if n := d.count(t, "/Users", `userName sw "foe-" and userName ew "-#"`); n != step.users {
				t.Errorf("failOnErrors %d: %d users, want %d", step.limit, n, step.users)
			}
		}
		if _, problem := d.send(t, d.body(-1, ops...)); !strings.Contains(problem, "failOnErrors") {
			t.Errorf("failOnErrors -1: %q", problem)
		}
	})
}

// A request that comes again changes nothing, and says why.
func TestBulk_Again(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		u := d.must(t, 201, http.MethodPost, "/Users", `{"userName":"again-old-`+d.name+`"}`)["id"].(string)
		ops := []string{
			post("/Users", "a", "again-a", manager("bulkId:b")), post("/Users", "b", "again-b", manager("bulkId:a")),
			fmt.Sprintf(`{"method":"PATCH","path":"/Users/%s","data":{"Operations":[{"op":"replace","path":"title","value":"T"}]}}`, u),
		}
		first := d.bulk(t, "201 201 200", ops...)
		again := d.bulk(t, "409 409 200", ops...)
		if again[0].Type != "uniqueness" && again[1].Type != "uniqueness" {
			t.Errorf("nobody says why: %+v", again)
		}
		if again[2].Version != first[2].Version {
			t.Errorf("the same patch made another version: %s, %s", first[2].Version, again[2].Version)
		}
		for i, location := range []string{first[0].Location, first[1].Location} {
			if version := d.must(t, 200, http.MethodGet, location, "")["meta"].(map[string]any)["version"]; version != `W/"1"` {
				t.Errorf("user %d has the version %v", i, version)
			}
		}
	})
}

func TestBulk_Versions(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		u := d.bulk(t, "201", post("/Users", "u", "vers-u", ""))[0]
		if u.Version != `W/"1"` {
			t.Errorf("a new user has the version %s", u.Version)
		}
		patch := func(version, title string) string {
			return fmt.Sprintf(`{"method":"PATCH","path":%q,"version":%q,"data":{"Operations":[{"op":"replace","path":"title","value":%q}]}}`, u.Location, version, title)
		}
		put := fmt.Sprintf(`{"method":"PUT","path":%q,"version":"W/\"2\"","data":{"userName":"vers-u2-#"}}`, u.Location)
		r := d.bulk(t, "200 412 200 412 200 412", patch(u.Version, "one"), patch(u.Version, "two"), put, put, patch("*", "three"),
			fmt.Sprintf(`{"method":"DELETE","path":%q,"version":"W/\"1\""}`, u.Location))
		for i, want := range []string{`W/"2"`, "", `W/"3"`, "", `W/"4"`, ""} {
			if r[i].Version != want {
				t.Errorf("result %d has the version %s, want %s", i, r[i].Version, want)
			}
		}
	})
}

func TestBulk_Limits(t *testing.T) {
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		config := d.must(t, 200, http.MethodGet, "/ServiceProviderConfig", "")["bulk"].(map[string]any)
		if config["supported"] != true || config["maxOperations"] != 1000.0 || config["maxPayloadSize"] != 2097152.0 {
			t.Errorf("the configuration says %v", config)
		}
		var ops []string
		for i := range 999 {
			ops = append(ops, post("/Users", fmt.Sprint(i), fmt.Sprintf("limit-%d", i), ""))
		}
		var all []string
		for i := range 999 {
			all = append(all, fmt.Sprintf("bulkId:%d", i))
		}
		group := post("/Groups", "all", "limit-all", members(all...))
		r := d.bulk(t, strings.Repeat("201 ", 999)+"201", append([]string{group}, ops...)...)
		if got := d.values(t, r[0].Location, "members"); len(got) != 999 {
			t.Errorf("the group has %d members", len(got))
		}
		for name, step := range map[string]struct{ body, limit string }{
			"too many":  {d.body(0, append(ops, group, group)...), "1000"},
			"too large": {d.body(0, post("/Users", "large", "limit-large", `"title":"`+strings.Repeat("x", 2<<20)+`"`)), "2097152"},
		} {
			results, problem := d.send(t, step.body)
			if want := map[string]string{"rest": "413", "grpc": "ResourceExhausted"}[d.name]; results != nil || !strings.HasPrefix(problem, want) || !strings.Contains(problem, step.limit) {
				t.Errorf("%s: %q", name, problem)
			}
		}
		if n := d.count(t, "/Users", `userName sw "limit-" and userName ew "-#"`); n != 999 {
			t.Errorf("%d users are there, want 999", n)
		}
	})
}

// However many maximal requests come at once, memory stays within what a few of
// them are large, and not a multiple of that.
func TestBulk_MemoryStaysBounded(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const requests, limit = 16, 200 << 20
	throughBoth(t, func(t *testing.T, d bulkDoor) {
		if _, ok := d.peakMemory(); !ok {
			t.Skip("this system does not tell how much memory a program takes")
		}
		var wg sync.WaitGroup
		for i := range requests {
			var roles, ops []string
			for j := range 360 {
				roles = append(roles, fmt.Sprintf(`{"value":"role %d","type":"department","display":"%d"}`, j, j))
			}
			for j := range 100 {
				ops = append(ops, post("/Users", fmt.Sprint(j), fmt.Sprintf("memory-%d-%d", i, j), `"roles":[`+strings.Join(roles, ",")+`]`))
			}
			body := d.body(0, ops...)
			if len(body) > 2<<20 || len(body) < 19<<16 {
				t.Fatalf("the request has %d bytes", len(body))
			}
			wg.Go(func() {
				results, problem := d.send(t, body)
				if problem != "" || len(results) != 100 || results[99].Status != "201" {
					t.Errorf("%d results; %s", len(results), problem)
				}
			})
		}
		wg.Wait()
		peak, _ := d.peakMemory()
		t.Logf("the peak is %d MiB", peak>>20)
		if peak > limit {
			t.Errorf("the peak is %d MiB, more than %d", peak>>20, limit>>20)
		}
	})
}

// peakMemory is the most memory that the program ever took, in bytes.
func (p *program) peakMemory() (bytes int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(text), "VmHWM:")
	n, err := fmt.Sscan(rest, &bytes)
	return bytes << 10, found && n == 1 && err == nil
}
