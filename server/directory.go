package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of the directory's answers.
const (
	maxBatch    = 1000
	usualPage   = 1000
	maxPage     = 10_000
	streamChunk = 2000
)

// directory is muster.v1.DirectoryService.
type directory struct {
	musterv1.UnimplementedDirectoryServiceServer

	server    *Server
	passwords passwords
	cursors   *cursors
}

// masked is a read mask as the answer of a request for one resource type.
type masked struct{ attributes, excluded []string }

func (m masked) GetAttributes() []string         { return m.attributes }
func (m masked) GetExcludedAttributes() []string { return m.excluded }

// readMask is the projection of a read mask, and whether links must be read for it.
func readMask(rt *scim.ResourceType, mask *fieldmaskpb.FieldMask) (projected, *scim.Projection, bool, error) {
	var m masked
	var err error
	if len(mask.GetPaths()) > 0 {
		if m.attributes, err = rt.MaskPaths(mask); err != nil {
			return nil, nil, false, scim.InField("read_mask", err)
		}
	} else {
		for _, a := range rt.Links() {
			m.excluded = append(m.excluded, a.Path)
		}
	}
	p, links, err := answer(rt, m)
	return m, p, links, err
}

// A key is one thing that is known of a resource: its id, or the value of an attribute.
type key struct{ field, id, path, value string }

// userKey reads the key in a field of a request.
func userKey(field string, k *musterv1.UserKey) (key, error) {
	switch k := k.GetKey().(type) {
	case *musterv1.UserKey_Id:
		return key{field: field, id: k.Id}, nil
	case *musterv1.UserKey_UserName:
		return key{field: field, path: "userName", value: k.UserName}, nil
	case *musterv1.UserKey_ExternalId:
		return key{field: field, path: "externalId", value: k.ExternalId}, nil
	case *musterv1.UserKey_Email:
		return key{field: field, path: "emails.value", value: k.Email}, nil
	}
	return key{}, scim.InField(field, scim.Errorf(scim.InvalidSyntax, "the request has no key of the user"))
}

// groupKey reads the key in a field of a request.
func groupKey(field string, k *musterv1.GroupKey) (key, error) {
	switch k := k.GetKey().(type) {
	case *musterv1.GroupKey_Id:
		return key{field: field, id: k.Id}, nil
	case *musterv1.GroupKey_DisplayName:
		return key{field: field, path: "displayName", value: k.DisplayName}, nil
	case *musterv1.GroupKey_ExternalId:
		return key{field: field, path: "externalId", value: k.ExternalId}, nil
	}
	return key{}, scim.InField(field, scim.Errorf(scim.InvalidSyntax, "the request has no key of the group"))
}

// find finds the one resource that has the key. It fails with NotFound, and with
// TooMany where there are several.
func find(ctx context.Context, rt *scim.ResourceType, k key, links bool) (scim.Resource, error) {
	tenant := tenantOf(ctx)
	if k.path == "" {
		return tenant.Get(ctx, rt, k.id, links)
	}
	literal, err := json.Marshal(k.value)
	if err != nil {
		return nil, err
	}
	f, err := rt.ParseFilter(k.path + " eq " + string(literal))
	if err != nil {
		return nil, scim.InField(k.field, scim.Errorf(scim.InvalidValue, "that can be no %s", k.path))
	}
	p, err := tenant.List(ctx, rt, store.Query{Filter: f, Links: links, Count: 2, Uncounted: true})
	switch {
	case err != nil:
		return nil, err
	case len(p.Resources) == 0:
		return nil, scim.Errorf(scim.NotFound, "there is no %s with this %s", rt.Name, k.path)
	case len(p.Resources) > 1 || p.Next != nil:
		return nil, scim.InField(k.field, scim.Errorf(scim.TooMany, "several resources of the type %s have this %s; list them with a filter", rt.Name, k.path))
	}
	return p.Resources[0], nil
}

func lookup[R scim.Resource](ctx context.Context, rt *scim.ResourceType, k key, mask *fieldmaskpb.FieldMask) (none R, err error) {
	_, p, links, err := readMask(rt, mask)
	if err != nil {
		return none, err
	}
	r, err := find(ctx, rt, k, links)
	return finish[R](p, r, err)
}

func (*directory) LookupUser(ctx context.Context, req *musterv1.LookupUserRequest) (*musterv1.LookupUserResponse, error) {
	k, err := userKey("key", req.GetKey())
	if err != nil {
		return nil, err
	}
	u, err := lookup[*musterv1.User](ctx, typeOf(ctx, scim.User), k, req.GetReadMask())
	return &musterv1.LookupUserResponse{User: u}, err
}

