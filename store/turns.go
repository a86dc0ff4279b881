package store

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Turns let a bounded number of pieces of work be done at once, fairly between
// tenants: of those that wait, the tenant of which the fewest are being done is
// next, of several the one that has had no turn for the longest time, and within a
// tenant what came first. So a tenant that asks for very
// much waits for itself, and one that asks for little waits for one piece of work to
// end at most. The zero tenant is the server itself.
type Turns struct {
	total   int // at work
	waiting int // at most

	mu      sync.Mutex
	working int
	queued  int
	lines   map[int64]*line
	begun   int64 // how many did, ever
}

// A line is those of one tenant.
type line struct {
	each    int // at work, at most
	working int
	latest  int64 // which one began last, of all
	waiting []*turn
}

// A turn that is waited for: what comes is whether it may begin.
type turn struct{ told chan bool }

// NewTurns makes turns of which total are taken at once, while at most waiting more
// are waited for.
func NewTurns(total, waiting int) *Turns {
	return &Turns{total: total, waiting: waiting, lines: make(map[int64]*line)}
}

// errBusy is said where too many wait already, or one waited too long.
var errBusy = scim.Errorf(scim.RateLimited, "too many requests are being worked on; try again later")

// Take waits for a turn of a tenant, which done ends; done must be called once. No
// more than each turns are the tenant's at once. It fails with RateLimited where the
// wait would be longer than patience (0: there is no bound) or too many wait: then
// the tenant of which the most do loses the one that came last.
func (t *Turns) Take(ctx context.Context, tenant int64, each int, patience time.Duration) (done func(), err error) {
	t.mu.Lock()
	l := t.lines[tenant]
	if l == nil {
		l = &line{}
		t.lines[tenant] = l
	}
	l.each = each
	done = func() { t.end(tenant, l) }
	if t.working < t.total && l.working < each && len(l.waiting) == 0 { // none of another tenant could begin, or it would have
		t.begin(l)
		t.mu.Unlock()
		return done, nil
	}
	mine := t.queue(l)
	t.forget(tenant, l)
	t.mu.Unlock()
	if mine == nil {
		return nil, errBusy
	}
	if err := t.await(ctx, mine, l, patience); err != nil {
		t.mu.Lock()
		t.forget(tenant, l)
		t.mu.Unlock()
		return nil, err
	}
	return done, nil
}

// Waiting is how many turns are waited for.
func (t *Turns) Waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.queued
}

// begin counts a turn that begins.
func (t *Turns) begin(l *line) {
	t.begun++
	t.working++
	l.working++
	l.latest = t.begun
}

// queue adds a turn to a line, or returns nil where too many wait.
func (t *Turns) queue(l *line) *turn {
	if t.queued >= t.waiting {
		longest := l
		for _, other := range t.lines {
			if len(other.waiting) > len(longest.waiting)+1 {
				longest = other
			}
		}
		if longest == l {
			return nil
		}
		last := longest.waiting[len(longest.waiting)-1]
		longest.waiting = longest.waiting[:len(longest.waiting)-1]
		t.queued--
		last.told <- false
	}
	mine := &turn{told: make(chan bool, 1)}
	l.waiting = append(l.waiting, mine)
	t.queued++
	return mine
}

// await waits until a turn may begin.
func (t *Turns) await(ctx context.Context, mine *turn, l *line, patience time.Duration) error {
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	failed := error(errBusy)
	select {
	case begin := <-mine.told:
		if begin {
			return nil
		}
		return errBusy
	case <-late:
	case <-ctx.Done():
		failed = ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(l.waiting, mine); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
		t.queued--
		return failed
	}
	if <-mine.told { // just now
		return nil
	}
	return errBusy
}

// end gives a turn back, and lets begin who is next.
func (t *Turns) end(tenant int64, l *line) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l.working--
	t.working--
	for t.working < t.total {
		next := t.next()
		if next == nil {
			break
		}
		first := next.waiting[0]
		next.waiting = next.waiting[1:]
		t.queued--
		t.begin(next)
		first.told <- true
	}
	t.forget(tenant, l)
}

// next is the line whose first turn is to begin, or nil.
func (t *Turns) next() *line {
	if t.queued == 0 {
		return nil
	}
	var best *line
	for _, l := range t.lines {
		if len(l.waiting) == 0 || l.working >= l.each {
			continue
		}
		if best == nil || l.working < best.working || l.working == best.working && l.latest < best.latest {
			best = l
		}
	}
	return best
}

// forget lets go of a line that is empty.
func (t *Turns) forget(tenant int64, l *line) {
	if l.working == 0 && len(l.waiting) == 0 {
		delete(t.lines, tenant)
	}
}
