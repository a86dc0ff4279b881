package server

import (
	"net/netip"
	"sync"
	"time"

	"github.com/muster-scim/muster/scim"
)

// FailedLogins is how many attempts with credentials that are not valid are looked at
// from one address within a time: Count at once, and again as many as the Window goes
// by. The zero FailedLogins are any number.
type FailedLogins struct {
	Count  int
	Window time.Duration
}

// A Throttle keeps callers from trying credentials. Who failed too often is refused
// before anything is looked up, until some time has passed. An address is an IPv4
// address, or the first 64 bits of an IPv6 one.
//
// Many callers can have one address, behind a proxy or NAT. So a credential that has
// worked from an address lately goes on doing so whatever others try there. And one
// that keeps failing is refused for itself, before it uses up what the address has: a
// client that was forgotten when its credential was revoked locks out nobody.
type Throttle struct {
	address, credential Rate
	refused             func() // is told of each that is refused; nil: nobody is

	mu          sync.Mutex
	addresses   buckets[netip.Prefix]
	credentials buckets[[32]byte]
	known       map[knownKey]time.Time
}

// knownKey is a credential that worked from an address.
type knownKey struct {
	address netip.Prefix
	shown   [32]byte
}

const (
	// maxThrottled is how many addresses and credentials are remembered, of each.
	maxThrottled = 20_000
	// knownTime is how long it is remembered that a credential worked.
	knownTime = time.Hour
)

// NewThrottle makes a throttle.
func NewThrottle(l FailedLogins) *Throttle {
	t := &Throttle{known: make(map[knownKey]time.Time)}
	if l.Count > 0 && l.Window > 0 {
		t.address = Rate{float64(l.Count) / l.Window.Seconds(), l.Count}
		t.credential = Rate{t.address.PerSecond / 2, max(l.Count/2, 1)}
	}
	t.addresses.most, t.credentials.most = maxThrottled, maxThrottled
	return t
}

// Allow fails with RateLimited where the address failed too often, or what is shown
// did: the text of a secret, or "" where it is none that is shown again.
func (t *Throttle) Allow(address netip.Addr, shown string) error {
	from, hash, now := network(address), HashToken(shown), time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.known[knownKey{from, hash}]; ok && now.Sub(at) < knownTime {
		return nil
	}
	var wait time.Duration
	if _, failed := t.addresses.of[from]; failed {
		wait = t.addresses.bucket(from, t.address, now).wait(now)
	}
	if _, failed := t.credentials.of[hash]; failed {
		wait = max(wait, t.credentials.bucket(hash, t.credential, now).wait(now))
	}
	if wait > 0 {
		if t.refused != nil {
			t.refused()
		}
		return scim.Errorf(scim.RateLimited, "too many attempts with credentials that are not valid; try again later").After(wait)
	}
	return nil
}

// Failed counts that what was shown is not valid, where there was an attempt to be had:
// what was under way together locks nobody out for longer.
func (t *Throttle) Failed(address netip.Addr, shown string) {
	from, hash, now := network(address), HashToken(shown), time.Now()
	charge := func(b bucket) {
		if b.wait(now) == 0 {
			b.take(1, now)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, knownKey{from, hash})
	if address.IsValid() {
		charge(t.addresses.bucket(from, t.address, now))
	}
	if shown != "" {
		charge(t.credentials.bucket(hash, t.credential, now))
	}
}

// Worked remembers that what was shown is valid.
func (t *Throttle) Worked(address netip.Addr, shown string) {
	if t.address.PerSecond == 0 || shown == "" {
		return
	}
	key, now := knownKey{network(address), HashToken(shown)}, time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.known[key]) < knownTime/2 {
		return
	}
	if len(t.known) >= maxThrottled {
		for other, at := range t.known {
			if len(t.known) > maxThrottled/2 || now.Sub(at) >= knownTime {
				delete(t.known, other)
			}
		}
	}
	t.known[key] = now
}

// network is what counts as one address.
func network(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits) // it fails for no address, whose prefix is the zero one
	return prefix
}
