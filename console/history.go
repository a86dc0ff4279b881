package console

import (
	"context"
	"net/url"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A historyEvent is what somebody did to a resource, or tried to.
type historyEvent struct {
	*musterv1.AuditEvent

	Deed    string
	By      string
	Changes []change
}

// A history is what was done to something, the newest first.
type history struct {
	Events     []historyEvent
	MoreEvents bool
	EventsPath string // the page that has all; empty: it is of another tenant
}

// historyOf is what was done to a resource.
func (v *visit) historyOf(id string, most int32) (history, error) {
	return v.history(v.Context(), &musterv1.ListAuditEventsRequest{ResourceId: id, PageSize: most})
}

// deedsOn is what was done to something that is administered. That somebody looked at it is
// left out.
func (v *visit) deedsOn(ctx context.Context, id string) (history, error) {
	return v.history(ctx, &musterv1.ListAuditEventsRequest{ResourceId: id, WithoutReads: true, PageSize: maxEventsShown})
}

// history is what the audit log has of something.
func (v *visit) history(ctx context.Context, req *musterv1.ListAuditEventsRequest) (h history, err error) {
	out, err := v.audit.ListAuditEvents(ctx, req)
	if err != nil {
		return h, err
	}
	for _, e := range out.GetEvents() {
		event, err := historyEventOf(e)
		if err != nil {
			return h, err
		}
		h.Events = append(h.Events, event)
	}
	q := url.Values{}
	for name, value := range map[string]string{"resource": req.GetResourceId(), "request": req.GetRequestId()} {
		if value != "" {
			q.Set(name, value)
		}
	}
	h.MoreEvents, h.EventsPath = out.GetNextPageToken() != "", auditPath+"?"+q.Encode()
	return h, nil
}

func historyEventOf(e *musterv1.AuditEvent) (historyEvent, error) {
	changes, err := changesOf(e.GetChanges())
	return historyEvent{AuditEvent: e, Deed: deedOf(e.GetMethod()), By: byWhom(e), Changes: changes}, err
}

// deedOf is what a method does, in a word.
func deedOf(method string) string {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for prefix, deed := range map[string]string{
		"Create": "created", "Replace": "replaced", "Patch": "changed", "Update": "changed", "Delete": "deleted", "Get": "read", "List": "read",
		"Rotate": "given another secret", "Revoke": "revoked", "Suspend": "suspended", "Resume": "resumed",
	} {
		if strings.HasPrefix(name, prefix) {
			return deed
		}
	}
	return name
}

// byWhom is who did what an event tells: a human, or the credential of a client.
func byWhom(e *musterv1.AuditEvent) string {
	switch {
	case e.GetOperator() != "":
		return e.GetOperator()
	case e.GetCredential() != "":
		return e.GetCredential()
	}
	return "nobody known"
}
