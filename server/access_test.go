package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// admins is a server with the tenants default and acme, and a context for an
// administrator of each.
func admins(t *testing.T) (s *Server, of map[string]context.Context) {
	t.Helper()
	s, _ = newServer(t)
	ctx := context.Background()
	if _, err := s.store.CreateTenant(ctx, store.TenantInfo{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	of = make(map[string]context.Context)
	for _, name := range []string{"default", "acme"} {
		tenant, err := s.store.Tenant(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, credential := range []string{"admin", "ops"} {
			hash := HashToken(credential + "-of-" + name)
			if err := tenant.AddCredential(ctx, store.Credential{Name: credential, Kind: store.Bearer, Scopes: []string{ScopeAdmin}}, hash[:]); err != nil {
				t.Fatal(err)
			}
		}
		of[name] = as("admin-of-" + name) //nolint:fatcontext // each begins anew
	}
	return s, of
}

// as is a context whose calls show a bearer token.
func as(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+token)
}

func TestTenantService(t *testing.T) {
	s, of := admins(t)
	c, root := musterv1.NewTenantServiceClient(s.Conn()), of["default"]
	rate := 2.5
	made, err := c.CreateTenant(root, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: "new", Profile: musterv1.ClientProfile_CLIENT_PROFILE_STRICT,
		Deprovision: musterv1.Deprovision_DEPROVISION_DISABLE, Limits: &musterv1.TenantLimits{RequestsPerSecond: &rate}}})
	if err != nil {
		t.Fatal(err)
	}
	want := made.GetTenant()
	if want.GetName() != "new" || want.GetState() != musterv1.Tenant_STATE_ACTIVE || want.GetProfile() != musterv1.ClientProfile_CLIENT_PROFILE_STRICT ||
		want.GetDeprovision() != musterv1.Deprovision_DEPROVISION_DISABLE || want.GetLimits().GetRequestsPerSecond() != rate || want.GetLimits().Burst != nil ||
		time.Since(want.GetCreateTime().AsTime()) > time.Minute {
		t.Errorf("made %v", want)
	}
	got, err := c.GetTenant(root, &musterv1.GetTenantRequest{Name: "new"})
	if err != nil || !proto.Equal(got.GetTenant(), want) {
		t.Errorf("got %v, %v", got, err)
	}
	update := func(tenant *musterv1.Tenant, mask ...string) *musterv1.Tenant {
		t.Helper()
		tenant.Name = "new"
		out, err := c.UpdateTenant(root, &musterv1.UpdateTenantRequest{Tenant: tenant, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetTenant()
	}
	burst := int32(7)
	limits := &musterv1.TenantLimits{Burst: &burst}
	if got := update(&musterv1.Tenant{Limits: limits}, "name", "state", "limits.burst"); got.GetLimits().GetRequestsPerSecond() != rate || got.GetLimits().GetBurst() != 7 {
		t.Errorf("one limit of two: %v", got)
	}
	if got := update(&musterv1.Tenant{Limits: limits}); got.GetLimits().RequestsPerSecond != nil || got.GetLimits().GetBurst() != 7 || got.GetProfile() != want.GetProfile() {
		t.Errorf("what is present: %v", got)
	}
	if got := update(&musterv1.Tenant{}, "limits.burst"); got.GetLimits() != nil && got.GetLimits().Burst != nil {
		t.Errorf("a field of limits that are absent: %v", got)
	}
	if got := update(&musterv1.Tenant{}, "profile", "deprovision", "limits"); got.GetProfile() != musterv1.ClientProfile_CLIENT_PROFILE_TOLERANT ||
		got.GetDeprovision() != musterv1.Deprovision_DEPROVISION_DELETE || got.GetLimits().Burst != nil {
		t.Errorf("back to the defaults: %v", got)
	}
	negative, zero := int32(-1), int32(0)
	for _, bad := range []*musterv1.UpdateTenantRequest{
		{Tenant: &musterv1.Tenant{Name: "new", Profile: 99}},
		{Tenant: &musterv1.Tenant{Name: "new", Deprovision: 99}},
		{Tenant: &musterv1.Tenant{Name: "new", Limits: &musterv1.TenantLimits{ConcurrentRequests: &negative}}},
		{Tenant: &musterv1.Tenant{Name: "new", Limits: &musterv1.TenantLimits{Burst: &zero}}},
		{Tenant: &musterv1.Tenant{Name: "new"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"colour"}}},
	} {
		if _, err := c.UpdateTenant(root, bad); reasonOf(err) != "invalidValue" {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := c.DeleteTenant(root, &musterv1.DeleteTenantRequest{Name: "new"}); reasonOf(err) != "conflict" || !strings.Contains(err.Error(), "suspend it first") {
		t.Errorf("an active tenant: %v", err)
	}
	if out, err := c.SuspendTenant(root, &musterv1.SuspendTenantRequest{Name: "new"}); err != nil || out.GetTenant().GetState() != musterv1.Tenant_STATE_SUSPENDED {
		t.Errorf("suspended %v, %v", out, err)
	}
	if out, err := c.ResumeTenant(root, &musterv1.ResumeTenantRequest{Name: "new"}); err != nil || out.GetTenant().GetState() != musterv1.Tenant_STATE_ACTIVE {
		t.Errorf("resumed %v, %v", out, err)
	}
	if _, err := c.SuspendTenant(root, &musterv1.SuspendTenantRequest{Name: "new"}); err != nil {
		t.Error(err)
	}
	if _, err := c.DeleteTenant(root, &musterv1.DeleteTenantRequest{Name: "new"}); err != nil {
		t.Error(err)
	}
	all, err := c.ListTenants(root, &musterv1.ListTenantsRequest{})
	if err != nil || len(all.GetTenants()) != 2 {
		t.Errorf("left are %v, %v", all, err)
	}
}

// An administrator of one tenant learns nothing of another: what is there and what
// is not look the same.
func TestAdministration_OfAnotherTenant(t *testing.T) {
	s, of := admins(t)
	if _, err := s.store.CreateTenant(context.Background(), store.TenantInfo{Name: "nobody-else"}); err != nil {
		t.Fatal(err)
	}
	tenants, credentials, registry := musterv1.NewTenantServiceClient(s.Conn()), musterv1.NewCredentialServiceClient(s.Conn()), musterv1.NewRegistryServiceClient(s.Conn())
	acme := of["acme"]
	calls := map[string]func(tenant string) error{
		"GetTenant": func(n string) error { return errOf(tenants.GetTenant(acme, &musterv1.GetTenantRequest{Name: n})) },
		"UpdateTenant": func(n string) error {
			return errOf(tenants.UpdateTenant(acme, &musterv1.UpdateTenantRequest{Tenant: &musterv1.Tenant{Name: n}}))
		},
		"SuspendTenant": func(n string) error {
			return errOf(tenants.SuspendTenant(acme, &musterv1.SuspendTenantRequest{Name: n}))
		},
		"ResumeTenant": func(n string) error { return errOf(tenants.ResumeTenant(acme, &musterv1.ResumeTenantRequest{Name: n})) },
		"DeleteTenant": func(n string) error { return errOf(tenants.DeleteTenant(acme, &musterv1.DeleteTenantRequest{Name: n})) },
		"CreateTenant": func(n string) error {
			return errOf(tenants.CreateTenant(acme, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: n}}))
		},
		"GetCredential": func(n string) error {
			return errOf(credentials.GetCredential(acme, &musterv1.GetCredentialRequest{Tenant: n, Name: "ops"}))
		},
		"ListCredentials": func(n string) error {
			return errOf(credentials.ListCredentials(acme, &musterv1.ListCredentialsRequest{Tenant: n}))
		},
		"CreateCredential": func(n string) error {
			return errOf(credentials.CreateCredential(acme, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Tenant: n, Name: "x", Scopes: []string{"scim"}}}))
		},
		"UpdateCredential": func(n string) error {
			return errOf(credentials.UpdateCredential(acme, &musterv1.UpdateCredentialRequest{Credential: &musterv1.Credential{Tenant: n, Name: "ops", Scopes: []string{"scim"}}}))
		},
		"RotateCredential": func(n string) error {
			return errOf(credentials.RotateCredential(acme, &musterv1.RotateCredentialRequest{Tenant: n, Name: "ops"}))
		},
		"RevokeCredential": func(n string) error {
			return errOf(credentials.RevokeCredential(acme, &musterv1.RevokeCredentialRequest{Tenant: n, Name: "ops"}))
		},
		"ListRegistrations": func(n string) error {
			return errOf(registry.ListRegistrations(acme, &musterv1.ListRegistrationsRequest{Tenant: n}))
		},
		"Register":   func(n string) error { return errOf(registry.Register(acme, &musterv1.RegisterRequest{Tenant: n})) },
		"Unregister": func(n string) error { return errOf(registry.Unregister(acme, &musterv1.UnregisterRequest{Tenant: n})) },
	}
	for name, call := range calls {
		there, missing := call("default"), call("missing")
		want := "notFound"
		if strings.HasSuffix(name, "Tenant") && name != "GetTenant" {
			want = "forbidden"
		}
		if reasonOf(there) != want || strings.ReplaceAll(fmt.Sprint(there), "default", "?") != strings.ReplaceAll(strings.ReplaceAll(fmt.Sprint(missing), "default", "?"), "missing", "?") {
			t.Errorf("%s: of a tenant that is there %v, of one that is not %v", name, there, missing)
		}
	}
	if all, err := tenants.ListTenants(acme, &musterv1.ListTenantsRequest{}); err != nil || len(all.GetTenants()) != 1 || all.GetTenants()[0].GetName() != "acme" {
		t.Errorf("it sees %v, %v", all, err)
	}
	for _, own := range []string{"", "acme"} {
		if all, err := credentials.ListCredentials(acme, &musterv1.ListCredentialsRequest{Tenant: own}); err != nil || len(all.GetCredentials()) != 2 || all.GetCredentials()[0].GetTenant() != "acme" {
			t.Errorf("of its own it sees %v, %v", all, err)
		}
	}
	if all, err := credentials.ListCredentials(of["default"], &musterv1.ListCredentialsRequest{Tenant: "acme"}); err != nil || len(all.GetCredentials()) != 2 {
		t.Errorf("an administrator of all sees %v, %v", all, err)
	}
}

