package console

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// overviewView is what the page shows with which the console begins.
type overviewView struct {
	Users, Groups int32
	Requests      int64 // of the last hour
	Failed        int64
	Clients       []overviewClient
	MoreClients   int
	Errors        []errorGroup
	MoreErrors    bool
	Changes       []lastChange
	// Connected: some client that may write has been here.
	Connected bool
}

// Begun tells whether all is done that a new server needs.
func (o *overviewView) Begun() bool { return o.Connected && o.Users > 0 }

// An overviewClient is a client that has been here.
type overviewClient struct {
	clientRow

	Failed int64 // of what it asked in the last hour
}

// A lastChange is what somebody did to a user or a group.
type lastChange struct {
	historyEvent

	Name string
	Link string // empty: it is no more
}

// Limits of the page.
const (
	overviewTime      = time.Hour
	maxClientsShown   = 8
	maxLastChanges    = 10
	lastChangesLooked = 3 * maxLastChanges // some are previews, or changed nothing
)

func showOverview(v *visit) error {
	view := &overviewView{}
	g, ctx := errgroup.WithContext(v.Context())
	g.Go(func() error { return view.count(ctx, v) })
	g.Go(func() error { return view.meet(ctx, v) })
	g.Go(func() error { return view.follow(ctx, v) })
	g.Go(func() (err error) {
		view.Errors, view.MoreErrors, err = v.errorGroups(ctx, &musterv1.ExchangeFilter{Errors: true, UnknownTenant: v.seesUnknown()}, timestamppb.New(time.Now().Add(-overviewTime)))
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return v.show("overview", page{Title: "Overview", Section: "overview", Data: view})
}

// count counts users and groups.
func (o *overviewView) count(ctx context.Context, v *visit) error {
	users, err := v.provisioning.ListUsers(ctx, &musterv1.ListUsersRequest{Count: new(int32)})
	if err != nil {
		return err
	}
	groups, err := v.provisioning.ListGroups(ctx, &musterv1.ListGroupsRequest{Count: new(int32)})
	o.Users, o.Groups = users.GetTotalResults(), groups.GetTotalResults()
	return err
}

// meet looks at the clients, the last one that was here first, and at what they asked.
func (o *overviewView) meet(ctx context.Context, v *visit) error {
	known, err := v.clients() //nolint:contextcheck // it has that of the visit
	if err != nil {
		return err
	}
	traffic, err := v.activity.GetTraffic(ctx, &musterv1.GetTrafficRequest{StartTime: timestamppb.New(time.Now().Add(-overviewTime)), UnknownTenant: v.seesUnknown()})
	if err != nil {
		return err
	}
	failed := make(map[string]int64)
	for _, s := range traffic.GetSeries() {
		o.Requests += s.GetSum().GetRequests()
		o.Failed += errorsOf(s.GetSum())
		failed[s.GetCredential()] += errorsOf(s.GetSum())
	}
	for _, c := range known {
		if c.hear(traffic.GetSeries()); !c.Last.IsZero() {
			o.Clients = append(o.Clients, overviewClient{c, failed[c.GetName()]})
			o.Connected = o.Connected || c.Provisions()
		}
	}
	slices.SortStableFunc(o.Clients, func(a, b overviewClient) int { return b.Last.Compare(a.Last) })
	if o.MoreClients = len(o.Clients) - maxClientsShown; o.MoreClients > 0 {
		o.Clients = o.Clients[:maxClientsShown]
	}
	return nil
}

// follow reads what was done to users and groups last.
func (o *overviewView) follow(ctx context.Context, v *visit) error {
	for _, of := range []string{resourceUser, resourceGroup} {
		out, err := v.audit.ListAuditEvents(ctx, &musterv1.ListAuditEventsRequest{ResourceType: of, Outcome: "ok", Preview: new(bool), PageSize: lastChangesLooked})
		if err != nil {
			return err
		}
		for _, e := range out.GetEvents() {
			if e.GetChanges() == "" {
				continue
			}
			h, err := historyEventOf(e)
			if err != nil {
				return err
			}
			o.Changes = append(o.Changes, lastChange{historyEvent: h, Name: nameInChanges(e)})
		}
	}
	slices.SortFunc(o.Changes, func(a, b lastChange) int { return cmp.Compare(b.GetId(), a.GetId()) })
	o.Changes = o.Changes[:min(len(o.Changes), maxLastChanges)]
	return o.name(ctx, v)
}

// name gives what was changed the names that it has now, and links to what there is.
func (o *overviewView) name(ctx context.Context, v *visit) error {
	ids := make(map[string][]string)
	for _, c := range o.Changes {
		ids[c.GetResourceType()] = append(ids[c.GetResourceType()], c.GetResourceId())
	}
	names := make(map[string]string)
	if some := ids[resourceUser]; len(some) > 0 {
		out, err := v.directory.BatchGetUsers(ctx, &musterv1.BatchGetUsersRequest{Ids: some, ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"user_name", "display_name", "name"}}})
		if err != nil {
			return err
		}
		for _, u := range out.GetUsers() {
			names[u.GetId()] = nameOf(u)
		}
	}
	if some := ids[resourceGroup]; len(some) > 0 {
		out, err := v.directory.BatchGetGroups(ctx, &musterv1.BatchGetGroupsRequest{Ids: some, ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name"}}})
		if err != nil {
			return err
		}
		for _, g := range out.GetGroups() {
			names[g.GetId()] = g.GetDisplayName()
		}
	}
	for i := range o.Changes {
		c := &o.Changes[i]
		if name, is := names[c.GetResourceId()]; is {
			c.Name, c.Link = name, resourcePath(c.GetResourceType(), c.GetResourceId())
		}
	}
	return nil
}
