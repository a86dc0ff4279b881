package server

import (
	"context"
	"crypto/tls"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// withSession is a context of what a signed-in operator calls.
func withSession(secret string, more ...string) context.Context {
	return metadata.NewOutgoingContext(context.Background(), metadata.Pairs(append([]string{"authorization", "Bearer " + secret}, more...)...))
}

// signsIn makes a login link and spends it.
func signsIn(t *testing.T, s *Server, operator, tenant string, role musterv1.OperatorRole) string {
	t.Helper()
	link := linkFor(t, s, operator, tenant, role)
	out, err := musterv1.NewOperatorServiceClient(s.ConsoleConn()).SignIn(context.Background(), byLink(link))
	if err != nil {
		t.Fatal(err)
	}
	return out.GetSecret()
}

func linkFor(t *testing.T, s *Server, operator, tenant string, role musterv1.OperatorRole) string {
	t.Helper()
	made, err := musterv1.NewOperatorServiceClient(s.LocalConn()).CreateLoginLink(context.Background(), &musterv1.CreateLoginLinkRequest{Operator: operator, Tenant: tenant, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return made.GetSecret()
}

func byLink(secret string) *musterv1.SignInRequest {
	return &musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: secret}}
}

const (
	viewer        = musterv1.OperatorRole_OPERATOR_ROLE_VIEWER
	operator      = musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR
	administrator = musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR
)

func expectReason(t *testing.T, what string, err error, want string) {
	t.Helper()
	if got := reasonOf(err); err == nil && want != "" || got != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

// A login link begins one session, which knows its operator, and whose calls the audit
// log has under that name.
func TestSignIn_Link(t *testing.T) {
	s, _ := newServer(t)
	console := musterv1.NewOperatorServiceClient(s.ConsoleConn())
	link := linkFor(t, s, "grace", "", operator)
	out, err := console.SignIn(metadata.AppendToOutgoingContext(context.Background(), addressKey, "192.0.2.7", agentKey, "a browser", operatorKey, "mallory"), byLink(link))
	if err != nil {
		t.Fatal(err)
	}
	_, err = console.SignIn(context.Background(), byLink(link))
	expectReason(t, "the link again", err, "unauthenticated")
	ctx := withSession(out.GetSecret(), operatorKey, "mallory")
	got, err := console.GetSession(ctx, &musterv1.GetSessionRequest{})
	if x := got.GetSession(); err != nil || x.GetOperator() != "grace" || x.GetRole() != operator || x.GetTenant() != "default" || x.GetAddress() != "192.0.2.7" || x.GetClient() != "a browser" {
		t.Errorf("the session is %v, %v", got, err)
	}
	if _, err := musterv1.NewProvisioningServiceClient(s.ConsoleConn()).CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}}); err != nil {
		t.Fatal(err)
	}
	_, err = console.CreateLoginLink(ctx, &musterv1.CreateLoginLinkRequest{Operator: "x", Role: administrator})
	expectReason(t, "an operator makes a link", err, "forbidden")
	if _, err := console.EndSession(ctx, &musterv1.EndSessionRequest{}); err != nil {
		t.Error(err)
	}
	_, err = console.GetSession(ctx, &musterv1.GetSessionRequest{})
	expectReason(t, "an ended session", err, "unauthenticated")
	lines, events := audited(t, s, firstTenant(t, s))
	slices.Sort(lines) // what is refused is recorded a little later
	expectLines(t, "events", lines, "CreateLoginLink LoginLink forbidden", "CreateLoginLink LoginLink ok", "CreateUser User ok", "EndSession Session ok", "SignIn Session ok")
	for _, e := range events[1:] {
		if e.Operator != "grace" || e.Credential != consoleName || strings.Contains(e.Changes, "muster_") {
			t.Errorf("the event is %+v", e)
		}
	}
}

