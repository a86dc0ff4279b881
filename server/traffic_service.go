package server

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

const (
	usualTraffic = time.Hour
	maxBuckets   = 2000 // between the beginning and the end
)

func (s *activityService) GetTraffic(ctx context.Context, req *musterv1.GetTrafficRequest) (*musterv1.GetTrafficResponse, error) {
	of, err := s.audienceOf(ctx, req.GetTenant(), req.GetUnknownTenant())
	if err != nil {
		return nil, err
	}
	q, err := trafficQuery(req)
	if err != nil {
		return nil, err
	}
	if err := s.server.activity.traffic.flush(ctx); err != nil { // so that the last seconds are there, too
		return nil, err
	}
	q.Tenants = of.tenants
	found, err := s.server.store.Traffic(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &musterv1.GetTrafficResponse{
		StartTime: minuteMessage(q.From), EndTime: minuteMessage(q.To), Step: durationpb.New(time.Duration(q.Step) * time.Minute), Series: seriesOf(found, q.From),
	}
	for _, bound := range latencyBounds {
		out.LatencyBounds = append(out.LatencyBounds, durationpb.New(bound))
	}
	return out, nil
}

// trafficQuery reads all of a request but the tenant.
func trafficQuery(req *musterv1.GetTrafficRequest) (*store.TrafficQuery, error) {
	q := &store.TrafficQuery{Step: 1, Credential: req.GetCredential(), Total: req.GetTotal()}
	if req.GetStep() != nil {
		step := req.GetStep().AsDuration()
		if q.Step = int64(step / time.Minute); q.Step < 1 || step%time.Minute != 0 {
			return nil, scim.Errorf(scim.InvalidValue, "step is one or more whole minutes").At("step")
		}
	}
	from, err := momentOf(req.GetStartTime(), "start_time")
	if err != nil {
		return nil, err
	}
	to, err := momentOf(req.GetEndTime(), "end_time")
	if err != nil {
		return nil, err
	}
	if to.IsZero() {
		to = time.Now()
	}
	if from.IsZero() {
		from = to.Add(-usualTraffic)
	}
	q.From, q.To = from.Unix()/60, (to.Unix()+59)/60
	q.From -= q.From % q.Step
	switch buckets := (q.To - q.From + q.Step - 1) / q.Step; {
	case q.From < 0 || q.To <= q.From:
		return nil, scim.Errorf(scim.InvalidValue, "start_time is before end_time").At("start_time")
	case buckets > maxBuckets:
		return nil, scim.Errorf(scim.InvalidValue, "that would be %d buckets, and at most %d are answered: ask for a longer step, or less time", buckets, maxBuckets).At("step")
	}
	for door, known := range doors {
		if known == req.GetDoor() {
			q.Door = door
		}
	}
	return q, nil
}

func minuteMessage(minute int64) *timestamppb.Timestamp {
	return timestamppb.New(time.Unix(minute*60, 0))
}

// seriesOf puts the buckets of each credential and door together.
func seriesOf(found []store.TrafficBucket, from int64) (all []*musterv1.TrafficSeries) {
	type of struct{ credential, door string }
	sums, series := make(map[of]*store.Traffic), make(map[of]*musterv1.TrafficSeries)
	for i := range found {
		b := &found[i]
		key := of{b.Credential, b.Door}
		s := series[key]
		if s == nil {
			s = &musterv1.TrafficSeries{Credential: b.Credential, Door: doors[b.Door]}
			series[key], sums[key] = s, &store.Traffic{}
			all = append(all, s)
		}
		s.Buckets = append(s.Buckets, bucketMessage(b.Minute, &b.Traffic))
		sums[key].Add(&b.Traffic)
	}
	for key, s := range series {
		s.Sum = bucketMessage(from, sums[key])
	}
	slices.SortFunc(all, func(a, b *musterv1.TrafficSeries) int {
		if by := strings.Compare(a.GetCredential(), b.GetCredential()); by != 0 {
			return by
		}
		return int(a.GetDoor() - b.GetDoor())
	})
	return all
}

func bucketMessage(minute int64, t *store.Traffic) *musterv1.TrafficBucket {
	return &musterv1.TrafficBucket{
		Time: minuteMessage(minute), Requests: t.Requests, ClientErrors: t.ClientErrors, ServerErrors: t.ServerErrors, Unauthenticated: t.Unauthenticated,
		RateLimited: t.RateLimited, Latencies: t.Latencies[:], P50: percentile(t, 0.5), P95: percentile(t, 0.95), P99: percentile(t, 0.99),
	}
}

// percentile is the latency that such a part of the requests does not exceed, taken as
// evenly spread between the bounds of its class; nil: there are none. Of what took
// longer than the last bound it is that bound.
func percentile(t *store.Traffic, part float64) *durationpb.Duration {
	all := int64(0)
	for _, n := range t.Latencies {
		all += n
	}
	rank, before := int64(math.Ceil(part*float64(all))), int64(0)
	for class, n := range t.Latencies {
		if before+n < rank || n == 0 {
			before += n
			continue
		}
		if class == len(latencyBounds) {
			break
		}
		low := time.Duration(0)
		if class > 0 {
			low = latencyBounds[class-1]
		}
		width := float64(latencyBounds[class] - low)
		return durationpb.New(low + time.Duration(width*float64(rank-before)/float64(n)))
	}
	if all == 0 {
		return nil
	}
	return durationpb.New(latencyBounds[len(latencyBounds)-1])
}