func errOf[T any](_ T, err error) error { return err }

func TestCredentialService_SecretsWork(t *testing.T) {
	s, of := admins(t)
	c, root := musterv1.NewCredentialServiceClient(s.Conn()), of["default"]
	users := musterv1.NewProvisioningServiceClient(s.Conn())
	works := func(authorization string) bool {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", authorization)
		return errOf(users.ListUsers(ctx, &musterv1.ListUsersRequest{})) == nil
	}
	for _, test := range []struct {
		credential *musterv1.Credential
		header     func(secret string) string
	}{
		{&musterv1.Credential{Name: "a"}, func(s string) string { return "Bearer " + s }},
		{&musterv1.Credential{Name: "b", Kind: musterv1.Credential_KIND_BASIC}, func(s string) string { return basic("b", s) }},
		{&musterv1.Credential{Name: "c", Kind: musterv1.Credential_KIND_BASIC, OfKind: &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: "Björn"}}},
			func(s string) string { return basic("Björn", s) }},
		{&musterv1.Credential{Name: "d", Kind: musterv1.Credential_KIND_DIRECT}, func(s string) string { return s }},
	} {
		test.credential.Scopes, test.credential.Tenant = []string{"scim:read"}, "acme"
		made, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: test.credential})
		if err != nil {
			t.Fatal(err)
		}
		name, secret := made.GetCredential().GetName(), made.GetSecret()
		if !strings.HasPrefix(secret, "muster_") || !works(test.header(secret)) {
			t.Errorf("%v does not work", made.GetCredential())
		}
		rotated, err := c.RotateCredential(root, &musterv1.RotateCredentialRequest{Tenant: "acme", Name: name})
		if err != nil || !works(test.header(secret)) || !works(test.header(rotated.GetSecret())) {
			t.Errorf("%s: after the rotation: %v", name, err)
		}
		again, err := c.RotateCredential(root, &musterv1.RotateCredentialRequest{Tenant: "acme", Name: name, Overlap: durationpb.New(0)})
		if err != nil || works(test.header(secret)) || works(test.header(rotated.GetSecret())) || !works(test.header(again.GetSecret())) {
			t.Errorf("%s: after the rotation without overlap: %v", name, err)
		}
		if _, err := c.RevokeCredential(root, &musterv1.RevokeCredentialRequest{Tenant: "acme", Name: name}); err != nil || works(test.header(again.GetSecret())) {
			t.Errorf("%s: after it was revoked: %v", name, err)
		}
	}
	for _, overlap := range []time.Duration{-time.Second, 91 * 24 * time.Hour} {
		if _, err := c.RotateCredential(root, &musterv1.RotateCredentialRequest{Name: "test", Overlap: durationpb.New(overlap)}); reasonOf(err) != "invalidValue" {
			t.Errorf("an overlap of %s: %v", overlap, err)
		}
	}
}

