package server

import (
	"context"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// Who has the connection of a local operator needs no credential; nobody else can
// become one, whatever is sent.
func TestLocalConn(t *testing.T) {
	s, _ := newServer(t)
	ctx := context.Background()
	local := musterv1.NewCredentialServiceClient(s.LocalConn())
	if _, err := local.CreateCredential(ctx, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Name: "local", Scopes: []string{"admin"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := local.RevokeCredential(ctx, &musterv1.RevokeCredentialRequest{Name: "local"}); err != nil {
		t.Errorf("a credential that is called as the operator: %v", err)
	}
	if _, err := musterv1.NewTenantServiceClient(s.LocalConn()).CreateTenant(ctx, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: "acme"}}); err != nil {
		t.Error(err)
	}
	if _, err := musterv1.NewProvisioningServiceClient(s.LocalConn()).ListUsers(ctx, &musterv1.ListUsersRequest{}); err != nil {
		t.Error(err)
	}
	claims := metadata.Pairs("local", "true", "muster-local", "true", tenantKey, "default", credentialKey, "local", addressKey, "127.0.0.1", operatorKey, "root")
	for name, conn := range map[string]musterv1.CredentialServiceClient{
		"socket": musterv1.NewCredentialServiceClient(overSocket(t, s)), "in process": musterv1.NewCredentialServiceClient(s.Conn()),
	} {
		if _, err := conn.ListCredentials(metadata.NewOutgoingContext(ctx, claims), &musterv1.ListCredentialsRequest{}); reasonOf(err) != "unauthenticated" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLocalConn_WithoutATenant(t *testing.T) {
	ctx := context.Background()
	st, err := store.Open(ctx, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := musterv1.NewTenantServiceClient(New(st, Options{}).LocalConn()).ListTenants(ctx, &musterv1.ListTenantsRequest{}); reasonOf(err) != "conflict" {
		t.Errorf("an empty database: %v", err)
	}
}
