package client

import (
	"context"
	"fmt"
	"sync"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Mirror is a copy in memory of a tenant's users and groups, which follows their
// changes. Its answers cost no call, and are as old as the last change that has
// arrived. What it returns must not be changed.
type Mirror struct {
	client *Client

	ready chan struct{} // closed once the first snapshot is complete
	once  sync.Once

	mu       sync.RWMutex
	now      *state
	position int64
	// next is what a snapshot under way is making; nil: there is none.
	next *state
}

// NewMirror makes a mirror, which is empty until Run has read a snapshot.
func NewMirror(c *Client) *Mirror {
	return &Mirror{client: c, ready: make(chan struct{}), now: newState()}
}

// Run keeps the mirror up to date until ctx ends, whatever breaks in between. While
// the server cannot be reached the answers stay as they are.
func (m *Mirror) Run(ctx context.Context) error {
	o := WatchOptions{Snapshot: true, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{scim.User.Name, scim.Group.Name}}}
	return m.client.Watch(ctx, o, m.take)
}

// Ready is closed once the mirror holds everything.
func (m *Mirror) Ready() <-chan struct{} { return m.ready }

// Position is the position of the change log up to which the mirror has followed.
func (m *Mirror) Position() int64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.position
}

// take applies one event.
func (m *Mirror) take(_ context.Context, e Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e.SnapshotBegins {
		m.next = newState()
		return nil
	}
	s := m.now
	if m.next != nil {
		s = m.next
	}
	switch e := e.Message.GetEvent().(type) {
	case *musterv1.WatchChangesResponse_Resource:
		if u := e.Resource.GetUser(); u != nil {
			s.putUser(u)
		} else if g := e.Resource.GetGroup(); g != nil {
			s.groups[g.GetId()] = g
		}
	case *musterv1.WatchChangesResponse_Members:
		s.join(e.Members.GetGroupId(), e.Members.GetMembers())
	case *musterv1.WatchChangesResponse_SnapshotComplete:
		m.now, m.next, m.position = s, nil, e.SnapshotComplete.GetPosition()
		m.once.Do(func() { close(m.ready) })
	case *musterv1.WatchChangesResponse_Change:
		s.apply(e.Change)
		m.position = max(m.position, e.Change.GetPosition())
	case *musterv1.WatchChangesResponse_Heartbeat:
		m.position = e.Heartbeat.GetPosition()
	}
	return nil
}

// User finds a user by its id, or nil.
func (m *Mirror) User(id string) *musterv1.User {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.now.users[id]
}

// UserByName finds a user by its userName, in any letter case, or nil.
func (m *Mirror) UserByName(userName string) *musterv1.User {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.now.users[m.now.byName[scim.Fold(userName)]]
}

// UsersByEmail finds the users who have an e-mail address, in any letter case.
func (m *Mirror) UsersByEmail(address string) []*musterv1.User {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var found []*musterv1.User
	for id := range m.now.byEmail[scim.Fold(address)] {
		found = append(found, m.now.users[id])
	}
	return found
}

// Group finds a group by its id, without its members, or nil.
func (m *Mirror) Group(id string) *musterv1.Group {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.now.groups[id]
}

// Counts are how many users and groups there are.
func (m *Mirror) Counts() (users, groups int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.now.users), len(m.now.groups)
}

// Members lists the ids of a group's direct members, in no order.
func (m *Mirror) Members(group string) []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return ids(m.now.members[group])
}

// IsMember tells whether a group holds a user or group, itself or through other
// groups.
func (m *Mirror) IsMember(member, group string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	seen := map[string]bool{}
	ahead := []string{member}
	for len(ahead) > 0 {
		at := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		for holder := range m.now.groupsOf[at] {
			if holder == group {
				return true
			}
			if !seen[holder] {
				seen[holder] = true
				ahead = append(ahead, holder)
			}
		}
	}
	return false
}

// A set is some ids.
type set map[string]struct{}

func ids(s set) []string {
	all := make([]string, 0, len(s))
	for id := range s {
		all = append(all, id)
	}
	return all
}

// sets are sets by a key; one without ids is not there.
type sets map[string]set

func (s sets) add(key, id string) {
	if s[key] == nil {
		s[key] = set{}
	}
	s[key][id] = struct{}{}
}

func (s sets) remove(key, id string) {
	if delete(s[key], id); len(s[key]) == 0 {
		delete(s, key)
	}
}

// state is what a mirror knows.
type state struct {
	users             map[string]*musterv1.User
	groups            map[string]*musterv1.Group
	byName            map[string]string // the id by the folded userName
	byEmail           sets              // ids by the folded address
	members, groupsOf sets
}

func newState() *state {
	return &state{
		users: map[string]*musterv1.User{}, groups: map[string]*musterv1.Group{}, byName: map[string]string{},
		byEmail: sets{}, members: sets{}, groupsOf: sets{},
	}
}

func (s *state) putUser(u *musterv1.User) {
	s.removeUser(u.GetId())
	s.users[u.GetId()] = u
	s.byName[scim.Fold(u.GetUserName())] = u.GetId()
	for _, e := range u.GetEmails() {
		s.byEmail.add(scim.Fold(e.GetValue()), u.GetId())
	}
}

func (s *state) removeUser(id string) {
	old := s.users[id]
	if old == nil {
		return
	}
	delete(s.users, id)
	if name := scim.Fold(old.GetUserName()); s.byName[name] == id { // another may have it by now
		delete(s.byName, name)
	}
	for _, e := range old.GetEmails() {
		s.byEmail.remove(scim.Fold(e.GetValue()), id)
	}
}

func (s *state) join(group string, members []string) {
	for _, id := range members {
		s.members.add(group, id)
		s.groupsOf.add(id, group)
	}
}

func (s *state) leave(group string, members []string) {
	for _, id := range members {
		s.members.remove(group, id)
		s.groupsOf.remove(id, group)
	}
}

// apply applies a change. Its attributes count only where they are newer than what is
// known; members come and go in any case.
func (s *state) apply(c *musterv1.Change) {
	id := c.GetResourceId()
	if c.GetOperation() == musterv1.Change_OPERATION_DELETE {
		s.removeUser(id)
		delete(s.groups, id)
		s.leave(id, ids(s.members[id]))
		return
	}
	if u := c.GetUser(); u != nil && newer(u.GetMeta(), s.users[id].GetMeta()) {
		s.putUser(u)
	}
	if g := c.GetGroup(); g != nil && newer(g.GetMeta(), s.groups[id].GetMeta()) {
		s.groups[id] = g
	}
	s.join(id, c.GetAddedMembers())
	s.leave(id, c.GetRemovedMembers())
}

func newer(a, b *musterv1.Meta) bool { return versionOf(a) > versionOf(b) }

// versionOf is the number in an ETag of ours; 0: there is none.
func versionOf(m *musterv1.Meta) (n int64) {
	_, _ = fmt.Sscanf(m.GetVersion(), `W/"%d"`, &n)
	return n
}
