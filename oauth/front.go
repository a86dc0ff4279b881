package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// maxForm is how many bytes a form may have.
const maxForm = 64 << 10

// An exchange is one request and its answer.
type exchange struct {
	http.ResponseWriter

	issuer  string
	address netip.Addr

	// For the log.
	status             int
	tenant, credential string
	// For the audit log: what is done, and why it was refused where that is known.
	act     store.Act
	refused *scim.Error
}

// isOf notes who is asking.
func (x *exchange) isOf(p store.Principal) {
	x.tenant, x.credential = p.TenantName, p.Credential.Name
	x.act.TenantID, x.act.Credential = p.Tenant.ID(), p.Credential.Name
}

type exchangeKey struct{}

// exchangeOf is the exchange that the context belongs to.
func exchangeOf(ctx context.Context) *exchange {
	return ctx.Value(exchangeKey{}).(*exchange) //nolint:forcetypeassert // serve has set it
}

// WriteHeader adds the headers that belong to a status.
func (x *exchange) WriteHeader(status int) {
	if x.status = status; status == http.StatusUnauthorized {
		x.Header().Set("WWW-Authenticate", `Basic realm="muster"`)
	}
	x.ResponseWriter.WriteHeader(status)
}

// tellRetryAfter puts in the header when the client can try again, in seconds.
func (x *exchange) tellRetryAfter(err error) {
	if e, ours := errors.AsType[*scim.Error](err); ours && e.RetryAfter > 0 {
		x.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
}

func (x *exchange) Write(data []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	return x.ResponseWriter.Write(data)
}

// serve takes a request to its endpoint and writes its line in the log, which has
// no query and no form.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e endpoint) {
	start := time.Now()
	id := rand.Text()
	h := w.Header()
	h.Set("X-Request-Id", id) //nolint:canonicalheader // it is net/http's form
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	x := &exchange{ResponseWriter: w}
	x.issuer, x.address = s.opts.Addressed(r)
	x.act = store.Act{Method: strings.TrimPrefix(r.URL.Path, "/"), RequestID: id, Client: r.UserAgent()}
	if x.address.IsValid() {
		x.act.Address = x.address.String()
	}
	defer func() { //nolint:contextcheck // the context of the request
		if cause := recover(); cause != nil {
			s.log.Error("panic", "cause", cause, "request_id", id, "stack", string(debug.Stack()))
			if x.status == 0 {
				x.WriteHeader(http.StatusInternalServerError)
			}
		}
		if r.Method == http.MethodPost {
			s.audit(r.Context(), x)
			s.note(r, x, start)
		}
		s.log.LogAttrs(r.Context(), slog.LevelInfo, "request",
			slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", x.status),
			slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000),
			slog.String("tenant", x.tenant), slog.String("credential", x.credential), slog.String("request_id", id), slog.String("address", x.address.String()))
	}()
	if !slices.Contains(strings.Split(e.methods, ", "), r.Method) {
		h.Set("Allow", e.methods)
		http.Error(x, "the method is not allowed here", http.StatusMethodNotAllowed)
		return
	}
	r = r.WithContext(store.Acting(context.WithValue(r.Context(), exchangeKey{}, x), &x.act))
	r.Body = http.MaxBytesReader(x, r.Body, maxForm)
	e.serve(x, r)
}

// outcome is why a request was refused, and what the client was told of it where that
// is known.
func (x *exchange) outcome() (reason, detail string) {
	switch {
	case x.refused != nil:
		return x.refused.Reason.String(), x.refused.Detail
	case x.status >= http.StatusInternalServerError:
		return scim.Internal.String(), ""
	}
	return scim.InvalidValue.String(), ""
}

// audit records a request that was refused. What is done is recorded by the store.
func (s *Server) audit(ctx context.Context, x *exchange) {
	if s.opts.Audit == nil || x.status < http.StatusBadRequest {
		return
	}
	e := x.act.Event()
	e.Outcome, e.Detail = x.outcome()
	s.opts.Audit(ctx, e)
}

// note notes an exchange, without its form: all in that can be a secret.
func (s *Server) note(r *http.Request, x *exchange, began time.Time) {
	if s.opts.Note == nil {
		return
	}
	e := store.Exchange{
		TenantID: x.act.TenantID, Credential: x.credential, RequestID: x.act.RequestID, Address: x.act.Address, Client: x.act.Client,
		Door: store.REST, Method: r.Method, Path: r.URL.Path, Status: x.status, Time: began, Took: time.Since(began), Writes: true,
	}
	if x.status >= http.StatusBadRequest {
		e.Reason, e.Detail = x.outcome()
	}
	s.opts.Note(e, x.credential != "")
}

// serveForm serves the token and the revocation endpoint: what they are asked stands
// in the body only, so that no log of addresses shows a secret (RFC 6749 section
// 2.3.1).
func (s *Server) serveForm(w http.ResponseWriter, r *http.Request) {
	r.URL.RawQuery = ""
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "application/x-www-form-urlencoded" {
		op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("send a form: application/x-www-form-urlencoded"), nil)
		return
	}
	if problem := readForm(r); problem != "" {
		op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("%s", problem), nil)
		return
	}
	s.wire.ServeHTTP(w, r)
}

// readForm reads query and body into r.Form, and tells what is wrong with them. No
// parameter may come twice (RFC 6749 section 3.1), and an empty one is as none.
func readForm(r *http.Request) (problem string) {
	if err := r.ParseForm(); err != nil {
		return "the form cannot be read, or is too large"
	}
	for name, values := range r.Form {
		if len(values) > 1 {
			return "the parameter " + strconv.Quote(name) + " is given twice"
		}
		if values[0] == "" {
			delete(r.Form, name)
		}
	}
	return ""
}

// IssuerOf is the issuer that belongs to the public address of the SCIM base: what
// stands before /scim/v2, or else its origin.
func IssuerOf(baseURL string) string {
	if before, ok := strings.CutSuffix(strings.TrimRight(baseURL, "/"), "/scim/v2"); ok {
		return before
	}
	u, err := url.Parse(baseURL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
