package server

import (
	"context"
	"crypto/sha256"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// A program registers over gRPC what the answers of discovery then have, defaults
// filled in; the same again, a change, and a removal.
func TestRegistry(t *testing.T) {
	s, ctx := newServer(t)
	p, err := s.store.Authenticate(ctx, sha256.Sum256([]byte(token)))
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken("admin")
	if err := p.Tenant.AddCredential(ctx, store.Credential{Name: "ops", Kind: store.Bearer, Scopes: []string{ScopeAdmin}}, hash[:]); err != nil {
		t.Fatal(err)
	}
	admin := metadata.NewOutgoingContext(context.Background(), metadata.Pairs("authorization", "Bearer admin"))
	registry, discovery := musterv1.NewRegistryServiceClient(s.Conn()), musterv1.NewDiscoveryServiceClient(s.Conn())
	const urn = "urn:example:thing"
	req := &musterv1.RegisterRequest{
		Schemas:       []*musterv1.Schema{{Id: urn, Attributes: []*musterv1.Attribute{{Name: "a"}}}},
		ResourceTypes: []*musterv1.ResourceType{{Name: "Thing", Endpoint: "Things", Schema: urn}},
	}
	made, err := registry.Register(admin, proto.CloneOf(req))
	if err != nil {
		t.Fatal(err)
	}
	a := made.GetSchemas()[0].GetAttributes()[0]
	if a.GetType() != scim.String || a.GetMutability() != musterv1.Attribute_MUTABILITY_READ_WRITE || made.GetResourceTypes()[0].GetEndpoint() != "/Things" {
		t.Errorf("registered is %v", made)
	}
	found, err := discovery.GetSchema(ctx, &musterv1.GetSchemaRequest{Id: urn})
	if err != nil || !proto.Equal(found.GetSchema(), made.GetSchemas()[0]) {
		t.Errorf("discovery has %v, %v", found, err)
	}
	if again, err := registry.Register(admin, proto.CloneOf(req)); err != nil || !proto.Equal(again, made) {
		t.Errorf("registered again is %v, %v", again, err)
	}
	listed, err := registry.ListRegistrations(admin, &musterv1.ListRegistrationsRequest{})
	if err != nil || len(listed.GetRegistrations()) != 2 || listed.GetRegistrations()[0].GetAllTenants() || !proto.Equal(listed.GetRegistrations()[0].GetSchema(), made.GetSchemas()[0]) {
		t.Errorf("the list is %v, %v", listed, err)
	}
	resources := musterv1.NewResourceServiceClient(s.Conn())
	if _, err := resources.CreateResource(ctx, &musterv1.CreateResourceRequest{ResourceType: "Thing", Resource: &musterv1.Resource{}}); err != nil {
		t.Fatal(err)
	}
	req.Schemas[0].Attributes[0].Required = true
	if _, err := registry.Register(admin, proto.CloneOf(req)); reasonOf(err) != "conflict" {
		t.Errorf("a change that does not fit: %v", err)
	}
	if _, err := registry.Unregister(admin, &musterv1.UnregisterRequest{Schemas: []string{urn}}); reasonOf(err) != "conflict" {
		t.Errorf("a schema in use: %v", err)
	}
	req.Schemas[0].Attributes[0].Type = 99
	if _, err := registry.Register(admin, req); reasonOf(err) != "invalidValue" {
		t.Errorf("a type that nobody knows: %v", err)
	}
	if _, err := registry.Unregister(admin, &musterv1.UnregisterRequest{ResourceTypes: []string{"Thing"}, AllTenants: true}); reasonOf(err) != "notFound" {
		t.Errorf("of all tenants: %v", err)
	}
}
