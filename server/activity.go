package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Activity is what a server is told of what it keeps of the exchanges of clients. The
// zero Activity keeps the bodies of errors only.
type Activity struct {
	// Off: no exchange is kept. Traffic is counted in any case.
	Off bool
	// Bodies is of how many exchanges of a tenant, each second, the bodies are kept
	// beside those of errors. Less than 0: no body is kept at all.
	Bodies int
}

// How many exchanges are kept of one tenant. More are left out, and counted.
var (
	keptOthers = Rate{50, 100}  // that succeeded
	keptErrors = Rate{100, 500} // of callers that were let in
	// Of callers that were not, from one address and in all: anybody can make them.
	keptStrangers    = Rate{2, 30}
	keptAllStrangers = Rate{30, 300}
)

const (
	// maxAwaited is how many exchanges, and how many bytes of their bodies, wait to be
	// written. More are left out: no client waits for this.
	maxAwaited      = 2048
	maxAwaitedBytes = 4 << 20
	// gather is how long exchanges are gathered before they are written together.
	gather = 200 * time.Millisecond
)

// An activity notes what clients ask and are answered: it counts each request, and
// keeps exchanges in the background, many at once. The REST face hands its exchanges
// back as it does for recordings; those of gRPC are noted where they end.
type activity struct {
	Activity

	store   *store.Store
	log     *slog.Logger
	server  string // what this server is called where there are several
	traffic *traffic
	metrics *metrics

	mu        sync.Mutex
	sampled   buckets[int64] // by tenant
	others    buckets[int64]
	errors    buckets[int64]
	strangers buckets[netip.Addr]
	stranger  buckets[int64]
	leftOut   map[int64]int64 // since the last one of the tenant that is kept
	secrets   map[int64]*secretNames
	waiting   []pending
	bytes     int
	done      chan struct{} // closed when nothing waits; nil: nothing does
	hurry     chan struct{} // has a token when somebody waits for done
	grown     chan struct{} // closed, and made anew, when some were written
}

// A pending exchange waits to be written.
type pending struct {
	store.Exchange

	letIn bool
	shown string             // the Authorization header
	raw   *musterv1.Exchange // with the bodies, where they are kept
	base  string
}

func newActivity(st *store.Store, log *slog.Logger, options Activity, m *metrics) *activity {
	host, err := os.Hostname()
	if err != nil {
		host = "server"
	}
	a := &activity{
		Activity: options, store: st, log: log, metrics: m, server: host + "-" + strings.ToLower(rand.Text()[:4]),
		leftOut: make(map[int64]int64), secrets: make(map[int64]*secretNames), hurry: make(chan struct{}, 1), grown: make(chan struct{}),
	}
	a.strangers.most = maxThrottled
	a.traffic = newTraffic(st, log, a.server)
	return a
}

// intercept notes calls over a socket. What comes in process is noted when the REST
// face hands it back with what it is told here; what an operator does on the database
// or in the console is no client's.
func (a *activity) intercept(ctx context.Context, c *call) error {
	began := time.Now()
	err := c.proceed(ctx)
	if c.isInternal() || isLocal(ctx) || isConsole(ctx) || policy[c.method].action == public {
		return err
	}
	n := notedOf(c, err)
	a.learn(c, err)
	if !c.inProcess {
		a.noteGRPC(c, &n, began, err) //nolint:contextcheck // it is written later, in the background
		return err
	}
	told := metadata.MD{handBackKey: {n.text()}}
	if err == nil && a.samples(c) {
		told[sampledKey] = []string{"1"}
	}
	_ = grpc.SetHeader(ctx, told) // in process it does not fail
	return err
}

// samples tells whether the bodies of a call that succeeds are kept.
func (a *activity) samples(c *call) bool {
	switch policy[c.method].action {
	case read, write, discover:
	case public, admin, adminRead, internal, signIn, own:
		return false
	}
	if a.Off || a.Bodies <= 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sampled.take(c.principal.Tenant.ID(), Rate{float64(a.Bodies), a.Bodies}, time.Now())
}

