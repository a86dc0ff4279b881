// Package sqlite keeps the copy of a client.Mirror in an SQLite file, so that a service
// which is started again goes on from where it was, and answers at once:
//
//	copy, err := sqlite.Open(ctx, "users.db")
//	mirror := client.NewMirror(c, copy)
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"

	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the driver

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// format is the version of the tables. A file of another is emptied: a copy can be had
// again.
const format = 1

// tables are made where the file has none. What is looked up stands beside the message,
// folded where letter case does not matter.
const tables = `
CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL);
INSERT INTO state VALUES (1, 0);
CREATE TABLE users (id TEXT PRIMARY KEY, user_name TEXT NOT NULL, external_id TEXT, message BLOB NOT NULL);
CREATE INDEX users_user_name ON users (user_name);
CREATE INDEX users_external_id ON users (external_id) WHERE external_id IS NOT NULL;
CREATE TABLE emails (address TEXT NOT NULL, user_id TEXT NOT NULL, PRIMARY KEY (address, user_id)) WITHOUT ROWID;
CREATE INDEX emails_user_id ON emails (user_id);
CREATE TABLE groups (id TEXT PRIMARY KEY, display_name TEXT NOT NULL, message BLOB NOT NULL);
CREATE INDEX groups_display_name ON groups (display_name);
CREATE TABLE members (group_id TEXT NOT NULL, member_id TEXT NOT NULL, PRIMARY KEY (group_id, member_id)) WITHOUT ROWID;
CREATE INDEX members_member_id ON members (member_id, group_id);`

// holders are the groups that hold the member ?1, through others too.
const holders = `WITH RECURSIVE holders(id) AS (SELECT group_id FROM members WHERE member_id = ?1
 UNION SELECT m.group_id FROM members m JOIN holders ON m.member_id = holders.id) `

// Copy is a client.Copy in a file. It is for one mirror: a second that writes the same
// file is found out, and fails.
//
// A commit reaches the disk a moment later. The power may take the last ones away, each
// with its position: then they come again.
type Copy struct {
	reading, writing *sql.DB
	position         int64 // as this mirror kept it last
}

var _ client.Copy = (*Copy)(nil)

// Open opens a file, which is made where it is missing, readable for nobody else.
func Open(ctx context.Context, path string) (*Copy, error) {
	file, err := os.OpenFile(path, os.O_CREATE, 0o600) //nolint:gosec // the caller says where
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	settings := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"}}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode()
	c := &Copy{}
	if c.writing, err = sql.Open("sqlite", dsn); err != nil {
		return nil, err
	}
	c.writing.SetMaxOpenConns(1)
	if c.reading, err = sql.Open("sqlite", dsn+"&"+url.Values{"_pragma": {"query_only(1)"}}.Encode()); err != nil {
		return nil, err
	}
	c.reading.SetMaxOpenConns(8)
	c.reading.SetMaxIdleConns(8)
	if err := c.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("the copy in %s: %w", path, err), c.Close())
	}
	c.position, err = c.Position(ctx)
	return c, err
}

// prepare makes the tables, if they are not there in this format.
func (c *Copy) prepare(ctx context.Context) error {
	var is int
	if err := c.writing.QueryRowContext(ctx, "PRAGMA user_version").Scan(&is); err != nil || is == format {
		return err
	}
	tx, err := c.writing.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, table := range []string{"state", "users", "emails", "groups", "members"} {
		if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+table); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, tables+fmt.Sprintf("PRAGMA user_version = %d", format)); err != nil {
		return err
	}
	return tx.Commit()
}

// Close closes the file. The mirror must have ended.
func (c *Copy) Close() error {
	var errs []error
	for _, db := range []*sql.DB{c.reading, c.writing} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}

// Position makes it a client.Copy.
func (c *Copy) Position(ctx context.Context) (position int64, err error) {
	err = c.reading.QueryRowContext(ctx, "SELECT position FROM state").Scan(&position)
	return position, err
}

// User makes it a client.Copy.
func (c *Copy) User(ctx context.Context, id string) (*musterv1.User, error) {
	return first(messages[musterv1.User](ctx, c.reading, "SELECT message FROM users WHERE id = ?", id))
}

// UserByName makes it a client.Copy.
func (c *Copy) UserByName(ctx context.Context, userName string) (*musterv1.User, error) {
	return first(messages[musterv1.User](ctx, c.reading, "SELECT message FROM users WHERE user_name = ?", scim.Fold(userName)))
}

// UsersByExternalID makes it a client.Copy.
func (c *Copy) UsersByExternalID(ctx context.Context, externalID string) ([]*musterv1.User, error) {
	return messages[musterv1.User](ctx, c.reading, "SELECT message FROM users WHERE external_id = ?", externalID)
}

// UsersByEmail makes it a client.Copy.
func (c *Copy) UsersByEmail(ctx context.Context, address string) ([]*musterv1.User, error) {
	return messages[musterv1.User](ctx, c.reading, "SELECT message FROM users JOIN emails ON user_id = id WHERE address = ?", scim.Fold(address))
}

// Group makes it a client.Copy.
func (c *Copy) Group(ctx context.Context, id string) (*musterv1.Group, error) {
	return first(messages[musterv1.Group](ctx, c.reading, "SELECT message FROM groups WHERE id = ?", id))
}

// GroupsByName makes it a client.Copy.
func (c *Copy) GroupsByName(ctx context.Context, displayName string) ([]*musterv1.Group, error) {
	return messages[musterv1.Group](ctx, c.reading, "SELECT message FROM groups WHERE display_name = ?", scim.Fold(displayName))
}

// Counts makes it a client.Copy.
func (c *Copy) Counts(ctx context.Context) (users, groups int, err error) {
	err = c.reading.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM groups)").Scan(&users, &groups)
	return users, groups, err
}

// Members makes it a client.Copy.
func (c *Copy) Members(ctx context.Context, group string) ([]string, error) {
	return column[string](ctx, c.reading, "SELECT member_id FROM members WHERE group_id = ?", group)
}

// GroupsOf makes it a client.Copy.
func (c *Copy) GroupsOf(ctx context.Context, member string, direct bool) ([]string, error) {
	if direct {
		return column[string](ctx, c.reading, "SELECT group_id FROM members WHERE member_id = ?", member)
	}
	return column[string](ctx, c.reading, holders+"SELECT id FROM holders", member)
}

// IsMember makes it a client.Copy.
func (c *Copy) IsMember(ctx context.Context, member, group string, direct bool) (is bool, err error) {
	query := holders + "SELECT EXISTS (SELECT 1 FROM holders WHERE id = ?2)"
	if direct {
		query = "SELECT EXISTS (SELECT 1 FROM members WHERE member_id = ?1 AND group_id = ?2)"
	}
	err = c.reading.QueryRowContext(ctx, query, member, group).Scan(&is)
	return is, err
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// column reads the one column of an answer.
func column[T any](ctx context.Context, from querier, query string, args ...any) (all []T, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one T
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// message is a pointer to a resource.
type message[R any] interface {
	*R
	proto.Message
}

// messages reads resources.
func messages[R any, M message[R]](ctx context.Context, from querier, query string, args ...any) (all []M, err error) {
	blobs, err := column[[]byte](ctx, from, query, args...)
	for _, b := range blobs {
		m := M(new(R))
		if err := proto.Unmarshal(b, m); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, err
}

// first is the first of what was found, or nil.
func first[M any](all []M, err error) (found M, _ error) {
	if len(all) > 0 {
		found = all[0]
	}
	return found, err
}
