package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/store"
)

// openStore opens the database, with its folder where it is the embedded one.
func openStore(ctx context.Context, c config) (*store.Store, error) {
	if path, embedded := strings.CutPrefix(c.databaseURL(), "sqlite://"); embedded {
		path, _, _ = strings.Cut(path, "?")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of the database: %w", err)
		}
	}
	s, err := store.Open(ctx, c.databaseURL(), store.Limits(c.Sizes))
	if err != nil {
		return nil, fmt.Errorf("opening the database %s: %w", redact(c.databaseURL()), err)
	}
	return s, nil
}

func migrateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database's schema up to date",
		Long: `Bring the schema of the database to the version that this program knows.
Several may run at once; each migration is applied one time.

` + "`muster serve`" + ` does this by itself for the embedded database. For PostgreSQL
run it before the first start and before each new version; take a backup first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := loadConfig(cmd.Flags())
			if err != nil {
				return err
			}
			s, err := openStore(cmd.Context(), c)
			if err != nil {
				return err
			}
			defer s.Close()
			n, err := s.Migrate(cmd.Context())
			if err != nil {
				return fmt.Errorf("migrating %s: %w", redact(c.databaseURL()), err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d migrations applied; the schema is up to date\n", redact(c.databaseURL()), n)
			return err
		},
	}
	addSettings(cmd, "data", "database")
	return cmd
}