func (*directory) LookupGroup(ctx context.Context, req *musterv1.LookupGroupRequest) (*musterv1.LookupGroupResponse, error) {
	k, err := groupKey("key", req.GetKey())
	if err != nil {
		return nil, err
	}
	g, err := lookup[*musterv1.Group](ctx, typeOf(ctx, scim.Group), k, req.GetReadMask())
	return &musterv1.LookupGroupResponse{Group: g}, err
}

func batchGet[R scim.Resource](ctx context.Context, rt *scim.ResourceType, ids []string, mask *fieldmaskpb.FieldMask) (found []R, missing []string, err error) {
	if len(ids) > maxBatch {
		return nil, nil, scim.Errorf(scim.PayloadTooLarge, "more than %d ids", maxBatch).At("ids")
	}
	_, p, links, err := readMask(rt, mask)
	if err != nil {
		return nil, nil, err
	}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	all, err := tenantOf(ctx).GetMany(ctx, rt, ids, links)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range all {
		for len(ids) > 0 && ids[0] < r.GetId() {
			missing, ids = append(missing, ids[0]), ids[1:]
		}
		ids = ids[1:]
		p.Apply(r)
		found = append(found, r.(R)) //nolint:forcetypeassert // the store answers with what was asked for
	}
	return found, append(missing, ids...), nil
}

func (*directory) BatchGetUsers(ctx context.Context, req *musterv1.BatchGetUsersRequest) (*musterv1.BatchGetUsersResponse, error) {
	found, missing, err := batchGet[*musterv1.User](ctx, typeOf(ctx, scim.User), req.GetIds(), req.GetReadMask())
	return &musterv1.BatchGetUsersResponse{Users: found, MissingIds: missing}, err
}

func (*directory) BatchGetGroups(ctx context.Context, req *musterv1.BatchGetGroupsRequest) (*musterv1.BatchGetGroupsResponse, error) {
	found, missing, err := batchGet[*musterv1.Group](ctx, typeOf(ctx, scim.Group), req.GetIds(), req.GetReadMask())
	return &musterv1.BatchGetGroupsResponse{Groups: found, MissingIds: missing}, err
}

// pageSize is how many a page has.
func pageSize(asked int32) int {
	if asked <= 0 {
		return usualPage
	}
	return min(int(asked), maxPage)
}

// from opens a page token: the id that the page begins behind.
func (s *directory) from(ctx context.Context, token string, of []byte) (string, error) {
	if token == "" {
		return "", nil
	}
	at, err := s.cursors.open(ctx, token, of)
	return at.Place.ID, scim.InField("page_token", err)
}

// next seals a page token, if the page is full.
func (s *directory) next(ctx context.Context, full bool, last string, of []byte) (string, error) {
	if !full {
		return "", nil
	}
	return s.cursors.seal(ctx, cursor{Place: scim.Place{ID: last}}, of)
}

// groupID is the id of the group that the key in the field group names.
func groupID(ctx context.Context, k *musterv1.GroupKey) (string, error) {
	by, err := groupKey("group", k)
	if err != nil {
		return "", err
	}
	g, err := find(ctx, typeOf(ctx, scim.Group), by, false)
	if err != nil {
		return "", err
	}
	return g.GetId(), nil
}

func (s *directory) ListMembers(ctx context.Context, req *musterv1.ListMembersRequest) (*musterv1.ListMembersResponse, error) {
	group, err := groupID(ctx, req.GetGroup())
	if err != nil {
		return nil, err
	}
	if req.GetBeginning() != "" {
		return membersNamed(ctx, group, req)
	}
	of := fmt.Appendf(nil, "%d members %q", tenantOf(ctx).ID(), group)
	behind, err := s.from(ctx, req.GetPageToken(), of)
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	members, err := tenantOf(ctx).Members(ctx, group, behind, size)
	if err != nil || len(members) == 0 {
		return &musterv1.ListMembersResponse{}, err
	}
	next, err := s.next(ctx, len(members) == size, members[len(members)-1].GetValue(), of)
	return &musterv1.ListMembersResponse{Members: members, NextPageToken: next}, err
}

// maxBeginning is the most bytes of what names begin with that are searched for.
const maxBeginning = 1024

// membersNamed are those members of whom a name begins with a text. It tells what only who
// reads users may know.
func membersNamed(ctx context.Context, group string, req *musterv1.ListMembersRequest) (*musterv1.ListMembersResponse, error) {
	if err := callOf(ctx).permit(musterv1.DirectoryService_FindUsers_FullMethodName, ""); err != nil {
		return nil, err
	}
	text := req.GetBeginning()
	if len(text) > maxBeginning || strings.ContainsRune(text, 0) {
		return nil, scim.Errorf(scim.InvalidValue, "a name begins with at most %d bytes, none of them zero", maxBeginning).At("beginning")
	}
	if req.GetPageToken() != "" {
		return nil, scim.Errorf(scim.InvalidCursor, "what is searched for is one page").At("page_token")
	}
	members, more, err := tenantOf(ctx).MembersNamed(ctx, group, text, pageSize(req.GetPageSize()))
	return &musterv1.ListMembersResponse{Members: members, More: more}, err
}

