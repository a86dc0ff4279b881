package server

import (
	"context"
	"math"
	"time"

	"github.com/muster-scim/muster/events"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// discovery is muster.v1.DiscoveryService.
type discovery struct {
	musterv1.UnimplementedDiscoveryServiceServer
}

func (*discovery) GetServiceProviderConfig(ctx context.Context, _ *musterv1.GetServiceProviderConfigRequest) (*musterv1.GetServiceProviderConfigResponse, error) {
	securityEvents, err := securityEvents(ctx)
	if err != nil {
		return nil, err
	}
	l := tenantOf(ctx).Catalog().Limits()
	number := func(n int) int32 { return int32(min(max(n, 0), math.MaxInt32)) }
	page := number(l.PageSize)
	return &musterv1.GetServiceProviderConfigResponse{ServiceProviderConfig: &musterv1.ServiceProviderConfig{
		Patch:          &musterv1.ServiceProviderConfig_Patch{Supported: true},
		Bulk:           &musterv1.ServiceProviderConfig_Bulk{Supported: true, MaxOperations: number(l.BulkOperations), MaxPayloadSize: number(l.Body)},
		Filter:         &musterv1.ServiceProviderConfig_Filter{Supported: true, MaxResults: page},
		ChangePassword: &musterv1.ServiceProviderConfig_ChangePassword{Supported: true},
		Sort:           &musterv1.ServiceProviderConfig_Sort{Supported: true},
		Etag:           &musterv1.ServiceProviderConfig_Etag{Supported: true},
		Pagination: &musterv1.ServiceProviderConfig_Pagination{
			Cursor: true, Index: true, DefaultPaginationMethod: "index",
			DefaultPageSize: page, MaxPageSize: page, CursorTimeout: int32(CursorTimeout / time.Second),
		},
		SecurityEvents: securityEvents,
		AuthenticationSchemes: []*musterv1.ServiceProviderConfig_AuthenticationScheme{{
			Type:        "oauthbearertoken",
			Name:        "Bearer Token",
			Description: "A token in the header Authorization: Bearer TOKEN",
			SpecUri:     "https://www.rfc-editor.org/info/rfc6750",
			Primary:     true,
		}, {
			Type:        "oauth2",
			Name:        "OAuth 2.0",
			Description: "An access token of this server's own authorization server, in the same header; /.well-known/oauth-authorization-server describes it",
			SpecUri:     "https://www.rfc-editor.org/info/rfc6749",
		}, {
			Type:        "httpbasic",
			Name:        "HTTP Basic",
			Description: "The login and password of a credential of kind basic, in the header Authorization: Basic base64(LOGIN:PASSWORD)",
			SpecUri:     "https://www.rfc-editor.org/info/rfc7617",
		}},
	}}, nil
}

// securityEvents tells of the events of RFC 9967 where the tenant has a subscription to
// them, and of none else: to a tenant without one none is sent, and clients are known
// that refuse a ServiceProviderConfig with an attribute that is newer than they are.
func securityEvents(ctx context.Context) (*musterv1.ServiceProviderConfig_SecurityEvents, error) {
	subscriptions, err := tenantOf(ctx).Subscriptions(ctx)
	if err != nil || len(subscriptions) == 0 {
		return nil, err
	}
	return &musterv1.ServiceProviderConfig_SecurityEvents{AsyncRequest: "none", EventUris: events.URIs()}, nil
}

func (*discovery) ListResourceTypes(ctx context.Context, _ *musterv1.ListResourceTypesRequest) (*musterv1.ListResourceTypesResponse, error) {
	out := &musterv1.ListResourceTypesResponse{}
	for _, rt := range tenantOf(ctx).Catalog().ResourceTypes() {
		out.ResourceTypes = append(out.ResourceTypes, rt.Proto())
	}
	return out, nil
}

func (*discovery) GetResourceType(ctx context.Context, req *musterv1.GetResourceTypeRequest) (*musterv1.GetResourceTypeResponse, error) {
	for _, rt := range tenantOf(ctx).Catalog().ResourceTypes() {
		if rt.Name == req.GetId() {
			return &musterv1.GetResourceTypeResponse{ResourceType: rt.Proto()}, nil
		}
	}
	return nil, scim.Errorf(scim.NotFound, "there is no resource type %.80q", req.GetId())
}

func (*discovery) ListSchemas(ctx context.Context, _ *musterv1.ListSchemasRequest) (*musterv1.ListSchemasResponse, error) {
	out := &musterv1.ListSchemasResponse{}
	for _, s := range tenantOf(ctx).Catalog().Schemas() {
		out.Schemas = append(out.Schemas, s.Proto())
	}
	return out, nil
}

func (*discovery) GetSchema(ctx context.Context, req *musterv1.GetSchemaRequest) (*musterv1.GetSchemaResponse, error) {
	if s := tenantOf(ctx).Catalog().Schema(req.GetId()); s != nil {
		return &musterv1.GetSchemaResponse{Schema: s.Proto()}, nil
	}
	return nil, scim.Errorf(scim.NotFound, "there is no schema %.200q", req.GetId())
}
