package console

import (
	"encoding/json"
	"fmt"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// userList is what the page of users shows.
type userList struct {
	listing

	Rows    []userRow
	Total   int32
	Problem string // of the filter
	Pager   pager
	Sorts   map[string]sortLink
}

// A userRow is a user in a list.
type userRow struct {
	ID, Name, UserName, Email string
	Active                    bool
	Changed                   any
}

func rowOf(u *musterv1.User) userRow {
	r := userRow{ID: u.GetId(), Name: nameOf(u), UserName: u.GetUserName(), Active: isActive(u), Changed: u.GetMeta().GetLastModified()}
	for _, e := range u.GetEmails() {
		if r.Email == "" || e.GetPrimary() {
			r.Email = e.GetValue()
		}
	}
	return r
}

// nameOf is what a user is called: by people, where it has such a name.
func nameOf(u *musterv1.User) string {
	n := u.GetName()
	whole := strings.TrimSpace(n.GetGivenName() + " " + n.GetFamilyName())
	for _, name := range []string{u.GetDisplayName(), n.GetFormatted(), whole, u.GetUserName(), u.GetId()} {
		if name != "" {
			return name
		}
	}
	return ""
}

// isActive tells whether a user is active: one without a value is.
func isActive(u *musterv1.User) bool { return u.Active == nil || u.GetActive() }

// searchUsers is the filter for what somebody typed: it is in the userName, a name, or an
// e-mail address.
func searchUsers(typed string) string {
	if typed == "" {
		return ""
	}
	literal, _ := json.Marshal(typed) //nolint:errchkjson // of a string
	var some []string
	for _, path := range []string{"userName", "displayName", "name.familyName", "name.givenName", "emails.value"} {
		some = append(some, fmt.Sprintf("%s co %s", path, literal))
	}
	return strings.Join(some, " or ")
}

func listUsers(v *visit) error {
	l := listingOf(v, "userName", "displayName", "meta.lastModified")
	view := userList{listing: l, Sorts: map[string]sortLink{
		"name": l.by("displayName", "Name"), "userName": l.by("userName", "User name"), "changed": l.by("meta.lastModified", "Changed"),
	}}
	count := int32(pageSize)
	req := &musterv1.ListUsersRequest{
		Filter: both(searchUsers(l.Query), l.Filter), SortBy: l.Sort, SortOrder: l.order(), Count: &count,
		Attributes: []string{"userName", "displayName", "name", "emails", "active", "meta.lastModified"},
	}
	if l.After != "" {
		req.PageToken = &l.After
	}
	out, err := v.provisioning.ListUsers(v.Context(), req)
	if isPageGone(err) {
		return v.redirect(l.url(""))
	}
	problem, bad := problemOf(err)
	switch {
	case bad && l.Filter != "":
		view.Problem = problem
	case err != nil:
		return err
	}
	for _, u := range out.GetUsers() {
		view.Rows = append(view.Rows, rowOf(u))
	}
	view.Total = out.GetTotalResults()
	view.Pager = l.pager(plural(view.Total, "user", "users"), out.GetNextPageToken())
	return v.show("users", page{Title: "Users", Section: "users", Data: view})
}
