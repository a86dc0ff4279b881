package scim

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestPrepare(t *testing.T) {
	yes := true
	u := &musterv1.User{
		Id: "x", Meta: &musterv1.Meta{}, Groups: []*musterv1.UserGroup{{Value: "g"}}, Schemas: []string{"nonsense"},
		UserName: "ada",
		Emails: []*musterv1.Email{
			{Value: "a@x", Primary: new(true)}, {}, {Value: "b@x", Primary: new(true)}, {Value: "c@x"},
		},
		EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Ref: new("x")}},
	}
	if err := User.Prepare(u); err != nil {
		t.Fatal(err)
	}
	want := &musterv1.User{
		UserName: "ada", Schemas: []string{User.Schema.URN},
		Emails: []*musterv1.Email{{Value: "a@x", Primary: new(false)}, {Value: "b@x", Primary: &yes}, {Value: "c@x"}},
	}
	if !proto.Equal(u, want) {
		t.Errorf("got %v, want %v", u, want)
	}
}

// Among the links that are sent, one that holds read-only sub-attributes alone is
// an error: with it dropped, a replace would remove a member unasked.
func TestPrepare_Error(t *testing.T) {
	for attr, r := range map[string]Resource{
		"userName":      &musterv1.User{DisplayName: "x"},
		"displayName":   &musterv1.Group{},
		"members.value": &musterv1.Group{DisplayName: "g", Members: []*musterv1.Member{{Type: "User"}, {Value: "x"}}},
		"title":         &musterv1.User{UserName: "x", Title: "a\x00b"},
		"name.formatted": &musterv1.User{UserName: "x",
			Name: &musterv1.Name{Formatted: strings.Repeat("x", MaxValueLength+1)}},
	} {
		err := ResourceTypeOf(r).Prepare(r)
		var e *Error
		if !errors.As(err, &e) || e.Reason != InvalidValue || e.Attribute != attr {
			t.Errorf("%s: got %v", attr, err)
		}
	}
}

// replaced is what a PUT makes of a stored user.
func replaced(t *testing.T, stored, sent *musterv1.User) (*musterv1.User, error) {
	t.Helper()
	c, err := User.CompileReplace(sent)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Apply(stored)
	return stored, err
}

func TestReplace_KeepsWhatTheClientCannotMean(t *testing.T) {
	stored := mustDecode(t, User, `{"id":"1","userName":"ada","active":false,"title":"T","emails":[{"value":"x"}]}`).(*musterv1.User)
	got, err := replaced(t, stored, &musterv1.User{
		Id: "1", UserName: "ada2", Meta: &musterv1.Meta{Version: "x"}, Groups: []*musterv1.UserGroup{{Value: "g"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"1","userName":"ada2","active":false}`
	if doc := string(User.AppendJSON(nil, got, "")); doc != want {
		t.Errorf("got\n%s\nwant\n%s", doc, want)
	}
}

func TestReplace_AnotherID(t *testing.T) {
	stored := mustDecode(t, User, `{"id":"1","userName":"ada"}`).(*musterv1.User)
	if _, err := replaced(t, stored, &musterv1.User{Id: "2", UserName: "ada"}); ReasonOf(err) != Mutability {
		t.Errorf("got %v", err)
	}
}

func TestReplace_SetsLinks(t *testing.T) {
	c, err := Group.CompileReplace(&musterv1.Group{DisplayName: "g", Members: []*musterv1.Member{{Value: "1"}, {Value: "1"}, {Value: "2"}}})
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Links(); len(l) != 1 || l[0].Kind != SetLinks || !slices.Equal(l[0].Values, []string{"1", "2"}) {
		t.Errorf("got %v", l)
	}
}

func TestChange_Secrets(t *testing.T) {
	ops, err := DecodePatch([]byte(`{"Operations":[{"op":"replace","path":"password","value":"one"},{"op":"add","value":{"password":"two"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	byPatch, err := User.CompilePatch(ops)
	if err != nil {
		t.Fatal(err)
	}
	byReplace, err := User.CompileReplace(&musterv1.User{UserName: "ada", Password: "two"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Change{"patch": byPatch, "replace": byReplace} {
		var seen []string
		err := c.Secrets(func(_ *Attribute, plain string) (string, error) {
			seen = append(seen, plain)
			return "hash of " + plain, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		u := &musterv1.User{UserName: "ada"}
		if err := c.Apply(u); err != nil {
			t.Fatal(err)
		}
		if u.GetPassword() != "hash of two" || seen[len(seen)-1] != "two" {
			t.Errorf("%s: got %q after %q", name, u.GetPassword(), seen)
		}
	}
}

// A secret goes when it is removed, and when nothing else is said of it it stays.
func TestPatch_Secret(t *testing.T) {
	for _, test := range []struct{ operation, want string }{
		{`{"op":"remove","path":"password"}`, ""},
		{`{"op":"replace","path":"password","value":null}`, KeptSecret},
		{`{"op":"replace","path":"password","value":""}`, KeptSecret},
		{`{"op":"add","value":{"password":null,"title":"T"}}`, KeptSecret},
		{`{"op":"replace","path":"password","value":"the same"}`, KeptSecret},
		{`{"op":"replace","path":"password","value":"another"}`, "hash"},
	} {
		ops, err := DecodePatch([]byte(`{"Operations":[` + test.operation + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		c, err := User.CompilePatch(ops)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Secrets(func(_ *Attribute, plain string) (string, error) {
			if plain == "the same" {
				return "", nil
			}
			return "hash", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		u := &musterv1.User{UserName: "ada", Password: KeptSecret}
		if err := c.Apply(u); err != nil || u.GetPassword() != test.want {
			t.Errorf("%s: got %q, %v", test.operation, u.GetPassword(), err)
		}
	}
}

func TestPatch_Limits(t *testing.T) {
	if _, err := User.CompilePatch(make([]*musterv1.PatchOperation, MaxPatchOperations+1)); ReasonOf(err) != TooMany {
		t.Errorf("got %v", err)
	}
}

func TestAppendDiff(t *testing.T) {
	before := mustDecode(t, User, `{"userName":"ada","title":"T","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"D","division":"V"}}`)
	after := mustDecode(t, User, `{"userName":"ada","password":"p","emails":[{"value":"x"}],"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"E","division":"V"}}`)
	want := `{"title":{"before":"T"},"emails":{"after":[{"value":"x"}]},` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":{"before":"D","after":"E"}}`
	if got := sorted(t, User.AppendDiff(nil, before, after)); got != sorted(t, []byte(want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := User.AppendDiff(nil, after, after); string(got) != "{}" {
		t.Errorf("got %s for no change", got)
	}
}

// sorted prints JSON with its members in alphabetical order.
func sorted(t *testing.T, data []byte) string {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// No attribute grows without bound, whether at once or by patches.
func TestMaxElements(t *testing.T) {
	u := &musterv1.User{UserName: "ada"}
	for i := range MaxElements {
		u.Emails = append(u.Emails, &musterv1.Email{Value: strconv.Itoa(i)})
	}
	if err := User.Prepare(u); err != nil {
		t.Fatal(err)
	}
	ops, err := DecodePatch([]byte(`{"Operations":[{"op":"add","path":"emails","value":[{"value":"one more"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := User.CompilePatch(ops)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Apply(u); ReasonOf(err) != InvalidValue {
		t.Errorf("a patch that adds one more: %v", err)
	}
	if err := User.Prepare(u); ReasonOf(err) != InvalidValue {
		t.Errorf("one more at once: %v", err)
	}
}
