package server

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// What costs a client nothing must not fill the log: of the attempts that one address
// makes in vain, the first of each minute are recorded, and then how many more there
// were.
const (
	floodWindow = time.Minute
	floodFirst  = 20     // events of one source in a window
	maxSources  = 10_000 // beyond, all others count as one
)

// A source is where attempts come from, and why they are refused.
type source struct {
	tenant              int64
	credential, address string
	outcome             string // of a reading, the tenant whose log it was
}

// floods counts the attempts of the present window.
type floods struct {
	queue *auditQueue

	mu     sync.Mutex
	counts map[source]int
	began  time.Time
}

func newFloods(queue *auditQueue) *floods {
	return &floods{queue: queue, counts: make(map[source]int)}
}

// admit tells whether an event is to be recorded. If not it is counted, and the count
// is recorded when the window is over.
func (f *floods) admit(ctx context.Context, e *store.AuditEvent) bool {
	if e.Outcome != scim.Unauthenticated.String() && e.Outcome != scim.RateLimited.String() {
		return true
	}
	of := source{e.TenantID, e.Credential, e.Address, e.Outcome}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.counts) == 0 {
		f.began = e.Time
		time.AfterFunc(floodWindow, func() { f.end(context.WithoutCancel(ctx)) })
	}
	if _, known := f.counts[of]; !known && len(f.counts) >= maxSources {
		of.address, of.credential = "", ""
	}
	f.counts[of]++
	return f.counts[of] <= floodFirst
}

// end ends the window, and records what was left out of it.
func (f *floods) end(ctx context.Context) {
	f.mu.Lock()
	counts, began := f.counts, f.began
	f.counts = make(map[source]int)
	f.mu.Unlock()
	for of, n := range counts {
		if n > floodFirst {
			f.queue.add(ctx, store.AuditEvent{
				TenantID: of.tenant, Time: time.Now(), Credential: of.credential, Address: of.address, Method: "-", Outcome: of.outcome,
				Detail: fmt.Sprintf("%d more attempts since %s, which are not listed one by one", n-floodFirst, began.UTC().Format(time.RFC3339)),
			})
		}
	}
}

// readings are who has read the audit log of late. To follow it would otherwise make it
// grow by itself.
type readings struct {
	mu   sync.Mutex
	last map[source]time.Time
}

// oneReading is how long reading the log again and again is one reading.
const oneReading = time.Hour

// first tells whether a call is the first of a reading.
func (r *readings) first(c *call) bool {
	_, log := c.subject()
	of := source{c.principal.Tenant.ID(), c.principal.Credential.Name + " " + c.operator, c.address.String(), log}
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, known := r.last[of]; known && time.Since(at) < oneReading {
		return false
	}
	if r.last == nil || len(r.last) >= maxSources {
		r.last = make(map[source]time.Time)
	}
	r.last[of] = time.Now()
	return true
}

// flush ends the window and writes what waits, unless ctx ends before.
func (a *auditLog) flush(ctx context.Context) error {
	a.floods.end(ctx)
	return a.queue.flush(ctx)
}
