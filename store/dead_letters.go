package store

import (
	"context"
	"strconv"
	"time"

	"github.com/muster-scim/muster/scim"
)

// DeadLetter is an event that a receiver did not accept.
type DeadLetter struct {
	ID                       int64
	Position                 int64 // of the change
	ResourceType, ResourceID string
	Changed                  time.Time
	// Event is JSON: the claims that tell of the change.
	Event    string
	Reason   string
	Attempts int
	Died     time.Time
	// Retrying: it is being delivered again.
	Retrying bool
}

// DeadLetters reads at most so many dead letters of a subscription, in the order of
// their ids, after the one with the id after (0: from the first).
func (t Tenant) DeadLetters(ctx context.Context, subscription, after int64, most int) ([]DeadLetter, error) {
	return t.store.deadLetters(ctx, "s.tenant_id = ", arg{t.id}, " AND s.id = ", arg{subscription}, " AND d.id > ", arg{after}, " ORDER BY d.id LIMIT ", arg{most})
}

// RetryingLetters reads at most so many dead letters of a subscription that are to be
// delivered again, in the order of their changes.
func (t Tenant) RetryingLetters(ctx context.Context, subscription int64, most int) ([]DeadLetter, error) {
	return t.store.deadLetters(ctx, "s.tenant_id = ", arg{t.id}, " AND s.id = ", arg{subscription}, " AND d.retrying ORDER BY d.position LIMIT ", arg{most})
}

func (s *Store) deadLetters(ctx context.Context, condition ...any) (all []DeadLetter, err error) {
	st := s.statement()
	st.add("SELECT d.id, d.position, d.resource_type, d.resource_id, d.occurred_at, d.event, d.reason, d.attempts, d.died_at, d.retrying" +
		" FROM dead_letters d JOIN subscriptions s ON s.id = d.subscription_id WHERE ").add(condition...)
	err = s.read(ctx, st, func(scan scan) error {
		var l DeadLetter
		var changed, died int64
		err := scan(&l.ID, &l.Position, &l.ResourceType, &l.ResourceID, &changed, &l.Event, &l.Reason, &l.Attempts, &died, &l.Retrying)
		l.Changed, l.Died = time.UnixMilli(changed), time.UnixMilli(died)
		all = append(all, l)
		return err
	})
	return all, err
}

// CountDeadLetters counts the dead letters of each subscription of the tenant, by its
// number.
func (t Tenant) CountDeadLetters(ctx context.Context) (counts map[int64]int, err error) {
	counts = make(map[int64]int)
	st := t.store.statement()
	st.add("SELECT s.id, count(*) FROM dead_letters d JOIN subscriptions s ON s.id = d.subscription_id WHERE s.tenant_id = ", arg{t.id}, " GROUP BY s.id")
	err = t.store.read(ctx, st, func(scan scan) error {
		var id int64
		var n int
		err := scan(&id, &n)
		counts[id] = n
		return err
	})
	return counts, err
}

// RetryDeadLetters makes dead letters be delivered again, and returns how many; no ids:
// all. It fails with NotFound where there is no such subscription.
func (t Tenant) RetryDeadLetters(ctx context.Context, subscription string, ids []int64) (int, error) {
	return t.changeDeadLetters(ctx, subscription, "UPDATE dead_letters SET retrying = TRUE", ids)
}

// DiscardDeadLetters removes dead letters, and returns how many; no ids: all. It fails
// with NotFound where there is no such subscription.
func (t Tenant) DiscardDeadLetters(ctx context.Context, subscription string, ids []int64) (int, error) {
	return t.changeDeadLetters(ctx, subscription, "DELETE FROM dead_letters", ids)
}

// changeDeadLetters does something to dead letters. The subscription gets another
// revision, so that who delivers reads them anew.
func (t Tenant) changeDeadLetters(ctx context.Context, subscription, do string, ids []int64) (n int, err error) {
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		n = 0
		sub, err := t.lockSubscription(ctx, tx, subscription)
		if err != nil {
			return err
		}
		st := t.store.statement()
		st.add(do+" WHERE subscription_id = ", arg{sub.ID})
		if len(ids) > 0 {
			st.add(" AND id", numbers(ids))
		}
		st.add(" RETURNING id")
		if err := tx.read(ctx, st, func(scan scan) error { n++; var id int64; return scan(&id) }); err != nil || n == 0 {
			return err
		}
		if err := tx.write(ctx, t.store.statement().add("UPDATE subscriptions SET revision = revision + 1 WHERE id = ", arg{sub.ID})); err != nil {
			return err
		}
		return t.store.audit(ctx, tx, "", "", "", stateChanges(nil, map[string]any{"deadLetters": n}))
	})
	return n, err
}

// ParseLetterIDs reads the ids of dead letters. One that can be none fails with
// InvalidValue.
func ParseLetterIDs(texts []string) ([]int64, error) {
	ids := make([]int64, len(texts))
	for i, text := range texts {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n <= 0 {
			return nil, scim.Errorf(scim.InvalidValue, "%.40q is not the id of a dead letter", text).At("ids")
		}
		ids[i] = n
	}
	return ids, nil
}
