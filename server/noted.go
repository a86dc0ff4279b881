package server

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// What an exchange is about. Each is a word of the contract, without its prefix and in
// small letters.
const (
	kindDiscovery = "discovery"
	kindUsers     = "users"
	kindGroups    = "groups"
	kindResources = "resources"
	kindBulk      = "bulk"
	kindSearch    = "search"
	kindChanges   = "changes"
	kindAdmin     = "admin"
	kindUnknown   = "unknown"
	kindOAuth     = "oauth"
)

// noted is what the core knows of a call that the door does not. It travels through the
// REST face, which hands it back with the exchange.
type noted struct {
	Tenant       int64  `json:"t,omitempty"`
	LetIn        bool   `json:"l,omitempty"`
	Credential   string `json:"c,omitempty"`
	Operator     string `json:"o,omitempty"`
	Kind         string `json:"k"`
	ResourceType string `json:"y,omitempty"`
	ResourceID   string `json:"i,omitempty"`
	Cause        cause  `json:"a,omitempty"`
	Why          string `json:"w,omitempty"`
	Preview      bool   `json:"p,omitempty"`
	Writes       bool   `json:"x,omitempty"`
	Silent       bool   `json:"s,omitempty"` // only counted
}

func (n *noted) text() string {
	text, err := json.Marshal(n)
	if err != nil { // a struct of texts has a JSON form
		return ""
	}
	return string(text)
}

// notedOf is what is known of a call at its end.
func notedOf(c *call, err error) noted {
	p := &c.principal
	n := noted{Operator: c.operator, Kind: kindOfMethod(c.method), Cause: causeOfCall(c, err), Why: c.why, Preview: p.Credential.Preview, Silent: silent(c.method)}
	if p.ID == 0 { // whose secret was shown, though it is no proof
		p = &c.claimed
	}
	n.Tenant, n.Credential = p.Tenant.ID(), p.Credential.Name
	if n.Operator == "" {
		n.Operator = p.Subject
	}
	n.LetIn = c.principal.ID != 0 && (c.cause == "" && scim.ReasonOf(err) != scim.Unauthenticated)
	does := policy[c.method].action
	n.Writes = does == write || does == admin
	if n.ResourceType, n.ResourceID = c.subject(); n.ResourceID == "" && err == nil {
		n.ResourceID = idOfAnswer(c.answer)
	}
	return n
}

// silent tells whether a call that succeeds is only counted: who looks at what happens
// would otherwise see little else.
func silent(method string) bool {
	return strings.HasPrefix(method, "/muster.v1.ActivityService/") || strings.HasPrefix(method, "/muster.v1.AuditService/")
}

// idOfAnswer is the id of the resource that an answer is about.
func idOfAnswer(answer any) string {
	switch a := answer.(type) {
	case interface{ GetUser() *musterv1.User }:
		return a.GetUser().GetId()
	case interface{ GetGroup() *musterv1.Group }:
		return a.GetGroup().GetId()
	case interface{ GetResource() *musterv1.Resource }:
		return a.GetResource().GetId()
	}
	return ""
}

// kindOfMethod is what an RPC is about.
func kindOfMethod(method string) string {
	service, name, _ := strings.Cut(strings.TrimPrefix(method, "/muster.v1."), "/")
	switch service {
	case "DiscoveryService":
		return kindDiscovery
	case "ResourceService":
		return kindResources
	case "ChangeService":
		return kindChanges
	case "ProvisioningService", "DirectoryService":
	default:
		return kindAdmin
	}
	switch {
	case name == "Bulk":
		return kindBulk
	case name == "Search":
		return kindSearch
	case policy[method].resourceType == scim.User.Name:
		return kindUsers
	}
	return kindGroups
}

// noteREST notes an exchange of the REST face.
func (a *activity) noteREST(ctx context.Context, req *musterv1.RecordExchangeRequest) {
	c, x := callOf(ctx), req.GetExchange()
	var n noted
	if req.GetCall() == "" || json.Unmarshal([]byte(req.GetCall()), &n) != nil {
		n = notedOfPath(x.GetMethod(), req.GetPath(), int(x.GetStatus()))
	}
	a.metrics.answered(restDoor, int(x.GetStatus()))
	a.traffic.count(&n, store.REST, int(x.GetStatus()), x.GetTook().AsDuration()) //nolint:contextcheck // it is written later, in the background
	if n.Silent && x.GetStatus() < 400 {
		return
	}
	e := n.exchange()
	e.Door, e.Method, e.Path, e.Status = store.REST, x.GetMethod(), req.GetPath(), int(x.GetStatus())
	e.Time, e.Took, e.Reason, e.Detail = x.GetTime().AsTime(), x.GetTook().AsDuration(), req.GetReason(), req.GetDetail()
	e.RequestID, e.Client = c.requestID, c.agent
	if c.address.IsValid() {
		e.Address = c.address.String()
	}
	p := pending{Exchange: e, letIn: n.LetIn, shown: first(ctx, "authorization"), base: req.GetBase()}
	if x.GetAnswerHeader() != nil || x.GetRequestHeader() != nil {
		p.raw = x
	}
	a.addWhy(&p, n.Why)
	a.keep(p) //nolint:contextcheck // it is written later, in the background
}

