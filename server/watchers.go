package server

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// watchersEvery is how often a server says in the database which streams it has.
const watchersEvery = 5 * time.Second

// watchers are the streams of this server that follow the changes. While there are
// some, they are written down again and again, so that every server can tell of them.
type watchers struct {
	store  *store.Store
	log    *slog.Logger
	server string

	mu      sync.Mutex
	of      map[string]*store.Watcher
	ended   []string   // that are still to be forgotten
	running bool       // it is being written down from time to time
	save    sync.Mutex // one at a time
}

func newWatchers(st *store.Store, log *slog.Logger, server string) *watchers {
	return &watchers{store: st, log: log, server: server, of: make(map[string]*store.Watcher)}
}

// A following is what one stream tells of itself. Without one, as in a test of a
// stream alone, nothing is told.
type following struct {
	all  *watchers
	name string
}

// begin notes that a call follows the changes, until end.
func (ws *watchers) begin(c *call, position int64, snapshot bool) *following {
	f := &following{ws, rand.Text()}
	w := &store.Watcher{Stream: f.name, TenantID: c.principal.Tenant.ID(), Server: ws.server, Credential: c.principal.Credential.Name,
		Client: c.agent[:min(len(c.agent), maxAgent)], Started: time.Now(), Position: position, Snapshot: snapshot}
	if c.address.IsValid() {
		w.Address = c.address.String()
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.of[f.name] = w
	if !ws.running {
		ws.running = true
		time.AfterFunc(0, ws.write)
	}
	return f
}

// at notes up to where all was sent, and whether anything was.
func (f *following) at(position int64, sent bool) {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	w := f.all.of[f.name]
	if w.Position = position; sent {
		w.LastSent = time.Now()
	}
}

// follows notes that the snapshot is complete.
func (f *following) follows() {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	f.all.of[f.name].Snapshot = false
}

func (f *following) end() {
	f.all.mu.Lock()
	defer f.all.mu.Unlock()
	delete(f.all.of, f.name)
	f.all.ended = append(f.all.ended, f.name)
}

// write writes down what there is, and comes again while there is something.
func (ws *watchers) write() {
	if err := ws.flush(context.Background()); err != nil {
		ws.log.Error("who follows the changes cannot be written down; it is tried again later", "error", err)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.running = len(ws.of)+len(ws.ended) > 0; ws.running {
		time.AfterFunc(watchersEvery, ws.write)
	}
}

// flush writes down what there is.
func (ws *watchers) flush(ctx context.Context) error {
	ws.save.Lock()
	defer ws.save.Unlock()
	ws.mu.Lock()
	all, ended := make([]store.Watcher, 0, len(ws.of)), ws.ended
	for _, w := range ws.of {
		all = append(all, *w)
	}
	ws.mu.Unlock()
	if len(all)+len(ended) == 0 {
		return nil
	}
	if err := ws.store.SaveWatchers(ctx, all, ended); err != nil {
		return err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.ended = ws.ended[len(ended):]
	return nil
}

func (s *activityService) ListWatchers(ctx context.Context, req *musterv1.ListWatchersRequest) (*musterv1.ListWatchersResponse, error) {
	tenant, err := administered(ctx, s.server.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	if err := s.server.watchers.flush(ctx); err != nil {
		return nil, err
	}
	found, err := s.server.store.Watchers(ctx, tenant.ID())
	if err != nil {
		return nil, err
	}
	head, err := s.server.store.Head(ctx)
	out := &musterv1.ListWatchersResponse{}
	for i := range found {
		w := &found[i]
		m := &musterv1.Watcher{
			Tenant: nameOfTenant(ctx, req.GetTenant()), Credential: w.Credential, Address: w.Address, Client: w.Client, Server: w.Server, StartTime: timestamppb.New(w.Started),
			Position: w.Position, Lag: max(head-w.Position, 0), Snapshot: w.Snapshot,
		}
		if !w.LastSent.IsZero() {
			m.LastSentTime = timestamppb.New(w.LastSent)
		}
		out.Watchers = append(out.Watchers, m)
	}
	return out, err
}

// last is how many streams there are, and the position of the one that is most behind.
func (ws *watchers) last() (n int, position int64) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.of {
		if n == 0 || w.Position < position {
			position = w.Position
		}
		n++
	}
	return n, position
}
