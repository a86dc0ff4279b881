package events

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/sethvargo/go-retry"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// How a subscription is delivered.
const (
	atOnce = 8 // tokens under way
	// savedEvery is how often it is written what became of events: one small write for
	// many of them. What was sent since is sent again after a crash.
	savedEvery = time.Second
	// movedEvery is how often it is written that there was nothing to deliver.
	movedEvery = time.Minute
	// A receiver that has refused events of so many resources, and accepted none since,
	// rests: then one token at a time finds out whether it is back.
	patience = atOnce
	// longestRest of a receiver.
	longestRest = time.Minute
)

// A run is one subscription that is being delivered, from when this server takes it until
// it is changed or taken from it.
type run struct {
	delivery   *Delivery
	sub        store.Subscription
	tenant     store.Tenant
	tenantName string
	lease      *underway

	book     *ledger
	outcomes chan attempt
	busy     int             // attempts under way
	refused  map[string]bool // resources, since the last that was accepted
	restless time.Time
	rest     retry.Backoff

	news  store.Checkpoint // what is to be written
	fresh bool             // there is something
	saved time.Time
	full  bool // there is no room for dead letters
}

// attempt is a token that was sent.
type attempt struct {
	item    *item
	outcome outcome
	err     error // of this server, not of the receiver
}

