// Package gateway is the SCIM REST face: it turns HTTP requests into calls of
// the gRPC services and their answers into SCIM JSON (RFC 7644 section 3). It
// holds no rule about users and groups, reads no token, and reaches the core
// over a gRPC connection only; what it knows is HTTP.
//
// A request goes through three steps, and one exchange follows it through all
// of them. The front (front.go) refuses what HTTP alone can refuse, and hands
// inward a request made anew, clean in path, query and headers. grpc-gateway's
// generated code, driven by http.yaml, makes the call. The answer is given its
// status and headers in answer.go and its JSON in marshal.go; errors become
// SCIM error bodies in errors.go.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/transport"
)

// basePath is where SCIM is served. http.yaml writes it out in each rule.
const basePath = "/scim/v2"

// Limits of a request.
const (
	maxHeaders = 64 << 10 // bytes, with the request line
)

// Options are what the face can be told. The zero Options work.
type Options struct {
	// BaseURL is the public address, such as https://scim.example.com/scim/v2; it
	// begins every URI in an answer. Empty: as the request addressed us.
	BaseURL string
	// Proxies are believed about the client's address (X-Forwarded-For), and without a
	// BaseURL about how it addressed us (X-Forwarded-Proto and X-Forwarded-Host).
	Proxies transport.Proxies
	// Limits are how large a request may be; the zero Limits: scim.DefaultLimits. They
	// are the store's.
	Limits scim.Limits
	// Pages are documents that are served as they are, by their paths.
	Pages map[string]Page
	// Log gets one line for each request. Nil: no log.
	Log *slog.Logger
}

// New makes the face of the services that conn reaches. It serves SCIM below
// /scim/v2, administration below /admin/v1 (admin.go), receivers of events below
// /events/v1 (events.go), and answers every other path with a SCIM error.
func New(conn grpc.ClientConnInterface, opts Options) (http.Handler, error) {
	if opts.Limits == (scim.Limits{}) {
		opts.Limits = scim.DefaultLimits()
	}
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, marshaler{opts.Limits}),
		runtime.WithForwardResponseOption(decorate),
		runtime.WithForwardResponseRewriter(toAnswer),
		runtime.WithErrorHandler(answerError),
		runtime.WithRoutingErrorHandler(answerRoutingError),
		runtime.WithIncomingHeaderMatcher(forwarded),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	ctx := context.Background() // used by connections that the generated code opens itself: none here
	// What is registered last is looked at first; the templates of the first match
	// every endpoint.
	if err := musterv1.RegisterResourceServiceHandlerClient(ctx, mux, musterv1.NewResourceServiceClient(conn)); err != nil {
		return nil, fmt.Errorf("registering the resource service: %w", err)
	}
	if err := musterv1.RegisterDiscoveryServiceHandlerClient(ctx, mux, musterv1.NewDiscoveryServiceClient(conn)); err != nil {
		return nil, fmt.Errorf("registering the discovery service: %w", err)
	}
	if err := musterv1.RegisterProvisioningServiceHandlerClient(ctx, mux, musterv1.NewProvisioningServiceClient(conn)); err != nil {
		return nil, fmt.Errorf("registering the provisioning service: %w", err)
	}
	admin, err := newAdmin(ctx, conn)
	if err != nil {
		return nil, err
	}
	events, err := newEvents(ctx, conn)
	if err != nil {
		return nil, err
	}
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &front{
		mux: mux, admin: admin, events: events, recorder: musterv1.NewRecordingServiceClient(conn), log: log, baseURL: strings.TrimRight(opts.BaseURL, "/"), proxies: opts.Proxies,
		pages: opts.Pages, maxBody: opts.Limits.Body, bodies: newBodies(opts.Limits.Body),
	}, nil
}

// forwarded tells under which name a header goes to the core. Authorization does
// so anyway; the front lets no others in.
func forwarded(header string) (name string, ok bool) {
	switch header {
	case requestIDHeader:
		return "x-request-id", true
	case addressHeader:
		return "muster-address", true
	case agentHeader:
		return "muster-agent", true
	case tenantHeader:
		return "muster-base-tenant", true
	}
	return "", false
}

// Server makes an HTTP server for the face, with limits that a slow or greedy
// client meets before the server feels it.
func Server(addr string, h http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      120 * time.Second, // of the whole answer: a group may have very many members
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    maxHeaders,
	}
}
