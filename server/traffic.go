package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/muster-scim/muster/store"
)

// latencyBounds are the upper bounds of the classes in which latencies are counted; the
// last class, store.LatencyClasses, has what took longer.
var latencyBounds = [store.LatencyClasses - 1]time.Duration{
	500 * time.Microsecond, time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

// latencyClass is the class of a latency.
func latencyClass(took time.Duration) int {
	class, _ := slices.BinarySearch(latencyBounds[:], took)
	return class
}

const (
	trafficEvery = 5 * time.Second // what was counted is written
	// maxCounted is how many credentials and doors are told apart in one minute. Those of
	// more count together.
	maxCounted = 10_000
)

// traffic counts requests: each of them, in memory, by minute. What this server has
// counted of a minute is written again and again until the minute is over, each time in
// place of what was written before.
type traffic struct {
	store  *store.Store
	log    *slog.Logger
	server string

	mu      sync.Mutex
	of      map[store.TrafficKey]*store.Traffic
	changed map[store.TrafficKey]bool // since they were written
	writing bool                      // or about to
	save    sync.Mutex                // one at a time, so that what is written last is the latest
}

func newTraffic(st *store.Store, log *slog.Logger, server string) *traffic {
	return &traffic{store: st, log: log, server: server, of: make(map[store.TrafficKey]*store.Traffic), changed: make(map[store.TrafficKey]bool)}
}

// count counts a request that ends now. took less than 0: that says nothing.
func (t *traffic) count(n *noted, door string, status int, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// The time is asked for under the lock: a minute that flush has done with is over.
	key := store.TrafficKey{TenantID: n.Tenant, Minute: time.Now().Unix() / 60, Credential: n.Credential, Door: door}
	found := t.of[key]
	if found == nil {
		if len(t.of) >= maxCounted {
			key.Credential = ""
			found = t.of[key]
		}
		if found == nil {
			found = &store.Traffic{}
			t.of[key] = found
		}
	}
	found.Requests++
	switch {
	case status >= 500:
		found.ServerErrors++
	case status >= 400:
		found.ClientErrors++
	}
	switch status {
	case 401:
		found.Unauthenticated++
	case 429:
		found.RateLimited++
	}
	if took >= 0 {
		found.Latencies[latencyClass(took)]++
	}
	t.changed[key] = true
	t.begin()
}

// begin sees to it that what was counted is written.
func (t *traffic) begin() {
	if t.writing || len(t.changed) == 0 {
		return
	}
	t.writing = true
	time.AfterFunc(trafficEvery, func() {
		if err := t.flush(context.Background()); err != nil {
			t.log.Error("the traffic that was counted cannot be written; it is tried again later", "error", err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.writing = false
		t.begin()
	})
}

// flush writes what was counted. What cannot be written stays to be written.
func (t *traffic) flush(ctx context.Context) error {
	t.save.Lock()
	defer t.save.Unlock()
	batch := t.take()
	if len(batch) == 0 {
		return nil
	}
	err := t.store.SaveTraffic(ctx, t.server, batch)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		for key := range batch {
			t.changed[key] = true
		}
		return err
	}
	now := time.Now().Unix() / 60
	maps.DeleteFunc(t.of, func(key store.TrafficKey, _ *store.Traffic) bool {
		return key.Minute < now && !t.changed[key] // nothing comes to it any more
	})
	return nil
}

// take is what has changed since it was written.
func (t *traffic) take() map[store.TrafficKey]store.Traffic {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := make(map[store.TrafficKey]store.Traffic, len(t.changed))
	for key := range t.changed {
		batch[key] = *t.of[key]
	}
	t.changed = make(map[store.TrafficKey]bool)
	return batch
}
