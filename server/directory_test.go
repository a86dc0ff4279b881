package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// company is a directory with ada in "inner", which "outer" holds, and bob in none.
func company(t *testing.T) (s *Server, ctx context.Context, c musterv1.DirectoryServiceClient, ids map[string]string) {
	t.Helper()
	s, ctx = newServer(t)
	p := musterv1.NewProvisioningServiceClient(s.Conn())
	ids = make(map[string]string)
	for _, u := range []*musterv1.User{
		{UserName: "Ada", ExternalId: "E1", Title: "Dr", Active: new(true), Emails: []*musterv1.Email{{Value: "ada@Example.com"}, {Value: "shared@example.com"}}},
		{UserName: "bob", ExternalId: "same", Active: new(false), Emails: []*musterv1.Email{{Value: "shared@example.com"}}},
		{UserName: "eve", ExternalId: "same"},
	} {
		out, err := p.CreateUser(ctx, &musterv1.CreateUserRequest{User: u})
		if err != nil {
			t.Fatal(err)
		}
		ids[u.GetUserName()] = out.GetUser().GetId()
	}
	for _, g := range []struct{ name, member string }{{"inner", "Ada"}, {"outer", "inner"}, {"other", "bob"}} {
		out, err := p.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: g.name, Members: []*musterv1.Member{{Value: ids[g.member]}}}})
		if err != nil {
			t.Fatal(err)
		}
		ids[g.name] = out.GetGroup().GetId()
	}
	return s, ctx, musterv1.NewDirectoryServiceClient(s.Conn()), ids
}

func mask(paths ...string) *fieldmaskpb.FieldMask { return &fieldmaskpb.FieldMask{Paths: paths} }

func TestLookup(t *testing.T) {
	_, ctx, c, ids := company(t)
	for _, test := range []struct {
		key  *musterv1.UserKey
		want string // a user's name, or the reason
	}{
		{&musterv1.UserKey{Key: &musterv1.UserKey_Id{Id: ids["Ada"]}}, "Ada"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_UserName{UserName: "aDA"}}, "Ada"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_ExternalId{ExternalId: "E1"}}, "Ada"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_ExternalId{ExternalId: "e1"}}, "notFound"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_Email{Email: "ADA@example.com"}}, "Ada"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_Email{Email: "shared@example.com"}}, "tooMany"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_ExternalId{ExternalId: "same"}}, "tooMany"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_UserName{UserName: `" or "" eq "`}}, "notFound"},
		{&musterv1.UserKey{Key: &musterv1.UserKey_Id{Id: ids["inner"]}}, "notFound"},
		{nil, "invalidSyntax"},
	} {
		out, err := c.LookupUser(ctx, &musterv1.LookupUserRequest{Key: test.key})
		if got := out.GetUser().GetUserName() + reasonOf(err); got != test.want || len(out.GetUser().GetGroups()) > 0 {
			t.Errorf("%v: %s, %v", test.key, got, err)
		}
	}
	out, err := c.LookupUser(ctx, &musterv1.LookupUserRequest{Key: &musterv1.UserKey{Key: &musterv1.UserKey_UserName{UserName: "ada"}}, ReadMask: mask("groups", "emails.value")})
	if u := out.GetUser(); err != nil || len(u.GetGroups()) != 2 || u.GetEmails()[0].GetValue() != "ada@Example.com" || u.GetTitle() != "" || u.GetUserName() != "" {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := c.LookupUser(ctx, &musterv1.LookupUserRequest{Key: &musterv1.UserKey{Key: &musterv1.UserKey_Id{Id: ids["Ada"]}}, ReadMask: mask("userName")}); reasonOf(err) != "invalidValue" {
		t.Errorf("a mask in SCIM's names: %v", err)
	}
	g, err := c.LookupGroup(ctx, &musterv1.LookupGroupRequest{Key: &musterv1.GroupKey{Key: &musterv1.GroupKey_DisplayName{DisplayName: "INNER"}}})
	if err != nil || g.GetGroup().GetId() != ids["inner"] || len(g.GetGroup().GetMembers()) > 0 {
		t.Errorf("got %v, %v", g, err)
	}
	g, err = c.LookupGroup(ctx, &musterv1.LookupGroupRequest{Key: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: ids["inner"]}}, ReadMask: mask("members", "display_name")})
	if err != nil || g.GetGroup().GetMembers()[0].GetValue() != ids["Ada"] || g.GetGroup().GetDisplayName() != "inner" {
		t.Errorf("got %v, %v", g, err)
	}
}

