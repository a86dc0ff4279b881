package console

import (
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/muster-scim/muster/gateway"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// A world is a server with the console on it, and somebody signed in.
type world struct {
	core
	*httptest.Server

	base     string // of SCIM, as pages tell it
	database string
	console  *Console
	store    *store.Store
	ctx      context.Context // may call the core
	server   *server.Server
	session  *session // nil: nobody is signed in
}

// newWorld is a world without users, of an administrator.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldOn(t, "sqlite://"+filepath.Join(t.TempDir(), "muster.db"))
}

func newWorldOn(t testing.TB, database string) *world {
	t.Helper()
	ctx := context.Background()
	st, err := store.Open(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, server.DefaultTenant, "test", sha256.Sum256([]byte("token-of-this-test"))); err != nil {
		t.Fatal(err)
	}
	s := server.New(st, server.Options{Activity: server.Activity{Bodies: 50}})
	made, err := newCore(s.LocalConn()).credentials.CreateCredential(ctx, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Name: "ada", Scopes: []string{"admin", "scim"}}})
	if err != nil {
		t.Fatal(err)
	}
	face, err := gateway.New(s.Conn(), gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var w *world
	c, err := New(s.ConsoleConn(), Options{Version: "v0.0.0-test", Addressed: func(*http.Request) (string, netip.Addr) {
		return w.base, netip.MustParseAddr("127.0.0.1")
	}})
	if err != nil {
		t.Fatal(err)
	}
	w = &world{base: "https://scim.example.com/scim/v2", database: database, core: newCore(s.Conn()), console: c, store: st, server: s, ctx: metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+made.GetSecret())}
	w.signIn("administrator")
	c.find = func(*visit) (*session, error) { return w.session, nil }
	w.Server = httptest.NewServer(c.Before(face))
	t.Cleanup(func() {
		c.EndStreams()
		w.Close()
	})
	return w
}

// signIn makes another role the one that is signed in, with a session of the core's.
func (w *world) signIn(role string) { w.signInAs("ada@example.com", role) }

func (w *world) signInAs(operator, role string) {
	ctx := context.Background()
	for of, name := range roleNames {
		if name != role {
			continue
		}
		link, err := newCore(w.server.LocalConn()).operators.CreateLoginLink(ctx, &musterv1.CreateLoginLinkRequest{Operator: operator, Role: of})
		if err != nil {
			panic(err)
		}
		out, err := w.console.operators.SignIn(ctx, &musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: link.GetSecret()}})
		if err != nil {
			panic(err)
		}
		w.session = &session{Operator: operator, Role: role, Tenant: "default", Switches: true, secret: out.GetSecret()}
	}
}

// user makes a user.
func (w *world) user(t testing.TB, u *musterv1.User) *musterv1.User {
	t.Helper()
	out, err := w.provisioning.CreateUser(w.ctx, &musterv1.CreateUserRequest{User: u})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetUser()
}

// group makes a group of members.
func (w *world) group(t testing.TB, name string, members ...string) *musterv1.Group {
	t.Helper()
	g := &musterv1.Group{DisplayName: name, ExternalId: "role-" + name}
	for _, m := range members {
		g.Members = append(g.Members, &musterv1.Member{Value: m})
	}
	out, err := w.provisioning.CreateGroup(w.ctx, &musterv1.CreateGroupRequest{Group: g})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetGroup()
}

// addMembers adds the members of g to a group.
func (w *world) addMembers(t testing.TB, id string, g *musterv1.Group) {
	t.Helper()
	var values []any
	for _, m := range g.GetMembers() {
		values = append(values, map[string]any{"value": m.GetValue()})
	}
	list, err := structpb.NewList(values)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.provisioning.PatchGroup(w.ctx, &musterv1.PatchGroupRequest{Id: id, Operations: []*musterv1.PatchOperation{
		{Op: musterv1.PatchOperation_OP_ADD, Path: "members", Value: structpb.NewListValue(list)},
	}}); err != nil {
		t.Fatal(err)
	}
}

// ask asks SCIM over REST, as a client with a token, and is the status.
func (w *world) ask(t testing.TB, token, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.URL+"/scim/v2"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	req.Header.Set("User-Agent", "CyberArk-SCIM/2.0")
	answer, err := w.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// client makes a credential of a provisioning client, and is its secret.
func (w *world) client(t testing.TB, name string) string {
	t.Helper()
	out, err := w.credentials.CreateCredential(w.ctx, &musterv1.CreateCredentialRequest{Credential: &musterv1.Credential{Name: name, Scopes: []string{"scim"}}})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetSecret()
}
