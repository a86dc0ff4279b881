package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-scim/muster/scim"
)

// A write that PostgreSQL refuses because another was in its way is tried again.
const (
	maxAttempts  = 8
	writeTimeout = 30 * time.Second
)

// writePostgres runs a job in a transaction of its own, again where another
// transaction was in the way.
func (s *Store) writePostgres(ctx context.Context, limit time.Duration, j job) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return postgresError(err)
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	for attempt := 1; ; attempt++ {
		t := &postgresTx{conn: conn}
		err := j(ctx, t)
		if err == nil {
			err = t.commit(ctx)
		}
		if err != nil {
			t.rollback(ctx)
		}
		if conn.Conn().IsClosed() {
			return errUnreachable // whether it was committed cannot be known
		}
		if !isConflict(err) || attempt == maxAttempts {
			return postgresError(err)
		}
		time.Sleep(rand.N(time.Duration(attempt) * 10 * time.Millisecond)) //nolint:gosec // so that two do not meet again
	}
}

// isConflict tells whether a transaction failed only because of another.
func isConflict(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") // serialization failure, deadlock
}

// postgresError translates what the constraints of the tables refuse, and
// failures of the connection.
func postgresError(err error) error {
	var e *pgconn.PgError
	var connect *pgconn.ConnectError
	var known *scim.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.As(err, &e):
		switch {
		case e.Code == "23505" && e.TableName == "attribute_values": // unique violation
			return errNotUnique
		case e.Code == "23505":
			return errTaken
		case e.Code == "23503": // foreign key violation
			return errGone
		case e.Code == "22012": // division by zero
			return errCatalogChanged
		case e.Code == "22021": // character not in repertoire
			return scim.Errorf(scim.InvalidValue, "a text holds the character U+0000")
		case e.Code[:2] == "53", e.Code[:2] == "57": // no resources, shutdown
			return scim.Errorf(scim.Unavailable, "the database does not serve at the moment")
		}
		return err
	case errors.As(err, &connect), pgconn.SafeToRetry(err):
		return errUnreachable
	}
	return err
}

// postgresTx is one transaction. It talks to the server as seldom as it can:
// statements wait, and go together with the next read or with the commit. A job
// that reads nothing is one exchange, and one that reads once is two.
type postgresTx struct {
	conn  *pgxpool.Conn
	begun bool
	queue pgx.Batch
}

func (t *postgresTx) write(_ context.Context, st *statement) error {
	t.queue.Queue(st.text.String(), st.args...)
	return nil
}

func (t *postgresTx) read(ctx context.Context, st *statement, row func(scan) error) error {
	batch := &pgx.Batch{}
	if !t.begun {
		batch.Queue("BEGIN")
		t.begun = true
	}
	batch.QueuedQueries = append(batch.QueuedQueries, t.queue.QueuedQueries...)
	t.queue = pgx.Batch{}
	before := len(batch.QueuedQueries)
	batch.Queue(st.text.String(), st.args...)
	results := t.conn.SendBatch(ctx, batch)
	defer results.Close()
	for range before {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	rows, err := results.Query()
	if err != nil {
		return err
	}
	if err := eachRow(rows, row); err != nil {
		return err
	}
	return results.Close()
}

// commit sends what waits, and ends the transaction. Statements sent together
// are one transaction even without BEGIN and COMMIT round them.
func (t *postgresTx) commit(ctx context.Context) error {
	if t.begun {
		t.queue.Queue("COMMIT")
	}
	if len(t.queue.QueuedQueries) == 0 {
		return nil
	}
	return t.conn.SendBatch(ctx, &t.queue).Close()
}

// rollback ends a transaction that failed. Where even that fails the pool throws
// the connection away.
func (t *postgresTx) rollback(ctx context.Context) {
	if t.conn.Conn().PgConn().TxStatus() != 'I' {
		_, _ = t.conn.Exec(ctx, "ROLLBACK")
	}
}

func (s *Store) queryPostgres(ctx context.Context, st *statement, row func(scan) error) error {
	rows, err := s.pool.Query(ctx, st.text.String(), st.args...)
	if err != nil {
		return postgresError(err)
	}
	return postgresError(eachRow(rows, row))
}

func eachRow(rows pgx.Rows, row func(scan) error) error {
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
