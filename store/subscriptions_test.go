package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

func addSubscription(tb testing.TB, t Tenant, name string, push bool) Subscription {
	tb.Helper()
	sub, err := t.AddSubscription(context.Background(), Subscription{Name: name, Push: push, Secret: "Bearer told", Settings: SubscriptionSettings{Endpoint: "https://a.example/"}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return sub
}

// A subscription begins now, or where it is told to, and is found as it was made.
func TestSubscription_BeginsAndChanges(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		create(t, tenant, scim.User, `{"userName":"ada"}`)
		create(t, tenant, scim.User, `{"userName":"bob"}`)
		sub := addSubscription(t, tenant, "hr", true)
		if n, _, err := tenant.Lag(ctx, sub.Position); err != nil || n != 0 {
			t.Errorf("the lag is %d, %v", n, err)
		}
		if n, oldest, err := tenant.Lag(ctx, 0); err != nil || n != 2 || time.Since(oldest) > time.Minute {
			t.Errorf("from the beginning the lag is %d, since %v, %v", n, oldest, err)
		}
		if _, err := tenant.AddSubscription(ctx, Subscription{Name: "hr"}, nil); scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("the same name again: %v", err)
		}
		far := sub.Position + 100
		if _, err := tenant.AddSubscription(ctx, Subscription{Name: "far"}, &far); scim.ReasonOf(err) != scim.InvalidValue {
			t.Errorf("a position that there never was: %v", err)
		}
		changed, err := tenant.UpdateSubscription(ctx, "hr", func(s *Subscription) error { s.Paused = true; return nil })
		if err != nil || !changed.Paused || changed.Revision != sub.Revision+1 || changed.Secret != "Bearer told" {
			t.Errorf("changed it is %+v, %v", changed, err)
		}
		beginning := int64(0)
		if sub, err = tenant.ReplaySubscription(ctx, "hr", &beginning); err != nil || sub.Position != 0 {
			t.Errorf("replayed it is %+v, %v", sub, err)
		}
		if err := tenant.DeleteSubscription(ctx, "hr"); err != nil {
			t.Fatal(err)
		}
		if _, err := tenant.Subscription(ctx, "hr"); scim.ReasonOf(err) != scim.NotFound {
			t.Errorf("deleted: %v", err)
		}
	})
}

