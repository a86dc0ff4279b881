package server

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// violationOf is the field that an error's one violation names, and its path in
// JSON, of its ErrorInfo.
func violationOf(err error) (field, attribute string) {
	for _, d := range status.Convert(err).Details() {
		switch d := d.(type) {
		case *errdetails.BadRequest:
			field = d.GetFieldViolations()[0].GetField()
		case *errdetails.ErrorInfo:
			attribute = d.GetMetadata()["attribute"]
		}
	}
	return field, attribute
}

// What is wrong about a field says which field, as the request has it.
func TestViolations_NameFieldsOfTheRequest(t *testing.T) {
	s, _, _, ids := company(t)
	ctx := withCredential(t, s, store.Credential{Name: "all", Scopes: []string{ScopeSCIM, ScopeAdmin}})
	const enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	ada := &musterv1.UserKey{Key: &musterv1.UserKey_Id{Id: ids["Ada"]}}
	patch := func(ops ...*musterv1.PatchOperation) proto.Message {
		return &musterv1.PatchUserRequest{Id: ids["Ada"], Operations: ops}
	}
	title := &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REPLACE, Path: "title", Value: structpb.NewStringValue("x")}
	long := string(make([]byte, 1<<20))
	for _, c := range []struct {
		method           string // of the service below
		request          proto.Message
		field, attribute string
	}{
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{}, "user", ""},
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{User: &musterv1.User{}}, "user.user_name", "userName"},
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ADA"}}, "user.user_name", "userName"},
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "n", EnterpriseUser: &musterv1.EnterpriseUser{Department: long}}}, "user.enterprise_user.department", enterprise + ":department"},
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "n", EnterpriseUser: &musterv1.EnterpriseUser{Manager: &musterv1.Manager{Value: long}}}}, "user.enterprise_user.manager.value", enterprise + ":manager.value"},
		{"Provisioning/CreateUser", &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "n"}, Attributes: []string{"id"}, ExcludedAttributes: []string{"title"}}, "excluded_attributes", ""},
		{"Provisioning/CreateGroup", &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: "n", Members: []*musterv1.Member{{Value: "nobody"}}}}, "group.members.value", "members.value"},
		{"Provisioning/ReplaceUser", &musterv1.ReplaceUserRequest{Id: ids["Ada"], User: &musterv1.User{Id: "other", UserName: "Ada"}}, "user.id", "id"},
		{"Provisioning/ReplaceUser", &musterv1.ReplaceUserRequest{Id: ids["Ada"], User: &musterv1.User{UserName: "Ada"}, IfMatch: "1"}, "if_match", ""},
		{"Provisioning/DeleteUser", &musterv1.DeleteUserRequest{Id: ids["Ada"], IfNoneMatch: "1"}, "if_none_match", ""},
		{"Provisioning/PatchUser", patch(), "operations", ""},
		{"Provisioning/PatchUser", patch(title, &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_ADD, Path: "emails["}), "operations[1].value", ""},
		{"Provisioning/PatchUser", patch(title, &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REMOVE, Path: "emails["}), "operations[1].path", ""},
		{"Provisioning/PatchUser", patch(&musterv1.PatchOperation{}), "operations[0].op", ""},
		{"Provisioning/PatchUser", patch(title, &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REPLACE, Path: "meta", Value: structpb.NewStringValue("x")}), "operations[1]", "meta"},
		{"Provisioning/PatchUser", patch(title, &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_REPLACE, Value: structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"id": structpb.NewStringValue("x")}})}), "operations[1]", "id"},
		{"Provisioning/ListUsers", &musterv1.ListUsersRequest{Filter: "userName"}, "filter", ""},
		{"Provisioning/ListUsers", &musterv1.ListUsersRequest{Filter: `password eq "x"`}, "filter", "password"},
		{"Provisioning/ListUsers", &musterv1.ListUsersRequest{SortBy: "nothing"}, "sort_by", ""},
		{"Provisioning/ListUsers", &musterv1.ListUsersRequest{PageToken: new("x")}, "page_token", ""},
		{"Provisioning/Bulk", &musterv1.BulkRequest{FailOnErrors: -1}, "fail_on_errors", ""},
		{"Directory/FindUsers", &musterv1.FindUsersRequest{Filter: "userName"}, "filter", ""},
		{"Directory/FindUsers", &musterv1.FindUsersRequest{ReadMask: mask("userName")}, "read_mask", ""},
		{"Directory/FindGroups", &musterv1.FindGroupsRequest{PageToken: "x"}, "page_token", ""},
		{"Directory/LookupUser", &musterv1.LookupUserRequest{}, "key", ""},
		{"Directory/LookupUser", &musterv1.LookupUserRequest{Key: ada, ReadMask: mask("x")}, "read_mask", ""},
		{"Directory/BatchGetUsers", &musterv1.BatchGetUsersRequest{Ids: make([]string, maxBatch+1)}, "ids", ""},
		{"Directory/CheckMembership", &musterv1.CheckMembershipRequest{User: ada}, "group", ""},
		{"Directory/ListMembers", &musterv1.ListMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: ids["inner"]}}, PageToken: "x"}, "page_token", ""},
		{"Directory/UpdateUser", &musterv1.UpdateUserRequest{}, "user", ""},
		{"Directory/UpdateUser", &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["Ada"]}, UpdateMask: mask("emails.value")}, "update_mask", ""},
		{"Directory/UpdateUser", &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["bob"], UserName: "ada"}}, "user.user_name", "userName"},
		{"Directory/UpdateUser", &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["Ada"], Title: "x"}, IfMatch: "x"}, "if_match", ""},
		{"Change/ListChanges", &musterv1.ListChangesRequest{Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"Nothing"}}}, "filter.resource_types", ""},
		{"Change/ListChanges", &musterv1.ListChangesRequest{AfterPosition: 1 << 40}, "after_position", ""},
		{"Tenant/CreateTenant", &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: " "}}, "tenant.name", "name"},
		{"Tenant/UpdateTenant", &musterv1.UpdateTenantRequest{Tenant: &musterv1.Tenant{Name: "default"}, UpdateMask: mask("nothing")}, "update_mask", ""},
		{"Credential/CreateCredential", &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Tenant: "default", Name: "n", Scopes: []string{"x"}}}, "credential.scopes", "scopes"},
		{"Credential/CreateCredential", &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Tenant: "default", Name: "n", Scopes: []string{"scim"}, Kind: musterv1.Credential_KIND_OAUTH,
			OfKind: &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{RedirectUris: []string{"x"}}}}}, "credential.oauth.redirect_uris", "oauth.redirectUris"},
		{"Credential/CreateCredential", &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Tenant: "default", Name: "n", Scopes: []string{"scim:Userx:read"}}}, "credential.scopes", "scopes"},
		{"Credential/UpdateCredential", &musterv1.UpdateCredentialRequest{Credential: &musterv1.Credential{Tenant: "default", Name: "all", Scopes: []string{"scim:Userx:read"}}}, "credential.scopes", "scopes"},
		{"Recording/StartRecording", &musterv1.StartRecordingRequest{Tenant: "default", Credential: "all", Redacted: []string{"userName", "nope"}}, "redacted", ""},
		{"Registry/Register", &musterv1.RegisterRequest{Tenant: "default", Schemas: []*musterv1.Schema{{Id: "x"}}}, "schemas[0]", "id"},
		{"Recording/StartRecording", &musterv1.StartRecordingRequest{Tenant: "default", MaxExchanges: -1}, "max_exchanges", "maxExchanges"},
		{"Audit/ListAuditEvents", &musterv1.ListAuditEventsRequest{Tenant: "default", PageSize: -1}, "page_size", ""},
	} {
		service, method, _ := strings.Cut(c.method, "/")
		name := "/muster.v1." + service + "Service/" + method
		answer, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("muster.v1." + method + "Response"))
		if err != nil {
			t.Fatal(err)
		}
		err = s.Conn().Invoke(ctx, name, c.request, answer.New().Interface())
		if field, attribute := violationOf(err); field != c.field || attribute != c.attribute {
			t.Errorf("%s: the field is %q and the attribute %q, want %q and %q: %v", c.method, field, attribute, c.field, c.attribute, err)
		}
	}
}

// Every attribute of the contract has a field, and the mask that names the field means it.
func TestFieldPath_IsTheInverseOfMasks(t *testing.T) {
	for _, rt := range []*scim.ResourceType{scim.User, scim.Group} {
		n := 0
		var each func(attrs []*scim.Attribute)
		each = func(attrs []*scim.Attribute) {
			for _, a := range attrs {
				n++
				path := scim.FieldPath(rt.New(), a.Path)
				back, err := rt.MaskPaths(mask(path))
				if err != nil || back[0] != a.Path {
					t.Errorf("%s: the field is %q, which is %q, %v", a.Path, path, back, err)
				}
				each(a.Sub)
			}
		}
		each(rt.Attributes())
		if n < 10 {
			t.Errorf("%s has %d attributes", rt.Name, n)
		}
	}
	for path, want := range map[string]string{"serial": "attributes", "id": "id"} {
		if got := scim.FieldPath(&musterv1.Resource{}, path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
}
