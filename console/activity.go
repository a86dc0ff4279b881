package console

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const activityPath = root + "activity"

// activityTerms are what requests can be narrowed by.
var activityTerms = []string{"errors", "writes", "credential", "kind", termSince, "path", "resource", "method", "status", "address", "request", termFrom, termTo, "own"}

// exchangeKinds are what requests can be about, in words.
var exchangeKinds = []struct {
	name, text string
	kind       musterv1.LoggedExchange_Kind
}{
	{"users", "Users", musterv1.LoggedExchange_KIND_USERS},
	{"groups", "Groups", musterv1.LoggedExchange_KIND_GROUPS},
	{"resources", "Other resources", musterv1.LoggedExchange_KIND_RESOURCES},
	{"bulk", "Bulk", musterv1.LoggedExchange_KIND_BULK},
	{"search", "Searches of all types", musterv1.LoggedExchange_KIND_SEARCH},
	{"discovery", "What the server can do", musterv1.LoggedExchange_KIND_DISCOVERY},
	{"changes", "The change feed", musterv1.LoggedExchange_KIND_CHANGES},
	{"admin", "Administration", musterv1.LoggedExchange_KIND_ADMIN},
	{"oauth", "Access tokens", musterv1.LoggedExchange_KIND_OAUTH},
	{"unknown", "Paths that lead nowhere", musterv1.LoggedExchange_KIND_UNKNOWN},
}

func kindOptions() []option {
	options := []option{{"", "Everything"}}
	for _, k := range exchangeKinds {
		options = append(options, option{k.name, k.text})
	}
	return options
}

// A viewTab leads to one of several pages that belong together.
type viewTab struct {
	Text, Path string
	Active     bool
}

// activityTabs are the pages of the section, one of which is at a path.
func activityTabs(path string) []viewTab {
	tabs := []viewTab{{Text: "Requests", Path: activityPath}, {Text: "Changes", Path: changesPath}, {Text: "Recordings", Path: recordingsPath}}
	for i := range tabs {
		tabs[i].Active = tabs[i].Path == path
	}
	return tabs
}

// activityView is what the page of requests shows.
type activityView struct {
	terms

	Tabs      []viewTab
	Exchanges []exchangeLine
	Errors    []errorGroup
	MoreLike  bool // there are more errors than were looked at
	Problem   string
	Pager     pager
	Stream    string // what follows them; empty: the page is not of the newest
	Choices   []choice
	Who       entry
	More      []entry
	Unknown   bool // those of no known tenant are shown, too
	Open      bool
}

// exchangeFilter is what the terms ask of the core.
func (t terms) exchangeFilter(v *visit) *musterv1.ExchangeFilter {
	f := &musterv1.ExchangeFilter{
		Errors: t.Has("errors"), Writes: t.Has("writes"), Credential: t.Get("credential"), PathPrefix: t.Get("path"), ResourceId: t.Get("resource"),
		Method: t.Get("method"), Address: t.Get("address"), RequestId: t.Get("request"), UnknownTenant: v.session.Switches && !t.Has("own"),
	}
	for _, k := range exchangeKinds {
		if k.name == t.Get("kind") {
			f.Kinds = append(f.Kinds, k.kind)
		}
	}
	if status, err := strconv.ParseInt(t.Get("status"), 10, 32); err == nil {
		f.Status = int32(status)
	}
	return f
}

func showActivity(v *visit) error {
	t := termsOf(v, activityPath, activityTerms...)
	view, err := v.activityView(t)
	if err != nil {
		return err
	}
	return v.show("activity", page{Title: "Activity", Section: "activity", Data: view})
}

func (v *visit) activityView(t terms) (*activityView, error) {
	view := &activityView{
		terms: t, Tabs: activityTabs(activityPath), Unknown: v.session.Switches,
		Open:    t.Has("path", "resource", "method", "status", "address", "request", termFrom, termTo),
		Choices: []choice{t.choice("kind", "About", kindOptions()...), t.choice(termSince, "Time", periodOptions()...)},
		More: []entry{
			t.entry("path", "Path begins with", "/scim/v2/Users"), t.entry("method", "Method", "PATCH", "GET", "POST", "PUT", "PATCH", "DELETE"), t.entry("status", "Status", "401"),
			t.entry("resource", "Resource id", ""), t.entry("address", "Address", "192.0.2.7"), t.entry("request", "Request id", ""),
			t.moment(termFrom, "From, UTC"), t.moment(termTo, "Until, UTC"),
		},
	}
	names, err := v.credentialNames()
	if err != nil {
		return nil, err
	}
	view.Who = t.entry("credential", "Credential", "", names...)
	next, err := v.exchangePage(t, view)
	if problem, bad := problemOf(err); bad {
		view.Problem = problem
		return view, nil
	} else if err != nil {
		return nil, err
	}
	view.Pager = t.pager(plural(len(view.Exchanges), "request", "requests"), next)
	if t.Has(termAfter, termTo) {
		return view, nil
	}
	view.Stream = streamOf(t, view.Exchanges)
	if !t.Has("errors", "status", "request") {
		view.Errors, view.MoreLike, err = v.recentErrors(t)
	}
	return view, err
}

