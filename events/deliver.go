package events

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/muster-scim/muster/store"
)

// Options are what a delivery can be told. The zero Options work.
type Options struct {
	// Private: receivers may be at private addresses and on this machine.
	Private bool
	// TLS is for connections to receivers. Nil: the system's.
	TLS *tls.Config
	// Timeout is of one attempt.
	Timeout time.Duration
	// FirstWait is how long after a first failure an event is tried again; each further
	// wait is about twice as long, and at most LongestWait.
	FirstWait, LongestWait time.Duration
	// An event that failed so many Attempts is given up, if the receiver accepted others
	// since the first of them; and in any case one that is being tried for MaxAge.
	Attempts int
	MaxAge   time.Duration
	// Lease is for how long a server delivers a subscription alone after it was last heard
	// of. Look is how often it looks for subscriptions.
	Lease, Look time.Duration
	// Log is told when a subscription begins to fail, and ends to. Nil: no log.
	Log *slog.Logger
}

// orDefaults are the options with the defaults for those that are zero.
func (o Options) orDefaults() Options {
	setDefault(&o.Timeout, 10*time.Second)
	setDefault(&o.FirstWait, time.Second)
	setDefault(&o.LongestWait, 5*time.Minute)
	setDefault(&o.MaxAge, 72*time.Hour)
	setDefault(&o.Lease, 30*time.Second)
	setDefault(&o.Look, time.Second)
	setDefault(&o.Attempts, 20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func setDefault[T comparable](value *T, otherwise T) {
	if zero := *new(T); *value == zero {
		*value = otherwise
	}
}

// takenAtOnce is how many subscriptions that nobody delivers a server takes at one look:
// few, so that servers which start together share them.
const takenAtOnce = 4

// faultPause is how long a subscription rests whose delivery met a fault of this server or
// its database.
const faultPause = 5 * time.Second

// A Delivery sends the tokens of subscriptions to their receivers. Each server of a
// database has one; they share the subscriptions by leases.
type Delivery struct {
	store   *store.Store
	tokens  *Tokens
	options Options
	pusher  *pusher
	owner   string // what its leases are called
	runs    map[int64]*underway
	ended   sync.WaitGroup
	meter   meter
}

// underway is a subscription that is being delivered.
type underway struct {
	revision int64
	stop     context.CancelFunc
	done     chan struct{}
	mu       sync.Mutex
	until    time.Time // the end of the lease
}

// leased tells until when the lease is good.
func (u *underway) leased() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.until
}

func (u *underway) extend(until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.until = until
}

// NewDelivery makes a delivery. It does nothing before Run.
func NewDelivery(st *store.Store, tokens *Tokens, o Options) *Delivery {
	o = o.orDefaults()
	return &Delivery{store: st, tokens: tokens, options: o, pusher: newPusher(o), owner: strings.ToLower(rand.Text()), runs: make(map[int64]*underway)}
}

// Run delivers until ctx ends, and then gives its leases back, so that other servers go
// on at once.
func (d *Delivery) Run(ctx context.Context) {
	renewed := time.Now()
	look := time.NewTicker(d.options.Look)
	defer look.Stop()
	for ctx.Err() == nil {
		if time.Since(renewed) > d.options.Lease/3 && len(d.runs) > 0 {
			until := time.Now().Add(d.options.Lease)
			if err := d.store.RenewLeases(ctx, d.owner, until); err == nil {
				renewed = time.Now()
				for _, u := range d.runs {
					u.extend(until)
				}
			} else {
				d.complain(ctx, "renewing the leases of subscriptions failed", err)
			}
		}
		if err := d.look(ctx); err != nil {
			d.complain(ctx, "looking for subscriptions failed; it is tried again", err)
		}
		select {
		case <-look.C:
		case <-ctx.Done():
		}
	}
	d.ended.Wait()
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := d.store.RenewLeases(ending, d.owner, time.Now()); err != nil { // as of now they have passed
		d.complain(ending, "giving back the leases of subscriptions failed", err)
	}
}

// complain writes down what went wrong, unless that is only the end.
func (d *Delivery) complain(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		d.options.Log.Error(what, "error", err)
	}
}

// look begins what there is to deliver, anew where an administrator has changed it, and
// ends what is not this server's to deliver any more.
func (d *Delivery) look(ctx context.Context) error {
	all, err := d.store.Deliveries(ctx, d.owner, time.Now().Add(d.options.Lease), takenAtOnce)
	if err != nil {
		return err
	}
	present := make(map[int64]bool, len(all))
	for _, found := range all {
		present[found.ID] = true
		u := d.runs[found.ID]
		if u != nil && u.revision == found.Revision && !u.isDone() {
			continue
		}
		if u != nil {
			u.end()
			continue // it is read anew at the next look, with what the end of it has written
		}
		d.begin(ctx, found)
	}
	for id, u := range d.runs {
		if !present[id] || u.isDone() {
			u.end()
			delete(d.runs, id)
		}
	}
	return nil
}

func (d *Delivery) begin(ctx context.Context, found store.Delivery) {
	ctx, stop := context.WithCancel(ctx)
	u := &underway{revision: found.Revision, stop: stop, done: make(chan struct{}), until: found.Until}
	d.runs[found.ID] = u
	d.ended.Go(func() {
		defer close(u.done)
		defer stop()
		r := &run{delivery: d, sub: found.Subscription, tenantName: found.Tenant, lease: u}
		if err := r.run(ctx); err != nil {
			d.complain(ctx, "delivering the subscription "+found.Tenant+"/"+found.Name+" was interrupted; it begins anew", err)
			select { // a fault that stays is not complained of all the time
			case <-time.After(faultPause):
			case <-ctx.Done():
			}
		}
	})
}

func (u *underway) isDone() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// end ends a run and waits for it.
func (u *underway) end() {
	u.stop()
	<-u.done
}
