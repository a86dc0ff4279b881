package server

import (
	"cmp"
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Sessions are how long operators are signed in. The zero Sessions are the defaults.
type Sessions struct {
	// Idle is how long a session lasts while nobody is there; 0: DefaultSessionIdle.
	Idle time.Duration
	// Lifetime is how long it lasts at most; 0: DefaultSessionLifetime.
	Lifetime time.Duration
}

// The defaults of Sessions.
const (
	DefaultSessionIdle     = 30 * time.Minute
	DefaultSessionLifetime = 12 * time.Hour
)

func (s Sessions) orDefaults() Sessions {
	return Sessions{Idle: cmp.Or(s.Idle, DefaultSessionIdle), Lifetime: cmp.Or(s.Lifetime, DefaultSessionLifetime)}
}

// consoleName is what logs call the credential of an operator who has signed in.
const consoleName = "console"

// ConsoleConn is a connection without a socket for the web console. Who calls is an
// operator, whose session the call shows in the place of a credential; a session is
// good nowhere else, and a credential is not good here. Like LocalConn, what makes
// it so is which connection the call was made on.
func (s *Server) ConsoleConn() grpc.ClientConnInterface {
	return s.connOf(consoleDoor)
}

// isConsole tells whether a call came through ConsoleConn.
func isConsole(ctx context.Context) bool { return cameThrough(ctx, consoleDoor) }

// identifyOperator makes the operator of a session the principal, with scopes by the
// role; so the policy is for operators what it is for all others.
func (s *Server) identifyOperator(ctx context.Context, c *call) error {
	c.throughConsole = true
	if policy[c.method].action == signIn {
		c.principal.Credential.Name = consoleName
		return nil
	}
	shown, err := parseAuthorization(first(ctx, "authorization"))
	if err != nil {
		return err
	}
	c.principal, err = s.store.AuthenticateSession(ctx, HashToken(shown.secret), s.sessions.Idle)
	if session := c.principal.Session; session != nil {
		c.operator = session.Operator
		c.principal.Credential = store.Credential{Name: consoleName, Scopes: scopesOf(session.Role)}
	}
	if err != nil {
		return err
	}
	return s.enterTenant(ctx, c, first(ctx, tenantKey))
}

// enterTenant puts another tenant in place of the operator's own, where the call says
// so and the operator may.
func (s *Server) enterTenant(ctx context.Context, c *call, name string) error {
	p := &c.principal
	if name == "" || name == p.TenantName {
		return nil
	}
	if p.TenantName != DefaultTenant {
		return scim.Errorf(scim.Forbidden, "only operators of the tenant %s work in others", DefaultTenant)
	}
	tenant, err := s.store.Tenant(ctx, name)
	if err == nil {
		p.Tenant, p.TenantName = tenant, name
	}
	return err
}

// scopesOf is what an operator may do.
func scopesOf(role store.Role) []string {
	switch role {
	case store.RoleViewer:
		return []string{ScopeAdminRead, ScopeSCIM + ":read"}
	case store.RoleOperator:
		return []string{ScopeAdminRead, ScopeSCIM}
	case store.RoleAdministrator:
		return []string{ScopeAdmin, ScopeSCIM}
	}
	return nil
}
