package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

func authenticationSchemes(_ context.Context, s *session) error {
	for i := range all(s.server.config, "/authenticationSchemes/*") {
		for _, member := range []string{"type", "name", "description"} {
			p := fmt.Sprintf("/authenticationSchemes/%d/%s", i, member)
			if text, _ := first(s.server.config, p).(string); text == "" {
				return fmt.Errorf("%s is missing", p)
			}
		}
	}
	if first(s.server.config, "/authenticationSchemes") == nil {
		return errors.New("authenticationSchemes is missing")
	}
	return nil
}

func configTypes(_ context.Context, s *session) error {
	for _, f := range []string{"patch", "bulk", "filter", "changePassword", "sort", "etag"} {
		p := "/" + f + "/supported"
		if v, ok := first(s.server.config, p).(bool); !ok {
			return fmt.Errorf("%s is %v, want true or false", p, v)
		}
	}
	for _, p := range []string{"/bulk/maxOperations", "/bulk/maxPayloadSize", "/filter/maxResults"} {
		if v, ok := first(s.server.config, p).(float64); !ok || v != float64(int64(v)) || v < 0 {
			return fmt.Errorf("%s is %s, want an integer", p, show(first(s.server.config, p)))
		}
	}
	return nil
}

func paginationConfig(_ context.Context, s *session) error {
	p := first(s.server.config, "/pagination")
	if p == nil {
		return notApplicableError("the server does not advertise pagination")
	}
	for _, member := range []string{"/cursor", "/index"} {
		if _, ok := first(p, member).(bool); !ok {
			return fmt.Errorf("/pagination%s is %s, want true or false", member, show(first(p, member)))
		}
	}
	if m := first(p, "/defaultPaginationMethod"); m != nil && m != "cursor" && m != "index" {
		return fmt.Errorf("defaultPaginationMethod is %s, want cursor or index", show(m))
	}
	for _, member := range []string{"/defaultPageSize", "/maxPageSize", "/cursorTimeout"} {
		if v := first(p, member); v != nil {
			if n, ok := v.(float64); !ok || n < 1 {
				return fmt.Errorf("/pagination%s is %s, want a positive integer", member, show(v))
			}
		}
	}
	return nil
}

func resourceTypes(_ context.Context, s *session) error {
	types := all(s.server.types, "/Resources/*")
	if len(types) == 0 {
		return errors.New("there is no resource type")
	}
	for i, rt := range types {
		for _, member := range []string{"name", "endpoint", "schema"} {
			if text, _ := first(rt, "/"+member).(string); text == "" {
				return fmt.Errorf("/Resources/%d/%s is missing", i, member)
			}
		}
	}
	return nil
}

func extensionsRequired(_ context.Context, s *session) error {
	for _, e := range all(s.server.types, "/Resources/*/schemaExtensions/*") {
		if _, ok := first(e, "/required").(bool); !ok {
			return fmt.Errorf("required of the extension %s is %s, want true or false", show(first(e, "/schema")), show(first(e, "/required")))
		}
	}
	return nil
}

func schemasOfTypes(ctx context.Context, s *session) error {
	urns := all(s.server.types, "/Resources/*/schema")
	urns = append(urns, all(s.server.types, "/Resources/*/schemaExtensions/*/schema")...)
	for _, urn := range urns {
		schema, err := s.get(ctx, fmt.Sprintf("/Schemas/%s", urn))
		if err != nil {
			return err
		}
		if first(schema, "/id") != urn {
			return fmt.Errorf("the id of /Schemas/%s is %s", urn, show(first(schema, "/id")))
		}
		if !slices.Contains(all(s.server.schemas, "/Resources/*/id"), urn) {
			return fmt.Errorf("%s is not in the list of /Schemas", urn)
		}
	}
	return nil
}

func endpointsOfTypes(ctx context.Context, s *session) error {
	for _, e := range all(s.server.types, "/Resources/*/endpoint") {
		path := fmt.Sprint(e)
		path = "/" + strings.TrimPrefix(strings.TrimPrefix(path, s.client.base.String()), "/")
		body, err := s.get(ctx, path+"?count=1")
		if err != nil {
			return err
		}
		if !slices.Contains(all(body, "/schemas/*"), any(urnList)) {
			return fmt.Errorf("the answer of %s is not a list response", path)
		}
	}
	return nil
}

