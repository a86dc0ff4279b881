package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// What administrators do to tenants and credentials is recorded in the tenant of the
// administrator, with what changed and without secrets.
func TestAudit_TenantsAndCredentials(t *testing.T) {
	s, _ := newServer(t)
	ctx := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdmin}})
	tenants, credentials := musterv1.NewTenantServiceClient(s.Conn()), musterv1.NewCredentialServiceClient(s.Conn())
	do := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(tenants.CreateTenant(ctx, &musterv1.CreateTenantRequest{Tenant: &musterv1.Tenant{Name: "acme"}}))
	do(tenants.UpdateTenant(ctx, &musterv1.UpdateTenantRequest{Tenant: &musterv1.Tenant{Name: "acme", Profile: musterv1.ClientProfile_CLIENT_PROFILE_STRICT}}))
	made, err := credentials.CreateCredential(ctx, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Tenant: "acme", Name: "ci", Scopes: []string{"scim"}}})
	do(made, err)
	do(credentials.UpdateCredential(ctx, &musterv1.UpdateCredentialRequest{Credential: &musterv1.Credential{Tenant: "acme", Name: "ci", Scopes: []string{"scim:read"}}}))
	rotated, err := credentials.RotateCredential(ctx, &musterv1.RotateCredentialRequest{Tenant: "acme", Name: "ci", Overlap: durationpb.New(0)})
	do(rotated, err)
	do(credentials.RevokeCredential(ctx, &musterv1.RevokeCredentialRequest{Tenant: "acme", Name: "ci"}))
	do(tenants.SuspendTenant(ctx, &musterv1.SuspendTenantRequest{Name: "acme"}))
	do(tenants.DeleteTenant(ctx, &musterv1.DeleteTenantRequest{Name: "acme"}))
	_, events := audited(t, s, firstTenant(t, s))
	var got []string
	for _, e := range events {
		_, method, _ := strings.Cut(e.Method, "/")
		got = append(got, method+" "+e.ResourceType+" "+e.ResourceID+" "+e.Changes)
		if strings.Contains(e.Changes, made.GetSecret()) || strings.Contains(e.Changes, rotated.GetSecret()) || e.Credential != "ops" {
			t.Errorf("the event is %+v", e)
		}
	}
	expectLines(t, "events", got,
		`CreateTenant Tenant acme {"attributes":{"profile":{"after":"tolerant"},"state":{"after":"active"}}}`,
		`UpdateTenant Tenant acme {"attributes":{"profile":{"after":"strict","before":"tolerant"}}}`,
		`CreateCredential Credential acme/ci {"attributes":{"kind":{"after":"bearer"},"scopes":{"after":["scim"]}}}`,
		`UpdateCredential Credential acme/ci {"attributes":{"scopes":{"after":["scim:read"],"before":["scim"]}}}`,
		`RotateCredential Credential acme/ci {"attributes":{"secret":{}}}`,
		`RevokeCredential Credential acme/ci {"attributes":{"kind":{"before":"bearer"},"scopes":{"before":["scim:read"]}}}`,
		`SuspendTenant Tenant acme {"attributes":{"state":{"after":"suspended","before":"active"}}}`,
		`DeleteTenant Tenant acme {"attributes":{"state":{"after":"deleting","before":"suspended"}}}`)
}

// The log is read in pages, by filters, and verified; by whom it may be read.
func TestAuditService(t *testing.T) {
	s, ctx := newServer(t)
	admin := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdminRead}})
	users, log := musterv1.NewProvisioningServiceClient(s.Conn()), musterv1.NewAuditServiceClient(s.Conn())
	for _, name := range []string{"a", "b", "c", "d", "a"} {
		_, _ = users.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name}})
	}
	_, _ = users.GetUser(metadata.AppendToOutgoingContext(context.Background(), "muster-address", "192.0.2.9"), &musterv1.GetUserRequest{})
	audited(t, s, 0)
	if _, err := s.store.SealAudit(ctx); err != nil {
		t.Fatal(err)
	}
	list := func(req *musterv1.ListAuditEventsRequest) (outcomes []string) {
		t.Helper()
		for {
			out, err := log.ListAuditEvents(admin, req)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range out.GetEvents() {
				if strings.HasSuffix(e.GetMethod(), "User") {
					outcomes = append(outcomes, e.GetOutcome())
				}
			}
			if req.PageToken = out.GetNextPageToken(); req.GetPageToken() == "" {
				return outcomes
			}
		}
	}
	expectLines(t, "newest first", list(&musterv1.ListAuditEventsRequest{PageSize: 2}), "uniqueness", "ok", "ok", "ok", "ok")
	expectLines(t, "the chain", list(&musterv1.ListAuditEventsRequest{PageSize: 2, Order: musterv1.ListAuditEventsRequest_ORDER_CHAIN}), "ok", "ok", "ok", "ok", "uniqueness")
	expectLines(t, "from a sequence", list(&musterv1.ListAuditEventsRequest{AfterSequence: 3, Order: musterv1.ListAuditEventsRequest_ORDER_CHAIN}), "ok", "uniqueness")
	expectLines(t, "failures", list(&musterv1.ListAuditEventsRequest{Failures: true}), "uniqueness")
	expectLines(t, "of the future", list(&musterv1.ListAuditEventsRequest{StartTime: timestamppb.New(time.Now().Add(time.Minute))}))
	expectLines(t, "of no tenant", list(&musterv1.ListAuditEventsRequest{Tenant: "-", Address: "192.0.2.9"}), "unauthenticated")

	v, err := log.VerifyAuditLog(admin, &musterv1.VerifyAuditLogRequest{})
	if err != nil || !v.GetWhole() || v.GetHead().GetSequence() < 5 || v.GetFirstSequence() != 1 || len(v.GetHead().GetHash()) != 32 {
		t.Errorf("verified: %v, %v", v, err)
	}
	v.GetHead().Hash[0]++
	if v, err := log.VerifyAuditLog(admin, &musterv1.VerifyAuditLogRequest{Head: v.GetHead()}); err != nil || v.GetWhole() || v.GetProblem() == "" {
		t.Errorf("verified with another head: %v, %v", v, err)
	}
	for _, req := range []*musterv1.ListAuditEventsRequest{{PageSize: 1001}, {PageSize: -1}, {PageToken: "x"}, {PageToken: "-1"}, {AfterSequence: 1},
		{StartTime: &timestamppb.Timestamp{Nanos: -1}}} {
		if _, err := log.ListAuditEvents(admin, req); reasonOf(err) != "invalidValue" {
			t.Errorf("%v: %v", req, err)
		}
	}
	if _, err := log.ListAuditEvents(ctx, &musterv1.ListAuditEventsRequest{}); reasonOf(err) != "forbidden" {
		t.Errorf("without the scope: %v", err)
	}
}