// A session is good through the console's connection alone, and a credential is not
// good there; what signs in is for nobody else.
func TestSession_IsGoodNowhereElse(t *testing.T) {
	s, bearer := newServer(t)
	secret := signsIn(t, s, "grace", "", administrator)
	for name, conn := range map[string]musterv1.OperatorServiceClient{
		"socket": musterv1.NewOperatorServiceClient(overSocket(t, s)), "the REST face": musterv1.NewOperatorServiceClient(s.Conn()),
	} {
		_, err := conn.ListSessions(withSession(secret), &musterv1.ListSessionsRequest{})
		expectReason(t, name+", a session", err, "unauthenticated")
		_, err = conn.GetSession(withSession(secret), &musterv1.GetSessionRequest{})
		expectReason(t, name+", its own", err, "unauthenticated")
		_, err = conn.SignIn(withSession(secret), byLink(linkFor(t, s, "x", "", viewer)))
		expectReason(t, name+", signing in with a session", err, "unauthenticated")
		for what, call := range map[string]func() error{
			"SignIn":        func() error { _, err := conn.SignIn(bearer, byLink(linkFor(t, s, "x", "", viewer))); return err },
			"PrepareSignIn": func() error { _, err := conn.PrepareSignIn(bearer, &musterv1.PrepareSignInRequest{}); return err },
			"GetSession":    func() error { _, err := conn.GetSession(bearer, &musterv1.GetSessionRequest{}); return err },
		} {
			expectReason(t, name+", "+what+" with a credential", call(), "forbidden")
		}
	}
	_, err := musterv1.NewProvisioningServiceClient(s.ConsoleConn()).ListUsers(bearer, &musterv1.ListUsersRequest{})
	expectReason(t, "a credential in the console", err, "unauthenticated")
	_, err = musterv1.NewRecordingServiceClient(s.ConsoleConn()).ListRecordings(context.Background(), &musterv1.ListRecordingsRequest{})
	expectReason(t, "nobody in the console", err, "unauthenticated")
	_, err = musterv1.NewOperatorServiceClient(s.LocalConn()).GetSession(context.Background(), &musterv1.GetSessionRequest{})
	expectReason(t, "a local operator's session", err, "forbidden")
}

