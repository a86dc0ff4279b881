// Package server is the gRPC core: the services of muster.v1, each method one
// call of a generic verb, behind one list of interceptors. It knows who is
// calling and what they may do; the rules are scim's and the data is the
// store's.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/muster-scim/muster/events"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
	"github.com/muster-scim/muster/transport"
)

// Limits of a connection and a call.
const (
	maxStreams    = 256              // calls at once on one connection
	maxPublic     = 32               // calls at once, of one message, that need no credential
	maxIdle       = 10 * time.Minute // of a connection without calls
	maxHeaderList = 16 << 10
	minPing       = 20 * time.Second // clients that ping more often are cut off
	serverPing    = time.Minute      // whether a client is still there whose streams would wait for it
	handshake     = 10 * time.Second
)

// Options are what a server can be told. The zero Options work.
type Options struct {
	// Log gets one line for each call over a socket, and the cause of each
	// internal error. Nil: no log.
	Log *slog.Logger
	// TLS is the configuration of Serve. Where it verifies client certificates, they
	// stand for credentials of kind certificate. Nil: plain text.
	TLS *tls.Config
	// AuditReads: what reads resources is recorded in the audit log too.
	AuditReads bool
	// Preview is for preview credentials.
	Preview Preview
	// Limits are how much it does, and for whom.
	Limits Limits
	// Sessions are those of operators.
	Sessions Sessions
	// Activity is what is kept of what clients ask and are answered.
	Activity Activity
	// Proxies are believed about the address of the client (x-forwarded-for).
	Proxies transport.Proxies
	// Tokens signs what is told of changes. Nil: a signer without an issuer.
	Tokens *events.Tokens
}

// Server is the gRPC core.
type Server struct {
	store        *store.Store
	log          *slog.Logger
	proxies      transport.Proxies
	interceptors []interceptor
	grpc         *grpc.Server
	health       *health.Server
	conn         *conn
	provisioning *provisioning
	changes      *changes
	stopping     chan struct{} // closed when it stops: streams end
	stop         func()
	recheck      time.Duration // see the constant
	audit        *auditLog
	limits       *limits
	throttle     *Throttle
	previews     *previews
	issuers      *issuers
	uses         *lastUses
	recorder     *recorder
	sessions     Sessions
	tokens       *events.Tokens
	activity     *activity
	watchers     *watchers
	metrics      *metrics
	public       *semaphore.Weighted // calls that need no credential
}

