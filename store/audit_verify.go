package store

import (
	"bytes"
	"context"
	"fmt"
)

// AuditHead is a place in a chain and its hash. Whoever keeps one elsewhere can prove
// later that nothing up to it was changed.
type AuditHead struct {
	Sequence int64
	Hash     []byte
}

// AuditVerification is what became of a chain when it was computed again.
type AuditVerification struct {
	// First is the sequence of the first event that is there: more than 1 where
	// old ones were removed. Head is the last one; its Sequence is 0 where there is none.
	First int64
	Head  AuditHead
	// Unsealed is how many events have no place in the chain yet.
	Unsealed int64
	// Problem is the first thing that is wrong, in words; empty: nothing is.
	Problem string
	// At is the sequence of the event that the problem is about.
	At int64
}

// VerifyAudit computes the chain of a tenant again, up to its first fault. known is
// a head of an earlier verification that must still be in the chain; nil: none.
func (s *Store) VerifyAudit(ctx context.Context, tenant int64, known *AuditHead) (AuditVerification, error) {
	v := verifying{store: s, tenant: tenant, known: known}
	if err := v.begin(ctx); err != nil {
		return v.out, err
	}
	for more := true; more && v.out.Problem == ""; {
		var err error
		if more, err = v.step(ctx); err == nil && !more && v.out.Problem == "" {
			more, err = v.end(ctx)
		}
		if err != nil {
			return v.out, err
		}
	}
	st := s.statement()
	st.add("SELECT count(*) FROM audit_events WHERE tenant_id = ", arg{tenant}, " AND sequence IS NULL")
	return v.out, s.read(ctx, st, func(scan scan) error { return scan(&v.out.Unsealed) })
}

// verifying is a verification under way.
type verifying struct {
	store  *Store
	tenant int64
	known  *AuditHead
	chain  chain // as it was at the beginning
	out    AuditVerification
}

func (v *verifying) failf(at int64, format string, args ...any) {
	v.out.At, v.out.Problem = at, fmt.Sprintf(format, args...)
}

// begin goes to where the chain begins.
func (v *verifying) begin(ctx context.Context) error {
	if err := v.store.read(ctx, addChain(v.store.statement(), v.tenant), v.chain.scan); err != nil {
		return err
	}
	v.out.First = v.chain.removed + 1
	v.out.Head = AuditHead{v.chain.removed, v.chain.removedHash}
	v.compare()
	if k := v.known; k != nil && v.out.Problem == "" && k.Sequence < v.chain.removed {
		v.failf(k.Sequence, "event %d, which the head names, is older than what is kept; use a later head", k.Sequence)
	}
	return nil
}

// compare holds the head that was kept elsewhere against the place just reached.
func (v *verifying) compare() {
	if k := v.known; k != nil && k.Sequence == v.out.Head.Sequence && !bytes.Equal(k.Hash, v.out.Head.Hash) {
		v.failf(k.Sequence, "event %d has another hash than the head that was kept: it, or one before it, was changed and the chain computed anew", k.Sequence)
	}
}

// step computes some more, and tells whether there may be more.
func (v *verifying) step(ctx context.Context) (more bool, err error) {
	st := v.store.statement()
	st.add("SELECT "+eventColumns+" FROM audit_events WHERE tenant_id = ", arg{v.tenant}, " AND sequence > ", arg{v.out.Head.Sequence}, " ORDER BY sequence LIMIT ", arg{auditStep})
	events, err := readEvents(ctx, v.store, st)
	if err != nil || len(events) == 0 {
		return false, err
	}
	if next := v.out.Head.Sequence + 1; events[0].Sequence > next {
		return v.skip(ctx, next, events[0].Sequence)
	}
	for i := range events {
		e := &events[i]
		next := v.out.Head.Sequence + 1
		if e.Sequence > next {
			v.failMissing(next, e.Sequence-1)
			return false, nil
		}
		if !bytes.Equal(e.hash(next, v.out.Head.Hash), e.Hash) {
			v.failf(next, "event %d is not what was sealed: it was changed, inserted or put in another place", next)
			return false, nil
		}
		v.out.Head = AuditHead{next, e.Hash}
		if v.compare(); v.out.Problem != "" {
			return false, nil
		}
	}
	return true, nil
}

// skip looks whether events that are not there were removed because of their age
// since the verification began.
func (v *verifying) skip(ctx context.Context, from, found int64) (more bool, err error) {
	var c chain
	if err := v.store.read(ctx, addChain(v.store.statement(), v.tenant), c.scan); err != nil {
		return false, err
	}
	if c.removed < from {
		v.failMissing(from, found-1)
		return false, nil
	}
	v.out.First, v.out.Head = c.removed+1, AuditHead{c.removed, c.removedHash}
	return true, nil
}

func (v *verifying) failMissing(from, to int64) {
	if from == to {
		v.failf(from, "event %d is missing", from)
		return
	}
	v.failf(from, "events %d to %d are missing", from, to)
}

// end looks whether the chain ends where it should. It may have grown meanwhile, and
// so much of it may have been removed because of its age that there is more to compute.
func (v *verifying) end(ctx context.Context) (more bool, err error) {
	var now chain
	if err := v.store.read(ctx, addChain(v.store.statement(), v.tenant), now.scan); err != nil {
		return false, err
	}
	if now.removed > v.out.Head.Sequence {
		v.out.First, v.out.Head = now.removed+1, AuditHead{now.removed, now.removedHash}
		return true, nil
	}
	early := int64(0)
	st := v.store.statement()
	st.add("SELECT count(*) FROM audit_events WHERE tenant_id = ", arg{v.tenant}, " AND sequence <= ", arg{v.chain.removed})
	if err := v.store.read(ctx, st, func(scan scan) error { return scan(&early) }); err != nil {
		return false, err
	}
	last := v.out.Head.Sequence
	switch k := v.known; {
	case early > 0:
		v.failf(v.chain.removed, "%d events stand before the beginning of the chain: they were inserted", early)
	case last < v.chain.sequence:
		v.failMissing(last+1, v.chain.sequence)
	case last > now.sequence:
		v.failf(now.sequence+1, "event %d stands after the end of the chain: it was inserted", now.sequence+1)
	case last == v.chain.sequence && last > v.chain.removed && !bytes.Equal(v.out.Head.Hash, v.chain.hash):
		v.failf(last, "event %d has another hash than the end of the chain: the chain was computed anew", last)
	case k != nil && k.Sequence > last:
		v.failf(k.Sequence, "event %d, which the head names, is missing: the chain ends at %d", k.Sequence, last)
	}
	return false, nil
}
