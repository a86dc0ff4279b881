package store

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Role is what an operator may do.
type Role string

// The roles of operators, each with what the ones before it may.
const (
	RoleViewer        Role = "viewer"
	RoleOperator      Role = "operator"
	RoleAdministrator Role = "administrator"
)

// Session is the time in which an operator is signed in to the console: all of it but
// its secret, which is nowhere.
type Session struct {
	ID          int64
	Tenant      string // that the operator belongs to; only of AuthenticateSession
	Operator    string // what the audit log calls the operator
	DisplayName string
	Subject     string // what the provider itself calls the operator; only when it begins
	Role        Role
	Provider    string // its name; empty: it began with a login link
	Address     string // where it began
	Client      string // the user agent
	Created     time.Time
	SecretMade  time.Time // the present one
	Active      time.Time // when its operator was last there, to about a minute
	Expires     time.Time
	// Replaced: the secret that was shown is not the present one, but the one before it.
	Replaced bool
}

// errNoSession says nothing of why: whether one has ended, or never was, nobody can
// tell.
var errNoSession = scim.Errorf(scim.Unauthenticated, "the session is not valid, or has ended; sign in again")

// sessionColumns are what scanSession reads, of x and p.
const sessionColumns = "x.id, x.operator, x.display_name, x.role, p.name, x.address, x.client, x.created_at, x.secret_at, x.active_at, x.expires_at"

// sessionsFrom is where they stand.
const sessionsFrom = " FROM sessions x LEFT JOIN sign_in_providers p ON p.id = x.provider_id"

func (x *Session) scan(scan scan, more ...any) error {
	var provider, address, client *string
	var created, secret, active, expires int64
	err := scan(append([]any{&x.ID, &x.Operator, &x.DisplayName, (*string)(&x.Role), &provider, &address, &client, &created, &secret, &active, &expires}, more...)...)
	for text, from := range map[*string]*string{&x.Provider: provider, &x.Address: address, &x.Client: client} {
		if from != nil {
			*text = *from
		}
	}
	x.Created, x.SecretMade, x.Active, x.Expires = time.UnixMilli(created), time.UnixMilli(secret), time.UnixMilli(active), time.UnixMilli(expires)
	return err
}

// AuthenticateSession finds the session whose secret has the SHA-256 hash, in the
// tenant that its operator belongs to. It has ended where nobody was there for the time
// idle. It fails with Unauthenticated where there is none, and with Forbidden where the
// tenant is suspended. The principal has the number of the session, below zero, so that
// it is taken for no credential's.
func (s *Store) AuthenticateSession(ctx context.Context, hash [32]byte, idle time.Duration) (Principal, error) {
	var p Principal
	var x Session
	var profile string
	var state, settings *string
	at := now()
	st := s.statement()
	st.add("SELECT "+sessionColumns+", x.hash <> ", arg{hash[:]}, ", t.id, t.name, t.profile, t.catalog_version, t.state, t.settings"+sessionsFrom+
		" JOIN tenants t ON t.id = x.tenant_id WHERE (x.hash = ", arg{hash[:]}, " OR x.previous_hash = ", arg{hash[:]}, " AND x.previous_until > ", arg{at}, ")"+
		" AND x.expires_at > ", arg{at}, " AND x.active_at > ", arg{at - idle.Milliseconds()})
	err := s.read(context.WithoutCancel(ctx), st, func(scan scan) error {
		p.Tenant.store = s
		return x.scan(scan, &x.Replaced, &p.Tenant.id, &p.TenantName, &profile, &p.Tenant.version, &state, &settings)
	})
	switch {
	case err != nil:
		return Principal{}, err
	case p.Tenant.store == nil:
		return Principal{}, errNoSession
	}
	x.Tenant = p.TenantName
	p.ID, p.Session, p.Tenant.profile = -x.ID, &x, Profile(profile)
	if settings != nil {
		if err := json.Unmarshal([]byte(*settings), &p.Tenant.settings); err != nil {
			return Principal{}, err
		}
	}
	if state != nil {
		return p, errSuspended
	}
	p.Tenant.catalog, err = s.catalogs.of(ctx, s, p.Tenant.id, p.Tenant.version, p.Tenant.profile)
	return p, err
}

