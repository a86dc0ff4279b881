package console

import (
	"net/url"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

// maxQuery is how many bytes are searched for; what is longer is no name.
const maxQuery = 200

// A listing is what the address of a list of resources asks for.
type listing struct {
	Path   string
	Query  string // what somebody typed
	Filter string // in the language of SCIM
	Sort   string // the path of an attribute; empty: the order of creation
	Down   bool   // descending
	After  string // the page_token
}

// listingOf reads the address of a list, which may be sorted by some attributes.
func listingOf(v *visit, sorts ...string) listing {
	q := v.URL.Query()
	l := listing{
		Path: v.URL.Path, Query: strings.TrimSpace(q.Get("q")), Filter: strings.TrimSpace(q.Get("filter")),
		Down: q.Get("down") != "", After: q.Get("after"),
	}
	if len(l.Query) > maxQuery {
		l.Query = strings.ToValidUTF8(l.Query[:maxQuery], "")
	}
	for _, s := range sorts {
		if q.Get("sort") == s {
			l.Sort = s
		}
	}
	return l
}

// Narrowed tells whether the list has less than everything.
func (l listing) Narrowed() bool { return l.Query != "" || l.Filter != "" }

// order is the order, as the core has it.
func (l listing) order() musterv1.SortOrder {
	if l.Down {
		return musterv1.SortOrder_SORT_ORDER_DESCENDING
	}
	return musterv1.SortOrder_SORT_ORDER_ASCENDING
}

// url is the address of the list, at a page.
func (l listing) url(after string) string {
	q := url.Values{}
	for _, f := range []field{{"q", l.Query}, {"filter", l.Filter}, {"sort", l.Sort}, {"after", after}} {
		if f.Value != "" {
			q.Set(f.Name, f.Value)
		}
	}
	if l.Down {
		q.Set("down", "1")
	}
	if len(q) == 0 {
		return l.Path
	}
	return l.Path + "?" + q.Encode()
}

// A sortLink is the head of a column that the list can be sorted by.
type sortLink struct {
	Text, URL          string
	Active, Descending bool
}

// by is the head of the column of an attribute. It sorts by it, or turns the order round.
func (l listing) by(attribute, text string) sortLink {
	s := sortLink{Text: text, Active: l.Sort == attribute, Descending: l.Sort == attribute && l.Down}
	of := l
	of.Sort, of.Down = attribute, s.Active && !l.Down
	s.URL = of.url("")
	return s
}

// A pager leads from page to page.
type pager struct {
	Text        string
	First, Next string // addresses; empty: there is none
}

func (l listing) pager(text, next string) pager {
	p := pager{Text: text}
	if l.After != "" {
		p.First = l.url("")
	}
	if next != "" {
		p.Next = l.url(next)
	}
	return p
}

// both is a filter that asks for all that each of some filters asks for.
func both(filters ...string) string {
	var some []string
	for _, f := range filters {
		if f != "" {
			some = append(some, f)
		}
	}
	if len(some) < 2 {
		return strings.Join(some, "")
	}
	return "(" + strings.Join(some, ") and (") + ")"
}

// isPageGone tells whether an error says that a page_token is of no use any more: it is
// too old, or of a list that was asked for otherwise. The first page is.
func isPageGone(err error) bool {
	switch reasonOf(err) {
	case "expiredCursor", "invalidCursor", "invalidCount":
		return true
	}
	return false
}
