package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// audited are the events of a tenant, the oldest first, as "METHOD TYPE OUTCOME", once
// the queue is empty.
func audited(t *testing.T, s *Server, tenant int64) (lines []string, events []store.AuditEvent) {
	t.Helper()
	ctx := context.Background()
	if err := s.audit.queue.flush(ctx); err != nil {
		t.Fatal(err)
	}
	page, err := s.store.AuditEvents(ctx, store.AuditQuery{TenantID: tenant, Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(page.Events)
	for _, e := range page.Events {
		_, method, _ := strings.Cut(e.Method, "/")
		lines = append(lines, strings.TrimSpace(method+" "+e.ResourceType)+" "+e.Outcome)
	}
	return lines, page.Events
}

func expectLines(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// withCredential makes a bearer credential, whose secret is its name, and a context
// that calls with it.
func withCredential(t *testing.T, s *Server, c store.Credential) context.Context {
	t.Helper()
	tenant, err := s.store.Tenant(context.Background(), DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken(c.Name)
	c.Kind = store.Bearer
	if err := tenant.AddCredential(context.Background(), c, hash[:]); err != nil {
		t.Fatal(err)
	}
	return metadata.NewOutgoingContext(context.Background(), metadata.Pairs("authorization", "Bearer "+c.Name))
}

// Each write has one event, whatever comes of it; reads have none unless they are
// refused.
func TestAudit_EachWriteOnce(t *testing.T) {
	s, ctx := newServer(t)
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", "mine", "muster-address", "192.0.2.9", "muster-agent", "curl/8", "muster-operator", "grace")
	made, err := client.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}})
	if err != nil {
		t.Fatal(err)
	}
	id := made.GetUser().GetId()
	_, _ = client.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}})
	_, _ = client.CreateUser(ctx, &musterv1.CreateUserRequest{})
	_, _ = client.GetUser(ctx, &musterv1.GetUserRequest{Id: id})
	_, _ = client.GetUser(ctx, &musterv1.GetUserRequest{Id: "nobody"})
	_, _ = client.ReplaceUser(ctx, &musterv1.ReplaceUserRequest{Id: id, User: &musterv1.User{UserName: "ada"}})
	_, _ = client.ReplaceUser(ctx, &musterv1.ReplaceUserRequest{Id: id, User: &musterv1.User{UserName: "grace"}, IfMatch: `W/"7"`})
	audited(t, s, 0) // or those of what failed might come after what follows
	_, _ = client.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id})
	_, _ = client.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id})
	_, _ = musterv1.NewRegistryServiceClient(s.Conn()).ListRegistrations(ctx, &musterv1.ListRegistrationsRequest{})
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines,
		"CreateUser User ok", "CreateUser User uniqueness", "CreateUser User invalidSyntax", "ReplaceUser User ok", "ReplaceUser User versionMismatch",
		"DeleteUser User ok", "DeleteUser User notFound", "ListRegistrations Tenant forbidden")
	for i, e := range events {
		if e.RequestID != "mine" || e.Address != "192.0.2.9" || e.Client != "curl/8" || e.Operator != "grace" || e.Credential != "test" || time.Since(e.Time).Abs() > time.Minute {
			t.Errorf("the event is %+v", e)
		}
		if wantID := i != 1 && i != 2 && i != 7; wantID != (e.ResourceID == id) {
			t.Errorf("the event is about %q: %+v", e.ResourceID, e)
		}
		if wantChanges := i == 0 || i == 5; wantChanges != (e.Changes != "") {
			t.Errorf("the event has the changes %q: %+v", e.Changes, e)
		}
		if (e.Outcome == store.AuditOK) != (e.Detail == "") {
			t.Errorf("the detail is %q", e.Detail)
		}
	}
}

