package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/muster-scim/muster/ent/migrate"
)

// Migrate brings the schema of the database up to date and returns how many
// migrations that took. Several programs may do so at once.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	p, err := s.migrations()
	if err != nil {
		return 0, err
	}
	results, err := p.Up(ctx)
	if err != nil {
		return len(results), fmt.Errorf("migrating the database: %w", err)
	}
	return len(results), nil
}

// CheckSchema fails unless the schema of the database is the one that this
// program knows. The error says what to do.
func (s *Store) CheckSchema(ctx context.Context) error {
	p, err := s.migrations()
	if err != nil {
		return err
	}
	sources := p.ListSources()
	known := sources[len(sources)-1].Version
	switch has, err := p.GetDBVersion(ctx); {
	case err != nil:
		return fmt.Errorf("reading the version of the schema: %w", err)
	case has == 0:
		return errors.New("the database is empty: run `muster migrate` first")
	case has < known:
		return fmt.Errorf("the schema of the database is of version %d and this program needs %d: run `muster migrate`", has, known)
	case has > known:
		return fmt.Errorf("the schema of the database is of version %d, from a newer Muster; this program knows %d: run the newer program", has, known)
	}
	return nil
}

// migrations are those of this kind of database. On PostgreSQL a lock lets one
// program at a time apply them; SQLite locks the file itself.
func (s *Store) migrations() (*goose.Provider, error) {
	dialect, folder := goose.DialectSQLite3, "sqlite"
	var options []goose.ProviderOption
	if s.dialect == postgres {
		dialect, folder = goose.DialectPostgres, "postgres"
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	files, err := fs.Sub(migrate.Migrations, folder)
	if err != nil {
		return nil, err
	}
	return newProvider(dialect, s.db, files, options)
}

func newProvider(dialect goose.Dialect, db *sql.DB, files fs.FS, options []goose.ProviderOption) (*goose.Provider, error) {
	return goose.NewProvider(dialect, db, files, append(options, goose.WithDisableGlobalRegistry(true))...)
}
