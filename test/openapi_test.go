package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muster-scim/muster/oauth"
)

// origin is where the paths of a server begin.
func (p *program) origin() string { return strings.TrimSuffix(p.base, "/scim/v2") }

// described are the operations of a document, as "GET /scim/v2/Users".
func described(t *testing.T, document []byte) (operations []string) {
	t.Helper()
	var d struct {
		Paths map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	for path, item := range d.Paths {
		for method := range item {
			operations = append(operations, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(operations)
	return operations
}

// The document describes every request that the program answers, and no other.
func TestOpenAPI_IsWhatIsServed(t *testing.T) {
	p := start(t, sqliteURL(t))
	got := p.rest(t, http.MethodGet, p.origin()+"/openapi.json", "", "Authorization", "")
	if got.status != 200 || got.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%d %s", got.status, got.body)
	}
	// Which field of its message a variable is of is nothing that a client sees.
	variable := regexp.MustCompile(`\{[^}]*\}`)
	want := []string{"GET /openapi.json", "GET /docs", "GET /docs/grpc"}
	for _, r := range routes(t) {
		want = append(want, r.method+" "+variable.ReplaceAllString(r.template, "{}"))
	}
	for path, methods := range oauth.Endpoints() {
		for method := range strings.SplitSeq(methods, ", ") {
			if method != http.MethodHead {
				want = append(want, method+" "+path)
			}
		}
	}
	slices.Sort(want)
	operations := described(t, got.body)
	for i, o := range operations {
		operations[i] = variable.ReplaceAllString(o, "{}")
	}
	slices.Sort(operations)
	if !slices.Equal(operations, want) {
		t.Errorf("the document has\n%s\nand the program\n%s", strings.Join(operations, "\n"), strings.Join(want, "\n"))
	}
	for _, o := range operations {
		method, path, _ := strings.Cut(o, " ")
		path = strings.ReplaceAll(path, "{}", "Things")
		body := ""
		if method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			if body = "{}"; strings.HasPrefix(path, "/scim/") {
				body = `{"Operations":[{"op":"add","value":{},"method":"POST","path":"/Users","bulkId":"1","data":{}}]}`
			}
		}
		r := p.rest(t, method, p.origin()+path, body, "Authorization", "")
		guarded := regexp.MustCompile(`^/(scim|admin|events)/`).MatchString(path) && path != "/events/v1/jwks.json"
		if r.status == 404 || r.status == 405 || guarded != (r.status == 401) {
			t.Errorf("%s without a credential: %d %s", o, r.status, r.body)
		}
	}
	if again := p.rest(t, http.MethodGet, p.origin()+"/openapi.json", "", "If-None-Match", got.header.Get("ETag")); again.status != 304 {
		t.Errorf("asked for again: %d", again.status)
	}
	if r := p.rest(t, http.MethodPost, p.origin()+"/openapi.json", "{}"); r.status != 405 || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, %v", r.status, r.header)
	}
}

// An observer holds what is said against the document.
type observer struct {
	p    *program
	with validator.Validator
	// answered are the operations that were answered without an error.
	answered map[string]bool
}

// observe makes an observer, of a stricter document than is published: an object has no
// members but those that are described, so that one that is forgotten is noticed.
func observe(t *testing.T, p *program) *observer {
	t.Helper()
	var d map[string]any
	if err := json.Unmarshal(p.rest(t, http.MethodGet, p.origin()+"/openapi.json", "").body, &d); err != nil {
		t.Fatal(err)
	}
	closed := 0
	var closeObjects func(v any)
	closeObjects = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				closeObjects(e)
			}
		case map[string]any:
			_, open := v["additionalProperties"]
			if _, has := v["properties"].(map[string]any); has && v["type"] == "object" && !open {
				v["additionalProperties"] = false
				closed++
			}
			for _, e := range v {
				closeObjects(e)
			}
		}
	}
	closeObjects(d)
	paths := d["paths"].(map[string]any)
	for path, item := range paths {
		if apart := verbApart(path); apart != path {
			paths[apart] = item
			delete(paths, path)
		}
	}
	if closed < 50 {
		t.Fatalf("only %d objects in the document", closed)
	}
	strict, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	document, err := libopenapi.NewDocument(strict)
	if err != nil {
		t.Fatal(err)
	}
	v, problems := validator.NewValidator(document)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if ok, problems := v.ValidateDocument(); !ok {
		for _, e := range problems {
			t.Errorf("the document is not OpenAPI: %v", e)
		}
		t.FailNow()
	}
	return &observer{p, v, make(map[string]bool)}
}

