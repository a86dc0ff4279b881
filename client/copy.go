package client

import (
	"context"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Lookups are what a copy of users and groups answers without a call. What they return
// must not be changed. Of a copy that holds nothing yet they find nothing.
type Lookups interface {
	// Position is the position of the change log up to which the copy has come; 0: it
	// holds nothing.
	Position(ctx context.Context) (int64, error)
	// User finds a user by its id; nil: there is none.
	User(ctx context.Context, id string) (*musterv1.User, error)
	// UserByName finds a user by its userName, in any letter case; nil: there is none.
	UserByName(ctx context.Context, userName string) (*musterv1.User, error)
	// UsersByExternalID finds the users whose externalId it is, to the letter.
	UsersByExternalID(ctx context.Context, externalID string) ([]*musterv1.User, error)
	// UsersByEmail finds the users who have an e-mail address, in any letter case.
	UsersByEmail(ctx context.Context, address string) ([]*musterv1.User, error)
	// Group finds a group by its id, without its members; nil: there is none.
	Group(ctx context.Context, id string) (*musterv1.Group, error)
	// GroupsByName finds the groups of a displayName, in any letter case.
	GroupsByName(ctx context.Context, displayName string) ([]*musterv1.Group, error)
	// Counts are how many users and groups there are.
	Counts(ctx context.Context) (users, groups int, err error)
	// Members lists the ids of a group's direct members, in no order.
	Members(ctx context.Context, group string) ([]string, error)
	// GroupsOf lists the ids of the groups that hold a user or group, in no order: those
	// that do so themselves, and unless direct those that do through other groups.
	GroupsOf(ctx context.Context, member string, direct bool) ([]string, error)
	// IsMember tells whether a group holds a user or group, itself or, unless direct,
	// through other groups.
	IsMember(ctx context.Context, member, group string, direct bool) (bool, error)
}

// Copy is where a mirror keeps users and groups: NewMemory, or the package
// client/sqlite, or what a service has of its own. Lookups come from many goroutines,
// transactions from one.
type Copy interface {
	Lookups
	// Begin begins a transaction. Lookups see all that it does when it is committed, and
	// nothing before. With anew it begins with an empty copy.
	Begin(ctx context.Context, anew bool) (Transaction, error)
}

// Transaction changes a copy. There is one at a time.
type Transaction interface {
	// User and Group find what the transaction has; nil: there is none.
	User(id string) (*musterv1.User, error)
	Group(id string) (*musterv1.Group, error)
	// PutUser and PutGroup keep a resource, in place of what had its id.
	PutUser(u *musterv1.User) error
	PutGroup(g *musterv1.Group) error
	// Remove removes a user, or a group with its members, if there is one.
	Remove(id string) error
	// Join makes members of a group, Leave removes them; those that were or were not are
	// no error.
	Join(group string, members []string) error
	Leave(group string, members []string) error
	// Commit ends the transaction and keeps a position with what it did.
	Commit(position int64) error
	// Rollback ends it without a trace.
	Rollback() error
}
