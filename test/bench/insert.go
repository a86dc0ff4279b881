package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // registers the driver
)

// A database to measure.
type database struct {
	name string
	url  string // of Muster's data
	bare string // of the table for bare INSERTs
}

// openInsert makes the table for bare INSERTs and returns a function that makes
// one.
func openInsert(ctx context.Context, url string) (insert func(context.Context) error, err error) {
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		return openSQLite(ctx, path)
	}
	return openPostgres(ctx, url)
}

// The bare INSERT writes one row with the document of a user and one index, and
// is durable when it returns, as a create of Muster is.
const (
	createTable = "CREATE TABLE IF NOT EXISTS bare (id text PRIMARY KEY, tenant_id bigint, type text, version bigint, created_at bigint, updated_at bigint," +
		" external_id text, user_name text, display_name text, document %s, UNIQUE (tenant_id, type, user_name))"
	insertRow = "INSERT INTO bare VALUES ($1, 1, 'User', 1, $2, $2, $3, $4, $5, $6)"
)

var inserted atomic.Int64

func rowValues() []any {
	n := inserted.Add(1) + int64(os.Getpid())<<32 // other processes insert there, too
	id, err := uuid.NewV7()
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return []any{id.String(), time.Now().UnixMilli(), fmt.Sprint("ext-", n), fmt.Sprint("user.", n, "@example.com"), fmt.Sprint("user number ", n), string(userBody(n))}
}

func openSQLite(ctx context.Context, path string) (func(context.Context) error, error) {
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, fmt.Sprintf(createTable, "text")); err != nil {
		return nil, err
	}
	insert, err := db.PrepareContext(ctx, insertRow) //nolint:sqlclosecheck // it closes with the database
	if err != nil {
		return nil, err
	}
	rows := make(chan *waitingRow, 256)
	go shareCommits(ctx, db, insert, rows)
	return func(context.Context) error {
		row := &waitingRow{values: rowValues(), done: make(chan error, 1)}
		rows <- row
		return <-row.done
	}, nil
}

type waitingRow struct {
	values []any
	done   chan error
}

// shareCommits inserts what waits in one transaction, with one sync for all: the
// fastest durable way to write single rows from many goroutines.
func shareCommits(ctx context.Context, db *sql.DB, insert *sql.Stmt, rows <-chan *waitingRow) {
	for first := range rows {
		batch := []*waitingRow{first}
		for len(rows) > 0 {
			batch = append(batch, <-rows)
		}
		err := insertAll(ctx, db, insert, batch)
		for _, row := range batch {
			row.done <- err
		}
	}
}

func insertAll(ctx context.Context, db *sql.DB, insert *sql.Stmt, batch []*waitingRow) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	stmt := tx.StmtContext(ctx, insert) //nolint:sqlclosecheck // it closes with the transaction
	for _, row := range batch {
		if _, err := stmt.ExecContext(ctx, row.values...); err != nil {
			_ = tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func openPostgres(ctx context.Context, url string) (func(context.Context) error, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, fmt.Sprintf(createTable, "jsonb")); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error {
		_, err := pool.Exec(ctx, insertRow, rowValues()...)
		return err
	}, nil
}
