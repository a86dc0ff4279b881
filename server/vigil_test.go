package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// A stream of members ends when its credential is revoked, in the middle of a group.
func TestStreamMembers_Ends(t *testing.T) {
	s, ctx := newServer(t)
	s.recheck = 0 // each time
	p := musterv1.NewProvisioningServiceClient(s.Conn())
	group := &musterv1.Group{DisplayName: "all"}
	var mu sync.Mutex
	var making sync.WaitGroup
	for w := range 20 {
		making.Go(func() {
			for i := range streamChunk / 5 {
				out, err := p.CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: fmt.Sprintf("user-with-a-long-name-%02d-%03d", w, i)}})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				group.Members = append(group.Members, &musterv1.Member{Value: out.GetUser().GetId()})
				mu.Unlock()
			}
		})
	}
	making.Wait()
	made, err := p.CreateGroup(ctx, &musterv1.CreateGroupRequest{Group: group})
	if err != nil {
		t.Fatal(err)
	}
	tenant, err := s.store.Tenant(ctx, DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	hash := HashToken("reader")
	if err := tenant.AddCredential(ctx, store.Credential{Name: "reader", Kind: store.Bearer, Scopes: []string{"scim:Group:read"}}, hash[:]); err != nil {
		t.Fatal(err)
	}
	// A window that does not grow: what the client has not read waits at the server.
	conn, err := grpc.NewClient(overSocket(t, s).Target(), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStaticStreamWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	read := func(revoke bool) (members int, err error) {
		ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer reader")
		stream, err := musterv1.NewDirectoryServiceClient(conn).StreamMembers(ctx, &musterv1.StreamMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: made.GetGroup().GetId()}}})
		if err != nil {
			t.Fatal(err)
		}
		for {
			out, err := stream.Recv()
			if err != nil {
				return members, err
			}
			// The next message or two are on their way already; those behind them are not.
			if members += len(out.GetMembers()); revoke && members == len(out.GetMembers()) {
				if err := tenant.RevokeCredential(context.Background(), "reader"); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if n, err := read(false); n != len(group.GetMembers()) || !errors.Is(err, io.EOF) {
		t.Fatalf("%d members, %v", n, err)
	}
	if n, err := read(true); n == 0 || n == len(group.GetMembers()) || status.Code(err) != codes.Unauthenticated {
		t.Errorf("of a revoked credential: %d members, %v", n, err)
	}
}
