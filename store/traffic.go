package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// LatencyClasses is how many classes of latencies are counted.
const LatencyClasses = 15

// TrafficKey is what traffic is counted for.
type TrafficKey struct {
	TenantID   int64 // NoTenant: it is not known
	Minute     int64 // Unix time in minutes
	Credential string
	Door       string // REST or GRPC
}

// Traffic is how many requests there were, and what became of them.
type Traffic struct {
	Requests, ClientErrors, ServerErrors, Unauthenticated, RateLimited int64
	// Latencies are how many took so long: see server/traffic.go for the classes.
	Latencies [LatencyClasses]int64
}

// fields are pointers to all numbers, in the order of trafficColumns.
func (t *Traffic) fields() []any {
	all := []any{&t.Requests, &t.ClientErrors, &t.ServerErrors, &t.Unauthenticated, &t.RateLimited}
	for i := range t.Latencies {
		all = append(all, &t.Latencies[i])
	}
	return all
}

// Add adds what was counted elsewhere.
func (t *Traffic) Add(other *Traffic) {
	more := other.fields()
	for i, field := range t.fields() {
		*field.(*int64) += *more[i].(*int64) //nolint:forcetypeassert // they are
	}
}

var trafficColumns = func() []string {
	all := []string{"requests", "client_errors", "server_errors", "unauthenticated", "rate_limited"}
	for i := range LatencyClasses {
		all = append(all, fmt.Sprintf("latency%d", i))
	}
	return all
}()

// SaveTraffic writes what a server has counted: each number in place of the one that it
// has written before for the same key.
func (s *Store) SaveTraffic(ctx context.Context, server string, counted map[TrafficKey]Traffic) error {
	set := make([]string, len(trafficColumns))
	for i, column := range trafficColumns {
		set[i] = column + " = excluded." + column
	}
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		for key, t := range counted {
			st := s.statement()
			st.add("INSERT INTO traffic (tenant_id, minute, credential, door, server, "+strings.Join(trafficColumns, ", ")+") VALUES (",
				arg{key.TenantID}, ", ", arg{key.Minute}, ", ", arg{clean(key.Credential)}, ", ", arg{key.Door}, ", ", arg{server})
			for _, field := range t.fields() {
				st.add(", ", arg{*field.(*int64)}) //nolint:forcetypeassert // they are
			}
			st.add(") ON CONFLICT (tenant_id, minute, credential, door, server) DO UPDATE SET " + strings.Join(set, ", "))
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}

// TrafficQuery selects traffic.
type TrafficQuery struct {
	// Tenants are their numbers: one, or one and NoTenant.
	Tenants  []int64
	From, To int64 // the first minute, and the first no more
	Step     int64 // minutes of a bucket
	// Credential and Door are which; empty: all.
	Credential, Door string
	// Total: credentials and doors are not told apart.
	Total bool
}

// TrafficBucket is the traffic of one step, which begins with the minute of the key.
// Where all are taken together, the key has neither credential nor door.
type TrafficBucket struct {
	TrafficKey
	Traffic
}

// Traffic sums what all servers have counted, by credential, door and step, in the order
// of time.
func (s *Store) Traffic(ctx context.Context, q *TrafficQuery) (all []TrafficBucket, err error) {
	sums := make([]string, len(trafficColumns))
	for i, column := range trafficColumns {
		sums[i] = "CAST(sum(" + column + ") AS bigint)"
	}
	of := "credential, door"
	if q.Total {
		of = "'', ''"
	}
	st := s.statement()
	st.add("SELECT minute - minute % ", arg{q.Step}, " AS began, "+of+", "+strings.Join(sums, ", ")+" FROM traffic WHERE tenant_id", numbers(q.Tenants),
		" AND minute >= ", arg{q.From}, " AND minute < ", arg{q.To})
	if q.Credential != "" {
		st.add(" AND credential = ", arg{clean(q.Credential)})
	}
	if q.Door != "" {
		st.add(" AND door = ", arg{q.Door})
	}
	st.add(" GROUP BY 1")
	if !q.Total {
		st.add(", credential, door")
	}
	err = s.read(ctx, st.add(" ORDER BY 1, 2, 3"), func(scan scan) error {
		var b TrafficBucket
		err := scan(append([]any{&b.Minute, &b.Credential, &b.Door}, b.fields()...)...)
		all = append(all, b)
		return err
	})
	return all, err
}

// RemoveTraffic removes what was counted before a moment.
func (s *Store) RemoveTraffic(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("DELETE FROM traffic WHERE minute < ", arg{before.Unix() / 60}))
	})
}
