package scim

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestDecodeJSON_Tolerance(t *testing.T) {
	yes, no := true, false
	for name, c := range map[string]struct {
		in   string
		want *musterv1.User
	}{
		"names in any letter case": {`{"USERNAME":"ada","NAME":{"givenname":"Ada"}}`,
			&musterv1.User{UserName: "ada", Name: &musterv1.Name{GivenName: "Ada"}}},
		"unknown attributes": {`{"userName":"ada","shoeSize":{"eu":[38]},"name":{"x":1}}`,
			&musterv1.User{UserName: "ada", Name: &musterv1.Name{}}},
		"read-only attributes": {`{"userName":"ada","meta":{"created":7},"groups":[{"value":"g"}]}`,
			&musterv1.User{UserName: "ada"}},
		"the id is kept, to be compared": {`{"id":"x","userName":"ada"}`, &musterv1.User{Id: "x", UserName: "ada"}},
		"null, empty list, empty string": {`{"userName":"ada","title":"","name":null,"emails":[],"active":null}`,
			&musterv1.User{UserName: "ada"}},
		"booleans as strings": {`{"active":"True","emails":[{"value":"x","primary":"FALSE"}]}`,
			&musterv1.User{Active: &yes, Emails: []*musterv1.Email{{Value: "x", Primary: &no}}}},
		"one object for a list": {`{"emails":{"value":"x"}}`, &musterv1.User{Emails: []*musterv1.Email{{Value: "x"}}}},
		"bare values":           {`{"emails":["x","y"]}`, &musterv1.User{Emails: []*musterv1.Email{{Value: "x"}, {Value: "y"}}}},
		"a bare manager": {`{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":"m"}}`,
			&musterv1.User{EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: "m"}}}},
		"a manager in a list": {`{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":[{"value":"m"}]}}`,
			&musterv1.User{EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: "m"}}}},
		"qualified and dotted names": {`{"urn:ietf:params:scim:schemas:core:2.0:User:userName":"ada","name.givenName":"Ada","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department":"D"}`,
			&musterv1.User{UserName: "ada", Name: &musterv1.Name{GivenName: "Ada"}, EnterpriseUser: &musterv1.EnterpriseUser{Department: "D"}}},
		"escapes": {`{"title":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"}`, &musterv1.User{Title: "a\"\\/\b\f\n\r\té😀"}},
		"binary":  {`{"x509Certificates":[{"value":"AQID"}]}`, &musterv1.User{X509Certificates: []*musterv1.X509Certificate{{Value: []byte{1, 2, 3}}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := User.DecodeJSON([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestDecodeJSON_Error(t *testing.T) {
	deep := strings.Repeat("[", 100_000)
	for in, want := range map[string]Reason{
		``:                                  InvalidSyntax,
		`[]`:                                InvalidSyntax,
		`{"userName":"ada"`:                 InvalidSyntax,
		`{"userName":"ada"} {}`:             InvalidSyntax,
		`{"userName":"ada",}`:               InvalidSyntax,
		`{userName:"ada"}`:                  InvalidSyntax,
		`{"userName":"a` + "\n" + `"}`:      InvalidSyntax,
		`{"userName":"\x"}`:                 InvalidSyntax,
		`{"userName":"\ud800"}`:             InvalidSyntax,
		`{"userName":"` + "\xff" + `"}`:     InvalidSyntax,
		`{"x":01}`:                          InvalidSyntax,
		`{"x":tru}`:                         InvalidSyntax,
		`{"x":` + deep + `}`:                InvalidSyntax,
		`{"userName":7}`:                    InvalidValue,
		`{"userName":["a"]}`:                InvalidValue,
		`{"userName":"\u0000"}`:             InvalidValue,
		`{"active":"yes"}`:                  InvalidValue,
		`{"active":1}`:                      InvalidValue,
		`{"name":"Ada"}`:                    InvalidValue,
		`{"emails":[7]}`:                    InvalidValue,
		`{"x509Certificates":["no!"]}`:      InvalidValue,
		`{"name":[{},{"givenName":"Ada"}]}`: InvalidValue,
	} {
		if _, err := User.DecodeJSON([]byte(in)); ReasonOf(err) != want || err == nil {
			t.Errorf("%.60s: got %v, want %v", in, err, want)
		}
	}
}

// richUser is a user of about 2 KB with most attributes.
func richUser(t testing.TB) []byte {
	t.Helper()
	doc, err := os.ReadFile("testdata/user.json")
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// The codec and protojson must agree where both apply: in what they read from
// our JSON, and in what they print.
func TestCodec_AgreesWithProtojson(t *testing.T) {
	ours := mustDecode(t, User, string(richUser(t)))
	theirs := &musterv1.User{}
	if err := protojson.Unmarshal(User.AppendJSON(nil, ours, ""), theirs); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(ours, theirs) {
		t.Errorf("protojson reads\n%v\nwhere we read\n%v", theirs, ours)
	}
	printed, err := protojson.Marshal(ours)
	if err != nil {
		t.Fatal(err)
	}
	if x, y := anyJSON(t, printed), anyJSON(t, User.AppendJSON(nil, ours, "")); !reflect.DeepEqual(x, y) {
		t.Errorf("protojson prints\n%v\nwhere we print\n%v", x, y)
	}
}

func anyJSON(t *testing.T, data []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func TestAppendJSON_Locations(t *testing.T) {
	u := &musterv1.User{
		Id: "7", Meta: &musterv1.Meta{ResourceType: "User", Version: `W/"1"`},
		Groups:         []*musterv1.UserGroup{{Value: "g1", Type: "direct"}},
		Password:       "secret",
		EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: `a "b"/c`}},
	}
	want := `{"id":"7","meta":{"resourceType":"User","location":"https://h/scim/v2/Users/7","version":"W/\"1\""},` +
		`"groups":[{"value":"g1","$ref":"https://h/scim/v2/Groups/g1","type":"direct"}],` +
		`"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"a \"b\"/c","$ref":"https://h/scim/v2/Users/a%20%22b%22%2Fc"}}}`
	if got := string(User.AppendJSON(nil, u, "https://h/scim/v2")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	g := &musterv1.Group{Members: []*musterv1.Member{{Value: "1", Type: "Group"}, {Value: "2"}}}
	want = `{"members":[{"value":"1","$ref":"b/Groups/1","type":"Group"},{"value":"2"}]}`
	if got := string(Group.AppendJSON(nil, g, "b")); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAppendDocument_LeavesOutWhatHasItsOwnPlace(t *testing.T) {
	u := mustDecode(t, User, string(richUser(t))).(*musterv1.User)
	u.Id, u.Password, u.Meta = "7", "hash", &musterv1.Meta{ResourceType: "User"}
	u.Groups = []*musterv1.UserGroup{{Value: "g"}}
	doc := User.AppendDocument(nil, u)
	back, err := User.DecodeDocument(doc)
	if err != nil {
		t.Fatal(err)
	}
	u.Id, u.Password, u.Meta, u.Groups = "", KeptSecret, nil, nil
	if !proto.Equal(u, back) {
		t.Errorf("got %v, want %v", back, u)
	}
}

// drawUser makes users that a write could have accepted.
func drawUser(t *rapid.T) *musterv1.User {
	text := rapid.StringMatching(`[ -~äß€😀İſ]{0,12}`)
	flag := rapid.Custom(func(t *rapid.T) *bool {
		return []*bool{nil, new(false), new(true)}[rapid.IntRange(0, 2).Draw(t, "flag")]
	})
	u := &musterv1.User{
		UserName: rapid.StringMatching(`[ -~ä]{1,9}`).Draw(t, "userName"), DisplayName: text.Draw(t, "displayName"),
		ExternalId: text.Draw(t, "externalId"), Active: flag.Draw(t, "active"), Locale: text.Draw(t, "locale"),
		Name:           &musterv1.Name{GivenName: text.Draw(t, "given"), FamilyName: text.Draw(t, "family")},
		EnterpriseUser: &musterv1.EnterpriseUser{Department: text.Draw(t, "department"), Manager: &musterv1.Manager{Value: text.Draw(t, "manager")}},
	}
	for range rapid.IntRange(0, 3).Draw(t, "emails") {
		u.Emails = append(u.Emails, &musterv1.Email{Value: text.Draw(t, "email"), Type: text.Draw(t, "type"), Primary: flag.Draw(t, "primary")})
	}
	for range rapid.IntRange(0, 2).Draw(t, "certificates") {
		u.X509Certificates = append(u.X509Certificates, &musterv1.X509Certificate{Value: rapid.SliceOf(rapid.Byte()).Draw(t, "der")})
	}
	return u
}

func TestCodec_DecodeOfEncodeIsIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawUser(t)
		if err := User.Prepare(u); err != nil {
			t.Fatal(err)
		}
		printed := User.AppendJSON(nil, u, "")
		if !json.Valid(printed) {
			t.Fatalf("not JSON: %s", printed)
		}
		back, err := User.DecodeJSON(printed)
		if err != nil {
			t.Fatal(err)
		}
		if err := User.Prepare(back); err != nil {
			t.Fatal(err)
		}
		if again := User.AppendJSON(nil, back, ""); string(again) != string(printed) {
			t.Fatalf("got\n%s\nwant\n%s", again, printed)
		}
		if changed := User.AppendDiff(nil, u, back); string(changed) != "{}" {
			t.Fatalf("changed: %s", changed)
		}
	})
}

func FuzzDecodeJSON(f *testing.F) {
	f.Add(richUser(f))
	f.Add([]byte(`{"emails":{"emails":["x"]},"urn:ietf:params:scim:schemas:core:2.0:User":{"title":"x"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := User.DecodeJSON(data)
		if err != nil {
			if ReasonOf(err) == Internal {
				t.Fatalf("an error without reason: %v", err)
			}
			return
		}
		if User.Prepare(r) != nil {
			return
		}
		printed := User.AppendJSON(nil, r, "")
		back, err := User.DecodeJSON(printed)
		if err != nil || string(User.AppendDiff(nil, r, back)) != "{}" {
			t.Fatalf("%q does not read back: %v", printed, err)
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what is not JSON: %q", data)
		}
	})
}

func FuzzPatch(f *testing.F) {
	text, err := os.ReadFile("testdata/patch.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if strings.HasPrefix(line, "{") {
			f.Add([]byte(line))
		}
	}
	doc := richUser(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		ops, err := DecodePatch(body)
		if err != nil {
			return
		}
		for _, rt := range []*ResourceType{User, Group} {
			c, err := rt.CompilePatch(ops)
			if err != nil {
				continue
			}
			r := mustDecode(t, User, string(doc))
			if rt == Group {
				r = &musterv1.Group{DisplayName: "g"}
			}
			if c.Apply(r) != nil {
				continue
			}
			before := proto.Clone(r).(Resource)
			if err := rt.Prepare(before); err != nil {
				t.Fatalf("a patch made what a write refuses: %v", err)
			}
			if changed := rt.AppendDiff(nil, before, r); string(changed) != "{}" {
				t.Fatalf("a patch left %s unprepared", changed)
			}
		}
	})
}

func BenchmarkDecodeUser(b *testing.B) {
	doc := richUser(b)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := User.DecodeJSON(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeUser(b *testing.B) {
	u := mustDecode(b, User, string(richUser(b)))
	buf := User.AppendJSON(nil, u, "https://example.com/scim/v2")
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = User.AppendJSON(buf[:0], u, "https://example.com/scim/v2")
	}
}

// BenchmarkCodecUser is the bar of the project: a user of 2 KB read, made ready
// to store, and printed.
func BenchmarkCodecUser(b *testing.B) {
	doc := richUser(b)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		u, err := User.DecodeJSON(doc)
		if err != nil {
			b.Fatal(err)
		}
		buf = User.AppendJSON(buf[:0], u, "https://example.com/scim/v2")
	}
}
