package conformance

import (
	"fmt"
	"regexp"
	"strings"
)

// vars are the values that ${…} stands for. Built in are n (unique to the run
// and the check), shared (the n of the area's setup), mine (a filter for what the
// setup made), token, and the names below. A step saves others: "user: ada" saves
// the answer as ada, where ${ada} is the id, ${ada.meta.version} a member of the
// resource, and ${ada.} the whole of it.
type vars map[string]any

var builtIn = vars{
	"User": urnUser, "Group": urnGroup, "Enterprise": urnEnterprise, "Patch": urnPatch, "List": urnList,
	"Error": urnError, "Search": urnSearch, "Bulk": urnBulk,
	// The id of an example in RFC 7643; no server makes it again.
	"nobody": "2819c223-7f76-453a-919d-413861904646",
}

var reference = regexp.MustCompile(`\$\{([^}]+)\}`)

// expand replaces the references in the strings of v, keys included. A string
// that is one reference becomes the value, whatever its type.
func (s vars) expand(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if m := reference.FindString(v); m == v && m != "" {
			return s.lookup(m[2 : len(m)-1])
		}
		return s.text(v)
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = s.expand(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, e := range v {
			k, err := s.text(key)
			if err != nil {
				return nil, err
			}
			if out[k], err = s.expand(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case int: // as JSON numbers are
		return float64(v), nil
	}
	return v, nil
}

// text replaces the references in a string.
func (s vars) text(t string) (string, error) {
	var fault error
	out := reference.ReplaceAllStringFunc(t, func(m string) string {
		v, err := s.lookup(m[2 : len(m)-1])
		if err != nil {
			fault = err
		}
		return fmt.Sprint(v)
	})
	return out, fault
}

func (s vars) lookup(name string) (any, error) {
	head, rest, dotted := strings.Cut(name, ".")
	v, ok := s[head]
	if !ok {
		return nil, fmt.Errorf("${%s} is not saved by an earlier step", name)
	}
	if resource, ok := v.(map[string]any); ok && !dotted {
		return resource["id"], nil
	}
	if !dotted {
		return v, nil
	}
	if rest == "" {
		return v, nil
	}
	value := first(v, "/"+strings.ReplaceAll(rest, ".", "/"))
	if value == nil {
		return nil, fmt.Errorf("${%s}: the resource has no such member", name)
	}
	return value, nil
}
