package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Administration is served beside SCIM: the messages of the contract as plain JSON,
// in the form of protobuf (field names in camelCase), and errors as google.rpc.Status.
// It shares the front's id of the request, line in the log, address of the client and
// limit of the body; nothing here knows what a tenant or a credential is.
//
// To serve a service here, give its methods rules in http.yaml, with paths below
// /admin/v1, `make generate`, and add it to adminServices. A method called Create…
// answers 201, and DELETE 204.

// adminPath is where administration is served. http.yaml writes it out in each rule.
const adminPath = "/admin/v1"

// adminServices registers what is served below adminPath.
func adminServices(ctx context.Context, mux *runtime.ServeMux, conn grpc.ClientConnInterface) []error {
	return []error{
		musterv1.RegisterTenantServiceHandlerClient(ctx, mux, musterv1.NewTenantServiceClient(conn)),
		musterv1.RegisterCredentialServiceHandlerClient(ctx, mux, musterv1.NewCredentialServiceClient(conn)),
		musterv1.RegisterRegistryServiceHandlerClient(ctx, mux, musterv1.NewRegistryServiceClient(conn)),
		musterv1.RegisterAuditServiceHandlerClient(ctx, mux, musterv1.NewAuditServiceClient(conn)),
		musterv1.RegisterRecordingServiceHandlerClient(ctx, mux, musterv1.NewRecordingServiceClient(conn)),
		musterv1.RegisterActivityServiceHandlerClient(ctx, mux, musterv1.NewActivityServiceClient(conn)),
		musterv1.RegisterSubscriptionServiceHandlerClient(ctx, mux, musterv1.NewSubscriptionServiceClient(conn)),
	}
}

// admin is the face of administration, and that of receivers of events (events.go).
type admin struct {
	mux *runtime.ServeMux
	// nothing is what is said of a path that there is nothing at.
	nothing string
}

func newAdmin(ctx context.Context, conn grpc.ClientConnInterface) (*admin, error) {
	a := newPlain("there is nothing at this path; administration is below "+adminPath+"/tenants", protojson.UnmarshalOptions{})
	for _, err := range adminServices(ctx, a.mux, knownParameters{conn}) {
		if err != nil {
			return nil, fmt.Errorf("registering a service of administration: %w", err)
		}
	}
	return a, nil
}

// newPlain makes a face of plain JSON, without services.
func newPlain(nothing string, read protojson.UnmarshalOptions) *admin {
	a := &admin{nothing: nothing}
	a.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{MarshalOptions: protojson.MarshalOptions{EmitDefaultValues: true}, UnmarshalOptions: read}),
		runtime.WithForwardResponseOption(decorateAdmin),
		runtime.WithErrorHandler(answerError),
		runtime.WithRoutingErrorHandler(a.answerRoutingError),
		runtime.WithMiddlewares(answerProbe),
		runtime.WithIncomingHeaderMatcher(forwarded),
		runtime.WithOutgoingHeaderMatcher(func(string) (string, bool) { return "", false }),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithDisableHTTPMethodOverride(),
	)
	return a
}

// isAdmin tells whether a request is for administration.
func isAdmin(r *http.Request) bool {
	return r.URL.Path == adminPath || strings.HasPrefix(r.URL.Path, adminPath+"/")
}

// to is admit for a face of plain JSON.
func (x *exchange) to(a *admin) func(context.Context) (*http.Request, *problem) {
	return func(ctx context.Context) (*http.Request, *problem) { return a.admit(ctx, x) }
}

// admit is exchange.admit for administration. Paths are taken as they are written: its
// clients are not as old as those of SCIM.
func (a *admin) admit(ctx context.Context, x *exchange) (*http.Request, *problem) {
	x.admin, x.mediaType = true, plainJSON
	r := x.request
	for part := range strings.SplitSeq(r.URL.EscapedPath()[1:], "/") {
		if text, err := url.PathUnescape(part); err != nil || text == "" || strings.Contains(text, "/") {
			return nil, a.noPlace()
		}
	}
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problemOf(scim.InvalidValue, "the query is not of the form name=value&name=value, percent-encoded")
	}
	if refused := x.readBody(ctx); refused != nil && !refused.noBody {
		return nil, refused
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet // net/http sends no body to HEAD
	}
	return x.inward(ctx, method, r.URL.Path, form, io.NopCloser(bytes.NewReader(x.body.data))), nil
}

