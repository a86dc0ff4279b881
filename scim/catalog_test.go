package scim

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const (
	badgeURN = "urn:example:scim:schemas:extension:badge:2.0:User"
	roomURN  = "urn:example:scim:schemas:extension:room:2.0:Device"
)

// registered is the catalog of testdata/registered.json.
func registered(tb testing.TB) *Catalog {
	tb.Helper()
	text, err := os.ReadFile("testdata/registered.json")
	if err != nil {
		tb.Fatal(err)
	}
	c, err := catalogOf(string(text))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// catalogOf registers what a JSON text has, as the core does.
func catalogOf(text string) (*Catalog, error) {
	schemas, types, err := ParseRegistrations([]byte(text))
	if err != nil {
		return nil, err
	}
	if err := CheckRegistrations(schemas, types); err != nil {
		return nil, err
	}
	return NewCatalog(schemas, types)
}

// received is a resource as the core gets it from the REST face, which knows the
// contract only, and prepares it.
func received(rt *ResourceType, text string) (Resource, error) {
	var r Resource
	var err error
	if rt.Registered() {
		r, err = DecodeRegistered([]byte(text))
	} else {
		r, err = ResourceTypeOf(rt.New()).DecodeJSON([]byte(text))
	}
	if err != nil {
		return nil, err
	}
	return r, rt.Prepare(r)
}

// What clients write for registered attributes is understood as it is for those of
// the contract, and answered in one spelling.
func TestRegistered_Codec(t *testing.T) {
	c := registered(t)
	for _, test := range []struct{ name, rt, in, want string }{
		{
			"every type", "User",
			`{"userName":"ada","URN:example:scim:schemas:extension:badge:2.0:user":{"BADGENUMBER":"B1","level":3,"balance":1.50,"lost":"True","issued":"2026-01-31T09:00:00+01:00","color":"red","zones":["a","b"],"floors":[1,"2"],"image":"AAE","doors":[{"value":"d1","opens":5,"unknown":1}],"sponsor":"u1","unknown":1}}`,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + badgeURN + `"],"userName":"ada","` + badgeURN + `":{"badgeNumber":"B1","level":3,"balance":1.5,"lost":true,"issued":"2026-01-31T08:00:00.000Z","color":"red","image":"AAE=","zones":["a","b"],"floors":[1,2],"doors":[{"value":"d1","opens":5}],"sponsor":{"value":"u1"}}}`,
		},
		{
			"unassigned", "User",
			`{"userName":"ada","` + badgeURN + `":{"badgeNumber":"","level":null,"zones":[],"doors":[{}],"sponsor":{},"printedBy":"me"}}`,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}`,
		},
		{
			"a schema that is not registered", "User", `{"userName":"ada","urn:example:other":{"a":1}}`,
			`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}`,
		},
		{
			"a registered type", "Device",
			`{"schemas":["x"],"id":"echoed","meta":{},"DisplayName":"Printer","externalId":"e","ports":"4","nothing":1,"` + roomURN + `":{"room":"12"},"links":[{"value":"v","$ref":"https://a.example/"}]}`,
			`{"schemas":["urn:example:scim:schemas:core:2.0:Device","` + roomURN + `"],"externalId":"e","displayName":"Printer","ports":4,"links":[{"value":"v","$ref":"https://a.example/"}],"` + roomURN + `":{"room":"12"}}`,
		},
		{"a wrong type", "User", `{"userName":"ada","` + badgeURN + `":{"level":"high"}}`, "error invalidValue: " + badgeURN + ":level is a number"},
		{"not whole", "User", `{"userName":"ada","` + badgeURN + `":{"level":1.5}}`, "error invalidValue: " + badgeURN + ":level is a whole number of at most 2 to the power of 53"},
		{"too large", "User", `{"userName":"ada","` + badgeURN + `":{"level":9007199254740994}}`, "error invalidValue: " + badgeURN + ":level is a whole number of at most 2 to the power of 53"},
		{"a value that is not canonical", "User", `{"userName":"ada","` + badgeURN + `":{"color":"blue"}}`, "error invalidValue: " + badgeURN + ":color is one of: red, green"},
		{"canonical in another letter case", "User", `{"userName":"ada","` + badgeURN + `":{"color":"RED"}}`, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","` + badgeURN + `"],"userName":"ada","` + badgeURN + `":{"color":"RED"}}`},
		{"a required attribute is missing", "Device", `{"` + roomURN + `":{"room":"1"}}`, "error invalidValue: displayName is required"},
		{"a required extension is missing", "Device", `{"displayName":"d"}`, "error invalidValue: " + roomURN + " is a required extension"},
		{"a required sub-attribute is missing", "User", `{"userName":"ada","` + badgeURN + `":{"doors":[{"type":"t"}]}}`, "error invalidValue: " + badgeURN + ":doors.value is required"},
		{"no object", "User", `{"userName":"ada","` + badgeURN + `":{"doors":[1]}}`, "error invalidValue: " + badgeURN + ":doors is an object, not a number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rt := c.ResourceType(test.rt)
			r, err := received(rt, test.in)
			if err != nil {
				if got := "error " + err.Error(); got != test.want {
					t.Errorf("got %s\nwant %s", got, test.want)
				}
				return
			}
			r.ProtoReflect().Clear(r.ProtoReflect().Descriptor().Fields().ByName("id"))
			document := rt.AppendDocument(nil, r)
			if string(document) != test.want {
				t.Errorf("got\n%s\nwant\n%s", document, test.want)
			}
			again, err := rt.DecodeDocument(document)
			if err != nil || !proto.Equal(r, again) {
				t.Errorf("decoded again it is %v, %v; it was %v", again, err, r)
			}
			// The REST face prints it without knowing the schemas.
			if back, err := received(rt, string(ResourceTypeOf(r).AppendJSON(nil, r, ""))); err != nil || !proto.Equal(r, back) {
				t.Errorf("printed and received again it is %v, %v", back, err)
			}
		})
	}
}

