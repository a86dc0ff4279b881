package store

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

func hashed(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// addBearer makes a bearer credential, whose secret is its name.
func addBearer(tb testing.TB, t Tenant, name string, scopes ...string) {
	tb.Helper()
	hash := hashed(name)
	mustDo(tb, t.AddCredential(context.Background(), Credential{Name: name, Kind: Bearer, Scopes: scopes}, hash[:]))
}

func TestCredentials_KeptAndFound(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		expires := time.Now().Add(time.Hour).Truncate(time.Millisecond)
		want := Credential{Name: "c", Kind: OAuth, Scopes: []string{"scim:User", "admin:read"}, Preview: true,
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Expires: expires, Lookup: "oauth:x",
			Settings: CredentialSettings{RedirectURIs: []string{"https://example.com/"}, JWKS: "{}"}}
		mustDo(t, tenant.AddCredential(ctx, want, nil))
		got, err := tenant.Credential(ctx, "c")
		if err != nil || got.Kind != OAuth || !slices.Equal(got.Scopes, want.Scopes) || !got.Preview || got.Networks[0] != want.Networks[0] ||
			!got.Expires.Equal(expires) || got.Lookup != "oauth:x" || got.Settings.JWKS != "{}" || got.HasSecret() {
			t.Errorf("found %+v, %v", got, err)
		}
		if _, err := tenant.Credential(ctx, "nobody"); !reasonIs(err, scim.NotFound) {
			t.Errorf("a credential that is not there: %v", err)
		}
		other := want
		other.Name = "d"
		if err := tenant.AddCredential(ctx, other, nil); !reasonIs(err, scim.Uniqueness) {
			t.Errorf("the same lookup: %v", err)
		}
		other.Lookup = "oauth:y"
		mustDo(t, tenant.AddCredential(ctx, other, nil))
		if _, err := tenant.UpdateCredential(ctx, "d", func(c *Credential) error { c.Lookup = "oauth:x"; return nil }); !reasonIs(err, scim.Uniqueness) {
			t.Errorf("changed to the same lookup: %v", err)
		}
	})
}

func TestUpdateCredential_HasEffectAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		addBearer(t, tenant, "c", "scim", "admin")
		prefix := netip.MustParsePrefix("192.0.2.0/24")
		changed, err := tenant.UpdateCredential(ctx, "c", func(c *Credential) error {
			c.Scopes, c.Preview, c.Networks, c.Expires = []string{"scim:read"}, true, []netip.Prefix{prefix}, time.Now().Add(time.Hour)
			return nil
		})
		if err != nil || changed.Created.IsZero() {
			t.Fatalf("%+v, %v", changed, err)
		}
		p, err := s.Authenticate(ctx, hashed("c"))
		if c := p.Credential; err != nil || !slices.Equal(c.Scopes, []string{"scim:read"}) || !c.Preview || c.Networks[0] != prefix || c.Expires.IsZero() {
			t.Errorf("the next request has %+v, %v", c, err)
		}
		mustDo(t, onlyErr(tenant.UpdateCredential(ctx, "c", func(c *Credential) error {
			c.Preview, c.Networks, c.Expires = false, nil, time.Time{}
			return nil
		})))
		if p, err := s.Authenticate(ctx, hashed("c")); err != nil || p.Credential.Preview || p.Credential.Networks != nil || !p.Credential.Expires.IsZero() {
			t.Errorf("then it has %+v, %v", p.Credential, err)
		}
		mustDo(t, onlyErr(tenant.UpdateCredential(ctx, "c", func(c *Credential) error { c.Expires = time.Now().Add(-time.Second); return nil })))
		if _, err := s.Authenticate(ctx, hashed("c")); !reasonIs(err, scim.Unauthenticated) {
			t.Errorf("an expired credential: %v", err)
		}
		if _, err := tenant.UpdateCredential(ctx, "nobody", func(*Credential) error { return nil }); !reasonIs(err, scim.NotFound) {
			t.Errorf("a credential that is not there: %v", err)
		}
	})
}

