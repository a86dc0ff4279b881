package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// The headers of a recorded exchange: none that proves who is calling.
var (
	recordedOfRequest = []string{"Accept", "Content-Type", "If-Match", "If-None-Match", "Prefer"}
	recordedOfAnswer  = []string{"Content-Type", "Etag", "Location", "Retry-After", "Www-Authenticate"}
)

// maxKept is the most bytes of a body that is kept until the request ends, since only
// the answer of the core tells whether it is recorded.
const maxKept = 128 << 10

// maxRecording is how long it may take to record an exchange.
const maxRecording = 5 * time.Second

// record hands an exchange to the core: what was asked and answered, and the bodies
// where somebody keeps them. It does so before the request ends, so that exchanges of a
// client that waits for its answers stand in their order.
func (f *front) record(ctx context.Context, x *exchange, began time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxRecording)
	defer cancel()
	req := &musterv1.RecordExchangeRequest{
		Recording: x.recording, Base: x.base, Call: x.call, Path: x.request.URL.RequestURI(),
		Exchange: &musterv1.Exchange{Time: timestamppb.New(began), Took: durationpb.New(time.Since(began)), Method: x.request.Method, Status: int32(x.status)}, //nolint:gosec // of HTTP
	}
	if p := x.refused; p != nil {
		if req.Detail = p.detail; p.reason != scim.Internal {
			req.Reason = p.reason.String()
		}
	}
	if x.keepsBodies() {
		x.addBodies(req.GetExchange())
	}
	// The core is told of the client as with any call; what it showed, so that the core
	// can find out whose it is, and keep it out of what it keeps.
	ctx = metadata.AppendToOutgoingContext(ctx, "x-request-id", x.id, "muster-address", addressText(x.address), "muster-agent", x.request.UserAgent(),
		"authorization", x.request.Header.Get("Authorization"))
	if _, err := f.recorder.RecordExchange(ctx, req); err != nil {
		f.log.Error("an exchange could not be recorded", "request_id", x.id, "error", err)
	}
}

// keepsBodies tells whether somebody keeps the bodies: those of a recording, of each
// error, and of some others, as the core says. Those of administration can have secrets.
func (x *exchange) keepsBodies() bool {
	return x.recording != "" || !x.admin && (x.sampled || x.status >= http.StatusBadRequest)
}

// addBodies adds what is kept of the request and the answer, beside what is known of
// them anyway.
func (x *exchange) addBodies(e *musterv1.Exchange) {
	_, below, plain := strings.Cut(x.request.URL.EscapedPath(), basePath)
	if !plain { // as in /scim//v2/Users
		below = (&url.URL{Path: strings.TrimPrefix(x.path, basePath)}).EscapedPath()
	}
	if query := x.request.URL.RawQuery; query != "" {
		below += "?" + query
	}
	e.Path, e.RequestHeader, e.AnswerHeader = below, someHeaders(x.request.Header, recordedOfRequest), someHeaders(x.Header(), recordedOfAnswer)
	e.RequestBody, e.RequestCut, e.AnswerBody, e.AnswerCut = string(x.body.kept), x.body.cut, string(x.answered), x.answerCut
}

func someHeaders(h http.Header, names []string) map[string]string {
	some := make(map[string]string)
	for _, name := range names {
		if values := h[name]; len(values) > 0 {
			some[name] = strings.Join(values, ", ")
		}
	}
	return some
}
