package conformance

import (
	"strconv"
	"strings"
)

// all returns the values at a JSON pointer (RFC 6901) in which a "*" stands for
// every element of an array. What is not there is left out, and so is null: to
// SCIM both are unassigned (RFC 7643 section 2.5).
func all(v any, pointer string) []any {
	values := []any{v}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		var below []any
		for _, v := range values {
			below = append(below, children(v, token)...)
		}
		values = below
	}
	return values
}

func children(v any, token string) []any {
	switch v := v.(type) {
	case map[string]any:
		if c := v[token]; c != nil {
			return []any{c}
		}
	case []any:
		if token == "*" {
			return v
		}
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(v) && v[i] != nil {
			return []any{v[i]}
		}
	}
	return nil
}

// first returns the first value at a pointer, or nil.
func first(v any, pointer string) any {
	if values := all(v, pointer); len(values) > 0 {
		return values[0]
	}
	return nil
}

// at returns what an expectation about a pointer looks at: the value, or the
// list of values if the pointer has a "*".
func at(v any, pointer string) any {
	if strings.Contains(pointer, "*") {
		return append([]any{}, all(v, pointer)...)
	}
	return first(v, pointer)
}
