package store

import (
	"context"
	"time"
)

// scan copies the columns of a row into variables, as sql.Rows.Scan does.
type scan func(dest ...any) error

// A reader runs queries: the store itself, or a transaction.
type reader interface {
	// read runs a query and calls row for each row of the answer.
	read(ctx context.Context, st *statement, row func(scan) error) error
}

// A tx is one write transaction. Nothing of it is seen by others before it
// commits, and it commits only if its job returns no error.
type tx interface {
	reader
	// write runs a statement that answers no rows. It may wait for the next read
	// or the commit, so an error may come only then.
	write(ctx context.Context, st *statement) error
}

// A job is the body of a write transaction. It may run more than once, so it
// must not keep what it computed in an earlier run.
type job func(ctx context.Context, tx tx) error

// write runs a job in a transaction and returns when it is durable: an
// acknowledged write survives a crash of the process and of the machine. Once
// begun it is not cancelled: the client may go, the write goes on.
func (s *Store) write(ctx context.Context, j job) error {
	return s.writeWithin(ctx, 0, writeTimeout, j)
}

// writeWithin is write, for a tenant (0: none), for a job that may take so long.
// SQLite has nobody that it could wait for.
func (s *Store) writeWithin(ctx context.Context, tenant int64, limit time.Duration, j job) (err error) {
	s.meter.writing.Add(1)
	defer func(began time.Time) { s.meter.wrote(ctx, began, err) }(time.Now())
	if s.dialect == sqlite {
		err = s.writer.do(ctx, tenant, j)
	} else {
		err = s.writeInTurn(ctx, tenant, limit, j)
	}
	if err == nil {
		s.follower.wrote()
	}
	return err
}

// writeInTurn writes to PostgreSQL when it is the tenant's turn.
func (s *Store) writeInTurn(ctx context.Context, tenant int64, limit time.Duration, j job) error {
	done, err := s.shares.writes.take(ctx, tenant)
	if err != nil {
		return err
	}
	defer done()
	return s.writePostgres(ctx, limit, j)
}

// read runs a query outside of any transaction and calls row for each row.
func (s *Store) read(ctx context.Context, st *statement, row func(scan) error) (err error) {
	if s.dialect == sqlite {
		err = s.readers.query(ctx, st, row)
	} else {
		err = s.queryPostgres(ctx, st, row)
	}
	s.meter.read(ctx, err)
	return err
}

// statement begins a statement, with room for most of ours.
func (s *Store) statement() *statement {
	st := &statement{dialect: s.dialect, args: make([]any, 0, 12)}
	st.text.Grow(384)
	return st
}
