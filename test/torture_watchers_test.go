package test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// replayed is what one knows who has only the change feed.
type replayed struct {
	resources map[string]scim.Resource // users and groups, without members and groups
	members   map[[2]string]bool       // pairs of a group and a member
	gone      map[string]bool
	// complete: all that there is has come, so that each change must fit.
	complete bool
}

func newReplayed(complete bool) *replayed {
	return &replayed{resources: make(map[string]scim.Resource), members: make(map[[2]string]bool), gone: make(map[string]bool), complete: complete}
}

func (r *replayed) version(id string) (n int64) {
	if known := r.resources[id]; known != nil {
		_, _ = fmt.Sscanf(known.GetMeta().GetVersion(), `W/"%d"`, &n) // 0 where it is none
	}
	return n
}

// apply applies a change as the contract says. It is an error where the change does
// not follow from all that came before.
func (r *replayed) apply(c *musterv1.Change) error {
	id, before := c.GetResourceId(), r.version(c.GetResourceId())
	var version int64
	if _, err := fmt.Sscanf(c.GetVersion(), `W/"%d"`, &version); err != nil {
		return fmt.Errorf("the version of %v: %w", c, err)
	}
	if r.gone[id] || r.complete && version != before+1 {
		return fmt.Errorf("%s %s goes from version %d (deleted: %t) to %d at position %d", c.GetResourceType(), id, before, r.gone[id], version, c.GetPosition())
	}
	if c.GetOperation() == musterv1.Change_OPERATION_DELETE {
		r.remove(id)
		return nil
	}
	if version > before {
		var resource scim.Resource
		switch known := r.resources[id].(type) {
		case *musterv1.User:
			resource = known
		case *musterv1.Group:
			resource = known
		}
		if u := c.GetUser(); u != nil {
			resource = u
		} else if g := c.GetGroup(); g != nil {
			resource = g
		}
		// In a snapshot there may be none: of a group that was deleted before it was read.
		if resource != nil {
			resource.GetMeta().Version, resource.GetMeta().LastModified = c.GetVersion(), timestamppb.New(c.GetTime().AsTime())
			r.resources[id] = resource
		} else if r.complete {
			return fmt.Errorf("nothing is known of %v", c)
		}
	}
	for _, m := range c.GetAddedMembers() {
		r.members[[2]string{id, m}] = true
	}
	for _, m := range c.GetRemovedMembers() {
		delete(r.members, [2]string{id, m})
	}
	return nil
}

func (r *replayed) remove(id string) {
	delete(r.resources, id)
	r.gone[id] = true
	for pair := range r.members {
		if pair[0] == id {
			delete(r.members, pair)
		}
	}
}

// A watcher follows the changes over connections that break, and begins again and
// again, as a program does that is ended and started: all that it then has is what it
// made of the changes and its position.
type watcher struct {
	name     string
	snapshot bool
	network  *cutter

	mu        sync.Mutex
	now, next *replayed // next: of a snapshot that is under way
	position  int64     // that is kept
	last      int64     // of the changes
	seen      []int64   // the positions of all changes, where there never was a snapshot
	begun     int       // how often it began
	streams   int       // how many snapshots began
}

func newWatcher(name string, snapshot bool, network *cutter) *watcher {
	return &watcher{name: name, snapshot: snapshot, network: network, now: newReplayed(!snapshot)}
}

// Load and Save make it a client.Positions.
func (w *watcher) Load(context.Context) (int64, error) { return w.position, nil }

func (w *watcher) Save(_ context.Context, position int64) error {
	if position < w.position {
		return fmt.Errorf("after position %d comes %d", w.position, position)
	}
	w.position = position
	return nil
}

// run follows until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		c, err := client.Dial(client.Options{Address: w.network.address, Token: token})
		if err != nil {
			return err
		}
		if w.begun++; w.snapshot && rand.IntN(3) == 0 {
			w.position = 0 // it lost what it had
		}
		life, end := context.WithTimeout(ctx, time.Second+time.Duration(rand.IntN(4000))*time.Millisecond)
		o := client.WatchOptions{Positions: w, Snapshot: w.snapshot, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"User", "Group"}}}
		err = c.Watch(life, o, w.handle)
		end()
		c.Close()
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

func (w *watcher) handle(_ context.Context, e client.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.SnapshotBegins {
		w.next, w.last = newReplayed(false), 0
		w.streams++
		return nil
	}
	state := w.now
	if w.next != nil {
		state = w.next
	}
	switch e := e.Message.GetEvent().(type) {
	case *musterv1.WatchChangesResponse_Resource:
		if u := e.Resource.GetUser(); u != nil {
			state.resources[u.GetId()] = u
		} else if g := e.Resource.GetGroup(); g != nil {
			state.resources[g.GetId()] = g
		}
	case *musterv1.WatchChangesResponse_Members:
		for _, m := range e.Members.GetMembers() {
			state.members[[2]string{e.Members.GetGroupId(), m}] = true
		}
	case *musterv1.WatchChangesResponse_SnapshotComplete:
		state.complete = true
		w.now, w.next, w.last = state, nil, e.SnapshotComplete.GetPosition()
	case *musterv1.WatchChangesResponse_Change:
		if e.Change.GetPosition() <= w.last {
			return fmt.Errorf("after position %d comes %d", w.last, e.Change.GetPosition())
		}
		w.last = e.Change.GetPosition()
		if !w.snapshot {
			w.seen = append(w.seen, w.last)
		}
		return state.apply(e.Change)
	}
	return nil
}

// has tells whether the watcher knows a resource by now.
func (w *watcher) has(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next == nil && w.now.resources[id] != nil
}

// watchAll runs watchers until the returned function ends them.
func watchAll(t *testing.T, all []*watcher) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, w := range all {
		running.Go(func() {
			if err := w.run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	return func() {
		cancel()
		running.Wait()
	}
}
