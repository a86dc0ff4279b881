package console

import (
	"fmt"
	"strconv"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const stalePath = healthPath + "/stale"

// maxStale is how many groups a clean-up deletes at once, and its dry run shows.
const maxStale = 100

// staleView is what the page of stale groups shows.
type staleView struct {
	Days   int32
	Groups []*musterv1.StaleGroup
	Total  int64
}

// staleDays is for how many days nobody has written the groups that are asked for.
func (v *visit) staleDays() int32 {
	if days, err := strconv.ParseInt(v.FormValue("days"), 10, 32); err == nil && days > 0 {
		return int32(days)
	}
	return 30
}

func listStale(v *visit) error {
	view := staleView{Days: v.staleDays()}
	out, err := v.activity.ListStaleGroups(v.Context(), &musterv1.ListStaleGroupsRequest{Days: view.Days, PageSize: maxStale})
	if err != nil {
		return err
	}
	view.Groups, view.Total = out.GetGroups(), out.GetTotal()
	return v.show("stale", page{Title: "Stale groups", Section: "health", Crumbs: []crumb{{"Health", healthPath}}, Data: view})
}

// askDeleteStale is the dry run: it tells what the clean-up would delete, and asks.
func askDeleteStale(v *visit) error {
	days := v.staleDays()
	out, err := v.activity.DeleteStaleGroups(v.Context(), &musterv1.DeleteStaleGroupsRequest{Days: days, Max: maxStale, DryRun: true})
	if err != nil {
		return err
	}
	if len(out.GetGroups()) == 0 {
		return v.done(stalePath+"?days="+strconv.Itoa(int(days)), "No group is stale.")
	}
	q := question{
		Title: "Delete " + plural(len(out.GetGroups()), "stale group", "stale groups") + "?", Button: "Delete", Danger: true, Back: stalePath + "?days=" + strconv.Itoa(int(days)),
		Text: fmt.Sprintf("This was a dry run: nothing is deleted yet. No client has written these groups for %s. Their members stay, and lose the groups:", plural(days, "day", "days")),
	}
	for _, g := range out.GetGroups() {
		q.Points = append(q.Points, g.GetDisplayName()+", "+plural(g.GetMembers(), "member", "members"))
		q.Fields = append(q.Fields, field{"id", g.GetId()})
	}
	q.Fields = append(q.Fields, field{"days", strconv.Itoa(int(days))})
	return v.ask(page{Section: "health", Crumbs: []crumb{{"Health", healthPath}, {"Stale groups", stalePath}}}, q)
}

// deleteStale deletes those groups that the dry run showed, where they are stale still.
func deleteStale(v *visit) error {
	days := v.staleDays()
	ids := v.PostForm["id"]
	if len(ids) == 0 { // none would mean all
		return v.redirect(stalePath)
	}
	out, err := v.activity.DeleteStaleGroups(v.Context(), &musterv1.DeleteStaleGroupsRequest{Days: days, Ids: ids, Max: maxStale})
	if err != nil {
		return err
	}
	return v.done(stalePath+"?days="+strconv.Itoa(int(days)), plural(len(out.GetGroups()), "group is", "groups are")+" deleted.")
}
