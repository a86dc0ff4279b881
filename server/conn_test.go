package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A stream in process says what one over a socket says, header and end included.
func TestConn_StreamsAsOverASocket(t *testing.T) {
	s, ctx, _, ids := company(t)
	read := func(conn grpc.ClientConnInterface) string {
		stream, err := musterv1.NewDirectoryServiceClient(conn).StreamMembers(ctx, &musterv1.StreamMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: ids["inner"]}}})
		if err != nil {
			t.Fatal(err)
		}
		header, err := stream.Header()
		if err != nil {
			t.Fatal(err)
		}
		var members []string
		for {
			out, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return fmt.Sprint(members, header.Get(tenantKey), header.Get(credentialKey))
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range out.GetMembers() {
				members = append(members, m.GetValue())
			}
		}
	}
	inProcess, socket := read(s.Conn()), read(overSocket(t, s))
	if inProcess != socket || inProcess != fmt.Sprint([]string{ids["Ada"]}, []string{"default"}, []string{"test"}) {
		t.Errorf("in process: %s\nover a socket: %s", inProcess, socket)
	}
}

// A stream in process goes through the interceptors: nobody is let in without a credential.
func TestConn_StreamRefused(t *testing.T) {
	s, ctx := newServer(t)
	for _, test := range []struct {
		ctx  context.Context
		want codes.Code
	}{
		{context.Background(), codes.Unauthenticated},
		{metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer wrong"), codes.Unauthenticated},
		{ctx, codes.NotFound},
	} {
		stream, err := musterv1.NewDirectoryServiceClient(s.Conn()).StreamMembers(test.ctx, &musterv1.StreamMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: "none"}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = stream.Recv(); status.Code(err) != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	err := s.Conn().Invoke(ctx, "/muster.v1.DirectoryService/StreamMembers", &musterv1.StreamMembersRequest{}, &musterv1.StreamMembersResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("a stream called as if it were none: %v", err)
	}
}

// A stream in process comes as things happen, and ends when its reader goes.
func TestConn_StreamFollowsAndEnds(t *testing.T) {
	s, calling := newServer(t)
	ctx, cancel := context.WithCancel(calling)
	stream, err := musterv1.NewChangeServiceClient(s.Conn()).WatchChanges(ctx, &musterv1.WatchChangesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	p := musterv1.NewProvisioningServiceClient(s.Conn())
	for _, name := range []string{"ada", "bob"} {
		if _, err := p.CreateUser(calling, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name}}); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil || out.GetChange().GetUser().GetUserName() != name {
			t.Fatalf("got %v, %v", out, err)
		}
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("a stream whose reader is gone: %v", err)
	}
	ended := stream.(interface{ Header() (metadata.MD, error) })
	if _, err := ended.Header(); err != nil {
		t.Error(err)
	}
	stream, err = musterv1.NewChangeServiceClient(s.Conn()).WatchChanges(calling, &musterv1.WatchChangesRequest{AfterPosition: 2})
	if err != nil {
		t.Fatal(err)
	}
	stopping, done := context.WithTimeout(context.Background(), 10*time.Second)
	defer done()
	if err := s.Shutdown(stopping); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("a stream of a server that stops: %v", err)
	}
}
