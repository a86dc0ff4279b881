package console

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Limits of what the panel of a connection looks at.
const (
	maxCallsShown  = 8
	maxCallsLooked = 60
	// refusedFor is how long a refused call that names nobody is of interest.
	refusedFor = time.Hour
)

// A check is one thing that a provisioning client reads when it verifies a connection.
type check struct {
	Place  string // the first part of the path below the base URL
	Text   string
	Needed bool // without it a connection is not verified
	State  string
	Call   *musterv1.LoggedExchange // the last one
}

// The states of a check and of a whole connection.
const (
	stateWaiting = "todo"
	stateGoing   = "going"
	stateGood    = "good"
	stateBad     = "bad"
)

// A connection is how far a client is with a credential: what it asked of late, and what
// that means.
type connection struct {
	Credential credentialRow
	Checks     []check
	Calls      []*musterv1.LoggedExchange // the newest first
	Stream     string                     // where it is followed
	Page       string                     // where it is seen again
}

// connecting is what calls are about that a connection is told by.
var connecting = []musterv1.LoggedExchange_Kind{
	musterv1.LoggedExchange_KIND_DISCOVERY, musterv1.LoggedExchange_KIND_USERS, musterv1.LoggedExchange_KIND_OAUTH, musterv1.LoggedExchange_KIND_UNKNOWN,
}

// newConnection is a connection of which nothing is known yet.
func newConnection(c credentialRow) *connection {
	n := &connection{Credential: c, Stream: c.Path + "/connection", Page: c.Path + "/connect", Checks: []check{
		{Place: "ServiceProviderConfig", Text: "What the server can do", Needed: true},
		{Place: "ResourceTypes", Text: "That there are users and groups", Needed: true},
		{Place: "Schemas", Text: "Which attributes they have", Needed: true},
		{Place: "Users", Text: "A first look at users", Needed: false},
	}}
	if c.GetKind() == musterv1.Credential_KIND_OAUTH {
		n.Checks = slices.Insert(n.Checks, 0, check{Place: "oauth2", Text: "An access token", Needed: true})
	}
	for i := range n.Checks {
		n.Checks[i].State = stateWaiting
	}
	return n
}

// placeOf is the first part of a path below the base URL, such as Schemas.
func placeOf(path string) string {
	path, _, _ = strings.Cut(path, "?")
	if _, below, found := strings.Cut(path, scimPath+"/"); found {
		path = below
	}
	first, _, _ := strings.Cut(strings.Trim(path, "/"), "/")
	return first
}

// isRefusal tells whether somebody was not let in.
func isRefusal(e *musterv1.LoggedExchange) bool {
	return e.GetStatus() == http.StatusUnauthorized || e.GetStatus() == http.StatusForbidden || e.GetStatus() == http.StatusTooManyRequests
}

// isLook11 tells whether somebody looks whether the server is one of SCIM 1.1, which it
// is not. That fails, and means nothing.
func isLook11(e *musterv1.LoggedExchange) bool {
	return e.GetStatus() == http.StatusNotFound && placeOf(e.GetPath()) == "ServiceProviderConfigs"
}

// concerns tells whether a call may be of the connection: one with its credential, or one
// that was refused and shows nobody that is known here.
func (n *connection) concerns(e *musterv1.LoggedExchange) bool {
	if e.GetDoor() != musterv1.Door_DOOR_REST {
		return false
	}
	if e.GetCredential() == n.Credential.GetName() {
		return n.checkOf(e) != nil || isRefusal(e) || isLook11(e)
	}
	stranger := e.GetStatus() == http.StatusUnauthorized || e.GetStatus() == http.StatusTooManyRequests && e.GetCredential() == "" ||
		e.GetKind() == musterv1.LoggedExchange_KIND_UNKNOWN && e.GetCredential() == ""
	return stranger && time.Since(e.GetTime().AsTime()) < refusedFor && e.GetTime().AsTime().After(n.Credential.GetCreateTime().AsTime())
}

// checkOf is the check that a call is of, or nil.
func (n *connection) checkOf(e *musterv1.LoggedExchange) *check {
	place := placeOf(e.GetPath())
	if place != "oauth2" && e.GetMethod() != http.MethodGet {
		return nil
	}
	i := slices.IndexFunc(n.Checks, func(c check) bool { return c.Place == place })
	if i < 0 {
		return nil
	}
	return &n.Checks[i]
}

