package console

import (
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
