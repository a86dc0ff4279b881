package server

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// DefaultTenant is the tenant that the first start makes. Its administrators
// administer all tenants.
const DefaultTenant = "default"

// administersAll tells whether the caller may name any tenant.
func administersAll(ctx context.Context) bool { return principalOf(ctx).TenantName == DefaultTenant }

// mayName fails where the caller may not name the tenant: as if it were not there.
func mayName(ctx context.Context, name string) error {
	if administersAll(ctx) || name == principalOf(ctx).TenantName {
		return nil
	}
	return scim.Errorf(scim.NotFound, "there is no tenant %.80q", name)
}

// administered is the tenant that an administrator's request is about; an empty name:
// the caller's own. It fails with NotFound for one that is not there or that the
// caller may not name, and with Conflict for one that is being deleted.
func administered(ctx context.Context, st *store.Store, name string) (store.Tenant, error) {
	if name == "" || name == principalOf(ctx).TenantName {
		return tenantOf(ctx), nil
	}
	if err := mayName(ctx, name); err != nil {
		return store.Tenant{}, err
	}
	return st.Tenant(ctx, name)
}

// tenantService is muster.v1.TenantService.
type tenantService struct {
	musterv1.UnimplementedTenantServiceServer

	store *store.Store
}

func (s *tenantService) GetTenant(ctx context.Context, req *musterv1.GetTenantRequest) (*musterv1.GetTenantResponse, error) {
	if err := mayName(ctx, req.GetName()); err != nil {
		return nil, err
	}
	info, err := s.store.TenantInfo(ctx, req.GetName())
	return &musterv1.GetTenantResponse{Tenant: tenantMessage(info)}, err
}

func (s *tenantService) ListTenants(ctx context.Context, _ *musterv1.ListTenantsRequest) (*musterv1.ListTenantsResponse, error) {
	if !administersAll(ctx) {
		own, err := s.store.TenantInfo(ctx, principalOf(ctx).TenantName)
		return &musterv1.ListTenantsResponse{Tenants: []*musterv1.Tenant{tenantMessage(own)}}, err
	}
	all, err := s.store.Tenants(ctx)
	out := &musterv1.ListTenantsResponse{}
	for _, info := range all {
		out.Tenants = append(out.Tenants, tenantMessage(info))
	}
	return out, err
}

// mayChangeTenants fails for who only sees the own tenant.
func mayChangeTenants(ctx context.Context) error {
	if administersAll(ctx) {
		return nil
	}
	return scim.Errorf(scim.Forbidden, "only a credential of the tenant %s makes and changes tenants", DefaultTenant)
}

func (s *tenantService) CreateTenant(ctx context.Context, req *musterv1.CreateTenantRequest) (*musterv1.CreateTenantResponse, error) {
	if err := mayChangeTenants(ctx); err != nil {
		return nil, err
	}
	info := store.TenantInfo{Name: req.GetTenant().GetName()}
	if err := setTenant(&info, req.GetTenant(), presentFields(req.GetTenant(), tenantFields)); err != nil {
		return nil, err
	}
	made, err := s.store.CreateTenant(ctx, info)
	return &musterv1.CreateTenantResponse{Tenant: tenantMessage(made)}, err
}

func (s *tenantService) UpdateTenant(ctx context.Context, req *musterv1.UpdateTenantRequest) (*musterv1.UpdateTenantResponse, error) {
	if err := mayChangeTenants(ctx); err != nil {
		return nil, err
	}
	paths, err := maskedFields(req.GetTenant(), req.GetUpdateMask(), tenantFields)
	if err != nil {
		return nil, err
	}
	info, err := s.store.UpdateTenant(ctx, req.GetTenant().GetName(), func(info *store.TenantInfo) error {
		return setTenant(info, req.GetTenant(), paths)
	})
	return &musterv1.UpdateTenantResponse{Tenant: tenantMessage(info)}, err
}

func (s *tenantService) SuspendTenant(ctx context.Context, req *musterv1.SuspendTenantRequest) (*musterv1.SuspendTenantResponse, error) {
	if err := mayChangeTenants(ctx); err != nil {
		return nil, err
	}
	info, err := s.store.SuspendTenant(ctx, req.GetName())
	return &musterv1.SuspendTenantResponse{Tenant: tenantMessage(info)}, err
}

func (s *tenantService) ResumeTenant(ctx context.Context, req *musterv1.ResumeTenantRequest) (*musterv1.ResumeTenantResponse, error) {
	if err := mayChangeTenants(ctx); err != nil {
		return nil, err
	}
	info, err := s.store.ResumeTenant(ctx, req.GetName())
	return &musterv1.ResumeTenantResponse{Tenant: tenantMessage(info)}, err
}

