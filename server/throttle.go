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

// Allow fails with RateLimited where the address failed too often.
func (t *Throttle) Allow(address netip.Addr) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.check(address, nil)
}

// Failed counts a failure of the address.
func (t *Throttle) Failed(address netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.charge(address, nil)
}

// allow is Allow for a caller who shows what has this hash.
func (t *Throttle) allow(address netip.Addr, shown [32]byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at, ok := t.known[knownKey{network(address), shown}]; ok && time.Since(at) < knownTime {
		return nil
	}
	return t.check(address, &shown)
}

// failed counts that what has this hash was not valid.
func (t *Throttle) failed(address netip.Addr, shown [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, knownKey{network(address), shown})
	t.charge(address, &shown)
}

// worked remembers that what has this hash is valid.
func (t *Throttle) worked(address netip.Addr, shown [32]byte) {
	if t.address.PerSecond == 0 {
		return
	}
	now, key := time.Now(), knownKey{network(address), shown}
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

// check looks at the buckets of an address and of what is shown, if that is known.
func (t *Throttle) check(address netip.Addr, shown *[32]byte) error {
	now := time.Now()
	var wait time.Duration
	if _, failed := t.addresses.of[network(address)]; failed && address.IsValid() {
		wait = t.addresses.bucket(network(address), t.address, now).wait(now)
	}
	if shown != nil {
		if _, failed := t.credentials.of[*shown]; failed {
			wait = max(wait, t.credentials.bucket(*shown, t.credential, now).wait(now))
		}
	}
	if wait > 0 {
		return scim.Errorf(scim.RateLimited, "too many attempts with credentials that are not valid; try again later").After(wait)
	}
	return nil
}

// charge counts a failure, where there was any to be had: what was under way together
// locks nobody out for longer.
func (t *Throttle) charge(address netip.Addr, shown *[32]byte) {
	now := time.Now()
	charge := func(b bucket) {
		if b.wait(now) == 0 {
			b.take(1, now)
		}
	}
	if address.IsValid() {
		charge(t.addresses.bucket(network(address), t.address, now))
	}
	if shown != nil {
		charge(t.credentials.bucket(*shown, t.credential, now))
	}
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
