package server

import (
	"context"
	"reflect"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A conn calls the services in the same process. A call takes the same way
// through the interceptors as one over a socket; only the wire is missing.
// Messages are handed over, not copied: a request belongs to the server once it
// is sent, and an answer to the caller.
type conn struct {
	methods map[string]method
	streams map[string]streamMethod
	through grpc.StreamServerInterceptor
	door    door
}

// A door is what a connection in process is for.
type door uint8

const (
	faceDoor    door = iota // the REST face: see Conn
	localDoor               // see LocalConn
	consoleDoor             // see ConsoleConn
)

// A method of a registered service.
type method struct {
	grpc.MethodDesc

	service any
}

// newConn is a connection whose streams go through an interceptor. The unary methods
// that are registered bring theirs along.
func newConn(through grpc.StreamServerInterceptor) *conn {
	return &conn{methods: make(map[string]method), streams: make(map[string]streamMethod), through: through}
}

// RegisterService makes the methods of a service callable.
func (c *conn) RegisterService(desc *grpc.ServiceDesc, service any) {
	for _, m := range desc.Methods {
		c.methods["/"+desc.ServiceName+"/"+m.MethodName] = method{m, service}
	}
	for _, m := range desc.Streams {
		c.streams["/"+desc.ServiceName+"/"+m.StreamName] = streamMethod{m, service}
	}
}

// incoming makes the context of a call of it, as the server sees it.
func (c *conn) incoming(ctx context.Context, stream *transportStream) context.Context {
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	ctx = metadata.NewOutgoingContext(ctx, nil) // the server's own calls are not the client's
	ctx = metadata.NewIncomingContext(ctx, outgoing)
	return grpc.NewContextWithServerTransportStream(ctx, stream)
}

// Invoke calls a method.
func (c *conn) Invoke(ctx context.Context, name string, args, reply any, opts ...grpc.CallOption) error {
	m, ok := c.methods[name]
	if !ok {
		return status.Errorf(codes.Unimplemented, "there is no method %s", name)
	}
	stream := &transportStream{name: name, request: args, door: c.door}
	answer, err := m.Handler(m.service, c.incoming(ctx, stream), func(request any) error {
		handOver(request, args)
		return nil
	}, nil)
	for _, o := range opts {
		switch o := o.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = stream.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = stream.trailer
		}
	}
	if err != nil {
		return status.Convert(err).Err()
	}
	handOver(reply, answer)
	return nil
}

// handOver makes to the message that from is. The two share memory.
func handOver(to, from any) { reflect.ValueOf(to).Elem().Set(reflect.ValueOf(from).Elem()) }

// transportStream keeps the metadata that a method answers with. The context of a
// call that came through a conn has one.
type transportStream struct {
	name            string
	request         any
	door            door
	header, trailer metadata.MD
}

func (s *transportStream) Method() string { return s.name }

func (s *transportStream) SetHeader(md metadata.MD) error {
	s.header = metadata.Join(s.header, md)
	return nil
}

func (s *transportStream) SendHeader(md metadata.MD) error { return s.SetHeader(md) }

func (s *transportStream) SetTrailer(md metadata.MD) error {
	s.trailer = metadata.Join(s.trailer, md)
	return nil
}
