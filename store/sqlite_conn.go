package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"strings"

	modernc "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/muster-scim/muster/scim"
)

// maxPrepared is the most statements kept prepared for each connection: all of
// ours and the usual filters. Values are never part of the text, so there are
// few; a rare filter beyond them is prepared for itself.
const maxPrepared = 64

// A sqliteConn is one connection, for one goroutine at a time. It talks to the
// driver itself: going through database/sql costs a third of what SQLite needs
// to read a row. What it has prepared it keeps: preparing costs as much as
// running a short statement.
type sqliteConn struct {
	driver.Conn

	byText map[string]sqliteStmt
}

// sqliteStmt is what the driver's statements can do.
type sqliteStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

func openSQLiteConn(ctx context.Context, to driver.Connector) (*sqliteConn, error) {
	conn, err := to.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &sqliteConn{Conn: conn, byText: make(map[string]sqliteStmt)}, nil
}

// close closes the connection and its statements.
func (c *sqliteConn) close() error {
	var errs []error
	for _, stmt := range c.byText {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(append(errs, c.Close())...)
}

// prepare returns a prepared statement; not kept: the caller has to close it.
func (c *sqliteConn) prepare(text string) (stmt sqliteStmt, kept bool, err error) {
	if stmt, kept = c.byText[text]; kept {
		return stmt, true, nil
	}
	prepared, err := c.Prepare(text)
	if err != nil {
		return nil, false, sqliteError(err)
	}
	stmt = prepared.(sqliteStmt) //nolint:forcetypeassert // the driver's have all it can do
	if kept = len(c.byText) < maxPrepared; kept {
		c.byText[text] = stmt
	}
	return stmt, kept, nil
}

// query runs a query and calls row for each row of the answer.
func (c *sqliteConn) query(ctx context.Context, st *statement, row func(scan) error) error {
	stmt, kept, err := c.prepare(st.text.String())
	if err != nil {
		return err
	}
	if !kept {
		defer func() { _ = stmt.Close() }()
	}
	rows, err := stmt.QueryContext(ctx, namedValues(st.args))
	if err != nil {
		return sqliteError(err)
	}
	defer func() { _ = rows.Close() }() // what it could say Next has said
	values := make(sqliteRow, len(rows.Columns()))
	scan := values.scan
	for {
		switch err := rows.Next(values); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return sqliteError(err)
		case ctx.Err() != nil: // the driver looks before the first row only
			return ctx.Err()
		}
		if err := row(scan); err != nil {
			return err
		}
	}
}

// exec runs a statement that answers no rows.
func (c *sqliteConn) exec(ctx context.Context, st *statement) error {
	stmt, kept, err := c.prepare(st.text.String())
	if err != nil {
		return err
	}
	if !kept {
		defer func() { _ = stmt.Close() }()
	}
	_, err = stmt.ExecContext(ctx, namedValues(st.args))
	return sqliteError(err)
}

// namedValues are arguments as drivers take them.
func namedValues(args []any) []driver.NamedValue {
	values := make([]driver.NamedValue, len(args))
	for i, v := range args {
		if n, ok := v.(int); ok {
			v = int64(n) // the only integer of drivers
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return values
}

// sqliteRow is one row of an answer.
type sqliteRow []driver.Value

// scan copies the row into variables of the types that the store reads.
func (r sqliteRow) scan(dest ...any) error {
	if len(dest) != len(r) {
		return fmt.Errorf("%d columns are scanned into %d variables", len(r), len(dest))
	}
	for i, value := range r {
		ok := false
		switch to := dest[i].(type) {
		case *string:
			*to, ok = value.(string)
		case *[]byte:
			var text string
			if text, ok = value.(string); ok {
				*to = []byte(text)
			} else if *to, ok = value.([]byte); !ok {
				ok = value == nil
			}
		case *int64:
			*to, ok = value.(int64)
		case *int:
			var n int64
			n, ok = value.(int64)
			*to = int(n)
		case *bool:
			var n int64
			n, ok = value.(int64)
			*to = n != 0
		case **string:
			ok = scanOrNil(to, value)
		case **int64:
			ok = scanOrNil(to, value)
		case **float64:
			if n, isInt := value.(int64); isInt {
				value = float64(n)
			}
			ok = scanOrNil(to, value)
		}
		if !ok {
			return fmt.Errorf("column %d is %T, which is not scanned into %T", i+1, value, dest[i])
		}
	}
	return nil
}

// scanOrNil copies a value that may be NULL.
func scanOrNil[T any](to **T, value driver.Value) (ok bool) {
	if value == nil {
		*to = nil
		return true
	}
	v, ok := value.(T)
	*to = &v
	return ok
}

// sqliteError translates what the constraints of the tables refuse.
func sqliteError(err error) error {
	if err == nil {
		return nil
	}
	var e *modernc.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		if strings.Contains(e.Error(), "attribute_values") {
			return errNotUnique
		}
		return errTaken
	case sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
		return errGone
	case sqlite3.SQLITE_FULL:
		return scim.Errorf(scim.Unavailable, "the disk of the database is full")
	}
	return err
}

// A sqlitePool is the connections that read, those that are free.
type sqlitePool chan *sqliteConn

func openSQLitePool(ctx context.Context, to driver.Connector, size int) (sqlitePool, error) {
	pool := make(sqlitePool, size)
	for range size {
		conn, err := openSQLiteConn(ctx, to)
		if err != nil {
			return nil, errors.Join(err, pool.close(len(pool)))
		}
		pool <- conn
	}
	return pool, nil
}

// query runs a query on the next connection that is free.
func (p sqlitePool) query(ctx context.Context, st *statement, row func(scan) error) error {
	select {
	case conn, open := <-p:
		if !open {
			return errClosed
		}
		defer func() { p <- conn }()
		return conn.query(ctx, st, row)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close waits for the queries under way and closes the connections, of which
// there are so many.
func (p sqlitePool) close(size int) error {
	var errs []error
	for range size {
		conn, open := <-p
		if !open {
			return nil // closed before
		}
		errs = append(errs, conn.close())
	}
	close(p)
	return errors.Join(errs...)
}
