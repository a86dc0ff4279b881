package console

import (
	"context"
	"net/url"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Limits of what a page shows of one resource.
const (
	maxGroupsShown  = 100
	maxEventsShown  = 25
	maxSentShown    = 5
	patchAttribute  = "active"
	resourceUser    = "User"
	resourceGroup   = "Group"
	membershipPages = maxGroupsShown + 1
)

// userView is what the page of a user shows.
type userView struct {
	history

	User       *musterv1.User
	Name       string
	Active     bool
	Sheets     []factSheet
	Groups     []*musterv1.UserGroup
	MoreGroups bool
	Sent       []*musterv1.LoggedExchange
}

func showUser(v *visit) error {
	out, err := v.provisioning.GetUser(v.Context(), &musterv1.GetUserRequest{Id: v.PathValue("id"), ExcludedAttributes: []string{"groups"}})
	if err != nil {
		return err
	}
	u := out.GetUser()
	view := userView{User: u, Name: nameOf(u), Active: isActive(u)}
	if view.Sheets, err = v.sheetsOf(resourceUser, u, "schemas", "meta", "active", "groups", "extensions"); err != nil {
		return err
	}
	if view.Groups, view.MoreGroups, err = v.groupsOf(u.GetId()); err != nil {
		return err
	}
	if view.history, err = v.historyOf(u.GetId(), maxEventsShown); err != nil {
		return err
	}
	if view.Sent, err = v.sentAbout(u.GetId()); err != nil {
		return err
	}
	return v.show("user", page{Title: view.Name, Section: "users", Crumbs: []crumb{{"Users", root + "users"}}, Data: view})
}

// groupsOf are the first groups that a user or group is in, and whether there are more.
func (v *visit) groupsOf(id string) ([]*musterv1.UserGroup, bool, error) {
	out, err := v.directory.ListMemberships(v.Context(), &musterv1.ListMembershipsRequest{MemberId: id, PageSize: membershipPages})
	groups := out.GetGroups()
	if len(groups) > maxGroupsShown {
		return groups[:maxGroupsShown], true, err
	}
	return groups, false, err
}

// sentAbout is what clients sent about a resource last, the newest first.
func (v *visit) sentAbout(id string) ([]*musterv1.LoggedExchange, error) {
	return v.exchanges(v.Context(), &musterv1.ListExchangesRequest{Filter: &musterv1.ExchangeFilter{ResourceId: id, Writes: true}, PageSize: maxSentShown})
}

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

func askDeactivate(v *visit) error {
	return v.askState(question{
		Button: "Deactivate", Danger: true, Text: "Services that ask Muster no longer let the user in.",
		Points: []string{"The user stays here, with all attributes and groups.", "The provisioning client may set it active again with its next push."},
	}, "Deactivate")
}

func askActivate(v *visit) error {
	return v.askState(question{
		Button: "Activate", Text: "Services that ask Muster let the user in again.",
		Points: []string{"The provisioning client may deactivate it again with its next push."},
	}, "Activate")
}

// askState asks whether to change the state of a user.
func (v *visit) askState(q question, deed string) error {
	out, err := v.provisioning.GetUser(v.Context(), &musterv1.GetUserRequest{Id: v.PathValue("id"), Attributes: []string{"userName", "displayName", "name"}})
	if err != nil {
		return err
	}
	u := out.GetUser()
	q.Title, q.Back = deed+" "+nameOf(u)+"?", root+"users/"+u.GetId()
	return v.ask(page{Section: "users", Crumbs: []crumb{{"Users", root + "users"}, {nameOf(u), q.Back}}}, q)
}

func deactivate(v *visit) error { return v.setActive(false, "deactivated") }

func activate(v *visit) error { return v.setActive(true, "activated") }

func (v *visit) setActive(active bool, deed string) error {
	out, err := v.provisioning.PatchUser(v.Context(), &musterv1.PatchUserRequest{
		Id: v.PathValue("id"), Attributes: []string{"userName", "displayName", "name"},
		Operations: []*musterv1.PatchOperation{{Op: musterv1.PatchOperation_OP_REPLACE, Path: patchAttribute, Value: structpb.NewBoolValue(active)}},
	})
	if err != nil {
		return err
	}
	return v.done(root+"users/"+out.GetUser().GetId(), nameOf(out.GetUser())+" is "+deed+".")
}
