package store

import (
	"context"
	"time"
)

// A chain is where the sealed events of a tenant begin and end.
type chain struct {
	sequence int64 // of the last event
	hash     []byte
	removed  int64 // of the last event that was removed; 0: none
	// removedHash is the hash of that one.
	removedHash []byte
}

// addChain is the query of a tenant's chain.
func addChain(st *statement, tenant int64) *statement {
	return st.add("SELECT sequence, hash, removed_sequence, removed_hash FROM audit_chains WHERE tenant_id = ", arg{tenant})
}

func (c *chain) scan(scan scan) error { return scan(&c.sequence, &c.hash, &c.removed, &c.removedHash) }

// lockChain reads the chain of a tenant, so that no other server changes it before
// this transaction is over. One that nobody began is empty.
func (s *Store) lockChain(ctx context.Context, tx tx, tenant int64) (c chain, err error) {
	st := s.statement()
	// The hash of no event is the empty one.
	st.add("INSERT INTO audit_chains (tenant_id, sequence, hash, removed_sequence) VALUES (", arg{tenant}, ", 0, ", arg{[]byte{}}, ", 0) ON CONFLICT (tenant_id) DO NOTHING")
	if err := tx.write(ctx, st); err != nil {
		return c, err
	}
	st = addChain(s.statement(), tenant)
	if s.dialect == postgres {
		st.add(" FOR UPDATE")
	}
	return c, tx.read(ctx, st, c.scan)
}

// How many events are sealed, checked or removed at once: few enough that writers who
// wait for it do not notice, and that what they hold fits into memory.
const (
	auditStep     = 250
	maxStepMemory = 8 << 20 // bytes of changes
)

// unsealedTenants are those that have events to seal.
const unsealedTenants = "SELECT DISTINCT tenant_id FROM (SELECT tenant_id FROM audit_events WHERE sequence IS NULL ORDER BY id LIMIT 2000) u"

// SealAudit gives the events that have none their place in the chain of their tenant
// and their hash, in the order of their ids, and returns how many it sealed: some at
// a time, so 0 means that no more are left. Any number of servers may do so at once.
func (s *Store) SealAudit(ctx context.Context) (sealed int, err error) {
	var tenants []int64
	err = s.read(ctx, s.statement().add(unsealedTenants), func(scan scan) error {
		var id int64
		err := scan(&id)
		tenants = append(tenants, id)
		return err
	})
	for _, tenant := range tenants {
		if err != nil || ctx.Err() != nil {
			break
		}
		var n int
		n, err = s.sealTenant(ctx, tenant)
		sealed += n
	}
	return sealed, err
}

// sealTenant seals the next events of one tenant.
func (s *Store) sealTenant(ctx context.Context, tenant int64) (sealed int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		c, err := s.lockChain(ctx, tx, tenant)
		if err != nil {
			return err
		}
		st := s.statement()
		st.add("SELECT "+eventColumns+" FROM audit_events WHERE tenant_id = ", arg{tenant}, " AND sequence IS NULL ORDER BY id LIMIT ", arg{auditStep})
		events, err := readEvents(ctx, tx, st)
		if err != nil || len(events) == 0 {
			return err
		}
		for i := range events {
			c.sequence++
			c.hash = events[i].hash(c.sequence, c.hash)
			st := s.statement()
			st.add("UPDATE audit_events SET sequence = ", arg{c.sequence}, ", hash = ", arg{c.hash}, " WHERE id = ", arg{events[i].ID})
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		sealed = len(events)
		st = s.statement()
		st.add("UPDATE audit_chains SET sequence = ", arg{c.sequence}, ", hash = ", arg{c.hash}, " WHERE tenant_id = ", arg{tenant})
		return tx.write(ctx, st)
	})
	return sealed, err
}

// readEvents reads events, up to as many as fit into memory well.
func readEvents(ctx context.Context, from reader, st *statement) (events []AuditEvent, err error) {
	size := 0
	err = from.read(ctx, st, func(scan scan) error {
		if size > maxStepMemory {
			return errEnough
		}
		var e AuditEvent
		err := e.scan(scan)
		size += len(e.Changes)
		events = append(events, e)
		return err
	})
	if err == errEnough { //nolint:errorlint // our own, unwrapped
		err = nil
	}
	return events, err
}

// TrimAudit removes the sealed events that are older than the retention, from the
// beginning of each chain, and returns how many: some at a time, so 0 means that no
// more are left. The hash of the last one removed is kept, so that what is left can
// still be verified. A retention of 0 removes nothing.
func (s *Store) TrimAudit(ctx context.Context, retention time.Duration) (removed int, err error) {
	if retention == 0 {
		return 0, nil
	}
	before := time.Now().Add(-retention)
	st := s.statement()
	st.add("SELECT tenant_id FROM audit_chains ORDER BY tenant_id")
	var tenants []int64
	err = s.read(ctx, st, func(scan scan) error {
		var id int64
		err := scan(&id)
		tenants = append(tenants, id)
		return err
	})
	for _, tenant := range tenants {
		if err != nil || ctx.Err() != nil {
			break
		}
		var n int
		n, err = s.trimTenant(ctx, tenant, before)
		removed += n
	}
	return removed, err
}

func (s *Store) trimTenant(ctx context.Context, tenant int64, before time.Time) (removed int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		removed = 0
		c, err := s.lockChain(ctx, tx, tenant)
		if err != nil {
			return err
		}
		last, hash := c.removed, c.removedHash
		old := true
		st := s.statement()
		st.add("SELECT sequence, occurred_at, hash FROM audit_events WHERE tenant_id = ", arg{tenant}, " AND sequence > ", arg{c.removed}, " ORDER BY sequence LIMIT ", arg{auditStep})
		err = tx.read(ctx, st, func(scan scan) error {
			var sequence, at int64
			var of []byte
			if err := scan(&sequence, &at, &of); err != nil {
				return err
			}
			if old = old && at < before.UnixMilli(); old {
				last, hash = sequence, of
				removed++
			}
			return nil
		})
		if err != nil || removed == 0 {
			return err
		}
		st = s.statement()
		st.add("DELETE FROM audit_events WHERE tenant_id = ", arg{tenant}, " AND sequence <= ", arg{last})
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		st = s.statement()
		st.add("UPDATE audit_chains SET removed_sequence = ", arg{last}, ", removed_hash = ", arg{hash}, " WHERE tenant_id = ", arg{tenant})
		return tx.write(ctx, st)
	})
	return removed, err
}