// add takes a call into account, which is later than all before it. It says whether that
// is to be seen.
func (n *connection) add(e *musterv1.LoggedExchange) bool {
	if !n.concerns(e) {
		return false
	}
	c := n.checkOf(e)
	if c != nil && !c.Needed && c.State == stateGood && !isRefusal(e) && n.State() != stateBad {
		return false // a sync reads users all the time
	}
	if own := e.GetCredential() == n.Credential.GetName(); c != nil && (own || c.State != stateGood) {
		c.Call = e
		if c.State = stateGood; e.GetStatus() >= http.StatusBadRequest {
			c.State = stateBad
		}
	}
	n.Calls = slices.Insert(n.Calls, 0, e)
	n.Calls = n.Calls[:min(len(n.Calls), maxCallsShown)]
	return true
}

// State is the state of the whole. Once everything that is needed was read, only what
// the client itself does can spoil it.
func (n *connection) State() string {
	complete, began := true, false
	for _, c := range n.Checks {
		complete = complete && (c.State == stateGood || !c.Needed)
		began = began || c.State == stateGood
	}
	last := n.lastBad()
	switch {
	case complete && (last == nil || last.GetCredential() != n.Credential.GetName()):
		return stateGood
	case last != nil:
		return stateBad
	case began:
		return stateGoing
	}
	return stateWaiting
}

// lastBad is the last call where that went wrong, or nil.
func (n *connection) lastBad() *musterv1.LoggedExchange {
	for _, e := range n.Calls {
		switch {
		case isLook11(e):
			continue
		case e.GetStatus() >= http.StatusBadRequest:
			return e
		}
		return nil
	}
	return nil
}

// Problem is the call that the state bad is about.
func (n *connection) Problem() *musterv1.LoggedExchange {
	if n.State() != stateBad {
		return nil
	}
	return n.lastBad()
}

// Missing is what is still to be read, in words.
func (n *connection) Missing() []string {
	var all []string
	for _, c := range n.Checks {
		if c.Needed && c.State != stateGood {
			all = append(all, "/"+c.Place)
		}
	}
	return all
}

// reasonText is why a call did not succeed, in plain words.
func reasonText(e *musterv1.LoggedExchange) string {
	switch {
	case isLook11(e):
		return "A look for SCIM 1.1. It means nothing."
	case e.GetStatus() < http.StatusBadRequest:
		return ""
	}
	return cmp.Or(causeTexts[e.GetCause()], e.GetDetail(), http.StatusText(int(e.GetStatus())))
}

// causeTexts say why somebody was not let in.
var causeTexts = map[musterv1.LoggedExchange_Cause]string{
	musterv1.LoggedExchange_CAUSE_NO_CREDENTIAL:  "It showed no credential at all.",
	musterv1.LoggedExchange_CAUSE_MALFORMED:      "Its Authorization header is of no form that is known.",
	musterv1.LoggedExchange_CAUSE_UNKNOWN_SECRET: "What it showed is no secret of this server.",
	musterv1.LoggedExchange_CAUSE_REVOKED:        "Its credential was revoked.",
	musterv1.LoggedExchange_CAUSE_ROTATED:        "It showed a secret that was replaced, and whose time is over.",
	musterv1.LoggedExchange_CAUSE_EXPIRED:        "Its credential has expired.",
	musterv1.LoggedExchange_CAUSE_WRONG_SCHEME:   "Its secret is right, and was shown in the wrong way.",
	musterv1.LoggedExchange_CAUSE_WRONG_LOGIN:    "The password is right, and the login is not.",
	musterv1.LoggedExchange_CAUSE_WRONG_ADDRESS:  "The credential may not be used from this address.",
	musterv1.LoggedExchange_CAUSE_WRONG_TENANT:   "The base URL names another tenant than the credential is of.",
	musterv1.LoggedExchange_CAUSE_SUSPENDED:      "The tenant is suspended.",
	musterv1.LoggedExchange_CAUSE_LACKS_SCOPE:    "The credential lacks a scope.",
	musterv1.LoggedExchange_CAUSE_THROTTLED:      "There were too many failed attempts from its address.",
	musterv1.LoggedExchange_CAUSE_PREVIEW:        "The credential is one for previews.",
}