// New makes a server over an open store. It listens nowhere yet; Conn works at
// once.
func New(st *store.Store, opts Options) *Server {
	s := &Server{
		store: st, log: opts.Log, proxies: opts.Proxies, health: health.NewServer(), stopping: make(chan struct{}), recheck: recheck,
		limits: newLimits(opts.Limits), throttle: NewThrottle(opts.Limits.FailedLogins), public: semaphore.NewWeighted(maxPublic),
		metrics: newMetrics(),
	}
	s.throttle.refused = func() { s.metrics.over(overLogins) }
	s.stop = sync.OnceFunc(func() { close(s.stopping) })
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.issuers, s.uses = newIssuers(st, s.log), newLastUses(st, s.log)
	s.recorder, s.sessions = newRecorder(st), opts.Sessions.orDefaults()
	if s.tokens = opts.Tokens; s.tokens == nil {
		s.tokens = events.NewTokens(st, "", "")
	}
	s.activity = newActivity(st, s.log, opts.Activity, s.metrics)
	s.watchers = newWatchers(st, s.log, s.activity.server)
	s.audit = newAuditLog(st, s.log, opts.AuditReads)
	s.previews = newPreviews(st, s.log, opts.Preview)
	s.interceptors = []interceptor{s.metrics.intercept, s.logCall, s.translateErrors, s.activity.intercept, recoverPanics, s.audit.intercept, s.authenticate, authorize, s.receive, beginAct, s.previews.await, s.limit, usePreview}
	s.grpc = grpc.NewServer(
		grpc.Creds(s.transportCredentials(opts.TLS)),
		grpc.StreamInterceptor(s.stream),
		grpc.MaxRecvMsgSize(2*st.Limits().Body), // what is no bulk request may take more room than as JSON
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeaderList),
		grpc.ConnectionTimeout(handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: maxIdle, Time: serverPing}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
	)
	s.conn = newConn(s.stream)
	s.changes = newChanges(s)
	s.provisioning = newProvisioning(st, s.log, s.audit)
	for _, r := range []grpc.ServiceRegistrar{guarded{s.grpc, s}, guarded{s.conn, s}} {
		musterv1.RegisterProvisioningServiceServer(r, s.provisioning)
		musterv1.RegisterResourceServiceServer(r, &resources{passwords: s.provisioning.passwords, cursors: s.provisioning.cursors})
		musterv1.RegisterRegistryServiceServer(r, &registry{store: st})
		musterv1.RegisterTenantServiceServer(r, &tenantService{store: st})
		musterv1.RegisterCredentialServiceServer(r, &credentialService{store: st, previews: s.previews})
		musterv1.RegisterRecordingServiceServer(r, &recordingService{server: s})
		musterv1.RegisterDiscoveryServiceServer(r, &discovery{})
		musterv1.RegisterChangeServiceServer(r, s.changes)
		musterv1.RegisterDirectoryServiceServer(r, &directory{server: s, passwords: s.provisioning.passwords, cursors: s.provisioning.cursors})
		musterv1.RegisterAuditServiceServer(r, &auditService{store: st})
		musterv1.RegisterActivityServiceServer(r, &activityService{server: s})
		musterv1.RegisterOperatorServiceServer(r, &operatorService{store: st, sessions: s.sessions})
		musterv1.RegisterSubscriptionServiceServer(r, &subscriptionService{store: st, tokens: s.tokens})
		musterv1.RegisterEventServiceServer(r, &eventService{server: s})
	}
	healthv1.RegisterHealthServer(guarded{s.grpc, s}, s.health)
	reflection.RegisterV1(s.grpc)
	return s
}

// Conn is a connection to the server without a socket: the same methods behind
// the same interceptors.
func (s *Server) Conn() grpc.ClientConnInterface { return s.conn }

// SessionIdle is how long a session lasts while nobody is there.
func (s *Server) SessionIdle() time.Duration { return s.sessions.Idle }

// Throttle is that of the server, for whatever else asks callers for secrets.
func (s *Server) Throttle() *Throttle { return s.throttle }

// Admit counts a request of a principal that is answered elsewhere. It fails with
// RateLimited.
func (s *Server) Admit(p *store.Principal) error { return s.admit(p, 1) }

// admit is Admit, for a request that counts as so many.
func (s *Server) admit(p *store.Principal, weight int) error {
	err := s.limits.admit(p, weight, time.Now())
	if err != nil {
		s.metrics.over(overRate)
	}
	return err
}

// Serve serves the connections of a listener until Shutdown.
func (s *Server) Serve(l net.Listener) error { return s.grpc.Serve(l) }

// Shutdown takes no more calls and waits for those under way, and for what they leave
// to be written; when ctx ends it cuts them off and returns its error.
func (s *Server) Shutdown(ctx context.Context) error {
	err := errors.Join(s.drain(ctx), s.audit.flush(ctx), s.uses.flush(ctx), s.activity.flush(ctx), s.watchers.flush(ctx), s.audit.pushes.flush(ctx))
	s.previews.close()
	return err
}

// EndWaits ends the streams, and the calls that wait for something to happen. Shutdown does
// so too; a face whose requests are such calls must have them ended before it can stop.
func (s *Server) EndWaits() { s.stop() }

func (s *Server) drain(ctx context.Context) error {
	s.health.Shutdown()
	s.stop()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.grpc.Stop()
		return ctx.Err()
	}
}
