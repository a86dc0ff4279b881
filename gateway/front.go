package gateway

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/transport"
)

// requestIDHeader is in the form that net/http keeps, so that it converts nothing.
const requestIDHeader = "X-Request-Id"

// What the core is told of the client, for its log and its rules. Only the front
// sets these.
const (
	addressHeader = "Muster-Address"
	agentHeader   = "Muster-Agent"
	// The tenant that the path begins with: the credential must be one of it.
	tenantHeader = "Muster-Base-Tenant"
)

// The front is the first to see a request. What it hands inward is a request
// of its own making: a clean path, known query parameters, a body of known
// size, and no header but those the core needs.
type front struct {
	mux      http.Handler
	admin    *admin
	events   *admin
	recorder musterv1.RecordingServiceClient
	pages    map[string]Page
	log      *slog.Logger
	baseURL  string
	proxies  transport.Proxies
	maxBody  int // bytes: what is enough for many operations is so for one
	bodies   *bodies
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := f.begin(w, r)
	ctx := withExchange(r.Context(), x)
	defer func() {
		if cause := recover(); cause != nil {
			f.recovered(x, cause)
		}
		f.logRequest(ctx, x, time.Since(start))
		f.record(ctx, x, start)
	}()
	if p, known := f.pages[r.URL.Path]; known {
		x.show(p)
		return
	}
	mux, admit := f.mux, x.admit
	switch {
	case isAdmin(r):
		mux, admit = f.admin.mux, x.to(f.admin)
	case isEvents(r):
		mux, admit = f.events.mux, x.to(f.events)
	}
	inner, refused := admit(ctx)
	if refused != nil {
		x.refuse(refused)
		return
	}
	mux.ServeHTTP(x, inner)
}

// begin opens the exchange.
func (f *front) begin(w http.ResponseWriter, r *http.Request) *exchange {
	base, from := Addressed(r, f.proxies)
	x := &exchange{ResponseWriter: w, request: r, base: f.baseURL, address: from, maxBody: f.maxBody, bodies: f.bodies, mediaType: answerType(r.Header)}
	if x.base == "" {
		x.base = base
	}
	if x.id = r.Header.Get(requestIDHeader); !saneID(x.id) { //nolint:canonicalheader // it is net/http's form
		x.id = rand.Text()
	}
	w.Header().Set(requestIDHeader, x.id) //nolint:canonicalheader // the same
	// Answers hold what is known of people: no cache keeps them.
	w.Header().Set("Cache-Control", "no-store")
	return x
}

// Addressed tells how a client addressed the server, as the base URL of SCIM, and from
// where: for what is served beside this face. Proxies are those that are believed.
func Addressed(r *http.Request, proxies transport.Proxies) (base string, from netip.Addr) {
	own := peer(r)
	return ownURL(r, proxies.Believe(own)), proxies.Client(own, r.Header["X-Forwarded-For"])
}

// peer is who the connection is from: the client, or a proxy. The zero Addr: not
// known.
func peer(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr)
	return at.Addr().Unmap()
}

// addressText is an address for the core and the log; empty: not known.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// ownURL is the base URL as the client wrote it. Where it came through a proxy that is
// believed, that tells what the client wrote.
func ownURL(r *http.Request, believed bool) string {
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if believed {
		if told := lastOf(r.Header["X-Forwarded-Proto"]); told == "http" || told == "https" {
			scheme = told
		}
		if told := lastOf(r.Header["X-Forwarded-Host"]); saneHost(told) {
			host = told
		}
	}
	if host == "" { // HTTP/1.0
		return basePath
	}
	return scheme + "://" + host + basePath
}

// lastOf is the last element of a header that is a list: what the nearest proxy says.
// What stands before it may be the client's own.
func lastOf(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:])
}

// saneHost tells whether a text can be the host of a URL, with or without a port.
func saneHost(host string) bool {
	for i := range len(host) {
		if !alphanumeric(host[i]) && strings.IndexByte("-._:[]", host[i]) < 0 {
			return false
		}
	}
	return 0 < len(host) && len(host) <= 260 // a name and a port
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// saneID tells whether a request id of the client can be passed on.
func saneID(id string) bool {
	for i := range len(id) {
		if !alphanumeric(id[i]) && strings.IndexByte("-_.:/+=@", id[i]) < 0 {
			return false
		}
	}
	return 0 < len(id) && len(id) <= 128
}

// recovered answers a request that met a fault in the program.
func (f *front) recovered(x *exchange, cause any) {
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares the value of the panic too
		panic(cause)
	}
	f.log.Error("panic", "cause", cause, "request_id", x.id, "stack", string(debug.Stack()))
	if !x.sent {
		x.refuse(problemOf(scim.Internal, ""))
	}
}