func TestBatchGet(t *testing.T) {
	_, ctx, c, ids := company(t)
	out, err := c.BatchGetUsers(ctx, &musterv1.BatchGetUsersRequest{Ids: []string{"zzz", ids["eve"], ids["Ada"], "", ids["inner"], ids["Ada"]}, ReadMask: mask("user_name", "groups")})
	if err != nil || len(out.GetUsers()) != 2 || out.GetUsers()[0].GetUserName() != "Ada" || len(out.GetUsers()[0].GetGroups()) != 2 || out.GetUsers()[1].GetUserName() != "eve" ||
		!slices.Equal(out.GetMissingIds(), []string{"", ids["inner"], "zzz"}) {
		t.Errorf("got %v, %v", out, err)
	}
	groups, err := c.BatchGetGroups(ctx, &musterv1.BatchGetGroupsRequest{Ids: []string{ids["outer"]}, ReadMask: mask("members")})
	if err != nil || len(groups.GetGroups()) != 1 || groups.GetGroups()[0].GetMembers()[0].GetType() != "Group" {
		t.Errorf("got %v, %v", groups, err)
	}
	if _, err := c.BatchGetUsers(ctx, &musterv1.BatchGetUsersRequest{Ids: make([]string, maxBatch+1)}); reasonOf(err) != "payloadTooLarge" {
		t.Errorf("too many: %v", err)
	}
}

func TestFind(t *testing.T) {
	_, ctx, c, ids := company(t)
	ask := func(req *musterv1.FindUsersRequest) (names []string, next string) {
		t.Helper()
		out, err := c.FindUsers(ctx, req)
		if err != nil {
			t.Fatalf("%v: %v", req, err)
		}
		for _, u := range out.GetUsers() {
			names = append(names, u.GetUserName())
		}
		return names, out.GetNextPageToken()
	}
	if names, next := ask(&musterv1.FindUsersRequest{}); !slices.Equal(names, []string{"Ada", "bob", "eve"}) || next != "" {
		t.Errorf("all: %q, %q", names, next)
	}
	req := &musterv1.FindUsersRequest{
		Filter: `emails.value eq "shared@example.com" or externalId eq "same"`, SortBy: "userName", SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, PageSize: 1, ReadMask: mask("user_name"),
	}
	first, token := ask(req)
	req.PageToken, req.PageSize = token, 50 // which may change
	rest, end := ask(req)
	if !slices.Equal(first, []string{"eve"}) || !slices.Equal(rest, []string{"bob", "Ada"}) || token == "" || end != "" {
		t.Errorf("the pages are %q, %q, %q, %q", first, token, rest, end)
	}
	req.Filter = `userName pr`
	if _, err := c.FindUsers(ctx, req); reasonOf(err) != "invalidCursor" {
		t.Errorf("the token of another list: %v", err)
	}
	all, err := c.FindUsers(ctx, &musterv1.FindUsersRequest{Filter: `userName eq "ada"`, ReadMask: mask("groups", "emails.value")})
	if u := all.GetUsers()[0]; err != nil || len(u.GetGroups()) != 2 || len(u.GetEmails()) != 2 || u.GetUserName() != "" || u.GetTitle() != "" {
		t.Errorf("got %v, %v", u, err)
	}
	groups, err := c.FindGroups(ctx, &musterv1.FindGroupsRequest{Filter: `members.value eq "` + ids["Ada"] + `"`})
	if err != nil || len(groups.GetGroups()) != 1 || groups.GetGroups()[0].GetDisplayName() != "inner" || len(groups.GetGroups()[0].GetMembers()) > 0 {
		t.Errorf("got %v, %v", groups, err)
	}
	groups, err = c.FindGroups(ctx, &musterv1.FindGroupsRequest{SortBy: "displayName", ReadMask: mask("members")})
	if err != nil || len(groups.GetGroups()) != 3 || len(groups.GetGroups()[0].GetMembers()) != 1 || groups.GetGroups()[0].GetDisplayName() != "" {
		t.Errorf("got %v, %v", groups, err)
	}
}

