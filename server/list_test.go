package server

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// people makes users of these names, and returns a client.
func people(t *testing.T, s *Server, ctx context.Context, names ...string) musterv1.ProvisioningServiceClient {
	t.Helper()
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	for _, name := range names {
		if _, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name, Title: "title of " + name}}); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// walk follows page tokens, and returns the names of each page: "a b|c d".
func walk(t *testing.T, c musterv1.ProvisioningServiceClient, ctx context.Context, req *musterv1.ListUsersRequest, each func(*musterv1.ListUsersResponse)) string {
	t.Helper()
	var pages []string
	for {
		out, err := c.ListUsers(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, u := range out.GetUsers() {
			names = append(names, u.GetUserName())
		}
		pages = append(pages, strings.Join(names, " "))
		if each(out); out.GetNextPageToken() == "" {
			return strings.Join(pages, "|")
		}
		req.PageToken = new(out.GetNextPageToken())
	}
}

func TestList_Tokens(t *testing.T) {
	s, ctx := newServer(t)
	c := people(t, s, ctx, "e", "d", "C", "b", "a")
	first, filtered := true, `userName ne "d"`
	for want, req := range map[string]*musterv1.ListUsersRequest{
		"e d|C b|a": {Count: new(int32(2)), PageToken: new("")},
		"a b|C d|e": {Count: new(int32(2)), PageToken: new(""), SortBy: "username"},
		"e d C|b a": {Count: new(int32(3)), PageToken: new(""), SortBy: "title", SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING},
		"e C|b a":   {Count: new(int32(2)), PageToken: new(""), Filter: filtered},
		"e d C b a": {PageToken: new("")},
		// Without a page token the first page is by index, and has a next one too.
		"d C|b a": {Count: new(int32(2)), StartIndex: new(int32(2))},
		"b a":     {StartIndex: new(int32(4)), Count: new(int32(2))},
		// An order without an attribute is none.
		"e d C|b a ": {Count: new(int32(3)), SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING},
	} {
		first = true
		got := walk(t, c, ctx, req, func(out *musterv1.ListUsersResponse) {
			total, start := int32(5), int32(0)
			if req.GetFilter() != "" {
				total = 4
			}
			if first && req.PageToken == nil {
				start = max(req.GetStartIndex(), 1)
			}
			if out.GetTotalResults() != total || out.GetStartIndex() != start || int(out.GetItemsPerPage()) != len(out.GetUsers()) {
				t.Errorf("%s: %d results from %d, %d on the page", want, out.GetTotalResults(), out.GetStartIndex(), out.GetItemsPerPage())
			}
			first = false
		})
		if got != strings.TrimSpace(want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	out, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{Count: new(int32(0)), PageToken: new("")})
	if err != nil || out.GetTotalResults() != 5 || out.GetNextPageToken() != "" || len(out.GetUsers()) != 0 {
		t.Errorf("a count of nothing: %v, %v", out, err)
	}
}

// What was counted for the first page is what later pages tell; what is kept is
// told anew.
func TestList_TotalOfLaterPages(t *testing.T) {
	s, ctx := newServer(t)
	c := people(t, s, ctx, "a", "b", "c")
	for filter, want := range map[string]int32{`userName pr`: 3, "": 4} {
		req := &musterv1.ListUsersRequest{Count: new(int32(1)), Filter: filter}
		out, err := c.ListUsers(ctx, req)
		if err != nil || out.GetTotalResults() != 3 {
			t.Fatal(out, err)
		}
		made, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "d"}})
		if err != nil {
			t.Fatal(err)
		}
		req.PageToken = new(out.GetNextPageToken())
		if out, err = c.ListUsers(ctx, req); err != nil || out.GetTotalResults() != want {
			t.Errorf("%q: %d, %v", filter, out.GetTotalResults(), err)
		}
		if _, err := c.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: made.GetUser().GetId()}); err != nil {
			t.Fatal(err)
		}
	}
}

