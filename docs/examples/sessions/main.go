// Command sessions ends the sessions of users who are disabled or deleted. It is what a
// service does that keeps sessions in a database of its own, here an SQLite file: what a
// change brings about, and the position of the change, are one transaction. So each
// change takes effect once, however often the worker, Muster or the network break.
//
//	MUSTER_TOKEN=muster_… go run ./docs/examples/sessions -muster 127.0.0.1:9090 -database sessions.db
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"log/slog"
	"os"
	"os/signal"

	_ "modernc.org/sqlite" // the driver

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// tables are the sessions, which the service itself fills, who was signed out by which
// change, and how far the worker has come.
const tables = `
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS sessions (id INTEGER PRIMARY KEY, user_id TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_user_id ON sessions (user_id);
CREATE TABLE IF NOT EXISTS sign_outs (position INTEGER PRIMARY KEY, user_id TEXT NOT NULL, sessions INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS progress (one INTEGER PRIMARY KEY CHECK (one = 1), position INTEGER NOT NULL);
INSERT OR IGNORE INTO progress VALUES (1, 0);`

func main() {
	address := flag.String("muster", "127.0.0.1:9090", "gRPC address of Muster")
	database := flag.String("database", "sessions.db", "file of the sessions")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *address, *database)
	stop()
	if err != nil && !errors.Is(err, context.Canceled) {
		slog.Error("the worker ends", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, address, database string) error {
	c, err := client.Dial(client.Options{Address: address, Token: os.Getenv("MUSTER_TOKEN")})
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	db, err := sql.Open("sqlite", "file:"+database+"?_txlock=immediate&_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return err
	}
	w := &worker{db: db}
	return c.Watch(ctx, client.WatchOptions{
		Filter:    &musterv1.ChangeFilter{ResourceTypes: []string{"User"}, Attributes: []string{"active"}},
		Positions: w,
		Snapshot:  true, // where it begins, or was away for too long
	}, w.handle)
}

// A worker follows the changes.
type worker struct {
	db *sql.DB
	// active are the users of a snapshot that is under way.
	active map[string]bool
}

// Load makes it client.Positions.
func (w *worker) Load(ctx context.Context) (position int64, err error) {
	err = w.db.QueryRowContext(ctx, "SELECT position FROM progress").Scan(&position)
	return position, err
}

// Save makes it client.Positions. Of a change the position is there already.
func (w *worker) Save(ctx context.Context, position int64) error {
	_, err := w.db.ExecContext(ctx, "UPDATE progress SET position = ?", position)
	return err
}

func (w *worker) handle(ctx context.Context, e client.Event) error {
	if e.SnapshotBegins {
		w.active = make(map[string]bool)
		return nil
	}
	switch e := e.Message.GetEvent().(type) {
	case *musterv1.WatchChangesResponse_Resource:
		w.active[e.Resource.GetUser().GetId()] = isActive(e.Resource.GetUser())
	case *musterv1.WatchChangesResponse_SnapshotComplete:
		return w.compare(ctx, e.SnapshotComplete.GetPosition())
	case *musterv1.WatchChangesResponse_Change:
		is := e.Change.GetOperation() != musterv1.Change_OPERATION_DELETE && isActive(e.Change.GetUser())
		if w.active != nil {
			w.active[e.Change.GetResourceId()] = is
			return nil
		}
		return w.change(ctx, e.Change, is)
	}
	return nil
}

func isActive(u *musterv1.User) bool { return u.Active == nil || u.GetActive() }

// change ends the sessions of a user who is no longer active, and keeps the position of
// the change, in one transaction.
func (w *worker) change(ctx context.Context, c *musterv1.Change, active bool) error {
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	if !active {
		out, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE user_id = ?", c.GetResourceId())
		if err != nil {
			return err
		}
		n, err := out.RowsAffected()
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO sign_outs VALUES (?, ?, ?)", c.GetPosition(), c.GetResourceId(), n); err != nil {
			return err
		}
		slog.Info("signed out", "user", c.GetResourceId(), "sessions", n, "position", c.GetPosition())
	}
	if _, err := tx.ExecContext(ctx, "UPDATE progress SET position = ?", c.GetPosition()); err != nil {
		return err
	}
	return tx.Commit()
}

// compare ends the sessions of all whom a snapshot does not have as active users.
func (w *worker) compare(ctx context.Context, position int64) error {
	active := w.active
	w.active = nil
	tx, err := w.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, once it is committed
	users, err := usersWithSessions(ctx, tx)
	if err != nil {
		return err
	}
	for _, id := range users {
		if active[id] {
			continue
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sessions WHERE user_id = ?", id); err != nil {
			return err
		}
		slog.Info("signed out", "user", id, "position", position)
	}
	if _, err := tx.ExecContext(ctx, "UPDATE progress SET position = ?", position); err != nil {
		return err
	}
	return tx.Commit()
}

func usersWithSessions(ctx context.Context, tx *sql.Tx) (ids []string, err error) {
	rows, err := tx.QueryContext(ctx, "SELECT DISTINCT user_id FROM sessions")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
