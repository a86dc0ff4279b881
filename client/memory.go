package client

import (
	"context"
	"sync"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Memory is a copy in memory. Its lookups never fail.
type Memory struct {
	mu  sync.RWMutex
	now *state
}

// NewMemory makes an empty copy.
func NewMemory() *Memory { return &Memory{now: newState()} }

// state is what a copy in memory knows.
type state struct {
	position          int64
	users             map[string]*musterv1.User
	groups            map[string]*musterv1.Group
	byName            sets // ids of users by the folded userName; one has several only for a moment
	byExternalID      sets
	byEmail           sets // by the folded address
	byGroupName       sets // ids of groups by the folded displayName
	members, groupsOf sets
}

func newState() *state {
	return &state{
		users: map[string]*musterv1.User{}, groups: map[string]*musterv1.Group{},
		byName: sets{}, byExternalID: sets{}, byEmail: sets{}, byGroupName: sets{}, members: sets{}, groupsOf: sets{},
	}
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

// all is what has one of the ids.
func all[R any](s set, of map[string]R) []R {
	var found []R
	for id := range s {
		found = append(found, of[id])
	}
	return found
}

// see runs f while nothing changes.
func see[R any](m *Memory, f func(s *state) R) (R, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return f(m.now), nil
}

// Position makes Memory a Copy.
func (m *Memory) Position(context.Context) (int64, error) {
	return see(m, func(s *state) int64 { return s.position })
}

// User makes Memory a Copy.
func (m *Memory) User(_ context.Context, id string) (*musterv1.User, error) {
	return see(m, func(s *state) *musterv1.User { return s.users[id] })
}

// UserByName makes Memory a Copy.
func (m *Memory) UserByName(_ context.Context, userName string) (*musterv1.User, error) {
	return see(m, func(s *state) *musterv1.User {
		for id := range s.byName[scim.Fold(userName)] {
			return s.users[id]
		}
		return nil
	})
}

// UsersByExternalID makes Memory a Copy.
func (m *Memory) UsersByExternalID(_ context.Context, externalID string) ([]*musterv1.User, error) {
	return see(m, func(s *state) []*musterv1.User { return all(s.byExternalID[externalID], s.users) })
}

// UsersByEmail makes Memory a Copy.
func (m *Memory) UsersByEmail(_ context.Context, address string) ([]*musterv1.User, error) {
	return see(m, func(s *state) []*musterv1.User { return all(s.byEmail[scim.Fold(address)], s.users) })
}

// Group makes Memory a Copy.
func (m *Memory) Group(_ context.Context, id string) (*musterv1.Group, error) {
	return see(m, func(s *state) *musterv1.Group { return s.groups[id] })
}

// GroupsByName makes Memory a Copy.
func (m *Memory) GroupsByName(_ context.Context, displayName string) ([]*musterv1.Group, error) {
	return see(m, func(s *state) []*musterv1.Group { return all(s.byGroupName[scim.Fold(displayName)], s.groups) })
}

// Counts makes Memory a Copy.
func (m *Memory) Counts(context.Context) (users, groups int, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.now.users), len(m.now.groups), nil
}

// Members makes Memory a Copy.
func (m *Memory) Members(_ context.Context, group string) ([]string, error) {
	return see(m, func(s *state) []string { return ids(s.members[group]) })
}

// GroupsOf makes Memory a Copy.
func (m *Memory) GroupsOf(_ context.Context, member string, direct bool) ([]string, error) {
	return see(m, func(s *state) []string {
		if direct {
			return ids(s.groupsOf[member])
		}
		return ids(s.holders(member))
	})
}

// IsMember makes Memory a Copy.
func (m *Memory) IsMember(_ context.Context, member, group string, direct bool) (bool, error) {
	return see(m, func(s *state) bool {
		if _, is := s.groupsOf[member][group]; is || direct {
			return is
		}
		_, is := s.holders(member)[group]
		return is
	})
}

// holders are all groups that hold a member, however many others are between them.
// Groups may hold each other in a circle.
func (s *state) holders(member string) set {
	found := set{}
	for ahead := []string{member}; len(ahead) > 0; {
		at := ahead[len(ahead)-1]
		ahead = ahead[:len(ahead)-1]
		for holder := range s.groupsOf[at] {
			if _, seen := found[holder]; !seen {
				found[holder] = struct{}{}
				ahead = append(ahead, holder)
			}
		}
	}
	return found
}

// Begin makes Memory a Copy. A transaction that does not begin anew holds lookups up
// until it ends, and cannot be rolled back: none of it can fail.
func (m *Memory) Begin(_ context.Context, anew bool) (Transaction, error) {
	if anew {
		return &memoryTransaction{memory: m, state: newState(), anew: true}, nil
	}
	m.mu.Lock()
	return &memoryTransaction{memory: m, state: m.now}, nil
}

type memoryTransaction struct {
	*state

	memory *Memory
	anew   bool
}

func (t *memoryTransaction) Commit(position int64) error {
	if t.anew {
		t.memory.mu.Lock()
	}
	defer t.memory.mu.Unlock()
	t.position = position
	t.memory.now = t.state
	return nil
}

func (t *memoryTransaction) Rollback() error {
	if !t.anew {
		t.memory.mu.Unlock()
	}
	return nil
}

func (s *state) User(id string) (*musterv1.User, error)   { return s.users[id], nil }
func (s *state) Group(id string) (*musterv1.Group, error) { return s.groups[id], nil }

func (s *state) PutUser(u *musterv1.User) error {
	id := u.GetId()
	s.removeUser(id)
	s.users[id] = u
	s.byName.add(scim.Fold(u.GetUserName()), id)
	if u.GetExternalId() != "" {
		s.byExternalID.add(u.GetExternalId(), id)
	}
	for _, e := range u.GetEmails() {
		s.byEmail.add(scim.Fold(e.GetValue()), id)
	}
	return nil
}

func (s *state) PutGroup(g *musterv1.Group) error {
	s.removeGroup(g.GetId())
	s.groups[g.GetId()] = g
	s.byGroupName.add(scim.Fold(g.GetDisplayName()), g.GetId())
	return nil
}

func (s *state) removeUser(id string) {
	old := s.users[id]
	if old == nil {
		return
	}
	delete(s.users, id)
	s.byName.remove(scim.Fold(old.GetUserName()), id)
	s.byExternalID.remove(old.GetExternalId(), id)
	for _, e := range old.GetEmails() {
		s.byEmail.remove(scim.Fold(e.GetValue()), id)
	}
}

func (s *state) removeGroup(id string) {
	if old := s.groups[id]; old != nil {
		delete(s.groups, id)
		s.byGroupName.remove(scim.Fold(old.GetDisplayName()), id)
	}
}

func (s *state) Remove(id string) error {
	s.removeUser(id)
	s.removeGroup(id)
	return s.Leave(id, ids(s.members[id]))
}

func (s *state) Join(group string, members []string) error {
	for _, id := range members {
		s.members.add(group, id)
		s.groupsOf.add(id, group)
	}
	return nil
}

func (s *state) Leave(group string, members []string) error {
	for _, id := range members {
		s.members.remove(group, id)
		s.groupsOf.remove(id, group)
	}
	return nil
}