// connection is what is known of the client of a credential now, and the id of the last
// call that is.
func (v *visit) connection(ctx context.Context, c credentialRow) (*connection, string, error) {
	n := newConnection(c)
	since := c.GetCreateTime()
	filters := []*musterv1.ExchangeFilter{
		{Credential: c.GetName(), Kinds: []musterv1.LoggedExchange_Kind{musterv1.LoggedExchange_KIND_DISCOVERY, musterv1.LoggedExchange_KIND_OAUTH}},
		{Credential: c.GetName(), Kinds: []musterv1.LoggedExchange_Kind{musterv1.LoggedExchange_KIND_USERS}, Method: http.MethodGet},
		{Errors: true, UnknownTenant: v.seesUnknown()},
	}
	var all []*musterv1.LoggedExchange
	for _, f := range filters {
		some, err := v.exchanges(ctx, &musterv1.ListExchangesRequest{Filter: f, StartTime: since, PageSize: maxCallsLooked})
		if err != nil {
			return nil, "", err
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(a, b *musterv1.LoggedExchange) int { return compareIDs(a.GetId(), b.GetId()) })
	all = slices.CompactFunc(all, func(a, b *musterv1.LoggedExchange) bool { return a.GetId() == b.GetId() })
	last := ""
	for _, e := range all {
		n.add(e)
		last = e.GetId()
	}
	return n, last, nil
}

// exchanges are calls of clients, the newest first.
func (v *visit) exchanges(ctx context.Context, req *musterv1.ListExchangesRequest) ([]*musterv1.LoggedExchange, error) {
	out, err := v.activity.ListExchanges(ctx, req)
	return out.GetExchanges(), err
}

// seesUnknown tells whether the operator may see calls of no known tenant.
func (v *visit) seesUnknown() bool { return v.session != nil && v.session.Tenant == firstTenant }

// compareIDs compares ids of exchanges, which grow with time.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

// followConnection sends the panel of a connection anew with each call that concerns it.
func followConnection(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.stream(func(ctx context.Context, send func(event) error) error {
		n, last, err := v.connection(ctx, c)
		if err != nil {
			return err
		}
		show := func() error {
			html, err := v.render("connect", "connection", n)
			if err != nil {
				return err
			}
			return send(event{HTML: html})
		}
		if err := show(); err != nil {
			return err
		}
		return v.watch(ctx, &musterv1.ExchangeFilter{UnknownTenant: v.seesUnknown(), Kinds: connecting}, last, func(e *musterv1.LoggedExchange) error {
			if !n.add(e) {
				return nil
			}
			return show()
		})
	})
}

// watch calls do with each exchange that comes after one, until the context ends.
func (v *visit) watch(ctx context.Context, f *musterv1.ExchangeFilter, after string, do func(*musterv1.LoggedExchange) error) error {
	stream, err := v.activity.WatchExchanges(ctx, &musterv1.WatchExchangesRequest{Filter: f, AfterId: after})
	if err != nil {
		return err
	}
	for {
		out, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if out.GetExchange() == nil {
			continue // a sign of life
		}
		if err := do(out.GetExchange()); err != nil {
			return err
		}
	}
}

// refusals are calls that were not let in lately.
type refusals struct {
	Calls  []*musterv1.LoggedExchange // the newest first
	Stream string
}

// maxRefusals is how many of them are shown.
const maxRefusals = 5

// add takes one more into account, where it is one.
func (r *refusals) add(e *musterv1.LoggedExchange) bool {
	if !isRefusal(e) || e.GetOperator() != "" {
		return false
	}
	r.Calls = slices.Insert(r.Calls, 0, e)
	r.Calls = r.Calls[:min(len(r.Calls), maxRefusals)]
	return true
}

// refusals are those of the last day.
func (v *visit) refusals(ctx context.Context) (refusals, error) {
	r := refusals{Stream: credentialsPath + "-refused"}
	some, err := v.exchanges(ctx, &musterv1.ListExchangesRequest{
		Filter: &musterv1.ExchangeFilter{Errors: true, UnknownTenant: v.seesUnknown()}, StartTime: timestamppb.New(time.Now().Add(-24 * time.Hour)), PageSize: maxCallsLooked,
	})
	if err != nil {
		return r, err
	}
	for _, e := range slices.Backward(some) {
		r.add(e)
	}
	return r, nil
}

// followRefusals sends the list of them anew with each.
func followRefusals(v *visit) error {
	return v.stream(func(ctx context.Context, send func(event) error) error {
		r, err := v.refusals(ctx)
		if err != nil {
			return err
		}
		last := ""
		if len(r.Calls) > 0 {
			last = r.Calls[0].GetId()
		}
		return v.watch(ctx, &musterv1.ExchangeFilter{Errors: true, UnknownTenant: v.seesUnknown()}, last, func(e *musterv1.LoggedExchange) error {
			if !r.add(e) {
				return nil
			}
			html, err := v.render("credentials", "refusals", r)
			if err != nil {
				return err
			}
			return send(event{HTML: html})
		})
	})
}
