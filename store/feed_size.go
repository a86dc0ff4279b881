package store

import "context"

// How large a tenant's change log is, is counted along with its growth: bytes in its row
// of change_logs is the size of the changes up to the position measured that are still
// there. So each change is measured once when it is new, and once when it goes.

// maxMeasured is how many changes are measured in one statement.
const maxMeasured = 10_000

// changeSize is the size of a row: that of what it holds beside the detail is much the
// same for all.
func (s *Store) changeSize() string {
	if s.dialect == sqlite {
		return "coalesce(octet_length(detail), 0) + 150"
	}
	return "coalesce(pg_column_size(detail), 0) + 150"
}

// measured is what change_logs knows of a tenant's log.
type measured struct{ upTo, bytes, removed int64 }

func (s *Store) readMeasured(ctx context.Context, tenant int64) (m measured, err error) {
	st := s.statement()
	st.add("SELECT coalesce(measured, 0), coalesce(bytes, 0), removed FROM change_logs WHERE tenant_id = ", arg{tenant})
	err = s.read(ctx, st, func(scan scan) error { return scan(&m.upTo, &m.bytes, &m.removed) })
	return m, err
}

// measure counts what is new, and returns how large the log is.
func (s *Store) measure(ctx context.Context, tenant int64) (m measured, err error) {
	column := s.sequenceColumn()
	for {
		if m, err = s.readMeasured(ctx, tenant); err != nil {
			return m, err
		}
		var n, upTo, fresh int64
		st := s.statement()
		st.add("SELECT count(*), coalesce(max(p), 0), coalesce(sum(size), 0) FROM (SELECT "+column+" AS p, "+s.changeSize()+" AS size FROM changes WHERE tenant_id = ",
			arg{tenant}, " AND "+column+" > ", arg{m.upTo}, " ORDER BY "+column+" LIMIT ", arg{maxMeasured}, ") AS part")
		if err := s.read(ctx, st, func(scan scan) error { return scan(&n, &upTo, &fresh) }); err != nil || n == 0 {
			return m, err
		}
		// Where another server measured or removed meanwhile it is done again.
		keep := s.statement()
		keep.add("INSERT INTO change_logs (tenant_id, assigned, removed, measured, bytes) VALUES (", arg{tenant}, ", 0, 0, ", arg{upTo}, ", ", arg{fresh},
			") ON CONFLICT (tenant_id) DO UPDATE SET measured = excluded.measured, bytes = coalesce(change_logs.bytes, 0) + excluded.bytes"+
				" WHERE coalesce(change_logs.measured, 0) = ", arg{m.upTo}, " AND change_logs.removed = ", arg{m.removed})
		if err := s.write(ctx, func(ctx context.Context, tx tx) error { return tx.write(ctx, keep) }); err != nil {
			return m, err
		}
	}
}

// oversized is the position up to which changes of a tenant are to be removed so that
// the rest has no more bytes than most; 0: none.
func (s *Store) oversized(ctx context.Context, tenant, most int64) (limit int64, err error) {
	for {
		m, err := s.measure(ctx, tenant)
		if err != nil {
			return 0, err
		}
		limit, err := s.beginning(ctx, tenant, m.bytes-most)
		if err != nil {
			return 0, err
		}
		// Where another server removed meanwhile, what was measured is not what was walked.
		now, err := s.readMeasured(ctx, tenant)
		if err != nil || now.removed == m.removed {
			return limit, err
		}
	}
}

// beginning is the position up to which the log has at least so many bytes; 0: none.
func (s *Store) beginning(ctx context.Context, tenant, bytes int64) (limit int64, err error) {
	column := s.sequenceColumn()
	for bytes > 0 {
		n := 0
		st := s.statement()
		st.add("SELECT "+column+", "+s.changeSize()+" FROM changes WHERE tenant_id = ", arg{tenant}, " AND "+column+" > ", arg{limit},
			" ORDER BY "+column+" LIMIT ", arg{maxRemoved})
		err = s.read(ctx, st, func(scan scan) error {
			var p, size int64
			err := scan(&p, &size)
			if n++; bytes > 0 {
				limit, bytes = p, bytes-size
			}
			return err
		})
		if err != nil || n == 0 { // less is there than was counted: rows may shrink when they are moved
			break
		}
	}
	return limit, err
}

// uncount takes the changes up to a position, which are about to go, out of what was
// counted.
func (s *Store) uncount(tenant, upTo int64) *statement {
	column := s.sequenceColumn()
	st := s.statement()
	return st.add("UPDATE change_logs SET bytes = bytes - (SELECT coalesce(sum("+s.changeSize()+"), 0) FROM changes c WHERE c.tenant_id = ", arg{tenant},
		" AND c."+column+" <= ", arg{upTo}, " AND c."+column+" <= change_logs.measured) WHERE tenant_id = ", arg{tenant}, " AND measured IS NOT NULL")
}