// exchangePage reads a page of requests, and the token of the next one.
func (v *visit) exchangePage(t terms, view *activityView) (next string, err error) {
	req := &musterv1.ListExchangesRequest{Filter: t.exchangeFilter(v), PageSize: pageSize, PageToken: t.Get(termAfter)}
	req.StartTime, req.EndTime = t.between()
	for start := time.Now(); ; {
		out, err := v.activity.ListExchanges(v.Context(), req)
		if err != nil {
			return "", err
		}
		for _, e := range out.GetExchanges() {
			view.Exchanges = append(view.Exchanges, lineOf(e))
		}
		if req.PageToken = out.GetNextPageToken(); req.GetPageToken() == "" || len(view.Exchanges) > 0 || time.Since(start) > lookBackTime {
			return req.GetPageToken(), nil
		}
	}
}

// streamOf is the address of what follows the requests of a page.
func streamOf(t terms, all []exchangeLine) string {
	newest := ""
	if len(all) > 0 {
		newest = all[0].GetId()
	}
	of := t
	of.Path = activityPath + "/stream"
	of.names = append(slices.Clone(t.names), "newest")
	return of.With("newest", newest)
}

// followActivity sends each request that comes, and the errors anew when one of them is
// an error.
func followActivity(v *visit) error {
	t := termsOf(v, activityPath, append(slices.Clone(activityTerms), "newest")...)
	req := &musterv1.WatchExchangesRequest{Filter: t.exchangeFilter(v), AfterId: cmp.Or(v.lastEvent(), t.Get("newest"))}
	return v.stream(func(ctx context.Context, send func(event) error) error {
		stream, err := v.activity.WatchExchanges(ctx, req)
		if err != nil {
			return err
		}
		for {
			out, err := stream.Recv()
			if err != nil {
				return err
			}
			if out.GetExchange() == nil {
				continue
			}
			html, err := v.render("activity", "exchange-line", lineOf(out.GetExchange()))
			if err == nil {
				err = send(event{ID: out.GetExchange().GetId(), Name: "request", HTML: html})
			}
			if err == nil && failed(out.GetExchange()) && !t.Has("errors", "status", "request") {
				err = v.sendErrors(t, send) //nolint:contextcheck // a visit has its request's
			}
			if err != nil {
				return err
			}
		}
	})
}

func (v *visit) sendErrors(t terms, send func(event) error) error {
	view := &activityView{terms: t}
	var err error
	if view.Errors, view.MoreLike, err = v.recentErrors(t); err != nil {
		return err
	}
	html, err := v.render("activity", "errors", view)
	if err != nil {
		return err
	}
	return send(event{Name: "errors", HTML: html})
}

// An errorGroup are errors of one kind: of one client, for one reason.
type errorGroup struct {
	exchangeLine // the newest

	Count int
}

// Limits of what is looked at for the errors that stand first.
const (
	errorsSince = 24 * time.Hour
	maxErrors   = 200
	maxGroups   = 6
)

// recentErrors are the errors of the last day by their kind, that with the newest first,
// and whether there are more than were looked at.
func (v *visit) recentErrors(t terms) ([]errorGroup, bool, error) {
	filter := t.exchangeFilter(v)
	filter.Errors = true
	from, _ := t.between()
	if day := timestamppb.New(time.Now().Add(-errorsSince)); from == nil || from.AsTime().Before(day.AsTime()) {
		from = day
	}
	return v.errorGroups(v.Context(), filter, from)
}

// errorGroups are errors by their kind, from a moment on.
func (v *visit) errorGroups(ctx context.Context, filter *musterv1.ExchangeFilter, from *timestamppb.Timestamp) ([]errorGroup, bool, error) {
	out, err := v.activity.ListExchanges(ctx, &musterv1.ListExchangesRequest{Filter: filter, StartTime: from, PageSize: maxErrors})
	if err != nil {
		return nil, false, err
	}
	type kind struct {
		who, reason string
		status      int32
		cause       musterv1.LoggedExchange_Cause
		kind        musterv1.LoggedExchange_Kind
	}
	var groups []errorGroup
	places := make(map[kind]int)
	for _, e := range out.GetExchanges() {
		line := lineOf(e)
		key := kind{line.Who, e.GetReason(), e.GetStatus(), e.GetCause(), e.GetKind()}
		place, known := places[key]
		if !known {
			place = len(groups)
			places[key] = place
			groups = append(groups, errorGroup{exchangeLine: line})
		}
		groups[place].Count++
	}
	more := out.GetNextPageToken() != "" || len(groups) > maxGroups
	return groups[:min(len(groups), maxGroups)], more, nil
}

// exportActivity downloads the requests that the terms ask for as JSON, one a line, the
// newest first.
func exportActivity(v *visit) error {
	t := termsOf(v, activityPath, activityTerms...)
	if err := v.noteDownload(t); err != nil {
		return err
	}
	req := &musterv1.ListExchangesRequest{Filter: t.exchangeFilter(v), PageSize: 500}
	req.StartTime, req.EndTime = t.between()
	return v.download(fileName("activity", "jsonl"), "application/jsonl", func(w io.Writer) (int, bool, error) {
		out, err := v.activity.ListExchanges(v.Context(), req)
		if err != nil {
			return 0, false, err
		}
		req.PageToken = out.GetNextPageToken()
		for _, e := range out.GetExchanges() {
			line, err := protojson.Marshal(e)
			if err == nil {
				_, err = fmt.Fprintf(w, "%s\n", line)
			}
			if err != nil {
				return 0, false, err
			}
		}
		return len(out.GetExchanges()), req.GetPageToken() != "", nil
	})
}