// eachAttribute calls f for every attribute and sub-attribute of every schema.
func (s *session) eachAttribute(f func(name string, attribute any) error) error {
	schemas := all(s.server.schemas, "/Resources/*")
	if len(schemas) == 0 {
		return errors.New("/Schemas lists nothing")
	}
	for _, schema := range schemas {
		for _, a := range all(schema, "/attributes/*") {
			name := fmt.Sprintf("%v:%v", first(schema, "/id"), first(a, "/name"))
			if err := f(name, a); err != nil {
				return err
			}
			for _, sub := range all(a, "/subAttributes/*") {
				if err := f(fmt.Sprintf("%s.%v", name, first(sub, "/name")), sub); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// oneOf demands that a member, if it is there, is one of some words.
func oneOf(name string, attribute any, member string, words ...string) error {
	v := first(attribute, "/"+member)
	if text, ok := v.(string); v != nil && (!ok || !slices.Contains(words, text)) {
		return fmt.Errorf("%s of %s is %s, want %s", member, name, show(v), either(words))
	}
	return nil
}

func attributeTypes(_ context.Context, s *session) error {
	return s.eachAttribute(func(name string, a any) error {
		if first(a, "/name") == nil || first(a, "/type") == nil {
			return fmt.Errorf("%s has no name or no type", name)
		}
		return oneOf(name, a, "type", "string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex")
	})
}

func attributeCharacteristics(_ context.Context, s *session) error {
	return s.eachAttribute(func(name string, a any) error {
		if err := oneOf(name, a, "mutability", "readOnly", "readWrite", "immutable", "writeOnly"); err != nil {
			return err
		}
		if err := oneOf(name, a, "returned", "always", "never", "default", "request"); err != nil {
			return err
		}
		if err := oneOf(name, a, "uniqueness", "none", "server", "global"); err != nil {
			return err
		}
		if first(a, "/mutability") == "writeOnly" && first(a, "/returned") != "never" {
			return fmt.Errorf("%s is writeOnly; its returned is %s, want never", name, show(first(a, "/returned")))
		}
		for _, member := range []string{"/required", "/multiValued", "/caseExact"} {
			if v := first(a, member); v != nil && v != true && v != false {
				return fmt.Errorf("%s of %s is %s, want true or false", member, name, show(v))
			}
		}
		return nil
	})
}

func subAttributes(_ context.Context, s *session) error {
	return s.eachAttribute(func(name string, a any) error {
		subs, isComplex := all(a, "/subAttributes/*"), first(a, "/type") == "complex"
		if isComplex && len(subs) == 0 {
			return fmt.Errorf("%s is complex and has no sub-attributes", name)
		}
		if !isComplex && len(subs) > 0 {
			return fmt.Errorf("%s is not complex and has sub-attributes", name)
		}
		for _, sub := range subs {
			if first(sub, "/type") == "complex" {
				return fmt.Errorf("%s has a sub-attribute that is complex itself (RFC 7643 section 2.3.8)", name)
			}
		}
		return nil
	})
}

func referenceTypes(_ context.Context, s *session) error {
	return s.eachAttribute(func(name string, a any) error {
		if first(a, "/type") == "reference" && len(all(a, "/referenceTypes/*")) == 0 {
			return fmt.Errorf("%s is a reference without referenceTypes", name)
		}
		return nil
	})
}

// attributeName is ATTRNAME of RFC 7643 section 2.1, and $ref.
var attributeName = regexp.MustCompile(`^(\$ref|[A-Za-z][A-Za-z0-9_-]*)$`)

func attributeNames(_ context.Context, s *session) error {
	seen := map[string]bool{}
	return s.eachAttribute(func(name string, a any) error {
		if text, _ := first(a, "/name").(string); !attributeName.MatchString(text) {
			return fmt.Errorf("%s is not a name of an attribute", name)
		}
		key := strings.ToLower(name)
		if seen[key] {
			return fmt.Errorf("%s is defined twice", name)
		}
		seen[key] = true
		return nil
	})
}

// maxResults asks for more than the advertised limit.
func maxResults(ctx context.Context, s *session) error {
	limit, ok := first(s.server.config, "/filter/maxResults").(float64)
	if !ok || limit == 0 {
		return notApplicableError("filter.maxResults is not advertised")
	}
	a, err := s.call(ctx, http.MethodGet, fmt.Sprintf("/Users?count=%d&attributes=id&filter=userName+pr", int(limit)+1), nil, http.StatusOK, http.StatusBadRequest)
	if err != nil {
		return err
	}
	if n := len(all(a.body, "/Resources/*")); n > int(limit) {
		return fmt.Errorf("a page has %d resources; filter.maxResults is %d", n, int(limit))
	}
	return nil
}
