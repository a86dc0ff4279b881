package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

func hashOf(text string) [32]byte { return sha256.Sum256([]byte(text)) }

// newClient makes an OAuth client with the secret "secret of NAME".
func newClient(tb testing.TB, t Tenant, name string) Principal {
	tb.Helper()
	hash := hashOf("secret of " + name)
	c := Credential{Name: name, Kind: OAuth, Scopes: []string{"scim"}, Lookup: OAuthLookup(name)}
	if err := t.AddCredential(context.Background(), c, hash[:]); err != nil {
		tb.Fatal(err)
	}
	p, err := t.store.OAuthClient(context.Background(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// issue keeps a token named by its text.
func issue(tb testing.TB, s *Store, p Principal, purpose Purpose, text, family string) {
	tb.Helper()
	err := s.IssueToken(context.Background(), p.ID, Token{Purpose: purpose, Hash: hashOf(text), Scopes: []string{"scim:read"}, Expires: time.Now().Add(time.Hour), Family: family})
	if err != nil {
		tb.Fatal(err)
	}
}

// exchange spends a token for an access and a refresh token of those names.
func exchange(s *Store, p Principal, purpose Purpose, text, access, refresh string) error {
	return s.ExchangeToken(context.Background(), p.ID, purpose, hashOf(text), func(Token) ([]Token, error) {
		expires := time.Now().Add(time.Hour)
		return []Token{
			{Purpose: AccessToken, Hash: hashOf(access), Scopes: []string{"scim:read"}, Expires: expires},
			{Purpose: RefreshToken, Hash: hashOf(refresh), Scopes: []string{"scim:read"}, Expires: expires},
		}, nil
	})
}

func lets(s *Store, text string) bool {
	_, err := s.Authenticate(context.Background(), hashOf(text))
	return err == nil
}

func TestAuthenticate_OfOAuthOnlyAccessTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		p := newClient(t, newTenant(t, s), "client")
		for _, purpose := range []Purpose{AccessToken, RefreshToken, AuthorizationCode} {
			issue(t, s, p, purpose, string(purpose), "family")
		}
		if err := s.RememberAssertion(context.Background(), p.ID, hashOf("assertion"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"secret of client", "refresh", "code", "assertion", "client"} {
			if lets(s, text) {
				t.Errorf("%q is let in", text)
			}
		}
		got, err := s.Authenticate(context.Background(), hashOf("access"))
		if err != nil || got.ID != p.ID || got.Credential.ClientID() != "client" || !slices.Equal(got.Granted, []string{"scim:read"}) || !slices.Equal(got.Credential.Scopes, []string{"scim"}) {
			t.Errorf("the access token: %+v, %v", got, err)
		}
		// An access token that belongs to a credential of another kind is none.
		run(t, s, "UPDATE credentials SET kind = 'bearer' WHERE id = ", arg{p.ID})
		if lets(s, "access") {
			t.Error("an access token of a bearer credential is let in")
		}
	})
}

func TestAuthenticateClient(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		p := newClient(t, tenant, "client")
		newClient(t, tenant, "other")
		issue(t, s, p, AccessToken, "access", "")
		if got, err := s.AuthenticateClient(ctx, "client", hashOf("secret of client")); err != nil || got.ID != p.ID {
			t.Errorf("its secret: %+v, %v", got, err)
		}
		for id, secret := range map[string]string{"other": "secret of client", "client": "access", "": "secret of client", "test": t.Name()} {
			if _, err := s.AuthenticateClient(ctx, id, hashOf(secret)); scim.ReasonOf(err) != scim.Unauthenticated {
				t.Errorf("%s with %q: %v", id, secret, err)
			}
		}
		run(t, s, "UPDATE credentials SET expires_at = 1 WHERE id = ", arg{p.ID})
		if _, err := s.AuthenticateClient(ctx, "client", hashOf("secret of client")); !errors.Is(err, errExpired) {
			t.Errorf("an expired client: %v", err)
		}
		if lets(s, "access") {
			t.Error("the token of an expired client is let in")
		}
	})
}

