package store

import (
	"context"
	"crypto/sha256"
	"testing"
)

// A credential of the first version is let in after the upgrade.
func TestMigrate_KeepsCredentials(t *testing.T) {
	onBothUnmigrated(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		p, err := s.migrations()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.UpTo(ctx, 20261124120001); err != nil {
			t.Fatal(err)
		}
		hash := sha256.Sum256([]byte("old"))
		for _, text := range []string{
			"INSERT INTO tenants (id, name, profile, catalog_version, created_at) VALUES (7, 'old', 'strict', 1, 0)",
			"INSERT INTO credentials (tenant_id, name, kind, scopes, secret_hash, created_at) VALUES (7, 'old', 'bearer', 'scim', $1, 0)",
		} {
			var args []any
			if text[12] == 'c' {
				args = []any{hash[:]}
			}
			if _, err := s.db.ExecContext(ctx, text, args...); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := s.Authenticate(ctx, hash)
		if err != nil || got.TenantName != "old" || got.Credential.Name != "old" || got.Tenant.Profile() != Strict {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
