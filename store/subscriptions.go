package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Limits of subscriptions.
const (
	MaxSubscriptions = 100 // of a tenant
	// MaxDeadLetters is the most dead letters of a subscription. Where there are so many
	// no event is given up: it is tried again and again, and later ones of its resource
	// wait.
	MaxDeadLetters = 1000
)

// Subscription is who is told of which changes, and how far that has come.
type Subscription struct {
	ID       int64
	TenantID int64
	Name     string
	// Handle is random, and unique among the subscriptions of all tenants.
	Handle string
	// Push: tokens are sent to the receiver; or else it fetches them.
	Push     bool
	Settings SubscriptionSettings
	// Secret is the header Authorization that the receiver of push wants. It stands in the
	// database as it is, since it must be sent.
	Secret  string
	Paused  bool
	Created time.Time
	// Revision grows with each change of an administrator.
	Revision int64
	// Failure is why it cannot go on; empty: it can.
	Failure string

	Position int64
	Progress Progress
	// progress is the column as it was read.
	progress string

	LastSuccess, LastErrorTime, LastPoll time.Time // zero: never
	LastError                            string
}

// SubscriptionSettings are what an administrator decides of a subscription.
type SubscriptionSettings struct {
	// Endpoint is where push sends to.
	Endpoint string `json:"endpoint,omitempty"`
	// Credential is the name of the one that may poll; empty: any.
	Credential string   `json:"credential,omitempty"`
	Audience   []string `json:"audience,omitempty"`
	// Full: tokens have the values that changed.
	Full   bool         `json:"full,omitempty"`
	Filter ChangeFilter `json:"filter"`
}

// Progress is what is known of changes after the position of a subscription.
type Progress struct {
	// Done are the positions of those that are dealt with.
	Done []int64 `json:"done,omitempty"`
	// Tries are the failures of those that are being tried, by position.
	Tries map[int64]Try `json:"tries,omitempty"`
}

// Try is what happened to an event that the receiver has not accepted yet.
type Try struct {
	Attempts int   `json:"attempts"`
	First    int64 `json:"first"` // when the first failed, in Unix milliseconds
}

const subscriptionColumns = "s.id, s.tenant_id, s.name, s.handle, s.push, CAST(s.settings AS text), coalesce(s.secret, ''), s.paused, s.created_at, s.revision," +
	" coalesce(s.failure, ''), s.position, coalesce(CAST(s.progress AS text), ''), s.last_success_at, s.last_error_at, s.last_poll_at, coalesce(s.last_error, '')"

// readSubscription reads a row of subscriptionColumns.
func readSubscription(scan scan) (s Subscription, err error) {
	var settings string
	var created int64
	var success, failed, polled *int64
	err = scan(&s.ID, &s.TenantID, &s.Name, &s.Handle, &s.Push, &settings, &s.Secret, &s.Paused, &created, &s.Revision,
		&s.Failure, &s.Position, &s.progress, &success, &failed, &polled, &s.LastError)
	if err != nil {
		return s, err
	}
	s.Created, s.LastSuccess, s.LastErrorTime, s.LastPoll = time.UnixMilli(created), timeOrZero(success), timeOrZero(failed), timeOrZero(polled)
	if s.progress != "" {
		if err := json.Unmarshal([]byte(s.progress), &s.Progress); err != nil {
			return s, err
		}
	}
	return s, json.Unmarshal([]byte(settings), &s.Settings)
}

func timeOrZero(milliseconds *int64) time.Time {
	if milliseconds == nil {
		return time.Time{}
	}
	return time.UnixMilli(*milliseconds)
}

// subscriptions reads those that meet a condition.
func (s *Store) subscriptions(ctx context.Context, from reader, condition ...any) (all []Subscription, err error) {
	st := s.statement()
	st.add("SELECT " + subscriptionColumns + " FROM subscriptions s ").add(condition...)
	err = from.read(ctx, st, func(scan scan) error {
		one, err := readSubscription(scan)
		all = append(all, one)
		return err
	})
	return all, err
}

// Subscriptions lists the tenant's subscriptions by name.
func (t Tenant) Subscriptions(ctx context.Context) ([]Subscription, error) {
	return t.store.subscriptions(ctx, t.store, "WHERE s.tenant_id = ", arg{t.id}, " ORDER BY s.name")
}

// Subscription finds one of the tenant's subscriptions. It fails with NotFound.
func (t Tenant) Subscription(ctx context.Context, name string) (Subscription, error) {
	return t.oneSubscription(ctx, t.store, name, "")
}