// verbApart is a path with what is done there as a segment of its own: the validator
// takes {name} for all of "acme:suspend", and so finds another place.
func verbApart(path string) string {
	return regexp.MustCompile(`^(/admin/.*[^/]):([a-z]+)$`).ReplaceAllString(path, "$1/:$2")
}

// ask makes a request, which must be answered with the status, and holds both against
// the document; of requests that are wrong on purpose, the answer alone.
func (o *observer) ask(t *testing.T, status int, operation, path, body string, header ...string) reply {
	t.Helper()
	method, _, _ := strings.Cut(operation, " ")
	mediaType := "application/scim+json"
	if !strings.HasPrefix(path, "/scim/") {
		mediaType = "application/json"
	}
	if body == "" {
		mediaType = ""
	}
	got := o.p.rest(t, method, o.p.origin()+path, body, append([]string{"Content-Type", mediaType}, header...)...)
	if got.status != status {
		t.Fatalf("%s %s: the status is %d, want %d: %s", method, path, got.status, status, got.body)
	}
	request, err := http.NewRequest(method, o.p.origin()+verbApart(path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	if mediaType != "" && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", mediaType)
	}
	answer := &http.Response{StatusCode: got.status, Header: got.header, Body: io.NopCloser(bytes.NewReader(got.body)), Request: request}
	if ok, problems := o.with.ValidateHttpResponse(request, answer); !ok {
		for _, e := range problems {
			t.Errorf("%s %s: the answer is not what the document says: %v in %s", method, path, e, got.body)
			for _, s := range e.SchemaValidationErrors {
				t.Errorf("    %s: %s", s.FieldPath, s.Reason)
			}
		}
	}
	if status >= 400 {
		return got
	}
	o.answered[operation] = true
	if ok, problems := o.with.ValidateHttpRequest(request); !ok {
		for _, e := range problems {
			t.Errorf("%s %s: the request is not what the document says: %v", method, path, e)
			for _, s := range e.SchemaValidationErrors {
				t.Errorf("    %s: %s", s.FieldPath, s.Reason)
			}
		}
	}
	return got
}

// Operations whose answers are pages for people, which have tests of their own.
var forPeople = []string{"GET /oauth2/authorize", "POST /oauth2/authorize"}

// What the program is asked and answers is what its document says, on every operation.
func TestOpenAPI_AnswersAreAsDescribed(t *testing.T) {
	onBothDatabases(t, func(t *testing.T, database string) {
		p := start(t, database, "--schemas", "../docs/examples/devices")
		o := observe(t, p)
		o.resources(t)
		o.registered(t)
		o.discovery(t)
		o.administration(t, p.credential(t, "ops", "admin"))
		o.documents(t)
		for _, operation := range described(t, p.rest(t, http.MethodGet, p.origin()+"/openapi.json", "").body) {
			if !o.answered[operation] && !slices.Contains(forPeople, operation) {
				t.Errorf("%s was never answered", operation)
			}
		}
	})
}

const ada = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
 "userName":"ada","externalId":"e1","name":{"givenName":"Ada","familyName":"Lovelace"},"displayName":"Ada","title":"Dr","active":true,"password":"correct horse",
 "emails":[{"value":"ada@example.com","type":"work","primary":true}],"phoneNumbers":[{"value":"+1"}],"addresses":[{"locality":"London","type":"work"}],
 "x509Certificates":[{"value":"AAAA"}],"roles":[{"value":"r"}],
 "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Engines","employeeNumber":"1"}}`

// resources uses users and groups in every way.
func (o *observer) resources(t *testing.T) {
	t.Helper()
	id := o.ask(t, 201, "POST /scim/v2/Users", "/scim/v2/Users", ada).json(t)["id"].(string)
	boss := o.ask(t, 201, "POST /scim/v2/Users", "/scim/v2/Users?attributes=userName,groups", `{"userName":"boss"}`).json(t)["id"].(string)
	group := o.ask(t, 201, "POST /scim/v2/Groups", "/scim/v2/Groups", `{"displayName":"g","members":[{"value":"`+id+`"}]}`).json(t)["id"].(string)
	user := "/scim/v2/Users/" + id
	o.ask(t, 409, "POST /scim/v2/Users", "/scim/v2/Users", `{"userName":"ADA"}`)
	o.ask(t, 400, "POST /scim/v2/Users", "/scim/v2/Users", `{"userName":1}`)
	o.ask(t, 401, "GET /scim/v2/Users", "/scim/v2/Users", "", "Authorization", "Bearer nobody")
	o.ask(t, 404, "GET /scim/v2/Users/{id}", "/scim/v2/Users/nobody", "")
	etag := o.ask(t, 200, "GET /scim/v2/Users/{id}", user, "").header.Get("ETag")
	o.ask(t, 304, "GET /scim/v2/Users/{id}", user, "", "If-None-Match", etag)
	o.ask(t, 412, "PUT /scim/v2/Users/{id}", user, `{"userName":"ada"}`, "If-Match", `W/"999"`)
	manager := strings.Replace(ada, `"department"`, `"manager":{"value":"`+boss+`"},"department"`, 1)
	o.ask(t, 200, "PUT /scim/v2/Users/{id}", user, manager, "If-Match", etag)
	o.ask(t, 200, "PATCH /scim/v2/Users/{id}", user, `{"schemas":["`+patchURN+`"],"Operations":[{"op":"replace","path":"title","value":"x"},{"op":"remove","path":"roles"}]}`)
	o.ask(t, 400, "PATCH /scim/v2/Users/{id}", user, `{"Operations":[{"op":"replace","path":"emails["}]}`)
	o.ask(t, 204, "PATCH /scim/v2/Groups/{id}", "/scim/v2/Groups/"+group, `{"Operations":[{"op":"add","path":"members","value":[{"value":"`+boss+`"}]}]}`)
	o.ask(t, 200, "PATCH /scim/v2/Groups/{id}", "/scim/v2/Groups/"+group+"?attributes=members", `{"Operations":[{"op":"replace","path":"displayName","value":"h"}]}`)
	o.ask(t, 200, "PUT /scim/v2/Groups/{id}", "/scim/v2/Groups/"+group, `{"displayName":"g","members":[{"value":"`+id+`"}]}`)
	o.ask(t, 200, "GET /scim/v2/Groups/{id}", "/scim/v2/Groups/"+group, "")
	o.ask(t, 200, "GET /scim/v2/Users", "/scim/v2/Users?filter=userName%20sw%20%22a%22&sortBy=userName&sortOrder=descending&startIndex=1&count=10&excludedAttributes=emails", "")
	o.ask(t, 200, "GET /scim/v2/Users", "/scim/v2/Users?count=1&cursor=", "")
	o.ask(t, 200, "GET /scim/v2/Groups", "/scim/v2/Groups", "")
	o.ask(t, 400, "GET /scim/v2/Groups", "/scim/v2/Groups?filter=x", "")
	search := `{"schemas":["` + searchURN + `"],"filter":"id pr","count":1,"cursor":"","attributes":["userName","displayName"],"sortOrder":"ascending"}`
	for _, at := range []string{"/scim/v2/.search", "/scim/v2/Users/.search", "/scim/v2/Groups/.search"} {
		o.ask(t, 200, "POST "+at, at, search)
	}
	o.ask(t, 200, "POST /scim/v2/Bulk", "/scim/v2/Bulk", `{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":5,"Operations":[
		{"method":"POST","path":"/Users","bulkId":"1","data":{"userName":"bulk"}},{"method":"PATCH","path":"/Users/nobody","data":{"Operations":[{"op":"remove","path":"title"}]}},
		{"method":"DELETE","path":"/Users/`+boss+`","version":"*"}]}`)
	o.ask(t, 204, "DELETE /scim/v2/Groups/{id}", "/scim/v2/Groups/"+group, "", "If-Match", "*")
	o.ask(t, 204, "DELETE /scim/v2/Users/{id}", user, "")
}

// registered uses a type that is registered at run time.
func (o *observer) registered(t *testing.T) {
	t.Helper()
	const devices, one = "/scim/v2/{resource_type}", "/scim/v2/{resource_type}/{id}"
	device := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Device"],"displayName":"d","active":true}`
	id := o.ask(t, 201, "POST "+devices, "/scim/v2/Devices", device).json(t)["id"].(string)
	at := "/scim/v2/Devices/" + id
	o.ask(t, 200, "GET "+one, at, "")
	o.ask(t, 200, "PUT "+one, at, device)
	o.ask(t, 200, "PATCH "+one, at, `{"Operations":[{"op":"replace","path":"displayName","value":"e"}]}`)
	o.ask(t, 200, "GET "+devices, "/scim/v2/Devices?filter=active%20eq%20true", "")
	o.ask(t, 200, "POST "+devices+"/.search", "/scim/v2/Devices/.search", `{"count":1}`)
	o.ask(t, 200, "POST /scim/v2/.search", "/scim/v2/.search", `{}`)
	o.ask(t, 204, "DELETE "+one, at, "")
	o.ask(t, 404, "GET "+devices, "/scim/v2/Nothings", "")
}

