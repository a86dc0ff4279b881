package server

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// maxQueued is the most events that wait to be written. More make their calls wait.
const maxQueued = 1024

// maxAuditDelay is how long the queue tries to write while the database does not take
// it. Then the events stand in the server's log only.
const maxAuditDelay = 5 * time.Minute

// An auditQueue writes events in the background, many at once. It is at work only
// while it has some.
type auditQueue struct {
	store *store.Store
	log   *slog.Logger
	slots chan struct{} // one for each event that waits
	lost  atomic.Int64  // events that were given up

	mu      sync.Mutex
	waiting []store.AuditEvent
	done    chan struct{} // closed when the queue is empty; nil: it is
}

func newAuditQueue(st *store.Store, log *slog.Logger) *auditQueue {
	return &auditQueue{store: st, log: log, slots: make(chan struct{}, maxQueued)}
}

// add takes an event. It waits where the queue is full; if ctx ends meanwhile, the
// event stands in the server's log only.
func (q *auditQueue) add(ctx context.Context, e store.AuditEvent) {
	select {
	case q.slots <- struct{}{}:
	default:
		select {
		case q.slots <- struct{}{}:
		case <-ctx.Done():
			q.giveUp(&e, ctx.Err())
			return
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(q.waiting, e)
	if q.done == nil {
		q.done = make(chan struct{})
		go q.drain(store.Acting(context.WithoutCancel(ctx), nil)) // it is nobody's act
	}
}

// drain writes until the queue is empty.
func (q *auditQueue) drain(ctx context.Context) {
	for {
		q.mu.Lock()
		batch := q.waiting
		q.waiting = nil
		if len(batch) == 0 {
			close(q.done)
			q.done = nil
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		q.write(ctx, batch)
		for range batch {
			<-q.slots
		}
	}
}

// write writes events, again where the database could not take them.
func (q *auditQueue) write(ctx context.Context, batch []store.AuditEvent) {
	pause := 50 * time.Millisecond
	for since := time.Now(); ; pause = min(2*pause, 5*time.Second) {
		err := q.store.AddAuditEvents(ctx, batch)
		if err == nil {
			return
		}
		if scim.ReasonOf(err) != scim.Unavailable || time.Since(since)+pause > maxAuditDelay {
			for i := range batch {
				q.giveUp(&batch[i], err)
			}
			return
		}
		time.Sleep(pause)
	}
}

// giveUp puts an event into the server's log.
func (q *auditQueue) giveUp(e *store.AuditEvent, cause error) {
	q.lost.Add(1)
	q.log.Error("an event could not be written to the audit log", "cause", cause, "time", e.Time, "rpc", e.Method, "outcome", e.Outcome,
		"credential", e.Credential, "address", e.Address, "resource_type", e.ResourceType, "resource_id", e.ResourceID, "request_id", e.RequestID)
}

// flush waits until the queue is empty, or ctx ends.
func (q *auditQueue) flush(ctx context.Context) error {
	q.mu.Lock()
	done := q.done
	q.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
