// Package issuer knows the public keys of outside issuers of tokens: it finds them
// by discovery, and keeps them while they are good.
package issuer

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// How long the keys of an issuer are good. What an issuer withdraws is refused once
// its keys were got again; while it cannot be reached, they go on being good.
const (
	Fresh  = time.Hour        // then they are got again, while they go on being used
	Outage = 24 * time.Hour   // then they are used no more
	Pause  = 30 * time.Second // between two attempts, whatever tokens come
)

// Limits of what is asked of an issuer.
const (
	Timeout    = 10 * time.Second // for all that it takes to get the keys
	MaxAnswer  = 256 << 10        // bytes
	MaxWaiting = 100              // calls that wait for the keys of one issuer
	maxKeys    = 100
	maxIssuers = 1000 // whose keys are kept
	minRSA     = 2048 // bits
)

// Where issuers tell about themselves.
const (
	openIDPath = "/.well-known/openid-configuration"
	oauthPath  = "/.well-known/oauth-authorization-server"
)

// Keys keep the public keys of issuers. What is exported may be set before they are
// used.
type Keys struct {
	Client *http.Client     // asks the issuers
	Now    func() time.Time // tells the time

	log *slog.Logger
	mu  sync.Mutex
	of  map[string]*cache
}

// A cache has the keys of one issuer.
type cache struct {
	issuer string
	slots  chan struct{} // one for each call that waits

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	got     time.Time     // when the keys were got
	tried   time.Time     // when it was last begun to get them
	getting chan struct{} // closed when that has ended; nil: it has
}

// NewKeys makes keys that know of no issuer yet. The log gets a line for each attempt to
// get keys that fails.
func NewKeys(log *slog.Logger) *Keys {
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: Timeout / 2}).DialContext,
		TLSHandshakeTimeout:    Timeout / 2,
		ResponseHeaderTimeout:  Timeout,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true, // it is seldom asked
	}
	client := &http.Client{Transport: transport, Timeout: Timeout, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if first := via[0].URL; r.URL.Host != first.Host || r.URL.Scheme != first.Scheme || len(via) > 3 {
			return fmt.Errorf("it leads to %.100s", r.URL.Redacted())
		}
		return nil
	}}
	return &Keys{log: log, Client: client, Now: time.Now, of: make(map[string]*cache)}
}

// Find finds the keys of an issuer by their id; no id: all. It asks the issuer only
// where it must, and waits for nobody but this issuer. Its error is for the log.
func (k *Keys) Find(ctx context.Context, issuer, id string) ([]jose.JSONWebKey, error) {
	c := k.cacheOf(issuer)
	found, getting := k.look(c, id) //nolint:contextcheck // others wait for the same keys, so they are got for no one call
	if len(found) > 0 {
		return found, nil
	}
	if getting == nil {
		return nil, fmt.Errorf("the issuer %s has no key %.80q", issuer, id)
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	default:
		return nil, fmt.Errorf("too many wait for the keys of the issuer %s", issuer)
	}
	select {
	case <-getting:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if found = c.usable(id, k.Now()); len(found) == 0 {
		return nil, fmt.Errorf("the issuer %s has no key %.80q, or cannot be reached", issuer, id)
	}
	return found, nil
}

func (k *Keys) cacheOf(issuer string) *cache {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.of[issuer]
	if c == nil {
		if len(k.of) >= maxIssuers {
			for other := range k.of { // any
				delete(k.of, other)
				break
			}
		}
		c = &cache{issuer: issuer, slots: make(chan struct{}, MaxWaiting)}
		k.of[issuer] = c
	}
	return c
}

// look finds keys that are known, and begins to get them where they are not, or are
// no longer fresh, unless that was tried just now. getting is closed when it has ended.
func (k *Keys) look(c *cache, id string) (found []jose.JSONWebKey, getting <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := k.Now()
	found = c.usable(id, now)
	fresh := len(found) > 0 && now.Sub(c.got) < Fresh
	if !fresh && c.getting == nil && now.Sub(c.tried) >= Pause {
		c.tried, c.getting = now, make(chan struct{})
		go k.get(c, c.getting)
	}
	return found, c.getting
}

// usable are the keys with an id that are not too old.
func (c *cache) usable(id string, now time.Time) (found []jose.JSONWebKey) {
	if now.Sub(c.got) >= Outage {
		return nil
	}
	for _, key := range c.keys {
		if id == "" || key.KeyID == id {
			found = append(found, key)
		}
	}
	return found
}

// get gets the keys of an issuer.
func (k *Keys) get(c *cache, done chan struct{}) {
	defer close(done)
	ctx, cancel := context.WithTimeout(context.Background(), Timeout)
	defer cancel()
	keys, err := k.fetch(ctx, c.issuer)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.getting = nil
	if err != nil {
		k.log.Warn("the keys of an outside issuer cannot be got; those that are known stay good for a day after they were", "issuer", c.issuer, "keys", len(c.keys), "got", c.got, "error", err)
		return
	}
	c.keys, c.got = keys, k.Now()
}

// fetch asks an issuer where its keys are (OpenID Connect Discovery 1.0 section 4, or
// else RFC 8414 section 3), and gets them.
func (k *Keys) fetch(ctx context.Context, issuer string) ([]jose.JSONWebKey, error) {
	u, err := secureURL(issuer)
	if err != nil {
		return nil, err
	}
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err = k.ask(ctx, strings.TrimSuffix(issuer, "/")+openIDPath, &about); err != nil {
		metadata := url.URL{Scheme: u.Scheme, Host: u.Host, Path: oauthPath + strings.TrimSuffix(u.Path, "/")}
		if k.ask(ctx, metadata.String(), &about) != nil {
			return nil, err
		}
	}
	if about.Issuer != issuer {
		return nil, fmt.Errorf("it says that it is %.200q", about.Issuer)
	}
	if at, err := secureURL(about.Keys); err != nil || at.Scheme == "http" && u.Scheme != "http" {
		return nil, fmt.Errorf("its keys are at %.200q, which is no https URL", about.Keys)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := k.ask(ctx, about.Keys, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxKeys)
	}
	return publicKeys(set.Keys), nil
}

// secureURL parses a URL of https, or of http and a loopback address.
func secureURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	ip := net.ParseIP(u.Hostname())
	if local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return nil, fmt.Errorf("%.200q is no https URL", text)
	}
	return u, nil
}

// publicKeys are the keys that can check signatures. Others are passed over.
func publicKeys(raw []json.RawMessage) (keys []jose.JSONWebKey) {
	for _, data := range raw {
		var key jose.JSONWebKey
		if key.UnmarshalJSON(data) != nil || !key.IsPublic() || !key.Valid() {
			continue
		}
		if r, ok := key.Key.(*rsa.PublicKey); ok && r.N.BitLen() < minRSA {
			continue
		}
		keys = append(keys, key)
	}
	return keys
}

// ask gets JSON.
func (k *Keys) ask(ctx context.Context, from string, to any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "application/json")
	res, err := k.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", from, res.Status)
	}
	data, err := io.ReadAll(io.LimitReader(res.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading %s: %w", from, err)
	case len(data) > MaxAnswer:
		return fmt.Errorf("%s answers more than %d bytes", from, MaxAnswer)
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}
