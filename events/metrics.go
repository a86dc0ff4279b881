package events

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muster-scim/muster/store"
)

// A meter counts what is delivered.
type meter struct {
	accepted, refused atomic.Int64 // attempts
	givenUp           atomic.Int64 // events that were given up

	mu      sync.Mutex
	waiting map[int64]backlog // by the subscription
}

// A backlog is what waits of a subscription that is being delivered.
type backlog struct {
	events int
	oldest time.Time // when the change was made
}

// note notes what waits now.
func (m *meter) note(subscription int64, items []*item) {
	var b backlog
	for _, i := range items {
		if b.events++; b.oldest.IsZero() || i.Changed.Before(b.oldest) {
			b.oldest = i.Changed
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == nil {
		m.waiting = make(map[int64]backlog)
	}
	m.waiting[subscription] = b
}

// forget forgets a subscription that is no longer delivered.
func (m *meter) forget(subscription int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.waiting, subscription)
}

// all is what waits of all subscriptions together.
func (m *meter) all() (all backlog) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.waiting {
		if all.events += b.events; b.events > 0 && (all.oldest.IsZero() || b.oldest.Before(all.oldest)) {
			all.oldest = b.oldest
		}
	}
	return all
}

var (
	attemptsDesc = prometheus.NewDesc("muster_event_pushes_total", "Tokens that were sent to receivers, by outcome (accepted, refused).", []string{"outcome"}, nil)
	givenUpDesc  = prometheus.NewDesc("muster_events_given_up_total", "Events that became dead letters because their receiver did not accept them.", nil, nil)
	waitingDesc  = prometheus.NewDesc("muster_events_waiting", "Events that wait to be pushed by this server, as far as they are read: at most some hundreds of a subscription.", nil, nil)
	oldestDesc   = prometheus.NewDesc("muster_events_oldest_waiting_seconds", "How long ago the change was made of the oldest event that waits to be pushed by this server; 0: none waits.", nil, nil)
	subsDesc     = prometheus.NewDesc("muster_subscriptions", "Subscriptions of all tenants, by delivery (push, poll) and state (active, paused, failed); of all servers of a database the same.", []string{"delivery", "state"}, nil)
	lettersDesc  = prometheus.NewDesc("muster_dead_letters", "Dead letters of all subscriptions; of all servers of a database the same.", nil, nil)
	descs        = []*prometheus.Desc{attemptsDesc, givenUpDesc, waitingDesc, oldestDesc, subsDesc, lettersDesc}
)

// Collector tells monitoring of the delivery, without a name of a subscription.
func (d *Delivery) Collector() prometheus.Collector { return collector{d} }

type collector struct{ delivery *Delivery }

// Describe tells what Collect collects.
func (collector) Describe(ch chan<- *prometheus.Desc) { store.Describe(ch, descs...) }

// Collect collects what there is. While the database does not answer, what only it knows
// is left out.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	m, found := &c.delivery.meter, store.Found(ch)
	found.Counter(attemptsDesc, float64(m.accepted.Load()), "accepted")
	found.Counter(attemptsDesc, float64(m.refused.Load()), "refused")
	found.Counter(givenUpDesc, float64(m.givenUp.Load()))
	all, age := m.all(), 0.0
	if all.events > 0 {
		age = max(time.Since(all.oldest).Seconds(), 0)
	}
	found.Gauge(waitingDesc, float64(all.events))
	found.Gauge(oldestDesc, age)
	ctx, cancel := context.WithTimeout(context.Background(), store.CollectTime)
	defer cancel()
	counts, err := c.delivery.store.CountSubscriptions(ctx)
	if err != nil {
		return
	}
	for _, n := range counts.Subscriptions {
		delivery := "poll"
		if n.Push {
			delivery = "push"
		}
		found.Gauge(subsDesc, float64(n.Count), delivery, n.State)
	}
	found.Gauge(lettersDesc, float64(counts.DeadLetters))
}
