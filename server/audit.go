package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

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
	reads  bool // what reads resources is recorded too
}

func newAuditLog(st *store.Store, log *slog.Logger, reads bool) *auditLog {
	a := &auditLog{queue: newAuditQueue(st, log), reads: reads}
	a.floods = newFloods(a.queue)
	return a
}

// intercept records what a call was about and what came of it. A panic is an outcome
// too.
func (a *auditLog) intercept(ctx context.Context, c *call) error {
	c.begin(c.method)
	err := recoverPanics(ctx, c)
	if a.records(c, err) {
		if c.isBulk() { // the last act was an operation
			c.begin(c.method)
		}
		resourceType, id := subjectOf(c)
		a.note(ctx, c, resourceType, id, err)
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
	case write, admin, adminRead:
		return err != nil || !c.isBulk() // each of its operations is recorded by itself
	case read:
		return a.reads
	case public, discover:
	}
	return false
}

func (c *call) isBulk() bool { return c.method == musterv1.ProvisioningService_Bulk_FullMethodName }

// begin begins an act of the call: the call itself, or one operation of a bulk.
func (c *call) begin(method string) {
	c.act = &store.Act{
		Method: strings.TrimPrefix(method, "/"), RequestID: c.requestID,
		Credential: c.principal.Credential.Name, Operator: c.operator, Client: c.agent,
		Preview: c.principal.Credential.Preview,
	}
	if c.address.IsValid() {
		c.act.Address = c.address.String()
	}
}

// note records how the act of a call ended, unless the store has done so.
func (a *auditLog) note(ctx context.Context, c *call, resourceType, id string, err error) {
	act := c.act
	if err == nil && act.Recorded() {
		for _, e := range act.TakeKept() {
			a.queue.add(ctx, e)
		}
		return
	}
	e := store.AuditEvent{
		TenantID: c.principal.Tenant.ID(), Time: time.Now(), RequestID: act.RequestID, Credential: c.principal.Credential.Name, Operator: act.Operator,
		Address: act.Address, Client: act.Client, Method: act.Method, ResourceType: resourceType, ResourceID: id,
		Outcome: store.AuditOK, Preview: c.principal.Credential.Preview,
	}
	if err != nil {
		told := explain(err)
		e.Outcome, e.Detail = told.Reason.String(), told.Detail
	}
	if a.floods.admit(ctx, &e) {
		a.queue.add(ctx, e)
	}
}

// subjectOf is what a call is about: the type and id of a resource; of a tenant or a
// credential the name.
func subjectOf(c *call) (resourceType, id string) {
	resourceType = policy[c.method].resourceType
	if r, ok := c.request.(interface{ GetResourceType() string }); ok && resourceType == "" {
		resourceType = r.GetResourceType()
	}
	switch r := c.request.(type) {
	case interface{ GetId() string }:
		return resourceType, r.GetId()
	case interface{ GetName() string }:
		id = r.GetName()
	}
	return resourceType, id
}