func TestCredentialService_KeepsWhatIsAsked(t *testing.T) {
	s, of := admins(t)
	c, root := musterv1.NewCredentialServiceClient(s.Conn()), of["default"]
	cert, fingerprint := certificate(t)
	expires := timestamppb.New(time.Now().Add(time.Hour).Truncate(time.Millisecond))
	const jwks = `{"keys":[{"kty":"EC","crv":"P-256","x":"a","y":"b"}]}`
	for _, asked := range []*musterv1.Credential{
		{Name: "bearer", Mode: musterv1.Credential_MODE_PREVIEW, Networks: []string{"192.0.2.7", "10.1.2.3/8", "2001:db8::/32"}, ExpireTime: expires},
		{Name: "oauth", Kind: musterv1.Credential_KIND_OAUTH, OfKind: &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{
			RedirectUris: []string{"https://example.com/back?x=1", "http://127.0.0.1:8000/back", "http://localhost/"}}}},
		{Name: "keys", Kind: musterv1.Credential_KIND_OAUTH, OfKind: &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{Jwks: jwks}}},
		{Name: "cert", Kind: musterv1.Credential_KIND_CERTIFICATE, OfKind: &musterv1.Credential_Certificate{Certificate: &musterv1.CertificateCredential{Certificate: cert}}},
		{Name: "issuer", Kind: musterv1.Credential_KIND_ISSUER, OfKind: &musterv1.Credential_Issuer{Issuer: &musterv1.IssuerCredential{Issuer: "https://id.example.com/", Audience: "muster"}}},
	} {
		asked.Scopes = []string{"scim:User", "scim:Group:read"}
		made, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: proto.CloneOf(asked)})
		if err != nil {
			t.Errorf("%s: %v", asked.GetName(), err)
			continue
		}
		got, err := c.GetCredential(root, &musterv1.GetCredentialRequest{Name: asked.GetName()})
		if err != nil || !proto.Equal(got.GetCredential(), made.GetCredential()) || made.GetCredential().GetTenant() != "default" || !slices.Equal(made.GetCredential().GetScopes(), asked.GetScopes()) {
			t.Errorf("made %v, got %v, %v", made, got, err)
		}
		hasSecret := asked.GetName() == "bearer" || asked.GetName() == "oauth"
		if (made.GetSecret() != "") != hasSecret {
			t.Errorf("%s: a secret: %t", asked.GetName(), made.GetSecret() != "")
		}
	}
	get := func(name string) *musterv1.Credential {
		out, err := c.GetCredential(root, &musterv1.GetCredentialRequest{Name: name})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetCredential()
	}
	if got := get("bearer"); got.GetMode() != musterv1.Credential_MODE_PREVIEW || fmt.Sprint(got.GetNetworks()) != "[192.0.2.7/32 10.0.0.0/8 2001:db8::/32]" || !proto.Equal(got.GetExpireTime(), expires) {
		t.Errorf("bearer is %v", got)
	}
	if got := get("oauth").GetOauth(); !strings.HasPrefix(got.GetClientId(), "client-") || len(got.GetRedirectUris()) != 3 {
		t.Errorf("oauth is %v", got)
	}
	if got := get("cert").GetCertificate(); got.GetFingerprint() != fingerprint || got.GetCertificate() != nil {
		t.Errorf("cert is %v", got)
	}
	if got := get("issuer").GetIssuer(); got.GetRequiredScope() != "scim" || fmt.Sprint(got.GetAlgorithms()) != "[RS256 ES256]" {
		t.Errorf("issuer is %v", got)
	}
	// What finds a credential is what those who authenticate by it look for.
	for kind, lookup := range map[store.Kind]string{
		store.OAuth: "oauth:" + get("oauth").GetOauth().GetClientId(), store.Certificate: "certificate:" + fingerprint, store.Issuer: "issuer:https://id.example.com/ muster",
	} {
		if p, err := s.store.AuthenticateLookup(context.Background(), kind, lookup); err != nil || p.Credential.Kind != kind {
			t.Errorf("%s: %v, %v", lookup, p.Credential, err)
		}
	}
	again := &musterv1.Credential{Name: "again", Kind: musterv1.Credential_KIND_CERTIFICATE, Scopes: []string{"scim"},
		OfKind: &musterv1.Credential_Certificate{Certificate: &musterv1.CertificateCredential{Fingerprint: strings.ToUpper(fingerprint)}}}
	if _, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: again}); reasonOf(err) != "uniqueness" {
		t.Errorf("a certificate twice: %v", err)
	}
}

