package console

import (
	"log/slog"
	"net/http"
	"net/netip"

	"google.golang.org/grpc"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// root is where the console is served.
const root = "/console/"

// Options are what a console can be told. The zero Options work.
type Options struct {
	// Log gets one line for each request, and the cause of each internal error. Nil: no log.
	Log *slog.Logger
	// Version is that of the program, to be shown.
	Version string
	// Public: the base URL that Addressed tells is a setting. Otherwise operators sign in
	// with providers only on this very machine.
	Public bool
	// ClientSecret finds the secret of an OpenID client; empty: it has none. Nil: none has.
	ClientSecret func(issuer, clientID string) (string, error)
	// Addressed tells how a browser addressed the server, as the base URL of SCIM, and
	// from where. Nil: unknown.
	Addressed func(r *http.Request) (base string, from netip.Addr)
}

// Console is the web pages, to be served at /console/.
type Console struct {
	core

	log       *slog.Logger
	version   string
	addressed func(*http.Request) (string, netip.Addr)
	handler   http.Handler
	templates templates
	streams   *streams
	public    bool
	issuers   *issuers
	// clientSecret finds the secret of an OpenID client; nil: none has one.
	clientSecret func(issuer, clientID string) (string, error)
	// find tells who makes a visit; nil: nobody who is signed in.
	find func(*visit) (*session, error)
}

// core is the gRPC API.
type core struct {
	provisioning  musterv1.ProvisioningServiceClient
	directory     musterv1.DirectoryServiceClient
	discovery     musterv1.DiscoveryServiceClient
	audit         musterv1.AuditServiceClient
	changes       musterv1.ChangeServiceClient
	tenants       musterv1.TenantServiceClient
	credentials   musterv1.CredentialServiceClient
	registry      musterv1.RegistryServiceClient
	recordings    musterv1.RecordingServiceClient
	activity      musterv1.ActivityServiceClient
	operators     musterv1.OperatorServiceClient
	subscriptions musterv1.SubscriptionServiceClient
}

func newCore(conn grpc.ClientConnInterface) core {
	return core{
		provisioning:  musterv1.NewProvisioningServiceClient(conn),
		directory:     musterv1.NewDirectoryServiceClient(conn),
		discovery:     musterv1.NewDiscoveryServiceClient(conn),
		audit:         musterv1.NewAuditServiceClient(conn),
		changes:       musterv1.NewChangeServiceClient(conn),
		tenants:       musterv1.NewTenantServiceClient(conn),
		credentials:   musterv1.NewCredentialServiceClient(conn),
		registry:      musterv1.NewRegistryServiceClient(conn),
		recordings:    musterv1.NewRecordingServiceClient(conn),
		activity:      musterv1.NewActivityServiceClient(conn),
		operators:     musterv1.NewOperatorServiceClient(conn),
		subscriptions: musterv1.NewSubscriptionServiceClient(conn),
	}
}

// New makes a console over a connection to the core that knows the sessions of operators.
func New(conn grpc.ClientConnInterface, opts Options) (*Console, error) {
	t, err := parseTemplates()
	if err != nil {
		return nil, err
	}
	c := &Console{core: newCore(conn), log: opts.Log, version: opts.Version, addressed: opts.Addressed, templates: t, streams: newStreams(),
		public: opts.Public, issuers: newIssuers(), clientSecret: opts.ClientSecret, find: findSession}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.addressed == nil {
		c.addressed = func(*http.Request) (string, netip.Addr) { return "", netip.Addr{} }
	}
	c.handler = c.protect(c.mux())
	return c, nil
}

// ServeHTTP answers a request below /console/.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Before serves the console where it belongs, and everything else by next.
func (c *Console) Before(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(root, c)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := r.URL.Path; p+"/" == root || len(p) >= len(root) && p[:len(root)] == root {
			mux.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// EndStreams ends what browsers follow, so that a server that is told to stop need not
// wait for them. They come again by themselves, to another server.
func (c *Console) EndStreams() { c.streams.end() }
