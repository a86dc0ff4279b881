package reference

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/muster-scim/muster/gateway"
	"github.com/muster-scim/muster/scim"
)

const about = `Users, groups and resources of registered types over SCIM 2.0 (RFC 7643, RFC 7644 and RFC 9865) below /scim/v2, administration as JSON below /admin/v1, what receivers of security event tokens ask below /events/v1, and the endpoints of OAuth 2.0.

The document is the same for all tenants, and made of what the server enforces. It describes what clients should send; the server understands more, such as booleans as strings, names in any letter case, and what the RFCs let it ignore. The schemas of a tenant, with what is registered for it, are at /scim/v2/Schemas.

The paths of SCIM may begin with the tenant, as in /t/acme/scim/v2/Users: then only a credential of that tenant is taken. Every answer has a header X-Request-Id, which is that of the request if it has one. HEAD is answered wherever GET is.`

// The media types.
const (
	scimJSON  = "application/scim+json"
	plainJSON = "application/json"
	form      = "application/x-www-form-urlencoded"
	html      = "text/html"
)

// newDocument describes the REST face.
func newDocument(opts Options, c commented, routes []gateway.Route) *document {
	origin := opts.Origin
	if origin == "" {
		origin = "/"
	}
	d := &document{
		OpenAPI: "3.1.0", Info: info{"Muster", opts.Version, about}, Servers: []server{{origin}},
		Security: []map[string][]string{{"bearer": {}}, {"basic": {}}, {"oauth": {}}, {"direct": {}}},
		Paths:    make(map[string]pathItem),
		Components: components{
			Schemas: make(map[string]schema), Responses: make(map[string]response), SecuritySchemes: securitySchemes(),
		},
	}
	maps.Copy(d.Components.Schemas, messageSchemas(opts.Limits))
	maps.Copy(d.Components.Schemas, descriptionSchemas())
	for name, of := range map[string]func(direction) schema{
		"User":     func(way direction) schema { return resourceSchema(scim.User, way) },
		"Group":    func(way direction) schema { return resourceSchema(scim.Group, way) },
		"Resource": registeredSchema,
	} {
		d.Components.Schemas[name], d.Components.Schemas[name+"Input"] = of(answered), of(sent)
	}
	d.Components.Schemas["google.rpc.Status"] = statusSchema()
	d.addProblems()
	m := &mapping{c, d.Components.Schemas}
	for _, r := range routes {
		d.add(r, m)
	}
	d.addOAuth()
	d.addDocuments()
	d.collectTags(c)
	return d
}

// add adds the operation of a route.
func (d *document) add(r gateway.Route, m *mapping) {
	of, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(r.RPC))
	method, is := of.(protoreflect.MethodDescriptor)
	if err != nil || !is {
		return // http.yaml has no such line: the generated code would not compile
	}
	comment := m.contract.comment(method.FullName())
	o := &operation{ID: string(method.Name()), Summary: summary(comment), Description: comment, Responses: make(map[string]response)}
	if r.Also {
		o.ID += "ByPost"
	}
	o.Tags = []string{strings.TrimSuffix(string(method.Parent().Name()), "Service")}
	path := d.named(r.Path)
	for _, v := range variable.FindAllString(path, -1) {
		o.Parameters = append(o.Parameters, parameter{Name: strings.Trim(v, "{}"), In: "path", Required: true, Schema: text})
	}
	if strings.HasPrefix(path, "/scim/") {
		scimOperation(o, r, string(method.Name()))
	} else {
		adminOperation(o, r, method, m)
	}
	if slices.Contains(open, r.RPC) {
		o.Security = &[]map[string][]string{}
	}
	d.put(path, r.Method, o)
}

func (d *document) put(path, method string, o *operation) {
	if d.Paths[path] == nil {
		d.Paths[path] = make(pathItem)
	}
	d.Paths[path][strings.ToLower(method)] = o
}

// open are the RPCs that need no credential.
var open = []string{"muster.v1.EventService.ListSigningKeys"}

var variable = regexp.MustCompile(`\{[^}]*\}`)

// named is the path of a route with variables that the document can have. Each has the
// last name of its field, {name} for {credential.name}, and all routes of one place call
// it what the first one does, since they are one path.
func (d *document) named(path string) string {
	for known := range d.Paths {
		if variable.ReplaceAllString(known, "{}") == variable.ReplaceAllString(path, "{}") {
			return known
		}
	}
	return variable.ReplaceAllStringFunc(path, func(v string) string {
		v = strings.Trim(v, "{}")
		return "{" + v[strings.LastIndexByte(v, '.')+1:] + "}"
	})
}

