package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-scim/muster/store"
)

// metrics are what monitoring is told of a server, since it started. Who can read them
// learns nothing of anybody: each label has one of a few values that the program knows
// beforehand, never a tenant, a credential, an address or an id.
type metrics struct {
	requests *prometheus.CounterVec   // door, method, code
	duration *prometheus.HistogramVec // door, method
	inFlight *prometheus.GaugeVec     // door
	streams  *prometheus.GaugeVec     // door
	answers  *prometheus.CounterVec   // door, code of HTTP
	refused  *prometheus.CounterVec   // door, cause
	limited  *prometheus.CounterVec   // limit
}

// The values of labels: doors, the cause that has no name, and limits.
const (
	restDoor  = "rest"
	grpcDoor  = "grpc"
	webDoor   = "console"
	oauthDoor = "oauth"

	otherCause = "other"

	overRate    = "rate"
	overTurns   = "concurrent_requests"
	overStreams = "concurrent_streams"
	overLogins  = "failed_logins"
	overPublic  = "public_requests"
)

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	buckets := make([]float64, len(latencyBounds))
	for i, bound := range latencyBounds {
		buckets[i] = bound.Seconds()
	}
	m := &metrics{
		requests: counter("muster_requests_total", "Calls that ended, by door (rest, grpc, console), gRPC method and gRPC code.", "door", "method", "code"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "muster_request_duration_seconds",
			Help: "How long calls of one message took, by door and gRPC method.", Buckets: buckets}, []string{"door", "method"}),
		inFlight: gauge("muster_requests_in_flight", "Calls of one message that are under way, by door.", "door"),
		streams:  gauge("muster_streams_in_flight", "Calls that answer with a stream and are under way, by door.", "door"),
		answers:  counter("muster_http_responses_total", "Answers over HTTP, by door (rest, oauth) and HTTP status; also those to requests that reached no gRPC method.", "door", "code"),
		refused:  counter("muster_refused_logins_total", "Attempts that were refused because of the credential that was shown, or was not, by door and cause.", "door", "cause"),
		limited:  counter("muster_rate_limited_total", "Requests that were refused because there were too many, by limit.", "limit"),
	}
	for _, door := range []string{restDoor, grpcDoor, webDoor} { // those that are 0 are there, too
		m.inFlight.WithLabelValues(door)
		m.streams.WithLabelValues(door)
	}
	for _, limit := range []string{overRate, overTurns, overStreams, overLogins, overPublic} {
		m.limited.WithLabelValues(limit)
	}
	return m
}

// intercept counts a call. What the REST face does for the server itself, and what an
// operator does on the database, is no request.
func (m *metrics) intercept(ctx context.Context, c *call) error {
	door := grpcDoor
	switch {
	case c.isInternal(), isLocal(ctx):
		return c.proceed(ctx)
	case isConsole(ctx):
		door = webDoor
	case c.inProcess:
		door = restDoor
	}
	underWay, method, began := m.inFlight, strings.TrimPrefix(c.method, "/"), time.Now()
	isStream := c.read == nil
	if isStream {
		underWay = m.streams
	}
	gauge := underWay.WithLabelValues(door)
	gauge.Inc()
	defer gauge.Dec()
	err := c.proceed(ctx)
	if !isStream { // which lasts as long as its client likes
		m.duration.WithLabelValues(door, method).Observe(time.Since(began).Seconds())
	}
	code := status.Code(err)
	m.requests.WithLabelValues(door, method, code.String()).Inc()
	switch {
	case err == nil:
	case c.cause != "":
		m.refused.WithLabelValues(door, string(c.cause)).Inc()
	case code == codes.Unauthenticated:
		m.refused.WithLabelValues(door, otherCause).Inc()
	}
	return err
}

// answered counts an answer over HTTP.
func (m *metrics) answered(door string, status int) {
	m.answers.WithLabelValues(door, strconv.Itoa(status)).Inc()
}

// over counts a request that is refused because of a limit.
func (m *metrics) over(limit string) { m.limited.WithLabelValues(limit).Inc() }

// What is asked for when somebody looks.
var (
	waitingDesc  = prometheus.NewDesc("muster_requests_waiting", "Requests that wait for their turn.", nil, nil)
	headDesc     = prometheus.NewDesc("muster_change_feed_position", "The position of the last change of any tenant; of all servers of a database the same.", nil, nil)
	watchersDesc = prometheus.NewDesc("muster_change_feed_watchers", "Streams of this server that follow the changes.", nil, nil)
	lagDesc      = prometheus.NewDesc("muster_change_feed_max_lag_changes", "How many changes are behind the position of the watcher of this server that is most behind; 0 while there is none.", nil, nil)
	queueDesc    = prometheus.NewDesc("muster_audit_queue_length", "Events that wait to be written to the audit log.", nil, nil)
	queueMaxDesc = prometheus.NewDesc("muster_audit_queue_max_length", "How many may wait before calls wait for them.", nil, nil)
	lostDesc     = prometheus.NewDesc("muster_audit_events_lost_total", "Events that could not be written to the audit log; they stand in the server's log.", nil, nil)
)

// Collector tells monitoring of the server, without a name or an id of anybody.
func (s *Server) Collector() prometheus.Collector { return collector{s} }

type collector struct{ server *Server }

func (c collector) vectors() []prometheus.Collector {
	m := c.server.metrics
	return []prometheus.Collector{m.requests, m.duration, m.inFlight, m.streams, m.answers, m.refused, m.limited}
}

// Describe tells what Collect collects.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range c.vectors() {
		v.Describe(ch)
	}
	store.Describe(ch, waitingDesc, headDesc, watchersDesc, lagDesc, queueDesc, queueMaxDesc, lostDesc)
}

// Collect collects what there is. While the database does not answer, what only it knows
// is left out.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for _, v := range c.vectors() {
		v.Collect(ch)
	}
	s, found := c.server, store.Found(ch)
	found.Gauge(waitingDesc, float64(s.limits.turns.Waiting()))
	queue := s.audit.queue
	found.Gauge(queueDesc, float64(len(queue.slots)))
	found.Gauge(queueMaxDesc, float64(cap(queue.slots)))
	found.Counter(lostDesc, float64(queue.lost.Load()))
	n, last := s.watchers.last()
	found.Gauge(watchersDesc, float64(n))
	ctx, cancel := context.WithTimeout(context.Background(), store.CollectTime)
	defer cancel()
	head, err := s.store.Head(ctx)
	if err != nil {
		return
	}
	found.Gauge(headDesc, float64(head))
	if n == 0 {
		last = head
	}
	found.Gauge(lagDesc, float64(max(head-last, 0)))
}