// logRequest writes the line of one request. It has no query, no body and no
// token: a filter names people.
func (f *front) logRequest(ctx context.Context, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError && x.status != http.StatusNotImplemented { // what is not there is so by design
		level = slog.LevelError
	}
	if !f.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("method", x.request.Method),
		slog.String("path", x.request.URL.Path),
		slog.Int("status", x.status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000),
		slog.String("tenant", x.tenant),
		slog.String("credential", x.credential),
		slog.String("request_id", x.id),
		slog.String("address", addressText(x.address)),
	}
	if x.preview {
		attrs = append(attrs, slog.Bool("preview", true))
	}
	f.log.LogAttrs(ctx, level, "request", attrs...)
}

// admit checks what HTTP alone can check, in the order in which a client learns
// most: is there such a place, may one do this there, can what is sent be read.
func (x *exchange) admit(ctx context.Context) (*http.Request, *problem) {
	r := x.request
	tenant, path := splitTenant(r.URL.EscapedPath())
	place, refused := findPlace(path, r.Method)
	if refused != nil {
		return nil, refused
	}
	x.base = ofTenant(x.base, tenant)
	if refused := x.readBody(ctx); refused != nil {
		return nil, refused
	}
	form, refused := place.readQuery(r.URL.RawQuery)
	if refused != nil {
		return nil, refused
	}
	x.describes = place.kind == description
	x.endpoint, x.path = place.endpoint, place.path
	x.projected = form.Has("attributes") || form.Has("excludedAttributes")
	method := r.Method
	switch method {
	case http.MethodHead:
		method = http.MethodGet // net/http sends no body to HEAD
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		// The form fills the fields of the request message that neither path nor
		// body do: If-Match becomes its field if_match.
		for header, field := range map[string]string{"If-Match": "ifMatch", "If-None-Match": "ifNoneMatch"} {
			if tags := strings.Join(r.Header.Values(header), ","); tags != "" {
				form.Set(field, tags)
			}
		}
	}
	inner := x.inward(ctx, method, place.path, form, &x.body)
	if tenant != "" {
		inner.Header[tenantHeader] = []string{tenant}
	}
	return inner, nil
}

// inward is the request that is handed inward.
func (x *exchange) inward(ctx context.Context, method, path string, form url.Values, body io.ReadCloser) *http.Request {
	inner := &http.Request{
		Method: method, URL: &url.URL{Path: path},
		Header: http.Header{requestIDHeader: {x.id}, addressHeader: {addressText(x.address)}, agentHeader: {x.request.UserAgent()}},
		Body:   body,
		Form:   form, PostForm: form, // set, so that no one parses them again
	}
	if auth := x.request.Header.Get("Authorization"); auth != "" {
		inner.Header["Authorization"] = []string{auth}
	}
	return inner.WithContext(ctx)
}

// readBody reads the body of a request that must have one.
func (x *exchange) readBody(ctx context.Context) *problem {
	r := x.request
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
	default:
		return nil
	}
	if !readable(r.Header) {
		return &problem{status: http.StatusUnsupportedMediaType,
			detail: "send application/scim+json or application/json, in UTF-8 and not compressed"}
	}
	if r.ContentLength > int64(x.maxBody) {
		return x.tooLarge()
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(r.ContentLength, 0), smallBody)) + bytes.MinRead)
	n, err := buf.ReadFrom(io.LimitReader(r.Body, smallBody+1))
	if err == nil && n > smallBody {
		done, refused := x.bodies.take(ctx, x.address)
		if refused != nil {
			return refused
		}
		defer done()
		var rest int64
		rest, err = buf.ReadFrom(io.LimitReader(r.Body, int64(x.maxBody)+1-n))
		n += rest
	}
	switch {
	case err != nil:
		return problemOf(scim.InvalidSyntax, "the body could not be read to its end")
	case n > int64(x.maxBody):
		return x.tooLarge()
	case n == 0:
		p := problemOf(scim.InvalidSyntax, "the request needs a body")
		p.noBody = true
		return p
	}
	x.body.data = buf.Bytes()
	if x.body.cut = n > maxKept; !x.body.cut {
		x.body.kept = x.body.data
	}
	return nil
}

func (x *exchange) tooLarge() *problem {
	return problemOf(scim.PayloadTooLarge, fmt.Sprintf("the body is larger than %d bytes", x.maxBody))
}

const (
	scimJSON  = "application/scim+json"
	plainJSON = "application/json"
)

// readable tells whether the body is JSON; one without a type is taken for it.
func readable(h http.Header) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	switch written := h.Get("Content-Type"); written {
	case "", scimJSON, plainJSON:
		return true
	default:
		// The name is right even where a parameter is not; and whatever charset a
		// client claims, the codec refuses what is not UTF-8.
		name, _, _ := mime.ParseMediaType(written)
		return name == scimJSON || name == plainJSON
	}
}

// answerType is the media type of the answer: plain JSON for a client that
// accepts nothing else, and SCIM's own for everybody.
func answerType(h http.Header) string {
	accepted := h["Accept"]
	for _, line := range accepted {
		for part := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), plainJSON) {
				return scimJSON
			}
		}
	}
	if len(accepted) == 0 {
		return scimJSON
	}
	return plainJSON
}
