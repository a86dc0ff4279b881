package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
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
	request   any             // the message; nil for a stream
	principal store.Principal // who is calling, once authenticated
	operator  string          // the human behind it, where one is known
	act       *store.Act      // what is being done, for the audit log

	ahead  []interceptor // the steps that are still to take
	handle handler       // what comes after them
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
	// What the REST face tells of its client; believed in process only.
	addressKey = "muster-address"
	agentKey   = "muster-agent"
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

// tenantOf is the tenant of the caller, to act there.
func tenantOf(ctx context.Context) store.Tenant {
	c := callOf(ctx)
	return c.principal.Tenant.As(c.act)
}

// run takes a call through the interceptors to its handler.
func (s *Server) run(ctx context.Context, method string, request any, handle handler) error {
	c := &call{method: method, requestID: first(ctx, requestIDKey), inProcess: isInProcess(ctx), request: request, ahead: s.interceptors, handle: handle}
	c.address, c.agent = callerOf(ctx, c.inProcess)
	if c.inProcess {
		c.operator = first(ctx, operatorKey)
	}
	if c.requestID == "" || len(c.requestID) > 128 {
		c.requestID = rand.Text()
	}
	return c.proceed(context.WithValue(ctx, callKey{}, c))
}

func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (answer any, err error) {
	err = s.run(ctx, info.FullMethod, req, func(ctx context.Context) (err error) {
		answer, err = h(ctx, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
	return s.run(ss.Context(), info.FullMethod, nil, func(ctx context.Context) error {
		return h(srv, &streamIn{ss, ctx})
	})
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
	s.log.LogAttrs(ctx, slog.LevelInfo, "call",
		slog.String("rpc", c.method),
		slog.String("status", status.Code(err).String()),
		slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000),
		slog.String("tenant", c.principal.TenantName),
		slog.String("credential", c.principal.Credential.Name),
		slog.String("request_id", c.requestID),
		slog.String("address", c.address.String()),
	)
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
	return statusOf(err).Err()
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

// permit tells whether the policy lets the caller call a method: the one of this
// call, or one that this call does the work of. Where the method is one for many
// resource types, resourceType says which it is about; empty: that is decided later.
func (c *call) permit(method, resourceType string) error {
	access, known := policy[method]
	if !known {
		return scim.Errorf(scim.Forbidden, "%s is not open to anybody", method)
	}
	if access.resourceType != "" {
		resourceType = access.resourceType
	}
	if access.action != public && !permits(c.principal.Credential.Scopes, access.action, resourceType) {
		return scim.Errorf(scim.Forbidden, "%s needs a credential with the scope %s", method, access.action.scope(resourceType))
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
