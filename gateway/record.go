package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
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

// record hands an exchange to the core, where that has told to. It does so before the
// request ends, so that exchanges of a client that waits for its answers stand in their
// order.
func (f *front) record(ctx context.Context, x *exchange, began time.Time) {
	if x.recording == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxRecording)
	defer cancel()
	_, below, plain := strings.Cut(x.request.URL.EscapedPath(), basePath)
	if !plain { // as in /scim//v2/Users
		below = (&url.URL{Path: strings.TrimPrefix(x.path, basePath)}).EscapedPath()
	}
	if query := x.request.URL.RawQuery; query != "" {
		below += "?" + query
	}
	_, err := f.recorder.RecordExchange(ctx, &musterv1.RecordExchangeRequest{
		Recording: x.recording, Base: x.base,
		Exchange: &musterv1.Exchange{
			Time: timestamppb.New(began), Took: durationpb.New(time.Since(began)), Method: x.request.Method, Path: below,
			RequestHeader: someHeaders(x.request.Header, recordedOfRequest), RequestBody: string(x.body.kept), RequestCut: x.body.cut,
			Status: int32(x.status), AnswerHeader: someHeaders(x.Header(), recordedOfAnswer), AnswerBody: string(x.answered), //nolint:gosec // of HTTP
		},
	})
	if err != nil {
		f.log.Error("an exchange could not be recorded", "request_id", x.id, "error", err)
	}
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
