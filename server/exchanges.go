package server

import (
	"context"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// An audience is whose exchanges a caller sees.
type audience struct {
	tenants []int64
	name    string // of the first
}

// audienceOf is that of a request about a tenant; unknown: with those of no known tenant.
func (s *activityService) audienceOf(ctx context.Context, name string, unknown bool) (audience, error) {
	id, err := s.observed(ctx, name)
	if err != nil {
		return audience{}, err
	}
	a := audience{[]int64{id}, nameOfTenant(ctx, name)}
	if !unknown || id == store.NoTenant {
		return a, nil
	}
	if !administersAll(ctx) {
		return a, scim.Errorf(scim.Forbidden, "only a credential of the tenant %s sees what is of no known tenant", DefaultTenant)
	}
	a.tenants = append(a.tenants, store.NoTenant)
	return a, nil
}

func (s *activityService) ListExchanges(ctx context.Context, req *musterv1.ListExchangesRequest) (*musterv1.ListExchangesResponse, error) {
	of, err := s.audienceOf(ctx, req.GetTenant(), req.GetFilter().GetUnknownTenant())
	if err != nil {
		return nil, err
	}
	q, err := exchangeQuery(of, req.GetFilter())
	if err != nil {
		return nil, err
	}
	if q.Count, err = activityPage(req.GetPageSize(), "page_size"); err != nil {
		return nil, err
	}
	if q.From, err = momentOf(req.GetStartTime(), "start_time"); err != nil {
		return nil, err
	}
	if q.To, err = momentOf(req.GetEndTime(), "end_time"); err != nil {
		return nil, err
	}
	if token := req.GetPageToken(); token != "" {
		if q.Before, err = strconv.ParseInt(token, 10, 64); err != nil || q.Before <= 0 {
			return nil, errForeignToken
		}
	}
	found, err := s.server.store.Exchanges(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &musterv1.ListExchangesResponse{}
	for i := range found {
		out.Exchanges = append(out.Exchanges, of.message(&found[i]))
	}
	if len(found) == q.Count {
		out.NextPageToken = strconv.FormatInt(found[q.Count-1].ID, 10)
	}
	return out, nil
}

// momentOf reads a time of a request; absent: the zero time.
func momentOf(at *timestamppb.Timestamp, field string) (time.Time, error) {
	switch {
	case at == nil:
		return time.Time{}, nil
	case !at.IsValid():
		return time.Time{}, scim.Errorf(scim.InvalidValue, "%s is no time", field).At(field)
	}
	return at.AsTime(), nil
}

// exchangeQuery reads a filter.
func exchangeQuery(of audience, f *musterv1.ExchangeFilter) (*store.ExchangeQuery, error) {
	q := &store.ExchangeQuery{
		Tenants: of.tenants, Errors: f.GetErrors(), Writes: f.GetWrites(), Status: int(f.GetStatus()), Credential: f.GetCredential(),
		PathPrefix: f.GetPathPrefix(), ResourceID: f.GetResourceId(), RequestID: f.GetRequestId(), Address: f.GetAddress(), Method: f.GetMethod(),
	}
	for _, kind := range f.GetKinds() {
		word, known := kindWord(kind)
		if !known {
			return nil, scim.Errorf(scim.InvalidValue, "kinds has one that is not known").At("filter.kinds")
		}
		q.Kinds = append(q.Kinds, word)
	}
	return q, nil
}

// kindWord is the word of a kind, as it is stored.
func kindWord(kind musterv1.LoggedExchange_Kind) (word string, known bool) {
	name, known := strings.CutPrefix(musterv1.LoggedExchange_Kind_name[int32(kind)], "KIND_")
	return strings.ToLower(name), known && kind != musterv1.LoggedExchange_KIND_UNSPECIFIED
}

// message is what the contract makes of an exchange.
func (a audience) message(e *store.Exchange) *musterv1.LoggedExchange {
	m := &musterv1.LoggedExchange{
		Id: strconv.FormatInt(e.ID, 10), Time: timestamppb.New(e.Time), Server: e.Server, RequestId: e.RequestID, Tenant: a.name, Credential: e.Credential,
		Operator: e.Operator, Address: e.Address, Client: e.Client, Method: e.Method, Path: e.Path, Status: int32(e.Status), Code: e.Code, //nolint:gosec // of HTTP
		Kind:   musterv1.LoggedExchange_Kind(musterv1.LoggedExchange_Kind_value["KIND_"+strings.ToUpper(e.Kind)]),
		Reason: e.Reason, Detail: e.Detail, Cause: cause(e.Cause).message(), Hint: hintFor(e), Took: durationpb.New(e.Took), ResourceType: e.ResourceType,
		ResourceId: e.ResourceID, Preview: e.Preview, LeftOut: e.LeftOut, HasBodies: e.HasBody, Door: doors[e.Door],
	}
	if e.TenantID == store.NoTenant {
		m.Tenant = noTenant
	}
	return m
}

// doors are those of the contract.
var doors = map[string]musterv1.Door{store.REST: musterv1.Door_DOOR_REST, store.GRPC: musterv1.Door_DOOR_GRPC}

func (s *activityService) GetExchange(ctx context.Context, req *musterv1.GetExchangeRequest) (*musterv1.GetExchangeResponse, error) {
	of, err := s.audienceOf(ctx, req.GetTenant(), administersAll(ctx))
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(req.GetId(), 10, 64)
	if err != nil || id <= 0 {
		return nil, scim.Errorf(scim.NotFound, "there is no exchange %.40q", req.GetId())
	}
	found, err := s.server.store.Exchange(ctx, of.tenants, id)
	if err != nil {
		return nil, err
	}
	m := of.message(&found)
	if found.HasBody {
		m.Exchange, err = exchangeMessage(exchangeOfKept(&found))
	}
	return &musterv1.GetExchangeResponse{Exchange: m}, err
}

const (
	// pollExchanges is how often it is looked for what other servers have kept, while
	// somebody follows.
	pollExchanges = 500 * time.Millisecond
	// A page of exchanges is how many a stream holds in memory.
	exchangesOfStream = 100
)

func (s *activityService) WatchExchanges(req *musterv1.WatchExchangesRequest, stream grpc.ServerStreamingServer[musterv1.WatchExchangesResponse]) error {
	ctx := stream.Context()
	of, err := s.audienceOf(ctx, req.GetTenant(), req.GetFilter().GetUnknownTenant())
	if err != nil {
		return err
	}
	q, err := exchangeQuery(of, req.GetFilter())
	if err != nil {
		return err
	}
	q.OldestFirst, q.Count = true, exchangesOfStream
	if after := req.GetAfterId(); after != "" {
		if q.After, err = strconv.ParseInt(after, 10, 64); err != nil || q.After < 0 {
			return scim.Errorf(scim.InvalidValue, "after_id is not the id of an exchange").At("after_id")
		}
	} else if q.After, err = s.server.store.LastExchange(ctx); err != nil {
		return err
	}
	w := &exchangeWatch{service: s, stream: stream, of: of, query: q, vigil: newVigil(s.server, "")}
	return w.follow(ctx)
}

// An exchangeWatch is a stream of exchanges under way.
type exchangeWatch struct {
	service *activityService
	stream  grpc.ServerStreamingServer[musterv1.WatchExchangesResponse]
	of      audience
	query   *store.ExchangeQuery // After: all up to it were sent
	vigil   *vigil
}

// follow sends exchanges until the call ends. At its beginning, and while nothing comes,
// it sends an empty message from time to time, so that the client knows that it follows.
func (w *exchangeWatch) follow(ctx context.Context) error {
	look := time.NewTicker(pollExchanges)
	defer look.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	if err := w.stream.Send(&musterv1.WatchExchangesResponse{}); err != nil {
		return err
	}
	for {
		written := w.service.server.activity.written()
		if err := w.send(ctx); err != nil {
			return err
		}
		var err error
		select {
		case <-written:
		case <-look.C:
			err = w.vigil.check(ctx)
		case <-beat.C:
			err = w.stream.Send(&musterv1.WatchExchangesResponse{})
		case <-w.service.server.stopping:
			err = errStopping
		case <-ctx.Done():
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

// send sends what there is.
func (w *exchangeWatch) send(ctx context.Context) error {
	for {
		last, err := w.service.server.store.LastExchange(ctx)
		if err != nil || last <= w.query.After {
			return err
		}
		found, err := w.service.server.store.Exchanges(ctx, w.query)
		if err != nil {
			return err
		}
		for i := range found {
			if err := w.stream.Send(&musterv1.WatchExchangesResponse{Exchange: w.of.message(&found[i])}); err != nil {
				return err
			}
			w.query.After = found[i].ID
		}
		if len(found) < w.query.Count {
			w.query.After = max(w.query.After, last)
			return nil
		}
	}
}