// An operator of the first tenant works in any, with its resources; one of another in
// its own alone.
func TestSession_Tenants(t *testing.T) {
	s, _ := newServer(t)
	ctx := context.Background()
	tenants := musterv1.NewTenantServiceClient(s.LocalConn())
	if _, err := tenants.CreateTenant(ctx, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: "acme"}}); err != nil {
		t.Fatal(err)
	}
	first, other := signsIn(t, s, "grace", "", administrator), signsIn(t, s, "ada", "acme", administrator)
	users, console := musterv1.NewProvisioningServiceClient(s.ConsoleConn()), musterv1.NewOperatorServiceClient(s.ConsoleConn())
	if _, err := users.CreateUser(withSession(first, tenantKey, "acme"), &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "in-acme"}}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		ctx context.Context
		n   int
	}{
		"the first, at home": {withSession(first), 0}, "the first, in acme": {withSession(first, tenantKey, "acme"), 1}, "the other": {withSession(other, tenantKey, "acme"), 1},
	} {
		if got, err := users.ListUsers(want.ctx, &musterv1.ListUsersRequest{}); err != nil || int(got.GetTotalResults()) != want.n {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	_, err := users.ListUsers(withSession(other, tenantKey, "default"), &musterv1.ListUsersRequest{})
	expectReason(t, "the other at the first", err, "forbidden")
	_, err = users.ListUsers(withSession(first, tenantKey, "nowhere"), &musterv1.ListUsersRequest{})
	expectReason(t, "in no tenant", err, "notFound")
	_, err = console.CreateLoginLink(withSession(other), &musterv1.CreateLoginLinkRequest{Tenant: "default", Operator: "x", Role: administrator})
	expectReason(t, "a link into the first", err, "notFound")
	got, err := console.GetSession(withSession(first, tenantKey, "acme"), &musterv1.GetSessionRequest{})
	if err != nil || got.GetTenant() != "acme" || got.GetSession().GetTenant() != "default" {
		t.Errorf("the session is %v, %v", got, err)
	}
	if _, err := tenants.SuspendTenant(ctx, &musterv1.SuspendTenantRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	_, err = users.ListUsers(withSession(other), &musterv1.ListUsersRequest{})
	expectReason(t, "a suspended tenant", err, "forbidden")
	link := linkFor(t, s, "x", "acme", viewer)
	_, err = console.SignIn(ctx, byLink(link))
	expectReason(t, "signing in to a suspended tenant", err, "forbidden")
	if _, err := console.EndSession(withSession(first, tenantKey, "acme"), &musterv1.EndSessionRequest{}); err != nil {
		t.Errorf("ending from another tenant: %v", err)
	}
	if _, err := tenants.DeleteTenant(ctx, &musterv1.DeleteTenantRequest{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	_, err = users.ListUsers(withSession(other), &musterv1.ListUsersRequest{})
	expectReason(t, "a deleted tenant", err, "unauthenticated")
}

// A session ends where nobody is there, at its time, and when it is revoked: with the
// next call.
func TestSession_Ends(t *testing.T) {
	s, _ := newServerWith(t, Options{Sessions: Sessions{Idle: time.Second, Lifetime: time.Hour}})
	users := musterv1.NewProvisioningServiceClient(s.ConsoleConn())
	list := func(secret string) error {
		_, err := users.ListUsers(withSession(secret), &musterv1.ListUsersRequest{})
		return err
	}
	idle := signsIn(t, s, "grace", "", viewer)
	expectReason(t, "at first", list(idle), "")
	time.Sleep(1100 * time.Millisecond)
	expectReason(t, "an idle session", list(idle), "unauthenticated")
	if err := s.store.RemoveEndedSessions(context.Background(), s.sessions.Idle); err != nil {
		t.Fatal(err)
	}

	s, _ = newServerWith(t, Options{Sessions: Sessions{Lifetime: time.Second}})
	users = musterv1.NewProvisioningServiceClient(s.ConsoleConn())
	old := signsIn(t, s, "grace", "", viewer)
	expectReason(t, "at first", list(old), "")
	time.Sleep(1100 * time.Millisecond)
	expectReason(t, "an old session", list(old), "unauthenticated")

	s, _ = newServer(t)
	users = musterv1.NewProvisioningServiceClient(s.ConsoleConn())
	revoked, kept := signsIn(t, s, "grace", "", viewer), signsIn(t, s, "ada", "", administrator)
	console := musterv1.NewOperatorServiceClient(s.ConsoleConn())
	all, err := console.ListSessions(withSession(kept), &musterv1.ListSessionsRequest{})
	if err != nil || len(all.GetSessions()) != 2 || all.GetSessions()[1].GetOperator() != "grace" {
		t.Fatalf("the sessions are %v, %v", all, err)
	}
	if _, err := console.RevokeSession(withSession(kept), &musterv1.RevokeSessionRequest{Id: all.GetSessions()[1].GetId()}); err != nil {
		t.Fatal(err)
	}
	expectReason(t, "a revoked session", list(revoked), "unauthenticated")
	expectReason(t, "another", list(kept), "")
	_, err = console.RevokeSession(withSession(kept), &musterv1.RevokeSessionRequest{Id: "12345"})
	expectReason(t, "no session", err, "notFound")
}

// Another secret takes the place of a session's, whose first is good for a moment; only
// the present one can be replaced.
func TestSession_Rotates(t *testing.T) {
	s, _ := newServer(t)
	console := musterv1.NewOperatorServiceClient(s.ConsoleConn())
	before := signsIn(t, s, "grace", "", viewer)
	out, err := console.RotateSession(withSession(before), &musterv1.RotateSessionRequest{})
	if err != nil || out.GetSecret() == "" || out.GetSecret() == before {
		t.Fatalf("got %v, %v", out, err)
	}
	again, err := console.RotateSession(withSession(before), &musterv1.RotateSessionRequest{})
	if err != nil || again.GetSecret() != "" {
		t.Errorf("the one before again: %v, %v", again, err)
	}
	for _, secret := range []string{before, out.GetSecret()} {
		if _, err := console.GetSession(withSession(secret), &musterv1.GetSessionRequest{}); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(rotationOverlap + 100*time.Millisecond)
	_, err = console.GetSession(withSession(before), &musterv1.GetSessionRequest{})
	expectReason(t, "the one before, later", err, "unauthenticated")
	if _, err := console.GetSession(withSession(out.GetSecret()), &musterv1.GetSessionRequest{}); err != nil {
		t.Error(err)
	}
}

// What is wrong with a link that is asked for.
func TestCreateLoginLink_Refused(t *testing.T) {
	s, _ := newServer(t)
	local := musterv1.NewOperatorServiceClient(s.LocalConn())
	for name, req := range map[string]*musterv1.CreateLoginLinkRequest{
		"no role":      {Operator: "grace"},
		"no name":      {Role: viewer},
		"a line break": {Operator: "grace\nroot", Role: viewer},
		"a long name":  {Operator: strings.Repeat("x", maxOperatorName+1), Role: viewer},
		"too long":     {Operator: "grace", Role: viewer, Lifetime: durationpb.New(16 * time.Minute)},
		"no time":      {Operator: "grace", Role: viewer, Lifetime: durationpb.New(0)},
	} {
		_, err := local.CreateLoginLink(context.Background(), req)
		expectReason(t, name, err, "invalidValue")
	}
	made, err := local.CreateLoginLink(context.Background(), &musterv1.CreateLoginLinkRequest{Operator: "grace", Role: viewer, Lifetime: durationpb.New(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(150 * time.Millisecond)
	_, err = musterv1.NewOperatorServiceClient(s.ConsoleConn()).SignIn(context.Background(), byLink(made.GetSecret()))
	expectReason(t, "a link that expired", err, "unauthenticated")
}

// aProvider is one of OpenID Connect that gives roles by groups.
func aProvider(name string) *musterv1.SignInProvider {
	return &musterv1.SignInProvider{Name: name, Kind: musterv1.SignInProvider_KIND_OIDC,
		OfKind: &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: "https://idp.example.com", ClientId: "muster"}},
		Roles:  []*musterv1.RoleMapping{{Attribute: "groups", Value: "all", Role: viewer}, {Attribute: "groups", Value: "admins", Role: administrator}}}
}

// said is what a provider says of somebody.
func said(id string, groups ...string) *musterv1.SignInRequest {
	return &musterv1.SignInRequest{By: &musterv1.SignInRequest_Identity{Identity: &musterv1.SignInIdentity{
		Tenant: "default", Provider: "idp", Subject: "0815", Email: "grace@example.com", DisplayName: "Grace Hopper", AssertionId: id, AssertionExpireTime: timestamppb.New(time.Now().Add(time.Minute)),
		Attributes: []*musterv1.IdentityAttribute{{Name: "groups", Values: groups}},
	}}}
}

// A provider lets in whom one of its roles fits, with the highest of them, and an
// assertion once; who has no role is refused, and the log says who it was.
func TestSignIn_Provider(t *testing.T) {
	s, _ := newServer(t)
	ctx := context.Background()
	local, console := musterv1.NewOperatorServiceClient(s.LocalConn()), musterv1.NewOperatorServiceClient(s.ConsoleConn())
	if _, err := local.SetSignInProvider(ctx, &musterv1.SetSignInProviderRequest{Provider: aProvider("idp")}); err != nil {
		t.Fatal(err)
	}
	prepared, err := console.PrepareSignIn(ctx, &musterv1.PrepareSignInRequest{})
	if err != nil || len(prepared.GetProviders()) != 1 || len(prepared.GetKey()) != 32 {
		t.Fatalf("got %v, %v", prepared, err)
	}
	var keys []string
	for range 2 {
		asked, err := console.PrepareSignIn(ctx, &musterv1.PrepareSignInRequest{Decryption: true})
		if _, bad := tls.X509KeyPair(asked.GetDecryptionKey(), asked.GetDecryptionKey()); err != nil || bad != nil {
			t.Fatalf("the decryption key: %v, %v", err, bad)
		}
		keys = append(keys, string(asked.GetDecryptionKey()))
	}
	if keys[0] != keys[1] || len(prepared.GetDecryptionKey()) != 0 {
		t.Error("the decryption key is another each time, or comes unasked")
	}
	if elsewhere, err := console.PrepareSignIn(ctx, &musterv1.PrepareSignInRequest{Tenant: "nowhere"}); err != nil || len(elsewhere.GetProviders()) != 0 {
		t.Errorf("of no tenant: %v, %v", elsewhere, err)
	}
	out, err := console.SignIn(ctx, said("1", "all", "admins"))
	if x := out.GetSession(); err != nil || x.GetRole() != administrator || x.GetOperator() != "grace@example.com" || x.GetDisplayName() != "Grace Hopper" || x.GetProvider() != "idp" {
		t.Fatalf("got %v, %v", out, err)
	}
	_, err = console.SignIn(ctx, said("1", "all", "admins"))
	expectReason(t, "the assertion again", err, "unauthenticated")
	_, err = console.SignIn(ctx, said("2", "others"))
	expectReason(t, "no role", err, "forbidden")
	_, err = console.SignIn(ctx, said("3"))
	expectReason(t, "no groups", err, "forbidden")
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines, "SetSignInProvider SignInProvider ok", "SignIn Session ok", "SignIn unauthenticated", "SignIn forbidden", "SignIn forbidden")
	for _, e := range events[1:] {
		if e.Operator != "grace@example.com" {
			t.Errorf("the event is %+v", e)
		}
	}

	// What changes at the provider ends what it began, and so does its end.
	session := withSession(out.GetSecret())
	changed := aProvider("idp")
	changed.Roles = changed.GetRoles()[:1]
	if _, err := console.SetSignInProvider(session, &musterv1.SetSignInProviderRequest{Provider: changed}); err != nil {
		t.Fatal(err)
	}
	if _, err := console.GetSession(session, &musterv1.GetSessionRequest{}); err != nil {
		t.Errorf("the session of the change: %v", err)
	}
	if _, err := local.SetSignInProvider(ctx, &musterv1.SetSignInProviderRequest{Provider: aProvider("idp")}); err != nil {
		t.Fatal(err)
	}
	_, err = console.GetSession(session, &musterv1.GetSessionRequest{})
	expectReason(t, "after a change", err, "unauthenticated")
	if out, err = console.SignIn(ctx, said("4", "all")); err != nil {
		t.Fatal(err)
	}
	if _, err := local.DeleteSignInProvider(ctx, &musterv1.DeleteSignInProviderRequest{Name: "idp"}); err != nil {
		t.Fatal(err)
	}
	_, err = console.GetSession(withSession(out.GetSecret()), &musterv1.GetSessionRequest{})
	expectReason(t, "after its end", err, "unauthenticated")
	_, err = console.SignIn(ctx, said("5", "all"))
	expectReason(t, "with no provider", err, "notFound")
}

// Providers that cannot work are refused when they are set.
func TestSetSignInProvider_Refused(t *testing.T) {
	s, _ := newServer(t)
	local := musterv1.NewOperatorServiceClient(s.LocalConn())
	oidc := func(change func(*musterv1.SignInProvider)) *musterv1.SignInProvider {
		p := aProvider("idp")
		change(p)
		return p
	}
	saml := func(metadata string) *musterv1.SignInProvider {
		return &musterv1.SignInProvider{Name: "idp", Kind: musterv1.SignInProvider_KIND_SAML, OfKind: &musterv1.SignInProvider_Saml{Saml: &musterv1.SamlProvider{Metadata: metadata}}}
	}
	const good = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">` +
		`<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>MIIB</X509Certificate></X509Data></KeyInfo></KeyDescriptor>` +
		`<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso?app=1"/></IDPSSODescriptor></EntityDescriptor>`
	if _, err := local.SetSignInProvider(context.Background(), &musterv1.SetSignInProviderRequest{Provider: saml(good)}); err != nil {
		t.Errorf("good metadata: %v", err)
	}
	for name, p := range map[string]*musterv1.SignInProvider{
		"no name":           oidc(func(p *musterv1.SignInProvider) { p.Name = "" }),
		"no kind":           oidc(func(p *musterv1.SignInProvider) { p.Kind = 0 }),
		"plain http":        oidc(func(p *musterv1.SignInProvider) { p.GetOidc().Issuer = "http://idp.example.com" }),
		"no client":         oidc(func(p *musterv1.SignInProvider) { p.GetOidc().ClientId = "" }),
		"two scopes in one": oidc(func(p *musterv1.SignInProvider) { p.GetOidc().Scopes = []string{"a b"} }),
		"no role":           oidc(func(p *musterv1.SignInProvider) { p.Roles[0].Role = 0 }),
		"no value":          oidc(func(p *musterv1.SignInProvider) { p.Roles[0].Value = "" }),
		"no metadata":       saml(""),
		"no XML":            saml("<"),
		"other XML":         saml("<html/>"),
		"a service":         saml(strings.ReplaceAll(good, "IDPSSO", "SPSSO")),
		"no certificate":    saml(strings.ReplaceAll(good, "signing", "encryption")),
		"no redirect":       saml(strings.ReplaceAll(good, "HTTP-Redirect", "HTTP-POST")),
		"a plain sign-on":   saml(strings.ReplaceAll(good, "https://idp.example.com/sso", "http://idp.example.com/sso")),
		"a script":          saml(strings.ReplaceAll(good, "https://idp.example.com/sso", "javascript:alert(1)//")),
	} {
		_, err := local.SetSignInProvider(context.Background(), &musterv1.SetSignInProviderRequest{Provider: p})
		expectReason(t, name, err, "invalidValue")
	}
}

// What the console tells of a deed is an event by the operator of the session, and a
// refusal is one too; what is no RPC, or is longer than anybody reads, is not taken, and
// nobody but the console tells.
func TestNoteDeed(t *testing.T) {
	s, bearer := newServer(t)
	console := musterv1.NewOperatorServiceClient(s.ConsoleConn())
	ctx := withSession(signsIn(t, s, "vera", "", viewer))
	const download, patch = "muster.v1.AuditService/ListAuditEvents", "muster.v1.ProvisioningService/PatchUser"
	if _, err := console.NoteDeed(ctx, &musterv1.NoteDeedRequest{Method: download, Detail: "downloaded"}); err != nil {
		t.Fatal(err)
	}
	_, err := console.NoteDeed(ctx, &musterv1.NoteDeedRequest{Method: patch, ResourceType: "User", ResourceId: "of nobody", Refused: true})
	expectReason(t, "a refusal", err, "forbidden")
	for what, req := range map[string]*musterv1.NoteDeedRequest{
		"no RPC": {Method: "muster.v1.ProvisioningService/Invent"}, "a long detail": {Method: download, Detail: strings.Repeat("ä", maxDeedText+1)}, "a write": {Method: patch}, "a long id": {Method: download, ResourceId: strings.Repeat("x", maxDeedText+1)},
	} {
		_, err := console.NoteDeed(ctx, req)
		expectReason(t, what, err, "invalidValue")
	}
	_, err = musterv1.NewOperatorServiceClient(s.Conn()).NoteDeed(bearer, &musterv1.NoteDeedRequest{Method: download})
	expectReason(t, "with a credential", err, "forbidden")
	told := 0
	_, events := audited(t, s, firstTenant(t, s))
	for _, e := range events {
		switch {
		case e.Operator != "vera" || strings.HasPrefix(e.Method, "muster.v1.OperatorService"):
		case e.Method == download && e.Outcome == "ok" && e.Detail == "downloaded", e.Method == patch && e.Outcome == "forbidden" && e.ResourceType == "User" && e.ResourceID == "of nobody":
			told++
		default:
			t.Errorf("there is %+v", e)
		}
	}
	if told != 2 {
		t.Errorf("of the two deeds %d are told", told)
	}
}
