package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// auditLog sees to it that what is asked of the server is in the audit log. The event
// of a write that succeeds is written by the store, in the transaction of the write;
// the others are left to a queue.
type auditLog struct {
	queue  *auditQueue
	floods *floods
	pushes *pushes
	reads  bool // what reads resources is recorded too
	// readings are when who read the audit log, as of the last event that says so.
	readings readings
}

func newAuditLog(st *store.Store, log *slog.Logger, reads bool) *auditLog {
	a := &auditLog{queue: newAuditQueue(st, log), reads: reads}
	a.floods, a.pushes = newFloods(a.queue), newPushes(st, log)
	return a
}

// intercept records what a call was about and what came of it. A panic is an outcome
// too.
func (a *auditLog) intercept(ctx context.Context, c *call) error {
	c.begin(c.method)
	err := recoverPanics(store.Acting(ctx, &c.act), c)
	if a.records(c, err) {
		if c.isBulk() || c.act.Credential == "" { // the last act was an operation, or it was not known who calls
			c.begin(c.method)
		}
		a.note(ctx, c, err)
	}
	return err
}

// records tells whether a call, with its outcome, is for the audit log.
func (a *auditLog) records(c *call, err error) bool {
	does := policy[c.method].action
	switch scim.ReasonOf(err) {
	case scim.Unauthenticated, scim.Forbidden, scim.RateLimited:
		return err != nil
	default:
	}
	switch does {
	case adminRead:
		if ended := isWatch(c.method) && statusOf(nil, err).Code() == codes.Canceled; err != nil && !ended {
			return true
		}
		return !isLooking(c.method) || a.readings.first(c)
	case write, admin:
		return err != nil || !c.isBulk() // each of its operations is recorded by itself
	case read:
		return a.reads
	case signIn, own: // of these, what begins and ends sessions, and what is called for the log's sake
		return slices.Contains([]string{
			musterv1.OperatorService_SignIn_FullMethodName, musterv1.OperatorService_EndSession_FullMethodName, musterv1.OperatorService_NoteDeed_FullMethodName,
		}, c.method)
	case public, discover, internal:
	}
	return false
}

// isLooking tells whether a method is called again and again by who looks at pages, and
// shows what others did, but not what they sent.
func isLooking(method string) bool {
	return silent(method) && method != musterv1.ActivityService_GetExchange_FullMethodName && method != musterv1.AuditService_VerifyAuditLog_FullMethodName
}

// isWatch tells whether a method is a stream of administration that ends when its reader
// goes: that is no failure.
func isWatch(method string) bool {
	return method == musterv1.ActivityService_WatchExchanges_FullMethodName
}

func (c *call) isBulk() bool { return c.method == musterv1.ProvisioningService_Bulk_FullMethodName }

// Audit records an event of what is asked of the server elsewhere than by a call. It
// may wait for a moment.
func (s *Server) Audit(ctx context.Context, e store.AuditEvent) { s.audit.add(ctx, e) }

// add records an event, or counts it where there are too many of its kind.
func (a *auditLog) add(ctx context.Context, e store.AuditEvent) {
	if a.floods.admit(ctx, &e) {
		a.queue.add(ctx, e)
	}
}

// begin begins an act of the call: the call itself, or one operation of a bulk.
func (c *call) begin(method string) {
	c.act = store.Act{
		TenantID: c.principal.Tenant.ID(), Credential: c.principal.Credential.Name, Preview: c.principal.Credential.Preview,
		Method: strings.TrimPrefix(method, "/"), RequestID: c.requestID, Operator: cmp.Or(c.operator, c.principal.Subject), Client: c.agent,
	}
	if c.address.IsValid() {
		c.act.Address = c.address.String()
	}
	c.act.ResourceType, c.act.ResourceID = c.subject()
}

// beginAct begins the act of a call, now that it is known who is calling and what for.
func beginAct(ctx context.Context, c *call) error {
	c.begin(c.method)
	return c.proceed(ctx)
}

