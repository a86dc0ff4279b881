package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

func (s *provisioning) CreateGroup(ctx context.Context, req *musterv1.CreateGroupRequest) (*musterv1.CreateGroupResponse, error) {
	g, err := create(ctx, s.passwords, typeOf(ctx, scim.Group), req.GetGroup(), req)
	return &musterv1.CreateGroupResponse{Group: g}, err
}

func (s *provisioning) GetGroup(ctx context.Context, req *musterv1.GetGroupRequest) (*musterv1.GetGroupResponse, error) {
	g, err := get[*musterv1.Group](ctx, typeOf(ctx, scim.Group), req.GetId(), req)
	return &musterv1.GetGroupResponse{Group: g}, err
}

func (s *provisioning) ListGroups(ctx context.Context, req *musterv1.ListGroupsRequest) (*musterv1.ListGroupsResponse, error) {
	p, err := list[*musterv1.Group](ctx, s.cursors, typeOf(ctx, scim.Group), req, req.Count, req.PageToken) //nolint:protogetter // whether they are there
	return &musterv1.ListGroupsResponse{Groups: p.resources, TotalResults: p.total, StartIndex: p.start, ItemsPerPage: p.length, NextPageToken: p.next}, err
}

func (s *provisioning) ReplaceGroup(ctx context.Context, req *musterv1.ReplaceGroupRequest) (*musterv1.ReplaceGroupResponse, error) {
	g, err := replace(ctx, s.passwords, typeOf(ctx, scim.Group), req.GetGroup(), req)
	return &musterv1.ReplaceGroupResponse{Group: g}, err
}

// PatchGroup reads members only for an answer that was asked for: adding one to
// a hundred thousand must not read them all.
func (s *provisioning) PatchGroup(ctx context.Context, req *musterv1.PatchGroupRequest) (*musterv1.PatchGroupResponse, error) {
	asked := len(req.GetAttributes())+len(req.GetExcludedAttributes()) > 0
	g, err := patch[*musterv1.Group](ctx, s.passwords, typeOf(ctx, scim.Group), req.GetOperations(), req, asked)
	return &musterv1.PatchGroupResponse{Group: g}, err
}

func (s *provisioning) DeleteGroup(ctx context.Context, req *musterv1.DeleteGroupRequest) (*musterv1.DeleteGroupResponse, error) {
	return &musterv1.DeleteGroupResponse{}, remove(ctx, typeOf(ctx, scim.Group), req)
}
