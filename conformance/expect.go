package conformance

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Expect is what must be true of an answer.
type Expect struct {
	// Status is a status or a list of them. If it is missing, a POST of a resource
	// answers 201, a PATCH 200 or 204, a DELETE 204, and everything else 200.
	Status statuses `yaml:"status"`
	// Error is a SCIM error (RFC 7644 section 3.12): "404", or with the scimType
	// "400 invalidFilter", or with several of either "400 invalidPath|noTarget".
	// With a "?" after it the scimType may be missing.
	Error string `yaml:"error"`
	// Headers are regular expressions; an empty one says that there is no such header.
	Headers map[string]string `yaml:"headers"`
	// JSON must be contained in the body: objects may have more members, null
	// means unassigned, and lists have these elements in any order.
	JSON any `yaml:"json"`
	// Equals are values at JSON pointers ("*" is every element), compared exactly.
	Equals map[string]any `yaml:"equals"`
	// Differs are values that must not be there.
	Differs map[string]any `yaml:"differs"`
	// Matches are regular expressions for the strings at pointers.
	Matches map[string]string `yaml:"matches"`
	// Present and Absent are pointers to what has, and has not, a value.
	Present []string `yaml:"present"`
	Absent  []string `yaml:"absent"`
	// Length is the number of elements, or of values at a pointer with "*".
	Length map[string]int `yaml:"length"`
	// Contains are elements that the list at a pointer has; Lacks, that it has not.
	// They are compared as JSON is.
	Contains map[string]any `yaml:"contains"`
	Lacks    map[string]any `yaml:"lacks"`
	// Sorted are pointers to strings in order, "ascending" or "descending",
	// compared without letter case, or with "exact" after it as they are.
	Sorted map[string]string `yaml:"sorted"`
	// Unique are pointers to values of which no two are the same.
	Unique []string `yaml:"unique"`
}

// statuses is one status or a list.
type statuses []int

// UnmarshalYAML reads one number or a list of numbers.
func (s *statuses) UnmarshalYAML(decode func(any) error) error {
	var one int
	if decode(&one) == nil {
		*s = statuses{one}
		return nil
	}
	return decode((*[]int)(s))
}

// expand replaces the references in all that is expected.
func (e Expect) expand(v vars) (Expect, error) {
	var errs []error
	value := func(x any) any {
		x, err := v.expand(x)
		errs = append(errs, err)
		return x
	}
	texts := func(m map[string]string) map[string]string {
		out := map[string]string{}
		for k, t := range m {
			out[fmt.Sprint(value(k))] = fmt.Sprint(value(t))
		}
		return out
	}
	object := func(m map[string]any) map[string]any {
		o, _ := value(m).(map[string]any)
		return o
	}
	list := func(l []string) []string {
		out := make([]string, len(l))
		for i, t := range l {
			out[i] = fmt.Sprint(value(t))
		}
		return out
	}
	e.JSON = value(e.JSON)
	e.Equals, e.Differs, e.Contains, e.Lacks = object(e.Equals), object(e.Differs), object(e.Contains), object(e.Lacks)
	e.Headers, e.Matches, e.Sorted = texts(e.Headers), texts(e.Matches), texts(e.Sorted)
	e.Present, e.Absent, e.Unique = list(e.Present), list(e.Absent), list(e.Unique)
	return e, errors.Join(errs...)
}

// check returns everything about the answer that is not as expected.
func (e Expect) check(method string, a *answer) error {
	if e.Error != "" {
		if err := checkError(e.Error, a); err != nil {
			return err
		}
	} else if err := e.checkStatus(method, a); err != nil {
		return err
	}
	errs := []error{e.checkHeaders(a), e.checkValues(a.body), e.checkLists(a.body)}
	if e.JSON != nil {
		errs = append(errs, contains(a.body, e.JSON, ""))
	}
	return errors.Join(errs...)
}

func (e Expect) checkStatus(method string, a *answer) error {
	want := []int(e.Status)
	if len(want) == 0 {
		want = defaultStatus[method]
	}
	if slices.Contains(want, a.status) {
		return nil
	}
	return fmt.Errorf("status is %d, want %s", a.status, either(want))
}

var defaultStatus = map[string][]int{
	http.MethodGet: {200}, http.MethodPost: {201}, http.MethodPut: {200}, http.MethodPatch: {200, 204}, http.MethodDelete: {204},
}

func either[T any](choices []T) string {
	words := make([]string, len(choices))
	for i, c := range choices {
		words[i] = fmt.Sprint(c)
	}
	return strings.Join(words, " or ")
}

