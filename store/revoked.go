package store

import (
	"context"
	"time"
)

// RevokedToken is what is remembered of a secret that stands for nothing any more.
type RevokedToken struct {
	TenantID   int64
	Credential string // the name of the one that it was of
	Rotated    bool   // another took its place
	Revoked    time.Time
}

// rememberTokens remembers tokens that this transaction removes: a query selects the
// columns tenant_id, name, hash and purpose of them.
func (s *Store) rememberTokens(ctx context.Context, tx tx, rotated bool, condition ...any) error {
	st := s.statement()
	st.add("INSERT INTO revoked_tokens (tenant_id, credential, hash, rotated, revoked_at) SELECT c.tenant_id, c.name, k.hash, ", arg{rotated}, ", ", arg{now()},
		" FROM tokens k JOIN credentials c ON c.id = k.credential_id WHERE ").add(condition...).add(" ON CONFLICT (hash) DO NOTHING")
	return tx.write(ctx, st)
}

// FindRevokedToken finds a token that was revoked, by its hash; a zero one: none is
// known. It is for operators: who shows a token is told nothing of it.
func (s *Store) FindRevokedToken(ctx context.Context, hash [32]byte) (r RevokedToken, err error) {
	var at int64
	st := s.statement()
	st.add("SELECT tenant_id, credential, rotated, revoked_at FROM revoked_tokens WHERE hash = ", arg{hash[:]})
	err = s.read(ctx, st, func(scan scan) error { return scan(&r.TenantID, &r.Credential, &r.Rotated, &at) })
	if at != 0 {
		r.Revoked = time.UnixMilli(at)
	}
	return r, err
}

// RemoveRevokedTokens forgets those that were revoked before a moment.
func (s *Store) RemoveRevokedTokens(ctx context.Context, before time.Time) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("DELETE FROM revoked_tokens WHERE revoked_at < ", arg{before.UnixMilli()}))
	})
}
