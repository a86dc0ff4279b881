package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// load reads the YAML files of a folder, by their names. A key that nobody
// knows is an error.
func load[T any](t *testing.T, folder string) map[string]T {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in %s: %v", folder, err)
	}
	files := make(map[string]T)
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var content T
		decoder := yaml.NewDecoder(bytes.NewReader(data))
		decoder.KnownFields(true)
		if err := decoder.Decode(&content); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".yaml")] = content
	}
	return files
}

// A scope is what the steps of one case have in common: a prefix of its own for
// names, and the answers that were given names.
type scope struct {
	t      *testing.T
	prefix string
	known  map[string]any
}

func newScope(t *testing.T, prefix string) *scope {
	return &scope{t, prefix, map[string]any{
		"core":       "urn:ietf:params:scim:schemas:core:2.0:User",
		"coreGroup":  "urn:ietf:params:scim:schemas:core:2.0:Group",
		"enterprise": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
		// of test/registered/schemas
		"badge": "urn:example:params:scim:schemas:extension:badge:2.0:User",
		"cost":  "urn:example:params:scim:schemas:extension:cost:2.0:Group",
		"test":  "urn:example:params:scim:schemas:core:2.0:TestResource",
		"place": "urn:example:params:scim:schemas:extension:place:2.0:TestResource",
		"asset": "urn:example:params:scim:schemas:extension:asset:2.0",
		// of docs/examples/devices
		"device":    "urn:ietf:params:scim:schemas:core:2.0:Device",
		"ble":       "urn:ietf:params:scim:schemas:extension:ble:2.0:Device",
		"passKey":   "urn:ietf:params:scim:schemas:extension:pairingPassKey:2.0:Device",
		"oob":       "urn:ietf:params:scim:schemas:extension:pairingOOB:2.0:Device",
		"justWorks": "urn:ietf:params:scim:schemas:extension:pairingJustWorks:2.0:Device",
		"dpp":       "urn:ietf:params:scim:schemas:extension:dpp:2.0:Device",
		"mab":       "urn:ietf:params:scim:schemas:extension:ethernet-mab:2.0:Device",
		"fdo":       "urn:ietf:params:scim:schemas:extension:fido-device-onboard:2.0:Device",
		"zigbee":    "urn:ietf:params:scim:schemas:extension:zigbee:2.0:Device",
		"apps":      "urn:ietf:params:scim:schemas:extension:endpointAppsExt:2.0:Device",
	}}
}

// expanded is a step with everything filled in.
func expanded[T any](sc *scope, raw map[string]any) (s T) {
	sc.t.Helper()
	data, err := json.Marshal(sc.expand(raw))
	if err != nil {
		sc.t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		sc.t.Fatalf("%v in the step %s", err, data)
	}
	return s
}

// expand fills in prefixes and references, wherever they stand.
func (sc *scope) expand(v any) any {
	switch v := v.(type) {
	case string:
		return sc.expandText(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = sc.expand(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[fmt.Sprint(sc.expandText(key))] = sc.expand(value)
		}
		return out
	}
	return v
}

var reference = regexp.MustCompile(`\$\{([^{}]+)\}`)

// expandText fills in a text: ~ is the prefix of the case, ${ada.id} a part of
// the answer that was called ada, ${x*40} forty times x. A text that is nothing
// but a reference becomes what it refers to, which need not be a text.
func (sc *scope) expandText(text string) any {
	text = strings.ReplaceAll(text, "~", sc.prefix)
	if m := reference.FindStringSubmatch(text); m != nil && m[0] == text {
		return sc.lookUp(m[1])
	}
	return reference.ReplaceAllStringFunc(text, func(ref string) string {
		return fmt.Sprint(sc.lookUp(ref[len("${") : len(ref)-len("}")]))
	})
}

func (sc *scope) lookUp(name string) any {
	if i := strings.LastIndexByte(name, '*'); i > 0 {
		if n, err := strconv.Atoi(name[i+1:]); err == nil {
			return strings.Repeat(name[:i], n)
		}
	}
	at, whole := any(sc.known), name
	for part := range strings.SplitSeq(name, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(v) {
				sc.t.Fatalf("there is no ${%s}", whole)
			}
			at = v[i]
		}
	}
	if at == nil {
		sc.t.Fatalf("there is no ${%s}", whole)
	}
	return at
}

// An expectation is what a step says about its answer.
type expectation struct {
	// As is a name for the answer.
	As string `json:"as"`
	// Fails is the reason of an error. Without it the step must succeed.
	Fails string `json:"fails"`
	// At is the attribute that the error is about.
	At string `json:"at"`
	// Want is a part of the answer: null for what must not be there, "*" for
	// what must, and lists whole, in any order.
	Want map[string]any `json:"want"`
	// Exact is the whole answer, but for meta.location and $ref, which the REST
	// door checks by itself.
	Exact map[string]any `json:"exact"`
	// Found is the names of the resources of a list, in order.
	Found *[]string `json:"found"`
}

