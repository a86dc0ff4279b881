package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/muster-scim/muster/client"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// transaction is a client.Transaction: one of SQLite's. That of a snapshot is one too,
// however long it takes: the log of the file takes all of it, and lookups go on with
// what was there.
type transaction struct {
	ctx  context.Context //nolint:containedctx // a transaction lives in it
	tx   *sql.Tx
	copy *Copy
	// prepared are statements by their text: one runs for each user of a snapshot.
	prepared map[string]*sql.Stmt
}

// Begin makes it a client.Copy. The transaction outlives ctx: a mirror ends it.
func (c *Copy) Begin(ctx context.Context, anew bool) (client.Transaction, error) {
	ctx = context.WithoutCancel(ctx)
	tx, err := c.writing.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	t := &transaction{ctx: ctx, tx: tx, copy: c, prepared: make(map[string]*sql.Stmt)}
	if anew {
		for _, table := range []string{"users", "emails", "groups", "members"} {
			if err := t.exec("DELETE FROM " + table); err != nil {
				return nil, errors.Join(err, t.Rollback())
			}
		}
	}
	return t, nil
}

// exec runs a statement.
func (t *transaction) exec(text string, args ...any) error {
	stmt := t.prepared[text]
	if stmt == nil {
		var err error
		if stmt, err = t.tx.PrepareContext(t.ctx, text); err != nil { // it is closed with the transaction
			return err
		}
		t.prepared[text] = stmt
	}
	_, err := stmt.ExecContext(t.ctx, args...)
	return err
}

func (t *transaction) User(id string) (*musterv1.User, error) {
	return first(messages[musterv1.User](t.ctx, t.tx, "SELECT message FROM users WHERE id = ?", id))
}

func (t *transaction) Group(id string) (*musterv1.Group, error) {
	return first(messages[musterv1.Group](t.ctx, t.tx, "SELECT message FROM groups WHERE id = ?", id))
}

func (t *transaction) PutUser(u *musterv1.User) error {
	text, err := proto.Marshal(u)
	if err != nil {
		return err
	}
	var externalID any // NULL where there is none
	if u.GetExternalId() != "" {
		externalID = u.GetExternalId()
	}
	err = t.exec("INSERT OR REPLACE INTO users (id, user_name, external_id, message) VALUES (?, ?, ?, ?)", u.GetId(), scim.Fold(u.GetUserName()), externalID, text)
	if err != nil {
		return err
	}
	if err := t.exec("DELETE FROM emails WHERE user_id = ?", u.GetId()); err != nil {
		return err
	}
	for _, e := range u.GetEmails() {
		if err := t.exec("INSERT OR IGNORE INTO emails (address, user_id) VALUES (?, ?)", scim.Fold(e.GetValue()), u.GetId()); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) PutGroup(g *musterv1.Group) error {
	text, err := proto.Marshal(g)
	if err != nil {
		return err
	}
	return t.exec("INSERT OR REPLACE INTO groups (id, display_name, message) VALUES (?, ?, ?)", g.GetId(), scim.Fold(g.GetDisplayName()), text)
}

func (t *transaction) Remove(id string) error {
	for _, text := range []string{
		"DELETE FROM users WHERE id = ?", "DELETE FROM emails WHERE user_id = ?", "DELETE FROM groups WHERE id = ?", "DELETE FROM members WHERE group_id = ?",
	} {
		if err := t.exec(text, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) Join(group string, members []string) error {
	for _, id := range members {
		if err := t.exec("INSERT OR IGNORE INTO members (group_id, member_id) VALUES (?, ?)", group, id); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) Leave(group string, members []string) error {
	for _, id := range members {
		if err := t.exec("DELETE FROM members WHERE group_id = ? AND member_id = ?", group, id); err != nil {
			return err
		}
	}
	return nil
}

// Commit fails where another has written the file meanwhile: what both would make of it
// is nobody's copy.
func (t *transaction) Commit(position int64) error {
	out, err := t.tx.ExecContext(t.ctx, "UPDATE state SET position = ? WHERE position = ?", position, t.copy.position)
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	if n, err := out.RowsAffected(); err != nil || n != 1 {
		return errors.Join(err, errors.New("another mirror writes this copy"), t.Rollback())
	}
	if err := t.tx.Commit(); err != nil {
		return errors.Join(err, t.Rollback())
	}
	t.copy.position = position
	return nil
}

func (t *transaction) Rollback() error {
	err := t.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}
