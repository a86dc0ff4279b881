package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

const token = "token-of-this-test"

// newServer is a server over a new database, and a context that may call it.
func newServer(t *testing.T) (*Server, context.Context) {
	t.Helper()
	return newServerWith(t, Options{})
}

func newServerWith(t *testing.T, opts Options) (*Server, context.Context) {
	t.Helper()
	ctx := context.Background()
	st, err := store.Open(ctx, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, "default", "test", sha256.Sum256([]byte(token))); err != nil {
		t.Fatal(err)
	}
	return New(st, opts), metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// overSocket is a connection to the server by the network.
func overSocket(t *testing.T, s *Server) *grpc.ClientConn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	c, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		s.grpc.Stop()
	})
	return c
}

// Each method of each registered service has a row in the policy, and each row
// is of such a method.
func TestPolicy_IsWhole(t *testing.T) {
	s, _ := newServer(t)
	methods := make(map[string]bool)
	for service, info := range s.grpc.GetServiceInfo() {
		for _, m := range info.Methods {
			methods["/"+service+"/"+m.Name] = true
		}
	}
	for m := range methods {
		if policy[m].action == 0 {
			t.Errorf("%s has no row: it is refused to everybody", m)
		}
	}
	for m := range policy {
		if !methods[m] {
			t.Errorf("%s has a row and no service", m)
		}
	}
}

func TestPolicy_FailsClosed(t *testing.T) {
	s, ctx := newServer(t)
	const method = musterv1.ProvisioningService_GetUser_FullMethodName
	access := policy[method]
	delete(policy, method)
	defer func() { policy[method] = access }()
	_, err := musterv1.NewProvisioningServiceClient(s.Conn()).GetUser(ctx, &musterv1.GetUserRequest{Id: "x"})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a method without a row: %v", err)
	}
}

// No method but the public ones answers without a credential.
func TestAuthenticate_EveryMethod(t *testing.T) {
	s, _ := newServer(t)
	conn := overSocket(t, s)
	for method := range s.conn.methods {
		if policy[method].action == public {
			continue
		}
		for _, header := range []string{"", "Bearer wrong", "Basic " + token, "Bearer", token} {
			ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", header)
			err := conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
			if status.Code(err) != codes.Unauthenticated || reasonOf(err) != "unauthenticated" {
				t.Errorf("%s with %q: %v", method, header, err)
			}
		}
	}
}

func reasonOf(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errorDomain {
			return info.GetReason()
		}
	}
	return ""
}

// Every reason has a code of its own choosing, and travels as a word.
func TestStatusOf_Reasons(t *testing.T) {
	for r := scim.Internal; r <= scim.PositionGone; r++ {
		code, ok := reasonCodes[r]
		if !ok {
			t.Errorf("%s has no code", r)
		}
		st := statusOf(nil, scim.Errorf(r, "detail").At("name.givenName"))
		if st.Code() != code || reasonOf(st.Err()) != r.String() || st.Message() != "detail" {
			t.Errorf("%s: %v", r, st)
		}
		violations := st.Details()[1].(*errdetails.BadRequest).GetFieldViolations()
		if len(violations) != 1 || violations[0].GetField() != "name.givenName" {
			t.Errorf("%s: violations are %v", r, violations)
		}
	}
}

func TestStatusOf_OtherErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code codes.Code
	}{
		{context.Canceled, codes.Canceled},
		{context.DeadlineExceeded, codes.DeadlineExceeded},
		{status.Error(codes.Unimplemented, "no"), codes.Unimplemented},
		{errors.New("secret of the database"), codes.Internal},
	} {
		st := statusOf(nil, c.err)
		if st.Code() != c.code || strings.Contains(st.Message(), "secret") {
			t.Errorf("%v became %v", c.err, st)
		}
	}
}

