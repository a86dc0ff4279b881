package server

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// pushes remember when clients wrote groups without changing anything, as those do that
// synchronize again and again, and write it down in the background. What really changes
// a group says so itself. A push that cannot be remembered, or written before a crash,
// is forgotten: the next synchronization repeats it.
type pushes struct {
	store *store.Store
	log   *slog.Logger

	mu      sync.Mutex
	of      map[string]time.Time // by the id of the group
	writing bool                 // or about to
}

func newPushes(st *store.Store, log *slog.Logger) *pushes {
	return &pushes{store: st, log: log, of: make(map[string]time.Time)}
}

// note remembers an act that succeeded and changed nothing, if it wrote a group.
func (p *pushes) note(act *store.Act) {
	if act.Preview || act.ResourceType != scim.Group.Name || act.ResourceID == "" || policy["/"+act.Method].action != write {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.of[act.ResourceID]; !known && len(p.of) >= maxUses {
		return
	}
	p.of[act.ResourceID] = time.Now()
	p.begin()
}

// begin sees to it that what is remembered is written.
func (p *pushes) begin() {
	if p.writing || len(p.of) == 0 {
		return
	}
	p.writing = true
	time.AfterFunc(usesEvery, func() {
		if err := p.flush(context.Background()); err != nil {
			p.log.Error("when groups were last written cannot be written down; it is tried again later", "error", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.writing = false
		p.begin()
	})
}

// flush writes what is remembered. What cannot be written is remembered again.
func (p *pushes) flush(ctx context.Context) error {
	p.mu.Lock()
	taken := p.of
	p.of = make(map[string]time.Time)
	p.mu.Unlock()
	for len(taken) > 0 {
		batch := make(map[string]time.Time)
		for id, at := range taken {
			if batch[id] = at; len(batch) == usesAtOnce {
				break
			}
		}
		if err := p.store.RecordPushes(ctx, batch); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			maps.Copy(taken, p.of)
			p.of = taken
			return err
		}
		for id := range batch {
			delete(taken, id)
		}
	}
	return nil
}
