package store

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Of many that spend one login link or one assertion, or replace one secret, at the
// same time, one succeeds.
func TestSignIn_Races(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		hash := func(text string) [32]byte { return sha256.Sum256([]byte(text)) }
		soon := time.Now().Add(time.Hour)
		mustDo(t, tenant.AddLoginLink(ctx, LoginLink{Operator: "grace", Role: RoleOperator, Expires: soon}, hash("link")))
		provider, err := tenant.SetSignInProvider(ctx, SignInProvider{Name: "idp", Kind: SAML}, 0)
		mustDo(t, err)
		const many = 16
		race := func(what string, try func(i byte) error, refused scim.Reason) {
			t.Helper()
			var wins atomic.Int32
			var group sync.WaitGroup
			for i := range many {
				group.Go(func() {
					if err := try(byte(i)); err == nil {
						wins.Add(1)
					} else if scim.ReasonOf(err) != refused {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			group.Wait()
			if wins.Load() != 1 {
				t.Errorf("%s: %d succeed", what, wins.Load())
			}
		}
		race("a link", func(i byte) error {
			_, _, err := s.SpendLoginLink(ctx, hash("link"), Session{Expires: soon}, hash("by link "+string(rune('a'+i))))
			return err
		}, scim.Unauthenticated)
		race("an assertion", func(i byte) error {
			_, err := tenant.SignIn(ctx, &provider, Assertion{ID: "x", Expires: soon}, Session{Operator: "ada", Role: RoleViewer, Expires: soon}, hash("by assertion "+string(rune('a'+i))))
			return err
		}, scim.Unauthenticated)

		_, err = tenant.SignIn(ctx, &provider, Assertion{ID: "y", Expires: soon}, Session{Operator: "ada", Role: RoleViewer, Expires: soon}, hash("present"))
		mustDo(t, err)
		p, err := s.AuthenticateSession(ctx, hash("present"), time.Hour)
		mustDo(t, err)
		race("a rotation", func(i byte) error {
			replaced, err := s.RotateSession(ctx, p.Session, hash("present"), hash("next "+string(rune('a'+i))), time.Minute)
			if err == nil && !replaced {
				err = errNoSession
			}
			return err
		}, scim.Unauthenticated)
		if p, err = s.AuthenticateSession(ctx, hash("present"), time.Hour); err != nil || !p.Session.Replaced || p.ID >= 0 {
			t.Errorf("the secret before: %+v, %v", p, err)
		}
		if _, err := s.Authenticate(ctx, hash("present")); scim.ReasonOf(err) != scim.Unauthenticated {
			t.Errorf("a session as a credential: %v", err)
		}
	})
}

// That an operator is there is noted at most once a minute.
func TestKeepSession(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		hash := sha256.Sum256([]byte("session"))
		mustDo(t, tenant.AddLoginLink(ctx, LoginLink{Operator: "grace", Role: RoleOperator, Expires: time.Now().Add(time.Hour)}, hash))
		began, _, err := s.SpendLoginLink(ctx, hash, Session{Expires: time.Now().Add(time.Hour)}, hash)
		mustDo(t, err)
		active, err := s.KeepSession(ctx, &began)
		if err != nil || !active.Equal(began.Active) {
			t.Errorf("at once: %v, %v", active, err)
		}
		ago := time.Now().Add(-activeStep - time.Second)
		run(t, s, "UPDATE sessions SET active_at = ", arg{ago.UnixMilli()})
		p, err := s.AuthenticateSession(ctx, hash, time.Hour)
		mustDo(t, err)
		if _, err := s.AuthenticateSession(ctx, hash, activeStep); scim.ReasonOf(err) != scim.Unauthenticated {
			t.Errorf("an idle one: %v", err)
		}
		active, err = s.KeepSession(ctx, p.Session)
		mustDo(t, err)
		if p, err = s.AuthenticateSession(ctx, hash, activeStep); err != nil || p.Session.Active.Sub(active).Abs() > time.Millisecond {
			t.Errorf("later: %+v, %v", p.Session, err)
		}
		mustDo(t, s.RemoveEndedSessions(ctx, time.Hour))
		if all, err := p.Tenant.Sessions(ctx, time.Hour); err != nil || len(all) != 1 {
			t.Errorf("the sessions are %v, %v", all, err)
		}
		run(t, s, "UPDATE sessions SET expires_at = 1")
		mustDo(t, s.RemoveEndedSessions(ctx, time.Hour))
		if all := rowsOf(t, s, tenant.id); all["sessions"] != 0 {
			t.Errorf("there are %v", all)
		}
	})
}
