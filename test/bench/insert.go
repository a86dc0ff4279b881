package main

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "modernc.org/sqlite" // registers the driver
)

// A database to measure: where it is, and how fast a bare INSERT is there.
type database struct {
	url           string
	measureInsert func(ctx context.Context, p plan) (float64, error)
}

// The bare INSERT writes one row with the document of a user and one index, and
// is durable when it returns, as a create of Muster is.
const (
	createTable = "CREATE TABLE bare (id text PRIMARY KEY, tenant_id bigint, type text, version bigint, created_at bigint, updated_at bigint," +
		" external_id text, user_name text, display_name text, document %s, UNIQUE (tenant_id, type, user_name))"
	insertRow = "INSERT INTO bare VALUES ($1, 1, 'User', 1, $2, $2, $3, $4, $5, $6)"
)

var inserted atomic.Int64

func rowValues() []any {
	n := inserted.Add(1)
	id, err := uuid.NewV7()
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return []any{id.String(), time.Now().UnixMilli(), fmt.Sprint("ext-", n), fmt.Sprint("user.", n, "@example.com"), fmt.Sprint("user number ", n), string(userBody(n))}
}

func sqliteDatabase(dir string) database {
	measure := func(ctx context.Context, p plan) (float64, error) {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
		if err != nil {
			return 0, err
		}
		defer db.Close()
		db.SetMaxOpenConns(1)
		if _, err := db.ExecContext(ctx, fmt.Sprintf(createTable, "text")); err != nil {
			return 0, err
		}
		insert, err := db.PrepareContext(ctx, insertRow) //nolint:sqlclosecheck // it closes with the database
		if err != nil {
			return 0, err
		}
		rows := make(chan *waitingRow, 256)
		defer close(rows)
		go shareCommits(ctx, db, insert, rows)
		return p.best(ctx, func(context.Context) error {
			row := &waitingRow{values: rowValues(), done: make(chan error, 1)}
			rows <- row
			return <-row.done
		})
	}
	return database{url: "sqlite://" + filepath.Join(dir, "muster.db"), measureInsert: measure}
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

func postgresDatabase(url string) database {
	measure := func(ctx context.Context, p plan) (float64, error) {
		config, err := pgxpool.ParseConfig(url)
		if err != nil {
			return 0, err
		}
		config.MaxConns = int32(p.connections)
		pool, err := pgxpool.NewWithConfig(ctx, config)
		if err != nil {
			return 0, err
		}
		defer pool.Close()
		if _, err := pool.Exec(ctx, fmt.Sprintf(createTable, "jsonb")); err != nil {
			return 0, err
		}
		return p.best(ctx, func(ctx context.Context) error {
			_, err := pool.Exec(ctx, insertRow, rowValues()...)
			return err
		})
	}
	return database{url: url, measureInsert: measure}
}