func TestCheckMembership(t *testing.T) {
	_, ctx, c, ids := company(t)
	ask := func(user, group string, direct bool) *musterv1.CheckMembershipResponse {
		t.Helper()
		out, err := c.CheckMembership(ctx, &musterv1.CheckMembershipRequest{
			User: &musterv1.UserKey{Key: &musterv1.UserKey_UserName{UserName: user}}, Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_DisplayName{DisplayName: group}}, DirectOnly: direct,
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, test := range []struct {
		user, group           string
		direct                bool
		found, active, member bool
	}{
		{"ada", "inner", false, true, true, true},
		{"ada", "inner", true, true, true, true},
		{"ada", "outer", false, true, true, true},
		{"ada", "outer", true, true, true, false},
		{"ada", "other", false, true, true, false},
		{"bob", "other", false, true, false, true},
		{"eve", "other", false, true, true, false},
		{"nobody", "other", false, false, false, false},
	} {
		out := ask(test.user, test.group, test.direct)
		if out.GetUserFound() != test.found || out.GetActive() != test.active || out.GetMember() != test.member || out.GetAllowed() != (test.active && test.member) {
			t.Errorf("%s in %s: %v", test.user, test.group, out)
		}
	}
	if out := ask("ada", "inner", false); out.GetUserId() != ids["Ada"] {
		t.Errorf("got %v", out)
	}
	_, err := c.CheckMembership(ctx, &musterv1.CheckMembershipRequest{User: &musterv1.UserKey{Key: &musterv1.UserKey_Id{Id: ids["Ada"]}}, Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: "x"}}})
	if reasonOf(err) != "notFound" {
		t.Errorf("a group that is not there: %v", err)
	}
}

