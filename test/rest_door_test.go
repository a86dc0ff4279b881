package test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	patchURN  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	searchURN = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	listURN   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorURN  = "urn:ietf:params:scim:api:messages:2.0:Error"
)

// scimTypes are the reasons that RFC 7644 table 9 and RFC 9865 table 3 have a word
// for. The others show in the status only.
var scimTypes = strings.Fields("invalidFilter tooMany uniqueness mutability invalidSyntax invalidPath noTarget invalidValue invalidVers sensitive" +
	" invalidCursor expiredCursor invalidCount")

// restDoor is SCIM over HTTP. Beside the answer it checks the status, the media
// type, ETag, Location and every address in the body.
type restDoor struct {
	p       *program
	reasons map[string]reasonRow
}

func (d restDoor) ask(t *testing.T, s step) answer {
	t.Helper()
	method, path, body := d.request(t, s)
	header := []string{"If-Match", s.IfMatch}
	if s.Token != "" {
		header = append(header, "Authorization", "Bearer "+s.Token)
	}
	r := d.p.rest(t, method, path, body, header...)
	if r.status >= 400 {
		return d.failure(t, r, s)
	}
	verb, rt, _ := s.target()
	if want := statusOf(s); r.status != want {
		t.Errorf("%s %s: the status is %d, want %d", method, path, r.status, want)
	}
	a := answer{value: map[string]any{}}
	if r.status == http.StatusNoContent {
		d.checkEmpty(t, r, verb)
		if etag := r.header.Get("ETag"); etag != "" {
			a.value["meta"] = map[string]any{"version": etag} // all that is told
		}
		return a
	}
	checkType(t, r)
	a.value = r.json(t)
	d.checkAddresses(t, a.value)
	switch verb {
	case "list", "search":
		if !slices.Equal(a.value["schemas"].([]any), []any{listURN}) {
			t.Errorf("the schemas of a list are %v", a.value["schemas"])
		}
	case "discover":
	default:
		d.checkHeaders(t, r, s, a.value)
	}
	if verb == "get" && !s.projected() {
		d.checkUnchanged(t, path, r.header.Get("ETag"))
		d.checkReferences(t, a.value, rt)
	}
	return a
}

// request is the step in the words of HTTP.
func (d restDoor) request(t *testing.T, s step) (method, path, body string) {
	t.Helper()
	verb, rt, id := s.target()
	path = "/" + rt + "s"
	switch {
	case verb == "discover":
		path = "/" + rt
	case verb == "search" && rt == "":
		return http.MethodPost, "/.search", searchBody(t, s)
	case verb == "search":
		return http.MethodPost, path + "/.search", searchBody(t, s)
	}
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	switch verb {
	case "create", "replace":
		body = encoded(t, s.Body)
	case "patch":
		body = encoded(t, map[string]any{"schemas": []string{patchURN}, "Operations": s.patch()})
	}
	if q := query(s).Encode(); q != "" {
		path += "?" + q
	}
	return map[string]string{
		"create": http.MethodPost, "replace": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete,
		"get": http.MethodGet, "list": http.MethodGet, "discover": http.MethodGet,
	}[verb], path, body
}

func query(s step) url.Values {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("filter", s.Filter)
	set("sortBy", s.SortBy)
	set("sortOrder", s.SortOrder)
	set("attributes", s.Attributes)
	set("excludedAttributes", s.ExcludedAttributes)
	if s.StartIndex != nil {
		q.Set("startIndex", strconv.Itoa(*s.StartIndex))
	}
	if s.Count != nil {
		q.Set("count", strconv.Itoa(*s.Count))
	}
	if s.Cursor != nil {
		q.Set("cursor", *s.Cursor)
	}
	return q
}

// searchBody is the query of a step as the body of a POST (RFC 7644 section
// 3.4.3).
func searchBody(t *testing.T, s step) string {
	t.Helper()
	body := map[string]any{"schemas": []string{searchURN}}
	for name, values := range query(s) {
		body[name] = values[0]
	}
	for _, list := range []string{"attributes", "excludedAttributes"} {
		if names, ok := body[list].(string); ok {
			body[list] = strings.Split(names, ",")
		}
	}
	if s.StartIndex != nil {
		body["startIndex"] = *s.StartIndex
	}
	if s.Count != nil {
		body["count"] = *s.Count
	}
	return encoded(t, body)
}