func (s *directory) StreamMembers(req *musterv1.StreamMembersRequest, stream grpc.ServerStreamingServer[musterv1.StreamMembersResponse]) error {
	ctx := stream.Context()
	group, err := groupID(ctx, req.GetGroup())
	if err != nil {
		return err
	}
	v := newVigil(s.server, scim.Group.Name)
	for behind := ""; ; {
		members, err := tenantOf(ctx).Members(ctx, group, behind, streamChunk)
		if err != nil || len(members) == 0 {
			return err
		}
		behind = members[len(members)-1].GetValue()
		if err := stream.Send(&musterv1.StreamMembersResponse{Members: members}); err != nil {
			return err
		}
		if len(members) < streamChunk {
			return nil
		}
		if err := v.check(ctx); err != nil {
			return err
		}
	}
}

func (s *directory) ListMemberships(ctx context.Context, req *musterv1.ListMembershipsRequest) (*musterv1.ListMembershipsResponse, error) {
	of := fmt.Appendf(nil, "%d memberships %q %t", tenantOf(ctx).ID(), req.GetMemberId(), req.GetDirectOnly())
	behind, err := s.from(ctx, req.GetPageToken(), of)
	if err != nil {
		return nil, err
	}
	size := pageSize(req.GetPageSize())
	groups, err := tenantOf(ctx).Memberships(ctx, req.GetMemberId(), req.GetDirectOnly(), behind, size)
	if err != nil || len(groups) == 0 {
		return &musterv1.ListMembershipsResponse{}, err
	}
	next, err := s.next(ctx, len(groups) == size, groups[len(groups)-1].GetValue(), of)
	return &musterv1.ListMembershipsResponse{Groups: groups, NextPageToken: next}, err
}

func (*directory) CheckMembership(ctx context.Context, req *musterv1.CheckMembershipRequest) (*musterv1.CheckMembershipResponse, error) {
	c := callOf(ctx)
	for _, name := range []string{scim.User.Name, scim.Group.Name} {
		if err := c.permit(c.method, name); err != nil {
			return nil, err
		}
	}
	by, err := userKey("user", req.GetUser())
	if err != nil {
		return nil, err
	}
	group, err := groupID(ctx, req.GetGroup())
	if err != nil {
		return nil, err
	}
	r, err := find(ctx, typeOf(ctx, scim.User), by, false)
	if scim.ReasonOf(err) == scim.NotFound {
		return &musterv1.CheckMembershipResponse{}, nil
	}
	if err != nil {
		return nil, err
	}
	u := r.(*musterv1.User) //nolint:forcetypeassert // the store answers with what was asked for
	out := &musterv1.CheckMembershipResponse{UserFound: true, UserId: u.GetId(), Active: u.Active == nil || u.GetActive()}
	out.Member, err = tenantOf(ctx).IsMember(ctx, u.GetId(), group, req.GetDirectOnly())
	out.Allowed = out.GetActive() && out.GetMember()
	return out, err
}

// updating is an update as a request for one resource.
type updating struct {
	projected

	id, ifMatch string
}

func (u updating) GetId() string        { return u.id } //nolint:revive // as generated code has it
func (u updating) GetIfMatch() string   { return u.ifMatch }
func (updating) GetIfNoneMatch() string { return "" }

// update sets what the mask names of a resource to what it is in r.
func update[R scim.Resource](ctx context.Context, s passwords, rt *scim.ResourceType, r R, mask, read *fieldmaskpb.FieldMask, ifMatch string) (none R, err error) {
	if isNil(r) {
		return none, missing(r, rt)
	}
	shown, _, _, err := readMask(rt, read)
	if err != nil {
		return none, err
	}
	ops, err := rt.MaskOperations(r, mask)
	if err != nil {
		return none, scim.InField("update_mask", err)
	}
	return patch[R](ctx, s, rt, ops, updating{shown, r.GetId(), ifMatch}, true)
}

func (s *directory) UpdateUser(ctx context.Context, req *musterv1.UpdateUserRequest) (*musterv1.UpdateUserResponse, error) {
	u, err := update(ctx, s.passwords, typeOf(ctx, scim.User), req.GetUser(), req.GetUpdateMask(), req.GetReadMask(), req.GetIfMatch())
	return &musterv1.UpdateUserResponse{User: u}, err
}

func (s *directory) UpdateGroup(ctx context.Context, req *musterv1.UpdateGroupRequest) (*musterv1.UpdateGroupResponse, error) {
	g, err := update(ctx, s.passwords, typeOf(ctx, scim.Group), req.GetGroup(), req.GetUpdateMask(), req.GetReadMask(), req.GetIfMatch())
	return &musterv1.UpdateGroupResponse{Group: g}, err
}