// take takes one from a bucket, or tells that there is none.
func (b *buckets[K]) take(key K, r Rate, now time.Time) bool {
	found := b.bucket(key, r, now)
	if found.wait(now) > 0 {
		return false
	}
	found.take(1, now)
	return true
}

// learn learns which attributes of a tenant are secrets.
func (a *activity) learn(c *call, err error) {
	id, catalog := c.principal.Tenant.ID(), c.principal.Tenant.Catalog()
	if catalog == nil || c.cause != "" || scim.ReasonOf(err) == scim.Unauthenticated {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.secrets[id]; known == nil || known.of != catalog {
		if len(a.secrets) >= maxUses {
			clear(a.secrets) // they are found again
		}
		a.secrets[id] = secretsOf(catalog)
	}
}

// keep takes an exchange, unless there are too many.
func (a *activity) keep(p pending) {
	if a.Off {
		return
	}
	if a.Bodies < 0 || !p.letIn && p.shown == "" {
		p.raw = nil
	}
	p.Server = a.server
	size := len(p.raw.GetRequestBody()) + len(p.raw.GetAnswerBody())
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.admits(&p) || len(a.waiting) >= maxAwaited || a.bytes+size > maxAwaitedBytes {
		a.leftOut[p.TenantID]++
		return
	}
	p.LeftOut = a.leftOut[p.TenantID]
	delete(a.leftOut, p.TenantID)
	a.waiting, a.bytes = append(a.waiting, p), a.bytes+size
	if a.done == nil {
		a.done = make(chan struct{})
		go a.drain(context.Background())
	}
}

// admits tells whether one more is kept of its kind.
func (a *activity) admits(p *pending) bool {
	now := time.Now()
	switch {
	case p.letIn && p.Status < 400:
		return a.others.take(p.TenantID, keptOthers, now)
	case p.letIn:
		return a.errors.take(p.TenantID, keptErrors, now)
	}
	address, _ := netip.ParseAddr(p.Address)
	return a.strangers.take(network(address).Addr(), keptStrangers, now) && a.stranger.take(store.NoTenant, keptAllStrangers, now)
}

// drain writes until nothing waits.
func (a *activity) drain(ctx context.Context) {
	for {
		select {
		case <-time.After(gather):
		case <-a.hurry:
		}
		a.mu.Lock()
		batch := a.waiting
		a.waiting, a.bytes = nil, 0
		if len(batch) == 0 {
			close(a.done)
			a.done = nil
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
		a.write(ctx, batch)
	}
}

// maxActivityDelay is how long it is tried to write exchanges while the database does
// not take them. Then they are left out.
const maxActivityDelay = 10 * time.Second

// write writes a batch, and tells those who follow.
func (a *activity) write(ctx context.Context, batch []pending) {
	all := make([]store.Exchange, len(batch))
	for i := range batch {
		a.finish(ctx, &batch[i])
		all[i] = batch[i].Exchange
	}
	pause := 50 * time.Millisecond
	for since := time.Now(); ; pause *= 2 {
		err := a.store.AddExchanges(ctx, all)
		if err == nil {
			break
		}
		if scim.ReasonOf(err) != scim.Unavailable || time.Since(since)+pause > maxActivityDelay {
			a.log.Error("exchanges could not be written; the next that is kept says how many", "exchanges", len(all), "cause", err)
			a.lose(all)
			return
		}
		time.Sleep(pause)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	close(a.grown)
	a.grown = make(chan struct{})
}

// lose counts exchanges that could not be written as left out.
func (a *activity) lose(all []store.Exchange) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range all {
		a.leftOut[all[i].TenantID] += 1 + all[i].LeftOut
	}
}

// written is closed when exchanges were written since it was asked for.
func (a *activity) written() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.grown
}

// flush waits until what waits is written, or ctx ends.
func (a *activity) flush(ctx context.Context) error {
	if err := a.traffic.flush(ctx); err != nil {
		return err
	}
	for {
		a.mu.Lock()
		done := a.done
		a.mu.Unlock()
		if done == nil {
			return nil
		}
		select {
		case a.hurry <- struct{}{}:
		default:
		}
		select {
		case <-done:
			return nil
		case <-time.After(gather / 4):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
