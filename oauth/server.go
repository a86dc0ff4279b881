// Package oauth is Muster's own OAuth 2.0 authorization server, for provisioning
// clients: client credentials, authorization code with PKCE, refresh tokens,
// revocation (RFC 7009) and metadata (RFC 8414). A client is a credential of kind
// oauth, and what is issued to it are rows of the store's tokens; the SCIM doors take
// an access token as they take any bearer token.
//
// What the wire looks like is the business of zitadel/oidc. It reads the requests,
// calls the methods of grants, and writes answers and errors. Here is what it asks
// for: who is a client (client.go, assertion.go), what is issued (token.go), and the
// page on which an administrator decides (authorize.go).
package oauth

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/store"
)

// How long what is issued is valid. Nothing is valid for longer than its client.
const (
	AccessLifetime  = time.Hour
	RefreshLifetime = 90 * 24 * time.Hour // from its last use
	CodeLifetime    = time.Minute
)

// Paths of the endpoints, below the issuer.
const (
	authorizePath = "/oauth2/authorize"
	tokenPath     = "/oauth2/token" //nolint:gosec // a path
	revokePath    = "/oauth2/revoke"
	// metadataPath stands before the path of the issuer, if it has one (RFC 8414
	// section 3.1).
	metadataPath = "/.well-known/oauth-authorization-server"
)

// Options are what a server can be told.
type Options struct {
	// Addressed is the issuer, below which the client of a request finds the endpoints,
	// without a slash at its end; and where the request came from, the zero Addr where
	// that is not known.
	Addressed func(*http.Request) (issuer string, from netip.Addr)
	// Throttle is asked before a secret is checked, and told of each that is wrong.
	// Nil: any number of attempts.
	Throttle Throttle
	// Admit counts a request of who has proved who it is, and fails with RateLimited
	// where there are too many. Nil: any number.
	Admit func(*store.Principal) error
	// Audit records an event of what no write of the store records: of what is refused.
	// Nil: it is not recorded.
	Audit func(context.Context, store.AuditEvent)
	// Note takes an exchange for who looks at what clients do; letIn: it is known whose
	// it is. Nil: it is not noted.
	Note func(e store.Exchange, letIn bool)
	// Log gets one line for each request. Nil: no log.
	Log *slog.Logger
}

// Throttle slows down who guesses secrets.
type Throttle interface {
	// Allow fails with RateLimited where the address failed too often, or what is shown
	// did; "": it is not shown again.
	Allow(address netip.Addr, shown string) error
	// Failed counts a failed attempt of the address.
	Failed(address netip.Addr, shown string)
	// Worked remembers that what was shown is valid, so that failures of others do not
	// count for it.
	Worked(address netip.Addr, shown string)
}

// Server is the authorization server.
type Server struct {
	store *store.Store
	opts  Options
	log   *slog.Logger
	wire  http.Handler // the token and the revocation endpoint
}

// New makes an authorization server over an open store.
func New(st *store.Store, opts Options) *Server {
	s := &Server{store: st, opts: opts, log: opts.Log}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.wire = op.RegisterServer(&grants{Server: s}, op.Endpoints{
		Token: op.NewEndpoint(tokenPath), Revocation: op.NewEndpoint(revokePath),
	}, op.WithServerCORSOptions(nil))
	return s
}

// Before serves the endpoints, and hands all other requests to next.
func (s *Server) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := s.endpoint(r.URL.Path); e.serve != nil {
			s.serve(w, r, e)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// An endpoint is what stands at a path.
type endpoint struct {
	methods string // as in the header Allow
	serve   http.HandlerFunc
}

// methods are those of each endpoint, as in the header Allow.
var methods = map[string]string{tokenPath: "POST", revokePath: "POST", authorizePath: "GET, HEAD, POST", metadataPath: "GET, HEAD"}

// Endpoints are the paths of the endpoints, with their methods as in the header Allow.
func Endpoints() map[string]string { return maps.Clone(methods) }

func (s *Server) endpoint(path string) endpoint {
	if strings.HasPrefix(path, metadataPath+"/") {
		path = metadataPath
	}
	switch path {
	case tokenPath, revokePath:
		return endpoint{methods[path], s.serveForm}
	case authorizePath:
		return endpoint{methods[path], s.authorize}
	case metadataPath:
		return endpoint{methods[path], s.metadata}
	}
	return endpoint{}
}