// check compares an answer, and remembers it.
func (e expectation) check(sc *scope, at string, got map[string]any) {
	sc.t.Helper()
	if e.As != "" {
		sc.known[e.As] = got
	}
	var wrong []string
	common := withoutAddresses(got)
	if e.Want != nil {
		wrong = append(wrong, differences("", e.Want, common, false)...)
	}
	if e.Exact != nil {
		wrong = append(wrong, differences("", e.Exact, common, true)...)
	}
	if e.Found != nil {
		wrong = append(wrong, e.checkFound(got)...)
	}
	if wrong != nil {
		sc.t.Errorf("%s:\n\t%s\nthe answer: %s", at, strings.Join(wrong, "\n\t"), printed(got))
	}
}

// checkFound compares the names in a list. Its total is their number, unless the
// step says otherwise.
func (e expectation) checkFound(list map[string]any) (wrong []string) {
	names := make([]string, 0)
	resources, _ := list["Resources"].([]any)
	for _, r := range resources {
		r, _ := r.(map[string]any)
		name, ok := r["userName"].(string)
		if !ok {
			name, _ = r["displayName"].(string)
		}
		names = append(names, name)
	}
	if !slices.Equal(names, *e.Found) {
		wrong = append(wrong, fmt.Sprintf("found %q, want %q", names, *e.Found))
	}
	if _, said := e.Want["totalResults"]; !said && list["totalResults"] != float64(len(*e.Found)) {
		wrong = append(wrong, fmt.Sprintf("totalResults is %v, want %d", list["totalResults"], len(*e.Found)))
	}
	return wrong
}

// withoutAddresses is a copy without what only one of the doors knows: its own
// address, in meta.location and $ref.
func withoutAddresses(v any) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = withoutAddresses(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			if key != "$ref" && key != "location" {
				out[key] = withoutAddresses(value)
			}
		}
		return out
	}
	return v
}

// differences tells where got is not as want says; whole: and where it has more.
func differences(at string, want, got any, whole bool) []string {
	switch w := want.(type) {
	case map[string]any:
		if g, ok := got.(map[string]any); ok {
			return objectDifferences(at, w, g, whole)
		}
	case []any:
		if g, ok := got.([]any); ok {
			return listDifferences(at, w, g, whole)
		}
	case string:
		if w == "*" && got != nil || w == got {
			return nil
		}
	default:
		if reflect.DeepEqual(want, got) {
			return nil
		}
	}
	return []string{fmt.Sprintf("%s is %s, want %s", at, printed(got), printed(want))}
}

func objectDifferences(at string, want, got map[string]any, whole bool) (wrong []string) {
	for _, key := range slices.Sorted(maps.Keys(want)) {
		wrong = append(wrong, differences(at+"/"+key, want[key], got[key], whole)...)
	}
	for key := range got {
		if _, said := want[key]; whole && !said {
			wrong = append(wrong, fmt.Sprintf("%s/%s is there: %s", at, key, printed(got[key])))
		}
	}
	return wrong
}

// listDifferences pairs each wanted element with one that is there: a
// multi-valued attribute has no order.
func listDifferences(at string, want, got []any, whole bool) (wrong []string) {
	left := slices.Clone(got)
	for _, w := range want {
		i := slices.IndexFunc(left, func(g any) bool { return differences(at, w, g, whole) == nil })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("%s lacks %s", at, printed(w)))
			continue
		}
		left = slices.Delete(left, i, i+1)
	}
	for _, g := range left {
		if len(got) > len(want) {
			wrong = append(wrong, fmt.Sprintf("%s has %s too", at, printed(g)))
		}
	}
	return wrong
}

func printed(v any) string {
	if v == nil {
		return "absent"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// A reasonRow is what ARCHITECTURE.md says of a reason.
type reasonRow struct{ code, status string }

var reasonCells = regexp.MustCompile(`\| ([a-zA-Z ]+) \| ([A-Z]\w+) \| (\d{3}) `)

// reasons reads the table of errors in ARCHITECTURE.md: what is promised there
// is what the doors are held to.
func reasons(t *testing.T) map[string]reasonRow {
	t.Helper()
	data, err := os.ReadFile("../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string]reasonRow)
	for _, cells := range reasonCells.FindAllStringSubmatch(string(data), -1) {
		for reason := range strings.FieldsSeq(cells[1]) {
			rows[reason] = reasonRow{code: cells[2], status: cells[3]}
		}
	}
	if len(rows) < 18 {
		t.Fatalf("ARCHITECTURE.md has a table of %d reasons only: %v", len(rows), rows)
	}
	return rows
}
