package console

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
)

// A right is what a route asks of an operator.
type right string

const (
	open       right = ""       // nobody need be signed in
	look       right = "look"   // every role
	write      right = "write"  // users and groups
	administer right = "admin"  // credentials, schemas, settings
	survey     right = "survey" // look at all tenants
	govern     right = "govern" // make and change them
)

// A session is who is signed in.
type session struct {
	Operator string // the name
	Role     string // viewer, operator or administrator
	Tenant   string // whose data the pages show
	// Switches says that it may look at other tenants.
	Switches bool

	secret string // what the core knows it by
}

// can tells whether the role has a right. It decides what a page offers; what an operator
// may do the core decides.
func (s *session) can(r right) bool {
	switch {
	case r == open:
		return true
	case s == nil:
		return false
	case r == look:
		return true
	case r == write:
		return s.Role == "operator" || s.Role == "administrator"
	case r == survey:
		return s.Switches
	case r == govern:
		return s.Switches && s.Role == "administrator"
	}
	return s.Role == "administrator"
}

// A visit is one request, of an operator who may make it.
type visit struct {
	*http.Request
	*Console

	w       http.ResponseWriter
	session *session // nil where the route is open and nobody is signed in
	id      string   // of the request, in the log and the audit log
	does    deed     // of the route
}

// Metadata of calls; the core believes the last two in process only.
const (
	authorizationKey = "authorization"
	requestIDKey     = "x-request-id"
	addressKey       = "muster-address"
	agentKey         = "muster-agent"
)

// maxForm is how many bytes a form may have.
const maxForm = 1 << 20

// serve lets a visit happen: it finds who comes, checks the right, and makes a page of an
// error.
func (c *Console) serve(w http.ResponseWriter, r *http.Request, rt route) {
	start := time.Now()
	out := &answered{ResponseWriter: w}
	v := &visit{Request: r, Console: c, w: out, id: rand.Text(), does: rt.does}
	w.Header().Set("X-Request-Id", v.id) //nolint:canonicalheader // as the REST face has it
	r.Body = http.MaxBytesReader(out, r.Body, maxForm)
	err := v.run(rt) //nolint:contextcheck // a visit has its request's
	if err != nil {
		v.fail(err) //nolint:contextcheck // as above
	}
	attrs := []slog.Attr{
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", out.status),
		slog.Float64("duration_ms", float64(time.Since(start).Microseconds())/1000), slog.String("request_id", v.id),
	}
	if v.session != nil {
		attrs = append(attrs, slog.String("operator", v.session.Operator), slog.String("tenant", v.session.Tenant))
	}
	c.log.LogAttrs(r.Context(), slog.LevelInfo, "console", attrs...)
}

func (v *visit) run(rt route) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler { //nolint:errorlint // it is that very value
			panic(p) // cuts off an answer that has begun
		} else if p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	ctx := v.calling(v.Context())
	v.Request = v.WithContext(ctx)
	if v.session, err = v.find(v); err != nil && rt.needs != open {
		return err
	}
	if v.session != nil {
		ctx = as(ctx, v.session.secret, v.session.Tenant)
		v.Request = v.WithContext(ctx)
	}
	switch {
	case v.session.can(rt.needs):
		err = rt.handle(v)
	case v.session == nil:
		return errSignedOut
	default:
		err = errMayNot
	}
	if v.does != nothing && errors.Is(err, errMayNot) {
		v.noteRefused()
	}
	return err
}

// calling is the context of calls to the core: what it is told of the browser.
func (v *visit) calling(ctx context.Context) context.Context {
	pairs := []string{requestIDKey, v.id, agentKey, v.UserAgent()}
	if _, from := v.addressed(v.Request); from.IsValid() {
		pairs = append(pairs, addressKey, from.String())
	}
	return metadata.NewOutgoingContext(ctx, metadata.Pairs(pairs...))
}

// asks tells whether the script of a page asks for a fragment of it, and which.
func (v *visit) asks() string { return v.Header.Get("Muster-Fragment") }

// redirect goes on to another page, with GET.
func (v *visit) redirect(path string) error {
	http.Redirect(v.w, v.Request, path, http.StatusSeeOther)
	return nil
}

// done ends a deed: it says what was done, on the page that it goes to.
func (v *visit) done(path, message string) error {
	v.flash(flash{Text: message})
	return v.redirect(path)
}

// back is the path of the page that a form was on, or else another.
func (v *visit) back(otherwise string) string { return returnPath(v.FormValue("return"), otherwise) }

// returnPath is a path of this console that somebody sent, or another where it is not one:
// nobody is sent away to where a link of a stranger says.
func returnPath(sent, otherwise string) string {
	u, err := url.Parse(sent)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(sent, root) ||
		strings.ContainsAny(sent, "\\\r\n\t") || strings.Contains(u.Path, "//") || strings.Contains(u.Path, "/..") || len(sent) > 2000 {
		return otherwise
	}
	return u.RequestURI()
}

// cutPattern is a pattern of the table, as method and path below root.
func cutPattern(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " /")
	return method, path
}

// answered remembers the status of an answer.
type answered struct {
	http.ResponseWriter

	status int
}

func (a *answered) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answered) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (a *answered) Unwrap() http.ResponseWriter { return a.ResponseWriter }

var (
	errSignedOut = errors.New("nobody is signed in")
	errMayNot    = errors.New("the role does not allow it")
	errNoPage    = errors.New("there is no such page")
)