func (a *admin) noPlace() *problem { return problemOf(scim.NotFound, a.nothing) }

// decorateAdmin decides the status of an answer.
func decorateAdmin(ctx context.Context, w http.ResponseWriter, _ proto.Message) error {
	x := exchangeOf(ctx)
	x.learn(ctx)
	w.Header().Set("Content-Type", x.mediaType)
	name, _ := runtime.RPCMethod(ctx)
	switch {
	case x.request.URL.Path == keysPath:
		w.Header().Set("Cache-Control", "public, max-age=300")
	case x.request.Method == http.MethodDelete:
		x.status = http.StatusNoContent
	case strings.HasPrefix(name[strings.LastIndexByte(name, '/')+1:], "Create"):
		x.status = http.StatusCreated
	}
	return nil
}

// answerRoutingError answers a request that http.yaml has no rule for.
func (a *admin) answerRoutingError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, r *http.Request, code int) {
	if ctx.Value(probeKey{}) != nil {
		return
	}
	x := exchangeOf(ctx)
	if code != http.StatusMethodNotAllowed {
		x.refuse(a.noPlace())
		return
	}
	x.refuse(&problem{status: code, detail: "the method is not allowed here", allow: strings.Join(a.allowed(ctx, r.URL.Path), ", ")})
}

type probeKey struct{}

// allowed are the methods that there are rules for at a path.
func (a *admin) allowed(ctx context.Context, path string) (methods []string) {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		found := false
		probe := &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}}
		a.mux.ServeHTTP(nil, probe.WithContext(context.WithValue(ctx, probeKey{}, &found)))
		if found {
			methods = append(methods, method)
		}
	}
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	return methods
}

// answerProbe notes that a probe has found a rule, and keeps it from having effect.
func answerProbe(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		if found, ok := r.Context().Value(probeKey{}).(*bool); ok {
			*found = true
			return
		}
		next(w, r, params)
	}
}

// knownParameters is a connection that refuses a request whose query names what the
// message of its method does not have: a filter with a typing mistake would list
// everything.
type knownParameters struct{ grpc.ClientConnInterface }

func (c knownParameters) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	message, isProto := args.(proto.Message)
	if x := exchangeOf(ctx); x != nil && isProto {
		fields := message.ProtoReflect().Descriptor().Fields()
		for name := range x.request.URL.Query() {
			top, _, _ := strings.Cut(name, ".")
			if fields.ByJSONName(top) == nil && fields.ByName(protoreflect.Name(top)) == nil {
				return status.Errorf(codes.InvalidArgument, "there is no query parameter %.80q here", name)
			}
		}
	}
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// codesOfStatus are the codes of what HTTP alone refuses.
var codesOfStatus = map[int]codes.Code{
	http.StatusBadRequest:            codes.InvalidArgument,
	http.StatusNotFound:              codes.NotFound,
	http.StatusMethodNotAllowed:      codes.Unimplemented,
	http.StatusRequestEntityTooLarge: codes.ResourceExhausted,
	http.StatusUnsupportedMediaType:  codes.InvalidArgument,
	http.StatusInternalServerError:   codes.Internal,
}

// appendStatus prints a problem as google.rpc.Status: as the core said it, or in its
// form.
func appendStatus(dst []byte, p *problem) []byte {
	said := p.said
	if said == nil {
		code, known := codesOfStatus[p.status]
		if !known {
			code = codes.Unknown
		}
		said = withReason(status.New(code, p.detail), p.reason).Proto()
	}
	if p.status == http.StatusInternalServerError {
		said = &spb.Status{Code: int32(codes.Internal), Message: p.detail}
	}
	out, err := protojson.MarshalOptions{}.MarshalAppend(dst, said)
	if err != nil { // a detail of a type that this program does not know
		out, _ = protojson.MarshalOptions{}.MarshalAppend(dst, &spb.Status{Code: said.GetCode(), Message: said.GetMessage()})
	}
	return out
}
