package server

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/metadata"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

var somewhere = netip.MustParseAddr("192.0.2.1")

// try lets a throttle see one attempt, and returns how long it makes the caller wait.
func (t *Throttle) try(address netip.Addr, secret string, valid bool) time.Duration {
	if err := t.Allow(address, secret); err != nil {
		return retryAfter(err)
	}
	if valid {
		t.Worked(address, secret)
	} else {
		t.Failed(address, secret)
	}
	return 0
}

// guess fails until the throttle refuses, and returns how often it could and for how
// long it must not.
func (t *Throttle) guess(address netip.Addr) (n int, wait time.Duration) {
	for ; wait == 0; n++ {
		wait = t.try(address, fmt.Sprint("guess", n, time.Now().UnixNano()), false)
	}
	return n - 1, wait
}

func TestThrottle_FailuresOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := NewThrottle(FailedLogins{30, time.Minute})
		n, wait := throttle.guess(somewhere)
		if n != 30 || wait != 2*time.Second {
			t.Errorf("%d failures and %s to wait, want 30 and 2 s", n, wait)
		}
		if wait := throttle.try(somewhere, "new here", true); wait == 0 {
			t.Error("what is not known is looked up")
		}
		if wait := throttle.try(netip.MustParseAddr("192.0.2.2"), "elsewhere", true); wait != 0 {
			t.Error("another address has to wait")
		}
		time.Sleep(wait)
		if wait := throttle.try(somewhere, "new here", true); wait != 0 {
			t.Errorf("after the wait it has to wait %s", wait)
		}
		throttle.guess(somewhere)
		time.Sleep(time.Minute)
		if n, _ := throttle.guess(somewhere); n != 30 {
			t.Errorf("after the window there are %d", n)
		}
	})
}

// Who is behind the same proxy as somebody who guesses goes on working.
func TestThrottle_WhatWorkedGoesOnWorking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := NewThrottle(FailedLogins{30, time.Minute})
		throttle.try(somewhere, "valid", true)
		for range 100 { // 100 minutes, all the time used to guess
			throttle.guess(somewhere)
			if wait := throttle.try(somewhere, "valid", true); wait != 0 {
				t.Fatalf("has to wait %s", wait)
			}
			time.Sleep(time.Minute)
		}
		throttle.guess(somewhere)
		throttle.try(somewhere, "valid", false) // revoked
		if wait := throttle.try(somewhere, "valid", false); wait == 0 {
			t.Error("what was revoked is looked up for ever")
		}
	})
}

// A client that does not notice that its credential was revoked locks out nobody who
// comes from the same address.
func TestThrottle_OneBadCredentialIsOnlyItsOwnFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := NewThrottle(FailedLogins{30, time.Minute})
		looked := 0
		for i := range 6000 { // ten minutes
			if throttle.try(somewhere, "revoked", false) == 0 {
				looked++
			}
			if i%100 == 0 && throttle.try(somewhere, fmt.Sprint("another", i), true) != 0 {
				t.Fatalf("somebody else has to wait after %d attempts", i)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if looked > 15+10*15 {
			t.Errorf("it was looked up %d times", looked)
		}
	})
}

func TestThrottle_WhatIsOneAddress(t *testing.T) {
	for _, c := range []struct{ a, b string }{
		{"192.0.2.1", "::ffff:192.0.2.1"}, {"2001:db8::1", "2001:db8::ffff:1"},
	} {
		if network(netip.MustParseAddr(c.a)) != network(netip.MustParseAddr(c.b)) {
			t.Errorf("%s and %s are two", c.a, c.b)
		}
	}
	if network(netip.MustParseAddr("2001:db8::1")) == network(netip.MustParseAddr("2001:db8:0:1::1")) {
		t.Error("two networks are one")
	}
	throttle := NewThrottle(FailedLogins{1, time.Minute})
	for range 3 {
		throttle.Failed(netip.Addr{}, "")
		if err := throttle.Allow(netip.Addr{}, ""); err != nil {
			t.Errorf("an address that is not known: %v", err)
		}
	}
	throttle.Failed(somewhere, "")
	if err := throttle.Allow(somewhere, ""); scim.ReasonOf(err) != scim.RateLimited {
		t.Errorf("after one failure: %v", err)
	}
	none := NewThrottle(FailedLogins{})
	for range 1000 {
		none.try(somewhere, "wrong", false)
		if wait := none.try(somewhere, "wrong", false); wait != 0 {
			t.Fatal("without a limit there is one")
		}
	}
}

// Floods from very many addresses do not fill the memory.
func TestThrottle_StaysSmall(t *testing.T) {
	throttle := NewThrottle(FailedLogins{30, time.Minute})
	for i := range 3 * maxThrottled {
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		throttle.try(address, fmt.Sprint(i), false)
		throttle.try(address, fmt.Sprint("valid", i), true)
	}
	if a, c, k := len(throttle.addresses.of), len(throttle.credentials.of), len(throttle.known); a > maxThrottled || c > maxThrottled || k > maxThrottled || k == 0 {
		t.Errorf("%d addresses, %d credentials and %d that worked are remembered", a, c, k)
	}
}

// Over the wire: attempts fail with unauthenticated, then with rateLimited, without
// looking; who is known goes on working.
func TestAuthenticate_Throttled(t *testing.T) {
	s, ctx := newServerWith(t, Options{Limits: Limits{FailedLogins: FailedLogins{5, time.Hour}}})
	c := musterv1.NewDiscoveryServiceClient(overSocket(t, s))
	call := func(ctx context.Context) string {
		_, err := c.ListSchemas(ctx, &musterv1.ListSchemasRequest{})
		if reasonOf(err) == "rateLimited" && retryDelay(err) <= 0 {
			t.Errorf("no word of when to try again: %v", err)
		}
		return reasonOf(err)
	}
	if reason := call(ctx); reason != "" {
		t.Fatal(reason)
	}
	for i := range 8 {
		want := "unauthenticated"
		if i >= 5 {
			want = "rateLimited"
		}
		if got := call(metadata.AppendToOutgoingContext(context.Background(), "authorization", fmt.Sprint("Bearer wrong", i))); got != want {
			t.Errorf("attempt %d: %s, want %s", i, got, want)
		}
	}
	if reason := call(context.Background()); reason != "unauthenticated" {
		t.Errorf("who shows nothing is told %s", reason)
	}
	if reason := call(ctx); reason != "" {
		t.Errorf("who worked before is told %s", reason)
	}
}
