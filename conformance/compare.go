package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// same tells whether two values are equal; unassigned values are (RFC 7643
// section 2.5).
func same(got, want any) bool {
	return reflect.DeepEqual(got, want) || unassigned(got) && unassigned(want)
}

// unassigned tells whether a value means that there is none.
func unassigned(v any) bool {
	list, ok := v.([]any)
	return v == nil || ok && len(list) == 0
}

// contains says where got lacks something of want: members of objects, elements
// of lists. The elements of a multi-valued attribute have no order, so each one
// wanted must be found somewhere, and there must be no others.
func contains(got, want any, where string) error {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %s, want an object", place(where), show(got))
		}
		for _, k := range slices.Sorted(maps.Keys(w)) {
			if err := contains(g[k], w[k], where+"/"+k); err != nil {
				return err
			}
		}
		return nil
	case []any:
		g, _ := got.([]any)
		return containsAll(g, w, where)
	}
	if !same(got, want) {
		return fmt.Errorf("%s is %s, want %s", place(where), show(got), show(want))
	}
	return nil
}

func containsAll(got, want []any, where string) error {
	rest := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(rest, func(g any) bool { return contains(g, w, where) == nil })
		if i < 0 {
			return fmt.Errorf("%s is %s, want an element like %s", place(where), show(got), show(w))
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%s has %s too", place(where), show(rest[0]))
	}
	return nil
}

func place(where string) string {
	if where == "" {
		return "the body"
	}
	return where
}

// show is a value for people.
func show(v any) string {
	if v == nil {
		return "missing"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return shorten(text)
}

func upper(s string) string { return strings.ToUpper(strings.TrimSpace(s)) }
