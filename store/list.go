package store

import (
	"context"
	"time"

	"github.com/muster-scim/muster/scim"
)

// Query asks for a page of a list.
type Query struct {
	Filter scim.Filter     // nil: all
	SortBy *scim.Attribute // nil: by id
	Links  bool            // read the links too

	Descending bool
	// After is the place that the page begins behind. Nil: it begins behind the
	// first Offset resources.
	After  *scim.Place
	Offset int
	Count  int // how many at most; 0: the total alone
	// Uncounted says that the total is of no interest.
	Uncounted bool
}

// A Part is what a list of several types has of one of them.
type Part struct {
	Type   *scim.ResourceType
	Filter scim.Filter
	SortBy *scim.Attribute // nil: the type has no such attribute
	Links  bool
}

// Page is the answer to a Query.
type Page struct {
	// Resources may be fewer than asked for where they have very many links.
	Resources []scim.Resource
	// Of tells which part each of them is of.
	Of []int
	// Total is how many resources match in all, where the query asks for it.
	Total int
	// Next is the place that the next page begins behind; nil: this is the last.
	Next *scim.Place
}

// maxQuery is how long a page may take to find. Only filters and orders that no
// index helps with, over very many resources, come near.
const maxQuery = 20 * time.Second

// List reads a page of the resources of one type. It fails with Unavailable where
// finding them takes longer than maxQuery, and with RateLimited where so many other
// searches of the tenant do.
func (t Tenant) List(ctx context.Context, rt *scim.ResourceType, q Query) (Page, error) {
	return t.Search(ctx, []Part{{rt, q.Filter, q.SortBy, q.Links}}, q)
}

// Search is List over several types. What the query asks of one type stands in the
// parts instead. Where it is sorted, one of them must have the attribute.
func (t Tenant) Search(ctx context.Context, parts []Part, q Query) (Page, error) {
	l := listing{Query: q, tenant: t, parts: parts}
	if err := l.findInTime(ctx); err != nil {
		return Page{}, err
	}
	if err := l.loadLinks(withOneLarge(ctx)); err != nil {
		return Page{}, err
	}
	p := Page{Total: l.total}
	for _, f := range l.found {
		p.Resources, p.Of = append(p.Resources, f.resource), append(p.Of, f.part)
	}
	if n := len(l.found); l.more && n > 0 {
		p.Next = &l.found[n-1].place
	}
	return p, nil
}

// A listing is a page in the making.
type listing struct {
	Query

	tenant Tenant
	parts  []Part
	found  []foundResource
	more   bool // there are resources behind those that were found
	total  int
}

type foundResource struct {
	resource scim.Resource
	place    scim.Place
	part     int
	linked   bool
}

func (l *listing) findInTime(whole context.Context) error {
	ctx, cancel := context.WithTimeout(whole, maxQuery)
	defer cancel()
	done, err := l.tenant.store.shares.searches.take(ctx, l.tenant.id)
	if err != nil && whole.Err() == nil {
		return scim.Errorf(scim.RateLimited, "too many searches at once; send fewer in parallel").After(maxQuery / 4)
	}
	if err == nil {
		err = l.find(ctx)
		done()
	}
	if err != nil && ctx.Err() != nil && whole.Err() == nil {
		return scim.Errorf(scim.Unavailable, "the query takes too long; add a condition on an attribute such as userName, or sort by one")
	}
	return err
}

// find finds the page, without links, and the total.
func (l *listing) find(ctx context.Context) error {
	for _, s := range l.sections() {
		if l.Count == 0 || l.more {
			break
		}
		st := l.tenant.store.statement()
		l.add(st, s)
		if err := l.tenant.store.read(ctx, st, l.take); err != nil {
			return err
		}
	}
	n := len(l.found)
	switch {
	case l.Uncounted:
		return nil
	case l.After == nil && !l.more && l.Count > 0 && (n > 0 || l.Offset == 0): // the end is in sight
		l.total = l.Offset + n
		return nil
	}
	for _, p := range l.parts {
		n, err := l.tenant.count(ctx, p.Type, p.Filter)
		if err != nil {
			return err
		}
		l.total += n
	}
	return nil
}

// take keeps one row of the answer. There is one row more than was asked for, which
// tells that there are more resources.
func (l *listing) take(scan scan) error {
	if len(l.found) == l.Count {
		l.more = true
		return nil
	}
	var w row
	var part int
	var text *string
	var number *float64
	key := any(&text)
	if l.numeric() {
		key = &number
	}
	if err := scan(&w.id, &w.version, &w.created, &w.updated, &w.document, &w.linked, &part, key); err != nil {
		return err
	}
	r, err := w.resource(l.parts[part].Type)
	if err != nil {
		return err
	}
	place := scim.Place{ID: w.id, Assigned: text != nil || number != nil}
	if text != nil {
		place.Text = *text
	}
	if number != nil {
		place.Number = *number
	}
	l.found = append(l.found, foundResource{r, place, part, w.linked})
	return nil
}

// loadLinks reads the links of what was found, and cuts the page behind the last
// resource that it could do so for.
func (l *listing) loadLinks(ctx context.Context) error {
	for i := range l.parts {
		var resources []scim.Resource
		var at []int // where they stand in the page
		linked := false
		for j, f := range l.found {
			if f.part == i {
				resources, at = append(resources, f.resource), append(at, j)
				linked = linked || f.linked
			}
		}
		if !linked {
			continue
		}
		served, err := l.tenant.loadLinks(ctx, l.parts[i].Type, resources)
		if err != nil {
			return err
		}
		if served < len(resources) {
			l.found, l.more = l.found[:at[served]], true
		}
	}
	return nil
}
