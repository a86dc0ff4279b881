package events

import (
	"context"
	"errors"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of polling.
const (
	MaxPolled = 100 // tokens in one answer
	// LongPoll is how long an answer waits for tokens.
	LongPoll = 25 * time.Second
	// pollNoted is how often it is written that a receiver polls.
	pollNoted = time.Minute
	// maxAcks is how many tokens one request can acknowledge.
	maxAcks = maxAhead
	// maxConflicts is how often a request begins anew because another one has acknowledged
	// tokens of the same subscription meanwhile.
	maxConflicts = 5
)

// Poll is what a receiver asks (RFC 8936 section 2.2).
type Poll struct {
	Most   int // tokens
	Acks   []string
	Errors map[string]string // reasons, by jti
}

// Polled is the answer.
type Polled struct {
	Tokens map[string]string // by jti
	More   bool
}

// Poll acknowledges tokens of a subscription and hands out those that come next: of each
// resource at most one, so that the receiver cannot change their order. What can be
// no acknowledgement is passed over. It fails with NotFound, with Conflict for a
// subscription that cannot be polled, and with PositionGone where changes that were not
// fetched are no longer kept.
func (t *Tokens) Poll(ctx context.Context, tenant store.Tenant, tenantName, name string, p Poll) (Polled, error) {
	if len(p.Acks)+len(p.Errors) > maxAcks {
		return Polled{}, scim.Errorf(scim.TooMany, "a request acknowledges at most %d tokens", maxAcks)
	}
	for conflicts := 0; ; conflicts++ {
		out, err := t.poll(ctx, tenant, tenantName, name, p)
		if !errors.Is(err, store.ErrLeaseLost) {
			return out, err
		}
		if conflicts == maxConflicts {
			return out, scim.Errorf(scim.Unavailable, "others poll the same subscription; try again").After(time.Second)
		}
	}
}

func (t *Tokens) poll(ctx context.Context, tenant store.Tenant, tenantName, name string, p Poll) (out Polled, err error) {
	sub, err := tenant.Subscription(ctx, name)
	switch {
	case err != nil:
		return out, err
	case sub.Push:
		return out, scim.Errorf(scim.Conflict, "the tokens of %s are sent to its receiver; they cannot be polled", name)
	case sub.Failure != "":
		return out, scim.Errorf(scim.PositionGone, "%s", sub.Failure)
	case sub.Paused:
		return out, scim.Errorf(scim.Conflict, "the subscription %s is paused", name)
	}
	book, err := openLedger(ctx, t.store, tenantName, &sub, t.base)
	if err == nil {
		err = book.fill(ctx, nil)
	}
	if scim.ReasonOf(err) == scim.PositionGone {
		return out, t.fail(ctx, tenant, &sub, err)
	}
	if err != nil {
		return out, err
	}
	if err := t.acknowledge(ctx, tenant, &sub, book, p); err != nil {
		return out, err
	}
	if err := book.fill(ctx, nil); err != nil {
		return out, err
	}
	out.Tokens = make(map[string]string)
	for _, i := range book.heads() {
		if len(out.Tokens) >= p.Most {
			break
		}
		id, token, err := t.Sign(ctx, tenantName, &sub, &i.Event)
		if err != nil {
			return out, err
		}
		out.Tokens[id] = token
	}
	out.More = len(book.items) > len(out.Tokens) || book.more && len(book.items) > 0
	return out, nil
}

// acknowledge takes out what the receiver has, and what it does not accept, and writes
// that if there is something to write.
func (t *Tokens) acknowledge(ctx context.Context, tenant store.Tenant, sub *store.Subscription, book *ledger, p Poll) error {
	c := store.Checkpoint{}
	waiting := make(map[string][]*item, len(book.items)) // a dead letter may be of a change that is replayed
	for _, i := range book.items {
		waiting[jti(sub, &i.Event)] = append(waiting[jti(sub, &i.Event)], i)
	}
	for _, id := range p.Acks {
		for _, i := range waiting[id] { // none: it was acknowledged before
			book.settle(i)
			c.LastSuccess = time.Now()
			if i.letter > 0 {
				c.Delivered = append(c.Delivered, i.letter)
			}
		}
	}
	for id, reason := range p.Errors {
		for _, i := range waiting[id] {
			book.settle(i)
			letter, err := i.deadLetter(reason)
			if err != nil {
				return err
			}
			c.Dead = append(c.Dead, letter)
			c.LastErrorTime, c.LastError = time.Now(), reason
		}
	}
	if len(c.Dead) > 0 {
		if err := roomForDead(ctx, tenant, sub, len(c.Dead)); err != nil {
			return err
		}
	}
	c.Position, c.Progress = book.progress()
	if c.LastSuccess.IsZero() && c.LastErrorTime.IsZero() && time.Since(sub.LastPoll) < pollNoted {
		return nil
	}
	c.LastPoll = time.Now()
	return tenant.SavePoll(ctx, sub, &c)
}

// roomForDead fails where a subscription would have too many dead letters.
func roomForDead(ctx context.Context, tenant store.Tenant, sub *store.Subscription, more int) error {
	counts, err := tenant.CountDeadLetters(ctx)
	if err == nil && counts[sub.ID]+more > store.MaxDeadLetters {
		err = scim.Errorf(scim.Conflict, "the subscription has %d dead letters; retry or discard some before more errors are taken", counts[sub.ID])
	}
	return err
}

// fail notes that a subscription cannot go on, and says how it can.
func (t *Tokens) fail(ctx context.Context, tenant store.Tenant, sub *store.Subscription, cause error) error {
	c := store.Checkpoint{Position: sub.Position, Progress: sub.Progress, Failure: failure(cause)}
	if err := tenant.SavePoll(ctx, sub, &c); err != nil {
		return err
	}
	return scim.Errorf(scim.PositionGone, "%s", c.Failure)
}

// failure is what an operator is told of a position that is gone.
func failure(cause error) string {
	return cause.Error() + ": replay the subscription, from position 0 for all changes that are kept or from now on after the receiver has read everything anew"
}
