package store

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/muster-scim/muster/scim"
)

// CollectTime is how long monitoring waits for the database.
const CollectTime = 2 * time.Second

// Found gives monitoring what a collector has found.
type Found chan<- prometheus.Metric

// Gauge gives a number that goes up and down.
func (f Found) Gauge(desc *prometheus.Desc, value float64, labels ...string) {
	f <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
}

// Counter gives a number that only grows.
func (f Found) Counter(desc *prometheus.Desc, value float64, labels ...string) {
	f <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value, labels...)
}

// Describe tells monitoring what a collector finds.
func Describe(ch chan<- *prometheus.Desc, descs ...*prometheus.Desc) {
	for _, d := range descs {
		ch <- d
	}
}

// A meter counts what is done with the database.
type meter struct {
	writing     atomic.Int64 // writes that wait or are under way
	writes      atomic.Uint64
	writeTime   atomic.Int64 // nanoseconds, of all writes
	readErrors  atomic.Int64
	writeErrors atomic.Int64
}

// failed tells whether an error is one of the database, and not an answer to who asked
// or the end of the caller's patience.
func failed(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	known, ours := errors.AsType[*scim.Error](err)
	return !ours || known.Reason == scim.Unavailable
}

// wrote counts a write that began then and ends now.
func (m *meter) wrote(ctx context.Context, began time.Time, err error) {
	m.writing.Add(-1)
	m.writes.Add(1)
	m.writeTime.Add(int64(time.Since(began)))
	if failed(ctx, err) {
		m.writeErrors.Add(1)
	}
}

// read counts a query that has ended.
func (m *meter) read(ctx context.Context, err error) {
	if failed(ctx, err) {
		m.readErrors.Add(1)
	}
}

var (
	upDesc          = prometheus.NewDesc("muster_database_up", "Whether the database answers: 1 or 0.", nil, nil)
	connectionsDesc = prometheus.NewDesc("muster_database_connections", "Connections of this server's pool, by state (in_use, idle). On SQLite those that read.", []string{"state"}, nil)
	mostDesc        = prometheus.NewDesc("muster_database_max_connections", "The most connections of the pool.", nil, nil)
	waitsDesc       = prometheus.NewDesc("muster_database_connection_waits_total", "How often a connection had to be waited for. PostgreSQL only.", nil, nil)
	waitedDesc      = prometheus.NewDesc("muster_database_connection_wait_seconds_total", "How long connections were waited for, in all. PostgreSQL only.", nil, nil)
	writingDesc     = prometheus.NewDesc("muster_database_writes_in_flight", "Write transactions that wait for their turn or are under way.", nil, nil)
	writeTimeDesc   = prometheus.NewDesc("muster_database_write_duration_seconds", "How long write transactions took, from the wait for their turn to the end of the commit.", nil, nil)
	errorsDesc      = prometheus.NewDesc("muster_database_errors_total", "Operations (read, write) that the database failed to do. What a constraint refuses is no error.", []string{"operation"}, nil)
	descs           = []*prometheus.Desc{upDesc, connectionsDesc, mostDesc, waitsDesc, waitedDesc, writingDesc, writeTimeDesc, errorsDesc}
)

// Collector tells monitoring how this server does with its database.
func (s *Store) Collector() prometheus.Collector { return collector{s} }

type collector struct{ store *Store }

// Describe tells what Collect collects.
func (collector) Describe(ch chan<- *prometheus.Desc) { Describe(ch, descs...) }

// Collect collects what there is.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s, found := c.store, Found(ch)
	if s.dialect == postgres {
		stat := s.pool.Stat()
		found.Gauge(connectionsDesc, float64(stat.AcquiredConns()), "in_use")
		found.Gauge(connectionsDesc, float64(stat.IdleConns()), "idle")
		found.Gauge(mostDesc, float64(stat.MaxConns()))
		found.Counter(waitsDesc, float64(stat.EmptyAcquireCount()))
		found.Counter(waitedDesc, stat.EmptyAcquireWaitTime().Seconds())
	} else {
		idle, most := len(s.readers), cap(s.readers)
		found.Gauge(connectionsDesc, float64(most-idle), "in_use")
		found.Gauge(connectionsDesc, float64(idle), "idle")
		found.Gauge(mostDesc, float64(most))
	}
	m := &s.meter
	found.Gauge(writingDesc, float64(m.writing.Load()))
	ch <- prometheus.MustNewConstSummary(writeTimeDesc, m.writes.Load(), time.Duration(m.writeTime.Load()).Seconds(), nil)
	found.Counter(errorsDesc, float64(m.readErrors.Load()), "read")
	found.Counter(errorsDesc, float64(m.writeErrors.Load()), "write")
	ctx, cancel := context.WithTimeout(context.Background(), CollectTime)
	defer cancel()
	up := 0.0
	if s.Ping(ctx) == nil {
		up = 1
	}
	found.Gauge(upDesc, up)
}
