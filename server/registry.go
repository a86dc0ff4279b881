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

	store *store.Store
}

// registering is the tenant that a change of registrations is about.
func (s *registry) registering(ctx context.Context, name string, forAll bool) (store.Tenant, error) {
	if forAll && !administersAll(ctx) {
		return store.Tenant{}, scim.Errorf(scim.Forbidden, "only a credential of the tenant %s registers for all tenants", DefaultTenant)
	}
	return administered(ctx, s.store, name)
}

func (s *registry) Register(ctx context.Context, req *musterv1.RegisterRequest) (*musterv1.RegisterResponse, error) {
	tenant, err := s.registering(ctx, req.GetTenant(), req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	err = tenant.Register(ctx, req.GetAllTenants(), req.GetSchemas(), req.GetResourceTypes())
	return &musterv1.RegisterResponse{Schemas: req.GetSchemas(), ResourceTypes: req.GetResourceTypes()}, err
}

func (s *registry) Unregister(ctx context.Context, req *musterv1.UnregisterRequest) (*musterv1.UnregisterResponse, error) {
	tenant, err := s.registering(ctx, req.GetTenant(), req.GetAllTenants())
	if err != nil {
		return nil, err
	}
	return &musterv1.UnregisterResponse{}, tenant.Unregister(ctx, req.GetAllTenants(), req.GetSchemas(), req.GetResourceTypes())
}

func (s *registry) ListRegistrations(ctx context.Context, req *musterv1.ListRegistrationsRequest) (*musterv1.ListRegistrationsResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.Registrations(ctx)
	return &musterv1.ListRegistrationsResponse{Registrations: all}, err
}
