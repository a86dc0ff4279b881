package test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The cases in test/cases are what a client can see, written once. Each runs
// through REST and through gRPC, on both databases, and must come to the same
// end. A step is a line of SCIM:
//
//	do:          create User, get User ID, list User, replace User ID, patch User
//	             ID, delete User ID; search, or search User, which is list by POST;
//	             discover and what stands after the base URL
//	body:        the resource that is sent
//	operations:  those of a patch; repeat sends them so many times in one request
//	filter, startIndex, count, sortBy, sortOrder, cursor, attributes,
//	excludedAttributes, ifMatch
//	token:       another one than the server has
//
// and what must come of it, as type expectation has it. Cases share a server:
// "~" stands for a prefix of names that is each case's own.

// A scenario is one case: what must be there, and what is tried. The steps are
// not decoded before they run, because they refer to answers before them.
type scenario struct {
	Name  string           `yaml:"name"`
	Setup []map[string]any `yaml:"setup"`
	Steps []map[string]any `yaml:"steps"`
}

// A step asks the server for one thing.
type step struct {
	expectation

	Do         string           `json:"do"`
	Body       any              `json:"body"`
	Operations []map[string]any `json:"operations"`
	Repeat     int              `json:"repeat"`

	Filter             string  `json:"filter"`
	StartIndex         *int    `json:"startIndex"`
	Count              *int    `json:"count"`
	SortBy             string  `json:"sortBy"`
	SortOrder          string  `json:"sortOrder"`
	Cursor             *string `json:"cursor"`
	Attributes         string  `json:"attributes"`
	ExcludedAttributes string  `json:"excludedAttributes"`
	IfMatch            string  `json:"ifMatch"`
	Token              string  `json:"token"`
}

// target takes apart what is to be done: a verb, a resource type, and an id
// where there is one.
func (s step) target() (verb, rt, id string) {
	words := append(strings.Fields(s.Do), "", "")
	return words[0], words[1], words[2]
}

// patch is the operations that are sent.
func (s step) patch() []map[string]any {
	ops := s.Operations
	for n := 1; n < s.Repeat; n++ {
		ops = append(slices.Clip(ops), s.Operations...)
	}
	return ops
}

// projected tells whether the step says which attributes it wants.
func (s step) projected() bool { return s.Attributes+s.ExcludedAttributes != "" }

// A door is a way into the server. It makes the request of a step, and checks of
// the answer whatever is peculiar to itself; what it returns is the same for all.
type door interface {
	ask(t *testing.T, s step) answer
}

// An answer is a resource, a list of them, or the reason why there is none.
type answer struct {
	reason    string
	attribute string // at fault, where the step expects one and the door tells it
	value     map[string]any
}

func TestCases(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) { runCases(t, p, "cases") })
}

// runCases runs the cases of a folder through both doors.
func runCases(t *testing.T, p *program, folder string) {
	t.Helper()
	runCasesBy(t, "REST", restDoor{p, reasons(t)}, folder)
	runCasesBy(t, "gRPC", newGRPCDoor(t, p, reasons(t)), folder)
}

// runCasesBy runs the cases of a folder through one door, in the same way each time.
func runCasesBy(t *testing.T, name string, d door, folder string) {
	t.Helper()
	files := load[[]scenario](t, folder)
	t.Run(name, func(t *testing.T) {
		n := 0
		for _, file := range slices.Sorted(maps.Keys(files)) {
			for _, s := range files[file] {
				n++
				prefix := fmt.Sprintf("%s%d.", strings.ToLower(name), n)
				t.Run(file+"/"+s.Name, func(t *testing.T) { s.run(t, d, newScope(t, prefix)) })
			}
		}
	})
}

func (s scenario) run(t *testing.T, d door, sc *scope) {
	for i, raw := range s.Setup {
		if sc.step(d, fmt.Sprintf("setup %d", i+1), raw); t.Failed() {
			return // whatever comes after it means nothing
		}
	}
	for i, raw := range s.Steps {
		sc.step(d, fmt.Sprintf("step %d", i+1), raw)
	}
}

// step runs one step and compares its answer with what it expects.
func (sc *scope) step(d door, at string, raw map[string]any) {
	sc.t.Helper()
	s := expanded[step](sc, raw)
	at += ", " + s.Do
	a := d.ask(sc.t, s)
	if a.reason != s.Fails {
		sc.t.Fatalf("%s: it fails with %q, want %q: %v", at, a.reason, s.Fails, a.value)
	}
	if s.At != "" && a.attribute != s.At {
		sc.t.Errorf("%s: the error does not name %s: %v", at, s.At, a.value)
	}
	if s.Fails == "" {
		s.check(sc, at, a.value)
	}
}