// activeStep is how far apart the moments are at which it is noted that an operator is
// there.
const activeStep = time.Minute

// KeepSession notes that the operator of a session is there, if that was not noted of
// late, and tells since when it stands.
func (s *Store) KeepSession(ctx context.Context, x *Session) (active time.Time, err error) {
	at := now()
	if at-x.Active.UnixMilli() < activeStep.Milliseconds() {
		return x.Active, nil
	}
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		return tx.write(ctx, s.statement().add("UPDATE sessions SET active_at = ", arg{at}, " WHERE id = ", arg{x.ID}, " AND active_at < ", arg{at}))
	})
	return time.UnixMilli(at), err
}

// RotateSession puts another secret in place of the session's present one, which is
// good for the overlap still. Of many that do so at the same time, on any server, one
// succeeds: for the others replaced is false.
func (s *Store) RotateSession(ctx context.Context, x *Session, present, next [32]byte, overlap time.Duration) (replaced bool, err error) {
	err = s.write(ctx, func(ctx context.Context, tx tx) error {
		at := now()
		st := s.statement()
		st.add("UPDATE sessions SET hash = ", arg{next[:]}, ", previous_hash = hash, previous_until = ", arg{at + overlap.Milliseconds()}, ", secret_at = ", arg{at},
			" WHERE id = ", arg{x.ID}, " AND hash = ", arg{present[:]}, " RETURNING id")
		replaced = false
		return tx.read(ctx, st, func(scan scan) error {
			replaced = true
			var id int64
			return scan(&id)
		})
	})
	return replaced, err
}

// Sessions lists those of the tenant's operators that have not ended, the last one
// first.
func (t Tenant) Sessions(ctx context.Context, idle time.Duration) (all []Session, err error) {
	at := now()
	st := t.store.statement()
	st.add("SELECT "+sessionColumns+sessionsFrom+" WHERE x.tenant_id = ", arg{t.id}, " AND x.expires_at > ", arg{at}, " AND x.active_at > ", arg{at - idle.Milliseconds()},
		" ORDER BY x.id DESC")
	err = t.store.read(ctx, st, func(scan scan) error {
		var x Session
		err := x.scan(scan)
		all = append(all, x)
		return err
	})
	return all, err
}

// EndSession ends a session. No call that comes after it is let in. It fails with
// NotFound.
func (t Tenant) EndSession(ctx context.Context, id int64) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		var operator string
		st := t.store.statement()
		st.add("DELETE FROM sessions WHERE tenant_id = ", arg{t.id}, " AND id = ", arg{id}, " RETURNING operator")
		if err := tx.read(ctx, st, func(scan scan) error { return scan(&operator) }); err != nil {
			return err
		}
		if operator == "" {
			return scim.Errorf(scim.NotFound, "there is no session %d", id)
		}
		return t.store.audit(ctx, tx, "", sessionType, strconv.FormatInt(id, 10), stateChanges(map[string]any{"operator": operator}, nil))
	})
}

// sessionType is what events call a session.
const sessionType = "Session"

// RemoveEndedSessions removes what has ended of sessions, login links and spent
// assertions. Several servers may do so at once.
func (s *Store) RemoveEndedSessions(ctx context.Context, idle time.Duration) error {
	return s.write(ctx, func(ctx context.Context, tx tx) error {
		at := now()
		for _, st := range []*statement{
			s.statement().add("DELETE FROM sessions WHERE expires_at <= ", arg{at}, " OR active_at <= ", arg{at - idle.Milliseconds()}),
			s.statement().add("DELETE FROM login_links WHERE expires_at <= ", arg{at}),
			s.statement().add("DELETE FROM spent_assertions WHERE expires_at <= ", arg{at}),
		} {
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return nil
	})
}
