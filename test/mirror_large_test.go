package test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Mirrors of many users and groups start from a snapshot while others write, and have in
// the end what the server has. `make torture` does it with 100,000 users.
func TestMirror_Large(t *testing.T) {
	users := 3000
	if os.Getenv("MUSTER_TEST_TORTURE") != "" {
		users = 100_000
	}
	onBoth(t, func(t *testing.T, p *program) {
		c := dialClient(t, p.grpc, token)
		ids := fillUsers(t, c, users)
		all := makeGroup(t, c, "all")
		for at := 0; at < len(ids); at += 1000 {
			part := ids[at:min(at+1000, len(ids))]
			join(t, c, all, part)
			join(t, c, makeGroup(t, c, fmt.Sprintf("group %d", at)), part)
		}
		file := filepath.Join(t.TempDir(), "copy.db")
		for name, in := range map[string]client.Copy{"in memory": client.NewMemory(), "in an SQLite file": openCopy(t, file)} {
			startLarge(t, p, c, name, in, all)
		}
		if info, err := os.Stat(file); err == nil {
			t.Logf("the file has %d MiB", info.Size()>>20)
		}
	})
}

// startLarge starts a mirror under writes and compares it when they have ended.
func startLarge(t *testing.T, p *program, c *client.Client, name string, in client.Copy, group string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var stop atomic.Bool
	var written atomic.Int64
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				id := addUser(ctx, c, group, fmt.Sprintf("%s %d %d", name, w, i))
				if written.Add(2); i%2 == 0 {
					if _, err := c.Provisioning.DeleteUser(ctx, &musterv1.DeleteUserRequest{Id: id}); err != nil {
						t.Error(err)
						return
					}
					written.Add(1)
				}
			}
		})
	}
	before, start := heap(), time.Now()
	m, end := runMirror(t, c, in)
	awaitReady(ctx, t, m)
	ready, during := time.Since(start), written.Load()
	time.Sleep(time.Second) // it follows
	stop.Store(true)
	writers.Wait()
	last, stopped := makeGroup(t, c, "last "+name), time.Now()
	for g, _ := m.Group(ctx, last); g == nil; g, _ = m.Group(ctx, last) {
		if ctx.Err() != nil {
			t.Fatal("the last change never arrives")
		}
		time.Sleep(10 * time.Millisecond)
	}
	n, groups, _ := m.Counts(ctx)
	t.Logf("%s: %d users and %d groups are there after %v and %d writes meanwhile; %v behind in the end; %d MiB of heap; the server has %d MiB",
		name, n, groups, ready.Round(time.Millisecond), during, time.Since(stopped).Round(time.Millisecond), (heap()-before)>>20, p.memory(t)>>20)
	if during == 0 && n > 50_000 { // fewer may be there too soon
		t.Error("nobody wrote meanwhile: this proves little")
	}
	compareLarge(ctx, t, m, readAll(t, c))
	end()
}

// compareLarge compares the resources and members of a mirror with what there is.
func compareLarge(ctx context.Context, t *testing.T, m *client.Mirror, now *replayed) {
	t.Helper()
	users, members := 0, 0
	for id, r := range now.resources {
		var got proto.Message
		var err error
		if _, isUser := r.(*musterv1.User); isUser {
			users++
			got, err = m.User(ctx, id)
		} else {
			got, err = m.Group(ctx, id)
			of, _ := m.Members(ctx, id)
			members += len(of)
			for _, member := range of {
				if !now.members[[2]string{id, member}] {
					t.Fatalf("the mirror has the member %s in %v", member, r)
				}
			}
		}
		if err != nil || !proto.Equal(got, r) {
			t.Fatalf("the mirror has %v for %v: %v", got, r, err)
		}
	}
	if n, groups, err := m.Counts(ctx); err != nil || n != users || groups != len(now.resources)-users || members != len(now.members) {
		t.Errorf("the mirror has %d users, %d groups and %d memberships, the server %d, %d and %d: %v", n, groups, members, users, len(now.resources)-users, len(now.members), err)
	}
}

// fillUsers makes many users at once, and returns their ids.
func fillUsers(t *testing.T, c *client.Client, n int) []string {
	t.Helper()
	ids := make([]string, n)
	var next atomic.Int64
	var clients sync.WaitGroup
	for range 32 {
		clients.Go(func() {
			for i := next.Add(1); int(i) <= n; i = next.Add(1) {
				name := fmt.Sprintf("user%06d", i)
				u := &musterv1.User{UserName: name, ExternalId: "E" + name, DisplayName: "User " + name, Active: new(true), Emails: []*musterv1.Email{{Value: name + "@example.com", Type: "work"}}}
				out, err := c.Provisioning.CreateUser(t.Context(), &musterv1.CreateUserRequest{User: u})
				if err != nil {
					t.Error(err)
					return
				}
				ids[i-1] = out.GetUser().GetId()
			}
		})
	}
	clients.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return ids
}

func join(t *testing.T, c *client.Client, group string, ids []string) {
	t.Helper()
	var members []*musterv1.Member
	for _, id := range ids {
		members = append(members, &musterv1.Member{Value: id})
	}
	if _, err := c.Provisioning.PatchGroup(t.Context(), &musterv1.PatchGroupRequest{Id: group, Operations: []*musterv1.PatchOperation{addMembers(members)}}); err != nil {
		t.Fatal(err)
	}
}

// heap is what is in use of the heap of this process.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
