package server

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/emptypb"
)

// Of all methods of the contract, a role can call those that it may, and no other: a
// viewer can change nothing, and an operator does not administer.
func TestRoles_OnEveryMethod(t *testing.T) {
	s, _ := newServer(t)
	may := map[string]map[action]bool{
		signsIn(t, s, "v", "", viewer):        {read: true, discover: true, adminRead: true, own: true},
		signsIn(t, s, "o", "", operator):      {read: true, discover: true, adminRead: true, own: true, write: true},
		signsIn(t, s, "a", "", administrator): {read: true, discover: true, adminRead: true, own: true, write: true, admin: true},
	}
	refused := 0
	protoregistry.GlobalFiles.RangeFilesByPackage("muster.v1", func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				name := "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
				for secret, may := range may {
					does := policy[name].action
					if may[does] || does == signIn || does == public { // what is allowed the tests of each service call
						continue
					}
					refused++
					expectReason(t, name, callEmpty(withSession(secret), s, name, m.IsStreamingServer()), "forbidden")
				}
			}
		}
		return true
	})
	if refused < 60 {
		t.Errorf("only %d calls: this test looks in the wrong place", refused)
	}
}

// callEmpty calls a method through the console's connection. Who is refused is refused
// before the message is read, so it can be any.
func callEmpty(ctx context.Context, s *Server, method string, streams bool) error {
	conn := s.ConsoleConn()
	if !streams {
		return conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method)
	if err != nil {
		return err
	}
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return stream.RecvMsg(&emptypb.Empty{})
}
