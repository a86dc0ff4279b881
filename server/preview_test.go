package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// withPreview makes a preview credential, and a context that calls with it.
func withPreview(t *testing.T, s *Server, name string) context.Context {
	t.Helper()
	return withCredential(t, s, store.Credential{Name: name, Scopes: []string{ScopeSCIM}, Preview: true})
}

// count is how many users a caller sees.
func count(t *testing.T, s *Server, ctx context.Context) int {
	t.Helper()
	none := int32(0)
	page, err := musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(ctx, &musterv1.ListUsersRequest{Count: &none})
	if err != nil {
		t.Fatal(err)
	}
	return int(page.GetTotalResults())
}

func tryMake(s *Server, ctx context.Context, userName string) (*musterv1.User, error) {
	made, err := musterv1.NewProvisioningServiceClient(s.Conn()).CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: userName}})
	return made.GetUser(), err
}

func mustMake(t *testing.T, s *Server, ctx context.Context, userName string) *musterv1.User {
	t.Helper()
	made, err := tryMake(s, ctx, userName)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// What a preview credential writes it sees, and nobody else does; until it writes it
// sees the tenant as it is, and from then on as it was.
func TestPreview_IsSeenByItsCredentialOnly(t *testing.T) {
	s, live := newServer(t)
	first, second := withPreview(t, s, "first"), withPreview(t, s, "second")
	for i, ctx := range []context.Context{first, second, live} {
		if n := count(t, s, ctx); n != i {
			t.Errorf("%d users before anything was written, want %d", n, i)
		}
		mustMake(t, s, live, fmt.Sprint("live ", i))
	}
	made := mustMake(t, s, first, "ada")
	mustMake(t, s, live, "grace")
	mustMake(t, s, second, "ada")
	mustMake(t, s, second, "alan")
	for who, want := range map[context.Context]int{live: 4, first: 4, second: 6} {
		if n := count(t, s, who); n != want {
			t.Errorf("%d users, want %d", n, want)
		}
	}
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	if got, err := client.GetUser(first, &musterv1.GetUserRequest{Id: made.GetId()}); err != nil || got.GetUser().GetUserName() != "ada" {
		t.Errorf("the user that was made is %v, %v", got, err)
	}
	for _, ctx := range []context.Context{second, live} {
		if _, err := client.GetUser(ctx, &musterv1.GetUserRequest{Id: made.GetId()}); status.Code(err) != codes.NotFound {
			t.Errorf("another credential finds the user: %v", err)
		}
	}
	if _, err := tryMake(s, first, "GRACE"); err != nil {
		t.Errorf("what was made later disturbs a preview: %v", err)
	}
	if _, err := tryMake(s, first, "live 1"); status.Code(err) != codes.AlreadyExists {
		t.Errorf("a userName that is taken: %v", err)
	}
}

// The events of a preview are in the tenant's audit log, with what would have changed,
// and say that nothing was kept.
func TestPreview_IsAudited(t *testing.T) {
	s, _ := newServer(t)
	ctx := withPreview(t, s, "rehearsal")
	client := musterv1.NewProvisioningServiceClient(s.Conn())
	ada := mustMake(t, s, ctx, "ada")
	audited(t, s, 0) // or the order is not certain
	_, _ = tryMake(s, ctx, "ada")
	audited(t, s, 0)
	_, err := client.Bulk(ctx, &musterv1.BulkRequest{Operations: []*musterv1.BulkOperation{
		{Method: musterv1.BulkOperation_METHOD_POST, Path: "/Groups", BulkId: "g", Data: `{"displayName":"G","members":[{"value":"` + ada.GetId() + `"}]}`},
		{Method: musterv1.BulkOperation_METHOD_PATCH, Path: "/Users/" + ada.GetId(), Data: `{"Operations":[{"op":"replace","path":"title","value":"Dr."}]}`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	audited(t, s, 0)
	if _, err := client.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: ada.GetId()}); err != nil {
		t.Fatal(err)
	}
	lines, events := audited(t, s, firstTenant(t, s))
	expectLines(t, "events", lines, "CreateUser User ok", "CreateUser User uniqueness", "CreateGroup Group ok", "PatchUser User ok", "DeleteUser User ok")
	for i, e := range events {
		if !e.Preview || e.Credential != "rehearsal" {
			t.Errorf("the event is %+v", e)
		}
		want := []string{`"ada"`, "", ada.GetId(), `"title":`, `"ada"`}[i]
		if !strings.Contains(e.Changes, want) || (want == "") != (e.Changes == "") {
			t.Errorf("the event has the changes %s, want %s", e.Changes, want)
		}
	}
}

// Many first writes at once make one copy, and all find it.
func TestPreview_ManyBegin(t *testing.T) {
	s, _ := newServer(t)
	ctx := withPreview(t, s, "rehearsal")
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if _, err := tryMake(s, ctx, fmt.Sprint("user ", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := count(t, s, ctx); n != 16 {
		t.Errorf("%d users", n)
	}
}

// What ends a preview: the copy is closed, and what the credential does next begins
// from the tenant as it is.
func TestPreview_Ends(t *testing.T) {
	s, live := newServerWith(t, Options{Preview: Preview{Idle: time.Hour}})
	ops := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdmin}})
	credentials, tenants := musterv1.NewCredentialServiceClient(s.Conn()), musterv1.NewTenantServiceClient(s.Conn())
	setMode := func(mode musterv1.Credential_Mode) error {
		_, err := credentials.UpdateCredential(ops, &musterv1.UpdateCredentialRequest{Credential: &musterv1.Credential{Name: "rehearsal", Mode: mode, Scopes: []string{ScopeSCIM}}})
		return err
	}
	tenant, err := s.store.Tenant(live, DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	behind := func(change func(*store.Credential)) error { // as another server does
		_, err := tenant.UpdateCredential(live, "rehearsal", func(c *store.Credential) error {
			change(c)
			return nil
		})
		return err
	}
	ctx := withPreview(t, s, "rehearsal")
	for _, test := range []struct {
		name string
		end  func() error
	}{
		{"not used", func() error {
			s.previews.mu.Lock()
			for _, v := range s.previews.of {
				v.used = v.used.Add(-2 * s.previews.Idle)
			}
			s.previews.mu.Unlock()
			s.previews.sweep()
			return nil
		}},
		{"set live and back", func() error {
			return errors.Join(setMode(musterv1.Credential_MODE_LIVE), setMode(musterv1.Credential_MODE_PREVIEW))
		}},
		{"changed by nothing", func() error { return setMode(musterv1.Credential_MODE_PREVIEW) }},
		{"changed elsewhere", func() error {
			return behind(func(c *store.Credential) { c.Expires = time.Now().Add(time.Hour) })
		}},
		{"set live elsewhere and used", func() error {
			live := func(c *store.Credential) { c.Preview = false }
			preview := func(c *store.Credential) { c.Preview = true }
			err := behind(live)
			count(t, s, ctx)
			return errors.Join(err, behind(preview))
		}},
		{"set live elsewhere and swept", func() error {
			err := behind(func(c *store.Credential) { c.Preview = false })
			s.previews.sweep()
			return errors.Join(err, behind(func(c *store.Credential) { c.Preview = true }))
		}},
		{"another profile", func() error {
			_, err := tenants.UpdateTenant(ops, &musterv1.UpdateTenantRequest{Tenant: &musterv1.Tenant{Name: DefaultTenant, Profile: musterv1.ClientProfile_CLIENT_PROFILE_STRICT}})
			return err
		}},
		{"revoked elsewhere", func() error {
			err := tenant.RevokeCredential(live, "rehearsal")
			s.previews.sweep()
			withPreview(t, s, "rehearsal")
			return err
		}},
		{"revoked", func() error {
			_, err := credentials.RevokeCredential(ops, &musterv1.RevokeCredentialRequest{Name: "rehearsal"})
			withPreview(t, s, "rehearsal")
			return err
		}},
	} {
		mustMake(t, s, ctx, "ada")
		used := theOnly(t, s)
		awaitUnused(s.previews)
		if err := test.end(); err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if n := count(t, s, ctx); n != 0 {
			t.Errorf("%s: %d users are left", test.name, n)
		}
		if _, err := used.Tenant.Get(live, scim.User, "x", false); scim.ReasonOf(err) != scim.Unavailable {
			t.Errorf("%s: the copy is still open: %v", test.name, err)
		}
	}
	if n := len(s.previews.of); n != 0 {
		t.Errorf("%d previews are left", n)
	}
}

// theOnly is the copy of the only preview.
func theOnly(t *testing.T, s *Server) *store.Copy {
	t.Helper()
	s.previews.mu.Lock()
	defer s.previews.mu.Unlock()
	if len(s.previews.of) != 1 {
		t.Fatalf("there are %d previews", len(s.previews.of))
	}
	for _, v := range s.previews.of {
		return v.copy
	}
	return nil
}

// A preview that nobody uses ends by itself, and one that is used does not.
func TestPreview_EndsByItself(t *testing.T) {
	s, _ := newServerWith(t, Options{Preview: Preview{Idle: 2 * time.Second}})
	ctx := withPreview(t, s, "rehearsal")
	mustMake(t, s, ctx, "ada")
	for range 50 { // longer than that
		if n := count(t, s, ctx); n != 1 {
			t.Fatalf("%d users while it is used", n)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !s.previews.some.Load() {
			break
		}
	}
	if n := count(t, s, ctx); n != 0 || s.previews.some.Load() {
		t.Errorf("%d users; there are previews: %t", n, s.previews.some.Load())
	}
}

// A call that is under way when its preview ends is answered.
func TestPreview_LetsCallsFinish(t *testing.T) {
	s, _ := newServer(t)
	ctx := withPreview(t, s, "rehearsal")
	mustMake(t, s, ctx, "ada")
	p, err := s.store.Authenticate(ctx, HashToken("rehearsal"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := s.previews.enter(ctx, &p, false)
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if page, err := v.copy.Tenant.List(ctx, scim.User, store.Query{}); err != nil || page.Total != 1 {
		t.Errorf("%d users, %v", page.Total, err)
	}
	tenant := v.copy.Tenant
	s.previews.leave(v)
	if _, err := tenant.List(ctx, scim.User, store.Query{}); scim.ReasonOf(err) != scim.Unavailable {
		t.Errorf("the copy is still open: %v", err)
	}
	if _, err := tryMake(s, ctx, "alan"); status.Code(err) != codes.Unavailable {
		t.Errorf("a preview begins after the end: %v", err)
	}
}

// There are no more copies at once than there may be; who comes too late is told when
// to try again, and can still read.
func TestPreview_Bounded(t *testing.T) {
	s, _ := newServerWith(t, Options{Preview: Preview{Copies: 1}})
	first, second := withPreview(t, s, "first"), withPreview(t, s, "second")
	mustMake(t, s, first, "ada")
	var header metadata.MD
	_, err := musterv1.NewProvisioningServiceClient(s.Conn()).CreateUser(second, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada"}}, grpc.Header(&header))
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "as many previews") || len(header.Get("retry-after")) != 1 {
		t.Errorf("a copy too many: %v, %v", err, header)
	}
	if n := count(t, s, second); n != 0 {
		t.Errorf("%d users", n)
	}
	tenant, err := s.store.Tenant(first, DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.RevokeCredential(first, "first"); err != nil {
		t.Fatal(err)
	}
	s.previews.sweep()
	mustMake(t, s, second, "ada")
}

// A copy that cannot be made is an error, and leaves nothing behind; the next attempt
// is a new one.
func TestPreview_CannotBegin(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "copies")
	s, live := newServerWith(t, Options{Preview: Preview{Folder: folder}})
	ctx := withPreview(t, s, "rehearsal")
	if _, err := tryMake(s, ctx, "ada"); status.Code(err) != codes.Internal || strings.Contains(err.Error(), folder) {
		t.Errorf("there is no folder: %v", err)
	}
	if n := count(t, s, live); n != 0 {
		t.Errorf("the tenant has %d users", n)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	mustMake(t, s, ctx, "ada")
}

// Every method that writes resources works on the copy, and none that administers is
// open, whatever the scopes of the credential are.
func TestPreview_EveryMethod(t *testing.T) {
	s, _ := newServer(t)
	ctx := withCredential(t, s, store.Credential{Name: "rehearsal", Scopes: []string{ScopeSCIM, ScopeAdmin}, Preview: true})
	mustMake(t, s, ctx, "ada")
	p, err := s.store.Authenticate(ctx, HashToken("rehearsal"))
	if err != nil {
		t.Fatal(err)
	}
	copied := theOnly(t, s).Tenant
	for method, access := range policy {
		reached, onCopy := false, false
		c := &call{method: method, principal: p}
		c.ahead = []interceptor{authorize, s.previews.await, usePreview}
		c.handle = func(context.Context) error {
			reached, onCopy = true, c.principal.Tenant == copied
			return nil
		}
		err := c.proceed(ctx)
		ofChanges := strings.HasPrefix(method, "/muster.v1.ChangeService/")
		switch access.action {
		case admin, internal, signIn, own:
			if reached || scim.ReasonOf(err) != scim.Forbidden {
				t.Errorf("%s is reached: %v", method, err)
			}
		case write, read:
			if err != nil || !reached || onCopy == ofChanges || access.action == write && !onCopy {
				t.Errorf("%s: reached %t, on the copy %t, %v", method, reached, onCopy, err)
			}
		case adminRead, discover, public:
			if err != nil || !reached || onCopy {
				t.Errorf("%s: reached %t, on the copy %t, %v", method, reached, onCopy, err)
			}
		}
	}
}

// The caller's side learns of the mode.
func TestPreview_IsTold(t *testing.T) {
	s, live := newServer(t)
	for ctx, want := range map[context.Context]int{live: 0, withPreview(t, s, "rehearsal"): 1} {
		var header metadata.MD
		if _, err := musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(ctx, &musterv1.ListUsersRequest{}, grpc.Header(&header)); err != nil {
			t.Fatal(err)
		}
		if got := header.Get(modeKey); len(got) != want || want == 1 && got[0] != "preview" {
			t.Errorf("told %v", got)
		}
	}
}

// While a copy is made a few calls wait for it, and more are told to come later. One
// that gives up does not end the making.
func TestPreview_Awaits(t *testing.T) {
	s, _ := newServer(t)
	ctx := withPreview(t, s, "rehearsal")
	p, err := s.store.Authenticate(ctx, HashToken("rehearsal"))
	if err != nil {
		t.Fatal(err)
	}
	making := &preview{began: p, ready: make(chan struct{}), cancel: func() {}, calls: maxAwaiting + 1}
	s.previews.of[p.ID] = making
	if _, err := tryMake(s, ctx, "ada"); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a call too many: %v", err)
	}
	making.calls = 1
	brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := tryMake(s, brief, "ada"); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call that gave up: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := tryMake(s, ctx, "ada")
		done <- err
	}()
	making.copy, making.err = p.Tenant.Copy(ctx, t.TempDir())
	close(making.ready)
	if err := errors.Join(<-done, making.err); err != nil {
		t.Error(err)
	}
	s.previews.leave(making)
	if n := count(t, s, ctx); n != 1 {
		t.Errorf("%d users", n)
	}
}

// awaitUnused waits until no call uses a preview, nor makes one.
func awaitUnused(ps *previews) {
	for used := true; used; time.Sleep(time.Millisecond) {
		ps.mu.Lock()
		used = false
		for _, v := range ps.of {
			used = used || v.calls > 0
		}
		ps.mu.Unlock()
	}
}