func TestListMembers(t *testing.T) {
	s, ctx, c, ids := company(t)
	p := musterv1.NewProvisioningServiceClient(s.Conn())
	group := &musterv1.Group{DisplayName: "many"}
	for i := range 25 {
		out, err := p.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: fmt.Sprintf("m%02d", i)}})
		if err != nil {
			t.Fatal(err)
		}
		group.Members = append(group.Members, &musterv1.Member{Value: out.GetUser().GetId()})
	}
	made, err := p.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: group})
	if err != nil {
		t.Fatal(err)
	}
	key := &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: made.GetGroup().GetId()}}
	var paged, streamed []string
	req := &musterv1.ListMembersRequest{Group: key, PageSize: 5}
	for more := true; more; more = req.GetPageToken() != "" {
		out, err := c.ListMembers(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.GetMembers() {
			paged = append(paged, m.GetDisplay())
		}
		req.PageToken = out.GetNextPageToken()
	}
	stream, err := musterv1.NewDirectoryServiceClient(overSocket(t, s)).StreamMembers(ctx, &musterv1.StreamMembersRequest{Group: key})
	if err != nil {
		t.Fatal(err)
	}
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.GetMembers() {
			streamed = append(streamed, m.GetDisplay())
		}
	}
	if len(paged) != 25 || paged[0] != "m00" || !slices.Equal(paged, streamed) {
		t.Errorf("got %v and %v", paged, streamed)
	}
	first, err := c.ListMembers(ctx, &musterv1.ListMembersRequest{Group: key, PageSize: 5})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.ListMembers(ctx, &musterv1.ListMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: ids["inner"]}}, PageToken: first.GetNextPageToken()})
	if reasonOf(err) != "invalidCursor" {
		t.Errorf("the token of another group: %v", err)
	}
	named, err := c.ListMembers(ctx, &musterv1.ListMembersRequest{Group: key, PageSize: 3, Beginning: "M1"})
	if err != nil || len(named.GetMembers()) != 3 || named.GetMembers()[0].GetDisplay() != "m10" || !named.GetMore() || named.GetNextPageToken() != "" {
		t.Errorf("who begins with M1: %v, %v", named, err)
	}
	for reason, req := range map[string]*musterv1.ListMembersRequest{
		"invalidCursor": {Group: key, Beginning: "m", PageToken: first.GetNextPageToken()}, "invalidValue": {Group: key, Beginning: "m\x00"}, "notFound": {Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: "x"}}, Beginning: "m"},
	} {
		_, err := c.ListMembers(ctx, req)
		expectReason(t, req.String(), err, reason)
	}
	reader := withCredential(t, s, store.Credential{Name: "groups", Scopes: []string{"scim:Group:read"}})
	if _, err := c.ListMembers(reader, &musterv1.ListMembersRequest{Group: key}); err != nil {
		t.Error(err)
	}
	_, err = c.ListMembers(reader, &musterv1.ListMembersRequest{Group: key, Beginning: "m"})
	expectReason(t, "names of users, by who may not read users", err, "forbidden")
	of := func(req *musterv1.ListMembershipsRequest) (names []string) {
		t.Helper()
		for more := true; more; more = req.GetPageToken() != "" {
			out, err := c.ListMemberships(ctx, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range out.GetGroups() {
				names = append(names, g.GetDisplay()+" "+g.GetType())
			}
			req.PageToken = out.GetNextPageToken()
		}
		return names
	}
	if got := of(&musterv1.ListMembershipsRequest{MemberId: ids["Ada"], PageSize: 1}); !slices.Equal(got, []string{"inner direct", "outer indirect"}) {
		t.Errorf("got %v", got)
	}
	if got := of(&musterv1.ListMembershipsRequest{MemberId: ids["Ada"], DirectOnly: true}); !slices.Equal(got, []string{"inner direct"}) {
		t.Errorf("got %v", got)
	}
}

func TestUpdate_Mask(t *testing.T) {
	_, ctx, c, ids := company(t)
	out, err := c.UpdateUser(ctx, &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["Ada"], DisplayName: "Ada L", Title: "ignored"}, UpdateMask: mask("display_name", "emails"), IfMatch: `W/"1"`})
	if u := out.GetUser(); err != nil || u.GetDisplayName() != "Ada L" || u.GetTitle() != "Dr" || len(u.GetEmails()) != 0 || u.GetMeta().GetVersion() != `W/"2"` {
		t.Errorf("got %v, %v", out, err)
	}
	if _, err := c.UpdateUser(ctx, &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["Ada"], Title: "x"}, IfMatch: `W/"1"`}); reasonOf(err) != "versionMismatch" {
		t.Errorf("an old version: %v", err)
	}
	g, err := c.UpdateGroup(ctx, &musterv1.UpdateGroupRequest{Group: &musterv1.Group{Id: ids["inner"], Members: []*musterv1.Member{{Value: ids["bob"]}}}, UpdateMask: mask("members"), ReadMask: mask("members")})
	if err != nil || len(g.GetGroup().GetMembers()) != 1 || g.GetGroup().GetMembers()[0].GetValue() != ids["bob"] {
		t.Errorf("got %v, %v", g, err)
	}
	if _, err := c.UpdateUser(ctx, &musterv1.UpdateUserRequest{User: &musterv1.User{Id: "x", Title: "x"}}); reasonOf(err) != "notFound" {
		t.Errorf("nobody: %v", err)
	}
	if _, err := c.UpdateUser(ctx, &musterv1.UpdateUserRequest{User: &musterv1.User{Id: ids["Ada"], UserName: "bob"}}); reasonOf(err) != "uniqueness" {
		t.Errorf("a taken name: %v", err)
	}
	if _, err := c.UpdateUser(ctx, &musterv1.UpdateUserRequest{}); reasonOf(err) != "invalidSyntax" {
		t.Errorf("nothing: %v", err)
	}
}