// firstTenant is the number of the tenant that newServer makes.
func firstTenant(t *testing.T, s *Server) int64 {
	t.Helper()
	tenant, err := s.store.Tenant(context.Background(), DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	return tenant.ID()
}

// What administrators do is recorded, also what they only look at.
func TestAudit_Administrators(t *testing.T) {
	s, _ := newServer(t)
	ctx := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdmin}})
	client := musterv1.NewRegistryServiceClient(s.Conn())
	req := &musterv1.RegisterRequest{Schemas: []*musterv1.Schema{{Id: "urn:example:thing", Attributes: []*musterv1.Attribute{{Name: "a"}}}}}
	for range 2 {
		if _, err := client.Register(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = client.ListRegistrations(ctx, &musterv1.ListRegistrationsRequest{})
	_, _ = client.Unregister(ctx, &musterv1.UnregisterRequest{Schemas: []string{"urn:example:other"}})
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines, "Register Tenant ok", "Register Tenant ok", "ListRegistrations Tenant ok", "Unregister Tenant notFound")
	if !strings.Contains(events[0].Changes, "schema urn:example:thing") || events[1].Changes != "" {
		t.Errorf("the changes are %q and then %q", events[0].Changes, events[1].Changes)
	}
}

// Each operation of a bulk is an event of its own method; the bulk is none, unless it
// fails as a whole.
func TestAudit_Bulk(t *testing.T) {
	s, ctx := newServer(t)
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", "mine")
	post := func(path, bulkID, data string) *musterv1.BulkOperation {
		return &musterv1.BulkOperation{Method: musterv1.BulkOperation_METHOD_POST, Path: path, BulkId: bulkID, Data: data}
	}
	_, err := client.Bulk(ctx, &musterv1.BulkRequest{Operations: []*musterv1.BulkOperation{
		post("/Users", "u", `{"userName":"ada"}`),
		post("/Users", "v", `{"userName":"ADA"}`),
		{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Users/bulkId:u", Data: `{"Operations":[{"op":"replace","path":"userName","value":"ada"}]}`},
		post("/Groups", "a", `{"displayName":"A","members":[{"value":"bulkId:b"}]}`),
		post("/Groups", "b", `{"displayName":"B","members":[{"value":"bulkId:a"}]}`),
		post("/Nothing", "n", `{}`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = client.Bulk(ctx, &musterv1.BulkRequest{FailOnErrors: -1})
	lines, events := audited(t, s, firstTenant(t, s))
	slices.Sort(lines) // the order is that of the references
	expectLines(t, "events", lines, "Bulk invalidValue", "Bulk notFound",
		"CreateGroup Group ok", "CreateGroup Group ok", "CreateUser User ok", "CreateUser User uniqueness", "PatchUser User ok")
	for _, e := range events {
		if e.RequestID != "mine" {
			t.Errorf("the event is %+v", e)
		}
		if strings.HasSuffix(e.Method, "/PatchUser") && len(e.ResourceID) != 36 {
			t.Errorf("it is about %q", e.ResourceID)
		}
	}
}

// The writes of a preview are recorded as what they are.
func TestAudit_Preview(t *testing.T) {
	s, _ := newServer(t)
	ctx := withCredential(t, s, store.Credential{Name: "try", Scopes: []string{ScopeSCIM}, Preview: true})
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	_, _ = client.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}})
	_, _ = client.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: "nobody"})
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines, "CreateUser User ok", "DeleteUser User notFound")
	if !events[0].Preview || !events[1].Preview || !strings.Contains(events[0].Changes, "ada") {
		t.Errorf("the events are %+v", events)
	}
}

// Who is refused is recorded: where the credential is known by its tenant, and else by
// the address.
func TestAudit_Refused(t *testing.T) {
	s, _ := newServer(t)
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	reader := withCredential(t, s, store.Credential{Name: "reader", Scopes: []string{"scim:Group:read"}})
	_, _ = client.GetUser(reader, &musterv1.GetUserRequest{Id: "x"})
	wrong := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer the-wrong-token", "muster-address", "192.0.2.9")
	_, _ = client.GetUser(wrong, &musterv1.GetUserRequest{Id: "x"})
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "of the tenant", lines, "GetUser User forbidden")
	if !strings.Contains(events[0].Detail, "scim:User:read") || events[0].Credential != "reader" {
		t.Errorf("the event is %+v", events[0])
	}
	lines, events = audited(t, s, store.NoTenant)
	expectLines(t, "of no tenant", lines, "GetUser User unauthenticated")
	if events[0].Address != "192.0.2.9" || events[0].Credential != "" || strings.Contains(fmt.Sprint(events[0]), "the-wrong-token") {
		t.Errorf("the event is %+v", events[0])
	}
}

