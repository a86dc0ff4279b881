package scim

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestOrderBulk(t *testing.T) {
	for _, c := range []struct {
		name, ops string // one word an operation: what it creates, ":" and what it refers to
		want      [][]int
	}{
		{"nothing", "", nil},
		{"no references", "a b :", [][]int{{0}, {1}, {2}}},
		{"backward", "a b:a :b", [][]int{{0}, {1}, {2}}},
		{"forward", "a:b b:c c", [][]int{{2}, {1}, {0}}},
		{"forward, past others", "x a:b y b z", [][]int{{0}, {3}, {1}, {2}, {4}}},
		{"itself", "a:a", [][]int{{0}}},
		{"two in a circle", "a:b b:a", [][]int{{0, 1}}},
		{"three in a circle, others between", "a:c x b:a y c:b", [][]int{{0, 2, 4}, {1}, {3}}},
		{"a circle behind another", "a:b,c b:a c:d d:c", [][]int{{2, 3}, {0, 1}}},
		{"two circles with one in common", "a:b,c b:a c:a", [][]int{{0, 1, 2}}},
		{"a circle and what hangs on it", ":a a:b,z b:a z", [][]int{{3}, {1, 2}, {0}}},
		{"unknown", "a:nothing :nobody", [][]int{{0}, {1}}},
		{"twice: the first counts", ":a a a", [][]int{{1}, {0}, {2}}},
	} {
		var nodes []BulkNode
		for op := range strings.FieldsSeq(c.ops) {
			creates, refers, _ := strings.Cut(op, ":")
			n := BulkNode{Creates: creates}
			if refers != "" {
				n.RefersTo = strings.Split(refers, ",")
			}
			nodes = append(nodes, n)
		}
		if got := OrderBulk(nodes); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The longest chain and the widest circle keep their promises.
func TestOrderBulk_Large(t *testing.T) {
	chain := make([]BulkNode, MaxBulkOperations)
	for i := range chain {
		chain[i] = BulkNode{Creates: fmt.Sprint(i), RefersTo: []string{fmt.Sprint(i + 1)}}
	}
	if got := OrderBulk(chain); len(got) != len(chain) || got[0][0] != len(chain)-1 {
		t.Errorf("a chain makes %d parts, the first is %v", len(got), got[0])
	}
	chain[len(chain)-1].RefersTo = []string{"0"}
	if got := OrderBulk(chain); len(got) != 1 || len(got[0]) != len(chain) || !slices.IsSorted(got[0]) {
		t.Errorf("a circle makes %d parts", len(got))
	}
}

// capitals makes X! of "bulkId:x", and keeps what it met.
func capitals(met *[]string) Referrer {
	return func(id string) (string, *Error) {
		*met = append(*met, id)
		bulkID, ok := BulkID(id)
		if bulkID == "bad" {
			return "", Errorf(Conflict, "it is bad")
		}
		if ok {
			return strings.ToUpper(bulkID) + "!", nil
		}
		return id, nil
	}
}

func TestReferences_OfResources(t *testing.T) {
	const enterprise = `"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`
	for _, c := range []struct {
		rt         *ResourceType
		json, want string
		met        string
	}{
		{Group, `{"displayName":"bulkId:a","members":[{"value":"bulkId:a"},{"value":"x"},"bulkId:b"]}`, `{"displayName":"bulkId:a","members":[{"value":"A!"},{"value":"x"},{"value":"B!"}]}`, "bulkId:a x bulkId:b"},
		{Group, `{"displayName":"g"}`, `{"displayName":"g"}`, ""},
		{User, `{"userName":"bulkId:u","externalId":"bulkId:u","emails":[{"value":"bulkId:u"}],"photos":[{"value":"bulkId:u"}],"profileUrl":"bulkId:u"}`, "", ""},
		{User, `{"userName":"u",` + enterprise + `:{"manager":{"value":"bulkId:m","displayName":"bulkId:m"},"department":"bulkId:m"}}`, `{"userName":"u",` + enterprise + `:{"department":"bulkId:m","manager":{"value":"M!","displayName":"bulkId:m"}}}`, "bulkId:m"},
		{User, `{"userName":"u",` + enterprise + `:{"manager":"bulkId:m"},"groups":[{"value":"bulkId:g"}]}`, `{"userName":"u",` + enterprise + `:{"manager":{"value":"M!"}}}`, "bulkId:m"},
	} {
		r, err := c.rt.DecodeJSON([]byte(c.json))
		if err != nil {
			t.Fatal(err)
		}
		before := string(c.rt.AppendJSON(nil, r, ""))
		var met []string
		if err := c.rt.References(r, capitals(&met)); err != nil {
			t.Errorf("%s: %v", c.json, err)
		}
		if c.want == "" {
			c.want = before
		}
		if got := string(c.rt.AppendJSON(nil, r, "")); got != c.want || strings.Join(met, " ") != c.met {
			t.Errorf("%s\n got %s, met %v\nwant %s, %s", c.json, got, met, c.want, c.met)
		}
	}
}

func TestReferences_OfPatches(t *testing.T) {
	const managerPath = `urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager`
	for _, c := range []struct {
		rt      *ResourceType
		ops     string
		applied string // to a user whose manager is M!, or what becomes of links
		met     string
	}{
		{Group, `{"op":"add","path":"members","value":[{"value":"bulkId:a"},{"value":"x"}]}`, "0 [A! x]", "bulkId:a x"},
		{Group, `{"op":"replace","value":{"members":"bulkId:a"}}`, "3 [A!]", "bulkId:a"},
		{Group, `{"op":"remove","path":"members[value eq \"bulkId:a\"]"}`, "1 [A!]", "bulkId:a"},
		{Group, `{"op":"remove","path":"members","value":[{"value":"bulkId:a"}]}`, "1 [A!]", "bulkId:a"},
		{Group, `{"op":"remove","path":"members[value eq \"bulkId:a\" or not (value sw \"bulkId:b\" and display eq \"bulkId:c\")]"}`,
			`2 [] members.value eq "A!" or not (members.value sw "B!" and members.display eq "bulkid:c")`, "bulkId:a bulkId:b"},
		{User, `{"op":"add","path":"` + managerPath + `","value":{"value":"bulkId:a"}}`, "A!", "bulkId:a"},
		{User, `{"op":"replace","path":"` + managerPath + `.value","value":"bulkId:a"}`, "A!", "bulkId:a"},
		{User, `{"op":"replace","path":"` + managerPath + `[value eq \"bulkId:m\"].value","value":"bulkId:a"}`, "A!", "bulkId:a bulkId:m"},
		{User, `{"op":"remove","path":"` + managerPath + `[value eq \"bulkId:m\"]"}`, "", "bulkId:m"},
		{User, `{"op":"add","value":{"` + managerPath + `":"bulkId:a","title":"bulkId:t"}}`, "A!", "bulkId:a"},
		{User, `{"op":"add","path":"emails","value":[{"value":"bulkId:a"}]}`, "M!", ""},
	} {
		ops, err := DecodePatch([]byte(`{"Operations":[` + c.ops + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		change, err := c.rt.CompilePatch(ops)
		if err != nil {
			t.Fatal(err)
		}
		var met []string
		if err := change.References(capitals(&met)); err != nil {
			t.Errorf("%s: %v", c.ops, err)
		}
		got := ""
		for _, l := range change.Links() {
			got = fmt.Sprint(l.Kind, " ", l.Values)
			if l.Filter != nil {
				got += " " + formatFilter(l.Filter)
			}
		}
		if c.rt == User {
			u := &musterv1.User{UserName: "u", EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: "M!"}}}
			if err := change.Apply(u); err != nil {
				t.Errorf("%s: %v", c.ops, err)
			}
			got = u.GetEnterpriseUser().GetManager().GetValue()
		}
		if got != c.applied || strings.Join(met, " ") != c.met {
			t.Errorf("%s\n got %s, met %v\nwant %s, %s", c.ops, got, met, c.applied, c.met)
		}
	}
}

// An error names the attribute, wherever the reference stands.
func TestReferences_Errors(t *testing.T) {
	for op, attr := range map[string]string{
		`{"op":"add","path":"members","value":"bulkId:bad"}`:                                    "members.value",
		`{"op":"remove","path":"members[value eq \"bulkId:bad\"]"}`:                             "members.value",
		`{"op":"remove","path":"members[value eq \"x\" and not (value eq \"bulkId:bad\")]"}`:    "members.value",
		`{"op":"remove","path":"members[display eq \"x\" or value eq \"bulkId:bad\"]"}`:         "members.value",
		`{"op":"replace","value":{"members":[{"value":"bulkId:good"},{"value":"bulkId:bad"}]}}`: "members.value",
	} {
		ops, err := DecodePatch([]byte(`{"Operations":[` + op + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		change, err := Group.CompilePatch(ops)
		if err != nil {
			t.Fatal(err)
		}
		err = change.References(capitals(new([]string)))
		if e, ok := errors.AsType[*Error](err); !ok || e.Reason != Conflict || e.Attribute != attr {
			t.Errorf("%s: %#v", op, err)
		}
	}
	r := &musterv1.User{EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: "bulkId:bad"}}}
	c, err := User.CompileReplace(&musterv1.User{UserName: "u", EnterpriseUser: proto.CloneOf(r.GetEnterpriseUser())})
	if err != nil {
		t.Fatal(err)
	}
	const attr = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value"
	for _, err := range []error{User.References(r, capitals(new([]string))), c.References(capitals(new([]string)))} {
		if e, ok := errors.AsType[*Error](err); !ok || e.Attribute != attr {
			t.Errorf("%#v", err)
		}
	}
}

func TestSplitBulkPath(t *testing.T) {
	for path, want := range map[string]string{
		"/Users": "/Users", "Users": "/Users", "/Users/": "/Users", "//Users//x": "/Users x",
		"/Users/2819c223": "/Users 2819c223", "/Users/bulkId:x": "/Users bulkId:x", "/Users/bulkId%3Ax": "/Users bulkId:x", "/users/x": "/users x",
		"": "!", "/": "!", "/Users/x/y": "!", "/Users/%zz": "!", "https://h/scim/v2/Users": "!",
	} {
		endpoint, id, err := SplitBulkPath(path)
		got := strings.TrimSpace(endpoint + " " + id)
		if err != nil {
			got = "!"
		}
		if got != want || err != nil && ReasonOf(err) != NotFound {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestDecodeBulk(t *testing.T) {
	for body, want := range map[string]string{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":1,"Operations":[{"method":"POST","path":"/Users","bulkId":"q","data":{"userName":"a","x":[1, {"y":null}]}}]}`: `operations:{method:METHOD_POST bulk_id:"q" path:"/Users" data:"{\"userName\":\"a\",\"x\":[1, {\"y\":null}]}"} fail_on_errors:1`,
		`{"operations":[{"METHOD":"Delete","Path":"/Users/x","VERSION":"W/\"1\"","more":{}},{"method":"patch","path":null,"bulkid":null,"data":null}],"FAILONERRORS":"2"}`:                             `operations:{method:METHOD_DELETE version:"W/\"1\"" path:"/Users/x"} operations:{method:METHOD_PATCH} fail_on_errors:2`,
		`{"Operations":[{},{"method":"get","data":"\u0041"}],"failOnErrors":null}`:                                                                                                                     `operations:{} operations:{data:"\"\\u0041\""}`,
		`{"Operations":[]}`: ``,

		`{}`:                                    `invalidSyntax`,
		`[]`:                                    `invalidSyntax`,
		``:                                      `invalidSyntax`,
		`{"Operations":{}}`:                     `invalidSyntax`,
		`{"Operations":null}`:                   `invalidSyntax`,
		`{"Operations":[1]}`:                    `invalidSyntax`,
		`{"Operations":[{"method":1}]}`:         `invalidSyntax`,
		`{"Operations":[{"data":{"a":}}]}`:      `invalidSyntax`,
		`{"Operations":[{"data":{}}]`:           `invalidSyntax`,
		`{"Operations":[]} x`:                   `invalidSyntax`,
		`{"Operations":[],"failOnErrors":1.5}`:  `invalidSyntax`,
		`{"Operations":[],"failOnErrors":"x"}`:  `invalidSyntax`,
		`{"Operations":[],"failOnErrors":9e99}`: `invalidSyntax`,
		`{"Operations":[],"failOnErrors":true}`: `invalidSyntax`,
		`{"Operations":[` + strings.Repeat(`{},`, MaxBulkOperations) + `{}]}`: `payloadTooLarge`,
	} {
		req, err := DecodeBulk([]byte(body), DefaultLimits())
		if err != nil {
			if got := ReasonOf(err).String(); got != want {
				t.Errorf("%.200s: %v, want %s", body, err, want)
			}
			continue
		}
		wanted := &musterv1.BulkRequest{}
		if err := prototext.Unmarshal([]byte(want), wanted); err != nil {
			t.Errorf("%.200s: decoded; want %s", body, want)
		} else if !proto.Equal(req, wanted) {
			t.Errorf("%.200s\n got %v\nwant %v", body, req, wanted)
		}
	}
}

func TestAppendBulkResponse(t *testing.T) {
	r := &musterv1.BulkResponse{Operations: []*musterv1.BulkOperationResult{
		{Method: musterv1.BulkOperation_METHOD_POST, BulkId: `q"`, Location: "/Users/1", Version: `W/"1"`, Status: "201"},
		{Method: musterv1.BulkOperation_METHOD_DELETE, Location: "/Users/2", Status: "404", Error: &musterv1.BulkError{Reason: "notFound", Detail: "gone"}},
		{Status: "400", Error: &musterv1.BulkError{Reason: "invalidSyntax"}},
	}}
	want := `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkResponse"],"Operations":[` +
		`{"status":"201","method":"POST","bulkId":"q\"","version":"W/\"1\"","location":"https://h/v2/Users/1"},` +
		`{"status":"404","method":"DELETE","location":"https://h/v2/Users/2","response":{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"gone"}},` +
		`{"status":"400","response":{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidSyntax"}}]}`
	if got := string(AppendBulkResponse(nil, r, "https://h/v2")); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// What one request may make of its text is bounded; what waits as text is not
// counted.
func TestDecode_TooManyValues(t *testing.T) {
	list := func(n int) string { return `[` + strings.Repeat(`{},`, n-1) + `{}]` }
	decode := map[string]func(string) error{
		"resource": func(list string) error {
			_, err := User.DecodeJSON([]byte(`{"userName":"u","emails":` + list + `}`))
			return err
		},
		"patch": func(list string) error {
			_, err := DecodePatch([]byte(`{"Operations":[{"op":"add","path":"x","value":` + list + `}]}`))
			return err
		},
		"bulk": func(list string) error {
			_, err := DecodeBulk([]byte(`{"Operations":[{"data":`+list+`},{"data":`+list+`}]}`), DefaultLimits())
			return err
		},
	}
	for name, overhead := range map[string]int{"resource": 2, "patch": 5} {
		if err := decode[name](list(MaxValues - overhead)); err != nil {
			t.Errorf("%s: the most that may be: %v", name, err)
		}
		if err := decode[name](list(MaxValues - overhead + 1)); ReasonOf(err) != PayloadTooLarge {
			t.Errorf("%s: one more: %v", name, err)
		}
	}
	if err := decode["bulk"](list(MaxValues)); err != nil {
		t.Errorf("bulk: %v", err)
	}
}
