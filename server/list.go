package server

import (
	"context"
	"fmt"
	"slices"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// A selecting request says which resources it wants, and in which order.
type selecting interface {
	GetFilter() string
	GetSortBy() string
	GetSortOrder() musterv1.SortOrder
}

// descends tells whether the order is the other way round.
func descends(req selecting) bool {
	return req.GetSortBy() != "" && req.GetSortOrder() == musterv1.SortOrder_SORT_ORDER_DESCENDING
}

// A listing request asks for a page.
type listing interface {
	projected
	selecting
	GetStartIndex() int32
}

// page is an answer to it.
type page[R any] struct {
	resources            []R
	total, start, length int32
	next                 string
}

// list reads a page of the resources of one type.
func list[R scim.Resource](ctx context.Context, s *cursors, rt *scim.ResourceType, req listing, count *int32, token *string) (page[R], error) {
	return search(ctx, s, rt.Name, []*scim.ResourceType{rt}, req, count, token, func(r scim.Resource) R {
		return r.(R) //nolint:forcetypeassert // the store answers with what was asked for
	})
}

func (s *provisioning) Search(ctx context.Context, req *musterv1.SearchRequest) (*musterv1.SearchResponse, error) {
	scopes := principalOf(ctx).Credential.Scopes
	types := slices.DeleteFunc(slices.Clone(tenantOf(ctx).Catalog().ResourceTypes()), func(rt *scim.ResourceType) bool {
		return !permits(scopes, read, rt.Name)
	})
	p, err := search(ctx, s.cursors, allOf(types), types, req, req.Count, req.PageToken, searchResult)
	return &musterv1.SearchResponse{Results: p.resources, TotalResults: p.total, StartIndex: p.start, ItemsPerPage: p.length, NextPageToken: p.next}, err
}

// allOf is the name of the list of some types: a cursor is good for the same ones.
func allOf(types []*scim.ResourceType) string {
	names := make([]string, len(types))
	for i, rt := range types {
		names[i] = rt.Name
	}
	return "/" + strings.Join(names, " ")
}

func searchResult(r scim.Resource) *musterv1.SearchResult {
	switch r := r.(type) {
	case *musterv1.User:
		return &musterv1.SearchResult{Resource: &musterv1.SearchResult_User{User: r}}
	case *musterv1.Group:
		return &musterv1.SearchResult{Resource: &musterv1.SearchResult_Group{Group: r}}
	case *musterv1.Resource:
		return &musterv1.SearchResult{Resource: &musterv1.SearchResult_Registered{Registered: r}}
	}
	return nil
}

// search reads a page of a list of some types, which has a name that no other list
// has. count and token are those fields of the request that may be absent. With a
// token the page begins where the token says; without one at the start index.
func search[R any](ctx context.Context, s *cursors, name string, types []*scim.ResourceType, req listing, count *int32, token *string, result func(scim.Resource) R) (out page[R], err error) {
	parts, projections, err := compileParts(types, req, req)
	if err != nil {
		return out, err
	}
	tenant := tenantOf(ctx)
	most := tenant.Catalog().Limits().PageSize // and how many there are by default
	q := store.Query{Count: most, Descending: descends(req)}
	if count != nil {
		q.Count = min(max(int(*count), 0), most)
	}
	of := fmt.Appendf(nil, "%d %q %q %q %t", tenant.ID(), name, req.GetFilter(), sortPath(parts), q.Descending)
	at := cursor{Count: q.Count}
	switch {
	case token == nil:
		out.start = max(req.GetStartIndex(), 1)
		q.Offset = int(out.start) - 1
	case *token != "":
		if at, err = s.open(ctx, *token, of); err != nil {
			return out, scim.InField("page_token", err)
		}
		if at.Count != q.Count {
			return out, scim.InField("count", scim.Errorf(scim.InvalidCount, "count was %d on the first page and must stay so", at.Count))
		}
		// A total that would have to be counted again is that of the first page.
		q.After, q.Uncounted = &at.Place, req.GetFilter() != ""
	}
	found, err := tenant.Search(ctx, parts, q)
	if err != nil {
		return out, err
	}
	if !q.Uncounted {
		at.Total = found.Total
	}
	out.total = int32(at.Total)              //nolint:gosec // two thousand million resources do not fit any database of ours
	out.length = int32(len(found.Resources)) //nolint:gosec // a page at most
	out.resources = make([]R, len(found.Resources))
	for i, r := range found.Resources {
		projections[found.Of[i]].Apply(r)
		out.resources[i] = result(r)
	}
	if found.Next != nil {
		at.Place = *found.Next
		out.next, err = s.seal(ctx, at, of)
	}
	return out, err
}

// compileParts prepares what a request asks of each type, and what its answer has of it.
func compileParts(types []*scim.ResourceType, req selecting, shown projected) ([]store.Part, []*scim.Projection, error) {
	parts := make([]store.Part, len(types))
	projections := make([]*scim.Projection, len(types))
	filters, sorts := make([]scim.Filter, len(types)), make([]*scim.Attribute, len(types))
	var err error
	if req.GetFilter() != "" {
		if filters, err = scim.ParseFilters(types, req.GetFilter()); err != nil {
			return nil, nil, scim.InField("filter", err)
		}
	}
	if req.GetSortBy() != "" {
		if sorts, err = scim.ParseSorts(types, req.GetSortBy()); err != nil {
			return nil, nil, scim.InField("sort_by", err)
		}
	}
	for i, rt := range types {
		p, links, err := answer(rt, shown)
		if err != nil {
			return nil, nil, err
		}
		projections[i] = p
		parts[i] = store.Part{Type: rt, Filter: filters[i], SortBy: sorts[i], Links: links}
	}
	return parts, projections, nil
}

// sortPath is the name of the attribute that the parts are sorted by, or "".
func sortPath(parts []store.Part) string {
	for _, p := range parts {
		if p.SortBy != nil {
			return p.SortBy.Path
		}
	}
	return ""
}
