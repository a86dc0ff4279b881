package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// activityService is muster.v1.ActivityService. Each of its methods stands beside what
// it tells of.
type activityService struct {
	musterv1.UnimplementedActivityServiceServer

	server *Server
}

// The number of what a page of this service has.
const (
	usualActivityPage = 100
	maxActivityPage   = 500
)

// activityPage is how many a page has that is asked for so many.
func activityPage(asked int32, field string) (int, error) {
	switch {
	case asked < 0 || asked > maxActivityPage:
		return 0, scim.Errorf(scim.InvalidValue, "%s is from 1 to %d", field, maxActivityPage).At(field)
	case asked == 0:
		return usualActivityPage, nil
	}
	return int(asked), nil
}

// errForeignToken refuses a page token that is none of the method's.
var errForeignToken = scim.Errorf(scim.InvalidCursor, "page_token is not one that this method has given").At("page_token")

// observed is the number of the tenant whose activity a request is about; that of no
// known tenant is store.NoTenant.
func (s *activityService) observed(ctx context.Context, name string) (int64, error) {
	return (&auditService{store: s.server.store}).logOf(ctx, name)
}
