// Package simulate plays what a provisioning client sends, against any SCIM 2.0
// server, and reports what the server got right. It speaks plain HTTP and knows
// nothing of Muster's own packages, so it proves a deployment from outside: with
// its real address, proxy and credential.
//
// The scripts follow what vendors publish about their clients. They are not
// captures of those clients.
package simulate

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// Options say against which server to play.
type Options struct {
	// URL is the SCIM base URL, as one would type it into the client's
	// configuration: with or without a trailing slash.
	URL string
	// Token is the bearer token.
	Token string
	// Others are further ways to authorize. Connecting and the first sync are played
	// with each of them too.
	Others []Authorization
	// Revoked is an Authorization header that was valid once; empty: there is none.
	Revoked string
	// Limited is an Authorization header with which the server admits few requests;
	// empty: there is none.
	Limited string
	// TLS is the configuration for https; nil: the default.
	TLS *tls.Config
}

// Authorization is one way to authorize.
type Authorization struct {
	// Name is what CyberArk Identity calls it.
	Name string
	// Header is the Authorization header. Empty: it is not at hand, and not played.
	Header string
}

// Names of the two media types that provisioning clients send. A replay uses
// one of them throughout.
const (
	mediaSCIM = "application/scim+json"
	mediaJSON = "application/json; charset=utf-8"
)

// CyberArk plays a provisioning run of CyberArk Identity, built to the list of
// endpoints that CyberArk publishes: once in each media type. It removes the
// users and groups that it made, whose names are unique to the run, so it can
// be repeated and leaves other data alone.
//
// An error means that the options are unusable, that nothing answers at the URL, or that
// the server does not accept the token;
// whatever the server does wrong is in the report.
func CyberArk(ctx context.Context, o Options) (*Report, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	report := &Report{Script: "cyberark", URL: base.String(), Started: time.Now().UTC()}
	run := make([]byte, 4)
	_, _ = rand.Read(run) // never fails (crypto/rand)
	if err := newPlay(ctx, base, o, mediaSCIM, report).reach(); err != nil {
		return nil, err
	}
	for _, media := range []string{mediaSCIM, mediaJSON} {
		p := newPlay(ctx, base, o, media, report)
		p.run = hex.EncodeToString(run) + shortMedia(media)[:1]
		p.cyberArk(o)
		p.cleanUp()
	}
	report.Seconds = time.Since(report.Started).Seconds()
	return report, nil
}

// newClient returns an HTTP client that shows redirects instead of following
// them, and gives up on a server that does not answer.
func newClient(secured *tls.Config) *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSClientConfig:       secured.Clone(), // the client adds HTTP/2 to it
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   32,
			IdleConnTimeout:       30 * time.Second,
			ExpectContinueTimeout: time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// shortMedia is the media type as the report shows it.
func shortMedia(media string) string {
	bare, _, _ := strings.Cut(media, ";")
	return strings.TrimPrefix(bare, "application/")
}
