package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"strconv"
	"time"

	"github.com/muster-scim/muster/scim"
)

// LoginLink lets an operator in once: all of it but its secret.
type LoginLink struct {
	Operator string
	Role     Role
	Expires  time.Time
}

// Errors of signing in.
var (
	errNoLink = scim.Errorf(scim.Unauthenticated, "the login link is not valid: it was used before, or has expired; make another with `muster console login`")
	// ErrSignInReplayed is that of an assertion which is used again.
	ErrSignInReplayed = scim.Errorf(scim.Unauthenticated, "this sign-in was used before; begin again")
	errNoProviderMore = scim.Errorf(scim.Unauthenticated, "operators do not sign in with this provider any more")
)

// AddLoginLink makes a link whose secret has the SHA-256 hash.
func (t Tenant) AddLoginLink(ctx context.Context, l LoginLink, hash [32]byte) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		st := t.store.statement()
		st.add("INSERT INTO login_links (tenant_id, operator, role, hash, created_at, expires_at) VALUES (", arg{t.id}, ", ", arg{l.Operator}, ", ", arg{string(l.Role)}, ", ",
			arg{hash[:]}, ", ", arg{now()}, ", ", arg{l.Expires.UnixMilli()}, ")")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		return t.store.audit(ctx, tx, "", "", "", stateChanges(nil, map[string]any{"operator": l.Operator, "role": l.Role, "expires": l.Expires.UTC()}))
	})
}

// SpendLoginLink begins the session x of whoever the link is for, with a secret that
// has the hash. Of many that spend one link at the same time, on any server, one
// succeeds. It fails with Unauthenticated where there is no such link, and with
// Forbidden where the tenant is suspended: then the link is good still.
func (s *Store) SpendLoginLink(ctx context.Context, link [32]byte, x Session, hash [32]byte) (session Session, tenant string, err error) {
	err = s.writeAct(ctx, func(ctx context.Context, tx tx) error {
		var tenantID, expires int64
		session = x
		st := s.statement()
		st.add("DELETE FROM login_links WHERE hash = ", arg{link[:]}, " RETURNING tenant_id, operator, role, expires_at")
		err := tx.read(ctx, st, func(scan scan) error { return scan(&tenantID, &session.Operator, (*string)(&session.Role), &expires) })
		if err == nil && (tenantID == 0 || expires <= now()) {
			err = errNoLink
		}
		if err != nil {
			return err
		}
		session.DisplayName = session.Operator
		tenant, err = s.beginSession(ctx, tx, tenantID, nil, &session, hash)
		return err
	})
	return session, tenant, err
}

// Assertion is what a provider said of an operator. It is good once on all servers of
// the database.
type Assertion struct {
	ID      string
	Expires time.Time // when it could not be used any more anyway
}

// SignIn begins the session x of an operator whom a provider of the tenant has named,
// with a secret that has the hash. It fails with ErrSignInReplayed, and with
// Unauthenticated where the provider is gone.
func (t Tenant) SignIn(ctx context.Context, provider *SignInProvider, a Assertion, x Session, hash [32]byte) (session Session, err error) {
	spent := sha256.Sum256([]byte(strconv.FormatInt(provider.ID, 10) + " " + a.ID))
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		session = x
		session.Provider = provider.Name
		st := t.store.statement()
		st.add("INSERT INTO spent_assertions (hash, expires_at) VALUES (", arg{spent[:]}, ", ", arg{a.Expires.UnixMilli()}, ") ON CONFLICT (hash) DO NOTHING RETURNING id")
		fresh := false
		if err := tx.read(ctx, st, func(scan scan) error { fresh = true; var id int64; return scan(&id) }); err != nil {
			return err
		}
		if !fresh {
			return ErrSignInReplayed
		}
		_, err := t.store.beginSession(ctx, tx, t.id, provider.ID, &session, hash)
		return err
	})
	if errors.Is(err, errGone) {
		err = errNoProviderMore
	}
	return session, err
}

// beginSession writes the row of a session, and its event as an act of its operator.
func (s *Store) beginSession(ctx context.Context, tx tx, tenantID int64, provider any, x *Session, hash [32]byte) (tenant string, err error) {
	var state *string
	find := s.statement()
	find.add("SELECT name, state FROM tenants WHERE id = ", arg{tenantID})
	if err := tx.read(ctx, find, func(scan scan) error { return scan(&tenant, &state) }); err != nil {
		return "", err
	}
	if state != nil {
		return "", errSuspended
	}
	at := now()
	x.Created, x.SecretMade, x.Active = time.UnixMilli(at), time.UnixMilli(at), time.UnixMilli(at)
	st := s.statement()
	st.add("INSERT INTO sessions (tenant_id, provider_id, operator, display_name, role, hash, created_at, secret_at, active_at, expires_at, address, client) VALUES (", arg{tenantID}, ", ",
		arg{provider}, ", ", arg{x.Operator}, ", ", arg{x.DisplayName}, ", ", arg{string(x.Role)}, ", ", arg{hash[:]}, ", ", arg{at}, ", ", arg{at}, ", ", arg{at}, ", ",
		arg{x.Expires.UnixMilli()}, ", ", arg{textOrNull(x.Address)}, ", ", arg{textOrNull(x.Client)}, ") RETURNING id")
	if err := tx.read(ctx, st, func(scan scan) error { return scan(&x.ID) }); err != nil {
		return "", err
	}
	if a := actOf(ctx); a != nil {
		a.TenantID, a.Operator = tenantID, x.Operator
	}
	says := map[string]any{"operator": x.Operator, "role": x.Role, "expires": x.Expires.UTC()}
	if x.Provider != "" {
		says["provider"], says["subject"] = x.Provider, x.Subject
	}
	return tenant, s.audit(ctx, tx, "", sessionType, strconv.FormatInt(x.ID, 10), stateChanges(nil, says))
}