// Tokens that were issued for other scopes end with them, and a secret with the
// first key that replaces it.
func TestUpdateCredential_EndsTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		secret, issued := hashed("secret"), hashed("issued")
		mustDo(t, tenant.AddCredential(ctx, Credential{Name: "c", Kind: OAuth, Scopes: []string{"scim"}, Lookup: "oauth:x"}, secret[:]))
		run(t, s, "INSERT INTO tokens (credential_id, purpose, hash, scopes, created_at) SELECT id, 'access', ", arg{issued[:]}, ", 'scim', 0 FROM credentials WHERE name = 'c'")
		mustDo(t, onlyErr(tenant.UpdateCredential(ctx, "c", func(c *Credential) error { c.Preview = true; return nil })))
		if _, err := s.Authenticate(ctx, issued); err != nil {
			t.Errorf("its scopes are as they were: %v", err)
		}
		mustDo(t, onlyErr(tenant.UpdateCredential(ctx, "c", func(c *Credential) error { c.Scopes = []string{"scim:read"}; return nil })))
		if _, err := s.Authenticate(ctx, issued); !reasonIs(err, scim.Unauthenticated) {
			t.Errorf("a token of other scopes: %v", err)
		}
		if _, err := s.AuthenticateClient(ctx, "x", secret); err != nil {
			t.Errorf("the secret: %v", err)
		}
		mustDo(t, onlyErr(tenant.UpdateCredential(ctx, "c", func(c *Credential) error { c.Settings.JWKS = "{}"; return nil })))
		if _, err := s.AuthenticateClient(ctx, "x", secret); !reasonIs(err, scim.Unauthenticated) {
			t.Errorf("the secret of a client with keys: %v", err)
		}
	})
}

func TestRotateCredential_OldSecretsEndWithTheOverlap(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		addBearer(t, tenant, "first", "scim")
		valid := func(want bool, secrets ...string) {
			t.Helper()
			for _, secret := range secrets {
				if _, err := s.Authenticate(ctx, hashed(secret)); (err == nil) != want {
					t.Errorf("%s: %v, want valid: %t", secret, err, want)
				}
			}
		}
		rotate := func(secret string, overlap time.Duration) {
			t.Helper()
			c, err := tenant.RotateCredential(ctx, "first", hashed(secret), overlap)
			if err != nil || c.Name != "first" {
				t.Fatalf("%+v, %v", c, err)
			}
		}
		rotate("second", time.Hour)
		valid(true, "first", "second")
		rotate("third", time.Second) // which ends the first one sooner, too
		valid(true, "first", "second", "third")
		time.Sleep(1100 * time.Millisecond)
		valid(false, "first", "second")
		valid(true, "third")
		rotate("fourth", 0)
		valid(false, "third")
		valid(true, "fourth")
		n := 0
		mustDo(t, s.read(ctx, s.statement().add("SELECT count(*) FROM tokens k JOIN credentials c ON c.id = k.credential_id WHERE c.name = 'first'"), func(scan scan) error { return scan(&n) }))
		if n != 1 {
			t.Errorf("%d secrets are kept", n)
		}
		mustDo(t, tenant.AddCredential(ctx, Credential{Name: "cert", Kind: Certificate, Lookup: "certificate:x"}, nil))
		if _, err := tenant.RotateCredential(ctx, "cert", hashed("x"), 0); !reasonIs(err, scim.Conflict) {
			t.Errorf("a certificate: %v", err)
		}
		if _, err := tenant.RotateCredential(ctx, "nobody", hashed("x"), 0); !reasonIs(err, scim.NotFound) {
			t.Errorf("a credential that is not there: %v", err)
		}
	})
}

// A credential is found by the handle of its own tenant only.
func TestCredentials_OfAnotherTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		other, _ := inhabited(t, s, "other")
		addBearer(t, tenant, "mine", "scim")
		for _, err := range []error{
			onlyErr(other.Credential(ctx, "mine")), onlyErr(other.RotateCredential(ctx, "mine", hashed("x"), 0)), other.RevokeCredential(ctx, "mine"),
			onlyErr(other.UpdateCredential(ctx, "mine", func(*Credential) error { return nil })),
		} {
			if !reasonIs(err, scim.NotFound) {
				t.Errorf("another tenant's credential: %v", err)
			}
		}
		if _, err := s.Authenticate(ctx, hashed("mine")); err != nil {
			t.Error(err)
		}
	})
}