// A patch changes registered attributes as it does those of the contract.
func TestRegistered_Patch(t *testing.T) {
	c := registered(t)
	for _, test := range []struct{ name, rt, before, ops, want string }{
		{"an attribute of an extension", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:level","value":3}]`, `{"level":3}`},
		{"the extension as the path", "User", `{"userName":"a","` + badgeURN + `":{"level":1,"zones":["x"]}}`, `[{"op":"replace","path":"` + badgeURN + `","value":{"level":2}}]`, `{"level":2,"zones":["x"]}`},
		{"without path, a qualified key", "User", `{"userName":"a"}`, `[{"op":"add","value":{"` + badgeURN + `:lost":"False"}}]`, `{"lost":false}`},
		{"without path, the extension", "User", `{"userName":"a"}`, `[{"op":"add","value":{"` + badgeURN + `":{"zones":["n","s"]}}}]`, `{"zones":["n","s"]}`},
		{"add to a list, once", "User", `{"userName":"a","` + badgeURN + `":{"floors":[1]}}`, `[{"op":"add","path":"` + badgeURN + `:floors","value":[1,2]}]`, `{"floors":[1,2]}`},
		{"remove from a list", "User", `{"userName":"a","` + badgeURN + `":{"floors":[1,2]}}`, `[{"op":"remove","path":"` + badgeURN + `:floors","value":[1]}]`, `{"floors":[2]}`},
		{"a value path", "User", `{"userName":"a","` + badgeURN + `":{"doors":[{"value":"d1"},{"value":"d2"}]}}`, `[{"op":"replace","path":"` + badgeURN + `:doors[value eq \"d2\"].opens","value":7}]`, `{"doors":[{"value":"d1"},{"value":"d2","opens":7}]}`},
		{"a value path by number", "User", `{"userName":"a","` + badgeURN + `":{"doors":[{"value":"d1","opens":1},{"value":"d2","opens":2}]}}`, `[{"op":"remove","path":"` + badgeURN + `:doors[opens gt 1]"}]`, `{"doors":[{"value":"d1","opens":1}]}`},
		{"a second primary", "User", `{"userName":"a","` + badgeURN + `":{"doors":[{"value":"d1","primary":true}]}}`, `[{"op":"add","path":"` + badgeURN + `:doors","value":{"value":"d2","primary":true}}]`, `{"doors":[{"value":"d1","primary":false},{"value":"d2","primary":true}]}`},
		{"remove the last of an extension", "User", `{"userName":"a","` + badgeURN + `":{"level":1}}`, `[{"op":"remove","path":"` + badgeURN + `:level"}]`, ``},
		{"remove an extension", "User", `{"userName":"a","` + badgeURN + `":{"level":1}}`, `[{"op":"remove","path":"` + badgeURN + `"}]`, ``},
		{"set once", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:serial","value":"s"}]`, `{"serial":"s"}`},
		{"set once, the same again", "User", `{"userName":"a","` + badgeURN + `":{"serial":"s"}}`, `[{"op":"replace","path":"` + badgeURN + `:serial","value":"s"}]`, `{"serial":"s"}`},
		{"set twice", "User", `{"userName":"a","` + badgeURN + `":{"serial":"s"}}`, `[{"op":"replace","path":"` + badgeURN + `:serial","value":"t"}]`, `error mutability: ` + badgeURN + `:serial can be set only once`},
		{"removed", "User", `{"userName":"a","` + badgeURN + `":{"serial":"s"}}`, `[{"op":"remove","path":"` + badgeURN + `:serial"}]`, `error mutability: ` + badgeURN + `:serial can be set only once`},
		{"read-only", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:printedBy","value":"s"}]`, `error mutability: ` + badgeURN + `:printedBy is read-only`},
		{"not canonical", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:color","value":"blue"}]`, `error invalidValue: ` + badgeURN + `:color is one of: red, green`},
		{"a wrong type", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:issued","value":"today"}]`, `error invalidValue: ` + badgeURN + `:issued is not a date and time such as 2026-01-31T08:00:00Z`},
		{"an unknown attribute", "User", `{"userName":"a"}`, `[{"op":"add","path":"` + badgeURN + `:nothing","value":"x"}]`, `error invalidPath: "` + badgeURN + `:nothing" is not an attribute of User, at character 1`},
		{"a required extension goes", "Device", `{"displayName":"d","` + roomURN + `":{"room":"1"}}`, `[{"op":"remove","path":"` + roomURN + `"}]`, `error mutability: ` + roomURN + ` is a required extension`},
		{"a type of its own", "Device", `{"displayName":"d","tags":["x"],"` + roomURN + `":{"room":"1"}}`, `[{"op":"replace","value":{"ports":8,"` + roomURN + `:seats":2}},{"op":"remove","path":"tags"}]`, `{"displayName":"d","ports":8}{"room":"1","seats":2}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			rt := c.ResourceType(test.rt)
			r, err := received(rt, test.before)
			if err != nil {
				t.Fatal(err)
			}
			if got := patchRegistered(rt, r, test.ops); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// patchRegistered applies a patch twice to copies of r, as a store may, and shows
// the registered parts of what comes of it.
func patchRegistered(rt *ResourceType, r Resource, operations string) string {
	ops, err := DecodePatch([]byte(`{"Operations":` + operations + `}`))
	if err != nil {
		return "error " + err.Error()
	}
	change, err := rt.CompilePatch(ops)
	if err != nil {
		return "error " + err.Error()
	}
	copied, other := proto.CloneOf(r), proto.CloneOf(r)
	if err := change.Apply(copied); err != nil {
		return "error " + err.Error()
	}
	if err := change.Apply(other); err != nil || !proto.Equal(copied, other) {
		return "not the same the second time"
	}
	var e encoder
	o := objectOf(copied)
	var out []byte
	if rt.Registered() {
		out = e.object(out, o, rt.Schema.Attributes[4:])
	}
	for _, ext := range rt.Extensions {
		if ext.extension.held == asExtension && o.count(ext.extension) > 0 {
			out = e.object(out, o.child(ext.extension, 0), ext.Attributes)
		}
	}
	return string(out)
}

// A replace keeps what can be set only once, and secrets, unless it names them.
func TestRegistered_Replace(t *testing.T) {
	rt := registered(t).ResourceType("User")
	stored, err := received(rt, `{"userName":"a","`+badgeURN+`":{"serial":"s","level":1,"lost":true}}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ sent, want string }{
		{`{"userName":"a"}`, `{"lost":true,"serial":"s"}`},
		{`{"userName":"a","` + badgeURN + `":{"level":2,"lost":false}}`, `{"level":2,"lost":false,"serial":"s"}`},
		{`{"userName":"a","` + badgeURN + `":{"serial":"s"}}`, `{"lost":true,"serial":"s"}`},
		{`{"userName":"a","` + badgeURN + `":{"serial":"t"}}`, `error mutability: ` + badgeURN + `:serial can be set only once`},
	} {
		sent, err := ResourceTypeOf(stored).DecodeJSON([]byte(test.sent))
		if err != nil {
			t.Fatal(err)
		}
		change, err := rt.CompileReplace(sent)
		if err != nil {
			t.Fatal(err)
		}
		copied := proto.CloneOf(stored)
		var got string
		if err := change.Apply(copied); err != nil {
			got = "error " + err.Error()
		} else {
			var e encoder
			got = string(e.object(nil, objectOf(copied).child(rt.extension(badgeURN), 0), rt.extension(badgeURN).Sub))
		}
		if got != test.want {
			t.Errorf("%s: got  %s\nwant %s", test.sent, got, test.want)
		}
	}
}

// Answers have what the characteristic "returned" says, and secrets nowhere.
func TestRegistered_Projection(t *testing.T) {
	rt := registered(t).ResourceType("User")
	for _, test := range []struct{ attributes, excluded, want string }{
		{"", "", `{"level":1}`},
		{badgeURN + ":note", "", `{"note":"n"}`},
		{badgeURN, "", `{"level":1}`},
		{badgeURN + ":hint", "", ``},
		{"", badgeURN + ":level", ``},
	} {
		r, err := received(rt, `{"userName":"a","`+badgeURN+`":{"level":1,"note":"n","hint":"h","pin":"1234"}}`)
		if err != nil {
			t.Fatal(err)
		}
		if secrets := rt.TakeSecrets(r); len(secrets) != 1 || secrets[badgeURN+":pin"] != "1234" {
			t.Fatalf("secrets are %v", secrets)
		}
		p, err := rt.CompileProjection(strings.Fields(test.attributes), strings.Fields(test.excluded))
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(r)
		body := string(ResourceTypeOf(r).AppendJSON(nil, r, ""))
		_, ext, found := strings.Cut(body, `"`+badgeURN+`":`)
		if strings.Contains(body, `"hint"`) || strings.Contains(body, "1234") || found != (test.want != "") || found && ext != test.want+"}" {
			t.Errorf("%q less %q: %s", test.attributes, test.excluded, body)
		}
	}
}

// Values that must be unique, and references, are found wherever they stand.
func TestRegistered_UniqueValuesAndReferences(t *testing.T) {
	c := registered(t)
	user, err := received(c.ResourceType("User"), `{"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":"m"},"`+badgeURN+`":{"badgeNumber":"Bb","sponsor":{"value":"s"}}}`)
	if err != nil {
		t.Fatal(err)
	}
	device, err := received(c.ResourceType("Device"), `{"displayName":"d","serialNumber":"SN","owner":"https://x.example/scim/v2/Users/o","`+roomURN+`":{"room":"1"}}`)
	if err != nil {
		t.Fatal(err)
	}
	if u := c.ResourceType("User").UniqueValues(user); len(u) != 1 || u[0].Text != "Bb" {
		t.Errorf("unique values of a user are %v", u)
	}
	if u := c.ResourceType("Device").UniqueValues(device); len(u) != 1 || u[0].Text != "sn" {
		t.Errorf("unique values of a device are %v", u)
	}
	var ids []string
	for _, ref := range append(c.ResourceType("User").NamedResources(user), c.ResourceType("Device").NamedResources(device)...) {
		ids = append(ids, ref.ID+" "+strings.Join(ref.Types, ","))
	}
	if got := strings.Join(ids, "; "); got != "m User; s User; o User" {
		t.Errorf("references are %s", got)
	}
}

// What does not fit is refused, and the error says why.
func TestCatalog_Refuses(t *testing.T) {
	schema := func(attrs string) string { return `{"id":"urn:x:y","attributes":[` + attrs + `]}` }
	extends := `{"id":"User","name":"User","schemaExtensions":[{"schema":"urn:x:y"}]}`
	for name, test := range map[string]struct{ text, want string }{
		"no JSON":                   {`{`, "a member name"},
		"neither":                   {`{"a":1}`, "neither a schema"},
		"no URN":                    {`{"id":"x","attributes":[{"name":"a"}]}`, "is a URN"},
		"a quote in the URN":        {`{"id":"urn:x:a'b","attributes":[{"name":"a"}]}`, "is a URN"},
		"of the contract":           {`{"id":"urn:ietf:params:scim:schemas:core:2.0:User","attributes":[{"name":"a"}]}`, "contract"},
		"no attributes":             {schema(``), "at least one"},
		"a bad name":                {schema(`{"name":"a b"}`), "not the name"},
		"a name twice":              {schema(`{"name":"a"},{"name":"A"}`), "two attributes"},
		"an unknown word":           {schema(`{"name":"a","mutability":"sometimes"}`), "unknown mutability"},
		"complex in complex":        {schema(`{"name":"a","type":"complex","subAttributes":[{"name":"b","type":"complex","subAttributes":[{"name":"c"}]}]}`), "complex inside"},
		"complex without parts":     {schema(`{"name":"a","type":"complex"}`), "no sub-attributes"},
		"a write-only number":       {schema(`{"name":"a","type":"integer","mutability":"writeOnly"}`), "write-only"},
		"required and read-only":    {schema(`{"name":"a","required":true,"mutability":"readOnly"}`), "read-only"},
		"a schema that is missing":  {`{"id":"X","name":"X","endpoint":"/Xs","schema":"urn:x:y"}`, "is not registered"},
		"an extension missing":      {extends, "is not registered"},
		"an endpoint that is taken": {`[` + schema(`{"name":"a"}`) + `,{"name":"X","endpoint":"/Users","schema":"urn:x:y"}]`, "is taken"},
		"of SCIM itself":            {`{"id":"urn:ietf:params:scim:schemas:core:2.0:Schema","attributes":[{"name":"a"}]}`, "SCIM itself"},
		"a long description":        {schema(`{"name":"a","description":"` + strings.Repeat("x", maxText+1) + `"}`), "longer than"},
		"many canonical values":     {schema(`{"name":"a","canonicalValues":["x"` + strings.Repeat(`,"x"`, maxTexts) + `]}`), "more than"},
		"a name in other letters":   {`[` + schema(`{"name":"a"}`) + `,{"name":"user","endpoint":"/Xs","schema":"urn:x:y"}]`, "is taken"},
		"a reference by endpoint":   {`[` + schema(`{"name":"a","type":"reference","referenceTypes":"Users"}`) + `,` + extends + `]`, "no resource type"},
		"a URN that is a name":      {`[` + schema(`{"name":"a"}`) + `,{"id":"urn:x:y:a","attributes":[{"name":"b"}]},{"name":"User","schemaExtensions":[{"schema":"urn:x:y"},{"schema":"urn:x:y:a"}]}]`, "name of an attribute"},
		"an endpoint of SCIM":       {`[` + schema(`{"name":"a"}`) + `,{"name":"X","endpoint":"/Bulk","schema":"urn:x:y"}]`, "none of SCIM's own"},
		"core and extension":        {`[` + schema(`{"name":"a"}`) + `,{"name":"X","endpoint":"/Xs","schema":"urn:x:y"},` + extends + `]`, "cannot extend"},
		"a reference to nothing":    {`[` + schema(`{"name":"a","type":"reference","referenceTypes":["Y"]}`) + `,` + extends + `]`, "no resource type"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := catalogOf(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want …%s…", err, test.want)
			}
		})
	}
}

// The extensions of the contract's types are those that are registered for all
// tenants and those of the tenant; a type of its own is what was registered last.
func TestCatalog_OfSeveral(t *testing.T) {
	schemas, types, err := ParseRegistrations([]byte(`[{"id":"urn:x:y","attributes":[{"name":"a"}]},{"id":"urn:x:y:z","attributes":[{"name":"b"}]},
		{"name":"User","schemaExtensions":[{"schema":"urn:x:y","required":true}]},
		{"name":"User","schemaExtensions":[{"schema":"urn:x:y:z"},{"schema":"urn:x:y"}]},
		{"name":"Thing","endpoint":"/Things","schema":"urn:x:y:core"},{"id":"urn:x:y:core","attributes":[{"name":"c"}]},
		{"name":"Thing","endpoint":"/Others","schema":"urn:x:y:core"}]`))
	if err != nil {
		t.Fatal(err)
	}
	for _, rt := range types { // one by one: they are of several owners
		if err := CheckRegistrations(schemas, []*musterv1.ResourceType{rt}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := NewCatalog(schemas, types)
	if err != nil {
		t.Fatal(err)
	}
	var extensions []string
	for _, ext := range c.ResourceType("User").Proto().GetSchemaExtensions() {
		extensions = append(extensions, fmt.Sprint(ext.GetSchema(), " ", ext.GetRequired()))
	}
	if want := []string{User.Extensions[0].URN + " false", "urn:x:y true", "urn:x:y:z false"}; !slices.Equal(extensions, want) {
		t.Errorf("got %q, want %q", extensions, want)
	}
	if c.ResourceTypeAt("/Things") != nil || c.ResourceTypeAt("/Others") == nil {
		t.Error("the type is not where it was registered last")
	}
	for _, name := range []string{"urn:x:y:a", "urn:x:y:z:b", "URN:X:Y:Z.b"} { // one URN begins the other
		if f, err := c.ResourceType("User").ParseFilter(name + ` eq "1"`); err != nil {
			t.Errorf("%v: %v", f, err)
		}
	}
}
