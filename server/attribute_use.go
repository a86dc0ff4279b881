package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// maxSample is how many resources are looked at to tell which attributes are in use.
const maxSample = 1_000

func (s *activityService) ListAttributeUse(ctx context.Context, req *musterv1.ListAttributeUseRequest) (*musterv1.ListAttributeUseResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	rt := tenant.Catalog().ResourceType(req.GetResourceType())
	if rt == nil {
		return nil, scim.Errorf(scim.NotFound, "there is no resource type %.80q", req.GetResourceType())
	}
	sample, err := tenant.Sample(ctx, rt, maxSample)
	if err != nil {
		return nil, err
	}
	counts, ids := make(map[string]int64), make([]string, len(sample.Resources))
	for i, r := range sample.Resources {
		rt.CountUse(r, counts)
		ids[i] = r.GetId()
	}
	for _, link := range rt.Links() {
		if counts[link.Path], err = tenant.CountLinked(ctx, ids, rt.Name == scim.Group.Name); err != nil {
			return nil, err
		}
	}
	out := &musterv1.ListAttributeUseResponse{Resources: int64(sample.All), Counted: int64(len(ids)), Exact: sample.Whole}
	for _, a := range rt.Attributes() {
		if fromMeta := a.Name == "id" || a.Name == "meta"; !fromMeta { // each resource has them
			out.Attributes = append(out.Attributes, attributeUse(a, counts)...)
		}
	}
	return out, nil
}

// attributeUse is how an attribute and those in it are used; of links, which have their
// parts from elsewhere, the attribute alone.
func attributeUse(a *scim.Attribute, counts map[string]int64) []*musterv1.AttributeUse {
	all := []*musterv1.AttributeUse{{Path: a.Path, Schema: a.Schema.URN, Resources: counts[a.Path]}}
	if a.Link {
		return all
	}
	for _, sub := range a.Sub {
		all = append(all, attributeUse(sub, counts)...)
	}
	return all
}
