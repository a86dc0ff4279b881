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

// sqliteReaders is how many connections read at once. Each has a cache of its
// own, so they are few.
const sqliteReaders = 4

// openSQLite opens one file twice: for readers, which never wait for anybody, and
// for the writer.
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
	pragmas := url.Values{
		"_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "cache_size(-8000)", "temp_store(memory)",
			"wal_autocheckpoint(4000)", // pages: hot ones reach the file once for many commits
		},
		"_txlock": {"immediate"},
	}
	dsn := "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + pragmas.Encode()
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
	readers, err := openSQLitePool(ctx, reading, sqliteReaders)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening the database %s: %w", path, err), conn.close())
	}
	db := sql.OpenDB(writing)
	db.SetMaxOpenConns(1)
	return &Store{
		dialect:  sqlite,
		client:   ent.NewClient(ent.Driver(entsql.OpenDB(entdialect.SQLite, db))),
		turns:    newTurns(),
		follower: newFollower(),
		db:       db,
		readers:  readers,
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