// A flood of attempts is some events and a count, for each address.
func TestAudit_Flood(t *testing.T) {
	s, _ := newServer(t)
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	const many = 100
	for range many {
		_, _ = client.GetUser(metadata.AppendToOutgoingContext(context.Background(), "muster-address", "192.0.2.9"), &musterv1.GetUserRequest{})
	}
	_, _ = client.GetUser(metadata.AppendToOutgoingContext(context.Background(), "muster-address", "192.0.2.10"), &musterv1.GetUserRequest{})
	if lines, _ := audited(t, s, store.NoTenant); len(lines) != floodFirst+1 {
		t.Errorf("there are %d events", len(lines))
	}
	if err := s.audit.flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, events := audited(t, s, store.NoTenant)
	last := events[len(events)-1]
	if len(events) != floodFirst+2 || last.Address != "192.0.2.9" || !strings.HasPrefix(last.Detail, fmt.Sprint(many-floodFirst, " more attempts since ")) {
		t.Errorf("there are %d events; the last is %+v", len(events), last)
	}
}

// Reads are recorded where the operator wants it.
func TestAudit_Reads(t *testing.T) {
	s, ctx := newServer(t)
	s = New(s.store, Options{AuditReads: true})
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	_, _ = client.GetUser(ctx, &musterv1.GetUserRequest{Id: "nobody"})
	_, _ = client.ListUsers(ctx, &musterv1.ListUsersRequest{})
	lines, _ := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines, "GetUser User notFound", "ListUsers User ok")
}

// A queue that is full makes its callers wait, and loses nothing.
func TestAudit_FullQueue(t *testing.T) {
	s, _ := newServer(t)
	ctx := context.Background()
	for i := range 3 * maxQueued {
		s.audit.queue.add(ctx, store.AuditEvent{TenantID: 5, Method: "m", Outcome: "ok", RequestID: fmt.Sprint(i), Time: time.Now()})
	}
	if err := s.audit.flush(ctx); err != nil {
		t.Fatal(err)
	}
	found := 0
	for q := (store.AuditQuery{TenantID: 5, Count: 1000}); ; {
		page, err := s.store.AuditEvents(ctx, q)
		if err != nil {
			t.Fatal(err)
		}
		found += len(page.Events)
		if q.After = page.Next; page.Next == 0 {
			break
		}
	}
	if found != 3*maxQueued {
		t.Errorf("there are %d events of %d", found, 3*maxQueued)
	}
}

// A panic is recorded as the internal error that it is to the client.
func TestAudit_Panic(t *testing.T) {
	s, _ := newServer(t)
	c := &call{method: musterv1.ProvisioningService_CreateUser_FullMethodName, handle: func(context.Context) error { panic("at the disco") }}
	if err := s.audit.intercept(context.Background(), c); scim.ReasonOf(err) != scim.Internal {
		t.Errorf("got %v", err)
	}
	lines, events := audited(t, s, store.NoTenant)
	expectLines(t, "events", lines, "CreateUser User internal")
	if strings.Contains(events[0].Detail, "disco") {
		t.Errorf("the detail is %q", events[0].Detail)
	}
}

// Whom an outside issuer's token is for is known by name. What a client over a socket
// says of itself is not believed.
func TestAudit_Operator(t *testing.T) {
	i := newIssuer(t, false)
	s, _ := trusting(t, i, store.Credential{})
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+i.token(t, map[string]any{"sub": "grace@example.com"}), operatorKey, "somebody else")
	if _, err := musterv1.NewProvisioningServiceClient(overSocket(t, s)).CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}}); err != nil {
		t.Fatal(err)
	}
	_, events := audited(t, s, firstTenant(t, s))
	if e := events[len(events)-1]; e.Operator != "grace@example.com" || !strings.HasSuffix(e.Method, "/CreateUser") {
		t.Errorf("the event is %+v", e)
	}
}
