package server

import (
	"context"

	"google.golang.org/grpc"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// localName is what logs call who works on the database itself.
const localName = "local"

// LocalConn is a connection without a socket for the operator who works on the
// database itself: who can open it may do everything there, so nothing has to be
// shown. Its calls are those of an administrator of all tenants. Nothing that comes
// over a socket or through Conn becomes such a call: what makes it one is which
// connection it was made on, not anything that is sent.
func (s *Server) LocalConn() grpc.ClientConnInterface {
	return s.connOf(localDoor)
}

// connOf is a connection in process to the same services.
func (s *Server) connOf(d door) *conn {
	return &conn{methods: s.conn.methods, streams: s.conn.streams, through: s.stream, door: d}
}

// isLocal tells whether a call came through LocalConn.
func isLocal(ctx context.Context) bool { return cameThrough(ctx, localDoor) }

// cameThrough tells whether a call came through a connection in process of this kind.
func cameThrough(ctx context.Context, d door) bool {
	stream, ok := grpc.ServerTransportStreamFromContext(ctx).(*transportStream)
	return ok && stream.door == d
}

// identifyLocal makes the operator the principal. It has no credential in the
// database, so its ID is 0.
func (s *Server) identifyLocal(ctx context.Context, c *call) error {
	tenant, err := s.store.Tenant(ctx, DefaultTenant)
	if scim.ReasonOf(err) == scim.NotFound {
		return scim.Errorf(scim.Conflict, "the database has no tenant yet; run `muster serve` on it once: its first start makes the tenant %s", DefaultTenant)
	}
	if err != nil {
		return err
	}
	c.principal = store.Principal{Tenant: tenant, TenantName: DefaultTenant,
		Credential: store.Credential{Name: localName, Scopes: []string{ScopeAdmin, ScopeSCIM}}}
	return nil
}