// adminOperation describes a request of administration by the messages of its RPC.
func adminOperation(o *operation, r gateway.Route, method protoreflect.MethodDescriptor, m *mapping) {
	inPath := make(map[string]bool)
	for _, v := range variable.FindAllString(r.Path, -1) {
		inPath[strings.Trim(v, "{}")] = true
	}
	input := method.Input()
	if r.Body == "*" {
		o.Body = &body{Content: of(m.fields(input, inPath), plainJSON)}
	}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		switch {
		case string(f.Name()) == r.Body:
			o.Body = &body{Required: true, Content: of(m.message(f.Message()), plainJSON)}
		case r.Body != "*" && !inPath[string(f.Name())] && isParameter(f):
			o.Parameters = append(o.Parameters, parameter{Name: f.JSONName(), In: "query", Description: m.contract.comment(f.FullName()), Schema: m.field(f)})
		}
	}
	status, answer := "200", m.message(method.Output())
	if r.ResponseBody != "" {
		answer = m.message(method.Output().Fields().ByName(protoreflect.Name(r.ResponseBody)).Message())
	}
	switch {
	case r.Method == http.MethodDelete:
		o.Responses["204"] = response{Description: "It is done."}
		status = ""
	case strings.HasPrefix(string(method.Name()), "Create"):
		status = "201"
	}
	if method.IsStreamingServer() {
		answer = object(map[string]any{"result": answer, "error": refTo("google.rpc.Status")})
	}
	if status != "" {
		o.Responses[status] = response{Description: "The answer.", Content: of(answer, plainJSON)}
	}
	o.Responses["default"] = response{Ref: "#/components/responses/AdministrationProblem"}
}

// isParameter tells whether a field can stand in a query.
func isParameter(f protoreflect.FieldDescriptor) bool {
	if f.IsMap() || f.Message() == nil {
		return !f.IsMap()
	}
	_, known := wellKnown[f.Message().FullName()]
	return known
}

// addProblems adds the answers to requests that fail.
func (d *document) addProblems() {
	after := map[string]header{"Retry-After": {"When to try again, in seconds; with 429 and 503.", integer}, "WWW-Authenticate": {"The schemes that work, or the scope that lacks; with 401 and 403.", text}}
	d.Components.Responses["Problem"] = response{
		Description: "The request failed: 400 it is wrong, 401 the credential is missing or not valid, 403 it does not allow this, 404 there is no such thing, 405 not here, 409 a value must be unique or it conflicts, 412 the version is another, 413 it is too large, 415 it is no JSON, 429 too many, 500 the server failed, 501 it is not there, 503 not now.",
		Headers:     after, Content: of(refTo("Error"), scimJSON, plainJSON),
	}
	d.Components.Responses["AdministrationProblem"] = response{
		Description: "The request failed; details has a google.rpc.ErrorInfo with the reason.", Headers: after, Content: of(refTo("google.rpc.Status"), plainJSON),
	}
	d.Components.Responses["NotModified"] = response{Description: "The version is one of If-None-Match."}
}

func securitySchemes() map[string]any {
	scopes := map[string]string{
		"scim": "Read and write all resources.", "scim:read": "Read all resources.", "scim:write": "Write all resources.",
		"admin": "Administer the tenant.", "admin:read": "Look at what concerns the tenant.",
	}
	return map[string]any{
		"bearer": map[string]any{"type": "http", "scheme": "bearer", "description": "A token that `muster credential create` made, an access token of OAuth, or one of an outside issuer that the tenant trusts."},
		"basic":  map[string]any{"type": "http", "scheme": "basic", "description": "Login and password of a credential of the kind basic."},
		"direct": map[string]any{"type": "apiKey", "in": "header", "name": "Authorization", "description": "The secret of a credential of the kind direct, without the name of a scheme."},
		"oauth": map[string]any{"type": "oauth2", "description": "Beside the scopes here there are those of one resource type, such as scim:User and scim:Group:read.", "flows": map[string]any{
			"clientCredentials": map[string]any{"tokenUrl": "/oauth2/token", "scopes": scopes},                                                                         //nolint:gosec // an address
			"authorizationCode": map[string]any{"authorizationUrl": "/oauth2/authorize", "tokenUrl": "/oauth2/token", "refreshUrl": "/oauth2/token", "scopes": scopes}, //nolint:gosec // addresses
		}},
	}
}

// addDocuments adds the documents themselves.
func (d *document) addDocuments() {
	for path, o := range map[string]struct {
		id, summary, mediaType string
	}{
		DocumentPath: {"GetDocument", "This document", plainJSON},
		RESTPath:     {"GetRESTReference", "This document, to be read", html},
		GRPCPath:     {"GetGRPCReference", "The reference of the gRPC services", html},
	} {
		content := schema{"type": "string"}
		if o.mediaType == plainJSON {
			content = schema{"type": "object"}
		}
		d.put(path, http.MethodGet, &operation{ID: o.id, Tags: []string{"Documents"}, Summary: o.summary, Security: &[]map[string][]string{}, Responses: map[string]response{
			"200": {Description: "The document.", Content: of(content, o.mediaType)}, "304": {Ref: "#/components/responses/NotModified"},
		}})
	}
}

// collectTags describes the tags of the operations by the services that they are of.
func (d *document) collectTags(c commented) {
	names := make(map[string]bool)
	for _, item := range d.Paths {
		for _, o := range item {
			names[o.Tags[0]] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		d.Tags = append(d.Tags, tag{name, c.comment(protoreflect.FullName("muster.v1." + name + "Service"))})
	}
}
