package scim

import (
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestMaskPaths(t *testing.T) {
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	got, err := User.MaskPaths(&fieldmaskpb.FieldMask{Paths: []string{"user_name", "name.given_name", "emails.value", "enterprise_user", "enterprise_user.department", "enterprise_user.manager.value", "meta.last_modified"}})
	want := []string{"userName", "name.givenName", "emails.value", enterprise, enterprise + ":department", enterprise + ":manager.value", "meta.lastModified"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
	for _, path := range got {
		if path != enterprise && User.resolve(path) == nil {
			t.Errorf("%s is no attribute", path)
		}
	}
	for _, path := range []string{"", "userName", "user_name.x", "nothing", "name.", ".name", "extensions", "emails.value.x"} {
		if _, err := User.MaskPaths(&fieldmaskpb.FieldMask{Paths: []string{path}}); ReasonOf(err) != InvalidValue {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// Each field of the messages is an attribute that a mask can name.
func TestMaskPaths_EveryField(t *testing.T) {
	for _, rt := range []*ResourceType{User, Group} {
		fields := rt.New().ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			name := string(fields.Get(i).Name())
			if rt.masked(name) == nil && name != "extensions" {
				t.Errorf("%s: %s is no attribute", rt.Name, name)
			}
		}
	}
}

func TestMaskOperations(t *testing.T) {
	u := &musterv1.User{Id: "x", UserName: "ada", Password: "p", Name: &musterv1.Name{GivenName: "Ada"}, EnterpriseUser: &musterv1.EnterpriseUser{Department: "d"}}
	apply := func(paths ...string) *musterv1.User {
		t.Helper()
		ops, err := User.MaskOperations(u, &fieldmaskpb.FieldMask{Paths: paths})
		if err != nil {
			t.Fatal(err)
		}
		c, err := User.CompilePatch(ops)
		if err != nil {
			t.Fatal(err)
		}
		before := &musterv1.User{UserName: "bob", Title: "t", DisplayName: "Bob", Name: &musterv1.Name{FamilyName: "Kahn"}, EnterpriseUser: &musterv1.EnterpriseUser{CostCenter: "c"}}
		if err := c.Apply(before); err != nil {
			t.Fatal(err)
		}
		return before
	}
	if got := apply(); got.GetUserName() != "ada" || got.GetTitle() != "t" || got.GetPassword() != "p" || got.GetName().GetFamilyName() != "" && got.GetName().GetGivenName() != "Ada" {
		t.Errorf("without a mask: %v", got)
	}
	if got := apply("title", "name.given_name"); got.GetTitle() != "" || got.GetUserName() != "bob" || got.GetName().GetGivenName() != "Ada" || got.GetName().GetFamilyName() != "Kahn" {
		t.Errorf("two fields: %v", got)
	}
	if got := apply("enterprise_user"); got.GetEnterpriseUser().GetDepartment() != "d" || got.GetEnterpriseUser().GetCostCenter() != "" {
		t.Errorf("the extension: %v", got)
	}
	if got := apply("enterprise_user.department"); got.GetEnterpriseUser().GetDepartment() != "d" || got.GetEnterpriseUser().GetCostCenter() != "c" {
		t.Errorf("a field of the extension: %v", got)
	}
	for _, path := range []string{"emails.value", "nothing"} {
		if _, err := User.MaskOperations(u, &fieldmaskpb.FieldMask{Paths: []string{path}}); ReasonOf(err) != InvalidValue {
			t.Errorf("%q: %v", path, err)
		}
	}
	ops, err := User.MaskOperations(u, &fieldmaskpb.FieldMask{Paths: []string{"id"}})
	if err == nil {
		_, err = User.CompilePatch(ops)
	}
	if ReasonOf(err) != Mutability {
		t.Errorf("the id: %v", err)
	}
}
