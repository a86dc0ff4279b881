package server

import (
	"context"
	"fmt"
	"slices"
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

// watching is a stream over a socket, and what it sends.
func watching(t *testing.T, ctx context.Context, conn *grpc.ClientConn, req *musterv1.WatchChangesRequest) grpc.ServerStreamingClient[musterv1.WatchChangesResponse] {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	t.Cleanup(cancel)
	stream, err := musterv1.NewChangeServiceClient(conn).WatchChanges(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func next(t *testing.T, stream grpc.ServerStreamingClient[musterv1.WatchChangesResponse]) *musterv1.WatchChangesResponse {
	t.Helper()
	event, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// A stream begins with all that there is, and goes on with what changes.
func TestWatchChanges_SnapshotThenChanges(t *testing.T) {
	s, ctx := newServer(t)
	var names []string
	for i := range watchPage + 50 {
		names = append(names, fmt.Sprintf("user%03d", i))
	}
	c := people(t, s, ctx, names...)
	list, err := c.ListUsers(ctx, &musterv1.ListUsersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	group := &musterv1.Group{DisplayName: "all"}
	for _, u := range list.GetUsers() {
		group.Members = append(group.Members, &musterv1.Member{Value: u.GetId()})
	}
	for _, name := range []string{"all", "all too"} {
		group.DisplayName = name
		if _, err := c.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: name, Members: group.GetMembers()}}); err != nil {
			t.Fatal(err)
		}
	}
	stream := watching(t, ctx, overSocket(t, s), &musterv1.WatchChangesRequest{Snapshot: true})
	users, groups, members := 0, 0, make(map[string]int)
	var position int64
	for position == 0 {
		switch e := next(t, stream).GetEvent().(type) {
		case *musterv1.WatchChangesResponse_Resource:
			if e.Resource.GetUser() != nil {
				users++
			} else if g := e.Resource.GetGroup(); g != nil && len(g.GetMembers()) == 0 {
				groups++
			}
		case *musterv1.WatchChangesResponse_Members:
			members[e.Members.GetGroupId()] += len(e.Members.GetMembers())
		case *musterv1.WatchChangesResponse_SnapshotComplete:
			position = e.SnapshotComplete.GetPosition()
		default:
			t.Fatalf("in a snapshot: %v", e)
		}
	}
	if users != len(names) || groups != 2 || len(members) != 2 {
		t.Errorf("the snapshot has %d users and %d groups with members %v", users, groups, members)
	}
	for _, n := range members {
		if n != len(names) {
			t.Errorf("a group has %d members", n)
		}
	}
	ada, err := c.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "ada", Password: "secret"}})
	if err != nil {
		t.Fatal(err)
	}
	got := next(t, stream).GetChange()
	if got.GetPosition() != position+1 || got.GetUser().GetId() != ada.GetUser().GetId() || got.GetUser().GetPassword() != "" {
		t.Errorf("the change is %v", got)
	}
}

// A stream that is quiet has heartbeats; it ends when the credential is revoked, and
// when the server stops.
func TestWatchChanges_Ends(t *testing.T) {
	s, ctx := newServer(t)
	s.changes.heartbeat, s.recheck = 20*time.Millisecond, 10*time.Millisecond
	tenant, err := s.store.Tenant(ctx, DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken("reader")
	if err := tenant.AddCredential(ctx, store.Credential{Name: "reader", Kind: store.Bearer, Scopes: []string{"scim:User:read"}}, hash[:]); err != nil {
		t.Fatal(err)
	}
	conn := overSocket(t, s)
	reader := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer reader")
	one, two := watching(t, reader, conn, &musterv1.WatchChangesRequest{}), watching(t, ctx, conn, &musterv1.WatchChangesRequest{})
	if next(t, one).GetHeartbeat().GetTime() == nil || next(t, two).GetHeartbeat() == nil {
		t.Error("there is no heartbeat")
	}
	c := people(t, s, ctx, "ada")
	if _, err := c.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: "g"}}); err != nil {
		t.Fatal(err)
	}
	if err := tenant.RevokeCredential(ctx, "reader"); err != nil {
		t.Fatal(err)
	}
	for {
		event, err := one.Recv()
		if status.Code(err) == codes.Unauthenticated {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c := event.GetChange(); c != nil && c.GetResourceType() != scim.User.Name {
			t.Errorf("a reader of users gets %v", c)
		}
	}
	go s.Shutdown(ctx)
	for {
		if _, err := two.Recv(); err != nil {
			if status.Code(err) != codes.Unavailable {
				t.Errorf("when the server stops: %v", err)
			}
			return
		}
	}
}