// One server at a time delivers a subscription, and another when it is gone. What one
// writes that has lost its lease, or does not know of a change, is not kept.
func TestDeliveries_Leases(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		addSubscription(t, tenant, "hr", true)
		addSubscription(t, tenant, "polled", false)
		deliveries := func(owner string, lease time.Duration) []Delivery {
			t.Helper()
			all, err := s.Deliveries(ctx, owner, time.Now().Add(lease), 10)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		one := deliveries("one", time.Minute)
		if len(one) != 1 || one[0].Name != "hr" || one[0].Tenant != "default" {
			t.Fatalf("one has %+v", one)
		}
		if got := deliveries("two", time.Minute); len(got) != 0 {
			t.Fatalf("two has %+v, too", got)
		}
		if err := s.RenewLeases(ctx, "one", time.Now().Add(-time.Second)); err != nil { // as if it had passed
			t.Fatal(err)
		}
		if got := deliveries("two", time.Minute); len(got) != 1 {
			t.Fatalf("two has %+v", got)
		}
		sub := &one[0].Subscription
		if err := tenant.SaveDelivery(ctx, "one", sub, &Checkpoint{Position: 5}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("who has no lease writes: %v", err)
		}
		if err := tenant.SaveDelivery(ctx, "two", sub, &Checkpoint{Position: 5, LastSuccess: time.Now()}); err != nil {
			t.Errorf("who has the lease: %v", err)
		}
		if _, err := tenant.UpdateSubscription(ctx, "hr", func(s *Subscription) error { s.Settings.Full = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if err := tenant.SaveDelivery(ctx, "two", sub, &Checkpoint{Position: 6}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("who does not know of the change writes: %v", err)
		}
		if got, err := tenant.Subscription(ctx, "hr"); err != nil || got.Position != 5 || got.LastSuccess.IsZero() || !got.Settings.Full {
			t.Errorf("it is %+v, %v", got, err)
		}
		if _, err := tenant.UpdateSubscription(ctx, "hr", func(s *Subscription) error { s.Paused = true; return nil }); err != nil {
			t.Fatal(err)
		}
		if got := deliveries("two", time.Minute); len(got) != 0 {
			t.Errorf("paused it is delivered: %+v", got)
		}
	})
}

// Dead letters are kept once for each change, tried again when that is asked for, and go
// with their subscription.
func TestDeadLetters(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		sub := addSubscription(t, tenant, "hr", true)
		if _, err := s.Deliveries(ctx, "one", time.Now().Add(time.Minute), 1); err != nil {
			t.Fatal(err)
		}
		save := func(c Checkpoint) {
			t.Helper()
			current, err := tenant.Subscription(ctx, "hr")
			if err == nil {
				err = tenant.SaveDelivery(ctx, "one", &current, &c)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		dead := func(position int64, reason string) DeadLetter {
			return DeadLetter{Position: position, ResourceType: "User", ResourceID: "x", Changed: time.Now(), Event: "{}", Reason: reason, Attempts: 3}
		}
		save(Checkpoint{Position: 9, Progress: Progress{Done: []int64{11, 12}, Tries: map[int64]Try{10: {Attempts: 2, First: 77}}}, Dead: []DeadLetter{dead(7, "no"), dead(8, "no")}})
		got, err := tenant.Subscription(ctx, "hr")
		if err != nil || got.Position != 9 || len(got.Progress.Done) != 2 || got.Progress.Tries[10] != (Try{2, 77}) {
			t.Errorf("the progress is %+v, %v", got, err)
		}
		if n, err := tenant.RetryDeadLetters(ctx, "hr", nil); err != nil || n != 2 {
			t.Fatalf("retried %d, %v", n, err)
		}
		letters, err := tenant.RetryingLetters(ctx, sub.ID, 10)
		if err != nil || len(letters) != 2 || letters[0].Position != 7 {
			t.Fatalf("to be delivered again: %+v, %v", letters, err)
		}
		save(Checkpoint{Position: 9, Delivered: []int64{letters[0].ID}, Dead: []DeadLetter{dead(8, "again no")}})
		left, err := tenant.DeadLetters(ctx, sub.ID, 0, 10)
		if err != nil || len(left) != 1 || left[0].Reason != "again no" || left[0].Retrying {
			t.Fatalf("left: %+v, %v", left, err)
		}
		if n, err := tenant.DiscardDeadLetters(ctx, "hr", []int64{left[0].ID + 1}); err != nil || n != 0 {
			t.Errorf("discarded another: %d, %v", n, err)
		}
		if n, err := tenant.DiscardDeadLetters(ctx, "hr", []int64{left[0].ID}); err != nil || n != 1 {
			t.Errorf("discarded: %d, %v", n, err)
		}
	})
}

// What one poll acknowledges another does not undo.
func TestSavePoll_ConcurrentAcknowledgements(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		sub := addSubscription(t, tenant, "hr", false)
		if err := tenant.SavePoll(ctx, &sub, &Checkpoint{Position: 1, Progress: Progress{Done: []int64{3}}}); err != nil {
			t.Fatal(err)
		}
		if err := tenant.SavePoll(ctx, &sub, &Checkpoint{Position: 2}); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("who has read it before: %v", err)
		}
		sub, _ = tenant.Subscription(ctx, "hr")
		if err := tenant.SavePoll(ctx, &sub, &Checkpoint{Position: 3}); err != nil {
			t.Errorf("who has read it after: %v", err)
		}
	})
}

// A tenant goes with its subscriptions and their dead letters.
func TestDeleteTenant_Subscriptions(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		newTenant(t, s)
		ctx := context.Background()
		if _, err := s.CreateTenant(ctx, TenantInfo{Name: "acme"}); err != nil {
			t.Fatal(err)
		}
		acme, err := s.Tenant(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		sub := addSubscription(t, acme, "hr", false)
		if err := acme.SavePoll(ctx, &sub, &Checkpoint{Dead: []DeadLetter{{Position: 1, Event: "{}", Changed: time.Now()}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.SuspendTenant(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		if err := s.DeleteTenant(ctx, "acme"); err != nil {
			t.Fatal(err)
		}
		for _, table := range []string{"subscriptions", "dead_letters"} {
			n := 0
			if err := s.read(ctx, s.statement().add("SELECT count(*) FROM "+table), func(scan scan) error { return scan(&n) }); err != nil || n != 0 {
				t.Errorf("%s has %d rows, %v", table, n, err)
			}
		}
	})
}

// The audit log tells that a subscription was made and changed, but not its secret.
func TestSubscription_Audited(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		act := &Act{TenantID: tenant.ID(), Method: "muster.v1.SubscriptionService/CreateSubscription"}
		ctx := Acting(context.Background(), act)
		if _, err := tenant.AddSubscription(ctx, Subscription{Name: "hr", Push: true, Secret: "Bearer hidden"}, nil); err != nil || !act.Recorded() {
			t.Fatalf("recorded: %v, %v", act.Recorded(), err)
		}
		if _, err := tenant.UpdateSubscription(ctx, "hr", func(s *Subscription) error { s.Secret = "Bearer hidden2"; return nil }); err != nil || !act.Recorded() {
			t.Fatalf("recorded: %v, %v", act.Recorded(), err)
		}
		var all []string
		err := s.read(ctx, s.statement().add("SELECT coalesce(changes, '') FROM audit_events"), func(scan scan) error {
			var text string
			err := scan(&text)
			all = append(all, text)
			return err
		})
		if text := strings.Join(all, "\n"); err != nil || len(all) != 2 || strings.Contains(text, "hidden") || !strings.Contains(text, `"secret"`) {
			t.Errorf("the events are %s, %v", text, err)
		}
	})
}
