package store

import (
	"context"
	"testing"
	"time"
)

// Whichever server writes last, the latest use stays.
func TestRecordUses_LatestWins(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		ids := make(map[string]int64)
		for _, name := range []string{"a", "b", "gone"} {
			addBearer(t, tenant, name, "scim")
			p, err := s.Authenticate(ctx, hashed(name))
			mustDo(t, err)
			ids[name] = p.ID
		}
		mustDo(t, tenant.RevokeCredential(ctx, "gone"))
		now := time.Now().Truncate(time.Millisecond)
		latest, unknown := LastUse{now, "192.0.2.1", "client/1"}, LastUse{Time: now}
		mustDo(t, s.RecordUses(ctx, map[int64]LastUse{ids["a"]: latest, ids["gone"]: latest}))
		mustDo(t, s.RecordUses(ctx, map[int64]LastUse{ids["a"]: {now.Add(-time.Second), "192.0.2.2", "client/2"}, ids["b"]: unknown}))
		mustDo(t, s.RecordUses(ctx, nil))
		for name, want := range map[string]LastUse{"a": latest, "b": unknown} {
			got, err := tenant.Credential(ctx, name)
			if err != nil || !got.LastUsed.Time.Equal(want.Time) || got.LastUsed.Address != want.Address || got.LastUsed.Client != want.Client {
				t.Errorf("%s: %+v, %v; want %+v", name, got.LastUsed, err, want)
			}
		}
		// What an operator changes does not undo it.
		_, err := tenant.UpdateCredential(ctx, "a", func(c *Credential) error { c.Scopes = []string{"scim:read"}; return nil })
		mustDo(t, err)
		if got, err := tenant.Credential(ctx, "a"); err != nil || !got.LastUsed.Time.Equal(now) {
			t.Errorf("after an update: %+v, %v", got.LastUsed, err)
		}
	})
}