// certificate is a certificate as PEM, and the fingerprint of its key.
func certificate(t *testing.T) (text []byte, fingerprint string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), hex.EncodeToString(sum[:])
}

func TestCreateCredential_Refused(t *testing.T) {
	s, of := admins(t)
	c, root := musterv1.NewCredentialServiceClient(s.Conn()), of["default"]
	past := timestamppb.New(time.Now().Add(-time.Second))
	oauth := func(client *musterv1.OAuthClient) func(*musterv1.Credential) {
		return func(c *musterv1.Credential) {
			c.Kind, c.OfKind = musterv1.Credential_KIND_OAUTH, &musterv1.Credential_Oauth{Oauth: client}
		}
	}
	issuer := func(change func(*musterv1.IssuerCredential)) func(*musterv1.Credential) {
		i := &musterv1.IssuerCredential{Issuer: "https://id.example.com", Audience: "muster"}
		change(i)
		return func(c *musterv1.Credential) {
			c.Kind, c.OfKind = musterv1.Credential_KIND_ISSUER, &musterv1.Credential_Issuer{Issuer: i}
		}
	}
	cert := func(of *musterv1.CertificateCredential) func(*musterv1.Credential) {
		return func(c *musterv1.Credential) {
			c.Kind, c.OfKind = musterv1.Credential_KIND_CERTIFICATE, &musterv1.Credential_Certificate{Certificate: of}
		}
	}
	keys := func(text string) func(*musterv1.Credential) { return oauth(&musterv1.OAuthClient{Jwks: text}) }
	redirect := func(uri string) func(*musterv1.Credential) {
		return oauth(&musterv1.OAuthClient{RedirectUris: []string{uri}})
	}
	pemText, _ := certificate(t)
	tests := map[string]func(*musterv1.Credential){
		"no name":           func(c *musterv1.Credential) { c.Name = "" },
		"a bad name":        func(c *musterv1.Credential) { c.Name = "a/b" },
		"no scope":          func(c *musterv1.Credential) { c.Scopes = nil },
		"an unknown scope":  func(c *musterv1.Credential) { c.Scopes = []string{"root"} },
		"an unknown kind":   func(c *musterv1.Credential) { c.Kind = 99 },
		"an unknown mode":   func(c *musterv1.Credential) { c.Mode = 99 },
		"a network":         func(c *musterv1.Credential) { c.Networks = []string{"office"} },
		"a network's bits":  func(c *musterv1.Credential) { c.Networks = []string{"10.0.0.0/33"} },
		"a mapped network":  func(c *musterv1.Credential) { c.Networks = []string{"::ffff:10.0.0.0/104"} },
		"a zone":            func(c *musterv1.Credential) { c.Networks = []string{"fe80::1%eth0"} },
		"too many networks": func(c *musterv1.Credential) { c.Networks = make([]string, 101) },
		"expired":           func(c *musterv1.Credential) { c.ExpireTime = past },
		"a preview admin": func(c *musterv1.Credential) {
			c.Mode, c.Scopes = musterv1.Credential_MODE_PREVIEW, []string{"scim", "admin"}
		},
		"another kind's": func(c *musterv1.Credential) { c.OfKind = &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{}} },
		"a login with a colon": func(c *musterv1.Credential) {
			c.Kind, c.OfKind = musterv1.Credential_KIND_BASIC, &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: "a:b"}}
		},
		"redirect http":        redirect("http://example.com/"),
		"redirect fragment":    redirect("https://example.com/#x"),
		"redirect relative":    redirect("/back"),
		"redirect script":      redirect("javascript:alert(1)"),
		"redirect user":        redirect("https://example.com@evil.example/"),
		"keys no JSON":         keys("x"),
		"keys none":            keys(`{"keys":[]}`),
		"keys symmetric":       keys(`{"keys":[{"kty":"oct","k":"x"}]}`),
		"keys private":         keys(`{"keys":[{"kty":"EC","crv":"P-256","x":"a","y":"b","d":"c"}]}`),
		"keys incomplete":      keys(`{"keys":[{"kty":"RSA","n":"a"}]}`),
		"cert nothing":         cert(nil),
		"cert text":            cert(&musterv1.CertificateCredential{Certificate: []byte("x")}),
		"cert fingerprint":     cert(&musterv1.CertificateCredential{Fingerprint: "abcd"}),
		"cert of another":      cert(&musterv1.CertificateCredential{Fingerprint: strings.Repeat("a", 64), Certificate: pemText}),
		"issuer http":          issuer(func(i *musterv1.IssuerCredential) { i.Issuer = "http://id.example.com" }),
		"issuer query":         issuer(func(i *musterv1.IssuerCredential) { i.Issuer += "?x" }),
		"issuer no audience":   issuer(func(i *musterv1.IssuerCredential) { i.Audience = "" }),
		"issuer two audiences": issuer(func(i *musterv1.IssuerCredential) { i.Audience = "a b" }),
		"issuer none":          issuer(func(i *musterv1.IssuerCredential) { i.Algorithms = []string{"none"} }),
		"issuer HS256":         issuer(func(i *musterv1.IssuerCredential) { i.Algorithms = []string{"ES256", "HS256"} }),
		"issuer scopes":        issuer(func(i *musterv1.IssuerCredential) { i.RequiredScope = "a b" }),
		"issuer missing":       func(c *musterv1.Credential) { c.Kind = musterv1.Credential_KIND_ISSUER },
	}
	for name, spoil := range tests {
		asked := &musterv1.Credential{Name: "x", Scopes: []string{"scim"}}
		spoil(asked)
		if _, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: asked}); reasonOf(err) != "invalidValue" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 2 {
		_, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Name: "twice", Scopes: []string{"scim"}}})
		if err != nil && reasonOf(err) != "uniqueness" {
			t.Error(err)
		}
	}
	if _, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{}); reasonOf(err) != "invalidValue" {
		t.Errorf("nothing: %v", err)
	}
	if all, err := c.ListCredentials(root, &musterv1.ListCredentialsRequest{}); err != nil || len(all.GetCredentials()) != 4 {
		t.Errorf("there are %v, %v", all, err)
	}
}

