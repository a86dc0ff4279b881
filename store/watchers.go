package store

import (
	"context"
	"time"
)

// Watcher is a stream that follows the changes now.
type Watcher struct {
	Stream     string // random
	TenantID   int64
	Server     string
	Credential string // its name
	Address    string
	Client     string // the user agent
	Started    time.Time
	Position   int64     // all up to it was sent
	LastSent   time.Time // the zero time: nothing was
	Snapshot   bool      // it still gets its snapshot
}

// staleWatcher is how long a watcher is believed to be there that its server says
// nothing of.
const staleWatcher = 30 * time.Second

// SaveWatchers writes down the streams of a server as they are now, and forgets those
// that have ended, by their random names, and those of servers that are gone.
func (s *Store) SaveWatchers(ctx context.Context, all []Watcher, ended []string) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		at := now()
		for i := range all {
			w := &all[i]
			var sent any
			if !w.LastSent.IsZero() {
				sent = w.LastSent.UnixMilli()
			}
			st := s.statement()
			st.add("INSERT INTO watchers (tenant_id, stream, server, credential, address, client, started_at, position, last_sent_at, snapshot, updated_at) VALUES (",
				arg{w.TenantID}, ", ", arg{w.Stream}, ", ", arg{w.Server}, ", ", arg{clean(w.Credential)}, ", ", cleanOrNull(w.Address), ", ", cleanOrNull(w.Client), ", ",
				arg{w.Started.UnixMilli()}, ", ", arg{w.Position}, ", ", arg{sent}, ", ", arg{w.Snapshot}, ", ", arg{at}, ") ON CONFLICT (stream) DO UPDATE SET",
				" position = excluded.position, last_sent_at = excluded.last_sent_at, snapshot = excluded.snapshot, updated_at = excluded.updated_at")
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		st := s.statement()
		return tx.write(ctx, st.add("DELETE FROM watchers WHERE updated_at < ", arg{at - staleWatcher.Milliseconds()}, " OR stream", in(ended)))
	})
}

// Watchers are the streams of a tenant on all servers, the one that is most behind
// first.
func (s *Store) Watchers(ctx context.Context, tenant int64) (all []Watcher, err error) {
	st := s.statement()
	st.add("SELECT stream, server, credential, coalesce(address, ''), coalesce(client, ''), started_at, position, coalesce(last_sent_at, 0), snapshot FROM watchers WHERE tenant_id = ",
		arg{tenant}, " AND updated_at >= ", arg{now() - staleWatcher.Milliseconds()}, " ORDER BY position, id")
	err = s.read(ctx, st, func(scan scan) error {
		w := Watcher{TenantID: tenant}
		var started, sent int64
		if err := scan(&w.Stream, &w.Server, &w.Credential, &w.Address, &w.Client, &started, &w.Position, &sent, &w.Snapshot); err != nil {
			return err
		}
		if w.Started = time.UnixMilli(started); sent != 0 {
			w.LastSent = time.UnixMilli(sent)
		}
		all = append(all, w)
		return nil
	})
	return all, err
}
