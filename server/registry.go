package server

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// registry is muster.v1.RegistryService.
type registry struct {
	musterv1.UnimplementedRegistryServiceServer
}

// DefaultTenant is the tenant that the first start makes. Its administrators may
// register for all tenants.
const DefaultTenant = "default"

// registering is the tenant that a change of registrations is made by.
func registering(ctx context.Context, forAll bool) (store.Tenant, error) {
	p := principalOf(ctx)
	if forAll && p.TenantName != DefaultTenant {
		return store.Tenant{}, scim.Errorf(scim.Forbidden, "only a credential of the tenant %s registers for all tenants", DefaultTenant)
	}
	return tenantOf(ctx), nil
}

func (*registry) Register(ctx context.Context, req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	err = tenant.Register(ctx, req.GetAllTenants(), req.GetSchemas(), req.GetResourceTypes())
	return &musterv1.RegisterResponse{Schemas: req.GetSchemas(), ResourceTypes: req.GetResourceTypes()}, err
}

func (*registry) Unregister(ctx context.Context, req *musterv1.UnregisterRequest) (*musterv1.UnregisterResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	return &musterv1.UnregisterResponse{}, tenant.Unregister(ctx, req.GetAllTenants(), req.GetSchemas(), req.GetResourceTypes())
}

func (*registry) ListRegistrations(ctx context.Context, _ *musterv1.ListRegistrationsRequest) (*musterv1.ListRegistrationsResponse, error) {
	all, err := tenantOf(ctx).Registrations(ctx)
	return &musterv1.ListRegistrationsResponse{Registrations: all}, err
}