// run delivers until ctx ends or the subscription cannot go on.
func (r *run) run(ctx context.Context) (err error) {
	if r.tenant, err = r.delivery.store.Tenant(ctx, r.tenantName); err != nil {
		return err
	}
	if r.book, err = openLedger(ctx, r.delivery.store, r.tenantName, &r.sub, r.delivery.tokens.base); err != nil {
		return err
	}
	r.full = roomForDead(ctx, r.tenant, &r.sub, patience) != nil
	defer r.delivery.store.FollowChanges()() //nolint:contextcheck // who looks does so for others, too
	defer r.delivery.meter.forget(r.sub.ID)
	r.outcomes, r.refused, r.saved = make(chan attempt, atOnce), make(map[string]bool), time.Now()
	err = r.follow(ctx)
	for ; r.busy > 0; r.busy-- { // their requests end with ctx
		r.take(ctx, <-r.outcomes)
	}
	if errors.Is(err, store.ErrLeaseLost) {
		return nil
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if r.fresh {
		if late := r.save(ending); late != nil && !errors.Is(late, store.ErrLeaseLost) {
			err = errors.Join(err, late)
		}
	}
	return err
}

func (r *run) follow(ctx context.Context) error {
	grown := r.delivery.store.Grown()
	for {
		if err := r.book.fill(ctx, r.sub.Progress.Tries); err != nil {
			return r.gone(ctx, err)
		}
		wait := r.launch(ctx)
		r.delivery.meter.note(r.sub.ID, r.book.items)
		if err := r.saveIfDue(ctx); err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case a := <-r.outcomes:
			r.busy--
			r.take(ctx, a)
		case <-grown:
			grown, r.book.more = r.delivery.store.Grown(), true
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// gone notes that changes which were not delivered are no longer kept.
func (r *run) gone(ctx context.Context, err error) error {
	if scim.ReasonOf(err) != scim.PositionGone {
		return err
	}
	r.news.Failure, r.fresh = failure(err), true
	r.delivery.options.Log.Error("a subscription cannot go on", "subscription", r.name(), "reason", r.news.Failure)
	return r.save(ctx)
}

func (r *run) name() string { return r.tenantName + "/" + r.sub.Name }

// launch sends what may be sent, and tells for how long there is nothing else to do.
func (r *run) launch(ctx context.Context) (wait time.Duration) {
	now, wait, most := time.Now(), savedEvery, atOnce
	if len(r.refused) >= patience {
		most = 1
	}
	if rest := r.restless.Sub(now); rest > 0 {
		return min(rest, wait)
	}
	// Once the lease may have passed before the receiver has answered, another server
	// could be sending too.
	if r.lease.leased().Sub(now) < r.delivery.options.Timeout {
		return min(wait, r.delivery.options.Look)
	}
	for _, i := range r.book.heads() {
		if r.busy >= most {
			break
		}
		if i.busy {
			continue
		}
		if due := i.due.Sub(now); due > 0 {
			wait = min(wait, due)
			continue
		}
		i.busy = true
		r.busy++
		go r.try(ctx, i)
	}
	return wait
}

// try sends one token.
func (r *run) try(ctx context.Context, i *item) {
	_, token, err := r.delivery.tokens.Sign(ctx, r.tenantName, &r.sub, &i.Event)
	a := attempt{item: i, err: err}
	if err == nil {
		a.outcome = r.delivery.pusher.send(ctx, &r.sub, token)
	}
	r.outcomes <- a
}

// take notes what became of an attempt.
func (r *run) take(ctx context.Context, a attempt) {
	i, now := a.item, time.Now()
	i.busy = false
	switch {
	case a.err != nil:
		i.due = now.Add(r.delivery.options.FirstWait)
		r.delivery.complain(ctx, "signing a token failed", a.err)
	case a.outcome.accepted:
		r.accept(i, now)
	case ctx.Err() != nil: // it was cut off, which is not the receiver's fault
	default:
		r.refuse(i, a.outcome, now)
	}
}

func (r *run) accept(i *item, now time.Time) {
	r.delivery.meter.accepted.Add(1)
	if len(r.refused) >= patience {
		r.delivery.options.Log.Info("a receiver of events is back", "subscription", r.name())
	}
	r.rest = nil
	clear(r.refused)
	r.book.settle(i)
	if i.letter > 0 {
		r.news.Delivered = append(r.news.Delivered, i.letter)
	}
	r.news.LastSuccess, r.sub.LastSuccess, r.fresh = now, now, true
}

// refuse decides when an event is tried again, or whether it is given up.
func (r *run) refuse(i *item, o outcome, now time.Time) {
	options := &r.delivery.options
	r.delivery.meter.refused.Add(1)
	if i.try.Attempts++; i.try.First == 0 {
		i.try.First = now.UnixMilli()
	}
	i.due = now.Add(options.wait(i.try.Attempts))
	r.news.LastErrorTime, r.news.LastError, r.fresh = now, o.reason, true
	if r.refused[i.ResourceID] = true; len(r.refused) >= patience {
		r.pause(now, o.reason)
	}
	if o.retryAfter > 0 {
		r.restless = now.Add(o.retryAfter)
	}
	first := time.UnixMilli(i.try.First)
	hopeless := i.try.Attempts >= options.Attempts && r.sub.LastSuccess.After(first)
	if !hopeless && now.Sub(first) < options.MaxAge {
		return
	}
	if r.full {
		r.news.LastError += "; it would be given up, but there is no room for more dead letters: retry or discard some"
		return
	}
	letter, err := i.deadLetter(o.reason)
	if err != nil {
		return
	}
	r.news.Dead = append(r.news.Dead, letter)
	r.delivery.meter.givenUp.Add(1)
	r.book.settle(i)
	options.Log.Warn("an event is given up", "subscription", r.name(), "resource", i.ResourceType+"/"+i.ResourceID, "position", i.Position, "attempts", i.try.Attempts, "reason", o.reason)
}

// pause lets a receiver rest that refuses everything, longer each time.
func (r *run) pause(now time.Time, reason string) {
	if now.Before(r.restless) { // of those that were under way together, one counts
		return
	}
	if r.rest == nil {
		r.rest = retry.WithJitterPercent(20, retry.WithCappedDuration(longestRest, retry.NewExponential(r.delivery.options.FirstWait)))
		r.delivery.options.Log.Warn("a receiver of events refuses everything", "subscription", r.name(), "reason", reason)
	}
	wait, _ := r.rest.Next() // it never ends
	r.restless = now.Add(wait)
}

// wait is how long an event waits after so many attempts.
func (o Options) wait(attempts int) time.Duration {
	b := retry.WithJitterPercent(25, retry.WithCappedDuration(o.LongestWait, retry.NewExponential(o.FirstWait)))
	wait := o.FirstWait
	for range min(attempts, 60) {
		wait, _ = b.Next()
	}
	return wait
}

// saveIfDue writes what became of events, if it is time.
func (r *run) saveIfDue(ctx context.Context) error {
	due := time.Since(r.saved) >= savedEvery && r.fresh || len(r.news.Dead) > 0
	if !due && (time.Since(r.saved) < movedEvery || r.book.position() == r.sub.Position) {
		return nil
	}
	return r.save(ctx)
}

// save writes what became of events.
func (r *run) save(ctx context.Context) error {
	if len(r.news.Dead) > 0 {
		r.news.LastError = r.news.LastError + " (event " + strconv.FormatInt(r.news.Dead[len(r.news.Dead)-1].Position, 10) + " is given up)"
	}
	r.news.Position, r.news.Progress = r.book.progress()
	if err := r.tenant.SaveDelivery(ctx, r.delivery.owner, &r.sub, &r.news); err != nil {
		return err
	}
	r.sub.Position, r.sub.Progress = r.news.Position, r.news.Progress
	dead := len(r.news.Dead) > 0
	r.news, r.fresh, r.saved = store.Checkpoint{Failure: r.news.Failure}, false, time.Now()
	if !dead {
		return nil
	}
	r.full = roomForDead(ctx, r.tenant, &r.sub, patience) != nil
	return nil
}
