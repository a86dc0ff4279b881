package conformance

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// server is what the server under test says of itself.
type server struct {
	// features are the names that a check may need: those of
	// ServiceProviderConfig ("patch", "bulk", "filter", "sort", "etag",
	// "changePassword", "cursor", "index"), "search" if it knows POST
	// /Users/.search, resource types ("User"), "enterprise" for that extension,
	// and attributes ("User.nickName", "enterprise.manager").
	features map[string]bool
	config   any
	types    any
	schemas  any
}

// discover reads the three discovery endpoints. Only a server that cannot be
// reached, or refuses the token, is an error: the checks tell what else is wrong.
func discover(ctx context.Context, c *client) (*server, error) {
	s := &server{features: map[string]bool{}}
	for path, into := range map[string]*any{"/ServiceProviderConfig": &s.config, "/ResourceTypes": &s.types, "/Schemas": &s.schemas} {
		a, err := c.send(ctx, request{method: http.MethodGet, path: path})
		switch {
		case err != nil:
			return nil, fmt.Errorf("the server cannot be reached: %w", err)
		case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
			return nil, fmt.Errorf("GET %s: status %d: the server does not accept the token", path, a.status)
		case a.status == http.StatusOK:
			*into = a.body
		}
	}
	for _, f := range []string{"patch", "bulk", "filter", "sort", "etag", "changePassword"} {
		s.features[f] = first(s.config, "/"+f+"/supported") == true
	}
	s.features["cursor"] = first(s.config, "/pagination/cursor") == true
	s.features["index"] = first(s.config, "/pagination/index") != false // what RFC 7644 has from the start
	a, err := c.send(ctx, request{method: http.MethodPost, path: "/Users/.search", body: []byte(`{"schemas":["` + urnSearch + `"],"count":0}`)})
	s.features["search"] = err == nil && a.status == http.StatusOK
	s.learnAttributes()
	return s, nil
}

// learnAttributes notes the resource types, extensions and attributes.
func (s *server) learnAttributes() {
	for _, name := range all(s.types, "/Resources/*/name") {
		s.features[fmt.Sprint(name)] = true
	}
	for _, urn := range all(s.types, "/Resources/*/schemaExtensions/*/schema") {
		s.features["enterprise"] = s.features["enterprise"] || urn == urnEnterprise
	}
	for _, schema := range all(s.schemas, "/Resources/*") {
		prefix := fmt.Sprint(first(schema, "/name"))
		switch first(schema, "/id") {
		case urnUser:
			prefix = "User"
		case urnGroup:
			prefix = "Group"
		case urnEnterprise:
			prefix = "enterprise"
		}
		for _, name := range all(schema, "/attributes/*/name") {
			s.features[prefix+"."+fmt.Sprint(name)] = true
		}
	}
}

// lacks says which of the needs is not met, or nothing.
func (s *server) lacks(needs ...[]string) string {
	for _, list := range needs {
		for _, need := range list {
			name, not := strings.CutPrefix(need, "!")
			switch {
			case not && s.features[name]:
				return fmt.Sprintf("the server has %q", name)
			case !not && !s.features[name]:
				return fmt.Sprintf("the server does not advertise %q", name)
			}
		}
	}
	return ""
}

// URNs that travel in bodies.
const (
	urnUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	urnGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	urnEnterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	urnPatch      = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	urnList       = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	urnError      = "urn:ietf:params:scim:api:messages:2.0:Error"
	urnSearch     = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
	urnBulk       = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
)
