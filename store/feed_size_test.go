package store

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"

	"github.com/muster-scim/muster/scim"
)

// A log is kept to its size, whatever else removes changes too, and readers whose
// position is gone by that are told so.
func TestRemoveChanges_Size(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, second, ctx := newTenant(t, s), secondTenant(t, s), context.Background()
		for i := range 60 {
			create(t, tenant, scim.User, `{"userName":"u%d","title":"%s"}`, i, noise(1000))
		}
		create(t, second, scim.User, `{"userName":"other"}`)
		all, _ := readChanges(t, tenant, 0, bothTypes, 100)
		const row = 1000 // at least, by what is in it
		if n, err := s.RemoveChanges(ctx, Retention{Bytes: 1000 * row}); err != nil || n != 0 {
			t.Errorf("removed %d of a log that is small: %v", n, err)
		}
		full := bytesOf(t, tenant)
		if full < 60*row || full > 60*row*4 {
			t.Errorf("60 changes of %d bytes count as %d", row, full)
		}
		if n, err := s.RemoveChanges(ctx, Retention{Bytes: full / 2}); err != nil || n < 29 || n > 31 {
			t.Errorf("for half of the size it removed %d, %v", n, err)
		}
		left, _ := readChanges(t, tenant, 0, bothTypes, 100)
		first := left[0].GetPosition()
		for _, c := range all {
			_, err := tenant.Changes(ctx, c.GetPosition(), bothTypes, 100)
			if gone := scim.ReasonOf(err) == scim.PositionGone; gone != (c.GetPosition() < first-1) || err != nil && !gone {
				t.Errorf("after position %d, where %d is the first: %v", c.GetPosition(), first, err)
			}
		}
		if n, err := s.RemoveChanges(ctx, Retention{Count: 10}); err != nil || n != int64(len(left)-10) {
			t.Errorf("removed %d, %v", n, err)
		}
		create(t, tenant, scim.User, `{"userName":"last","title":"%s"}`, noise(1000))
		if n, err := s.RemoveChanges(ctx, Retention{Bytes: full}); err != nil || n != 0 {
			t.Errorf("removed %d, %v", n, err)
		}
		if got, want := bytesOf(t, tenant), full*11/60; got < want*9/10 || got > want*11/10 {
			t.Errorf("11 changes count as %d, not about %d", got, want)
		}
		if n, err := s.RemoveChanges(ctx, Retention{Bytes: 1}); err != nil || n != 11+1 || bytesOf(t, tenant) != 0 {
			t.Errorf("removed %d, %v; %d bytes are left", n, err, bytesOf(t, tenant))
		}
		create(t, tenant, scim.User, `{"userName":"new"}`)
		if fresh, _ := readChanges(t, tenant, all[59].GetPosition()+2, bothTypes, 100); len(fresh) != 1 {
			t.Errorf("what comes then is %v", fresh)
		}
	})
}

// Servers that measure and remove at the same time do not count twice.
func TestRemoveChanges_Together(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant, ctx := newTenant(t, s), context.Background()
		for round := range 5 {
			for i := range 20 {
				create(t, tenant, scim.User, `{"userName":"u%d-%d","title":"%s"}`, round, i, noise(1000))
			}
			var servers sync.WaitGroup
			for server := range 4 {
				servers.Go(func() {
					keep := Retention{Bytes: 30_000}
					if server == 0 {
						keep = Retention{Count: 25}
					}
					if _, err := s.RemoveChanges(ctx, keep); err != nil {
						t.Error(err)
					}
				})
			}
			servers.Wait()
		}
		left, _ := readChanges(t, tenant, 0, bothTypes, 100)
		var sum int64
		st := s.statement()
		st.add("SELECT sum(" + s.changeSize() + ") FROM changes")
		if err := s.read(ctx, st, func(scan scan) error { return scan(&sum) }); err != nil {
			t.Fatal(err)
		}
		if got := bytesOf(t, tenant); got != sum || sum > 30_000 || len(left) < 5 {
			t.Errorf("%d changes of %d bytes count as %d", len(left), sum, got)
		}
	})
}

// noise is text that cannot be compressed much.
func noise(n int) string {
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(rand.Text())
	}
	return b.String()[:n]
}

func bytesOf(t *testing.T, tenant Tenant) int64 {
	t.Helper()
	m, err := tenant.store.readMeasured(context.Background(), tenant.id)
	if err != nil {
		t.Fatal(err)
	}
	return m.bytes
}
