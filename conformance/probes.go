package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
)

// probe is a check that cannot be said as steps. The error says what the server
// did wrong; notApplicableError, that there is nothing to judge.
type probe func(ctx context.Context, s *session) error

// probes are found by the names that the checks call them.
var probes = map[string]probe{
	// probes_discovery.go
	"authenticationSchemes":    authenticationSchemes,
	"configTypes":              configTypes,
	"paginationConfig":         paginationConfig,
	"resourceTypes":            resourceTypes,
	"extensionsRequired":       extensionsRequired,
	"schemasOfTypes":           schemasOfTypes,
	"endpointsOfTypes":         endpointsOfTypes,
	"attributeTypes":           attributeTypes,
	"attributeCharacteristics": attributeCharacteristics,
	"subAttributes":            subAttributes,
	"referenceTypes":           referenceTypes,
	"attributeNames":           attributeNames,
	"maxResults":               maxResults,
	// probes_values.go
	"allowHeader":     allowHeader,
	"contentLocation": contentLocation,
	"listed":          listed,
	"rootQuery":       rootQuery,
	"deepFilter":      deepFilter,
	"otherTimeZone":   otherTimeZone,
	"patchAnswer":     patchAnswer,
	"sameETag":        sameETag,
	"onePrimary":      onePrimary,
	"longString":      longString,
	"passwordInError": passwordInError,
	"indexPages":      indexPages,
	"thousandMembers": thousandMembers,
	"oneOfThousand":   oneOfThousand,
	"largeGroupCost":  largeGroupCost,
	// probes_cursor.go
	"cursorWalk":          cursorWalk,
	"cursorForged":        cursorForged,
	"cursorCut":           cursorCut,
	"cursorOtherFilter":   cursorOtherFilter,
	"cursorBack":          cursorBack,
	"cursorWhileWriting":  cursorWhileWriting,
	"cursorAfterDeletion": cursorAfterDeletion,
	"cursorMaxPageSize":   cursorMaxPageSize,
	// probes_bulk.go
	"bulkCircularTolerated":  bulkCircularTolerated,
	"bulkCircularGroups":     bulkCircularGroups,
	"bulkCircularManagers":   bulkCircularManagers,
	"bulkTooManyOperations":  bulkTooManyOperations,
	"bulkTooLarge":           bulkTooLarge,
	"bulkAsManyAsAdvertised": bulkAsManyAsAdvertised,
	// probes_race.go
	"oneWriterWins":        oneWriterWins,
	"oneCreateWins":        oneCreateWins,
	"otherCreatesConflict": otherCreatesConflict,
	"oneRenameWins":        oneRenameWins,
	"membersAddedAtOnce":   membersAddedAtOnce,
	"membersRemovedAtOnce": membersRemovedAtOnce,
	"attributesAtOnce":     attributesAtOnce,
	"noHalfWrite":          noHalfWrite,
	"oneDeleteWins":        oneDeleteWins,
	"idsAtOnce":            idsAtOnce,
	"deleteMemberAndGroup": deleteMemberAndGroup,
}

// object is a JSON object.
type object = map[string]any

// call sends a body as JSON (nil for none) and demands one of the statuses.
func (s *session) call(ctx context.Context, method, path string, body any, statuses ...int) (*answer, error) {
	r := request{method: method, path: path}
	if body != nil {
		var err error
		if r.body, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	a, err := s.send(ctx, r)
	if err != nil {
		return nil, err
	}
	return a, Expect{Status: statuses}.checkStatus(method, a)
}

// get reads what must be there.
func (s *session) get(ctx context.Context, path string) (any, error) {
	a, err := s.call(ctx, http.MethodGet, path, nil, http.StatusOK)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// patch sends the operations of a PATCH.
func (s *session) patch(ctx context.Context, path string, ops ...any) error {
	_, err := s.call(ctx, http.MethodPatch, path, object{"schemas": []any{urnPatch}, "Operations": ops}, 200, 204)
	return err
}

// make creates a resource and returns its id.
func (s *session) make(ctx context.Context, endpoint string, body object) (string, error) {
	a, err := s.call(ctx, http.MethodPost, endpoint, body, http.StatusCreated)
	if err != nil {
		return "", err
	}
	id, _ := first(a.body, "/id").(string)
	if id == "" {
		return "", fmt.Errorf("POST %s: the answer has no id", endpoint)
	}
	return id, nil
}

// name makes a name that no other check, and no other run, uses.
func (s *session) name(of string) string { return fmt.Sprintf("%s.%s", of, s.vars["n"]) }

func (s *session) newUser(ctx context.Context, of string) (string, error) {
	return s.make(ctx, "/Users", object{"schemas": []any{urnUser}, "userName": s.name(of)})
}

func (s *session) newGroup(ctx context.Context, of string, members ...string) (string, error) {
	return s.make(ctx, "/Groups", object{"schemas": []any{urnGroup}, "displayName": s.name(of), "members": memberValues(members)})
}

// newUsers makes n users.
func (s *session) newUsers(ctx context.Context, n int) ([]string, error) {
	ids := make([]string, n)
	return ids, atOnce(n, 4, func(i int) error {
		id, err := s.newUser(ctx, fmt.Sprintf("u%d", i))
		ids[i] = id
		return err
	})
}

func memberValues(ids []string) []any {
	out := []any{}
	for _, id := range ids {
		out = append(out, object{"value": id})
	}
	return out
}

// atOnce calls f for 0 to n-1 from some goroutines and returns the first error.
func atOnce(n, goroutines int, f func(i int) error) error {
	var wait sync.WaitGroup
	errs := make([]error, n)
	turn := make(chan int)
	for range goroutines {
		wait.Go(func() {
			for i := range turn {
				errs[i] = f(i)
			}
		})
	}
	for i := range n {
		turn <- i
	}
	close(turn)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// race calls f for 0 to n-1, all at the same time, and returns the answers.
func race(n int, f func(i int) (*answer, error)) ([]*answer, error) {
	answers := make([]*answer, n)
	start := make(chan struct{})
	var wait sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wait.Go(func() {
			<-start
			answers[i], errs[i] = f(i)
		})
	}
	close(start)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// count tells how many answers have a status.
func count(answers []*answer, status int) int {
	n := 0
	for _, a := range answers {
		if a.status == status {
			n++
		}
	}
	return n
}

// statusesOf lists the statuses of the answers, for people.
func statusesOf(answers []*answer) string {
	list := make([]int, len(answers))
	for i, a := range answers {
		list[i] = a.status
	}
	return fmt.Sprint(list)
}
