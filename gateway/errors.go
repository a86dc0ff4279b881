package gateway

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/muster-scim/muster/scim"
)

// statusClientGone is what the log says of a request whose client did not wait
// for the answer; nobody sees it sent.
const statusClientGone = 499

// A problem is why a request fails, in the words of HTTP and SCIM.
type problem struct {
	status int
	reason scim.Reason // Internal where there is no word for it
	detail string
	allow  string      // the methods that are allowed, for 405
	scope  string      // the one that the credential lacks, for 403
	after  string      // when to try again, for 429 and 503; in seconds
	noBody bool        // the request has no body
	said   *spb.Status // what the core said; nil: it was not asked
}

// problemOf makes the problem of a reason.
func problemOf(reason scim.Reason, detail string) *problem {
	return &problem{status: reason.Status(), reason: reason, detail: detail}
}

// reasonOfCode is what a status without a reason of ours means.
func reasonOfCode(code codes.Code) scim.Reason {
	switch code {
	case codes.InvalidArgument, codes.OutOfRange, codes.FailedPrecondition:
		return scim.InvalidValue
	case codes.AlreadyExists:
		return scim.Uniqueness
	case codes.NotFound:
		return scim.NotFound
	case codes.Aborted:
		return scim.VersionMismatch
	case codes.ResourceExhausted:
		return scim.RateLimited
	case codes.Unauthenticated:
		return scim.Unauthenticated
	case codes.PermissionDenied:
		return scim.Forbidden
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return scim.Unavailable
	case codes.Unimplemented:
		return scim.NotImplemented
	default:
		return scim.Internal
	}
}

// problemOfStatus reads an error of the core: the reason it carries as ErrorInfo,
// or else the code. The door's own errors, such as JSON that does not fit a message,
// carry none, and are given it.
func problemOfStatus(st *status.Status) *problem {
	reason, scope, informed := reasonOfCode(st.Code()), "", false
	for _, detail := range st.Details() {
		if said, ok := detail.(*errdetails.ErrorInfo); ok && said.GetDomain() == "muster" {
			if known, ok := scim.ParseReason(said.GetReason()); ok {
				reason, scope, informed = known, said.GetMetadata()["scope"], true
			}
		}
	}
	if !informed {
		st = withReason(st, reason)
	}
	p := problemOf(reason, st.Message())
	p.scope, p.said = scope, st.Proto()
	return p
}

// withReason adds a reason to a status, as ErrorInfo; Internal is no reason.
func withReason(st *status.Status, reason scim.Reason) *status.Status {
	if reason == scim.Internal {
		return st
	}
	detailed, err := st.WithDetails(&errdetails.ErrorInfo{Reason: reason.String(), Domain: "muster"})
	if err != nil {
		return st
	}
	return detailed
}

// answerError is how the generated code answers an error.
func answerError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, err error) {
	x := exchangeOf(ctx)
	md := x.learn(ctx)
	if x.body.fault != nil {
		err = x.body.fault
	}
	var p *problem
	if ours, ok := errors.AsType[*scim.Error](err); ok {
		p = problemOf(ours.Reason, ours.Detail)
	} else {
		p = problemOfStatus(status.Convert(err))
	}
	if x.request.Context().Err() != nil {
		p.status = statusClientGone // no failure of ours, so none in the log
	}
	p.after = first(md, "retry-after")
	x.refuse(p)
}

// answerRoutingError is how the generated code answers a request that it has no
// rule for. The front lets none through, as long as the two agree.
func answerRoutingError(ctx context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, _ http.ResponseWriter, _ *http.Request, _ int) {
	exchangeOf(ctx).refuse(noPlace())
}

const bearerChallenge = `Bearer realm="muster"` //nolint:gosec // a challenge, no credential

// challenges name the schemes that work (RFC 9110 section 11.6.1). Where the client
// sent something, of which only the scheme matters here, RFC 6750 section 3.1 has a
// word for what was wrong with it.
func challenges(authorization string) []string {
	bearer := bearerChallenge
	if scheme, _, _ := strings.Cut(authorization, " "); scheme != "" && !strings.EqualFold(scheme, "Basic") {
		bearer += `, error="invalid_token"` //nolint:gosec // the same
	}
	return []string{bearer, `Basic realm="muster", charset="UTF-8"`}
}

// refuse sends the error body of a problem, with the headers that belong to its
// status.
func (x *exchange) refuse(p *problem) {
	x.refused = p
	h := x.Header()
	h.Del("Location") // of an answer that failed at its end
	h.Del("ETag")
	h.Set("Content-Type", x.mediaType)
	switch p.status {
	case http.StatusUnauthorized:
		h["Www-Authenticate"] = challenges(x.request.Header.Get("Authorization"))
	case http.StatusForbidden:
		if p.scope != "" {
			h.Set("WWW-Authenticate", bearerChallenge+`, error="insufficient_scope", scope="`+p.scope+`"`)
		}
	case http.StatusMethodNotAllowed:
		h.Set("Allow", p.allow)
	case http.StatusServiceUnavailable:
		if p.after == "" {
			p.after = "5"
		}
	case http.StatusInternalServerError:
		// The cause is in the core's log, under the id of the request.
		p.detail = "the server failed; its log tells more about the request " + x.id
	}
	if p.after != "" {
		h.Set("Retry-After", p.after)
	}
	x.WriteHeader(p.status)
	// An error means that the client is gone.
	if x.admin {
		_, _ = x.Write(appendStatus(nil, p))
		return
	}
	_, _ = x.Write(scim.AppendError(nil, p.status, p.reason, p.detail))
}
