package store

import (
	"context"
	"crypto/rand"
)

// Key is the random key of 32 bytes that all servers of this database share under a
// name. The first who asks makes it.
func (s *Store) Key(ctx context.Context, name string) ([]byte, error) {
	return s.MadeKey(ctx, name, func() ([]byte, error) {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // it never fails
		return fresh, nil
	})
}

// MadeKey is the same of a key of another kind, which the first who asks makes by a
// function. It stands in the database as it is, since it must be used.
func (s *Store) MadeKey(ctx context.Context, name string, newKey func() ([]byte, error)) (key []byte, err error) {
	find := s.statement()
	find.add("SELECT value FROM server_keys WHERE name = ", arg{name})
	found := func(scan scan) error { return scan(&key) }
	if err := s.read(ctx, find, found); err != nil || key != nil {
		return key, err
	}
	fresh, err := newKey()
	if err != nil {
		return nil, err
	}
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		st := s.statement()
		st.add("INSERT INTO server_keys (name, value, created_at) VALUES (", arg{name}, ", ", arg{fresh}, ", ", arg{now()}, ") ON CONFLICT (name) DO NOTHING")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return tx.read(ctx, find, found)
	})
	return key, err
}
