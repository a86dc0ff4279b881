package conformance

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const mediaSCIM = "application/scim+json"

// client sends requests to the server under test.
type client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// newClient returns a client that shows redirects instead of following them, and
// gives up on a server that does not answer.
func newClient(base *url.URL, token string, secured *tls.Config) *client {
	return &client{base: base, token: strings.TrimSpace(token), http: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			TLSClientConfig:     secured.Clone(), // the client adds HTTP/2 to it
			ForceAttemptHTTP2:   true,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// request is what to send.
type request struct {
	method string
	path   string // below the base URL, with its query
	header map[string]string
	body   []byte // nil for none
}

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   any // the JSON value, or nil
}

// Exchange is a request and its answer as text, without the token.
type Exchange struct {
	Sent     string `json:"sent"`
	Received string `json:"received"`
}

// maxAnswer is how much of an answer is read. A group of some ten thousand
// members stays below it.
const maxAnswer = 64 << 20

// send performs one request. A server that asks to come back later (429) is
// asked again, when it says.
func (c *client) send(ctx context.Context, r request) (*answer, error) {
	for tries := 0; ; tries++ {
		a, err := c.sendOnce(ctx, r)
		if err != nil || a.status != http.StatusTooManyRequests || tries == 5 {
			return a, err
		}
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil {
			seconds = 1
		}
		if err := pause(ctx, time.Duration(min(max(seconds, 1), 60))*time.Second); err != nil {
			return nil, err
		}
	}
}

func (c *client) sendOnce(ctx context.Context, r request) (*answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base.String()+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Accept", mediaSCIM)
	if r.body != nil {
		req.Header.Set("Content-Type", mediaSCIM)
	}
	for name, value := range r.header {
		if req.Header.Del(name); value != "" {
			req.Header.Set(name, value)
		}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{status: res.StatusCode, header: res.Header}
	if a.raw, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if json.Unmarshal(a.raw, &a.body) != nil {
		a.body = nil // what is expected of the body says so
	}
	return a, nil
}

// exchange puts a request and its answer into words for the report.
func exchange(r request, a *answer, err error) Exchange {
	var sent, got strings.Builder
	fmt.Fprintf(&sent, "%s %s\n", r.method, r.path)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if !strings.EqualFold(name, "Authorization") {
			fmt.Fprintf(&sent, "%s: %s\n", name, r.header[name])
		}
	}
	sent.WriteString(shorten(r.body))
	if err != nil {
		return Exchange{Sent: sent.String(), Received: err.Error()}
	}
	fmt.Fprintf(&got, "%d %s\n", a.status, http.StatusText(a.status))
	for _, name := range []string{"Content-Type", "Location", "ETag", "Allow", "WWW-Authenticate", "Retry-After"} {
		if v := a.header.Get(name); v != "" {
			fmt.Fprintf(&got, "%s: %s\n", name, v)
		}
	}
	got.WriteString(shorten(a.raw))
	return Exchange{Sent: strings.TrimSpace(sent.String()), Received: strings.TrimSpace(got.String())}
}

func shorten(body []byte) string {
	const most = 1200
	if len(body) <= most {
		return string(body)
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(string(body[:most]), ""), len(body))
}
