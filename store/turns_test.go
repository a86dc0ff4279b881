package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/muster-scim/muster/scim"
)

func take(t *testing.T, turns *Turns, tenant int64, each int) (done func()) {
	t.Helper()
	done, err := turns.Take(t.Context(), tenant, each, 0)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// taking waits for a turn of a tenant, and says so when it has it.
func taking(t *testing.T, turns *Turns, tenant int64, each int, got chan<- int64) {
	t.Helper()
	go func() {
		if _, err := turns.Take(t.Context(), tenant, each, 0); err == nil {
			got <- tenant
		} else {
			got <- -tenant
		}
	}()
	synctest.Wait()
}

func TestTurns_TheTenantWithTheFewestIsNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, got := NewTurns(3, 10), make(chan int64, 10)
		done := []func(){take(t, turns, 1, 3), take(t, turns, 1, 3), take(t, turns, 1, 3)}
		for _, tenant := range []int64{1, 1, 2, 2, 3} { // in the order of coming
			taking(t, turns, tenant, 3, got)
		}
		// Each time one of the first tenant ends. The second and third have none, so they
		// are next; then the first has none itself.
		for i := range done {
			done[i]()
			next := <-got
			if i == 2 && next != 1 || i < 2 && next != 2 && next != 3 {
				t.Errorf("turn %d goes to tenant %d", i, next)
			}
		}
	})
}

// Where one turn is taken at a time no tenant has more of them than another.
func TestTurns_TenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, got := NewTurns(1, 10), make(chan int64, 10)
		done := take(t, turns, 1, 1)
		var order []int64
		for _, tenant := range []int64{1, 1, 1, 2, 2} {
			go func() {
				if done, err := turns.Take(t.Context(), tenant, 1, 0); err == nil {
					got <- tenant
					done()
				}
			}()
			synctest.Wait()
		}
		done()
		for range 5 {
			order = append(order, <-got)
		}
		if want := []int64{2, 1, 2, 1, 1}; !slices.Equal(order, want) {
			t.Errorf("the order is %v, not %v", order, want)
		}
	})
}

func TestTurns_OneTenantLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, got := NewTurns(3, 10), make(chan int64, 10)
		done := take(t, turns, 1, 2)
		take(t, turns, 1, 2)
		taking(t, turns, 1, 2, got)
		take(t, turns, 2, 2) // at once
		if len(got) != 0 {
			t.Fatal("a tenant has more turns than it may")
		}
		taking(t, turns, 3, 2, got)
		done()
		if next := <-got; next != 3 {
			t.Errorf("the next turn goes to tenant %d, not 3", next)
		}
	})
}

func TestTurns_PatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns(1, 10)
		done := take(t, turns, 1, 1)
		begin := time.Now()
		if _, err := turns.Take(t.Context(), 2, 1, time.Second); scim.ReasonOf(err) != scim.RateLimited || time.Since(begin) != time.Second {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := turns.Take(ctx, 2, 1, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("when the caller gives up: %v", err)
		}
		done()
		if take(t, turns, 3, 1)(); turns.working != 0 || turns.queued != 0 || len(turns.lines) != 0 {
			t.Errorf("something is left: %+v", turns)
		}
	})
}

func TestTurns_WhoWaitsMostLosesItsPlaceToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, got := NewTurns(1, 3), make(chan int64, 10)
		done := take(t, turns, 1, 1)
		for range 3 {
			taking(t, turns, 1, 1, got)
		}
		if taking(t, turns, 1, 1, got); <-got != -1 {
			t.Error("more wait than may")
		}
		if taking(t, turns, 2, 1, got); <-got != -1 {
			t.Error("no place was made for another tenant")
		}
		if done(); <-got != 2 {
			t.Error("the other tenant is not next")
		}
	})
}

// Whatever happens, no more than so many work, and nothing is left in the end.
func TestTurns_UnderLoad(t *testing.T) {
	const total, each = 5, 3
	turns := NewTurns(total, 20)
	var mu sync.Mutex
	working := make(map[int64]int)
	count := func(tenant int64, n int) {
		mu.Lock()
		defer mu.Unlock()
		working[tenant] += n
		working[0] += n
		if working[tenant] > each || working[0] > total {
			t.Errorf("at work: %v", working)
		}
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			tenant := int64(i%4 + 1)
			for range 200 {
				done, err := turns.Take(t.Context(), tenant, each, time.Duration(rand.IntN(300))*time.Microsecond)
				if err != nil {
					continue
				}
				count(tenant, 1)
				time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
				count(tenant, -1)
				done()
			}
		})
	}
	wg.Wait()
	if turns.working != 0 || turns.queued != 0 || len(turns.lines) != 0 {
		t.Errorf("something is left: %+v", turns)
	}
}

// An answer of several parts takes one turn, which ends with its request.
func TestTakeLarge_OneForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{shares: newShares(1, 1)}
		tenant := Tenant{store: s, id: 1}
		large := s.shares.large.turns
		request, end := context.WithCancel(t.Context())
		answer := withOneLarge(request)
		for range 10 {
			if err := tenant.takeLarge(answer); err != nil || large.working != 1 {
				t.Fatalf("%v, and %d turns", err, large.working)
			}
		}
		if err := tenant.takeLarge(withOneLarge(request)); err != nil || large.working != 2 {
			t.Errorf("for another answer: %v, and %d turns", err, large.working)
		}
		end()
		if synctest.Wait(); large.working != 0 {
			t.Errorf("%d turns are not given back", large.working)
		}
	})
}

// A search that waits for others of its tenant for too long is sent away.
func TestSearch_TooManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Store{shares: newShares(2, 1)}
		tenant := Tenant{store: s, id: 1, catalog: scim.Contract}
		if _, err := s.shares.searches.take(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err := tenant.List(t.Context(), scim.User, Query{Count: 1})
		if e, ok := errors.AsType[*scim.Error](err); !ok || e.Reason != scim.RateLimited || e.RetryAfter <= 0 || time.Since(begin) != maxQuery {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := tenant.List(gone, scim.User, Query{Count: 1}); scim.ReasonOf(err) == scim.RateLimited {
			t.Errorf("who does not wait is told %v", err)
		}
	})
}