func TestUpdateCredential(t *testing.T) {
	s, of := admins(t)
	c, root := musterv1.NewCredentialServiceClient(s.Conn()), of["default"]
	for _, asked := range []*musterv1.Credential{
		{Name: "b", Scopes: []string{"scim"}, Networks: []string{"10.0.0.0/8"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))},
		{Name: "i", Scopes: []string{"scim"}, Kind: musterv1.Credential_KIND_ISSUER,
			OfKind: &musterv1.Credential_Issuer{Issuer: &musterv1.IssuerCredential{Issuer: "https://id.example.com", Audience: "a"}}},
	} {
		if _, err := c.CreateCredential(root, &musterv1.CreateCredentialRequest{Credential: asked}); err != nil {
			t.Fatal(err)
		}
	}
	update := func(asked *musterv1.Credential, mask ...string) (*musterv1.Credential, error) {
		req := &musterv1.UpdateCredentialRequest{Credential: asked, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}}
		out, err := c.UpdateCredential(root, req)
		return out.GetCredential(), err
	}
	got, err := update(&musterv1.Credential{Name: "b", Scopes: []string{"scim:read"}})
	if err != nil || fmt.Sprint(got.GetScopes()) != "[scim:read]" || len(got.GetNetworks()) != 1 || got.GetExpireTime() == nil {
		t.Errorf("what is present: %v, %v", got, err)
	}
	got, err = update(&musterv1.Credential{Name: "b"}, "name", "networks", "expire_time")
	if err != nil || fmt.Sprint(got.GetScopes()) != "[scim:read]" || len(got.GetNetworks()) != 0 || got.GetExpireTime() != nil {
		t.Errorf("emptied: %v, %v", got, err)
	}
	i := &musterv1.IssuerCredential{Audience: "b", Algorithms: []string{"PS256"}}
	got, err = update(&musterv1.Credential{Name: "i", OfKind: &musterv1.Credential_Issuer{Issuer: i}}, "issuer.audience")
	if err != nil || got.GetIssuer().GetAudience() != "b" || got.GetIssuer().GetIssuer() != "https://id.example.com" || got.GetIssuer().GetAlgorithms()[0] != "RS256" {
		t.Errorf("another audience: %v, %v", got, err)
	}
	if _, err := s.store.AuthenticateLookup(context.Background(), store.Issuer, "issuer:https://id.example.com b"); err != nil {
		t.Errorf("it is not found by its new audience: %v", err)
	}
	for _, bad := range []struct {
		asked *musterv1.Credential
		mask  string
	}{
		{&musterv1.Credential{Name: "b"}, "scopes"},
		{&musterv1.Credential{Name: "b"}, "colour"},
		{&musterv1.Credential{Name: "b"}, "issuer"},
		{&musterv1.Credential{Name: "b", Kind: musterv1.Credential_KIND_BASIC}, "networks"},
		{&musterv1.Credential{Name: "b", OfKind: &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: "x"}}}, "networks"},
		{&musterv1.Credential{Name: "i"}, "issuer.audience"},
	} {
		if got, err := update(bad.asked, bad.mask); reasonOf(err) != "invalidValue" {
			t.Errorf("%v with %s: %v, %v", bad.asked, bad.mask, got, err)
		}
	}
}

