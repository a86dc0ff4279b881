package gateway

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/muster-scim/muster/scim"
)

// A body is read before anybody knows who sends it, so that large ones, and slow ones,
// could fill the memory. Few large bodies are read at once, and of one address fewer.
const (
	smallBody = 64 << 10 // bytes; a body up to this needs no place
	allBodies = 64 << 20 // bytes of all large bodies that are read at once
	// A quarter of the places is for one address.
	fewestBodies = 4
	maxBodyWait  = 5 * time.Second
)

// bodies are the places of large bodies.
type bodies struct {
	all *semaphore.Weighted
	// each is how many places one address has.
	each int64

	mu sync.Mutex
	of map[netip.Addr]*sender
}

// A sender is an address from which large bodies come.
type sender struct {
	places *semaphore.Weighted
	users  int // of this; without any it is forgotten
}

// newBodies makes places for bodies of at most so many bytes.
func newBodies(maxBody int) *bodies {
	n := int64(max(allBodies/maxBody, fewestBodies))
	return &bodies{all: semaphore.NewWeighted(n), each: n / fewestBodies, of: make(map[netip.Addr]*sender)}
}

// take waits a little for a place, which done gives back. Where there is none, it
// returns the problem.
func (b *bodies) take(ctx context.Context, from netip.Addr) (done func(), p *problem) {
	ctx, cancel := context.WithTimeout(ctx, maxBodyWait)
	defer cancel()
	s := b.enter(from)
	if s.places.Acquire(ctx, 1) == nil {
		if b.all.Acquire(ctx, 1) == nil {
			return func() {
				b.all.Release(1)
				s.places.Release(1)
				b.leave(from, s)
			}, nil
		}
		s.places.Release(1)
	}
	b.leave(from, s)
	return nil, problemOf(scim.Unavailable, "too many large requests are being sent; try again later")
}

func (b *bodies) enter(from netip.Addr) *sender {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of[from]
	if s == nil {
		s = &sender{places: semaphore.NewWeighted(b.each)}
		b.of[from] = s
	}
	s.users++
	return s
}

func (b *bodies) leave(from netip.Addr, s *sender) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.users--; s.users == 0 {
		delete(b.of, from)
	}
}
