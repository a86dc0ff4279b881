package reference

import (
	"net/http"
	"strings"

	"github.com/muster-scim/muster/gateway"
)

// Headers of answers about one resource.
var (
	etag     = header{"The version of the resource.", text}
	location = header{"Where the resource is.", schema{"type": "string", "format": "uri"}}
)

// What may be asked for in the query or the headers (RFC 7644 sections 3.4.2, 3.9 and
// 3.14, RFC 9865).
var (
	projecting = []parameter{
		{Name: "attributes", In: "query", Description: "What the answer has, beside what is always returned; names separated by commas.", Schema: text},
		{Name: "excludedAttributes", In: "query", Description: "What of that which is returned by default the answer lacks. One of the two only.", Schema: text},
	}
	listing = append([]parameter{
		{Name: "filter", In: "query", Description: `Which resources: userName eq "ada" and active eq true.`, Schema: text},
		{Name: "sortBy", In: "query", Description: "The attribute or sub-attribute that decides the order. Absent: the order of creation.", Schema: text},
		{Name: "sortOrder", In: "query", Schema: schema{"enum": []string{"ascending", "descending"}, "default": "ascending"}},
		{Name: "startIndex", In: "query", Description: "The index of the first, from 1.", Schema: schema{"type": "integer", "default": 1}},
		{Name: "count", In: "query", Description: "How many at most; 0: the total alone.", Schema: integer},
		{Name: "cursor", In: "query", Description: "The nextCursor of the page before; empty: the first page. All other parameters stay as they were.", Schema: text},
	}, projecting...)
	ifMatch     = parameter{Name: "If-Match", In: "header", Description: "ETags: it fails with 412 where the version is none of them.", Schema: text}
	ifNoneMatch = parameter{Name: "If-None-Match", In: "header", Description: "ETags: where the version is one of them a read is answered with 304, and a write fails with 412.", Schema: text}
)

// scimOperation describes a request of SCIM. Its form in JSON is SCIM's, so the messages
// of the RPC say little about it; what they are named says enough.
func scimOperation(o *operation, r gateway.Route, name string) {
	o.Responses["default"] = response{Ref: "#/components/responses/Problem"}
	verb, of := splitVerb(name)
	switch {
	case name == "Bulk":
		o.sends("BulkRequest")
		o.answers("200", "What came of each operation.", refTo("BulkResponse"))
	case verb == "List" || name == "Search":
		switch {
		case r.Method == http.MethodPost:
			o.sends("SearchRequest")
		case isDescribing(of):
			o.Responses["304"] = response{Ref: "#/components/responses/NotModified"}
			o.Parameters = append(o.Parameters, ifNoneMatch)
		default:
			o.Parameters = append(o.Parameters, listing...)
		}
		items := refTo(strings.TrimSuffix(of, "s"))
		if name == "Search" {
			items = schema{"anyOf": []schema{refTo("User"), refTo("Group"), refTo("Resource")}}
		}
		o.answers("200", "A page of the list.", listSchema(items))
	case verb == "Get":
		o.Parameters = append(o.Parameters, ifMatch, ifNoneMatch)
		if isDescribing(of) {
			o.Parameters = o.Parameters[:len(o.Parameters)-2]
			o.Parameters = append(o.Parameters, ifNoneMatch)
		} else {
			o.Parameters = append(o.Parameters, projecting...)
		}
		o.answers("200", "It.", refTo(of)).headers(etag, header{})
		o.Responses["304"] = response{Ref: "#/components/responses/NotModified"}
	case verb == "Delete":
		o.Parameters = append(o.Parameters, ifMatch, ifNoneMatch)
		o.Responses["204"] = response{Description: "It is done."}
	default:
		scimWrite(o, verb, of)
	}
}

// scimWrite describes a create, replace or patch.
func scimWrite(o *operation, verb, of string) {
	o.Parameters = append(o.Parameters, projecting...)
	switch verb {
	case "Create":
		o.sends(of+"Input").answers("201", "It is created.", refTo(of)).headers(etag, location)
		return
	case "Patch":
		o.sends("PatchOp")
		o.Responses["204"] = response{Description: "It is done. A group is answered so, unless attributes or excludedAttributes are given, and everything for tenants with the strict profile.", Headers: map[string]header{"ETag": etag}}
	default:
		o.sends(of + "Input")
	}
	o.Parameters = append(o.Parameters, ifMatch, ifNoneMatch)
	o.answers("200", "The resource after the change.", refTo(of)).headers(etag, header{})
}