// A reader that does not read delays nobody, and gets everything later.
func TestWatchChanges_SlowReader(t *testing.T) {
	s, ctx := newServer(t)
	stream := watching(t, ctx, overSocket(t, s), &musterv1.WatchChangesRequest{})
	var names []string
	for i := range 1500 { // some megabytes: more than any buffer on the way
		names = append(names, fmt.Sprintf("user%04d", i))
	}
	start := time.Now()
	people(t, s, ctx, names...)
	t.Logf("%d writes took %v", len(names), time.Since(start))
	var got []string
	for len(got) < len(names) {
		if c := next(t, stream).GetChange(); c != nil {
			got = append(got, c.GetUser().GetUserName())
		}
	}
	if !slices.Equal(got, names) {
		t.Error("it got others, or in another order")
	}
}

func TestListChanges(t *testing.T) {
	s, ctx := newServer(t)
	people(t, s, ctx, "a", "b", "c")
	c := musterv1.NewChangeServiceClient(s.Conn())
	out, err := c.ListChanges(ctx, &musterv1.ListChangesRequest{PageSize: 2})
	if err != nil || len(out.GetChanges()) != 2 || !out.GetMore() || out.GetPosition() != out.GetChanges()[1].GetPosition() {
		t.Fatalf("got %v, %v", out, err)
	}
	out, err = c.ListChanges(ctx, &musterv1.ListChangesRequest{AfterPosition: out.GetPosition()})
	if err != nil || len(out.GetChanges()) != 1 || out.GetMore() || out.GetChanges()[0].GetUser().GetUserName() != "c" {
		t.Fatalf("got %v, %v", out, err)
	}
	if _, err := c.ListChanges(ctx, &musterv1.ListChangesRequest{AfterPosition: 100}); status.Code(err) != codes.OutOfRange || reasonOf(err) != "positionGone" {
		t.Errorf("behind the end: %v", err)
	}
	if _, err := c.ListChanges(ctx, &musterv1.ListChangesRequest{Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"Device"}}}); reasonOf(err) != "invalidValue" {
		t.Errorf("of no type: %v", err)
	}
}

// Whoever asks from the end gets nothing that was, and all that comes.
func TestChanges_FromTheEnd(t *testing.T) {
	s, ctx := newServer(t)
	s.changes.heartbeat = 20 * time.Millisecond
	people(t, s, ctx, "a", "b")
	c := musterv1.NewChangeServiceClient(s.Conn())
	out, err := c.ListChanges(ctx, &musterv1.ListChangesRequest{AfterPosition: -1})
	if err != nil || len(out.GetChanges()) != 0 || out.GetMore() || out.GetPosition() == 0 || out.GetPosition() != out.GetHead() {
		t.Fatalf("got %v, %v", out, err)
	}
	end := out.GetPosition()
	stream := watching(t, ctx, overSocket(t, s), &musterv1.WatchChangesRequest{AfterPosition: -1})
	if first := next(t, stream); first.GetHeartbeat().GetPosition() != end {
		t.Errorf("the stream began with %v", first)
	}
	people(t, s, ctx, "c")
	event := next(t, stream)
	for event.GetHeartbeat() != nil {
		event = next(t, stream)
	}
	if name := event.GetChange().GetUser().GetUserName(); name != "c" {
		t.Errorf("the first change is of %q", name)
	}
	out, err = c.ListChanges(ctx, &musterv1.ListChangesRequest{AfterPosition: end})
	if err != nil || len(out.GetChanges()) != 1 || out.GetChanges()[0].GetUser().GetUserName() != "c" {
		t.Errorf("behind the end: %v, %v", out, err)
	}
}
