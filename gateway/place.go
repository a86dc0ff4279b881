package gateway

import (
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

// An endpoint is what can be done at a collection, at what it holds, and at its
// search.
type endpoint struct {
	collection, item, search []string
	kind                     kind // of the collection
}

// searchName ends the path of a search by POST (RFC 7644 section 3.4.3).
const searchName = ".search"

var (
	readOnly = []string{http.MethodGet, http.MethodHead}
	writable = endpoint{
		collection: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		item:       []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete},
		search:     []string{http.MethodPost},
		kind:       resources,
	}
	// What http.yaml says, once more: the methods are known here before the body
	// is read, and so that a 405 can name them.
	endpoints = map[string]endpoint{
		"Users":                 writable,
		"Groups":                writable,
		"Bulk":                  {collection: []string{http.MethodPost}, kind: message},
		searchName:              {collection: []string{http.MethodPost}, kind: message},
		"ServiceProviderConfig": {collection: readOnly, kind: description},
		"ResourceTypes":         {collection: readOnly, item: readOnly, kind: description},
		"Schemas":               {collection: readOnly, item: readOnly, kind: description},
	}
)

// tenantPath begins a path that names a tenant: /t/TENANT/scim/v2. It says no more than
// the credential does, which must agree; it is for those who want to see in a URL, or
// in a proxy's rules, whose it is.
const tenantPath = "t"

// splitTenant splits such a beginning off a path. Without one, or with one that no
// tenant can have, the path stays as it is.
func splitTenant(escaped string) (tenant, rest string) {
	beginning, after, _ := strings.Cut(strings.TrimLeft(escaped, "/"), "/")
	name, rest, _ := strings.Cut(strings.TrimLeft(after, "/"), "/")
	tenant, err := url.PathUnescape(name)
	if beginning != tenantPath || err != nil || tenant == "" {
		return "", escaped
	}
	for i := range len(tenant) {
		if !alphanumeric(tenant[i]) && strings.IndexByte("._@-", tenant[i]) < 0 {
			return "", escaped
		}
	}
	return tenant, "/" + rest
}

// ofTenant is the base URL for requests that name the tenant in their path, or none.
func ofTenant(base, tenant string) string {
	before, usual := strings.CutSuffix(base, basePath)
	if tenant == "" || !usual {
		return base
	}
	return before + "/" + tenantPath + "/" + tenant + basePath
}

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
	case name == "Me":
		return place{}, problemOf(scim.NotImplemented, "this server does not have it; /ServiceProviderConfig tells what there is")
	case !known && !mayBeRegistered(name):
		return place{}, noPlace()
	case !known:
		at = writable
	}
	methods := at.collection
	switch below {
	case "":
	case searchName:
		methods = at.search
	default:
		methods = at.item
	}
	search := name == searchName || below == searchName
	if methods == nil || search && method != http.MethodPost {
		return place{}, noPlace()
	}
	if !slices.Contains(methods, method) {
		return place{}, &problem{status: http.StatusMethodNotAllowed, detail: "the method is not allowed here", allow: strings.Join(methods, ", ")}
	}
	p := place{path: "/" + strings.Join(parts, "/"), endpoint: name, kind: at.kind}
	switch {
	case search:
		p.kind = message
	case below != "" && p.kind == resources:
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
	"sortby":             {name: "sortBy"},
	"sortorder":          {name: "sortOrder"},
	"cursor":             {name: "pageToken"},
}

// readQuery reads what of the query the place understands. Names are taken in
// any letter case; unknown ones and empty values are passed over, but for an empty
// cursor, which asks for the first page. A filter on what describes the server is
// refused, as RFC 7644 section 4 asks.
func (p place) readQuery(raw string) (url.Values, *problem) {
	form := make(url.Values)
	for pair := range strings.SplitSeq(raw, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(key)
		known := parameters[strings.ToLower(key)]
		if err != nil || known.name == "" || !p.understands(known.name) || value == "" && known.name != "pageToken" {
			continue
		}
		if value, err = url.QueryUnescape(value); err != nil {
			return nil, problemOf(scim.InvalidValue, key+" is not percent-encoded text")
		}
		if form.Has(known.name) && !known.repeated {
			return nil, problemOf(scim.InvalidValue, key+" is given twice")
		}
		if p.kind == description {
			return nil, problemOf(scim.Forbidden, "what describes the server cannot be filtered")
		}
		value, refused := fieldValue(known.name, value)
		if refused != nil {
			return nil, refused
		}
		form.Add(known.name, value)
	}
	return form, nil
}

// fieldValue is the value of a parameter as the generated code reads the field of
// that name.
func fieldValue(name, value string) (string, *problem) {
	switch name {
	case "startIndex", "count":
		n, ok := scim.ParseNumber(value)
		switch {
		case !ok && name == "count":
			return "", problemOf(scim.InvalidCount, "count is not a whole number")
		case !ok:
			return "", problemOf(scim.InvalidValue, "startIndex is not a whole number")
		}
		return strconv.Itoa(int(n)), nil
	case "sortOrder":
		order, ok := scim.ParseSortOrder(value)
		if !ok {
			return "", problemOf(scim.InvalidValue, "sortOrder is neither ascending nor descending")
		}
		return order.String(), nil
	}
	return value, nil
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
