// Command migrations compares the tables in ent/schema with the migrations in
// ent/migrate and writes a new migration for each database where they differ.
// It needs a PostgreSQL server: see test/postgres.
//
//	go run ./tools/migrations -name add_nickname
//	go run ./tools/migrations -fold    # prints the SQL function muster_fold
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"entgo.io/ent/schema/field"
	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver
	_ "modernc.org/sqlite"             // registers the driver

	entmigrate "github.com/muster-scim/muster/ent/migrate"
	"github.com/muster-scim/muster/scim"
	_ "github.com/muster-scim/muster/store" // registers muster_fold, which migrations call
	"github.com/muster-scim/muster/test/postgres"
)

func main() {
	name := flag.String("name", "change", "name of a new migration")
	fold := flag.Bool("fold", false, "print the SQL function muster_fold and do nothing else")
	flag.Parse()
	if *fold {
		fmt.Fprint(os.Stdout, foldFunction())
		return
	}
	if err := run(context.Background(), *name); err != nil {
		fmt.Fprintln(os.Stderr, "migrations:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, name string) error {
	if err := diff(ctx, name, dialect.SQLite, "sqlite", "file:dev?mode=memory&cache=shared&_pragma=foreign_keys(1)", "ent/migrate/sqlite"); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muster-migrations-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, stop, err := postgres.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	// On PostgreSQL text compares byte by byte, as it does on SQLite and in Go,
	// whatever the locale of the database.
	for _, table := range entmigrate.Tables {
		for _, c := range table.Columns {
			if c.Type == field.TypeString && c.SchemaType == nil {
				c.Collation = "C"
			}
		}
	}
	return diff(ctx, name, dialect.Postgres, "pgx", url, "ent/migrate/postgres")
}

// diff replays the migrations on an empty database and writes what is missing.
func diff(ctx context.Context, name, dialectName, driver, url, path string) error {
	dir, err := sqltool.NewGooseDir(path)
	if err != nil {
		return err
	}
	if sum, err := dir.Checksum(); err == nil {
		_ = migrate.WriteSumFile(dir, sum) // goose knows no such file, and git keeps the history
	}
	defer os.Remove(path + "/" + migrate.HashFileName)
	db, err := sql.Open(driver, url)
	if err != nil {
		return err
	}
	defer db.Close()
	m, err := schema.NewMigrate(entsql.OpenDB(dialectName, db), schema.WithDir(dir), schema.WithFormatter(sqltool.GooseFormatter),
		schema.WithMigrationMode(schema.ModeReplay), schema.WithDialect(dialectName), schema.WithErrNoPlan(true))
	if err != nil {
		return err
	}
	switch err := m.NamedDiff(ctx, name, entmigrate.Tables...); {
	case errors.Is(err, migrate.ErrNoPlan):
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	fmt.Fprintln(os.Stdout, "migrations: wrote a migration in", path)
	return nil
}

// foldFunction is scim.Fold for PostgreSQL, as a migration: a table of the runes
// that it changes, and a short way for ASCII, which is nearly everything.
func foldFunction() string {
	var from, to strings.Builder
	for r := rune(0x80); r <= 0x10ffff; r++ {
		if f := scim.FoldRune(r); f != r {
			from.WriteRune(r)
			to.WriteRune(f)
		}
	}
	const ascii = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return fmt.Sprintf(`-- +goose Up
-- What scim.Fold does in Go. Written by tools/migrations -fold.
-- +goose StatementBegin
CREATE FUNCTION muster_fold(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE WHEN octet_length($1) = char_length($1) THEN lower($1 COLLATE "C")
ELSE translate($1, '%s%s', '%s%s') END
$$;
-- +goose StatementEnd
`, ascii, from.String(), strings.ToLower(ascii), to.String())
}