func (s *tenantService) DeleteTenant(ctx context.Context, req *musterv1.DeleteTenantRequest) (*musterv1.DeleteTenantResponse, error) {
	if err := mayChangeTenants(ctx); err != nil {
		return nil, err
	}
	// It takes as long as there is data. Half a tenant is of no use to anybody, so it
	// goes on where the caller does not wait; but who works on the database may stop it.
	if !isLocal(ctx) {
		ctx = context.WithoutCancel(ctx)
	}
	return &musterv1.DeleteTenantResponse{}, s.store.DeleteTenant(ctx, req.GetName())
}

// tenantFields are what can be set of a tenant.
var tenantFields = fields{
	setByServer: []string{"name", "state", "create_time"},
	settable: []string{"profile", "deprovision", "limits",
		"limits.requests_per_second", "limits.burst", "limits.concurrent_requests"},
}

// setTenant sets fields of a tenant to what the message has.
func setTenant(info *store.TenantInfo, from *musterv1.Tenant, paths []string) error {
	set, limits := &info.Settings, from.GetLimits()
	if limits == nil { // the mask may name one of them all the same
		limits = &musterv1.TenantLimits{}
	}
	for _, path := range paths {
		switch path {
		case "profile":
			profile, known := profiles[from.GetProfile()]
			if !known {
				return unknownValue(path)
			}
			info.Profile = profile
		case "deprovision":
			if _, known := musterv1.Deprovision_name[int32(from.GetDeprovision())]; !known {
				return unknownValue(path)
			}
			set.DisableOnDelete = from.GetDeprovision() == musterv1.Deprovision_DEPROVISION_DISABLE
		case "limits":
			set.RequestsPerSecond, set.Burst, set.ConcurrentRequests = limits.RequestsPerSecond, limits.Burst, limits.ConcurrentRequests
		case "limits.requests_per_second":
			set.RequestsPerSecond = limits.RequestsPerSecond
		case "limits.burst":
			set.Burst = limits.Burst
		case "limits.concurrent_requests":
			set.ConcurrentRequests = limits.ConcurrentRequests
		}
	}
	return checkLimits(set)
}

// checkLimits refuses limits that nobody can mean.
func checkLimits(set *store.TenantSettings) error {
	const most = 1e9
	rate, burst, concurrent := set.RequestsPerSecond, set.Burst, set.ConcurrentRequests
	switch {
	case rate != nil && !(*rate >= 0 && *rate <= most): // nor NaN
		return scim.Errorf(scim.InvalidValue, "limits.requestsPerSecond is a number from 0 to 10^9; 0 is any number of requests").At("limits.requestsPerSecond")
	case burst != nil && *burst < 1:
		return scim.Errorf(scim.InvalidValue, "limits.burst is at least 1").At("limits.burst")
	case concurrent != nil && *concurrent < 0:
		return scim.Errorf(scim.InvalidValue, "limits.concurrentRequests is not negative; 0 is any number of requests").At("limits.concurrentRequests")
	}
	return nil
}

// profiles are the client profiles of the contract.
var profiles = map[musterv1.ClientProfile]store.Profile{
	musterv1.ClientProfile_CLIENT_PROFILE_UNSPECIFIED: store.Tolerant,
	musterv1.ClientProfile_CLIENT_PROFILE_TOLERANT:    store.Tolerant,
	musterv1.ClientProfile_CLIENT_PROFILE_STRICT:      store.Strict,
}

// tenantMessage is what the contract makes of a tenant.
func tenantMessage(info store.TenantInfo) *musterv1.Tenant {
	m := &musterv1.Tenant{
		Name: info.Name, CreateTime: timestamppb.New(info.Created),
		State:       musterv1.Tenant_STATE_ACTIVE,
		Profile:     musterv1.ClientProfile_CLIENT_PROFILE_TOLERANT,
		Deprovision: musterv1.Deprovision_DEPROVISION_DELETE,
		Limits: &musterv1.TenantLimits{RequestsPerSecond: info.Settings.RequestsPerSecond, Burst: info.Settings.Burst,
			ConcurrentRequests: info.Settings.ConcurrentRequests},
	}
	switch info.State {
	case store.Suspended:
		m.State = musterv1.Tenant_STATE_SUSPENDED
	case store.Deleting:
		m.State = musterv1.Tenant_STATE_DELETING
	case store.Active:
	}
	if info.Profile == store.Strict {
		m.Profile = musterv1.ClientProfile_CLIENT_PROFILE_STRICT
	}
	if info.Settings.DisableOnDelete {
		m.Deprovision = musterv1.Deprovision_DEPROVISION_DISABLE
	}
	return m
}
