package test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/muster-scim/muster/client"
	"github.com/muster-scim/muster/client/sqlite"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func dialClient(t *testing.T, address, token string) *client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{Address: address, Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Mirrors of each kind start while others write, live through a server that is killed
// and started again, and are in the end what the server says. The one in a file ends
// meanwhile, and goes on where it was.
func TestMirror_Converges(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		address := lastingAddress(t)
		p := start(t, database, "--grpc", address)
		c := dialClient(t, address, token)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		group := makeGroup(t, c, "everybody")
		outer := makeGroup(t, c, "outer")
		if _, err := c.Provisioning.PatchGroup(ctx, &musterv1.PatchGroupRequest{Id: outer, Operations: []*musterv1.PatchOperation{addMembers([]*musterv1.Member{{Value: group}})}}); err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			addUser(ctx, c, group, fmt.Sprintf("before%03d", i))
		}
		file := filepath.Join(t.TempDir(), "copy.db")
		memory, endMemory := runMirror(t, c, nil)
		lasting, endLasting := runMirror(t, c, openCopy(t, file))
		var writers sync.WaitGroup
		var stop atomic.Bool
		for w := range 4 {
			writers.Go(func() {
				for i := 0; !stop.Load(); i++ {
					id := addUser(ctx, c, group, fmt.Sprintf("writer%d-%04d", w, i))
					if id != "" && i%3 == 0 {
						_, _ = c.Provisioning.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id}) // it may not reach the server
					}
				}
			})
		}
		awaitReady(ctx, t, memory, lasting)
		time.Sleep(500 * time.Millisecond)
		endLasting()
		was, _ := lasting.Position(ctx)
		p.kill()
		serve(t, database, "--grpc", address)
		time.Sleep(time.Second)
		lasting, endLasting = runMirror(t, c, openCopy(t, file))
		awaitReady(ctx, t, lasting) // at once
		if is, _ := lasting.Position(ctx); was == 0 || is < was {
			t.Errorf("it goes on from position %d, and was at %d", is, was)
		}
		stop.Store(true)
		writers.Wait()
		last := makeGroup(t, c, "last")
		for _, m := range []*client.Mirror{memory, lasting} {
			for g, _ := m.Group(ctx, last); g == nil; g, _ = m.Group(ctx, last) {
				if ctx.Err() != nil {
					t.Fatal("the last change never arrives")
				}
				time.Sleep(20 * time.Millisecond)
			}
			compareMirror(ctx, t, c, m, group, outer)
		}
		endMemory()
		endLasting()
	})
}

func openCopy(t *testing.T, path string) *sqlite.Copy {
	t.Helper()
	file, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// runMirror runs a mirror until end is called.
func runMirror(t *testing.T, c *client.Client, in client.Copy) (m *client.Mirror, end func()) {
	t.Helper()
	m = client.NewMirror(c, in)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the mirror ended with %v", err)
		}
	})
	t.Cleanup(end)
	return m, end
}

func awaitReady(ctx context.Context, t *testing.T, all ...*client.Mirror) {
	t.Helper()
	for _, m := range all {
		select {
		case <-m.Ready():
		case <-ctx.Done():
			t.Fatal("the mirror never is ready")
		}
	}
}

func makeGroup(t *testing.T, c *client.Client, name string) string {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		out, err := c.Provisioning.CreateGroup(t.Context(), &musterv1.CreateGroupRequest{Group: &musterv1.Group{DisplayName: name}})
		if err == nil {
			return out.GetGroup().GetId()
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// addUser makes a user and puts it into the group; "" where the server was not there.
func addUser(ctx context.Context, c *client.Client, group, name string) string {
	out, err := c.Provisioning.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name, Emails: []*musterv1.Email{{Value: name + "@example.com"}}}})
	if err != nil {
		return ""
	}
	member := []*musterv1.Member{{Value: out.GetUser().GetId()}}
	_, _ = c.Provisioning.PatchGroup(ctx, &musterv1.PatchGroupRequest{Id: group, Operations: []*musterv1.PatchOperation{addMembers(member)}}) // the same
	return out.GetUser().GetId()
}