// A token opens the list that it was made for and no other, and nobody can make or
// change one.
func TestList_TokenIsBound(t *testing.T) {
	s, ctx := newServer(t)
	c := people(t, s, ctx, "a", "b", "c")
	ask := func() *musterv1.ListUsersRequest {
		return &musterv1.ListUsersRequest{Count: new(int32(1)), Filter: "userName pr", SortBy: "userName"}
	}
	out, err := c.ListUsers(ctx, ask())
	if err != nil {
		t.Fatal(err)
	}
	token := out.GetNextPageToken()
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" || len(token) > 400 {
		t.Errorf("the token is %q", token)
	}
	same := ask()
	same.PageToken, same.Attributes = &token, []string{"userName"}
	if out, err := c.ListUsers(ctx, same); err != nil || out.GetUsers()[0].GetUserName() != "b" {
		t.Fatal(out, err)
	}
	for what, change := range map[string]func(*musterv1.ListUsersRequest){
		"filter": func(r *musterv1.ListUsersRequest) { r.Filter = "id pr" },
		"none":   func(r *musterv1.ListUsersRequest) { r.Filter = "" },
		"sort":   func(r *musterv1.ListUsersRequest) { r.SortBy = "title" },
		"order":  func(r *musterv1.ListUsersRequest) { r.SortOrder = musterv1.SortOrder_SORT_ORDER_DESCENDING },
	} {
		other := ask()
		other.PageToken = &token
		change(other)
		if _, err := c.ListUsers(ctx, other); reasonOf(err) != "invalidCursor" {
			t.Errorf("another %s: %v", what, err)
		}
	}
	groups := &musterv1.ListGroupsRequest{Count: new(int32(1)), Filter: "userName pr", SortBy: "userName", PageToken: &token}
	groups.Filter, groups.SortBy = "displayName pr", "displayName"
	if _, err := c.ListGroups(ctx, groups); reasonOf(err) != "invalidCursor" {
		t.Errorf("another type: %v", err)
	}
	if _, err := c.Search(ctx, &musterv1.SearchRequest{Count: new(int32(1)), Filter: "userName pr", SortBy: "userName", PageToken: &token}); reasonOf(err) != "invalidCursor" {
		t.Errorf("all types: %v", err)
	}
	for _, count := range []*int32{nil, new(int32(2)), new(int32(0))} {
		other := ask()
		other.PageToken, other.Count = &token, count
		if _, err := c.ListUsers(ctx, other); reasonOf(err) != "invalidCount" {
			t.Errorf("another count: %v", err)
		}
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"x", "!", token + "A", token[:len(token)-4], strings.Repeat("A", 100), strings.Repeat("A", 1<<20), "1", " " + token}
	for i := range sealed { // each bit counts
		broken := append([]byte(nil), sealed...)
		broken[i] ^= 1 << (i % 8)
		forged = append(forged, base64.RawURLEncoding.EncodeToString(broken))
	}
	for _, f := range forged {
		other := ask()
		other.PageToken = &f
		if _, err := c.ListUsers(ctx, other); reasonOf(err) != "invalidCursor" {
			t.Errorf("%.50s: %v", f, err)
		}
	}
}

// Another tenant cannot use a token, even for the same query.
func TestList_TokenOfAnotherTenant(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "muster.db")
	st, err := store.Open(ctx, "sqlite://"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, "default", "test", sha256.Sum256([]byte(token))); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("INSERT INTO tenants (id, name, profile, catalog_version, created_at) VALUES (7, 'other', 'tolerant', 0, 0)"); err != nil {
		t.Fatal(err)
	}
	other, err := st.Tenant(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken("another-token")
	if err := other.AddCredential(ctx, store.Credential{Name: "x", Kind: store.Bearer, Scopes: []string{ScopeSCIM}}, hash[:]); err != nil {
		t.Fatal(err)
	}
	s := New(st, Options{})
	one := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	two := metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer another-token")
	people(t, s, one, "a", "b")
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	req := &musterv1.ListUsersRequest{Count: new(int32(1))}
	out, err := c.ListUsers(one, req)
	if err != nil {
		t.Fatal(err)
	}
	req.PageToken = new(out.GetNextPageToken())
	if _, err := c.ListUsers(two, req); reasonOf(err) != "invalidCursor" {
		t.Errorf("the token of another tenant: %v", err)
	}
	// A second server of the same database goes on where the first stopped.
	again := musterv1.NewProvisioningServiceClient(New(st, Options{}).Conn())
	if out, err := again.ListUsers(one, req); err != nil || out.GetUsers()[0].GetUserName() != "b" {
		t.Errorf("another server: %v, %v", out, err)
	}
}

