package console

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const changesPath = activityPath + "/changes"

// changeTerms are what changes can be narrowed by.
var changeTerms = []string{"type", "attribute", "group"}

// changesView is what the page of changes shows.
type changesView struct {
	terms

	Tabs    []viewTab
	Changes []changeLine
	Older   bool // there are older ones, which the page does not show
	Problem string
	Stream  string
	Type    choice
	Terms   []entry
}

// A changeLine is a change of a resource in a list.
type changeLine struct {
	*musterv1.Change

	Deed, Badge string
	Name, Link  string   // of the resource
	What        []string // changed
	Changes     []change
}

// deeds are what a change did, and how it looks.
var deeds = map[musterv1.Change_Operation][2]string{
	musterv1.Change_OPERATION_CREATE: {"created", "good"},
	musterv1.Change_OPERATION_UPDATE: {"changed", "plain"},
	musterv1.Change_OPERATION_DELETE: {"deleted", "bad"},
}

func changeLineOf(c *musterv1.Change) (changeLine, error) {
	deed := deeds[c.GetOperation()]
	l := changeLine{Change: c, Deed: deed[0], Badge: deed[1], Name: c.GetResourceId()}
	switch r := c.GetResource().(type) {
	case *musterv1.Change_User:
		l.Name = nameOf(r.User)
	case *musterv1.Change_Group:
		l.Name = cmp.Or(r.Group.GetDisplayName(), l.Name)
	}
	if c.GetOperation() != musterv1.Change_OPERATION_DELETE {
		l.Link = resourcePath(c.GetResourceType(), c.GetResourceId())
	}
	for path, a := range c.GetAttributes() {
		before, err := compactValue(a.GetBefore())
		if err != nil {
			return l, err
		}
		after, err := compactValue(a.GetAfter())
		if err != nil {
			return l, err
		}
		l.Changes = append(l.Changes, change{Name: path, Before: before, After: after, Secret: before == "" && after == ""})
		l.What = append(l.What, path)
	}
	slices.Sort(l.What)
	slices.SortFunc(l.Changes, func(a, b change) int { return strings.Compare(a.Name, b.Name) })
	added, removed := c.GetAddedMembers(), c.GetRemovedMembers()
	if len(added)+len(removed) > 0 {
		l.Changes = append(l.Changes, change{Name: "members", After: some(added), Before: some(removed)})
		l.What = append(l.What, memberCounts(len(added), len(removed)))
	}
	return l, nil
}

func memberCounts(added, removed int) string {
	var parts []string
	if added > 0 {
		parts = append(parts, "+"+number(added))
	}
	if removed > 0 {
		parts = append(parts, "−"+number(removed))
	}
	return "members " + strings.Join(parts, " ")
}

func compactValue(v *structpb.Value) (string, error) {
	if v == nil {
		return "", nil
	}
	return compact(v.AsInterface())
}

func (t terms) changeFilter() *musterv1.ChangeFilter {
	var f musterv1.ChangeFilter
	for name, into := range map[string]*[]string{"type": &f.ResourceTypes, "attribute": &f.Attributes, "group": &f.Groups} {
		if value := t.Get(name); value != "" {
			*into = []string{value}
		}
	}
	return &f
}

func showChanges(v *visit) error {
	t := termsOf(v, changesPath, append(slices.Clone(changeTerms), "position")...)
	view := changesView{terms: t, Tabs: activityTabs(changesPath)}
	types, err := v.discovery.ListResourceTypes(v.Context(), &musterv1.ListResourceTypesRequest{})
	if err != nil {
		return err
	}
	options := []option{{"", "All types"}}
	for _, rt := range types.GetResourceTypes() {
		options = append(options, option{rt.GetName(), rt.GetName()})
	}
	view.Type = t.choice("type", "Of", options...)
	view.Terms = []entry{t.entry("attribute", "Attribute", "active"), t.entry("group", "Id of a group", "")}
	recent, head, older, err := v.recentChanges(t.changeFilter())
	if problem, bad := problemOf(err); bad {
		view.Problem = problem
	} else if err != nil {
		return err
	}
	for _, c := range slices.Backward(recent) {
		line, err := changeLineOf(c)
		if err != nil {
			return err
		}
		view.Changes = append(view.Changes, line)
	}
	view.Older = older
	of := t
	of.Path = changesPath + "/stream"
	view.Stream = of.With("position", number64(head))
	return v.show("changes", page{Title: "Changes", Section: "activity", Data: view})
}

// firstLookBack is how far is looked back for the newest changes at first.
const firstLookBack = 200

// recentChanges are the newest changes, in their order, and the position of the last of
// any tenant. The feed is read forward only, so this goes back step by step until there
// are enough, or it has looked at enough.
func (v *visit) recentChanges(f *musterv1.ChangeFilter) (recent []*musterv1.Change, head int64, older bool, err error) {
	out, err := v.changes.ListChanges(v.Context(), &musterv1.ListChangesRequest{Filter: f, AfterPosition: -1})
	if err != nil {
		return nil, 0, false, err
	}
	head = out.GetHead()
	start := time.Now()
	for back := int64(firstLookBack); ; back *= 10 {
		after := max(head-back, 0)
		all, err := v.changesAfter(after, f)
		if reasonOf(err) == "positionGone" {
			after = 0
			all, err = v.changesAfter(0, f)
		}
		if err != nil {
			return nil, head, false, err
		}
		if len(all) >= pageSize || after == 0 || time.Since(start) > lookBackTime {
			older = after > 0 || len(all) > pageSize
			return all[max(len(all)-pageSize, 0):], head, older, nil
		}
	}
}

// changesAfter are all changes after a position; of very many the last.
func (v *visit) changesAfter(after int64, f *musterv1.ChangeFilter) (all []*musterv1.Change, err error) {
	for {
		out, err := v.changes.ListChanges(v.Context(), &musterv1.ListChangesRequest{AfterPosition: after, Filter: f})
		if err != nil {
			return nil, err
		}
		all = append(all, out.GetChanges()...)
		all = all[max(len(all)-2*pageSize, 0):]
		if after = out.GetPosition(); !out.GetMore() {
			return all, nil
		}
	}
}

// followChanges sends each change that comes.
func followChanges(v *visit) error {
	t := termsOf(v, changesPath, append(slices.Clone(changeTerms), "position")...)
	req := &musterv1.WatchChangesRequest{Filter: t.changeFilter(), AfterPosition: parse64(cmp.Or(v.lastEvent(), t.Get("position")))}
	return v.stream(func(ctx context.Context, send func(event) error) error {
		stream, err := v.changes.WatchChanges(ctx, req)
		if err != nil {
			return err
		}
		for {
			out, err := stream.Recv()
			if err != nil {
				return err
			}
			c := out.GetChange()
			if c == nil {
				continue
			}
			line, err := changeLineOf(c)
			if err != nil {
				return err
			}
			html, err := v.render("changes", "change-line", line)
			if err != nil {
				return err
			}
			if err := send(event{ID: number64(c.GetPosition()), Name: "change", HTML: html}); err != nil {
				return err
			}
		}
	})
}
