package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/muster-scim/muster/store"
)

// Limits of what is sent to a receiver and of what it says.
const (
	maxSaid       = 4 << 10 // bytes of its answer that are read
	maxReason     = 500     // bytes of its answer that are kept
	maxRetryAfter = time.Hour
)

// setType is the media type of a token (RFC 8417 section 7.1).
const setType = "application/secevent+jwt"

// A pusher sends tokens (RFC 8935).
type pusher struct{ client *http.Client }

// errPrivate is that of an address which only receivers that the operator allows have.
var errPrivate = errors.New("the endpoint is at a private or loopback address, which this server does not send to unless it is started with --events-private")

// newPusher makes a client that follows no redirect, uses no proxy, and connects to
// public addresses only; with private also to private ones and to its own machine. The
// address is checked when it connects, so that no name can lead elsewhere.
func newPusher(o Options) *pusher {
	dialer := &net.Dialer{Timeout: o.Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		return mayReach(at.Addr().Unmap(), o.Private)
	}}
	return &pusher{&http.Client{
		Timeout:       o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true, TLSHandshakeTimeout: o.Timeout,
			MaxIdleConnsPerHost: atOnce, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		},
	}}
}

// mayReach fails for an address that a receiver must not have: one that is for a single
// link, as that of a cloud's metadata service, never; and a private one only where the
// operator allows it.
func mayReach(at netip.Addr, private bool) error {
	switch {
	case at.IsLinkLocalUnicast() || at.IsMulticast() || at.IsUnspecified() || at.IsInterfaceLocalMulticast():
		return fmt.Errorf("the endpoint is at %s, where no receiver can be", at)
	case (at.IsLoopback() || at.IsPrivate() || sharedSpace.Contains(at)) && !private:
		return errPrivate
	}
	return nil
}

// sharedSpace is between a carrier and its customers (RFC 6598): private, too.
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

// outcome is what became of one attempt.
type outcome struct {
	accepted   bool
	reason     string
	retryAfter time.Duration // as the receiver asks; 0: it does not
}

// send posts a token. What the receiver says may have its own secret in it, so that is
// taken out.
func (p *pusher) send(ctx context.Context, sub *store.Subscription, token string) outcome {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, sub.Settings.Endpoint, strings.NewReader(token))
	if err != nil {
		return outcome{reason: "the endpoint cannot be asked"}
	}
	req.Header.Set("Content-Type", setType)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Muster")
	if sub.Secret != "" {
		req.Header.Set("Authorization", sub.Secret)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return outcome{reason: cause(err)}
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, maxSaid)) // what cannot be read is not said
	if res.StatusCode/100 == 2 {
		return outcome{accepted: true}
	}
	return outcome{reason: hide(refusal(res.StatusCode, said), sub.Secret), retryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now())}
}

// cause is what an operator is told of an attempt without an answer. The URL stands in
// the subscription.
func cause(err error) string {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return "the receiver does not answer in time"
	}
	return err.Error()
}

// refusal is what an operator is told of an answer (RFC 8935 section 2.3).
func refusal(status int, said []byte) string {
	text := "the receiver answers " + strconv.Itoa(status) + " " + http.StatusText(status)
	var e struct {
		Err         string `json:"err"`
		Description string `json:"description"`
	}
	if json.Unmarshal(said, &e) == nil && e.Err != "" {
		return text + ": " + shorten(e.Err+": "+e.Description)
	}
	if 300 <= status && status < 400 {
		return text + "; redirects are not followed"
	}
	return text
}

// shorten makes a text one that can be kept.
func shorten(text string) string {
	text = strings.ToValidUTF8(text[:min(len(text), maxReason)], "")
	return strings.TrimSuffix(strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, text)), ":")
}

// hide takes a secret out of a text: the whole header, and what stands after its scheme.
func hide(text, secret string) string {
	for _, s := range []string{secret, secret[strings.LastIndexByte(secret, ' ')+1:]} {
		if s != "" {
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}

// retryAfter reads the header (RFC 9110 section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.Atoi(text); err == nil {
		wait = time.Duration(min(seconds, int(maxRetryAfter.Seconds()))) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
