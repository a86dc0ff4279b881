package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// An interceptor is one step that every call takes, over a socket or in process,
// of one message or a stream; c.proceed is the rest of the way. New lists them in
// order: the first sees the call first and its outcome last.
type interceptor func(ctx context.Context, c *call) error

type handler func(ctx context.Context) error

// A call is what the interceptors know of one call.
type call struct {
	method    string // "/muster.v1.ProvisioningService/GetUser"
	requestID string
	inProcess bool
	address   netip.Addr      // of the client, where it is known
	agent     string          // its User-Agent
	request   any             // the message, once it is read; nil for a stream
	principal store.Principal // who is calling, once authenticated
	preview   *preview        // what it works on in place of its tenant; nil: nothing
	operator  string          // the human behind it, where one is known
	// throughFace: it came through Conn.
	throughFace bool
	// throughConsole: it came through ConsoleConn, and its operator is known where it needs one.
	throughConsole bool
	act            store.Act // what is being done, for the audit log
	answer         any       // the message, of a call of one that succeeded

	// Why the caller was not let in, for operators, and whose secret it has shown that is
	// no proof of anything.
	cause   cause
	why     string
	claimed store.Principal
	shown   string // the authorization header

	ahead  []interceptor // the steps that are still to take
	read   handler       // reads the message and goes on; nil for a stream
	handle handler       // what comes after the steps
}

// proceed takes the call to the end of its way.
func (c *call) proceed(ctx context.Context) error {
	if len(c.ahead) == 0 {
		return c.handle(ctx)
	}
	step := c.ahead[0]
	c.ahead = c.ahead[1:]
	return step(ctx, c)
}

// Metadata of requests and answers.
const (
	requestIDKey  = "x-request-id"
	tenantKey     = "muster-tenant"
	credentialKey = "muster-credential" //nolint:gosec // a name
	profileKey    = "muster-profile"
	modeKey       = "muster-mode"
	// Tells the REST face that, and where, the exchange is recorded; what it is to hand
	// back with the exchange in any case; and that the bodies of this one are kept.
	recordingKey = "muster-recording"
	handBackKey  = "muster-call"
	sampledKey   = "muster-sampled"
	// What the REST face tells of its client; believed in process only.
	addressKey = "muster-address"
	agentKey   = "muster-agent"
	// The tenant that the credential must be one of.
	baseTenantKey = "muster-base-tenant"
	// The human behind a call; believed in process only.
	operatorKey = "muster-operator"
)

type callKey struct{}

// callOf is the call that the context belongs to.
func callOf(ctx context.Context) *call {
	return ctx.Value(callKey{}).(*call) //nolint:forcetypeassert // run has set it
}

// principalOf is the caller. Methods that ask for it are never public.
func principalOf(ctx context.Context) store.Principal { return callOf(ctx).principal }

// tenantOf is the tenant of the caller.
func tenantOf(ctx context.Context) store.Tenant { return principalOf(ctx).Tenant }

// run takes a call through the interceptors to its handler.
func (s *Server) run(ctx context.Context, c *call) error {
	stream, inProcess := grpc.ServerTransportStreamFromContext(ctx).(*transportStream)
	if inProcess {
		c.inProcess, c.request, c.throughFace = true, stream.request, stream.door == faceDoor
	}
	c.address, c.agent = s.callerOf(ctx, c.inProcess)
	if c.inProcess && !isConsole(ctx) { // what the console says of its operators the session decides
		c.operator = first(ctx, operatorKey)
	}
	if c.requestID = first(ctx, requestIDKey); c.requestID == "" || len(c.requestID) > 128 {
		c.requestID = rand.Text()
	}
	c.ahead = s.interceptors
	return c.proceed(context.WithValue(ctx, callKey{}, c))
}

// guarded registers services so that their methods of one message go through the
// interceptors before that message is read: of a caller who is not let in, nothing is
// held in memory. (gRPC's own interceptors come after the reading.)
type guarded struct {
	grpc.ServiceRegistrar

	server *Server
}

// RegisterService registers a service.
func (g guarded) RegisterService(desc *grpc.ServiceDesc, service any) {
	ours := *desc
	ours.Methods = slices.Clone(desc.Methods)
	for i, m := range desc.Methods {
		ours.Methods[i].Handler = g.server.unary("/"+desc.ServiceName+"/"+m.MethodName, m.Handler)
	}
	g.ServiceRegistrar.RegisterService(&ours, service)
}

// unary makes the handler of a method of one message: generated reads the message,
// and calls what is left of the interceptors.
func (s *Server) unary(name string, generated grpc.MethodHandler) grpc.MethodHandler {
	return func(service any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		c := &call{method: name}
		c.read = func(ctx context.Context) error {
			_, err := generated(service, ctx, decode, func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
				c.request = request
				c.handle = func(ctx context.Context) (err error) {
					c.answer, err = h(ctx, request)
					return err
				}
				return nil, c.proceed(ctx)
			})
			return err
		}
		if err := s.run(ctx, c); err != nil {
			return nil, err
		}
		return c.answer, nil
	}
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	return s.run(ss.Context(), &call{method: info.FullMethod, handle: func(ctx context.Context) error {
		return h(srv, &streamIn{ss, ctx})
	}})
}

