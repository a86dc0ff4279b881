package gateway

import (
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/muster-scim/muster/scim"
)

// A place is what a request is about.
type place struct {
	path     string // clean and unescaped
	endpoint string // without the slash: Users
	// kind is what the query of the request may ask for.
	kind kind
}

type kind uint8

const (
	oneResource kind = iota
	resources        // a collection
	description      // of the server itself
	message          // what is asked stands in the body
)

// An endpoint is what can be done at a collection and at what it holds.
type endpoint struct {
	collection, item []string
	kind             kind // of the collection
}

var (
	readOnly = []string{http.MethodGet, http.MethodHead}
	writable = endpoint{
		collection: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		item:       []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete},
		kind:       resources,
	}
	// What http.yaml says, once more: the methods are known here before the body
	// is read, and so that a 405 can name them.
	endpoints = map[string]endpoint{
		"Users":                 writable,
		"Groups":                writable,
		"Bulk":                  {collection: []string{http.MethodPost}, kind: message},
		"ServiceProviderConfig": {collection: readOnly, kind: description},
		"ResourceTypes":         {collection: readOnly, item: readOnly, kind: description},
		"Schemas":               {collection: readOnly, item: readOnly, kind: description},
	}
)

// findPlace cleans the path and finds what it names. Clients are known to send
// doubled and trailing slashes, and do not follow redirects.
func findPlace(escaped, method string) (place, *problem) {
	var parts []string // scim, v2, endpoint, id
	for part := range strings.SplitSeq(escaped, "/") {
		if part == "" {
			continue
		}
		text, err := url.PathUnescape(part)
		if err != nil || text == "." || text == ".." || strings.Contains(text, "/") || len(parts) == 4 {
			return place{}, noPlace()
		}
		parts = append(parts, text)
	}
	if len(parts) < 3 || "/"+parts[0]+"/"+parts[1] != basePath {
		return place{}, noPlace()
	}
	name, below := parts[2], ""
	if len(parts) == 4 {
		below = parts[3]
	}
	at, known := endpoints[name]
	switch {
	case notBuilt(name, below, method, at):
		return place{}, problemOf(scim.NotImplemented, "this server does not have it; /ServiceProviderConfig tells what there is")
	case below == ".search":
		return place{}, noPlace()
	case !known && !mayBeRegistered(name):
		return place{}, noPlace()
	case !known:
		at = writable
	}
	methods := at.collection
	if below != "" {
		methods = at.item
	}
	if methods == nil {
		return place{}, noPlace()
	}
	if !slices.Contains(methods, method) {
		return place{}, &problem{status: http.StatusMethodNotAllowed, detail: "the method is not allowed here", allow: strings.Join(methods, ", ")}
	}
	p := place{path: "/" + strings.Join(parts, "/"), endpoint: name, kind: at.kind}
	if below != "" && p.kind == resources {
		p.kind = oneResource
	}
	return p, nil
}

// mayBeRegistered tells whether a name may be the endpoint of a resource type that
// was registered at run time. Only the core knows, for the tenant who asks.
func mayBeRegistered(name string) bool {
	for _, c := range name {
		if !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return name != "ServiceProviderConfigs" // of SCIM 1.1
}

// notBuilt tells whether the place is one that RFC 7644 names and this server
// does not have: /Me, and searches by POST.
func notBuilt(name, below, method string, at endpoint) bool {
	switch name {
	case "Me":
		return true
	case ".search":
		return below == "" && method == http.MethodPost
	}
	return at.kind == resources && below == ".search" && method == http.MethodPost
}

func noPlace() *problem {
	return problemOf(scim.NotFound, "there is nothing at this path; the SCIM endpoints are below "+basePath)
}

// parameters are the query parameters that the core knows, by their names in
// small letters, and whether they may be repeated.
var parameters = map[string]struct {
	name     string
	repeated bool
}{
	"filter":             {name: "filter"},
	"startindex":         {name: "startIndex"},
	"count":              {name: "count"},
	"attributes":         {name: "attributes", repeated: true},
	"excludedattributes": {name: "excludedAttributes", repeated: true},
}

// readQuery reads what of the query the place understands. Names are taken in
// any letter case; unknown ones and empty values are passed over. A filter on
// what describes the server is refused, as RFC 7644 section 4 asks.
func (p place) readQuery(raw string) (url.Values, *problem) {
	form := make(url.Values)
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if key == "" || value == "" {
			continue
		}
		key, err := url.QueryUnescape(key)
		known := parameters[strings.ToLower(key)]
		if err != nil || known.name == "" || !p.understands(known.name) {
			continue
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, problemOf(scim.InvalidValue, known.name+" is not percent-encoded text")
		}
		if form.Has(known.name) && !known.repeated {
			return nil, problemOf(scim.InvalidValue, known.name+" is given twice")
		}
		switch {
		case p.kind == description:
			return nil, problemOf(scim.Forbidden, "what describes the server cannot be filtered")
		case known.name == "startIndex" || known.name == "count":
			var ok bool
			if value, ok = saturate(value); !ok {
				return nil, problemOf(scim.InvalidValue, known.name+" is not a whole number")
			}
		}
		form.Add(known.name, value)
	}
	return form, nil
}

// understands tells whether the parameter means something here.
func (p place) understands(name string) bool {
	switch p.kind {
	case description:
		return name == "filter"
	case message:
		return false
	case oneResource:
		return name == "attributes" || name == "excludedAttributes"
	default:
		return true
	}
}

// saturate makes a decimal number fit 32 bits: a client that asks for ever so
// many results means as many as there are.
func saturate(text string) (_ string, ok bool) {
	text = strings.TrimSpace(text)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil && n == 0 { // out of range leaves the nearest number
		return "", false
	}
	return strconv.FormatInt(min(max(n, math.MinInt32), math.MaxInt32), 10), true
}
