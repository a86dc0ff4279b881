package console

import (
	"net/http"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// credential makes a credential, and is its secret.
func (w *world) credential(t testing.TB, c *musterv1.Credential) string {
	t.Helper()
	out, err := w.credentials.CreateCredential(w.ctx, &musterv1.CreateCredentialRequest{Credential: c})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetSecret()
}

// verifying are paths below the base URL that CyberArk Identity reads when it verifies.
var verifying = []string{"/ServiceProviderConfig", "/ResourceTypes/User", "/ResourceTypes/Group", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "/Users?count=1"}

// scim asks the REST face with a bearer token.
func (w *world) scim(t testing.TB, token, path string, want int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+scimPath+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("User-Agent", "CyberArk-SCIM/1.0")
	out, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	out.Body.Close()
	if out.StatusCode != want {
		t.Errorf("%s: %s", path, out.Status)
	}
}

// connect makes some clients: one that is connected, one that is not yet, and one that
// tries what it would do.
func (c *company) connect(t testing.TB) {
	t.Helper()
	for _, tenant := range []*musterv1.Tenant{
		{Name: "acme", Deprovision: musterv1.Deprovision_DEPROVISION_DISABLE, Limits: &musterv1.TenantLimits{RequestsPerSecond: new(50.0), Burst: new(int32(200))}},
		{Name: "initech", Profile: musterv1.ClientProfile_CLIENT_PROFILE_STRICT},
	} {
		if _, err := c.tenants.CreateTenant(c.ctx, &musterv1.CreateTenantRequest{Tenant: tenant}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.tenants.SuspendTenant(c.ctx, &musterv1.SuspendTenantRequest{Name: "initech"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.operators.SetSignInProvider(c.ctx, &musterv1.SetSignInProviderRequest{Provider: &musterv1.SignInProvider{
		Name: "company", DisplayName: "The company's login", Kind: musterv1.SignInProvider_KIND_OIDC,
		OfKind: &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: "https://login.example.com", ClientId: "muster"}},
		Roles:  []*musterv1.RoleMapping{{Attribute: "groups", Value: "directory-admins", Role: musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR}, {Attribute: "groups", Value: "service-desk", Role: musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR}},
	}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.subscriptions.CreateSubscription(c.ctx, &musterv1.CreateSubscriptionRequest{Subscription: &musterv1.Subscription{
		Name: "siem", Delivery: &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{Endpoint: "https://siem.example.com/events", Authorization: "Bearer x"}},
	}}); err != nil {
		t.Fatal(err)
	}
	cyberark := c.credential(t, &musterv1.Credential{Name: "cyberark", Scopes: []string{"scim"}, Networks: []string{"127.0.0.0/8", "::1/128"}})
	c.credential(t, &musterv1.Credential{Name: "sync", Scopes: []string{"scim:User"}, Kind: musterv1.Credential_KIND_OAUTH,
		OfKind: &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{RedirectUris: []string{"https://tenant.example.com/callback"}}}})
	c.credential(t, &musterv1.Credential{Name: "portal", Scopes: []string{"scim:read"}, Kind: musterv1.Credential_KIND_BASIC, OfKind: &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: "portal"}}, ExpireTime: timestamppb.New(time.Now().Add(9 * 24 * time.Hour))})
	secret := c.credential(t, &musterv1.Credential{Name: "rehearsal", Scopes: []string{"scim"}, Mode: musterv1.Credential_MODE_PREVIEW})
	as := metadata.NewOutgoingContext(t.Context(), metadata.Pairs(authorizationKey, "Bearer "+secret))
	w := *c.world
	w.ctx = as
	edna := w.user(t, &musterv1.User{UserName: "edna@example.com", DisplayName: "Edna Krabappel", Title: "Teacher"})
	if _, err := w.provisioning.DeleteUser(as, &musterv1.DeleteUserRequest{Id: c.mallory.GetId()}); err != nil {
		t.Fatal(err)
	}
	w.group(t, "Teachers", edna.GetId())
	if _, err := w.provisioning.CreateUser(as, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: c.ada.GetUserName()}}); err == nil {
		t.Fatal("the same userName twice")
	}
	for _, path := range verifying {
		c.scim(t, cyberark, path, http.StatusOK)
	}
	c.scim(t, "no-secret-of-anybody", verifying[0], http.StatusUnauthorized)
}
