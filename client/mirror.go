package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Mirror is a copy of a tenant's users and groups, which follows their changes. Its
// lookups cost no call, and are as old as the last change that has arrived.
type Mirror struct {
	Lookups

	client *Client
	copy   Copy

	ready chan struct{} // closed once the copy holds everything
	once  sync.Once
	// snapshot is what replaces the copy when it is complete; nil: none is under way.
	snapshot Transaction
}

// NewMirror makes a mirror that keeps its copy in memory, or in another place: then it
// goes on from where that place has come to.
func NewMirror(c *Client, in Copy) *Mirror {
	if in == nil {
		in = NewMemory()
	}
	return &Mirror{Lookups: in, client: c, copy: in, ready: make(chan struct{})}
}

// Run keeps the mirror up to date until ctx ends or its copy fails, whatever else breaks
// in between. While the server cannot be reached the answers stay as they are.
func (m *Mirror) Run(ctx context.Context) error {
	position, err := m.Position(ctx)
	if err != nil {
		return err
	}
	if position > 0 {
		m.isReady()
	}
	defer func() { _ = m.abandon() }() // it would be begun anew in any case
	o := WatchOptions{Snapshot: true, Positions: kept{m.copy}, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{scim.User.Name, scim.Group.Name}}}
	return m.client.Watch(ctx, o, m.take)
}

// kept are the positions of a copy, which keeps them with what it was told.
type kept struct{ copy Copy }

func (k kept) Load(ctx context.Context) (int64, error) { return k.copy.Position(ctx) }
func (kept) Save(context.Context, int64) error         { return nil }

// Ready is closed once the mirror holds everything. A copy that lasted is ready at once,
// and as old as it was.
func (m *Mirror) Ready() <-chan struct{} { return m.ready }

func (m *Mirror) isReady() { m.once.Do(func() { close(m.ready) }) }

// take applies one event: in a transaction of its own, or in that of a snapshot.
func (m *Mirror) take(ctx context.Context, e Event) (err error) {
	if e.SnapshotBegins {
		if err := m.abandon(); err != nil {
			return err
		}
		m.snapshot, err = m.copy.Begin(ctx, true)
		return err
	}
	tx := m.snapshot
	if tx == nil {
		if tx, err = m.copy.Begin(ctx, false); err != nil {
			return err
		}
	}
	position, err := fill(tx, e.Message)
	complete := e.Message.GetSnapshotComplete() != nil
	switch {
	case err != nil:
		m.snapshot = nil
		return errors.Join(err, tx.Rollback())
	case m.snapshot != nil && !complete:
		return nil
	}
	m.snapshot = nil
	if err := tx.Commit(position); err != nil {
		return err
	}
	if complete {
		m.isReady()
	}
	return nil
}

// abandon forgets a snapshot that is not complete.
func (m *Mirror) abandon() error {
	tx := m.snapshot
	if tx == nil {
		return nil
	}
	m.snapshot = nil
	return tx.Rollback()
}

// fill puts what a message tells into a copy, and returns the position of that.
func fill(tx Transaction, message *musterv1.WatchChangesResponse) (position int64, err error) {
	switch e := message.GetEvent().(type) {
	case *musterv1.WatchChangesResponse_Resource:
		if u := e.Resource.GetUser(); u != nil {
			err = tx.PutUser(u)
		} else if g := e.Resource.GetGroup(); g != nil {
			err = tx.PutGroup(g)
		}
	case *musterv1.WatchChangesResponse_Members:
		err = tx.Join(e.Members.GetGroupId(), e.Members.GetMembers())
	case *musterv1.WatchChangesResponse_Change:
		position, err = e.Change.GetPosition(), apply(tx, e.Change)
	case *musterv1.WatchChangesResponse_SnapshotComplete:
		position = e.SnapshotComplete.GetPosition()
	case *musterv1.WatchChangesResponse_Heartbeat:
		position = e.Heartbeat.GetPosition()
	}
	return position, err
}

// apply applies a change. Its attributes count only where they are newer than what is
// known; members come and go in any case.
func apply(tx Transaction, c *musterv1.Change) error {
	id := c.GetResourceId()
	if c.GetOperation() == musterv1.Change_OPERATION_DELETE {
		return tx.Remove(id)
	}
	if u := c.GetUser(); u != nil {
		known, err := tx.User(id)
		if err == nil && number(c.GetVersion()) > number(known.GetMeta().GetVersion()) {
			err = tx.PutUser(u)
		}
		return err
	}
	if c.GetResourceType() != scim.Group.Name {
		return nil
	}
	known, err := tx.Group(id)
	if err != nil {
		return err
	}
	if g := groupAfter(c, known); g != nil {
		if err := tx.PutGroup(g); err != nil {
			return err
		}
	}
	if err := tx.Join(id, c.GetAddedMembers()); err != nil {
		return err
	}
	return tx.Leave(id, c.GetRemovedMembers())
}

// groupAfter is a group after a change; nil: as it is known, or not known at all. One
// that only gained or lost members has a new version too, which the change does not hold
// the whole group for.
func groupAfter(c *musterv1.Change, known *musterv1.Group) *musterv1.Group {
	if number(c.GetVersion()) <= number(known.GetMeta().GetVersion()) {
		return nil
	}
	if g := c.GetGroup(); g != nil || known == nil {
		return g
	}
	g, _ := proto.Clone(known).(*musterv1.Group)
	g.Meta.Version, g.Meta.LastModified = c.GetVersion(), c.GetTime()
	return g
}

// number is the number in an ETag of ours; 0: there is none.
func number(version string) (n int64) {
	_, _ = fmt.Sscanf(version, `W/"%d"`, &n)
	return n
}
