package console

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const stalePath = healthPath + "/stale"

const (
	usualStaleDays = 30
	staleShown     = 5   // on the page of the health
	staleCleaned   = 100 // at once: as many as somebody can look at
)

// stale is which groups no client has written for long.
type stale struct {
	Days   int
	Groups []*musterv1.StaleGroup
	Total  int64
	Pager  pager
	// Left is how many there are beside those of a clean-up.
	Left int64
	// Path is the page that has them all, Clean the one that would delete them.
	Path, Clean string
}

func staleOf(days int) stale {
	query := "?days=" + strconv.Itoa(days)
	return stale{Days: days, Path: stalePath + query, Clean: stalePath + "/delete" + query}
}

// staleDays is after how many days a visit calls a group stale.
func (v *visit) staleDays() (int, error) {
	text := v.FormValue("days")
	if text == "" {
		return usualStaleDays, nil
	}
	days, err := strconv.ParseInt(text, 10, 32)
	if err != nil || days < 1 { // the core's 0 would be its usual number
		return 0, status.Error(codes.InvalidArgument, "how many days is a number, and at least 1")
	}
	return int(days), nil
}

// stale lists the first groups that are stale, or those after some.
func (v *visit) stale(size int32, after string) (stale, error) {
	days, err := v.staleDays()
	if err != nil {
		return stale{}, err
	}
	view := staleOf(days)
	out, err := v.activity.ListStaleGroups(v.Context(), &musterv1.ListStaleGroupsRequest{Days: int32(days), PageSize: size, PageToken: after}) //nolint:gosec // parsed as such
	if err != nil {
		return view, err
	}
	view.Groups, view.Total = out.GetGroups(), out.GetTotal()
	view.Pager = pager{Text: plural(view.Total, "group", "groups")}
	if after != "" {
		view.Pager.First = view.Path
	}
	if next := out.GetNextPageToken(); next != "" {
		view.Pager.Next = view.Path + "&after=" + url.QueryEscape(next)
	}
	return view, nil
}

var staleCrumbs = []crumb{{"Health", healthPath}}

// listStale shows all groups that are stale.
func listStale(v *visit) error {
	view, err := v.stale(pageSize, v.FormValue("after"))
	if isPageGone(err) {
		return v.redirect(stalePath)
	}
	if err != nil {
		return err
	}
	return v.show("stale", page{Title: "Stale groups", Section: "health", Crumbs: staleCrumbs, Data: view})
}

// askCleanStale shows what a clean-up would delete: the core is asked to do it without
// effect.
func askCleanStale(v *visit) error {
	days, err := v.staleDays()
	if err != nil {
		return err
	}
	out, err := v.activity.DeleteStaleGroups(v.Context(), &musterv1.DeleteStaleGroupsRequest{Days: int32(days), Max: staleCleaned, DryRun: true}) //nolint:gosec // parsed as such
	if err != nil {
		return err
	}
	view := staleOf(days)
	view.Groups, view.Left = out.GetGroups(), out.GetLeft()
	return v.show("stale-delete", page{Title: "Delete stale groups?", Section: "health", Crumbs: append(slices.Clone(staleCrumbs), crumb{"Stale groups", view.Path}), Data: view})
}

// cleanStale deletes the groups that were looked at and chosen. What a client has written
// since then stays, and what has become stale since then was not looked at.
func cleanStale(v *visit) error {
	days, err := v.staleDays()
	if err != nil {
		return err
	}
	ids := v.PostForm["id"]
	if len(ids) == 0 { // to the core that would be all
		return status.Error(codes.InvalidArgument, "no group was chosen; nothing was deleted")
	}
	out, err := v.activity.DeleteStaleGroups(v.Context(), &musterv1.DeleteStaleGroupsRequest{Days: int32(days), Ids: ids, Max: staleCleaned}) //nolint:gosec // parsed as such
	if err != nil {
		return err
	}
	deleted := len(out.GetGroups())
	text := plural(deleted, "group is", "groups are") + " deleted."
	if kept := len(ids) - deleted; kept > 0 {
		text += " " + plural(kept, "was written or deleted meanwhile, and is", "were written or deleted meanwhile, and are") + " left alone."
	}
	return v.done(staleOf(days).Path, text)
}

// quiet is how long no client has written a group, in words.
func quiet(g *musterv1.StaleGroup) string {
	return ageText(time.Since(g.GetLastPushTime().AsTime()))
}
