package console

import (
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// groupList is what the page of groups shows.
type groupList struct {
	listing

	Groups []*musterv1.Group
	Pager  pager
	Sorts  map[string]sortLink
}

func listGroups(v *visit) error { return v.showList("groups", "Group", "Groups", groupsList) }

func followGroups(v *visit) error { return v.followList("groups", "Group", groupsList) }

// groupsList is a page of the list that the address asks for.
func groupsList(v *visit) (any, *listing, error) {
	l := listingOf(v, "displayName", "meta.lastModified")
	view := &groupList{listing: l, Sorts: map[string]sortLink{
		"name": l.by("displayName", "Name"), "changed": l.by("meta.lastModified", "Changed"),
	}}
	out, err := v.directory.FindGroups(v.Context(), &musterv1.FindGroupsRequest{
		Filter: both(contains(l.Query, "displayName"), l.Filter), SortBy: l.sortBy(), SortOrder: l.order(), PageSize: pageSize, PageToken: l.After,
		ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"display_name", "external_id", "meta.last_modified"}},
	})
	if view.Problem, err = l.explain(err); err != nil {
		return view, &view.listing, err
	}
	view.Groups = out.GetGroups()
	text := l.pageText(len(view.Groups), out.GetNextPageToken(), "group", "groups")
	if !l.Narrowed() {
		all, err := v.provisioning.ListGroups(v.Context(), &musterv1.ListGroupsRequest{Count: new(int32)})
		if err != nil {
			return view, &view.listing, err
		}
		text = plural(all.GetTotalResults(), "group", "groups")
	}
	view.Pager = l.pager(text, out.GetNextPageToken())
	return view, &view.listing, nil
}

// maxGroupEvents is how much of a group's history is shown. Each event may name many
// thousand members.
const maxGroupEvents = 8

// groupView is what the page of a group shows.
type groupView struct {
	listing // of the members
	history

	Group      *musterv1.Group
	Sheets     []factSheet
	Members    []*musterv1.Member
	More       bool // there may be more that were searched for
	Pager      pager
	Groups     []*musterv1.UserGroup
	MoreGroups bool
	Sent       []*musterv1.LoggedExchange
}

func showGroup(v *visit) error {
	id := v.PathValue("id")
	out, err := v.provisioning.GetGroup(v.Context(), &musterv1.GetGroupRequest{Id: id, ExcludedAttributes: []string{"members"}})
	if err != nil {
		return err
	}
	g := out.GetGroup()
	p := page{Title: g.GetDisplayName(), Section: "groups", Crumbs: []crumb{{"Groups", root + "groups"}}}
	view := &groupView{Group: g, listing: listingOf(v)}
	p.Data = view
	if err = view.findMembers(v); isPageGone(err) {
		return v.redirect(view.url(""))
	}
	if err != nil {
		return err
	}
	if v.asks() == "members" { // somebody is typing: the rest of the page stays
		return v.show("group", p)
	}
	if view.Sheets, err = v.sheetsOf(resourceGroup, g, "schemas", "meta", "members", "extensions"); err != nil {
		return err
	}
	if view.Groups, view.MoreGroups, err = v.groupsOf(id); err != nil {
		return err
	}
	if view.history, err = v.historyOf(id, maxGroupEvents); err != nil {
		return err
	}
	if view.Sent, err = v.sentAbout(id); err != nil {
		return err
	}
	return v.show("group", p)
}

// findMembers reads a page of the members, or those whose names begin with what was typed.
func (view *groupView) findMembers(v *visit) error {
	req := &musterv1.ListMembersRequest{Group: &musterv1.GroupKey{Key: &musterv1.GroupKey_Id{Id: view.Group.GetId()}}, PageSize: pageSize, Beginning: view.Query}
	if view.Query == "" {
		req.PageToken = view.After
	}
	out, err := v.directory.ListMembers(v.Context(), req)
	if err != nil {
		return err
	}
	view.Members, view.More = out.GetMembers(), out.GetMore()
	view.Pager = view.pager("", out.GetNextPageToken())
	if view.Query != "" {
		view.Pager = pager{Text: foundText(len(view.Members), view.More, "member", "members")}
	}
	return nil
}

// nameOfMember is what a user or group is called.
func (v *visit) nameOfMember(id string) (string, error) {
	users, err := v.directory.BatchGetUsers(v.Context(), &musterv1.BatchGetUsersRequest{Ids: []string{id}, ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"user_name", "display_name", "name"}}})
	if err != nil {
		return "", err
	}
	for _, u := range users.GetUsers() {
		return nameOf(u), nil
	}
	group, err := v.provisioning.GetGroup(v.Context(), &musterv1.GetGroupRequest{Id: id, Attributes: []string{"displayName"}})
	return group.GetGroup().GetDisplayName(), err
}

func askRemoveMember(v *visit) error {
	out, err := v.provisioning.GetGroup(v.Context(), &musterv1.GetGroupRequest{Id: v.PathValue("id"), Attributes: []string{"displayName"}})
	if err != nil {
		return err
	}
	name, err := v.nameOfMember(v.PathValue("member"))
	if err != nil {
		return err
	}
	g := out.GetGroup()
	back := root + "groups/" + g.GetId()
	return v.ask(page{Section: "groups", Crumbs: []crumb{{"Groups", root + "groups"}, {g.GetDisplayName(), back}}}, question{
		Title: "Remove " + name + " from " + g.GetDisplayName() + "?", Button: "Remove", Danger: true, Back: back,
		Text:   "What services allow this group, they no longer allow to who is in it only through this.",
		Points: []string{"Nobody is deleted.", "The provisioning client may add it again with its next push."},
	})
}

func removeMember(v *visit) error {
	group, member := v.PathValue("id"), v.PathValue("member")
	name, err := v.nameOfMember(member)
	if err != nil {
		return err
	}
	_, err = v.provisioning.PatchGroup(v.Context(), &musterv1.PatchGroupRequest{
		Id: group, Operations: []*musterv1.PatchOperation{{Op: musterv1.PatchOperation_OP_REMOVE, Path: "members[value eq " + literal(member) + "]"}},
	})
	if err != nil {
		return err
	}
	return v.done(root+"groups/"+group, name+" is no longer a member.")
}