func (t Tenant) oneSubscription(ctx context.Context, from reader, name, lock string) (Subscription, error) {
	all, err := t.store.subscriptions(ctx, from, "WHERE s.tenant_id = ", arg{t.id}, " AND s.name = ", arg{name}, lock)
	if err == nil && len(all) == 0 {
		err = scim.Errorf(scim.NotFound, "there is no subscription %.80q", name)
	}
	if err != nil {
		return Subscription{}, err
	}
	return all[0], nil
}

// lockSubscription reads a subscription that this transaction will write.
func (t Tenant) lockSubscription(ctx context.Context, tx tx, name string) (Subscription, error) {
	lock := ""
	if t.store.dialect == postgres {
		lock = " FOR NO KEY UPDATE"
	}
	return t.oneSubscription(ctx, tx, name, lock)
}

// AddSubscription makes a subscription, by the fields of sub that are not the store's.
// after is the position it begins after; nil: now. It fails with InvalidValue for a name
// that is none or a position that there never was, with Uniqueness where the name is
// taken, and with Conflict where the tenant has very many.
func (t Tenant) AddSubscription(ctx context.Context, sub Subscription, after *int64) (Subscription, error) {
	if !validName.MatchString(sub.Name) {
		return sub, scim.Errorf(scim.InvalidValue, "the name of a subscription is of at most 64 letters, digits and . _ @ -").At("name")
	}
	position, err := t.startingPosition(ctx, after)
	if err != nil {
		return sub, err
	}
	settings, secret := string(mustJSON(sub.Settings)), arg{textOrNull(sub.Secret)}
	handle := strings.ToLower(rand.Text())
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		var all, same int
		st := t.store.statement()
		st.add("SELECT count(*), count(CASE WHEN name = ", arg{sub.Name}, " THEN 1 END) FROM subscriptions WHERE tenant_id = ", arg{t.id})
		if err := tx.read(ctx, st, func(scan scan) error { return scan(&all, &same) }); err != nil {
			return err
		}
		switch {
		case same > 0:
			return errSameSubscription(sub.Name)
		case all >= MaxSubscriptions:
			return scim.Errorf(scim.Conflict, "the tenant has %d subscriptions; delete some first", all)
		}
		st = t.store.statement()
		st.add("INSERT INTO subscriptions (tenant_id, name, handle, push, settings, secret, paused, created_at, revision, position) VALUES (", arg{t.id}, ", ", arg{sub.Name}, ", ",
			arg{handle}, ", ", arg{sub.Push}, ", ", arg{settings}, ", ", secret, ", ", arg{sub.Paused}, ", ", arg{now()}, ", 1, ", arg{position}, ")")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return t.store.auditState(ctx, tx, nil, sub.state())
	})
	if scim.ReasonOf(err) == scim.Uniqueness { // two at once
		err = errSameSubscription(sub.Name)
	}
	if err != nil {
		return sub, err
	}
	return t.Subscription(ctx, sub.Name)
}

func errSameSubscription(name string) error {
	return scim.Errorf(scim.Uniqueness, "there is a subscription %s already; delete it, or choose another name", name).At("name")
}

// startingPosition is a position to go on from; nil: the end of the log.
func (t Tenant) startingPosition(ctx context.Context, after *int64) (int64, error) {
	if err := t.store.SequenceChanges(ctx); err != nil {
		return 0, err
	}
	head, err := t.store.Head(ctx)
	switch {
	case err != nil || after == nil:
		return head, err
	case *after < 0 || *after > head:
		return 0, scim.Errorf(scim.InvalidValue, "there is no position %d; the change log ends at %d", *after, head).At("afterPosition")
	}
	return *after, nil
}

// UpdateSubscription changes the settings, the secret and whether it is paused. change
// may run more than once. It fails with NotFound, and as change does.
func (t Tenant) UpdateSubscription(ctx context.Context, name string, change func(*Subscription) error) (sub Subscription, err error) {
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		before, err := t.lockSubscription(ctx, tx, name)
		if err != nil {
			return err
		}
		sub = before
		if err := change(&sub); err != nil {
			return err
		}
		sub.Revision++
		st := t.store.statement()
		st.add("UPDATE subscriptions SET settings = ", arg{string(mustJSON(sub.Settings))}, ", secret = ", arg{textOrNull(sub.Secret)}, ", paused = ", arg{sub.Paused},
			", revision = ", arg{sub.Revision}, " WHERE id = ", arg{sub.ID})
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		if before.Secret != sub.Secret {
			return t.store.audit(ctx, tx, "", "", "", andASecret(stateChanges(before.state(), sub.state())))
		}
		return t.store.auditState(ctx, tx, before.state(), sub.state())
	})
	return sub, err
}

