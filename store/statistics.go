package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// AnalyzeGrown gathers the statistics of the tables that have more than doubled since it
// was last done. PostgreSQL does so by itself, but after a minute or two; until then, after
// a first load of many users, it plans as if there were none. SQLite is told by a migration.
func (s *Store) AnalyzeGrown(ctx context.Context) error {
	if s.dialect == sqlite {
		return nil
	}
	rows, err := s.pool.Query(ctx, "SELECT c.relname FROM pg_stat_user_tables u JOIN pg_class c ON c.oid = u.relid"+
		" WHERE u.schemaname = current_schema() AND pg_has_role(c.relowner, 'MEMBER')"+
		" AND u.n_mod_since_analyze > 1000 + greatest(c.reltuples, 0)")
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := s.pool.Exec(ctx, "ANALYZE (SKIP_LOCKED) "+pgx.Identifier{table}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}