// checkError demands a SCIM error.
func checkError(want string, a *answer) error {
	status, keyword, _ := strings.Cut(want, " ")
	if got := strconv.Itoa(a.status); !slices.Contains(strings.Split(status, "|"), got) {
		return fmt.Errorf("status is %s, want %s", got, strings.ReplaceAll(status, "|", " or "))
	}
	if !slices.Contains(all(a.body, "/schemas/*"), any(urnError)) {
		return errors.New("the body is not a SCIM error: its schemas are not those of one")
	}
	if got := first(a.body, "/status"); got != strconv.Itoa(a.status) {
		return fmt.Errorf("status in the body is %s, want the string %q", show(got), strconv.Itoa(a.status))
	}
	keyword, optional := strings.CutSuffix(keyword, "?")
	got := first(a.body, "/scimType")
	if keyword == "" || optional && got == nil || slices.Contains(strings.Split(keyword, "|"), fmt.Sprint(got)) {
		return nil
	}
	return fmt.Errorf("scimType is %s, want %s", show(got), strings.ReplaceAll(keyword, "|", " or "))
}

func (e Expect) checkHeaders(a *answer) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		got, pattern := a.header.Get(name), e.Headers[name]
		re, err := regexp.Compile(pattern)
		switch {
		case err != nil:
			errs = append(errs, err)
		case pattern == "" && got != "":
			errs = append(errs, fmt.Errorf("the header %s is %q, want none", name, got))
		case pattern != "" && (got == "" || !re.MatchString(got)):
			errs = append(errs, fmt.Errorf("the header %s is %q, want %s", name, got, pattern))
		}
	}
	return errors.Join(errs...)
}

// checkValues is about what stands at pointers.
func (e Expect) checkValues(body any) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, p := range slices.Sorted(maps.Keys(e.Equals)) {
		if got := at(body, p); !same(got, e.Equals[p]) {
			fail("%s is %s, want %s", p, show(got), show(e.Equals[p]))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(e.Differs)) {
		if got := at(body, p); same(got, e.Differs[p]) {
			fail("%s is %s, want another value", p, show(got))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(e.Matches)) {
		errs = append(errs, checkMatch(body, p, e.Matches[p]))
	}
	for _, p := range e.Present {
		if len(all(body, p)) == 0 {
			fail("%s is missing", p)
		}
	}
	for _, p := range e.Absent {
		if got := all(body, p); len(got) > 0 && !unassigned(got[0]) {
			fail("%s is %s, want nothing there", p, show(got[0]))
		}
	}
	return errors.Join(errs...)
}

func checkMatch(body any, pointer, pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	values := all(body, pointer)
	if len(values) == 0 {
		return fmt.Errorf("%s is missing, want %s", pointer, pattern)
	}
	for _, v := range values {
		if text, ok := v.(string); !ok || !re.MatchString(text) {
			return fmt.Errorf("%s is %s, want %s", pointer, show(v), pattern)
		}
	}
	return nil
}

// checkLists is about lists at pointers.
func (e Expect) checkLists(body any) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for p, want := range e.Length {
		if got := listAt(body, p); len(got) != want {
			fail("%s has %d values, want %d", p, len(got), want)
		}
	}
	for p, want := range e.Contains {
		if !slices.ContainsFunc(listAt(body, p), func(v any) bool { return contains(v, want, "") == nil }) {
			fail("%s has no element like %s", p, show(want))
		}
	}
	for p, not := range e.Lacks {
		if slices.ContainsFunc(listAt(body, p), func(v any) bool { return contains(v, not, "") == nil }) {
			fail("%s has an element like %s", p, show(not))
		}
	}
	for p, order := range e.Sorted {
		errs = append(errs, checkOrder(p, all(body, p), order))
	}
	for _, p := range e.Unique {
		seen := map[string]bool{}
		for _, v := range all(body, p) {
			if seen[show(v)] {
				fail("%s has %s twice", p, show(v))
			}
			seen[show(v)] = true
		}
	}
	return errors.Join(errs...)
}

// listAt is the list at a pointer, or the values at a pointer with "*".
func listAt(body any, pointer string) []any {
	list, _ := at(body, pointer).([]any)
	return list
}

func checkOrder(pointer string, values []any, order string) error {
	direction, exact := strings.CutSuffix(order, " exact")
	for i := 1; i < len(values); i++ {
		before, after := fmt.Sprint(values[i-1]), fmt.Sprint(values[i])
		if !exact {
			before, after = strings.ToLower(before), strings.ToLower(after)
		}
		if direction == "descending" {
			before, after = after, before
		}
		if before > after {
			return fmt.Errorf("%s is not %s: %s comes before %s", pointer, order, show(values[i-1]), show(values[i]))
		}
	}
	return nil
}
