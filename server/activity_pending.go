package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// What the contract has and this server does not do yet: who may not ask is told so, and
// everybody else that it is not implemented.

func (s *activityService) ListWatchers(ctx context.Context, req *musterv1.ListWatchersRequest) (*musterv1.ListWatchersResponse, error) {
	if _, err := s.observed(ctx, req.GetTenant()); err != nil {
		return nil, err
	}
	return s.UnimplementedActivityServiceServer.ListWatchers(ctx, req)
}

func (s *activityService) ListAttributeUse(ctx context.Context, req *musterv1.ListAttributeUseRequest) (*musterv1.ListAttributeUseResponse, error) {
	if _, err := s.observed(ctx, req.GetTenant()); err != nil {
		return nil, err
	}
	return s.UnimplementedActivityServiceServer.ListAttributeUse(ctx, req)
}
