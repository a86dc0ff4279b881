package store

import (
	"context"
	"time"
)

// maxRemoved is how many changes are removed in one transaction.
const maxRemoved = 2000

// Retention is how much of the change log of each tenant is kept. 0: no such limit.
type Retention struct {
	Age   time.Duration
	Count int64
	// Bytes are those of what the rows hold, as far as the database tells them without
	// reading it; indexes come on top.
	Bytes int64
}

// RemoveChanges removes changes from the beginning of each tenant's log, until it is
// within each limit. It does so in small steps, and returns how many it removed. A
// reader whose position is gone is told so.
func (s *Store) RemoveChanges(ctx context.Context, keep Retention) (removed int64, err error) {
	if keep.Age <= 0 && keep.Count <= 0 && keep.Bytes <= 0 {
		return 0, nil
	}
	if err := s.SequenceChanges(ctx); err != nil {
		return 0, err
	}
	tenants := s.statement()
	tenants.add("SELECT id FROM tenants")
	var ids []int64
	err = s.read(ctx, tenants, func(scan scan) error {
		var id int64
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		var n int64
		n, err = s.removeChangesOf(ctx, id, keep)
		removed += n
	}
	return removed, err
}

func (s *Store) removeChangesOf(ctx context.Context, tenant int64, keep Retention) (removed int64, err error) {
	limit, err := s.removable(ctx, tenant, keep)
	if err == nil && keep.Bytes > 0 {
		var oversized int64
		oversized, err = s.oversized(ctx, tenant, keep.Bytes)
		limit = max(limit, oversized)
	}
	if err != nil || limit == 0 {
		return 0, err
	}
	column := s.sequenceColumn()
	for {
		var upTo, n int64
		err := s.write(ctx, func(ctx context.Context, tx tx) error {
			upTo, n = 0, 0
			find := s.statement()
			find.add("SELECT coalesce(max(p), 0), count(*) FROM (SELECT "+column+" AS p FROM changes WHERE tenant_id = ", arg{tenant},
				" AND "+column+" <= ", arg{limit}, " ORDER BY "+column+" LIMIT ", arg{maxRemoved}, ") AS part")
			if err := tx.read(ctx, find, func(scan scan) error { return scan(&upTo, &n) }); err != nil || n == 0 {
				return err
			}
			note := s.statement()
			// Another server may have come further since the rows were found.
			note.add("INSERT INTO change_logs (tenant_id, assigned, removed) VALUES (", arg{tenant}, ", 0, ", arg{upTo},
				") ON CONFLICT (tenant_id) DO UPDATE SET removed = CASE WHEN change_logs.removed > excluded.removed THEN change_logs.removed ELSE excluded.removed END")
			if err := tx.write(ctx, note); err != nil {
				return err
			}
			if err := tx.write(ctx, s.uncount(tenant, upTo)); err != nil {
				return err
			}
			remove := s.statement()
			remove.add("DELETE FROM changes WHERE tenant_id = ", arg{tenant}, " AND "+column+" <= ", arg{upTo})
			return tx.write(ctx, remove)
		})
		removed += n
		if err != nil || n < maxRemoved {
			return removed, err
		}
	}
}

// removable is the position up to which changes of a tenant are to be removed; 0:
// none. The times of the log need not be in its order, but nearly are.
func (s *Store) removable(ctx context.Context, tenant int64, keep Retention) (limit int64, err error) {
	column := s.sequenceColumn()
	ask := func(st *statement) {
		if err == nil {
			err = s.read(ctx, st, func(scan scan) error {
				var p int64
				err := scan(&p)
				limit = max(limit, p)
				return err
			})
		}
	}
	if keep.Age > 0 {
		// The first that is young enough stays, and all behind it.
		oldest := time.Now().Add(-keep.Age).UnixMilli()
		st := s.statement()
		st.add("SELECT coalesce((SELECT "+column+" FROM changes WHERE tenant_id = ", arg{tenant}, " AND "+column+" IS NOT NULL AND occurred_at >= ", arg{oldest},
			" ORDER BY "+column+" LIMIT 1) - 1, (SELECT max("+column+") FROM changes WHERE tenant_id = ", arg{tenant}, "), 0)")
		ask(st)
	}
	if keep.Count > 0 {
		st := s.statement()
		st.add("SELECT "+column+" FROM changes WHERE tenant_id = ", arg{tenant}, " AND "+column+" IS NOT NULL ORDER BY "+column+" DESC LIMIT 1 OFFSET ", arg{keep.Count})
		ask(st)
	}
	return limit, err
}