func TestExchangeToken_ReuseEndsTheFamily(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		p := newClient(t, newTenant(t, s), "client")
		issue(t, s, p, AuthorizationCode, "code", "F")
		issue(t, s, p, AccessToken, "another", "G")
		if err := exchange(s, p, AuthorizationCode, "code", "a1", "r1"); err != nil {
			t.Fatal(err)
		}
		if err := exchange(s, p, RefreshToken, "r1", "a2", "r2"); err != nil {
			t.Fatal(err)
		}
		if !lets(s, "a1") || !lets(s, "a2") {
			t.Fatal("an access token is not let in")
		}
		if err := exchange(s, p, RefreshToken, "r1", "a3", "r3"); !errors.Is(err, ErrSpent) {
			t.Errorf("a spent refresh token: %v", err)
		}
		for _, text := range []string{"a1", "a2", "a3"} {
			if lets(s, text) {
				t.Errorf("%s is let in after the reuse", text)
			}
		}
		if err := exchange(s, p, RefreshToken, "r2", "a4", "r4"); !errors.Is(err, ErrNoToken) {
			t.Errorf("a refresh token of a family that is gone: %v", err)
		}
		if !lets(s, "another") {
			t.Error("another family is gone too")
		}
	})
}

func TestExchangeToken_NothingIsSpentWhereItFails(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		p, other := newClient(t, tenant, "client"), newClient(t, tenant, "other")
		issue(t, s, p, AuthorizationCode, "code", "F")
		wrong := errors.New("wrong verifier")
		if err := s.ExchangeToken(ctx, p.ID, AuthorizationCode, hashOf("code"), func(Token) ([]Token, error) { return nil, wrong }); !errors.Is(err, wrong) {
			t.Errorf("a failing exchange: %v", err)
		}
		for name, err := range map[string]error{
			"another client's": exchange(s, other, AuthorizationCode, "code", "a", "r"),
			"another purpose":  exchange(s, p, RefreshToken, "code", "a", "r"),
			"unknown":          exchange(s, p, AuthorizationCode, "nothing", "a", "r"),
		} {
			if !errors.Is(err, ErrNoToken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := exchange(s, p, AuthorizationCode, "code", "a1", "r1"); err != nil {
			t.Errorf("the code was spent: %v", err)
		}
		if err := s.IssueToken(ctx, p.ID, Token{Purpose: AuthorizationCode, Hash: hashOf("old"), Expires: time.Now().Add(-time.Second)}); err != nil {
			t.Fatal(err)
		}
		if err := exchange(s, p, AuthorizationCode, "old", "a", "r"); !errors.Is(err, ErrNoToken) {
			t.Errorf("an expired code: %v", err)
		}
	})
}

func TestExchangeToken_OneOfManySucceeds(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		p := newClient(t, newTenant(t, s), "client")
		issue(t, s, p, RefreshToken, "refresh", "F")
		outcomes := make([]error, 8)
		var all sync.WaitGroup
		for i := range outcomes {
			all.Go(func() {
				outcomes[i] = exchange(s, p, RefreshToken, "refresh", fmt.Sprint("a", i), fmt.Sprint("r", i))
			})
		}
		all.Wait()
		succeeded := 0
		for _, err := range outcomes {
			switch {
			case err == nil:
				succeeded++
			case !errors.Is(err, ErrSpent) && !errors.Is(err, ErrNoToken):
				t.Error(err)
			}
		}
		if succeeded != 1 {
			t.Errorf("%d exchanges succeeded", succeeded)
		}
	})
}

