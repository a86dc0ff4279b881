package server

import (
	"context"
	"errors"
	"math"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// retryDelay is when an error says that the client can try again; 0: it does not.
func retryDelay(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// retryAfter is when an error of the rules says that it can be tried again.
func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*scim.Error](err); ok {
		return e.RetryAfter
	}
	return 0
}

// Beyond its rate a caller is told when to come again, by both connections alike, and
// then it is served.
func TestLimit_Rate(t *testing.T) {
	for name, limits := range map[string]Limits{
		"of the tenant":     {Tenant: Rate{20, 3}},
		"of the credential": {Tenant: Rate{1000, 1000}, Credential: Rate{20, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := newServerWith(t, Options{Limits: limits})
			for name, conn := range map[string]grpc.ClientConnInterface{"socket": overSocket(t, s), "in process": s.Conn()} {
				c := musterv1.NewDiscoveryServiceClient(conn)
				var header metadata.MD
				var err error
				n := 0
				for ; err == nil && n < 100; n++ {
					_, err = c.GetServiceProviderConfig(ctx, &musterv1.GetServiceProviderConfigRequest{}, grpc.Header(&header))
				}
				if n <= 3 || status.Code(err) != codes.ResourceExhausted || reasonOf(err) != "rateLimited" {
					t.Fatalf("%s: request %d: %v", name, n, err)
				}
				wait := retryDelay(err)
				if seconds, _ := strconv.Atoi(header.Get("retry-after")[0]); wait <= 0 || wait > time.Second/20 || seconds != int(math.Ceil(wait.Seconds())) {
					t.Errorf("%s: told to wait %s, and %s seconds", name, wait, header.Get("retry-after"))
				}
				time.Sleep(wait)
				if _, err := c.GetServiceProviderConfig(ctx, &musterv1.GetServiceProviderConfigRequest{}); err != nil {
					t.Errorf("%s: after the wait: %v", name, err)
				}
				time.Sleep(200 * time.Millisecond) // the bucket is full again
			}
		})
	}
}

// principal is one of a tenant, with a credential of the same number.
func principal(id int64) *store.Principal { return &store.Principal{ID: id} }

// admitted is how many requests are admitted now.
func admitted(l *limits, p *store.Principal) (n int, err error) {
	for ; err == nil; n++ {
		err = l.admit(p, 1, time.Now())
	}
	return n - 1, err
}

func TestLimits_TheWaitIsTrue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(Limits{Tenant: Rate{0.3, 2}})
		if n, _ := admitted(l, principal(1)); n != 2 {
			t.Errorf("%d at once, want the burst of 2", n)
		}
		for range 5 {
			_, err := admitted(l, principal(1))
			wait := retryAfter(err)
			time.Sleep(wait - time.Microsecond)
			if l.admit(principal(1), 1, time.Now()) == nil {
				t.Errorf("admitted before the %s were over", wait)
			}
			time.Sleep(time.Microsecond)
			if err := l.admit(principal(1), 1, time.Now()); err != nil {
				t.Errorf("after %s: %v", wait, err)
			}
		}
	})
}

// What a bulk request counts for is paid by what comes after it, also where it is
// more than the bucket ever holds.
func TestLimits_WhatIsTooMuchIsADebt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits(Limits{Tenant: Rate{10, 100}})
		if err := l.admit(principal(1), 250, time.Now()); err != nil {
			t.Fatal(err)
		}
		_, err := admitted(l, principal(1))
		if wait := retryAfter(err).Round(time.Millisecond); wait != 15100*time.Millisecond {
			t.Errorf("the next waits %s, want 15.1 s: 151 at 10 a second", wait)
		}
	})
}

func TestWeight(t *testing.T) {
	s, ctx := newServer(t)
	p, err := s.store.Authenticate(ctx, HashToken(token))
	if err != nil {
		t.Fatal(err)
	}
	bulk := func(n int) *musterv1.BulkRequest {
		return &musterv1.BulkRequest{Operations: make([]*musterv1.BulkOperation, n)}
	}
	for _, c := range []struct {
		request any
		want    int
	}{{nil, 1}, {&musterv1.GetUserRequest{}, 1}, {bulk(0), 1}, {bulk(250), 250}, {bulk(1000), 1000}, {bulk(5000), 1000}} {
		if got := weight(&call{principal: p, request: c.request}); got != c.want {
			t.Errorf("%T counts for %d, want %d", c.request, got, c.want)
		}
	}
}