// Who follows the log does not fill it.
func TestAuditService_ReadingIsRecordedOnce(t *testing.T) {
	s, _ := newServer(t)
	admin := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdminRead}})
	log := musterv1.NewAuditServiceClient(s.Conn())
	for range 10 {
		for _, tenant := range []string{"", "default", "-"} {
			if _, err := log.ListAuditEvents(admin, &musterv1.ListAuditEventsRequest{Tenant: tenant}); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = log.ListAuditEvents(admin, &musterv1.ListAuditEventsRequest{PageSize: -1})
	}
	lines, _ := audited(t, s, firstTenant(t, s))
	want := slices.Concat([]string{"ListAuditEvents Tenant ok", "ListAuditEvents Tenant ok"}, slices.Repeat([]string{"ListAuditEvents Tenant invalidValue"}, 10))
	slices.Sort(want)
	slices.Sort(lines)
	expectLines(t, "events", lines, want...)
}

// What only read is left out where somebody wants to see what was done; not where it failed.
func TestAuditService_WithoutReads(t *testing.T) {
	s, _ := newServer(t)
	admin := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdmin}})
	registry, log := musterv1.NewRegistryServiceClient(s.Conn()), musterv1.NewAuditServiceClient(s.Conn())
	if _, err := registry.Register(admin, &musterv1.RegisterRequest{Schemas: []*musterv1.Schema{{Id: "urn:example:thing", Attributes: []*musterv1.Attribute{{Name: "a"}}}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.ListRegistrations(admin, &musterv1.ListRegistrationsRequest{}); err != nil {
		t.Fatal(err)
	}
	_, _ = log.ListAuditEvents(admin, &musterv1.ListAuditEventsRequest{PageSize: -1})
	audited(t, s, firstTenant(t, s))
	out, err := log.ListAuditEvents(admin, &musterv1.ListAuditEventsRequest{WithoutReads: true})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range out.GetEvents() {
		lines = append(lines, e.GetMethod()+" "+e.GetOutcome())
	}
	slices.Sort(lines)
	expectLines(t, "events", lines, "muster.v1.AuditService/ListAuditEvents invalidValue", "muster.v1.RegistryService/Register ok")
}

// A tenant's administrators see its own log, and of no other so much as whether it is
// there.
func TestAuditService_OtherTenants(t *testing.T) {
	s, ctx := newServer(t)
	if _, err := s.store.CreateTenant(ctx, store.TenantInfo{Name: "acme"}); err != nil {
		t.Fatal(err)
	}
	acme, err := s.store.Tenant(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken("acme-ops")
	if err := acme.AddCredential(ctx, store.Credential{Name: "ops", Kind: store.Bearer, Scopes: []string{ScopeAdmin}}, hash[:]); err != nil {
		t.Fatal(err)
	}
	_, _ = musterv1.NewProvisioningServiceClient(s.Conn()).CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "of default"}})
	log := musterv1.NewAuditServiceClient(s.Conn())
	ops := metadata.NewOutgoingContext(context.Background(), metadata.Pairs("authorization", "Bearer acme-ops"))
	for _, name := range []string{"default", "-", "nobody"} {
		if _, err := log.ListAuditEvents(ops, &musterv1.ListAuditEventsRequest{Tenant: name}); reasonOf(err) != "notFound" {
			t.Errorf("the log of %s: %v", name, err)
		}
		if _, err := log.VerifyAuditLog(ops, &musterv1.VerifyAuditLogRequest{Tenant: name}); reasonOf(err) != "notFound" {
			t.Errorf("the chain of %s: %v", name, err)
		}
	}
	audited(t, s, 0)
	for _, name := range []string{"", "acme"} {
		out, err := log.ListAuditEvents(ops, &musterv1.ListAuditEventsRequest{Tenant: name})
		if err != nil || len(out.GetEvents()) < 6 || slices.ContainsFunc(out.GetEvents(), func(e *musterv1.AuditEvent) bool { return e.GetTenantId() != acme.ID() }) {
			t.Errorf("its own: %v, %v", out, err)
		}
	}
	all := withCredential(t, s, store.Credential{Name: "all", Scopes: []string{ScopeAdmin}})
	if out, err := log.ListAuditEvents(all, &musterv1.ListAuditEventsRequest{Tenant: "acme"}); err != nil || len(out.GetEvents()) < 6 {
		t.Errorf("by an administrator of all: %v, %v", out, err)
	}
}
