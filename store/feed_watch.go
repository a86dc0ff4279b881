package store

import (
	"context"
	"sync"
	"time"
)

// pollChanges is how often the log is looked at for what other servers wrote, while
// somebody follows it.
const pollChanges = 200 * time.Millisecond

// A follower waits for changes on behalf of all who follow the log. It runs while
// there are any. Writes of this server wake it at once.
type follower struct {
	mu       sync.Mutex
	watchers int
	end      context.CancelFunc
	// grown is closed, and made anew, when the log has grown.
	grown chan struct{}
	// written has a token when this server has written.
	written chan struct{}
}

func newFollower() *follower {
	return &follower{grown: make(chan struct{}), written: make(chan struct{}, 1)}
}

// wrote tells that this server has written.
func (f *follower) wrote() {
	select {
	case f.written <- struct{}{}:
	default:
	}
}

// FollowChanges begins to look for new changes, until done is called.
func (s *Store) FollowChanges() (done func()) {
	f := s.follower
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.watchers++; f.watchers == 1 {
		ctx, cancel := context.WithCancel(context.Background())
		f.end = cancel
		go s.follow(ctx)
	}
	return sync.OnceFunc(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.watchers--; f.watchers == 0 {
			f.end()
		}
	})
}

// Grown is closed when the change log has grown since it was asked for. It is asked
// for before the log is read, by one who follows it.
func (s *Store) Grown() <-chan struct{} {
	s.follower.mu.Lock()
	defer s.follower.mu.Unlock()
	return s.follower.grown
}

// follow makes what is new readable, and tells of it.
func (s *Store) follow(ctx context.Context) {
	var last int64
	tick := time.NewTicker(pollChanges)
	defer tick.Stop()
	for ctx.Err() == nil {
		// A failure is met again by those who read.
		if err := s.SequenceChanges(ctx); err == nil {
			if head, err := s.Head(ctx); err == nil && head != last {
				last = head
				s.follower.mu.Lock()
				close(s.follower.grown)
				s.follower.grown = make(chan struct{})
				s.follower.mu.Unlock()
			}
		}
		select {
		case <-s.follower.written:
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
