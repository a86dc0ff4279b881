package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// collected are the metrics of a server, by their names and the values of their labels.
func collected(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(s.Collector()); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := []string{f.GetName()}
			for _, l := range m.GetLabel() {
				key = append(key, l.GetValue())
			}
			all[strings.Join(key, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return all
}

func checkCollected(t *testing.T, s *Server, want map[string]float64) {
	t.Helper()
	got := collected(t, s)
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			t.Errorf("%s is %v, want %v", key, got[key], want[key])
		}
	}
}

// Each limit that refuses is told apart, and who waits is counted.
func TestMetrics_Limits(t *testing.T) {
	s, ctx := newServerWith(t, Options{Limits: Limits{OfTenant: 1, Total: 1, Streams: 1}})
	list := func() error {
		_, err := musterv1.NewProvisioningServiceClient(s.Conn()).ListUsers(ctx, &musterv1.ListUsersRequest{})
		return err
	}
	p, err := s.store.Authenticate(ctx, HashToken(token))
	if err != nil {
		t.Fatal(err)
	}
	doneTurn, err := s.limits.turns.Take(ctx, p.Tenant.ID(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	doneStream, err := s.limits.streams.Take(ctx, p.Tenant.ID(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	both.Go(func() {
		if err := list(); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a request beyond: %v", err)
		}
	})
	both.Go(func() {
		stream, err := musterv1.NewChangeServiceClient(s.Conn()).WatchChanges(ctx, &musterv1.WatchChangesRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.ResourceExhausted {
			t.Errorf("a stream beyond: %v", err)
		}
	})
	for deadline := time.Now().Add(patience); collected(t, s)["muster_requests_waiting"] != 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody waits")
		}
	}
	both.Wait()
	doneTurn()
	doneStream()
	s.limits.Tenant = Rate{0.001, 1}
	for _, want := range []codes.Code{codes.OK, codes.ResourceExhausted} {
		if err := list(); status.Code(err) != want {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if s.Admit(&p) == nil {
		t.Error("what is answered elsewhere is admitted")
	}
	if !s.public.TryAcquire(maxPublic) {
		t.Fatal("somebody calls")
	}
	if _, err := musterv1.NewEventServiceClient(s.Conn()).ListSigningKeys(context.Background(), &musterv1.ListSigningKeysRequest{}); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a public call beyond: %v", err)
	}
	checkCollected(t, s, map[string]float64{
		"muster_rate_limited_total concurrent_requests": 1, "muster_rate_limited_total concurrent_streams": 1, "muster_rate_limited_total rate": 2,
		"muster_rate_limited_total public_requests": 1, "muster_rate_limited_total failed_logins": 0, "muster_requests_waiting": 0,
	})
}

// The console and OAuth have doors of their own; what is done on the database has none.
func TestMetrics_Doors(t *testing.T) {
	s, _ := newServer(t)
	list := func(ctx context.Context, conn grpc.ClientConnInterface) {
		_, _ = musterv1.NewTenantServiceClient(conn).ListTenants(ctx, &musterv1.ListTenantsRequest{})
	}
	list(metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer no-session"), s.ConsoleConn())
	list(context.Background(), s.LocalConn())
	s.NoteOAuth(store.Exchange{Door: store.REST, Status: 401}, false)
	s.NoteOAuth(store.Exchange{Door: store.REST, Status: 200}, true)
	checkCollected(t, s, map[string]float64{
		"muster_requests_total Unauthenticated console muster.v1.TenantService/ListTenants": 1, "muster_refused_logins_total other console": 1,
		"muster_http_responses_total 401 oauth": 1, "muster_http_responses_total 200 oauth": 1, "muster_refused_logins_total unknown_secret oauth": 1,
	})
	for key, n := range collected(t, s) {
		if strings.HasPrefix(key, "muster_requests_total ") && !strings.Contains(key, " console ") || strings.HasPrefix(key, "muster_requests_in_flight") && n != 0 {
			t.Errorf("%s is %v", key, n)
		}
	}
}

// How far the slowest watcher is behind is told, and what the audit log has lost.
func TestMetrics_LagAndLoss(t *testing.T) {
	s, ctx := newServer(t)
	for _, name := range []string{"a", "b", "c"} {
		if _, err := musterv1.NewProvisioningServiceClient(s.Conn()).CreateUser(ctx, &musterv1.CreateUserRequest{User: &musterv1.User{UserName: name}}); err != nil {
			t.Fatal(err)
		}
	}
	checkCollected(t, s, map[string]float64{"muster_change_feed_position": 3, "muster_change_feed_max_lag_changes": 0, "muster_change_feed_watchers": 0})
	s.watchers.of["quick"], s.watchers.of["slow"] = &store.Watcher{Position: 3}, &store.Watcher{Position: 1}
	s.audit.queue.giveUp(&store.AuditEvent{}, errors.New("the database is not there"))
	checkCollected(t, s, map[string]float64{
		"muster_change_feed_max_lag_changes": 2, "muster_change_feed_watchers": 2, "muster_audit_events_lost_total": 1, "muster_audit_queue_max_length": maxQueued,
	})
}

// What counting costs a call: nothing beside what the call does.
func BenchmarkMetrics(b *testing.B) {
	m := newMetrics()
	ctx := context.Background()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c := &call{method: musterv1.ProvisioningService_GetUser_FullMethodName, inProcess: true, read: func(context.Context) error { return nil },
				handle: func(context.Context) error { return nil }}
			_ = m.intercept(ctx, c)
		}
	})
}
