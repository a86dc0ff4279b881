package store

import (
	"context"
	"strings"
	"time"
)

// signingPrefix begins the names of the server keys that sign tokens of events.
const signingPrefix = "event-key:"

// SigningKey is a private key that signs tokens of events. It stands in the database as
// it is, since it must be used.
type SigningKey struct {
	ID      string
	Value   []byte
	Created time.Time
}

// SigningKeys reads them, the newest first.
func (s *Store) SigningKeys(ctx context.Context) (keys []SigningKey, err error) {
	st := s.statement()
	st.add("SELECT name, value, created_at FROM server_keys WHERE name LIKE '" + signingPrefix + "%' ORDER BY created_at DESC, id DESC")
	err = s.read(ctx, st, func(scan scan) error {
		var k SigningKey
		var created int64
		err := scan(&k.ID, &k.Value, &created)
		k.ID, k.Created = strings.TrimPrefix(k.ID, signingPrefix), time.UnixMilli(created)
		keys = append(keys, k)
		return err
	})
	return keys, err
}

// AddSigningKey adds a key, in place of all others or beside them.
func (s *Store) AddSigningKey(ctx context.Context, id string, value []byte, alone bool) error {
	return s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		if alone {
			if err := tx.write(ctx, s.statement().add("DELETE FROM server_keys WHERE name LIKE '"+signingPrefix+"%'")); err != nil {
				return err
			}
		}
		st := s.statement()
		st.add("INSERT INTO server_keys (name, value, created_at) VALUES (", arg{signingPrefix + id}, ", ", arg{value}, ", ", arg{now()}, ")")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return s.audit(ctx, tx, "", "", "", stateChanges(nil, map[string]any{"key": id, "alone": alone}))
	})
}

// RemoveSigningKeys removes those that were made before the newest of the keys which were
// made before a moment: that one has signed since.
func (s *Store) RemoveSigningKeys(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("DELETE FROM server_keys WHERE name LIKE '"+signingPrefix+"%' AND created_at < (SELECT max(created_at) FROM server_keys"+
			" WHERE name LIKE '"+signingPrefix+"%' AND created_at < ", arg{before.UnixMilli()}, ")"))
	})
}
