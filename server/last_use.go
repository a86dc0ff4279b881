package server

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/muster-scim/muster/store"
)

// Limits of what is remembered of uses.
const (
	usesEvery  = time.Minute // they are written
	maxUses    = 10_000      // credentials whose use is remembered until then
	usesAtOnce = 200         // in one transaction
	maxAgent   = 200         // bytes of a user agent that are kept
)

// lastUses remember when credentials were used, and write it down in the background,
// of each credential once in a while. A use that cannot be remembered, or written
// before a crash, is forgotten.
type lastUses struct {
	store *store.Store
	log   *slog.Logger
	every time.Duration

	mu      sync.Mutex
	of      map[int64]use
	writing bool // or about to
}

// A use is one of a credential.
type use struct {
	at      time.Time
	address netip.Addr
	agent   string
}

func newLastUses(st *store.Store, log *slog.Logger) *lastUses {
	return &lastUses{store: st, log: log, every: usesEvery, of: make(map[int64]use)}
}

// note remembers that a call uses the credential of its caller.
func (u *lastUses) note(c *call) {
	id := c.principal.ID
	if id <= 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.of[id]; !known && len(u.of) >= maxUses {
		return
	}
	u.of[id] = use{time.Now(), c.address, c.agent[:min(len(c.agent), maxAgent)]}
	u.begin()
}

// begin sees to it that what is remembered is written.
func (u *lastUses) begin() {
	if !u.writing && len(u.of) > 0 {
		u.writing = true
		time.AfterFunc(u.every, func() {
			if err := u.flush(context.Background()); err != nil {
				u.log.Error("the last uses of credentials cannot be written; it is tried again later", "error", err)
			}
			u.mu.Lock()
			defer u.mu.Unlock()
			u.writing = false
			u.begin()
		})
	}
}

// flush writes what is remembered. What cannot be written is remembered again.
func (u *lastUses) flush(ctx context.Context) error {
	u.mu.Lock()
	taken := u.of
	u.of = make(map[int64]use)
	u.mu.Unlock()
	for len(taken) > 0 {
		batch := make(map[int64]store.LastUse)
		for id, use := range taken {
			if batch[id] = use.kept(); len(batch) == usesAtOnce {
				break
			}
		}
		if err := u.store.RecordUses(ctx, batch); err != nil {
			u.mu.Lock()
			defer u.mu.Unlock()
			maps.Copy(taken, u.of)
			u.of = taken
			return err
		}
		for id := range batch {
			delete(taken, id)
		}
	}
	return nil
}

// kept is what is written of a use.
func (u use) kept() store.LastUse {
	last := store.LastUse{Time: u.at, Client: strings.ReplaceAll(strings.ToValidUTF8(u.agent, ""), "\x00", "")}
	if u.address.IsValid() {
		last.Address = u.address.String()
	}
	return last
}
