// Package store is the memory of Muster: tenants, credentials, resources, their
// memberships and the log of changes, in SQLite or PostgreSQL. It is the only
// package that knows the tables.
//
// Nothing about resources can be asked without a Tenant. Errors are *scim.Error
// wherever a client can do something about them; all others are failures of the
// database.
package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/scim"
)

// Store is an open database. Its methods may be called from many goroutines.
type Store struct {
	dialect dialect
	client  *ent.Client // for tenants and credentials; on SQLite it writes as the writer does
	shares  shares
	// catalogs are those of the tenants that called lately.
	catalogs catalogs
	follower *follower
	meter    meter

	db *sql.DB // for what needs database/sql: the client and migrations

	// SQLite
	readers sqlitePool
	reading driver.Connector // for one more reader
	writer  *sqliteWriter

	// PostgreSQL
	pool *pgxpool.Pool
}

// Open opens the database that url names: sqlite://PATH, or postgres:// with
// user, host and name. A SQLite file and its folder are made where they are
// missing; the schema is the business of Migrate and CheckSchema.
func Open(ctx context.Context, url string, options ...Option) (s *Store, err error) {
	scheme, rest, _ := strings.Cut(url, "://")
	switch scheme {
	case "sqlite":
		s, err = openSQLite(ctx, rest)
	case "postgres", "postgresql":
		s, err = openPostgres(ctx, url)
	default:
		err = errors.New("the database is neither sqlite://PATH nor postgres://USER:PASSWORD@HOST/NAME")
	}
	if err != nil {
		return nil, err
	}
	s.catalogs.contract = scim.Contract
	for _, set := range options {
		set(s)
	}
	return s, nil
}

// An Option is something that Open can be told.
type Option func(*Store)

// Limits gives the catalogs of all tenants other limits than scim.DefaultLimits.
func Limits(l scim.Limits) Option {
	return func(s *Store) { s.catalogs.contract = scim.Contract.Within(l) }
}

// Limits are those of requests about any tenant.
func (s *Store) Limits() scim.Limits { return s.catalogs.contract.Limits() }

// Ping tells whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	one := 0
	return s.read(ctx, s.statement().add("SELECT 1"), func(scan scan) error { return scan(&one) })
}

// Close waits for the reads and writes under way and closes the database.
func (s *Store) Close() error {
	err := s.db.Close()
	if s.dialect == postgres {
		s.pool.Close()
	} else {
		err = errors.Join(err, s.writer.close(), s.readers.close(cap(s.readers)))
	}
	if err != nil {
		return fmt.Errorf("closing the database: %w", err)
	}
	return nil
}
