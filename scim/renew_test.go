package scim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const extended = "urn:x:y"

// userWith is the type User with an extension of these attributes.
func userWith(tb interface{ Fatal(args ...any) }, attributes string, required bool) *ResourceType {
	c, err := catalogOf(fmt.Sprintf(`[{"id":%q,"attributes":[%s]},{"name":"User","schemaExtensions":[{"schema":%q,"required":%t}]}]`,
		extended, attributes, extended, required))
	if err != nil {
		tb.Fatal(attributes, err)
	}
	return c.ResourceType("User")
}

// stored is the document of a resource that a write accepted.
func stored(tb interface{ Fatal(args ...any) }, rt *ResourceType, text string) []byte {
	r, err := received(rt, text)
	if err != nil {
		tb.Fatal(text, err)
	}
	rt.TakeSecrets(r)
	return rt.AppendDocument(nil, r)
}

// A resource that a changed schema would not hold is not renewed, and the error
// says why.
func TestRenew(t *testing.T) {
	const bare, full = `{"userName":"u"}`, `{"userName":"u","urn:x:y":{"a":"1","s":"secret"}}`
	old := userWith(t, `{"name":"a"},{"name":"s","mutability":"writeOnly"}`, false)
	const s = `,{"name":"s","mutability":"writeOnly"}`
	for _, test := range []struct {
		name, body, attributes string
		required               bool
		want                   string
		unseen                 bool // whether none need be looked at
	}{
		{"the same", full, `{"name":"a"}` + s, false, "", true},
		{"another description", full, `{"name":"a","description":"d"}` + s, false, "", true},
		{"one more", full, `{"name":"a"},{"name":"b"}` + s, false, "", true},
		{"now required as a whole", full, `{"name":"a"}` + s, true, "", false},
		{"now required, and not there", bare, `{"name":"a"}` + s, true, "required extension", false},
		{"now required", full, `{"name":"a","required":true}` + s, false, "", false},
		{"a new one that is required", full, `{"name":"a"},{"name":"b","required":true}` + s, false, "b is required", false},
		{"nobody has it", bare, `{"name":"a"},{"name":"b","required":true}` + s, false, "", false},
		{"gone", full, `{"name":"b"}` + s, false, "urn:x:y:a would be lost", false},
		{"gone, and nobody had it", bare, `{"name":"b"}`, false, "", false},
		{"a list", full, `{"name":"a","multiValued":true}` + s, false, "lost or changed", false},
		{"another type", full, `{"name":"a","type":"boolean"}` + s, false, "true or false", false},
		{"in other letters", full, `{"name":"A"}` + s, false, "lost or changed", false},
		{"not canonical", full, `{"name":"a","canonicalValues":["2"]}` + s, false, "one of", false},
		{"canonical", full, `{"name":"a","canonicalValues":["1"]}` + s, false, "", false},
		{"read-only from now on", full, `{"name":"a","mutability":"readOnly"}` + s, false, "", true},
		{"a secret from now on", full, `{"name":"a","mutability":"writeOnly"}` + s, false, "kept as hashes", false},
		{"no secret any more", full, `{"name":"a"},{"name":"s"}`, false, "kept as hashes", false},
		{"a secret that is gone", full, `{"name":"a"}`, false, "urn:x:y:s would be lost", false},
		{"unique", full, `{"name":"a","uniqueness":"server"}` + s, false, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			rt := userWith(t, test.attributes, test.required)
			_, _, err := rt.Renew(old, stored(t, old, test.body))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if got := rt.Accepts(old); got != test.unseen {
				t.Errorf("accepts all: %t", got)
			}
		})
	}
	if _, _, err := User.Renew(old, stored(t, old, full)); err == nil {
		t.Error("without the extension its values would be lost")
	}
}

// Where a type accepts all that another made, none of it has to be looked at: each
// resource would be renewed, with the same unique values.
func TestAccepts_IsSafe(t *testing.T) {
	met := 0
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			before := []draft{drawDraft(t, "a"), drawDraft(t, "b")}
			old, rt := extendedBy(t, before), extendedBy(t, alter(t, before))
			if old != nil && rt != nil && rt.Accepts(old) {
				met += renewsAny(t, rt, old)
			}
		}
	})
	if met == 0 {
		t.Error("no type accepted another")
	}
}

// renewsAny renews resources that old made, and returns how many.
func renewsAny(t *rapid.T, rt, old *ResourceType) (met int) {
	for range 3 {
		text, err := json.Marshal(map[string]any{"userName": "u", extended: drawValues(t, old)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := received(old, string(text))
		if err != nil {
			continue // a required one is missing
		}
		met++
		old.TakeSecrets(r)
		was, is, err := rt.Renew(old, old.AppendDocument(nil, r))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if before, after := fmt.Sprint(texts(old.UniqueValues(was))), fmt.Sprint(texts(rt.UniqueValues(is))); before != after {
			t.Fatalf("%s: unique %s and then %s", text, before, after)
		}
	}
	return met
}

func texts(values []UniqueValue) (all []string) {
	for _, v := range values {
		all = append(all, v.Attr.Path+" "+v.Text)
	}
	return all
}

// A draft is the definition of an attribute.
type draft map[string]any

// choices are what an attribute can be.
var choices = map[string][]any{
	"type": {"string", "integer"}, "required": {false, true}, "multiValued": {false, true}, "caseExact": {false, true},
	"uniqueness": {"none", "server"}, "mutability": {"readWrite", "writeOnly"},
	"canonicalValues": {[]string{}, []string{"x"}, []string{"x", "Y"}},
}

func drawChoice(t *rapid.T, characteristic string) any {
	return rapid.SampledFrom(choices[characteristic]).Draw(t, characteristic)
}

func drawDraft(t *rapid.T, name string) draft {
	d := draft{"name": name}
	for _, c := range slices.Sorted(maps.Keys(choices)) {
		if rapid.Bool().Draw(t, "deviates") {
			d[c] = drawChoice(t, c)
		}
	}
	return d
}

// alter changes little of the drafts, or adds one.
func alter(t *rapid.T, drafts []draft) []draft {
	altered := []draft{maps.Clone(drafts[0]), maps.Clone(drafts[1])}
	for range rapid.IntRange(0, 2).Draw(t, "changes") {
		c := rapid.SampledFrom(slices.Sorted(maps.Keys(choices))).Draw(t, "characteristic")
		altered[rapid.IntRange(0, 1).Draw(t, "of")][c] = drawChoice(t, c)
	}
	if rapid.Bool().Draw(t, "one more") {
		altered = append(altered, drawDraft(t, "c"))
	}
	return altered
}

// extendedBy is the type User with these, or nil where they are not allowed.
func extendedBy(t *rapid.T, drafts []draft) *ResourceType {
	text, err := json.Marshal([]any{
		map[string]any{"id": extended, "attributes": drafts},
		map[string]any{"name": "User", "schemaExtensions": []any{map[string]any{"schema": extended, "required": rapid.Bool().Draw(t, "required")}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := catalogOf(string(text))
	if err != nil {
		return nil
	}
	return c.ResourceType("User")
}

func drawValues(t *rapid.T, rt *ResourceType) map[string]any {
	values := make(map[string]any)
	for _, a := range rt.extension(extended).Sub {
		if rapid.Bool().Draw(t, a.Name) {
			values[a.Name] = rapid.SampledFrom([]string{"x", "X", "Y", "1"}).Draw(t, "value")
			if a.Type == Integer {
				values[a.Name] = 1
			}
		}
	}
	return values
}
