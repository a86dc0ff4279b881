package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// An exchange is one request and its answer. It goes through the generated code
// as the http.ResponseWriter, which sends nothing before the body is there: only
// then the status and all headers are known.
type exchange struct {
	http.ResponseWriter

	request   *http.Request // as it came
	id        string        // of the request
	base      string        // URL of the SCIM endpoints
	address   netip.Addr    // of the client
	mediaType string        // of the answer
	body      body          // of the request
	maxBody   int           // bytes
	bodies    *bodies       // where a large body finds a place
	projected bool          // the request says which attributes it wants
	describes bool          // the answer describes the server
	endpoint  string        // without the slash: Users
	path      string        // clean and unescaped
	admin     bool          // it is about administration, not SCIM

	status             int // of the answer; 0: not yet decided
	sent               bool
	tenant, credential string // who asked, as the core tells
	strict             bool   // the tenant's clients take RFC 7644 by its word
	preview            bool   // nothing of it is kept
	recording          string // where the exchange is recorded, as the core tells; empty: nowhere
	call               string // what the core wants back with the exchange
	sampled            bool   // the core keeps the bodies of this one
	refused            *problem
	answered           []byte // the body of the answer, where it is kept
	answerCut          bool   // it is too large for that
}

// body is the body of a request, read already. Decoding leaves its error here,
// because the generated code makes a text of it.
type body struct {
	data  []byte
	kept  []byte // the same, for as long as the exchange, if it is small
	cut   bool   // it is not
	fault error
}

func (*body) Read([]byte) (int, error) { return 0, io.EOF }
func (*body) Close() error             { return nil }

type exchangeKey struct{}

func withExchange(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// exchangeOf is the exchange that the call belongs to.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// WriteHeader decides the status.
func (x *exchange) WriteHeader(status int) { x.status = status }

// Write sends the answer, which is written in one piece.
func (x *exchange) Write(data []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	if x.describes && x.status == http.StatusOK {
		x.tag(data)
	}
	h := x.Header()
	empty := x.bodiless()
	if !empty && x.request.Method != http.MethodHead && x.keepsBodies() {
		x.keepAnswer(data)
	}
	if empty {
		h.Del("Content-Type")
		h.Del("Content-Length")
	} else if !x.sent {
		h.Set("Content-Length", strconv.Itoa(len(data)))
	}
	if !x.sent {
		x.sent = true
		x.ResponseWriter.WriteHeader(x.status)
	}
	if empty || x.request.Method == http.MethodHead {
		return len(data), nil
	}
	return x.ResponseWriter.Write(data)
}

// keepAnswer keeps what is sent until the exchange is handed back: all of it for a
// recording, which says itself what is too much.
func (x *exchange) keepAnswer(data []byte) {
	if x.recording == "" && (x.answerCut || len(x.answered)+len(data) > maxKept) {
		x.answered, x.answerCut = nil, true
		return
	}
	x.answered = append(x.answered, data...)
}

// tag gives an answer that describes the server an ETag: it has no version but
// what it says.
func (x *exchange) tag(data []byte) {
	sum := sha256.Sum256(data)
	etag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	x.Header().Set("ETag", etag)
	if namesVersion(x.request.Header["If-None-Match"], etag) {
		x.status = http.StatusNotModified
	}
}

// bodiless tells whether the status allows no body.
func (x *exchange) bodiless() bool {
	return x.status == http.StatusNoContent || x.status == http.StatusNotModified
}

// learn takes over what the core tells about the call in its headers.
func (x *exchange) learn(ctx context.Context) metadata.MD {
	md, _ := runtime.ServerMetadataFromContext(ctx)
	x.tenant, x.credential = first(md.HeaderMD, "muster-tenant"), first(md.HeaderMD, "muster-credential")
	x.strict = first(md.HeaderMD, "muster-profile") == "strict"
	if x.preview = first(md.HeaderMD, "muster-mode") == "preview"; x.preview {
		x.Header().Set("Muster-Mode", "preview")
	}
	x.recording, x.call = first(md.HeaderMD, "muster-recording"), first(md.HeaderMD, "muster-call")
	x.sampled = first(md.HeaderMD, "muster-sampled") != ""
	return md.HeaderMD
}

// first is the first value of a header of the core, or "".
func first(md metadata.MD, key string) string {
	if values := md[key]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// answer is what the marshaler prints: a body, with the URL that its URIs begin
// with.
type answer struct {
	body any
	base string
}

// bodyOf is the part of a response message that http.yaml makes the body.
func bodyOf(response proto.Message) any {
	if r, ok := response.(interface{ XXX_ResponseBody() any }); ok {
		return r.XXX_ResponseBody()
	}
	return response
}

// toAnswer prepares a response message for the marshaler.
func toAnswer(ctx context.Context, response proto.Message) (any, error) {
	x := exchangeOf(ctx)
	if x.bodiless() {
		return answer{}, nil
	}
	return answer{body: bodyOf(response), base: x.base}, nil
}

// decorate decides the status of an answer and sets its headers (RFC 7644
// sections 3.3 to 3.6 and 3.14).
func decorate(ctx context.Context, w http.ResponseWriter, response proto.Message) error {
	x := exchangeOf(ctx)
	x.learn(ctx)
	h := w.Header()
	h.Set("Content-Type", x.mediaType)
	method := x.request.Method
	r, single := bodyOf(response).(scim.Resource)
	if !single {
		if method == http.MethodDelete {
			x.status = http.StatusNoContent
		}
		return nil
	}
	version := r.GetMeta().GetVersion()
	if version != "" {
		h.Set("ETag", version)
	}
	_, isGroup := r.(*musterv1.Group)
	switch {
	case method == http.MethodPost:
		x.status = http.StatusCreated
		at := "/" + x.endpoint + "/" + r.GetId()
		if known := r.GetMeta().GetLocation(); known != "" { // of a registered type, which may be called by its name here
			at = known
		}
		h.Set("Location", x.base+at)
	case method == http.MethodPatch && (isGroup || x.strict) && !x.projected:
		// The members are left out of this answer, and a group without its members
		// could be taken for an empty one. Strict clients want no body anyway.
		x.status = http.StatusNoContent
	case method == http.MethodGet || method == http.MethodHead:
		return x.checkRead(version)
	}
	return nil
}

// checkRead checks the conditions of a read; those of a write are the core's, which
// checks them where it writes.
func (x *exchange) checkRead(version string) error {
	if match := x.request.Header["If-Match"]; len(match) > 0 && !namesVersion(match, version) {
		return scim.Errorf(scim.VersionMismatch, "the version is %s now", version)
	}
	if namesVersion(x.request.Header["If-None-Match"], version) {
		x.status = http.StatusNotModified
	}
	return nil
}

// namesVersion tells whether an If-Match or If-None-Match header names the version.
// The comparison is the weak one (RFC 9110 section 13.1.2), since SCIM's own
// examples have weak tags only.
func namesVersion(header []string, version string) bool {
	if version == "" {
		return false
	}
	for _, line := range header {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(version, "W/") {
				return true
			}
		}
	}
	return false
}