// note records how the act of a call ended, unless the store has done so.
func (a *auditLog) note(ctx context.Context, c *call, err error) {
	act := &c.act
	if err == nil && act.Recorded() {
		for _, e := range act.TakeKept() {
			a.queue.add(ctx, e)
		}
		return
	}
	if err == nil {
		a.pushes.note(act) //nolint:contextcheck // it is written later, in the background
	}
	e := act.Event()
	if err != nil {
		told := toldOf(err)
		e.Outcome, e.Detail = told.Reason.String(), told.Detail
	}
	a.add(ctx, e)
}

// toldOf is what the client is told of an error, also of one of gRPC itself, which has no
// reason of ours.
func toldOf(err error) *scim.Error {
	st := statusOf(nil, err)
	reason, known := map[codes.Code]scim.Reason{
		codes.InvalidArgument: scim.InvalidSyntax, codes.ResourceExhausted: scim.PayloadTooLarge, codes.Unimplemented: scim.NotImplemented,
		codes.Unavailable: scim.Unavailable, codes.Canceled: scim.Unavailable, codes.DeadlineExceeded: scim.Unavailable,
	}[st.Code()]
	if _, ours := errors.AsType[*scim.Error](err); ours || !known {
		return explain(err)
	}
	return scim.Errorf(reason, "%s", st.Message())
}

// subject is what a call is about: the type and id of a resource; the name of a
// tenant; TENANT/NAME of a credential.
func (c *call) subject() (resourceType, id string) {
	resourceType = policy[c.method].resourceType
	if r, ok := c.request.(interface{ GetResourceType() string }); ok && resourceType == "" {
		resourceType = r.GetResourceType()
	}
	named := func(tenant, name string) string { return cmp.Or(tenant, c.principal.TenantName) + "/" + name }
	switch r := c.request.(type) {
	case *musterv1.RevokeSessionRequest:
		return "Session", r.GetId()
	case interface{ GetId() string }:
		return resourceType, r.GetId()
	case *musterv1.UpdateUserRequest:
		return resourceType, r.GetUser().GetId()
	case *musterv1.UpdateGroupRequest:
		return resourceType, r.GetGroup().GetId()
	case interface{ GetCredential() *musterv1.Credential }:
		return "Credential", named(r.GetCredential().GetTenant(), r.GetCredential().GetName())
	case *musterv1.SetSignInProviderRequest:
		return "SignInProvider", named(r.GetProvider().GetTenant(), r.GetProvider().GetName())
	case *musterv1.GetSignInProviderRequest:
		return "SignInProvider", named(r.GetTenant(), r.GetName())
	case *musterv1.DeleteSignInProviderRequest:
		return "SignInProvider", named(r.GetTenant(), r.GetName())
	case *musterv1.CreateLoginLinkRequest:
		return "LoginLink", named(r.GetTenant(), r.GetOperator())
	case interface {
		GetSubscription() *musterv1.Subscription
	}:
		return "Subscription", named(r.GetSubscription().GetTenant(), r.GetSubscription().GetName())
	case interface {
		GetTenant() string
		GetSubscription() string
	}:
		return "Subscription", named(r.GetTenant(), r.GetSubscription())
	case interface{ GetSubscription() string }:
		return "Subscription", named("", r.GetSubscription())
	case interface{ GetTenant() *musterv1.Tenant }:
		return "Tenant", r.GetTenant().GetName()
	case interface {
		GetTenant() string
		GetName() string
	}:
		return "Credential", named(r.GetTenant(), r.GetName())
	case interface{ GetName() string }:
		return "Tenant", r.GetName()
	case interface{ GetTenant() string }: // what lists what a tenant has
		return "Tenant", cmp.Or(r.GetTenant(), c.principal.TenantName)
	}
	return resourceType, ""
}