// addWhy adds what the client was not told.
func (*activity) addWhy(p *pending, why string) {
	if why != "" {
		p.Detail += ": " + why
	}
}

func (n *noted) exchange() store.Exchange {
	return store.Exchange{
		TenantID: n.Tenant, Credential: n.Credential, Operator: n.Operator, Kind: n.Kind, ResourceType: n.ResourceType, ResourceID: n.ResourceID,
		Cause: string(n.Cause), Preview: n.Preview, Writes: n.Writes,
	}
}

// NoteOAuth notes an exchange of the OAuth 2.0 server, which is no call; letIn: its
// client has proved who it is.
func (s *Server) NoteOAuth(e store.Exchange, letIn bool) {
	e.Kind = kindOAuth
	switch {
	case letIn:
	case e.Status == scim.RateLimited.Status():
		e.Cause = string(causeThrottled)
	case e.Status == scim.Unauthenticated.Status():
		e.Cause = string(causeUnknownSecret)
	}
	s.metrics.answered(oauthDoor, e.Status)
	if e.Cause != "" {
		s.metrics.refused.WithLabelValues(oauthDoor, e.Cause).Inc()
	}
	n := noted{Tenant: e.TenantID, Credential: e.Credential, LetIn: letIn}
	s.activity.traffic.count(&n, e.Door, e.Status, e.Took)
	s.activity.keep(pending{Exchange: e, letIn: letIn})
}

// noteGRPC notes a call over a socket.
func (a *activity) noteGRPC(c *call, n *noted, began time.Time, err error) {
	took, counted := time.Since(began), time.Since(began)
	if c.read == nil {
		counted = -1 // a stream lasts as long as its client likes
	}
	status, code := statusOfCall(c, err)
	a.traffic.count(n, store.GRPC, status, counted)
	if n.Silent && status < 400 {
		return
	}
	e := n.exchange()
	e.Door, e.Method, e.Status, e.Code = store.GRPC, strings.TrimPrefix(c.method, "/"), status, code.String()
	e.Time, e.Took, e.RequestID, e.Client = began, took, c.requestID, c.agent
	if c.address.IsValid() {
		e.Address = c.address.String()
	}
	if err != nil {
		told := toldOf(err)
		e.Reason, e.Detail = told.Reason.String(), told.Detail
	}
	p := pending{Exchange: e, letIn: n.LetIn, shown: c.shown}
	a.addWhy(&p, n.Why)
	a.keep(p)
}

// statusClientGone is the status of a call whose client did not wait, as the REST face
// has it.
const statusClientGone = 499

// statusOfCall is how a call ended: the status of HTTP that means the same, and the code.
// A stream that its client ends has ended well.
func statusOfCall(c *call, err error) (int, codes.Code) {
	if err == nil {
		return 200, codes.OK
	}
	code := statusOf(c.request, err).Code()
	switch {
	case code == codes.Canceled && c.read == nil:
		return 200, code
	case code == codes.Canceled:
		return statusClientGone, code
	}
	return toldOf(err).Reason.Status(), code
}

// notedOfPath is what can be known of a request that the core was not asked about.
func notedOfPath(method, target string, status int) noted {
	n := noted{Kind: kindUnknown, Writes: method != "GET" && method != "HEAD"}
	path, _, _ := strings.Cut(target, "?")
	if text, err := url.PathUnescape(path); err == nil {
		path = text
	}
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if len(parts) > 2 && parts[0] == "t" {
		parts = parts[2:]
	}
	switch {
	case len(parts) > 0 && parts[0] == "admin":
		n.Kind = kindAdmin
		return n
	case len(parts) < 3 || parts[0] != "scim" || parts[1] != "v2" || status == 404:
		return n
	}
	n.Kind = kindOfEndpoint(parts[2])
	if n.ResourceType = map[string]string{kindUsers: scim.User.Name, kindGroups: scim.Group.Name}[n.Kind]; n.ResourceType != "" && len(parts) == 4 && parts[3] != ".search" {
		n.ResourceID = parts[3]
	}
	return n
}

// kindOfEndpoint is what a path of SCIM is about, by its first part.
func kindOfEndpoint(endpoint string) string {
	switch endpoint {
	case "Users":
		return kindUsers
	case "Groups":
		return kindGroups
	case "Bulk":
		return kindBulk
	case ".search":
		return kindSearch
	case "ServiceProviderConfig", "ResourceTypes", "Schemas":
		return kindDiscovery
	}
	return kindResources
}
