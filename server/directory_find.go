package server

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// A finding request asks for a page in the manner of gRPC.
type finding interface {
	selecting
	GetPageSize() int32
	GetPageToken() string
	GetReadMask() *fieldmaskpb.FieldMask
}

// findPage reads a page of the resources of one type. What a total would cost, or links
// that the mask does not name, is not spent.
func findPage[R scim.Resource](ctx context.Context, s *cursors, rt *scim.ResourceType, req finding) (found []R, next string, err error) {
	shown, _, _, err := readMask(rt, req.GetReadMask())
	if err != nil {
		return nil, "", err
	}
	parts, projections, err := compileParts([]*scim.ResourceType{rt}, req, shown)
	if err != nil {
		return nil, "", err
	}
	tenant := tenantOf(ctx)
	q := store.Query{Count: tenant.Catalog().Limits().PageSize, Descending: descends(req), Uncounted: true}
	if asked := int(req.GetPageSize()); asked > 0 {
		q.Count = min(asked, q.Count)
	}
	of := fmt.Appendf(nil, "%d find %q %q %q %t", tenant.ID(), rt.Name, req.GetFilter(), sortPath(parts), q.Descending)
	if token := req.GetPageToken(); token != "" {
		at, err := s.open(ctx, token, of)
		if err != nil {
			return nil, "", scim.InField("page_token", err)
		}
		q.After = &at.Place
	}
	page, err := tenant.Search(ctx, parts, q)
	if err != nil {
		return nil, "", err
	}
	for _, r := range page.Resources {
		projections[0].Apply(r)
		found = append(found, r.(R)) //nolint:forcetypeassert // the store answers with what was asked for
	}
	if page.Next != nil {
		next, err = s.seal(ctx, cursor{Place: *page.Next}, of)
	}
	return found, next, err
}

func (s *directory) FindUsers(ctx context.Context, req *musterv1.FindUsersRequest) (*musterv1.FindUsersResponse, error) {
	found, next, err := findPage[*musterv1.User](ctx, s.cursors, typeOf(ctx, scim.User), req)
	return &musterv1.FindUsersResponse{Users: found, NextPageToken: next}, err
}

func (s *directory) FindGroups(ctx context.Context, req *musterv1.FindGroupsRequest) (*musterv1.FindGroupsResponse, error) {
	found, next, err := findPage[*musterv1.Group](ctx, s.cursors, typeOf(ctx, scim.Group), req)
	return &musterv1.FindGroupsResponse{Groups: found, NextPageToken: next}, err
}