// discovery asks what the server can do.
func (o *observer) discovery(t *testing.T) {
	t.Helper()
	o.ask(t, 200, "GET /scim/v2/ServiceProviderConfig", "/scim/v2/ServiceProviderConfig", "")
	o.ask(t, 200, "GET /scim/v2/ResourceTypes", "/scim/v2/ResourceTypes", "")
	o.ask(t, 200, "GET /scim/v2/ResourceTypes/{id}", "/scim/v2/ResourceTypes/Device", "")
	etag := o.ask(t, 200, "GET /scim/v2/Schemas", "/scim/v2/Schemas", "").header.Get("ETag")
	o.ask(t, 304, "GET /scim/v2/Schemas", "/scim/v2/Schemas", "", "If-None-Match", etag)
	o.ask(t, 200, "GET /scim/v2/Schemas/{id}", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", "")
	o.ask(t, 404, "GET /scim/v2/Schemas/{id}", "/scim/v2/Schemas/nothing", "")
}

// administration is a session of an administrator.
func (o *observer) administration(t *testing.T, secret string) {
	t.Helper()
	as := []string{"Authorization", "Bearer " + secret}
	ask := func(status int, operation, path, body string) reply {
		t.Helper()
		method, template, _ := strings.Cut(operation, " ")
		return o.ask(t, status, method+" /admin/v1/tenants"+template, "/admin/v1/tenants"+path, body, as...)
	}
	ask(201, "POST ", "", `{"name":"acme","profile":"CLIENT_PROFILE_STRICT","limits":{"requestsPerSecond":5.5,"burst":9}}`)
	ask(409, "POST ", "", `{"name":"acme"}`)
	ask(400, "POST ", "", `{"name":" "}`)
	o.ask(t, 401, "GET /admin/v1/tenants", "/admin/v1/tenants", "", "Authorization", "Bearer nobody")
	ask(200, "GET ", "", "")
	ask(200, "GET /{name}", "/acme", "")
	ask(404, "GET /{name}", "/nobody", "")
	ask(200, "PATCH /{name}", "/acme", `{"limits":{"burst":10}}`)
	ask(201, "POST /{tenant}/credentials", "/acme/credentials", `{"name":"c","scopes":["scim"],"networks":["10.0.0.0/8"],"expireTime":"2999-01-01T00:00:00Z"}`)
	ask(200, "GET /{tenant}/credentials", "/acme/credentials", "")
	ask(200, "GET /{tenant}/credentials/{name}", "/acme/credentials/c", "")
	ask(200, "PATCH /{tenant}/credentials/{name}", "/acme/credentials/c", `{"scopes":["scim:User:read"]}`)
	ask(200, "POST /{tenant}/credentials/{name}:rotate", "/acme/credentials/c:rotate", `{"overlap":"3600s"}`)
	made := ask(201, "POST /{tenant}/credentials", "/default/credentials", `{"name":"client","kind":"KIND_OAUTH","scopes":["scim"],"oauth":{"redirectUris":["https://example.com/back"]}}`).json(t)
	o.authorization(t, made["credential"].(map[string]any)["oauth"].(map[string]any)["clientId"].(string), made["secret"].(string))
	schema := `{"id":"urn:example:thing","name":"Thing","attributes":[{"name":"size","type":"TYPE_INTEGER"}]}`
	ask(200, "POST /{tenant}/registrations", "/acme/registrations", `{"schemas":[`+schema+`],"resourceTypes":[{"name":"Thing","endpoint":"/Things","schema":"urn:example:thing"}]}`)
	ask(400, "POST /{tenant}/registrations", "/acme/registrations", `{"schemas":[{"id":"x"}]}`)
	ask(200, "GET /{tenant}/registrations", "/acme/registrations", "")
	ask(200, "POST /{tenant}/registrations:remove", "/acme/registrations:remove", `{"schemas":["urn:example:thing"],"resourceTypes":["Thing"]}`)
	id := ask(200, "POST /{tenant}/recordings", "/default/recordings", `{"credential":"bootstrap","duration":"60s","redacted":["userName"]}`).json(t)["recording"].(map[string]any)["id"].(string)
	ask(200, "GET /{tenant}/recordings", "/default/recordings", "")
	ask(200, "GET /{tenant}/recordings/{id}", "/default/recordings/"+id+"?pageSize=1", "")
	ask(200, "POST /{tenant}/recordings/{id}:stop", "/default/recordings/"+id+":stop", "{}")
	ask(204, "DELETE /{tenant}/recordings/{id}", "/default/recordings/"+id, "")
	ask(200, "GET /{tenant}/audit-events", "/default/audit-events?pageSize=100", "")
	ask(200, "POST /{tenant}/audit-events:verify", "/default/audit-events:verify", "{}")
	ask(204, "DELETE /{tenant}/credentials/{name}", "/acme/credentials/c", "")
	ask(200, "POST /{name}:suspend", "/acme:suspend", "")
	ask(200, "POST /{name}:resume", "/acme:resume", "")
	ask(200, "POST /{name}:suspend", "/acme:suspend", "")
	ask(204, "DELETE /{name}", "/acme", "")
	o.subscriptions(t, ask, as)
	o.activity(t, ask, as)
}

// activity looks at what happens.
func (o *observer) activity(t *testing.T, ask func(status int, operation, path, body string) reply, as []string) {
	t.Helper()
	newest := "1" // exchange
	for _, c := range [][3]string{
		{"GET /{tenant}/exchanges", "/default/exchanges"}, {"GET /{tenant}/traffic", "/default/traffic"}, {"GET /{tenant}/watchers", "/default/watchers"},
		{"GET /{tenant}/stale-groups", "/default/stale-groups"}, {"GET /{tenant}/attribute-use/{resource_type}", "/default/attribute-use/User"}, {"GET /{tenant}/exchanges/{id}", "/default/exchanges/"},
		{"POST /{tenant}/stale-groups:delete", "/default/stale-groups:delete", `{"days":1,"dryRun":true}`},
	} {
		path := c[1]
		if strings.HasSuffix(path, "/exchanges/") {
			path += newest
		}
		method, template, _ := strings.Cut(c[0], " ")
		if r := o.p.rest(t, method, o.p.origin()+"/admin/v1/tenants"+path, c[2], as...); r.status == 501 { // it is not there yet
			o.answered[method+" /admin/v1/tenants"+template] = true
			continue
		}
		got := ask(200, c[0], path, c[2])
		if all, _ := got.json(t)["exchanges"].([]any); len(all) > 0 {
			newest, _ = all[0].(map[string]any)["id"].(string)
		}
	}
}

// subscriptions makes, changes and replays subscriptions, and polls.
func (o *observer) subscriptions(t *testing.T, ask func(status int, operation, path, body string) reply, as []string) {
	t.Helper()
	const one, at = "/{tenant}/subscriptions/{subscription}", "/default/subscriptions/"
	ask(201, "POST /{tenant}/subscriptions", "/default/subscriptions", `{"name":"poll","poll":{},"detail":"DETAIL_FULL","filter":{"resourceTypes":["User"]}}`)
	ask(400, "POST /{tenant}/subscriptions", "/default/subscriptions", `{"name":"x"}`)
	ask(200, "GET /{tenant}/subscriptions", "/default/subscriptions", "")
	ask(200, "GET "+one, at+"poll", "")
	ask(404, "GET "+one, at+"nothing", "")
	ask(200, "PATCH "+one, at+"poll", `{"audience":["me"]}`)
	ask(200, "POST "+one+":replay", at+"poll:replay", `{"afterPosition":"0"}`)
	ask(200, "GET "+one+"/dead-letters", at+"poll/dead-letters", "")
	ask(200, "POST "+one+"/dead-letters:retry", at+"poll/dead-letters:retry", "{}")
	ask(200, "POST "+one+"/dead-letters:discard", at+"poll/dead-letters:discard", "{}")
	o.ask(t, 200, "POST /events/v1/subscriptions/{subscription}/poll", "/events/v1/subscriptions/poll/poll", `{"returnImmediately":true,"maxEvents":5}`)
	o.ask(t, 200, "GET /events/v1/jwks.json", "/events/v1/jwks.json", "")
	o.ask(t, 200, "POST /admin/v1/signing-keys:rotate", "/admin/v1/signing-keys:rotate", "{}", as...)
	ask(204, "DELETE "+one, at+"poll", "")
}

// authorization uses OAuth.
func (o *observer) authorization(t *testing.T, client, secret string) {
	t.Helper()
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(client+":"+secret))
	header := []string{"Authorization", basic, "Content-Type", "application/x-www-form-urlencoded"}
	issued := o.ask(t, 200, "POST /oauth2/token", "/oauth2/token", "grant_type=client_credentials&scope=scim", header...).json(t)
	o.ask(t, 400, "POST /oauth2/token", "/oauth2/token", "grant_type=nothing", header...)
	o.ask(t, 200, "GET /scim/v2/Users", "/scim/v2/Users", "", "Authorization", "Bearer "+issued["access_token"].(string))
	o.ask(t, 200, "POST /oauth2/revoke", "/oauth2/revoke", "token="+issued["access_token"].(string), header...)
	o.ask(t, 200, "GET /.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server", "")
}

