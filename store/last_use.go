package store

import (
	"context"
	"maps"
	"slices"
)

// RecordUses writes down when credentials, by their ids, were last used. A later use
// that is known already stays; a credential that is gone is passed over.
func (s *Store) RecordUses(ctx context.Context, uses map[int64]LastUse) error {
	if len(uses) == 0 {
		return nil
	}
	ids := slices.Sorted(maps.Keys(uses)) // in one order everywhere, so that two servers do not wait for each other
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		for _, id := range ids {
			use, at := uses[id], uses[id].Time.UnixMilli()
			st := s.statement()
			st.add("UPDATE credentials SET last_used_at = ", arg{at}, ", last_used_from = ", arg{textOrNull(use.Address)}, ", last_used_by = ", arg{textOrNull(use.Client)},
				" WHERE id = ", arg{id}, " AND (last_used_at IS NULL OR last_used_at < ", arg{at}, ")")
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}
