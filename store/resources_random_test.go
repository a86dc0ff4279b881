package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Whatever a create accepted is read back equal; and what a patch adds to it,
// another removes: the resource is as it was, two versions on. Users, groups and a
// registered type, with extensions of the contract and of their own.
func TestRandom_ReadsBackEqual(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		register(t, newTenant(t, s))
		tenant := newTenant(t, s) // as it is now
		users := []string{create(t, tenant, scim.User, `{"userName":"first"}`), create(t, tenant, scim.User, `{"userName":"second"}`)}
		types := tenant.Catalog().ResourceTypes()
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			of := types[rapid.IntRange(0, len(types)-1).Draw(rt, "type")]
			comes := rapid.SampledFrom(removable(of)).Draw(rt, "attribute")
			attrs := slices.DeleteFunc(of.Attributes(), func(a *scim.Attribute) bool { return a == comes })
			body := object(rt, attrs, users)
			makeUnique(body, n)
			text, err := json.Marshal(body)
			if err != nil {
				rt.Fatal(err)
			}
			r := decode(t, of, "%s", text)
			made, err := tenant.Create(context.Background(), of, r, true)
			if err != nil {
				rt.Fatalf("%s: %v", text, err)
			}
			id := made.GetId()
			if got := mustGet(t, tenant, of, id); !proto.Equal(made, got) {
				rt.Fatalf("%s\nmade %v\nread %v", text, made, got)
			}
			added := map[string]any{comes.Name: value(rt, comes, users)}
			makeUnique(added, n)
			op := func(fields string) string { return fmt.Sprintf(`[{"path":%q,%s}]`, comes.Path, fields) }
			with, err := json.Marshal(added[comes.Name])
			if err != nil {
				rt.Fatal(err)
			}
			mustPatch(t, tenant, of, id, op(`"op":"add","value":`+string(with)))
			mustPatch(t, tenant, of, id, op(`"op":"remove"`))
			got := mustGet(t, tenant, of, id)
			if v := got.GetMeta().GetVersion(); v != `W/"1"` && v != `W/"3"` { // an element without content is none
				rt.Errorf("the version is %s", v)
			}
			of.Stamp(made, id, &musterv1.Meta{})
			of.Stamp(got, id, &musterv1.Meta{})
			if !proto.Equal(made, got) {
				rt.Fatalf("%s with %s %s and without\nis  %v\nwas %v", text, comes.Path, with, got, made)
			}
		})
	})
}

// removable are the attributes that can come and go.
func removable(rt *scim.ResourceType) (some []*scim.Attribute) {
	for _, a := range rt.Attributes() {
		if !a.Required && !a.ReadOnly() && !a.Link && a.Name != "schemas" && a.Name != "room" && a.Name != "password" && a.Mutability != musterv1.Attribute_MUTABILITY_IMMUTABLE {
			some = append(some, a)
		}
	}
	return some
}