// DeleteSubscription removes a subscription and its dead letters. It fails with NotFound.
func (t Tenant) DeleteSubscription(ctx context.Context, name string) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		sub, err := t.lockSubscription(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := tx.write(ctx, t.store.statement().add("DELETE FROM subscriptions WHERE id = ", arg{sub.ID})); err != nil { // and its dead letters
			return err
		}
		return t.store.auditState(ctx, tx, sub.state(), nil)
	})
}

// ReplaySubscription makes a subscription go on after a position, or from now where it is
// nil. A failure ends. It fails with NotFound, and with InvalidValue for a position that
// there never was.
func (t Tenant) ReplaySubscription(ctx context.Context, name string, after *int64) (Subscription, error) {
	position, err := t.startingPosition(ctx, after)
	if err != nil {
		return Subscription{}, err
	}
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		sub, err := t.lockSubscription(ctx, tx, name)
		if err != nil {
			return err
		}
		st := t.store.statement()
		st.add("UPDATE subscriptions SET position = ", arg{position}, ", progress = NULL, failure = NULL, revision = revision + 1 WHERE id = ", arg{sub.ID})
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return t.store.auditState(ctx, tx, map[string]any{"position": sub.Position}, map[string]any{"position": position})
	})
	if err != nil {
		return Subscription{}, err
	}
	return t.Subscription(ctx, name)
}

// state is what events of the audit log say of a subscription. Its secret is not among
// it.
func (s *Subscription) state() map[string]any {
	return map[string]any{"push": s.Push, "settings": s.Settings, "paused": s.Paused}
}

// maxLag is the most changes that Lag counts.
const maxLag = 10_000

// Lag counts the tenant's changes after a position, at most 10000, and tells when the
// first of them was made.
func (t Tenant) Lag(ctx context.Context, position int64) (n int64, oldest time.Time, err error) {
	var first *int64
	column := t.store.sequenceColumn()
	st := t.store.statement()
	st.add("SELECT count(*), min(occurred_at) FROM (SELECT occurred_at FROM changes WHERE tenant_id = ", arg{t.id}, " AND "+column+" > ", arg{position},
		" ORDER BY "+column+" LIMIT ", arg{maxLag}, ") AS part")
	err = t.store.read(ctx, st, func(scan scan) error { return scan(&n, &first) })
	return n, timeOrZero(first), err
}

// SubscriptionCounts are how many there are in the database, of all tenants.
type SubscriptionCounts struct {
	// Subscriptions are counted by how they are delivered and by their state: active,
	// paused, or failed. Of each there is a count, which may be 0.
	Subscriptions []SubscriptionCount
	DeadLetters   int
}

// SubscriptionCount is how many subscriptions are alike.
type SubscriptionCount struct {
	Push  bool
	State string
	Count int
}

// CountSubscriptions counts subscriptions and dead letters of all tenants, for monitoring.
func (s *Store) CountSubscriptions(ctx context.Context) (counts SubscriptionCounts, err error) {
	for _, push := range []bool{true, false} {
		for _, state := range []string{"active", "paused", "failed"} {
			counts.Subscriptions = append(counts.Subscriptions, SubscriptionCount{Push: push, State: state})
		}
	}
	st := s.statement()
	st.add("SELECT push, CASE WHEN failure IS NOT NULL THEN 'failed' WHEN paused THEN 'paused' ELSE 'active' END AS state, count(*) FROM subscriptions GROUP BY push, state")
	err = s.read(ctx, st, func(scan scan) error {
		var found SubscriptionCount
		if err := scan(&found.Push, &found.State, &found.Count); err != nil {
			return err
		}
		for i := range counts.Subscriptions {
			if of := &counts.Subscriptions[i]; of.Push == found.Push && of.State == found.State {
				of.Count = found.Count
			}
		}
		return nil
	})
	if err != nil {
		return counts, err
	}
	err = s.read(ctx, s.statement().add("SELECT count(*) FROM dead_letters"), func(scan scan) error { return scan(&counts.DeadLetters) })
	return counts, err
}