func TestCursor_Expires(t *testing.T) {
	s, ctx := newServer(t)
	c := newCursors(s.store)
	begin := time.Now()
	text, err := c.seal(ctx, cursor{Count: 3}, []byte("list"))
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{0: "", CursorTimeout - time.Minute: "", CursorTimeout + time.Minute: "expiredCursor"} {
		c.now = func() time.Time { return begin.Add(after) }
		got, err := c.open(ctx, text, []byte("list"))
		if err == nil && want == "" && got.Count == 3 {
			continue
		}
		if err == nil || reasonOf(statusOf(nil, err).Err()) != want {
			t.Errorf("after %s: %v, %v", after, got, err)
		}
	}
}

// All types are one list, with the order and the pages of a list.
func TestSearch(t *testing.T) {
	s, ctx := newServer(t)
	c := people(t, s, ctx, "b", "d")
	for _, name := range []string{"a", "C"} {
		if _, err := c.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: name}}); err != nil {
			t.Fatal(err)
		}
	}
	u := people(t, s, ctx)
	if _, err := u.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "x", DisplayName: "B"}}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		req  *musterv1.SearchRequest
		want string
	}{
		{&musterv1.SearchRequest{}, "b d A C x"},
		{&musterv1.SearchRequest{Filter: `displayName pr`}, "A C x"},
		{&musterv1.SearchRequest{Filter: `userName pr or displayName eq "c"`}, "b d C x"},
		{&musterv1.SearchRequest{SortBy: "displayName"}, "A x C b d"},
		{&musterv1.SearchRequest{SortBy: "displayName", SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING}, "d b C x A"},
		{&musterv1.SearchRequest{SortBy: "userName"}, "b d x A C"},
		{&musterv1.SearchRequest{SortBy: "id", SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING}, "x C A d b"},
	} {
		for count := range int32(6) {
			for _, byIndex := range []bool{true, false} {
				step.req.Count, step.req.StartIndex, step.req.PageToken = new(count), nil, nil
				var got []string
				for at := int32(1); ; at += count {
					if byIndex {
						step.req.StartIndex, step.req.PageToken = &at, nil
					} else if step.req.PageToken == nil {
						step.req.PageToken = new("")
					}
					out, err := c.Search(ctx, step.req)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, namesOf(out)...)
					if int(out.GetTotalResults()) != len(strings.Fields(step.want)) {
						t.Errorf("%v: %d results", step.req, out.GetTotalResults())
					}
					if out.GetNextPageToken() == "" {
						break
					}
					step.req.PageToken = new(out.GetNextPageToken())
				}
				if want := step.want; strings.Join(got, " ") != want && count > 0 {
					t.Errorf("%v: got %s, want %s", step.req, got, want)
				}
			}
		}
	}
	if _, err := c.Search(ctx, &musterv1.SearchRequest{Filter: `shoeSize eq "7"`}); reasonOf(err) != "invalidFilter" {
		t.Errorf("an attribute that no type has: %v", err)
	}
	if _, err := c.Search(ctx, &musterv1.SearchRequest{SortBy: "shoeSize"}); reasonOf(err) != "invalidValue" {
		t.Errorf("an attribute that no type has: %v", err)
	}
}

