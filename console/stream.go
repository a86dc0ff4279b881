package console

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Limits of what browsers follow.
const (
	maxStreams   = 256
	quietTime    = 15 * time.Second // after which a sign of life is sent
	maxStreaming = time.Hour        // then the browser comes again, and the session is looked at anew
)

// streams are all that are followed at the moment.
type streams struct {
	places   chan struct{}
	stopping chan struct{}
	end      func()
}

func newStreams() *streams {
	s := &streams{places: make(chan struct{}, maxStreams), stopping: make(chan struct{})}
	s.end = sync.OnceFunc(func() { close(s.stopping) })
	return s
}

// An event is one thing that a stream tells a page: HTML that is put into the element
// with data-stream, or at its place by the event's name (see assets/console.js).
type event struct {
	ID   string // where to go on when the connection breaks: lastEvent
	Name string // empty: "message"
	HTML string
}

// lastEvent is the ID of the last event that a browser had which comes again; empty: it
// comes for the first time.
func (v *visit) lastEvent() string { return v.Header.Get("Last-Event-ID") }

// stream sends events to a page for as long as it is open (Server-Sent Events). follow
// is called with a context that ends when nobody reads any more, and calls send with what
// there is; what it waits for is most often a stream of the core. A browser whose
// connection breaks, or whose stream ends, comes again by itself.
func (v *visit) stream(follow func(ctx context.Context, send func(event) error) error) error {
	select {
	case v.streams.places <- struct{}{}:
		defer func() { <-v.streams.places }()
	default:
		return status.Error(codes.ResourceExhausted, "too many pages follow something at once")
	}
	ctx, cancel := context.WithTimeout(v.Context(), maxStreaming)
	defer cancel()
	s := &sending{w: v.w, control: http.NewResponseController(v.w)}
	if err := s.begin(); err != nil {
		return err
	}
	var alive sync.WaitGroup
	alive.Go(func() { s.keepAlive(ctx, cancel, v.streams.stopping) })
	defer alive.Wait() // nobody writes when the answer has ended
	defer cancel()
	err := follow(ctx, s.send)
	if ctx.Err() == nil && status.Code(err) == codes.Unauthenticated {
		_ = s.send(event{Name: "ended"}) // the page is loaded anew, and leads to the sign-in
	} else if ctx.Err() == nil && err != nil {
		v.log.Info("a stream ended", "path", v.URL.Path, "request_id", v.id, "cause", err.Error())
	}
	return nil // the answer has begun: there is no other to give
}

// sending writes events, one at a time.
type sending struct {
	mu      sync.Mutex
	w       http.ResponseWriter
	control *http.ResponseController
}

func (s *sending) begin() error {
	if err := s.control.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("X-Accel-Buffering", "no") // for proxies that would keep it back
	return s.write("retry: 2000\n\n")
}

func (s *sending) send(e event) error {
	var b strings.Builder
	if e.ID != "" {
		fmt.Fprintf(&b, "id: %s\n", e.ID)
	}
	if e.Name != "" {
		fmt.Fprintf(&b, "event: %s\n", e.Name)
	}
	for line := range strings.Lines(e.HTML) {
		b.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
	}
	if e.HTML == "" {
		b.WriteString("data:\n")
	}
	return s.write(b.String() + "\n")
}

func (s *sending) write(text string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.w.Write([]byte(text)); err != nil {
		return err
	}
	return s.control.Flush()
}

// keepAlive writes a sign of life now and then, and ends the stream where that fails or
// the server stops.
func (s *sending) keepAlive(ctx context.Context, cancel func(), stopping <-chan struct{}) {
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stopping:
			return
		case <-time.After(quietTime):
			if s.write(":\n\n") != nil {
				return
			}
		}
	}
}
