package console

import (
	"cmp"
	"encoding/json"
	"net/url"
	"strings"
	"unicode"

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
	Inside bool   // it may stand inside a name, too
	Filter string // in the language of SCIM
	Sort   string // the path of an attribute; empty: usualSort
	Down   bool   // descending
	After  string // the page_token
	Stream string // the address of what keeps the first page up to date

	Problem string // of the filter
}

// listingOf reads the address of a list, which may be sorted by some attributes.
func listingOf(v *visit, sorts ...string) listing {
	q := v.URL.Query()
	l := listing{
		Path: strings.TrimSuffix(v.URL.Path, liveSuffix), Query: plainText(q.Get("q")), Filter: strings.TrimSpace(q.Get("filter")),
		Inside: q.Get("inside") != "", Down: q.Get("down") != "", After: q.Get("after"),
	}
	for _, s := range sorts {
		if q.Get("sort") == s && s != usualSort {
			l.Sort = s
		}
	}
	return l
}

// explain is what is wrong with the filter, for the page to tell. Any other error stays.
func (l listing) explain(err error) (problem string, _ error) {
	problem, bad := problemOf(err)
	if !bad || l.Filter == "" || isPageGone(err) {
		return "", err
	}
	return problem, nil
}

// plainText is what somebody typed, as it can be searched for.
func plainText(typed string) string {
	typed = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(typed, ""))
	if len(typed) > maxQuery {
		typed = strings.ToValidUTF8(typed[:maxQuery], "")
	}
	return strings.TrimSpace(typed)
}

// Narrowed tells whether the list has less than everything.
func (l listing) Narrowed() bool { return l.Query != "" || l.Filter != "" }

// usualSort is the attribute that lists are sorted by: what stands in their first column.
const usualSort = "displayName"

// sortBy is the attribute that the list is sorted by.
func (l listing) sortBy() string { return cmp.Or(l.Sort, usualSort) }

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
	for name, set := range map[string]bool{"down": l.Down, "inside": l.Inside} {
		if set {
			q.Set(name, "1")
		}
	}
	if len(q) == 0 {
		return l.Path
	}
	return l.Path + "?" + q.Encode()
}

// InsideURL is the address of the list of what has what was typed anywhere in it.
func (l listing) InsideURL() string {
	l.Inside = true
	return l.url("")
}

// A sortLink is the head of a column that the list can be sorted by.
type sortLink struct {
	Text, URL          string
	Active, Descending bool
}

// by is the head of the column of an attribute. It sorts by it, or turns the order round.
func (l listing) by(attribute, text string) sortLink {
	active := l.sortBy() == attribute
	s := sortLink{Text: text, Active: active, Descending: active && l.Down}
	of := l
	if of.Sort, of.Down = attribute, active && !l.Down; attribute == usualSort {
		of.Sort = ""
	}
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

// pageText says how many rows a page has.
func (l listing) pageText(rows int, next, one, many string) string {
	if l.After == "" && next == "" {
		return plural(rows, one, many)
	}
	return plural(rows, one, many) + " on this page"
}

// foundText says how many were found of what somebody types, who sees one page.
func foundText(rows int, more bool, one, many string) string {
	if more {
		return "Some of many. Type more to see fewer."
	}
	return plural(rows, one, many)
}

// literal is a text in the language of filters.
func literal(text string) string {
	quoted, _ := json.Marshal(text) //nolint:errchkjson // of a string
	return string(quoted)
}

// contains is a filter for what was typed, anywhere in one of some attributes.
func contains(typed string, paths ...string) string {
	if typed == "" {
		return ""
	}
	some := make([]string, len(paths))
	for i, path := range paths {
		some[i] = path + " co " + literal(typed)
	}
	return strings.Join(some, " or ")
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
