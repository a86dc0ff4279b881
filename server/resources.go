package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// resources is muster.v1.ResourceService: the verbs for types that were registered
// at run time.
type resources struct {
	musterv1.UnimplementedResourceServiceServer

	passwords passwords
	cursors   *cursors
}

// registeredType finds a registered type of the caller's tenant, and whether the
// caller may do there what the method does. The types of the contract have methods of
// their own.
func registeredType(ctx context.Context, name string) (*scim.ResourceType, error) {
	rt := tenantOf(ctx).Catalog().ResourceType(name)
	if rt == nil || !rt.Registered() {
		return nil, scim.Errorf(scim.NotFound, "there is no registered resource type %.80q", name)
	}
	c := callOf(ctx)
	return rt, c.permit(c.method, rt.Name)
}

func (s *resources) CreateResource(ctx context.Context, req *musterv1.CreateResourceRequest) (*musterv1.CreateResourceResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	r, err := create(ctx, s.passwords, rt, req.GetResource(), req)
	return &musterv1.CreateResourceResponse{Resource: r}, err
}

func (*resources) GetResource(ctx context.Context, req *musterv1.GetResourceRequest) (*musterv1.GetResourceResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	r, err := get[*musterv1.Resource](ctx, rt, req.GetId(), req)
	return &musterv1.GetResourceResponse{Resource: r}, err
}

func (s *resources) ListResources(ctx context.Context, req *musterv1.ListResourcesRequest) (*musterv1.ListResourcesResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	p, err := list[*musterv1.Resource](ctx, s.cursors, rt, req, req.Count, req.PageToken) //nolint:protogetter // whether they are there
	return &musterv1.ListResourcesResponse{Resources: p.resources, TotalResults: p.total, StartIndex: p.start, ItemsPerPage: p.length, NextPageToken: p.next}, err
}

func (s *resources) ReplaceResource(ctx context.Context, req *musterv1.ReplaceResourceRequest) (*musterv1.ReplaceResourceResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	r, err := replace(ctx, s.passwords, rt, req.GetResource(), req)
	return &musterv1.ReplaceResourceResponse{Resource: r}, err
}

func (s *resources) PatchResource(ctx context.Context, req *musterv1.PatchResourceRequest) (*musterv1.PatchResourceResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	r, err := patch[*musterv1.Resource](ctx, s.passwords, rt, req.GetOperations(), req, true)
	return &musterv1.PatchResourceResponse{Resource: r}, err
}

func (*resources) DeleteResource(ctx context.Context, req *musterv1.DeleteResourceRequest) (*musterv1.DeleteResourceResponse, error) {
	rt, err := registeredType(ctx, req.GetResourceType())
	if err != nil {
		return nil, err
	}
	return &musterv1.DeleteResourceResponse{}, remove(ctx, rt, req)
}