// A tenant's own limits count at once, and those that it does not have are the
// server's.
func TestRate_OfATenant(t *testing.T) {
	number := func(n float64) *float64 { return &n }
	whole := func(n int32) *int32 { return &n }
	server := Rate{1000, 2000}
	for _, c := range []struct {
		settings store.TenantSettings
		want     Rate
	}{
		{store.TenantSettings{}, server},
		{store.TenantSettings{RequestsPerSecond: number(5)}, Rate{5, 2000}},
		{store.TenantSettings{Burst: whole(7)}, Rate{1000, 7}},
		{store.TenantSettings{RequestsPerSecond: number(0), Burst: whole(7)}, Rate{0, 7}},
	} {
		if got := server.with(c.settings); got != c.want {
			t.Errorf("%+v: %v, want %v", c.settings, got, c.want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		var b buckets[int]
		b.bucket(1, Rate{10, 10}, time.Now()).take(10, time.Now())
		if wait := b.bucket(1, Rate{1, 10}, time.Now()).wait(time.Now()); wait != time.Second {
			t.Errorf("with the new rate the wait is %s", wait)
		}
		if wait := b.bucket(1, Rate{0, 10}, time.Now()).wait(time.Now()); wait != 0 {
			t.Errorf("without a limit the wait is %s", wait)
		}
	})
}

func TestLimits_ZeroIsNone(t *testing.T) {
	l := newLimits(Limits{})
	for range 10_000 {
		if err := l.admit(principal(1), 1, time.Now()); err != nil {
			t.Fatal(err)
		}
		for _, request := range []any{nil, &musterv1.GetUserRequest{}} {
			if _, err := l.begin(t.Context(), &call{principal: *principal(1), request: request}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Buckets that are full are forgotten, and never more are kept than may be.
func TestBuckets_StayFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b buckets[int]
		for i := range 100_000 {
			b.bucket(i, Rate{1, 1}, time.Now()).take(1, time.Now())
			time.Sleep(time.Millisecond)
		}
		if len(b.of) > 3000 { // those of the last second, and as many more before the next sweep
			t.Errorf("%d buckets are kept", len(b.of))
		}
		flood := buckets[int]{most: 5000}
		most := 0
		for i := range 100_000 {
			flood.bucket(i, Rate{1, 1}, time.Now()).take(1, time.Now())
			most = max(most, len(flood.of))
		}
		if most > 5000 {
			t.Errorf("there were %d buckets, more than %d", most, flood.most)
		}
	})
}

// Of one tenant only so many requests are worked on at once; others wait a little.
// What is set for a tenant counts instead of what is set for all.
func TestLimit_AtOnce(t *testing.T) {
	s, _ := newServerWith(t, Options{Limits: Limits{OfTenant: 2, Total: 3, Streams: 4}})
	synctest.Test(t, func(t *testing.T) {
		s.limits = newLimits(s.limits.Limits)
		ended := make(chan struct{})
		work := func(credential int64, request any) (late chan error) {
			c := &call{principal: store.Principal{ID: credential}, request: request}
			outcome := make(chan error, 1)
			working := make(chan struct{})
			c.handle = func(context.Context) error {
				close(working)
				<-ended
				return nil
			}
			go func() { outcome <- s.limit(t.Context(), c) }()
			synctest.Wait()
			select {
			case <-working:
				return nil
			default:
				return outcome
			}
		}
		request := &musterv1.GetUserRequest{}
		for range 2 {
			if work(1, request) != nil {
				t.Fatal("two are not worked on")
			}
		}
		late := work(1, request)
		if late == nil {
			t.Fatal("three are worked on")
		}
		for range 4 {
			if work(1, nil) != nil {
				t.Error("a stream waits for a turn")
			}
		}
		if err := <-work(1, nil); scim.ReasonOf(err) != scim.RateLimited {
			t.Errorf("one stream more: %v", err)
		}
		begin := time.Now()
		if err := <-late; scim.ReasonOf(err) != scim.RateLimited || retryAfter(err) != time.Second || time.Since(begin) != patience {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		close(ended)
		if work(1, request) != nil {
			t.Error("no turn was given back")
		}
	})
}

// A message is not read before the caller is known: of one who is not let in nothing
// is waited for.
func TestReceive_NothingIsReadOfStrangers(t *testing.T) {
	s, ctx := newServer(t)
	conn := overSocket(t, s)
	for name, c := range map[string]struct {
		ctx    context.Context
		method string
		want   codes.Code
	}{
		"no credential":    {context.Background(), musterv1.ProvisioningService_CreateUser_FullMethodName, codes.Unauthenticated},
		"a wrong one":      {metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer wrong"), musterv1.ProvisioningService_CreateUser_FullMethodName, codes.Unauthenticated},
		"not enough scope": {ctx, musterv1.RegistryService_Register_FullMethodName, codes.PermissionDenied},
	} {
		ctx, cancel := context.WithTimeout(c.ctx, 10*time.Second)
		defer cancel()
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, c.method)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.RecvMsg(&musterv1.CreateUserResponse{}); status.Code(err) != c.want {
			t.Errorf("%s: before any message was sent: %v", name, err)
		}
	}
}

// Those who need no credential cannot fill the memory with half-sent messages.
func TestReceive_FewWithoutACredential(t *testing.T) {
	s, ctx := newServer(t)
	conn := overSocket(t, s)
	var open []context.CancelFunc
	for range maxPublic {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		open = append(open, cancel)
		if _, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/grpc.health.v1.Health/Check"); err != nil {
			t.Fatal(err)
		}
	}
	check := func() error {
		stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/grpc.health.v1.Health/List")
		if err == nil {
			err = stream.CloseSend()
		}
		if err != nil {
			t.Fatal(err)
		}
		return stream.RecvMsg(&musterv1.CreateUserResponse{})
	}
	refused := false
	for deadline := time.Now().Add(30 * time.Second); !refused && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		refused = status.Code(check()) == codes.ResourceExhausted
	}
	if !refused {
		t.Error("one more was not refused")
	}
	if _, err := musterv1.NewDiscoveryServiceClient(conn).ListSchemas(ctx, &musterv1.ListSchemasRequest{}); err != nil {
		t.Errorf("who has a credential: %v", err)
	}
	for _, cancel := range open {
		cancel()
	}
	for deadline := time.Now().Add(30 * time.Second); status.Code(check()) == codes.ResourceExhausted; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no turn was given back")
		}
	}
}
