package server

import (
	"context"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// end deletes a resource, if its version allows. A user of a tenant that keeps its
// users is disabled instead, and to end one again changes nothing.
func end(ctx context.Context, rt *scim.ResourceType, id string, match scim.Match) error {
	tenant := tenantOf(ctx)
	if rt.Name != scim.User.Name || !tenant.Settings().DisableOnDelete {
		return tenant.Delete(ctx, rt, id, match)
	}
	c, err := rt.CompilePatch([]*musterv1.PatchOperation{
		{Op: musterv1.PatchOperation_OP_REPLACE, Path: "active", Value: structpb.NewBoolValue(false)},
	})
	if err != nil {
		return err
	}
	_, err = tenant.Update(ctx, rt, id, match, c, false)
	return err
}
