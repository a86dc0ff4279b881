package server

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// A streamMethod is a method of a registered service that answers with a stream.
type streamMethod struct {
	grpc.StreamDesc

	service any
}

// NewStream calls a method that answers one message with a stream. The method works in a
// goroutine of its own, at most one message ahead of what the caller has read, until it
// has no more to say or ctx ends: one of the two must happen.
func (c *conn) NewStream(ctx context.Context, _ *grpc.StreamDesc, name string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	m, ok := c.streams[name]
	if !ok || m.ClientStreams {
		return nil, status.Errorf(codes.Unimplemented, "a connection in process has no stream %s", name)
	}
	l := &line{transport: &transportStream{name: name, door: c.door}, messages: make(chan any), began: make(chan struct{}), ended: make(chan struct{})}
	l.begin = sync.OnceFunc(func() {
		l.header = l.transport.header
		close(l.began)
	})
	return &reader{line: l, ctx: ctx, call: func() {
		serving, cancel := context.WithCancel(c.incoming(ctx, l.transport))
		defer cancel()
		info := &grpc.StreamServerInfo{FullMethod: name, IsServerStream: true}
		err := c.through(m.service, &writer{line: l, ctx: serving}, info, m.Handler)
		if l.err = io.EOF; err != nil {
			l.err = status.Convert(err).Err()
		}
		l.begin()
		close(l.ended)
	}}, nil
}

// A line is what the two ends of a stream share.
type line struct {
	transport *transportStream
	request   any
	messages  chan any      // handed over one by one
	begin     func()        // tells that the header is complete
	began     chan struct{} // it is
	header    metadata.MD   // what the caller gets: as over a socket, nothing that is set later
	ended     chan struct{} // the method has returned, with err
	err       error
}

// reader is the caller's end: it sends one message and reads the others.
type reader struct {
	*line

	ctx  context.Context //nolint:containedctx // grpc.ClientStream asks for it by method
	call func()
}

func (r *reader) Context() context.Context { return r.ctx }

func (r *reader) SendMsg(m any) error {
	r.request = m
	return nil
}

func (r *reader) CloseSend() error {
	go r.call()
	return nil
}

func (r *reader) RecvMsg(m any) error {
	select {
	case answer := <-r.messages:
		handOver(m, answer)
		return nil
	case <-r.ended:
		return r.err
	case <-r.ctx.Done():
		return status.FromContextError(r.ctx.Err()).Err()
	}
}

func (r *reader) Header() (metadata.MD, error) {
	<-r.began
	return r.header, nil
}

func (r *reader) Trailer() metadata.MD { return r.transport.trailer }

// writer is the method's end.
type writer struct {
	*line

	ctx  context.Context //nolint:containedctx // grpc.ServerStream asks for it by method
	read bool
}

func (w *writer) Context() context.Context        { return w.ctx }
func (w *writer) SetHeader(md metadata.MD) error  { return w.transport.SetHeader(md) }
func (w *writer) SendHeader(md metadata.MD) error { return w.transport.SendHeader(md) }
func (w *writer) SetTrailer(md metadata.MD)       { _ = w.transport.SetTrailer(md) }

func (w *writer) RecvMsg(m any) error {
	if w.read {
		return io.EOF
	}
	w.read = true
	handOver(m, w.request)
	return nil
}

func (w *writer) SendMsg(m any) error {
	w.begin()
	select {
	case w.messages <- m:
		return nil
	case <-w.ctx.Done():
		return status.FromContextError(w.ctx.Err()).Err()
	}
}