func TestRevokeToken(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		p, other := newClient(t, tenant, "client"), newClient(t, tenant, "other")
		for _, text := range []string{"a1", "a2"} {
			issue(t, s, p, AccessToken, text, "F")
		}
		issue(t, s, p, RefreshToken, "r", "F")
		issue(t, s, p, AccessToken, "alone", "")
		revoke := func(p Principal, text string) {
			t.Helper()
			if err := s.RevokeToken(ctx, p.ID, hashOf(text)); err != nil {
				t.Fatal(err)
			}
		}
		revoke(other, "a1")
		revoke(other, "r")
		revoke(p, "unknown")
		revoke(p, "secret of client")
		if !lets(s, "a1") || !lets(s, "a2") || !lets(s, "alone") {
			t.Fatal("a token is gone that nobody revoked")
		}
		if _, err := s.AuthenticateClient(ctx, "client", hashOf("secret of client")); err != nil {
			t.Errorf("the secret of the client is revoked: %v", err)
		}
		revoke(p, "a1")
		if lets(s, "a1") || !lets(s, "a2") {
			t.Error("to revoke an access token revokes that one")
		}
		revoke(p, "r")
		if lets(s, "a2") || !lets(s, "alone") {
			t.Error("to revoke a refresh token revokes its family")
		}
	})
}

func TestRevokeCredential_EndsItsTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		p := newClient(t, tenant, "client")
		issue(t, s, p, AccessToken, "access", "F")
		issue(t, s, p, RefreshToken, "refresh", "F")
		if err := tenant.RevokeCredential(ctx, "client"); err != nil {
			t.Fatal(err)
		}
		if lets(s, "access") {
			t.Error("the access token is let in")
		}
		if err := exchange(s, p, RefreshToken, "refresh", "a", "r"); !errors.Is(err, ErrNoToken) {
			t.Errorf("the refresh token: %v", err)
		}
		// One that is being issued at this moment stands for nobody.
		_ = s.IssueToken(ctx, p.ID, Token{Purpose: AccessToken, Hash: hashOf("late"), Expires: time.Now().Add(time.Hour)})
		if lets(s, "late") {
			t.Error("a token of a revoked client is let in")
		}
	})
}

func TestRememberAssertion_OnceOnly(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx, expires := context.Background(), time.Now().Add(time.Hour)
		p := newClient(t, newTenant(t, s), "client")
		if err := s.RememberAssertion(ctx, p.ID, hashOf("one"), expires); err != nil {
			t.Fatal(err)
		}
		if err := s.RememberAssertion(ctx, p.ID, hashOf("one"), expires); !errors.Is(err, ErrReplayed) {
			t.Errorf("again: %v", err)
		}
		if err := s.RememberAssertion(ctx, p.ID, hashOf("two"), expires); err != nil {
			t.Errorf("another: %v", err)
		}
	})
}

func TestRemoveExpiredTokens_InSteps(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		p := newClient(t, newTenant(t, s), "client")
		for i := range expiredStep + 1 {
			if err := s.IssueToken(ctx, p.ID, Token{Purpose: AccessToken, Hash: hashOf(fmt.Sprint(i)), Expires: time.Now().Add(-time.Minute)}); err != nil {
				t.Fatal(err)
			}
		}
		issue(t, s, p, AccessToken, "fresh", "")
		for _, want := range []int{expiredStep, 1, 0} {
			if n, err := s.RemoveExpiredTokens(ctx); n != want || err != nil {
				t.Fatalf("removed %d, want %d, %v", n, want, err)
			}
		}
		left := 0
		if err := s.read(ctx, s.statement().add("SELECT count(*) FROM tokens WHERE purpose = 'access'"), func(scan scan) error { return scan(&left) }); err != nil || left != 1 || !lets(s, "fresh") {
			t.Errorf("%d access tokens are left, %v", left, err)
		}
	})
}

func TestCredential_AllowsAddress(t *testing.T) {
	at := netip.MustParseAddr("192.0.2.1")
	c := Credential{}
	if !c.AllowsAddress(at) {
		t.Error("without networks")
	}
	c.Networks = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	if c.AllowsAddress(at) || c.AllowsAddress(netip.Addr{}) {
		t.Error("from elsewhere")
	}
	c.Networks = append(c.Networks, netip.MustParsePrefix("192.0.2.0/24"))
	if !c.AllowsAddress(at) {
		t.Error("from within")
	}
}