// namesOf are the userName of users, and the displayName of groups.
func namesOf(out *musterv1.SearchResponse) (names []string) {
	for _, r := range out.GetResults() {
		if g := r.GetGroup(); g != nil {
			names = append(names, strings.ToUpper(g.GetDisplayName()))
		} else {
			names = append(names, r.GetUser().GetUserName())
		}
	}
	return names
}

// What the discovery document says of pages is what the server does.
func TestDiscovery_Pagination(t *testing.T) {
	s, ctx := newServer(t)
	out, err := musterv1.NewDiscoveryServiceClient(s.Conn()).GetServiceProviderConfig(ctx, &musterv1.GetServiceProviderConfigRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := &musterv1.ServiceProviderConfig_Pagination{
		Cursor: true, Index: true, DefaultPaginationMethod: "index", DefaultPageSize: 1000, MaxPageSize: 1000, CursorTimeout: 24 * 60 * 60,
	}
	if got := out.GetServiceProviderConfig(); !proto.Equal(got.GetPagination(), want) || !got.GetSort().GetSupported() {
		t.Errorf("got %v", got)
	}
}

// Resources of registered types stand in the list of all types, and have lists of
// their own with the same orders and tokens.
func TestSearch_RegisteredTypes(t *testing.T) {
	s, ctx := newServer(t)
	p, err := s.store.Authenticate(ctx, sha256.Sum256([]byte(token)))
	if err != nil {
		t.Fatal(err)
	}
	const urn = "urn:example:Device"
	err = p.Tenant.Register(ctx, false,
		[]*musterv1.Schema{{Id: urn, Name: "Device", Attributes: []*musterv1.Attribute{
			{Name: "displayName", Type: scim.String}, {Name: "weight", Type: scim.Decimal},
		}}},
		[]*musterv1.ResourceType{{Id: "Device", Name: "Device", Endpoint: "/Devices", Schema: urn}})
	if err != nil {
		t.Fatal(err)
	}
	devices := musterv1.NewResourceServiceClient(s.Conn())
	for name, weight := range map[string]float64{"c": 9.5, "a": 10, "b": -1} {
		attrs, err := structpb.NewStruct(map[string]any{"displayName": name, "weight": weight})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := devices.CreateResource(ctx, &musterv1.CreateResourceRequest{ResourceType: "Device", Resource: &musterv1.Resource{Attributes: attrs}}); err != nil {
			t.Fatal(err)
		}
	}
	label := func(r *musterv1.Resource) string {
		return r.GetAttributes().AsMap()["displayName"].(string)
	}
	var got []string
	list := &musterv1.ListResourcesRequest{ResourceType: "Devices", SortBy: "weight", Count: new(int32(2)), PageToken: new("")}
	for n := 0; n == 0 || list.GetPageToken() != ""; n++ {
		out, err := devices.ListResources(ctx, list)
		if err != nil || out.GetTotalResults() != 3 {
			t.Fatal(out, err)
		}
		for _, r := range out.GetResources() {
			got = append(got, label(r))
		}
		list.PageToken = new(out.GetNextPageToken())
	}
	if strings.Join(got, " ") != "b c a" {
		t.Errorf("by weight: %v", got)
	}
	c := people(t, s, ctx, "b1")
	if _, err := c.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: "b2"}}); err != nil {
		t.Fatal(err)
	}
	got = nil
	search := &musterv1.SearchRequest{SortBy: "displayName", Filter: `weight ge 9 or displayName sw "b"`, Count: new(int32(2))}
	for n := 0; n == 0 || search.GetPageToken() != ""; n++ {
		out, err := c.Search(ctx, search)
		if err != nil || out.GetTotalResults() != 4 {
			t.Fatal(out, err)
		}
		for _, r := range out.GetResults() {
			if r.GetRegistered() != nil {
				got = append(got, label(r.GetRegistered()))
			} else {
				got = append(got, r.GetGroup().GetDisplayName())
			}
		}
		search.PageToken = new(out.GetNextPageToken())
	}
	if strings.Join(got, " ") != "a b b2 c" {
		t.Errorf("of all types: %v", got)
	}
}