// compareMirror compares all that a mirror answers with what the server does.
func compareMirror(ctx context.Context, t *testing.T, c *client.Client, mirror *client.Mirror, group, outer string) {
	t.Helper()
	now := readAll(t, c)
	users := 0
	for id, r := range now.resources {
		u, isUser := r.(*musterv1.User)
		if !isUser {
			if g, err := mirror.Group(ctx, id); err != nil || !proto.Equal(g, r) {
				t.Fatalf("the mirror has %v for %v: %v", g, r, err)
			}
			continue
		}
		users++
		got, err := mirror.User(ctx, id)
		byName, _ := mirror.UserByName(ctx, u.GetUserName())
		byEmail, _ := mirror.UsersByEmail(ctx, u.GetEmails()[0].GetValue())
		if err != nil || !proto.Equal(got, u) || !proto.Equal(byName, u) || len(byEmail) != 1 || !proto.Equal(byEmail[0], u) {
			t.Fatalf("the mirror has %v, %v, %v for %v: %v", got, byName, byEmail, u, err)
		}
		in := now.members[[2]string{group, id}]
		direct, _ := mirror.IsMember(ctx, id, group, true)
		indirect, _ := mirror.IsMember(ctx, id, outer, false)
		if wrong, _ := mirror.IsMember(ctx, id, outer, true); direct != in || indirect != in || wrong {
			t.Fatalf("%s is a member: %t; the mirror says %t, %t, %t", u.GetUserName(), in, direct, indirect, wrong)
		}
	}
	if n, groups, _ := mirror.Counts(ctx); n != users || groups != 3 || users < 300 {
		t.Errorf("the mirror has %d users and %d groups, the server %d users", n, groups, users)
	}
	if got, _ := mirror.Members(ctx, group); len(got) != len(now.members)-1 || len(got) < 300 {
		t.Errorf("the mirror has %d members, the server %d memberships", len(got), len(now.members))
	}
}

// A watcher that ends and begins again gets each change once; one whose credential is
// revoked is told so.
func TestWatch_Resumes(t *testing.T) {
	p := start(t, sqliteURL(t))
	c := dialClient(t, p.grpc, p.secret(t, "create", "reader", "--scope", "scim"))
	positions := client.FilePositions(filepath.Join(t.TempDir(), "position"))
	o := client.WatchOptions{Positions: positions, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"User"}}}
	enough := errors.New("enough")
	follow := func(n int) (names []string) {
		t.Helper()
		err := c.Watch(t.Context(), o, func(_ context.Context, e client.Event) error {
			if len(names) == n {
				return enough
			}
			if change := e.Message.GetChange(); change != nil {
				names = append(names, change.GetUser().GetUserName())
			}
			return nil
		})
		if !errors.Is(err, enough) {
			t.Fatal(err)
		}
		return names
	}
	group := makeGroup(t, c, "g")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		addUser(t.Context(), c, group, name)
	}
	if got := follow(2); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("first come %v", got)
	}
	if got := follow(2); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("then come %v", got)
	}
	p.runs(t, "credential", "revoke", "reader")
	err := c.Watch(t.Context(), o, func(context.Context, client.Event) error { return nil })
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("with a revoked credential: %v", err)
	}
}

// A watcher whose connection is dead, which nobody told it, finds out and makes another.
func TestWatch_DeadConnection(t *testing.T) {
	t.Parallel() // it waits for half a minute
	p := start(t, sqliteURL(t))
	network := newCutter(t, p.grpc)
	writing, watching := dialClient(t, p.grpc, token), dialClient(t, network.address, token)
	seen := make(chan string, 100)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go watching.Watch(ctx, client.WatchOptions{}, func(_ context.Context, e client.Event) error {
		if g := e.Message.GetChange().GetGroup(); g != nil {
			seen <- g.GetDisplayName()
		}
		return nil
	})
	for _, name := range []string{"before", "after"} {
		makeGroup(t, writing, name)
		select {
		case got := <-seen:
			if got != name {
				t.Errorf("%s comes, not %s", got, name)
			}
		case <-ctx.Done():
			t.Fatalf("%s never comes", name) // TCP alone takes a quarter of an hour
		}
		network.stall()
	}
}

func addMembers(members []*musterv1.Member) *musterv1.PatchOperation {
	var list []any
	for _, m := range members {
		list = append(list, map[string]any{"value": m.GetValue()})
	}
	value, err := structpb.NewValue(list)
	if err != nil {
		panic(err)
	}
	return &musterv1.PatchOperation{Op: musterv1.PatchOperation_OP_ADD, Path: "members", Value: value}
}
