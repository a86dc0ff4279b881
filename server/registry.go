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
	return p.Tenant, nil
}

func (*registry) RegisterSchema(ctx context.Context, req *musterv1.RegisterSchemaRequest) (*musterv1.RegisterSchemaResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	if err := scim.CheckSchema(req.GetSchema()); err != nil {
		return nil, err
	}
	err = tenant.Register(ctx, store.Registration{ForAll: req.GetAllTenants(), Schema: req.GetSchema()})
	return &musterv1.RegisterSchemaResponse{Schema: req.GetSchema()}, err
}

func (*registry) UnregisterSchema(ctx context.Context, req *musterv1.UnregisterSchemaRequest) (*musterv1.UnregisterSchemaResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	err = tenant.Unregister(ctx, store.Registration{ForAll: req.GetAllTenants(), Schema: &musterv1.Schema{Id: req.GetId()}})
	return &musterv1.UnregisterSchemaResponse{}, err
}

func (*registry) RegisterResourceType(ctx context.Context, req *musterv1.RegisterResourceTypeRequest) (*musterv1.RegisterResourceTypeResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	if err := scim.CheckResourceType(req.GetResourceType()); err != nil {
		return nil, err
	}
	err = tenant.Register(ctx, store.Registration{ForAll: req.GetAllTenants(), ResourceType: req.GetResourceType()})
	return &musterv1.RegisterResourceTypeResponse{ResourceType: req.GetResourceType()}, err
}

func (*registry) UnregisterResourceType(ctx context.Context, req *musterv1.UnregisterResourceTypeRequest) (*musterv1.UnregisterResourceTypeResponse, error) {
	tenant, err := registering(ctx, req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	err = tenant.Unregister(ctx, store.Registration{ForAll: req.GetAllTenants(), ResourceType: &musterv1.ResourceType{Name: req.GetName()}})
	return &musterv1.UnregisterResourceTypeResponse{}, err
}

func (*registry) ListRegistrations(ctx context.Context, _ *musterv1.ListRegistrationsRequest) (*musterv1.ListRegistrationsResponse, error) {
	all, err := tenantOf(ctx).Registrations(ctx)
	if err != nil {
		return nil, err
	}
	out := &musterv1.ListRegistrationsResponse{}
	for _, r := range all {
		listed := &musterv1.ListRegistrationsResponse_Registration{AllTenants: r.ForAll}
		if r.Schema != nil {
			listed.Registered = &musterv1.ListRegistrationsResponse_Registration_Schema{Schema: r.Schema}
		} else {
			listed.Registered = &musterv1.ListRegistrationsResponse_Registration_ResourceType{ResourceType: r.ResourceType}
		}
		out.Registrations = append(out.Registrations, listed)
	}
	return out, nil
}
