package scim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// drawJSON makes some of the attributes, as a client sends them. Not those that
// leave accepts, and always those that are required.
func drawJSON(t *rapid.T, attrs []*Attribute, leave func(*Attribute) bool) map[string]any {
	o := make(map[string]any)
	for _, a := range attrs {
		if a.ReadOnly() || a.Link || a.Name == "schemas" || leave(a) || !a.required && rapid.Bool().Draw(t, "without "+a.Path) {
			continue
		}
		v := drawJSONValue(t, a)
		if a.MultiValued {
			list := []any{v}
			for range rapid.IntRange(0, 2).Draw(t, "more") {
				list = append(list, drawJSONValue(t, a))
			}
			v = list
		}
		if a.container == nil || a.Parent != nil {
			o[a.Name] = v
			continue
		}
		ext, _ := o[a.Schema.URN].(map[string]any)
		if ext == nil {
			ext = make(map[string]any)
			o[a.Schema.URN] = ext
		}
		ext[a.Name] = v
	}
	return o
}

func drawJSONValue(t *rapid.T, a *Attribute) any {
	switch a.Type {
	case Complex:
		return drawJSON(t, a.Sub, func(*Attribute) bool { return false })
	case Boolean:
		return rapid.Bool().Draw(t, a.Name)
	case Integer:
		return rapid.OneOf(rapid.Int64Range(-MaxInteger, MaxInteger), rapid.Int64Range(-3, 3)).Draw(t, a.Name)
	case Decimal:
		return rapid.Float64().Draw(t, a.Name)
	case DateTime:
		at := time.UnixMilli(rapid.Int64Range(-62135596800000, 253402300799999).Draw(t, a.Name))
		return at.In(time.FixedZone("", 60*rapid.IntRange(-60, 60).Draw(t, "offset"))).Format(time.RFC3339Nano)
	case Binary:
		return base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, a.Name))
	default:
	}
	if len(a.CanonicalValues) > 0 {
		return rapid.SampledFrom(a.CanonicalValues).Draw(t, a.Name)
	}
	return rapid.StringMatching(`[ -~äß€😀İſ]{1,6}`).Draw(t, a.Name)
}

// drawRegistered makes a resource of a type that has registered attributes, which a
// write accepted.
func drawRegistered(t *rapid.T, c *Catalog, leave func(*Attribute) bool) (*ResourceType, Resource) {
	rt := rapid.SampledFrom(c.ResourceTypes()).Draw(t, "type")
	text, err := json.Marshal(drawJSON(t, rt.Attributes(), leave))
	if err != nil {
		t.Fatal(err)
	}
	r, err := received(rt, string(text))
	if err != nil {
		if ReasonOf(err) == InvalidValue { // an offset may lead beyond the last year; a list of empty elements is none
			t.Skip(err)
		}
		t.Fatalf("%s: %v", text, err)
	}
	return rt, r
}

// What is kept is what was accepted; and what clients read they can send again.
func TestRegistered_DecodeOfEncodeIsIdentity(t *testing.T) {
	c := registered(t)
	rapid.Check(t, func(t *rapid.T) {
		rt, r := drawRegistered(t, c, func(a *Attribute) bool { return a.Returned == musterv1.Attribute_RETURNED_NEVER })
		back, err := rt.DecodeDocument(rt.AppendDocument(nil, r))
		if err != nil || !proto.Equal(r, back) {
			t.Fatalf("kept as %v, %v\nwas %v", back, err, r)
		}
		text := ResourceTypeOf(r).AppendJSON(nil, r, "https://x.example")
		again, err := received(rt, string(text))
		if err != nil || !proto.Equal(r, again) {
			t.Fatalf("%s\nread as %v, %v\nwas     %v", text, again, err, r)
		}
		if !proto.Equal(r, prepared(t, rt, r)) {
			t.Fatal("what is prepared already changes when it is prepared again")
		}
	})
}

func prepared(t *rapid.T, rt *ResourceType, r Resource) Resource {
	again := proto.CloneOf(r)
	if err := rt.Prepare(again); err != nil {
		t.Fatal(err)
	}
	return again
}

// What a patch adds, another removes: a whole attribute, or some of its elements.
func TestRegistered_PatchAddThenRemoveRestores(t *testing.T) {
	c := registered(t)
	rapid.Check(t, func(t *rapid.T) {
		types := c.ResourceTypes()
		rt := types[rapid.IntRange(0, len(types)-1).Draw(t, "of")]
		a := rapid.SampledFrom(removable(rt)).Draw(t, "attribute")
		among := a.MultiValued && rapid.Bool().Draw(t, "among others")
		text, err := json.Marshal(drawJSON(t, rt.Attributes(), func(b *Attribute) bool { return b == a && !among }))
		if err != nil {
			t.Fatal(err)
		}
		r, err := received(rt, string(text))
		if err != nil {
			t.Skip(err)
		}
		value := drawJSONValue(t, a)
		if among {
			value = newElement(t, a)
		}
		added := mustApply(t, rt, r, "add", a.Path, value, true)
		removed := mustApply(t, rt, added, "remove", a.Path, value, among)
		if !proto.Equal(r, removed) {
			t.Fatalf("add and remove %v of %s\nled to %v\nfrom   %v\nby     %v", value, a.Path, removed, r, added)
		}
	})
}

// removable are the attributes that can come and go.
func removable(rt *ResourceType) (some []*Attribute) {
	for _, a := range rt.Attributes() {
		if !a.required && !a.ReadOnly() && !a.Link && a.Name != "schemas" && a.Mutability != musterv1.Attribute_MUTABILITY_IMMUTABLE {
			some = append(some, a)
		}
	}
	return some
}

// newElement is one that no other is equal to, and that leaves others as they are.
func newElement(t *rapid.T, a *Attribute) any {
	switch {
	case a.Type == Integer:
		return -7777
	case a.Type != Complex:
		return "an element of its own"
	}
	e, _ := drawJSONValue(t, a).(map[string]any)
	delete(e, "primary")
	for _, sub := range a.Sub {
		if sub.Type == String && !sub.ReadOnly() && len(sub.CanonicalValues) == 0 {
			e[sub.Name] = "an element of its own"
		}
	}
	return e
}

// mustApply applies a patch of one operation to a copy.
func mustApply(t *rapid.T, rt *ResourceType, r Resource, op, path string, value any, given bool) Resource {
	operation := map[string]any{"op": op, "path": path}
	if given {
		operation["value"] = value
	}
	text, err := json.Marshal(map[string]any{"Operations": []any{operation}})
	if err != nil {
		t.Fatal(err)
	}
	ops, err := DecodePatch(text)
	if err != nil {
		t.Fatal(err)
	}
	change, err := rt.CompilePatch(ops)
	if err != nil {
		if op == "add" {
			t.Skip(fmt.Sprint(string(text), err))
		}
		t.Fatalf("%s: %v", text, err)
	}
	changed := proto.CloneOf(r)
	if err := change.Apply(changed); err != nil {
		if op == "add" {
			t.Skip(fmt.Sprint(string(text), err))
		}
		t.Fatalf("%s: %v", text, err)
	}
	return changed
}