// An administrator cannot lock out itself by mistake.
func TestCredentialService_KeepsOwnAccess(t *testing.T) {
	s, of := admins(t)
	c := musterv1.NewCredentialServiceClient(overSocket(t, s))
	for _, tenant := range []string{"", "default"} {
		if _, err := c.RevokeCredential(of["default"], &musterv1.RevokeCredentialRequest{Tenant: tenant, Name: "admin"}); reasonOf(err) != "conflict" {
			t.Errorf("its own: %v", err)
		}
		for _, bad := range []*musterv1.Credential{{Scopes: []string{"scim"}}, {Scopes: []string{"admin:read"}}, {Networks: []string{"192.0.2.0/24"}}} {
			bad.Name, bad.Tenant = "admin", tenant
			if _, err := c.UpdateCredential(of["default"], &musterv1.UpdateCredentialRequest{Credential: bad}); reasonOf(err) != "conflict" {
				t.Errorf("%v: %v", bad, err)
			}
		}
	}
	good := &musterv1.Credential{Name: "admin", Scopes: []string{"admin", "scim"}, Networks: []string{"127.0.0.0/8"}}
	if _, err := c.UpdateCredential(of["default"], &musterv1.UpdateCredentialRequest{Credential: good}); err != nil {
		t.Errorf("more scopes, and a network that has it: %v", err)
	}
	if _, err := c.RevokeCredential(of["default"], &musterv1.RevokeCredentialRequest{Tenant: "acme", Name: "admin"}); err != nil {
		t.Errorf("one of the same name in another tenant: %v", err)
	}
}

