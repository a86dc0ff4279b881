package store

import (
	"context"
	"strings"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Recording is a time in which the exchanges of one credential are kept.
type Recording struct {
	ID           int64
	TenantID     int64
	Credential   string // its name
	Started      time.Time
	Ends         time.Time
	MaxExchanges int
	Redacted     []string // names of attributes
	Exchanges    int      // how many it has; only of Tenant.Recordings and Tenant.Recording
}

// RecordedExchange is a request and its answer, as JSON that the server makes.
type RecordedExchange struct {
	ID              int64
	Time            time.Time
	Request, Answer string
}

// maxRecordings is the most recordings of a tenant.
const maxRecordings = 100

// StartRecording begins a recording of a credential, by the fields of r that are not
// the store's. It fails with NotFound where there is no such credential, and with
// Conflict where it is being recorded already, or the tenant has very many recordings.
func (t Tenant) StartRecording(ctx context.Context, r Recording) (Recording, error) {
	err := t.write(ctx, func(ctx context.Context, tx tx) error {
		if _, _, err := t.lockCredential(ctx, tx, r.Credential); err != nil {
			return err
		}
		var all, running int
		st := t.store.statement()
		st.add("SELECT COUNT(*), COUNT(CASE WHEN credential = ", arg{r.Credential}, " AND ends_at > ", arg{r.Started.UnixMilli()}, " THEN 1 END) FROM recordings WHERE tenant_id = ", arg{t.id})
		if err := tx.read(ctx, st, func(scan scan) error { return scan(&all, &running) }); err != nil {
			return err
		}
		switch {
		case running > 0:
			return scim.Errorf(scim.Conflict, "%s is being recorded already; stop that recording first", r.Credential)
		case all >= maxRecordings:
			return scim.Errorf(scim.Conflict, "the tenant has %d recordings; delete some first", all)
		}
		st = t.store.statement()
		st.add("INSERT INTO recordings (tenant_id, credential, started_at, ends_at, max_exchanges, redacted) VALUES (", arg{t.id}, ", ", arg{r.Credential}, ", ",
			arg{r.Started.UnixMilli()}, ", ", arg{r.Ends.UnixMilli()}, ", ", arg{r.MaxExchanges}, ", ", arg{textOrNull(strings.Join(r.Redacted, " "))}, ") RETURNING id")
		return tx.read(ctx, st, func(scan scan) error { return scan(&r.ID) })
	})
	r.TenantID = t.id
	return r, err
}

// recordingsQuery reads recordings by a condition.
func (s *Store) recordingsQuery(ctx context.Context, counted bool, condition ...any) (all []Recording, err error) {
	st := s.statement()
	st.add("SELECT r.id, r.tenant_id, r.credential, r.started_at, r.ends_at, r.max_exchanges, r.redacted, ")
	if counted {
		st.add("(SELECT COUNT(*) FROM recorded_exchanges x WHERE x.recording_id = r.id)")
	} else {
		st.add("0")
	}
	st.add(" FROM recordings r WHERE ").add(condition...).add(" ORDER BY r.id DESC")
	err = s.read(ctx, st, func(scan scan) error {
		var r Recording
		var started, ends int64
		var redacted *string
		if err := scan(&r.ID, &r.TenantID, &r.Credential, &started, &ends, &r.MaxExchanges, &redacted, &r.Exchanges); err != nil {
			return err
		}
		r.Started, r.Ends = time.UnixMilli(started), time.UnixMilli(ends)
		if redacted != nil {
			r.Redacted = strings.Fields(*redacted)
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// Recordings lists the recordings of the tenant, the newest first.
func (t Tenant) Recordings(ctx context.Context) ([]Recording, error) {
	return t.store.recordingsQuery(ctx, true, "r.tenant_id = ", arg{t.id})
}

// Recording finds one of the tenant's recordings. It fails with NotFound.
func (t Tenant) Recording(ctx context.Context, id int64) (Recording, error) {
	all, err := t.store.recordingsQuery(ctx, true, "r.tenant_id = ", arg{t.id}, " AND r.id = ", arg{id})
	if err == nil && len(all) == 0 {
		err = noRecording(id)
	}
	if err != nil {
		return Recording{}, err
	}
	return all[0], nil
}

func noRecording(id int64) error { return scim.Errorf(scim.NotFound, "there is no recording %d", id) }

// RunningRecordings are those of all tenants that have not ended.
func (s *Store) RunningRecordings(ctx context.Context) ([]Recording, error) {
	return s.recordingsQuery(ctx, false, "r.ends_at > ", arg{now()})
}

// StopRecording ends a recording, if it has not ended. It fails with NotFound.
func (t Tenant) StopRecording(ctx context.Context, id int64) (Recording, error) {
	err := t.write(ctx, func(ctx context.Context, tx tx) error {
		at := now()
		st := t.store.statement()
		return tx.write(ctx, st.add("UPDATE recordings SET ends_at = ", arg{at}, " WHERE tenant_id = ", arg{t.id}, " AND id = ", arg{id}, " AND ends_at > ", arg{at}))
	})
	if err != nil {
		return Recording{}, err
	}
	return t.Recording(ctx, id)
}

// DeleteRecording removes a recording and its exchanges. It fails with NotFound.
func (t Tenant) DeleteRecording(ctx context.Context, id int64) error {
	if _, err := t.Recording(ctx, id); err != nil {
		return err
	}
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		st := t.store.statement()
		return tx.write(ctx, st.add("DELETE FROM recordings WHERE tenant_id = ", arg{t.id}, " AND id = ", arg{id})) // and its exchanges
	})
}

// RecordExchange adds an exchange to a recording, unless that has ended or is gone. One
// that becomes full ends.
func (s *Store) RecordExchange(ctx context.Context, recording int64, e RecordedExchange) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		var most, has int
		st := s.statement()
		st.add("SELECT max_exchanges FROM recordings WHERE id = ", arg{recording}, " AND ends_at > ", arg{e.Time.UnixMilli()})
		if s.dialect == postgres {
			st.add(" FOR NO KEY UPDATE")
		}
		if err := tx.read(ctx, st, func(scan scan) error { return scan(&most) }); err != nil || most == 0 {
			return err
		}
		st = s.statement()
		st.add("SELECT COUNT(*) FROM recorded_exchanges WHERE recording_id = ", arg{recording})
		if err := tx.read(ctx, st, func(scan scan) error { return scan(&has) }); err != nil {
			return err
		}
		if has < most {
			st = s.statement()
			st.add("INSERT INTO recorded_exchanges (recording_id, occurred_at, request, answer) VALUES (", arg{recording}, ", ", arg{e.Time.UnixMilli()}, ", ", arg{e.Request}, ", ", arg{e.Answer}, ")")
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		if has+1 < most {
			return nil
		}
		return s.endRecording(ctx, tx, recording)
	})
}

func (s *Store) endRecording(ctx context.Context, tx tx, id int64) error {
	at := now()
	return tx.write(ctx, s.statement().add("UPDATE recordings SET ends_at = ", arg{at}, " WHERE id = ", arg{id}, " AND ends_at > ", arg{at}))
}

// EndRecording ends a recording that is full.
func (s *Store) EndRecording(ctx context.Context, id int64) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error { return s.endRecording(ctx, tx, id) })
}

// RecordedExchanges reads at most so many exchanges of a recording, in their order,
// after the one with the id after (0: from the first).
func (t Tenant) RecordedExchanges(ctx context.Context, recording, after int64, most int) (all []RecordedExchange, err error) {
	st := t.store.statement()
	st.add("SELECT x.id, x.occurred_at, x.request, x.answer FROM recorded_exchanges x JOIN recordings r ON r.id = x.recording_id WHERE r.tenant_id = ", arg{t.id},
		" AND x.recording_id = ", arg{recording}, " AND x.id > ", arg{after}, " ORDER BY x.id LIMIT ", arg{most})
	err = t.store.read(ctx, st, func(scan scan) error {
		var e RecordedExchange
		var at int64
		if err := scan(&e.ID, &at, &e.Request, &e.Answer); err != nil {
			return err
		}
		e.Time = time.UnixMilli(at)
		all = append(all, e)
		return nil
	})
	return all, err
}

// RemoveRecordings removes those of all tenants that ended before a moment.
func (s *Store) RemoveRecordings(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("DELETE FROM recordings WHERE ends_at < ", arg{before.UnixMilli()}))
	})
}
