package store

import (
	"context"
	"errors"
)

// snapshot runs f with a reader that sees the database as it is at one moment,
// however long f takes. It holds up no write.
func (s *Store) snapshot(ctx context.Context, f func(from reader) error) error {
	if s.dialect == postgres {
		return s.snapshotPostgres(ctx, f)
	}
	conn, err := openSQLiteConn(ctx, s.reading) // the others are for requests, which are short
	if err != nil {
		return err
	}
	if err = conn.exec(ctx, s.statement().add("BEGIN")); err == nil {
		err = f(&sqliteTx{conn: conn})
	}
	return errors.Join(err, conn.close()) // which ends the transaction
}

func (s *Store) snapshotPostgres(ctx context.Context, f func(from reader) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return postgresError(err)
	}
	defer conn.Release()
	tx := &postgresTx{conn: conn, begun: true}
	defer tx.rollback(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"); err != nil {
		return postgresError(err)
	}
	return postgresError(f(tx))
}