// splitVerb splits the name of an RPC: Create and User.
func splitVerb(name string) (verb, of string) {
	for i := 1; i < len(name); i++ {
		if 'A' <= name[i] && name[i] <= 'Z' {
			return name[:i], name[i:]
		}
	}
	return name, ""
}

// isDescribing tells whether what is read describes the server.
func isDescribing(of string) bool {
	switch strings.TrimSuffix(of, "s") {
	case "Schema", "ResourceType", "ServiceProviderConfig":
		return true
	}
	return false
}

func (o *operation) sends(name string) *operation {
	o.Body = &body{Required: true, Content: of(refTo(name), scimJSON, plainJSON)}
	return o
}

// answering is an answer that is being described.
type answering struct {
	o      *operation
	status string
}

func (o *operation) answers(status, what string, s schema) answering {
	o.Responses[status] = response{Description: what, Content: of(s, scimJSON, plainJSON)}
	return answering{o, status}
}

// headers adds the headers that an answer has, but for zero ones.
func (a answering) headers(etag, location header) {
	r := a.o.Responses[a.status]
	r.Headers = map[string]header{"ETag": etag}
	if location.Schema != nil {
		r.Headers["Location"] = location
	}
	a.o.Responses[a.status] = r
}

// addOAuth adds the endpoints of the authorization server (docs/oauth.md), which is
// beside the gateway and has no messages in the contract.
func (d *document) addOAuth() {
	open := &[]map[string][]string{{}, {"basic": {}}}
	failed := response{Description: "It was refused (RFC 6749 section 5.2).", Content: of(object(map[string]any{"error": text, "error_description": text}, "error"), plainJSON)}
	token := object(map[string]any{
		"grant_type": schema{"enum": []string{"client_credentials", "authorization_code", "refresh_token"}}, "scope": text, "code": text, "redirect_uri": text, "code_verifier": text,
		"refresh_token": text, "client_id": text, "client_secret": text, "client_assertion": text, "client_assertion_type": text,
	}, "grant_type")
	revoke := object(map[string]any{"token": text, "token_type_hint": text, "client_id": text, "client_secret": text, "client_assertion": text, "client_assertion_type": text}, "token")
	page := response{Description: "A page for an administrator.", Content: of(text, html)}
	issued := object(map[string]any{"access_token": text, "token_type": text, "expires_in": integer, "scope": text, "refresh_token": text}, "access_token", "token_type", "expires_in")
	add := func(path, method, id, what string, o operation) {
		o.ID, o.Summary, o.Tags, o.Security = id, what, []string{"OAuth"}, open
		d.put(path, method, &o)
	}
	add("/oauth2/token", http.MethodPost, "IssueToken", "Issues an access token (RFC 6749)", operation{
		Body: &body{Required: true, Content: of(token, form)}, Responses: map[string]response{"200": {Description: "The token.", Content: of(issued, plainJSON)}, "default": failed},
	})
	add("/oauth2/revoke", http.MethodPost, "RevokeToken", "Ends a token (RFC 7009)", operation{
		Body: &body{Required: true, Content: of(revoke, form)}, Responses: map[string]response{"200": {Description: "It is no token any more."}, "default": failed},
	})
	var asked []parameter
	for _, name := range []string{"response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method"} {
		asked = append(asked, parameter{Name: name, In: "query", Schema: text})
	}
	back := response{Description: "Back to the client, with a code or an error.", Headers: map[string]header{"Location": location}}
	add("/oauth2/authorize", http.MethodGet, "Authorize", "The page on which an administrator allows a client (RFC 6749 section 4.1, with PKCE)", operation{Parameters: asked, Responses: map[string]response{"200": page, "303": back, "default": page}})
	add("/oauth2/authorize", http.MethodPost, "Allow", "What the page sends", operation{Parameters: asked, Body: &body{Content: of(schema{"type": "object"}, form)}, Responses: map[string]response{"200": page, "303": back, "default": page}})
	metadata := object(map[string]any{
		"issuer": text, "token_endpoint": text, "authorization_endpoint": text, "revocation_endpoint": text, "grant_types_supported": listOf(text), "response_types_supported": listOf(text),
	}, "issuer", "token_endpoint", "authorization_endpoint")
	metadata["additionalProperties"] = true
	add("/.well-known/oauth-authorization-server", http.MethodGet, "GetMetadata", "What the authorization server can do (RFC 8414)", operation{Responses: map[string]response{"200": {Description: "The metadata.", Content: of(metadata, plainJSON)}}})
}