// streamIn is a stream with the context that the interceptors made.
type streamIn struct {
	grpc.ServerStream

	ctx context.Context //nolint:containedctx // grpc.ServerStream asks for it by method
}

func (s *streamIn) Context() context.Context { return s.ctx }

// logCall writes the line of a call over a socket. What comes in process has its
// line from the gateway.
func (s *Server) logCall(ctx context.Context, c *call) error {
	start := time.Now()
	err := c.proceed(ctx)
	if c.inProcess {
		return err
	}
	attrs := []slog.Attr{
		slog.String("rpc", c.method),
		slog.String("status", status.Code(err).String()),
		slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000),
		slog.String("tenant", c.principal.TenantName),
		slog.String("credential", c.principal.Credential.Name),
		slog.String("request_id", c.requestID),
		slog.String("address", c.address.String()),
	}
	if c.principal.Credential.Preview {
		attrs = append(attrs, slog.Bool("preview", true))
	}
	s.log.LogAttrs(ctx, slog.LevelInfo, "call", attrs...)
	return err
}

// translateErrors makes statuses of errors. The cause of what clients are told
// nothing of stands in the log.
func (s *Server) translateErrors(ctx context.Context, c *call) error {
	err := c.proceed(ctx)
	if err == nil {
		return nil
	}
	c.logCause(ctx, s.log, err)
	tellRetryAfter(ctx, err)
	return statusOf(c.request, err).Err()
}

// logCause writes down an error that the client is not told the cause of.
func (c *call) logCause(ctx context.Context, log *slog.Logger, err error) {
	if isInternal(err) {
		log.LogAttrs(ctx, slog.LevelError, "internal error",
			slog.String("rpc", c.method), slog.String("request_id", c.requestID), slog.String("cause", err.Error()))
	}
}

// recoverPanics makes an error of a panic.
func recoverPanics(ctx context.Context, c *call) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return c.proceed(ctx)
}

// authorize refuses what the policy does not allow.
func authorize(ctx context.Context, c *call) error {
	if err := c.permit(c.method, ""); err != nil {
		return err
	}
	return c.proceed(ctx)
}

// receive reads the message of a call that has one. Of calls that are open to
// everybody only a few may be there at once, since each can hold a large message.
func (s *Server) receive(ctx context.Context, c *call) error {
	if c.read == nil {
		return c.proceed(ctx)
	}
	if policy[c.method].action == public {
		if !s.public.TryAcquire(1) {
			s.metrics.over(overPublic)
			return scim.Errorf(scim.RateLimited, "too many calls without a credential at once; try again later").After(time.Second)
		}
		defer s.public.Release(1)
	}
	return c.read(ctx)
}

// isInternal tells whether a call is one that the REST face of this process makes for
// the server itself.
func (c *call) isInternal() bool { return c.throughFace && policy[c.method].action == internal }

// permit tells whether the policy lets the caller call a method: the one of this
// call, or one that this call does the work of. Where the method is one for many
// resource types, resourceType says which it is about; empty: that is decided later.
func (c *call) permit(method, resourceType string) error {
	access, known := policy[method]
	if !known {
		return scim.Errorf(scim.Forbidden, "%s is not open to anybody", method)
	}
	if c.isInternal() {
		return nil
	}
	if access.action == admin && c.principal.Credential.Preview {
		return scim.Errorf(scim.Forbidden, "%s is not for preview credentials: what it does is kept", method)
	}
	if access.resourceType != "" {
		resourceType = access.resourceType
	}
	switch access.action {
	case internal:
		return scim.Errorf(scim.Forbidden, "%s is for the server itself", method)
	case signIn, own:
		if !c.throughConsole {
			return scim.Errorf(scim.Forbidden, "%s is for the console of the server itself", method)
		}
		return nil
	default:
	}
	if access.action != public && !permits(c.principal.Credential.Scopes, access.action, resourceType) {
		scope := access.action.scope(resourceType)
		return scim.Errorf(scim.Forbidden, "%s needs a credential with the scope %s", method, scope).Lacking(scope)
	}
	return nil
}

// typeOf is what the caller's tenant makes of a resource type of the contract.
func typeOf(ctx context.Context, rt *scim.ResourceType) *scim.ResourceType {
	return tenantOf(ctx).Catalog().ResourceType(rt.Name)
}

// first is the first value of incoming metadata, or "".
func first(ctx context.Context, key string) string {
	if values := metadata.ValueFromIncomingContext(ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}
