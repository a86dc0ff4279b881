package console

import (
	"cmp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// userList is what the page of users shows.
type userList struct {
	listing

	Rows  []userRow
	Pager pager
	Sorts map[string]sortLink
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

// rowMask is what a row shows.
var rowMask = &fieldmaskpb.FieldMask{Paths: []string{"user_name", "display_name", "name", "emails", "active", "meta.last_modified"}}

func listUsers(v *visit) error { return v.showList("users", "User", "Users", usersOf) }

func followUsers(v *visit) error { return v.followList("users", "User", usersOf) }

// usersOf is a page of the list that the address asks for.
func usersOf(v *visit) (any, *listing, error) {
	l := listingOf(v, "userName", "displayName", "meta.lastModified")
	view := &userList{listing: l, Sorts: map[string]sortLink{
		"name": l.by("displayName", "Name"), "userName": l.by("userName", "User name"), "changed": l.by("meta.lastModified", "Changed"),
	}}
	find := (*userList).find
	if l.Query != "" && !l.Inside {
		find = (*userList).findBeginnings
	}
	var err error
	view.Problem, err = l.explain(find(view, v))
	return view, &view.listing, err
}

// find reads a page of the list. How many there are in all is known without a filter
// alone; to count what one matches would cost as much as to read it.
func (list *userList) find(v *visit) error {
	out, err := v.directory.FindUsers(v.Context(), &musterv1.FindUsersRequest{
		Filter: both(contains(list.Query, "userName", "displayName", "name.familyName", "name.givenName", "emails.value"), list.Filter),
		SortBy: list.sortBy(), SortOrder: list.order(), PageSize: pageSize, PageToken: list.After, ReadMask: rowMask,
	})
	if err != nil {
		return err
	}
	for _, u := range out.GetUsers() {
		list.Rows = append(list.Rows, rowOf(u))
	}
	text := list.pageText(len(list.Rows), out.GetNextPageToken(), "user", "users")
	if !list.Narrowed() {
		all, err := v.provisioning.ListUsers(v.Context(), &musterv1.ListUsersRequest{Count: new(int32)})
		if err != nil {
			return err
		}
		text = plural(all.GetTotalResults(), "user", "users")
	}
	list.Pager = list.pager(text, out.GetNextPageToken())
	return nil
}

// findBeginnings finds users whose name, userName or e-mail address begins with what was
// typed. Each of these has an index, so it is quick however many users there are; that
// is why each is asked for by itself, and in the order of the index where that is the
// attribute's own.
func (list *userList) findBeginnings(v *visit) error {
	filters := beginnings(list.Query)
	found := make([]*musterv1.FindUsersResponse, len(filters))
	g, ctx := errgroup.WithContext(v.Context())
	for i, filter := range filters {
		sortBy, _, _ := strings.Cut(filter, " ")
		if !slices.Contains([]string{"userName", "displayName"}, sortBy) {
			sortBy = ""
		}
		g.Go(func() (err error) {
			found[i], err = v.directory.FindUsers(ctx, &musterv1.FindUsersRequest{Filter: both(filter, list.Filter), SortBy: sortBy, PageSize: pageSize, ReadMask: rowMask})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	more := false
	for _, part := range found {
		more = more || part.GetNextPageToken() != ""
		for _, u := range part.GetUsers() {
			list.Rows = append(list.Rows, rowOf(u))
		}
	}
	slices.SortFunc(list.Rows, func(a, b userRow) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	list.Rows = slices.CompactFunc(list.Rows, func(a, b userRow) bool { return a.ID == b.ID })
	if len(list.Rows) > pageSize {
		list.Rows, more = list.Rows[:pageSize], true
	}
	list.Pager.Text = foundText(len(list.Rows), more, "user", "users")
	return nil
}

// beginnings are the filters for what somebody typed: for one of the names and addresses
// that begins with it, and for given and family name in either order.
func beginnings(typed string) []string {
	paths := []string{"userName", "displayName", "name.familyName", "name.givenName", "emails.value"}
	if len([]rune(typed)) < 2 {
		paths = paths[:2] // so many begin with one letter that the others, which have no column, are no help
	}
	var all []string
	for _, path := range paths {
		all = append(all, path+" sw "+literal(typed))
	}
	if first, rest, two := strings.Cut(typed, " "); two {
		first, rest = literal(strings.TrimRight(first, ",")), literal(strings.TrimSpace(rest))
		all = append(all, "name.givenName sw "+first+" and name.familyName sw "+rest, "name.familyName sw "+first+" and name.givenName sw "+rest)
	}
	return all
}
