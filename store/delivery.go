package store

import (
	"context"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Servers share the subscriptions with delivery by push by leases: a row says which
// server delivers, and until when it alone may. A server that is gone renews no lease, so
// another takes it over. What a server has done is written with the condition that the
// lease is still its own and that no administrator has changed the subscription.

// ErrLeaseLost is that of who writes what became of a subscription which it does not
// deliver any more, or which was changed meanwhile. It reads it anew.
var ErrLeaseLost = scim.Errorf(scim.Conflict, "the subscription was changed meanwhile")

// Checkpoint is what became of the events of a subscription.
type Checkpoint struct {
	Position int64
	Progress Progress
	// Failure is why it cannot go on; empty: it can.
	Failure string
	// LastSuccess and LastError are news; zero: none.
	LastSuccess, LastErrorTime, LastPoll time.Time
	LastError                            string
	// Dead are events that are given up.
	Dead []DeadLetter
	// Delivered are the ids of dead letters that were accepted.
	Delivered []int64
}

// Delivery is a subscription that a server delivers, with its tenant.
type Delivery struct {
	Subscription

	Tenant string // its name
	// Until is when the lease ends.
	Until time.Time
}

// Deliveries are the subscriptions that the server delivers: those whose lease it has,
// and at most so many others that nobody has, whose lease it takes until a moment.
func (s *Store) Deliveries(ctx context.Context, owner string, until time.Time, most int) (all []Delivery, err error) {
	at := now()
	st := s.statement()
	st.add("SELECT "+subscriptionColumns+", t.name, coalesce(s.lease_until, 0), coalesce(s.lease_owner, '') = ", arg{owner}, " AND coalesce(s.lease_until, 0) > ", arg{at},
		" FROM subscriptions s JOIN tenants t ON t.id = s.tenant_id WHERE s.push AND NOT s.paused AND s.failure IS NULL AND t.state IS NULL AND (s.lease_owner = ", arg{owner},
		" OR coalesce(s.lease_until, 0) <= ", arg{at}, ") ORDER BY s.id")
	var free []Delivery
	err = s.read(ctx, st, func(scan scan) error {
		var d Delivery
		var own bool
		var leased int64
		var err error
		d.Subscription, err = readSubscription(func(dest ...any) error { return scan(append(dest, &d.Tenant, &leased, &own)...) })
		if d.Until = time.UnixMilli(leased); own {
			all = append(all, d)
		} else {
			free = append(free, d)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range free[:min(most, len(free))] {
		taken, err := s.takeLease(ctx, free[i].ID, owner, until)
		if err != nil {
			return nil, err
		}
		if taken {
			free[i].Until = until
			all = append(all, free[i])
		}
	}
	return all, nil
}

// takeLease takes a lease that nobody has.
func (s *Store) takeLease(ctx context.Context, id int64, owner string, until time.Time) (taken bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		taken = false
		st := s.statement()
		st.add("UPDATE subscriptions SET lease_owner = ", arg{owner}, ", lease_until = ", arg{until.UnixMilli()}, " WHERE id = ", arg{id},
			" AND (lease_owner = ", arg{owner}, " OR coalesce(lease_until, 0) <= ", arg{now()}, ") RETURNING id")
		return tx.read(ctx, st, func(scan scan) error { taken = true; return scan(&id) })
	})
	return taken, err
}

// RenewLeases keeps the leases that a server has until a later moment. With one that has
// passed it gives them back.
func (s *Store) RenewLeases(ctx context.Context, owner string, until time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("UPDATE subscriptions SET lease_until = ", arg{until.UnixMilli()}, " WHERE lease_owner = ", arg{owner}, " AND lease_until > ", arg{now()}))
	})
}

// SaveDelivery writes what became of events that a server delivered. It fails with
// ErrLeaseLost.
func (t Tenant) SaveDelivery(ctx context.Context, owner string, sub *Subscription, c *Checkpoint) error {
	return t.save(ctx, sub, c, " AND lease_owner = ", arg{owner}, " AND lease_until > ", arg{now()})
}

// SavePoll writes what a receiver has acknowledged. It fails with ErrLeaseLost where
// another request did so meanwhile.
func (t Tenant) SavePoll(ctx context.Context, sub *Subscription, c *Checkpoint) error {
	return t.save(ctx, sub, c, " AND position = ", arg{sub.Position}, " AND coalesce(CAST(progress AS text), '') = ", arg{sub.progress})
}

func (t Tenant) save(ctx context.Context, sub *Subscription, c *Checkpoint, condition ...any) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		st := t.store.statement()
		st.add("UPDATE subscriptions SET position = ", arg{c.Position}, ", progress = ", arg{textOrNull(progressText(c.Progress))}, ", failure = ", arg{textOrNull(c.Failure)})
		if !c.LastSuccess.IsZero() {
			st.add(", last_success_at = ", arg{c.LastSuccess.UnixMilli()})
		}
		if !c.LastPoll.IsZero() {
			st.add(", last_poll_at = ", arg{c.LastPoll.UnixMilli()})
		}
		if !c.LastErrorTime.IsZero() {
			st.add(", last_error_at = ", arg{c.LastErrorTime.UnixMilli()}, ", last_error = ", arg{textOrNull(clean(c.LastError))})
		}
		st.add(" WHERE tenant_id = ", arg{t.id}, " AND id = ", arg{sub.ID}, " AND revision = ", arg{sub.Revision}).add(condition...).add(" RETURNING id")
		kept := false
		if err := tx.read(ctx, st, func(scan scan) error { kept = true; var id int64; return scan(&id) }); err != nil {
			return err
		}
		if !kept {
			return ErrLeaseLost
		}
		return t.saveLetters(ctx, tx, sub.ID, c)
	})
}

// saveLetters writes what became of dead letters.
func (t Tenant) saveLetters(ctx context.Context, tx tx, subscription int64, c *Checkpoint) error {
	for i := range c.Dead {
		l := &c.Dead[i]
		st := t.store.statement()
		st.add("INSERT INTO dead_letters (subscription_id, position, resource_type, resource_id, occurred_at, event, reason, attempts, died_at, retrying) VALUES (",
			arg{subscription}, ", ", arg{l.Position}, ", ", arg{l.ResourceType}, ", ", arg{l.ResourceID}, ", ", arg{l.Changed.UnixMilli()}, ", ", arg{l.Event}, ", ",
			arg{clean(l.Reason)}, ", ", arg{l.Attempts}, ", ", arg{now()}, ", FALSE) ON CONFLICT (subscription_id, position) DO UPDATE SET"+
				" event = excluded.event, reason = excluded.reason, attempts = excluded.attempts, died_at = excluded.died_at, retrying = FALSE")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
	}
	if len(c.Delivered) == 0 {
		return nil
	}
	return tx.write(ctx, t.store.statement().add("DELETE FROM dead_letters WHERE subscription_id = ", arg{subscription}, " AND id", numbers(c.Delivered)))
}

func progressText(p Progress) string {
	if len(p.Done) == 0 && len(p.Tries) == 0 {
		return ""
	}
	return string(mustJSON(p))
}