// The scope admin:read looks and changes nothing; the scope scim does neither.
func TestAdministration_Scopes(t *testing.T) {
	s, of := admins(t)
	c := musterv1.NewCredentialServiceClient(s.Conn())
	made, err := c.CreateCredential(of["default"], &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Name: "reader", Scopes: []string{"admin:read"}}})
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]bool{"GetTenant": true, "ListTenants": true, "GetCredential": true, "ListCredentials": true}
	for _, service := range []grpc.ServiceDesc{musterv1.TenantService_ServiceDesc, musterv1.CredentialService_ServiceDesc} {
		for _, m := range service.Methods {
			method := "/" + service.ServiceName + "/" + m.MethodName
			for secret, forbidden := range map[string]bool{made.GetSecret(): !reads[m.MethodName], token: true} {
				if err := s.Conn().Invoke(as(secret), method, newMessage(t, m.MethodName+"Request"), newMessage(t, m.MethodName+"Response")); (reasonOf(err) == "forbidden") != forbidden {
					t.Errorf("%s, forbidden: %t: %v", method, forbidden, err)
				}
			}
		}
	}
}

func basic(login, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(login+":"+password))
}

// newMessage is an empty message of the type that the contract calls so.
func newMessage(t *testing.T, name string) proto.Message {
	t.Helper()
	of, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("muster.v1." + name))
	if err != nil {
		t.Fatal(err)
	}
	return of.New().Interface()
}
