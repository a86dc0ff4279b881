package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sethvargo/go-retry"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Event is something that a watch tells.
type Event struct {
	// SnapshotBegins says that what was known is to be forgotten: all resources come
	// now. Message is nil then.
	SnapshotBegins bool
	// Message is a change, a part of a snapshot, its end, or a heartbeat.
	Message *musterv1.WatchChangesResponse
}

// WatchOptions say what to watch and from where.
type WatchOptions struct {
	Filter *musterv1.ChangeFilter
	// Positions keep how far the watcher has come. Nil: it begins anew each time.
	Positions Positions
	// Snapshot begins with all resources where no position is kept, and where the kept
	// one is gone. Without it a watch begins with the oldest change that there is, and
	// ends with an error where the position is gone.
	Snapshot bool
}

// Watch calls handle for each event, one after another, until ctx ends or handle fails,
// and returns that error. When the stream breaks it begins again, from the last position
// that handle has dealt with: handle gets each change at least once, and none out of
// order. It gets one twice only where the program ended between handling it and keeping
// its position. Errors that waiting does not mend, such as a revoked credential, end it.
func (c *Client) Watch(ctx context.Context, o WatchOptions, handle func(ctx context.Context, e Event) error) error {
	w := &watch{client: c, options: o, handle: handle}
	w.patience()
	if o.Positions != nil {
		var err error
		if w.position, err = o.Positions.Load(ctx); err != nil {
			return fmt.Errorf("reading the position: %w", err)
		}
	}
	for {
		err := w.stream(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isGone(err) && o.Snapshot:
			w.position = 0
			continue
		case !mayPass(err):
			return err
		}
		wait, _ := w.wait.Next()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

type watch struct {
	client   *Client
	options  WatchOptions
	handle   func(ctx context.Context, e Event) error
	position int64
	wait     retry.Backoff
}

// handleError is a failure of the caller's own.
type handleError struct{ error }

func (e handleError) Unwrap() error { return e.error }

// stream follows one stream to its end, which always is an error.
func (w *watch) stream(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	snapshot := w.options.Snapshot && w.position == 0
	stream, err := w.client.Changes.WatchChanges(ctx, &musterv1.WatchChangesRequest{AfterPosition: w.position, Filter: w.options.Filter, Snapshot: snapshot})
	if err != nil {
		return err
	}
	begins := snapshot
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		w.patience() // the server is there: a failure begins a new count
		if begins {  // and only now what was known is to be forgotten
			begins = false
			if err := w.handle(ctx, Event{SnapshotBegins: true}); err != nil {
				return handleError{err}
			}
		}
		if err := w.handle(ctx, Event{Message: message}); err != nil {
			return handleError{err}
		}
		if err := w.advance(ctx, message, &snapshot); err != nil {
			return err
		}
	}
}

// patience begins with short waits again.
func (w *watch) patience() {
	w.wait = retry.WithJitterPercent(20, retry.WithCappedDuration(30*time.Second, retry.NewExponential(200*time.Millisecond)))
}

// advance keeps the position of what was dealt with. In a snapshot nothing is, before
// it is complete.
func (w *watch) advance(ctx context.Context, message *musterv1.WatchChangesResponse, snapshot *bool) error {
	position := w.position
	switch e := message.GetEvent().(type) {
	case *musterv1.WatchChangesResponse_Change:
		if *snapshot {
			return nil
		}
		position = e.Change.GetPosition()
	case *musterv1.WatchChangesResponse_SnapshotComplete:
		*snapshot = false
		position = e.SnapshotComplete.GetPosition()
	case *musterv1.WatchChangesResponse_Heartbeat:
		position = e.Heartbeat.GetPosition()
	}
	if position == w.position {
		return nil
	}
	w.position = position
	if w.options.Positions == nil {
		return nil
	}
	if err := w.options.Positions.Save(ctx, position); err != nil {
		return handleError{fmt.Errorf("keeping the position: %w", err)}
	}
	return nil
}

// isGone tells whether the server no longer has what comes after the position.
func isGone(err error) bool {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == "muster" && info.GetReason() == "positionGone" {
			return true
		}
	}
	return false
}

// mayPass tells whether another attempt may succeed.
func mayPass(err error) bool {
	if _, own := errors.AsType[handleError](err); own {
		return false
	}
	if errors.Is(err, io.EOF) {
		return true
	}
	switch status.Code(err) {
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.Unimplemented, codes.OutOfRange, codes.NotFound:
		return false
	default:
		return true
	}
}
