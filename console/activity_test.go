package console

import (
	"context"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

type fakeActivity struct {
	musterv1.ActivityServiceClient
	mu  sync.Mutex
	all []*musterv1.LoggedExchange
}

func (f *fakeActivity) put(e *musterv1.LoggedExchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.Id = strconv.Itoa(len(f.all) + 1)
	if e.Time == nil {
		e.Time = timestamppb.Now()
	}
	f.all = append(f.all, e)
}

func (f *fakeActivity) ListExchanges(_ context.Context, req *musterv1.ListExchangesRequest, _ ...grpc.CallOption) (*musterv1.ListExchangesResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := &musterv1.ListExchangesResponse{}
	for i := len(f.all) - 1; i >= 0; i-- {
		e := f.all[i]
		if q := req.GetFilter(); q.GetErrors() && e.GetStatus() < 400 || q.GetCredential() != "" && q.GetCredential() != e.GetCredential() {
			continue
		}
		out.Exchanges = append(out.Exchanges, e)
	}
	return out, nil
}

type fakeStream struct {
	grpc.ClientStream
	f    *fakeActivity
	ctx  context.Context
	next int
}

func (f *fakeActivity) WatchExchanges(ctx context.Context, req *musterv1.WatchExchangesRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[musterv1.WatchExchangesResponse], error) {
	n, _ := strconv.Atoi(req.GetAfterId())
	return &fakeStream{f: f, ctx: ctx, next: n}, nil
}

func (s *fakeStream) Recv() (*musterv1.WatchExchangesResponse, error) {
	for s.ctx.Err() == nil {
		s.f.mu.Lock()
		if s.next < len(s.f.all) {
			e := s.f.all[s.next]
			s.next++
			s.f.mu.Unlock()
			return &musterv1.WatchExchangesResponse{Exchange: e}, nil
		}
		s.f.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
	}
	return nil, s.ctx.Err()
}