func encoded(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// statusOf is the status of success. A patched group is answered without a body,
// which would lack its members, unless the client asks for one.
func statusOf(s step) int {
	verb, rt, _ := s.target()
	switch {
	case verb == "create":
		return http.StatusCreated
	case verb == "delete", verb == "patch" && rt == "Group" && !s.projected():
		return http.StatusNoContent
	}
	return http.StatusOK
}

// failure reads an error body.
func (d restDoor) failure(t *testing.T, r reply, s step) answer {
	t.Helper()
	checkType(t, r)
	checkError(t, r)
	a := answer{value: r.json(t)}
	if detail, _ := a.value["detail"].(string); s.At != "" && strings.Contains(detail, s.At) {
		a.attribute = s.At
	}
	status := strconv.Itoa(r.status)
	if word, ok := a.value["scimType"].(string); ok {
		if d.reasons[word].status != status {
			t.Errorf("%s has the status %s, want %s", word, status, d.reasons[word].status)
		}
		a.reason = word
		return a
	}
	for reason, row := range d.reasons {
		if row.status == status && !slices.Contains(scimTypes, reason) {
			a.reason = reason
		}
	}
	return a
}

// checkError checks what every error has (RFC 7644 section 3.12).
func checkError(t *testing.T, r reply) {
	t.Helper()
	body := r.json(t)
	detail, _ := body["detail"].(string)
	word, given := body["scimType"].(string)
	if !slices.Equal(body["schemas"].([]any), []any{errorURN}) || body["status"] != strconv.Itoa(r.status) || detail == "" ||
		given && !slices.Contains(scimTypes, word) {
		t.Errorf("status %d with the body %s", r.status, r.body)
	}
}

// checkType checks the media type of what was asked for without a wish.
func checkType(t *testing.T, r reply) {
	t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/scim+json" {
		t.Errorf("the media type is %q", got)
	}
}

// checkEmpty checks an answer without a body.
func (d restDoor) checkEmpty(t *testing.T, r reply, verb string) {
	t.Helper()
	if len(r.body) > 0 || r.header.Get("Content-Type") != "" || (verb == "patch") != (r.header.Get("ETag") != "") {
		t.Errorf("204 with the headers %v and the body %q", r.header, r.body)
	}
}

// checkHeaders checks the headers of an answer that is one resource.
func (d restDoor) checkHeaders(t *testing.T, r reply, s step, resource map[string]any) {
	t.Helper()
	verb, rt, _ := s.target()
	meta, _ := resource["meta"].(map[string]any)
	version, _ := meta["version"].(string)
	if etag := r.header.Get("ETag"); etag != version || version == "" && !s.projected() {
		t.Errorf("the ETag is %q of the version %q", etag, version)
	}
	address := ""
	if verb == "create" {
		address = d.p.base + "/" + rt + "s/" + resource["id"].(string)
	}
	if got := r.header.Get("Location"); got != address {
		t.Errorf("the Location is %q, want %q", got, address)
	}
}

// checkUnchanged reads a resource again, in case it changed (RFC 7644 section
// 3.14).
func (d restDoor) checkUnchanged(t *testing.T, path, etag string) {
	t.Helper()
	if r := d.p.rest(t, http.MethodGet, path, "", "If-None-Match", etag); r.status != http.StatusNotModified || len(r.body) > 0 || r.header.Get("ETag") != etag {
		t.Errorf("GET of %s unless its version is %s: %d %v %q", path, etag, r.status, r.header, r.body)
	}
}

// checkReferences checks that nothing lacks its address.
func (d restDoor) checkReferences(t *testing.T, resource map[string]any, rt string) {
	t.Helper()
	if meta, _ := resource["meta"].(map[string]any); meta["location"] != d.p.base+"/"+rt+"s/"+resource["id"].(string) {
		t.Errorf("meta.location is %v", meta["location"])
	}
	for _, list := range []string{"members", "groups"} {
		elements, _ := resource[list].([]any)
		for _, e := range elements {
			if e.(map[string]any)["$ref"] == nil {
				t.Errorf("%s has no $ref: %v", list, e)
			}
		}
	}
}

// checkAddresses checks every address in an answer.
func (d restDoor) checkAddresses(t *testing.T, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			d.checkAddresses(t, e)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			id, _ := v["value"].(string)
			if ref != d.p.base+"/Users/"+id && ref != d.p.base+"/Groups/"+id || v["type"] == "Group" && !strings.Contains(ref, "/Groups/") {
				t.Errorf("the $ref of %v", v)
			}
		}
		if meta, ok := v["meta"].(map[string]any); ok && meta["location"] != nil {
			location, _ := meta["location"].(string)
			id, _ := v["id"].(string)
			if !strings.HasPrefix(location, d.p.base+"/") || !strings.HasSuffix(location, "/"+url.PathEscape(id)) && id != "" {
				t.Errorf("the location of %v", v)
			}
		}
		for _, e := range v {
			d.checkAddresses(t, e)
		}
	}
}
