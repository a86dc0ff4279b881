package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	entdialect "entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	modernc "modernc.org/sqlite"

	"github.com/muster-scim/muster/ent"
)

// sqliteReaders is how many connections read at once; one of them is never busy with
// a search. Each has a cache of its own, so they are few.
const sqliteReaders = 5

// openSQLite opens one file, which is made where it is missing.
//
// The journal is a WAL with synchronous=FULL: a commit returns when the disk has
// it, so neither a crash nor a power loss takes back what was acknowledged.
func openSQLite(ctx context.Context, path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("sqlite:// needs a path, such as sqlite://muster.db")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("the folder of the database: %w", err)
	}
	if err := touch(path); err != nil {
		return nil, fmt.Errorf("the file of the database: %w", err)
	}
	return openSQLiteFile(ctx, path, sqliteReaders,
		"journal_mode(WAL)", "synchronous(FULL)", "cache_size(-8000)",
		"wal_autocheckpoint(4000)") // pages: hot ones reach the file once for many commits
}

// openSQLiteFile opens one file twice: for so many readers, which with a WAL never
// wait for anybody, and for the writer.
func openSQLiteFile(ctx context.Context, path string, readers int, pragmas ...string) (*Store, error) {
	settings := url.Values{
		"_pragma": append([]string{"busy_timeout(10000)", "foreign_keys(1)", "temp_store(memory)"}, pragmas...),
		"_txlock": {"immediate"},
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode()
	writing, err := modernc.NewConnector(dsn)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	reading, err := modernc.NewConnector(dsn + "&" + url.Values{"_pragma": {"query_only(1)"}}.Encode())
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	conn, err := openSQLiteConn(ctx, writing)
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", path, err)
	}
	pool, err := openSQLitePool(ctx, reading, readers)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), conn.close())
	}
	db := sql.OpenDB(writing)
	db.SetMaxOpenConns(1)
	return &Store{
		dialect:  sqlite,
		client:   ent.NewClient(ent.Driver(entsql.OpenDB(entdialect.SQLite, db))),
		shares:   newShares(readers-1, 1),
		follower: newFollower(),
		db:       db,
		reading:  reading,
		readers:  pool,
		writer:   newSQLiteWriter(conn), //nolint:contextcheck // each job brings its own
	}, nil
}

// touch makes the file readable for nobody else before SQLite would make it.
func touch(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return err
	}
	return f.Close()
}
