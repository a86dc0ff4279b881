package server

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits are how much a server does at once, and for whom. They are of one server:
// where several share a database, each counts for itself. The zero Limits limit
// nothing.
type Limits struct {
	// Tenant and Credential are how many requests are admitted of each. A bulk request
	// counts as many as it has operations. Tenants can have other limits of their own.
	Tenant, Credential Rate
	// OfTenant is how many requests of one tenant are worked on at once, and Total of
	// all. More wait a little for their turn, which is given fairly between tenants.
	// 0: any number.
	OfTenant, Total int
	// Streams is how many streams one tenant has at once. They may stay for ever, so
	// they are not counted among the others. 0: any number.
	Streams int
	// FailedLogins is how often one address may fail to show a valid credential.
	FailedLogins FailedLogins
}

// Rate is a token bucket: PerSecond requests in the long run, and Burst at once after
// a quiet time. The zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// patience is how long a request waits for its turn.
const patience = 3 * time.Second

// limits counts what Limits are about.
type limits struct {
	Limits

	turns       *store.Turns
	streams     *store.Turns
	mu          sync.Mutex
	tenants     buckets[int64]
	credentials buckets[int64]
}

func newLimits(l Limits) *limits {
	if l.Total == 0 {
		l.Total = math.MaxInt
	}
	if l.OfTenant == 0 {
		l.OfTenant = math.MaxInt
	}
	if l.Streams == 0 {
		l.Streams = math.MaxInt
	}
	return &limits{Limits: l, turns: store.NewTurns(l.Total, max(l.Total, maxStreams)), streams: store.NewTurns(math.MaxInt, 0)}
}

// limit refuses what is beyond the limits of the caller, and waits for its turn.
func (s *Server) limit(ctx context.Context, c *call) error {
	if c.principal.ID == 0 {
		return c.proceed(ctx) // public
	}
	if err := s.admit(&c.principal, weight(c)); err != nil {
		return err
	}
	done, err := s.limits.begin(ctx, c)
	if err != nil {
		if scim.ReasonOf(err) == scim.RateLimited { // and not the end of the call
			s.metrics.over(limitOf(c))
		}
		return err
	}
	defer done()
	return c.proceed(ctx)
}

// begin waits for the turn of a call, which done ends.
func (l *limits) begin(ctx context.Context, c *call) (done func(), err error) {
	tenant := c.principal.Tenant
	if c.request == nil {
		if done, err = l.streams.Take(ctx, tenant.ID(), l.Streams, patience); scim.ReasonOf(err) == scim.RateLimited {
			err = scim.Errorf(scim.RateLimited, "the tenant has too many streams; end some of them").After(time.Minute)
		}
		return done, err
	}
	each := l.OfTenant
	if own := tenant.Settings().ConcurrentRequests; own != nil {
		if each = int(*own); each <= 0 {
			each = math.MaxInt
		}
	}
	if done, err = l.turns.Take(ctx, tenant.ID(), each, patience); scim.ReasonOf(err) == scim.RateLimited {
		err = scim.Errorf(scim.RateLimited, "too many requests at once; send fewer in parallel").After(time.Second)
	}
	return done, err
}

// limitOf is what begin holds a call to.
func limitOf(c *call) string {
	if c.request == nil {
		return overStreams
	}
	return overTurns
}

// weight is how many requests a call counts as.
func weight(c *call) int {
	if bulk, ok := c.request.(*musterv1.BulkRequest); ok {
		n := min(len(bulk.GetOperations()), c.principal.Tenant.Catalog().Limits().BulkOperations) // with more it is refused
		return max(n, 1)
	}
	return 1
}

// admit takes a request from the buckets of a principal, or fails with RateLimited
// and says when one can be taken. Where a request counts for more than there is, the
// next ones wait for the rest.
func (l *limits) admit(p *store.Principal, weight int, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	tenant := l.tenants.bucket(p.Tenant.ID(), l.Tenant.with(p.Tenant.Settings()), now)
	credential := l.credentials.bucket(p.ID, l.Credential, now)
	if wait := max(tenant.wait(now), credential.wait(now)); wait > 0 {
		return scim.Errorf(scim.RateLimited, "too many requests; try again later").After(wait)
	}
	tenant.take(weight, now)
	credential.take(weight, now)
	return nil
}

// with is the rate of a tenant with these settings.
func (r Rate) with(settings store.TenantSettings) Rate {
	if settings.RequestsPerSecond != nil {
		r.PerSecond = *settings.RequestsPerSecond
	}
	if settings.Burst != nil {
		r.Burst = int(*settings.Burst)
	}
	return r
}

// buckets are token buckets by what they are for. One that is full is as good as a new
// one, so it need not be kept. The zero buckets are ready for use.
type buckets[K comparable] struct {
	of map[K]bucket
	// sweepAt is how many there are before the full ones are looked for.
	sweepAt int
	// most is the most that are kept; 0: any number. Beyond, some are forgotten.
	most int
}

// A bucket is one of them; nil: there is no limit.
type bucket struct{ *rate.Limiter }

// leastSwept is how few buckets are not worth a look.
const leastSwept = 1024

// bucket finds or makes the bucket of a key, for a rate that may have changed.
func (b *buckets[K]) bucket(key K, r Rate, now time.Time) bucket {
	if r.PerSecond <= 0 {
		return bucket{}
	}
	limit, burst := rate.Limit(r.PerSecond), max(r.Burst, 1)
	found, ok := b.of[key]
	if !ok {
		b.sweep(now)
		found = bucket{rate.NewLimiter(limit, burst)}
		b.of[key] = found
	}
	if found.Limit() != limit {
		found.SetLimitAt(now, limit)
	}
	if found.Burst() != burst {
		found.SetBurstAt(now, burst)
	}
	return found
}

// sweep makes room for one more.
func (b *buckets[K]) sweep(now time.Time) {
	if b.of == nil {
		b.of, b.sweepAt = make(map[K]bucket), leastSwept
	}
	if len(b.of) < b.sweepAt {
		return
	}
	for key, one := range b.of {
		if one.TokensAt(now) >= float64(one.Burst()) {
			delete(b.of, key)
		}
	}
	if b.most > 0 {
		for key := range b.of { // whichever
			if len(b.of) <= b.most/2 {
				break
			}
			delete(b.of, key)
		}
	}
	b.sweepAt = max(2*len(b.of), leastSwept)
}

// wait is how long it takes until one can be taken.
func (b bucket) wait(now time.Time) time.Duration {
	if b.Limiter == nil {
		return 0
	}
	missing := 1 - b.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return max(time.Duration(math.Ceil(missing/float64(b.Limit())*1e9)), 1)
}

// take takes n, and what is not there yet of those that come next.
func (b bucket) take(n int, now time.Time) {
	if b.Limiter == nil {
		return
	}
	for most := b.Burst(); n > 0; n -= most {
		b.ReserveN(now, min(n, most))
	}
}
