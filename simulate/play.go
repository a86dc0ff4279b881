package simulate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object, as a client without a schema sees it.
type object = map[string]any

// play is one replay of a script in one media type.
type play struct {
	ctx     context.Context //nolint:containedctx // a play lives exactly as long as the call that made it
	base    *url.URL
	auth    string // the Authorization header
	media   string
	http    *http.Client
	secured *tls.Config // for connections besides http's; nil: the default
	report  *Report
	section string
	// run is part of every name the play makes, so that runs do not meet.
	run string
	// users and groups are the ids made and not yet deleted.
	users, groups []string
}

func newPlay(ctx context.Context, base *url.URL, o Options, media string, report *Report) *play {
	return &play{ctx: ctx, base: base, auth: "Bearer " + o.Token, media: media, http: newClient(o.TLS), secured: o.TLS, report: report}
}

// reach fails where nothing answers at the base URL, and where the server does not know the
// credential: then every step would fail, for the same reason, and a server that counts
// failed logins would make them wait. Any other answer will do: what is wrong with it is
// for the steps to say.
func (p *play) reach() error {
	req, err := p.newRequest(http.MethodGet, "/ServiceProviderConfig", request{})
	if err != nil {
		return err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return fmt.Errorf("no SCIM server answers: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusUnauthorized {
		return errors.New("the server does not accept the token (401 Unauthorized): is it whole, not revoked, and of this server?")
	}
	return nil
}

// step plays f and records what came of it. A step that needs what an earlier,
// failed one should have made fails too: the table shows all that is affected.
func (p *play) step(name string, f func() error) {
	began := time.Now()
	s := Step{Section: p.section, Name: name, Media: shortMedia(p.media), Outcome: Passed}
	err := p.ctx.Err()
	if err == nil {
		err = f()
	}
	if err != nil {
		s.Outcome, s.Detail = Failed, err.Error()
	}
	s.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
	p.report.Steps = append(p.report.Steps, s)
}

// notPlayed records, once for the whole script, a step that is left out.
func (p *play) notPlayed(name, why string) {
	s := Step{Section: p.section, Name: name, Outcome: NotPlayed, Detail: why}
	if !slices.Contains(p.report.Steps, s) {
		p.report.Steps = append(p.report.Steps, s)
	}
}

// answer is a response, read whole.
type answer struct {
	request string
	status  int
	header  http.Header
	body    object // nil where there was none
	raw     []byte
}

// request is what to send beside method and path.
type request struct {
	body   any    // an object to encode, or []byte sent as it is
	auth   string // instead of the play's own
	once   bool   // do not wait and send again where there were too many requests
	expect bool   // ask before sending the body (Expect: 100-continue)
}

// maxWaits is how often a request that meets a 429 is sent again, after the time that
// the server names.
const maxWaits = 5

// send performs one request against the base URL and reads the answer. Whatever
// the status, the media type of an answer with a body must be the one asked for.
func (p *play) send(method, path string, r request) (*answer, error) {
	for waits := 0; ; waits++ {
		a, err := p.sendOnce(method, path, r)
		if err != nil || a.status != http.StatusTooManyRequests || r.once || waits == maxWaits {
			return a, err
		}
		if err := a.wait(p.ctx); err != nil {
			return nil, err
		}
	}
}

// wait waits as long as Retry-After says.
func (a *answer) wait(ctx context.Context) error {
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil || seconds < 1 || seconds > 60 {
		return fmt.Errorf("%s: status 429, Retry-After is %q; want some seconds", a.request, a.header.Get("Retry-After"))
	}
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *play) sendOnce(method, path string, r request) (*answer, error) {
	req, err := p.newRequest(method, path, r)
	if err != nil {
		return nil, err
	}
	res, err := p.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{request: method + " " + path, status: res.StatusCode, header: res.Header}
	if a.raw, err = io.ReadAll(io.LimitReader(res.Body, 64<<20)); err != nil {
		return nil, fmt.Errorf("%s: reading the answer: %w", a.request, err)
	}
	return a, a.parse(p.media)
}

func (p *play) newRequest(method, path string, r request) (*http.Request, error) {
	var body io.Reader = http.NoBody
	switch b := r.body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(p.ctx, method, p.base.String()+path, body)
	if err != nil {
		return nil, err
	}
	auth := p.auth
	if r.auth != "" {
		auth = r.auth
	}
	bare, _, _ := strings.Cut(p.media, ";")
	req.Header.Set("Authorization", auth)
	req.Header.Set("Accept", bare)
	if r.body != nil {
		req.Header.Set("Content-Type", p.media)
	}
	if r.expect {
		req.Header.Set("Expect", "100-continue")
	}
	return req, nil
}

func (a *answer) parse(media string) error {
	if len(a.raw) == 0 {
		return nil
	}
	want, _, _ := strings.Cut(media, ";")
	got, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil || got != want {
		return fmt.Errorf("%s: status %d, Content-Type is %q; want %q", a.request, a.status, a.header.Get("Content-Type"), want)
	}
	if err := json.Unmarshal(a.raw, &a.body); err != nil {
		return fmt.Errorf("%s: status %d, the body is not a JSON object: %w", a.request, a.status, err)
	}
	return nil
}

// call sends and demands one of the statuses.
func (p *play) call(method, path string, body any, statuses ...int) (*answer, error) {
	a, err := p.send(method, path, request{body: body})
	if err != nil {
		return nil, err
	}
	return a, a.want(statuses...)
}

func (a *answer) want(statuses ...int) error {
	if slices.Contains(statuses, a.status) {
		return nil
	}
	text := string(a.raw)
	if len(text) > 300 {
		text = text[:300] + "…"
	}
	return fmt.Errorf("%s: status %d, want %v: %s", a.request, a.status, statuses, text)
}

// wantError demands a SCIM error (RFC 7644 section 3.12) with this status, and
// this scimType unless it is empty.
func (a *answer) wantError(status int, scimType string) error {
	if err := a.want(status); err != nil {
		return err
	}
	if !slices.Contains(texts(a.body["schemas"]), schemaError) {
		return fmt.Errorf("%s: the body of the %d is not a SCIM error: %s", a.request, status, a.raw)
	}
	if a.body["status"] != strconv.Itoa(status) {
		return fmt.Errorf("%s: status in the body is %v, want the string %q", a.request, a.body["status"], strconv.Itoa(status))
	}
	if scimType != "" && a.body["scimType"] != scimType {
		return fmt.Errorf("%s: scimType is %v, want %q", a.request, a.body["scimType"], scimType)
	}
	return nil
}

// id, version and list read the members of a resource that the script needs.
func (a *answer) id() string      { return text(a.body["id"]) }
func (a *answer) version() string { return text(dig(a.body, "meta", "version")) }

// resources returns totalResults and Resources of a list (RFC 7644 section 3.4.2).
func (a *answer) resources() (total int, list []object, err error) {
	if !slices.Contains(texts(a.body["schemas"]), schemaList) {
		return 0, nil, fmt.Errorf("%s: not a ListResponse: %.200s", a.request, a.raw)
	}
	n, ok := a.body["totalResults"].(float64)
	if !ok {
		return 0, nil, fmt.Errorf("%s: totalResults is missing", a.request)
	}
	return int(n), elements(a.body["Resources"]), nil
}

// elements returns the objects of a JSON array; none where it is no array.
func elements(v any) []object {
	var out []object
	list, _ := v.([]any)
	for _, e := range list {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

// dig follows names through nested objects.
func dig(v any, names ...string) any {
	for _, n := range names {
		o, ok := v.(object)
		if !ok {
			return nil
		}
		v = o[n]
	}
	return v
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		out = append(out, text(e))
	}
	return out
}

// with returns a copy of o with other members set; a nil value takes one away.
func with(o object, members object) object {
	c := maps.Clone(o)
	for k, v := range members {
		if v == nil {
			delete(c, k)
		} else {
			c[k] = v
		}
	}
	return c
}

// contains reports the first member of want that got lacks. Arrays must agree
// in length and order; objects may hold more than is wanted.
func contains(got, want any, at string) error {
	switch w := want.(type) {
	case object:
		g, ok := got.(object)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", at, got)
		}
		for k, v := range w {
			if err := contains(g[k], v, at+"."+k); err != nil {
				return err
			}
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Errorf("%s is %v, want %v", at, got, want)
		}
		for i := range w {
			if err := contains(g[i], w[i], fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	default:
		if got != want {
			return fmt.Errorf("%s is %v, want %v", at, got, want)
		}
	}
	return nil
}

// cleanUp deletes what the play made, even if it was interrupted.
func (p *play) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(p.ctx), time.Minute)
	defer cancel()
	p.ctx = ctx
	p.section = "Z Clean up"
	p.step("what the run made is deleted", func() error {
		var errs []error
		for _, id := range p.groups {
			_, err := p.call(http.MethodDelete, "/Groups/"+id, nil, 204, 404)
			errs = append(errs, err)
		}
		for _, id := range p.users {
			_, err := p.call(http.MethodDelete, "/Users/"+id, nil, 204, 404)
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	p.http.CloseIdleConnections()
}