// documents reads what describes the program.
func (o *observer) documents(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/openapi.json", "/docs", "/docs/grpc"} {
		o.ask(t, 200, "GET "+path, path, "")
	}
}

// The page of the gRPC services has every service and method that the server registers,
// and every message and field, with what the contract says of them; it loads nothing.
func TestGRPCReference(t *testing.T) {
	p := start(t, sqliteURL(t))
	got := p.rest(t, http.MethodGet, p.origin()+"/docs/grpc", "", "Authorization", "")
	page := string(got.body)
	if got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
		t.Fatalf("%d %v", got.status, got.header)
	}
	methods := 0
	eachMethod(func(m protoreflect.MethodDescriptor) {
		methods++
		if !strings.Contains(page, `id="`+string(m.Parent().Name())+"."+string(m.Name())+`"`) {
			t.Errorf("%s is not in it: run `make generate`", m.FullName())
		}
		for _, message := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
			_, part, _ := strings.Cut(page, `id="`+string(message.Name())+`"`)
			part, _, _ = strings.Cut(part, "<h3")
			for i := range message.Fields().Len() {
				if name := string(message.Fields().Get(i).Name()); !strings.Contains(part, "<code>"+name+"</code>") {
					t.Errorf("%s.%s is not in it", message.FullName(), name)
				}
			}
		}
	})
	if methods < 60 {
		t.Errorf("only %d methods", methods)
	}
	if said := "Finds one user by what is known of it."; !strings.Contains(page, said) {
		t.Errorf("%q is not in it", said)
	}
	for _, page := range []string{"/docs", "/docs/grpc"} {
		if body := string(p.rest(t, http.MethodGet, p.origin()+page, "").body); regexp.MustCompile(`(?i)<script|<link|<img|@import|url\(`).MatchString(body) {
			t.Errorf("%s loads something", page)
		}
	}
}

// Every service that the server tells of is one of the contract, which the page has, or
// of gRPC itself.
func TestGRPCReference_HasAllThatReflectionTells(t *testing.T) {
	p := start(t, sqliteURL(t))
	page := string(p.rest(t, http.MethodGet, p.origin()+"/docs/grpc", "").body)
	stream, err := reflectionpb.NewServerReflectionClient(p.dial(t)).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, s := range answer.GetListServicesResponse().GetService() {
		name, is := strings.CutPrefix(s.GetName(), "muster.v1.")
		if is && !strings.Contains(page, `<h2 id="`+name+`">`) || !is && !strings.HasPrefix(name, "grpc.") {
			t.Errorf("%s is not in it", name)
		}
		if is {
			ours++
		}
	}
	if ours < 8 {
		t.Errorf("reflection tells of %d services", ours)
	}
}