// The connection in process answers as one over a socket does.
func TestConn_IsLikeASocket(t *testing.T) {
	s, ctx := newServer(t)
	for name, conn := range map[string]grpc.ClientConnInterface{"socket": overSocket(t, s), "in process": s.Conn()} {
		t.Run(name, func(t *testing.T) {
			c := musterv1.NewProvisioningServiceClient(conn)
			var header metadata.MD
			made, err := c.CreateUser(metadata.AppendToOutgoingContext(ctx, "x-request-id", "r1"),
				&musterv1.CreateUserRequest{User: &musterv1.User{UserName: name}}, grpc.Header(&header))
			if err != nil || made.GetUser().GetUserName() != name || made.GetUser().GetId() == "" {
				t.Fatalf("got %v, %v", made, err)
			}
			for key, want := range map[string]string{requestIDKey: "r1", tenantKey: "default", credentialKey: "test"} {
				if got := header.Get(key); len(got) != 1 || got[0] != want {
					t.Errorf("%s is %q", key, got)
				}
			}
			header = nil
			_, err = c.GetUser(ctx, &musterv1.GetUserRequest{Id: "nobody"}, grpc.Header(&header))
			if status.Code(err) != codes.NotFound || reasonOf(err) != "notFound" || len(header.Get(tenantKey)) != 1 {
				t.Errorf("got %v, header %v", err, header)
			}
			_, err = c.CreateUser(ctx, &musterv1.CreateUserRequest{})
			if reasonOf(err) != "invalidSyntax" {
				t.Errorf("a request without a user: %v", err)
			}
			past, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
			defer cancel()
			if _, err := c.DeleteUser(past, &musterv1.DeleteUserRequest{Id: made.GetUser().GetId()}); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("past its deadline: %v", err)
			}
		})
	}
	if err := s.Conn().Invoke(ctx, "/muster.v1.Nobody/Nothing", nil, nil); status.Code(err) != codes.Unimplemented {
		t.Errorf("a method that is not there: %v", err)
	}
	if _, err := s.Conn().NewStream(ctx, nil, ""); status.Code(err) != codes.Unimplemented {
		t.Errorf("a stream: %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

// A panic is one failed call, with nothing of it for the client.
func TestRecoverPanics(t *testing.T) {
	s, _ := newServer(t)
	err := s.run(context.Background(), &call{method: "/grpc.health.v1.Health/Check", handle: func(context.Context) error { panic("a secret") }})
	if status.Code(err) != codes.Internal || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestPassword_IsHashedAndCompared(t *testing.T) {
	s, ctx := newServer(t)
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	made, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada", Password: "first"}, Attributes: []string{"userName,password"}})
	if err != nil || made.GetUser().GetPassword() != "" {
		t.Fatalf("got %v, %v", made, err)
	}
	replace := func(password string) string {
		t.Helper()
		out, err := c.ReplaceUser(ctx, &musterv1.ReplaceUserRequest{Id: made.GetUser().GetId(), User: &musterv1.User{UserName: "ada", Password: password}})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetUser().GetMeta().GetVersion()
	}
	for _, step := range []struct{ password, version string }{
		{"first", `W/"1"`}, {"", `W/"1"`}, {"second", `W/"2"`}, {"second", `W/"2"`}, {scim.KeptSecret, `W/"3"`}, {scim.KeptSecret, `W/"3"`},
	} {
		if got := replace(step.password); got != step.version {
			t.Errorf("password %q: version %s, want %s", step.password, got, step.version)
		}
	}
	_, err = c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "bob", Password: strings.Repeat("x", maxPassword+1)}})
	if reasonOf(err) != "invalidValue" {
		t.Errorf("a password too long: %v", err)
	}
}

func TestList_StartAndCount(t *testing.T) {
	s, ctx := newServer(t)
	c := musterv1.NewProvisioningServiceClient(s.Conn())
	for _, name := range []string{"a", "b", "c"} {
		if _, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name}}); err != nil {
			t.Fatal(err)
		}
	}
	number := func(n int32) *int32 { return &n }
	for _, step := range []struct {
		start, count   *int32
		begins, length int32
	}{
		{nil, nil, 1, 3}, {number(-5), nil, 1, 3}, {number(2), number(1), 2, 1}, {nil, number(0), 1, 0},
		{nil, number(-1), 1, 0}, {number(4), nil, 4, 0}, {number(1 << 30), number(1 << 30), 1 << 30, 0},
	} {
		out, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{StartIndex: step.start, Count: step.count})
		if err != nil || out.GetTotalResults() != 3 || out.GetStartIndex() != step.begins || out.GetItemsPerPage() != step.length || len(out.GetUsers()) != int(step.length) {
			t.Errorf("%v: got %v, %v", step, out, err)
		}
	}
}
