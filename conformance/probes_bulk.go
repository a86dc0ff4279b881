package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

func (s *session) bulk(ctx context.Context, statuses []int, ops ...any) (*answer, error) {
	return s.call(ctx, http.MethodPost, "/Bulk", object{"schemas": []any{urnBulk}, "Operations": ops}, statuses...)
}

func (s *session) bulkUser(bulkID string, more object) object {
	data := object{"schemas": []any{urnUser}, "userName": s.name(bulkID)}
	maps.Copy(data, more)
	return object{"method": "POST", "path": "/Users", "bulkId": bulkID, "data": data}
}

func (s *session) bulkGroup(bulkID, member string) object {
	return object{"method": "POST", "path": "/Groups", "bulkId": bulkID, "data": object{
		"schemas": []any{urnGroup}, "displayName": s.name(bulkID),
		"members": []any{object{"type": "Group", "value": "bulkId:" + member}},
	}}
}

// allCreated demands that every operation made something, and returns the ids by
// bulkId.
func allCreated(a *answer, n int) (map[string]string, error) {
	ids := map[string]string{}
	for _, op := range all(a.body, "/Operations/*") {
		if first(op, "/status") != "201" {
			return nil, fmt.Errorf("the operation %s has the status %s, want 201", show(first(op, "/bulkId")), show(first(op, "/status")))
		}
		location := fmt.Sprint(first(op, "/location"))
		ids[fmt.Sprint(first(op, "/bulkId"))] = location[strings.LastIndex(location, "/")+1:]
	}
	if len(ids) != n {
		return nil, fmt.Errorf("%d operations have a result, want %d", len(ids), n)
	}
	return ids, nil
}

// circle demands that the first reference of each resource leads to the next.
func (s *session) circle(ctx context.Context, endpoint, pointer string, ids map[string]string, order ...string) error {
	for i, from := range order {
		to := ids[order[(i+1)%len(order)]]
		body, err := s.get(ctx, endpoint+"/"+ids[from])
		if err != nil {
			return err
		}
		if got := first(body, pointer); got != to {
			return fmt.Errorf("%s of %s is %s, want the id of the next, %s", pointer, from, show(got), to)
		}
	}
	return nil
}

// bulkCircularTolerated accepts that the server gives up: RFC 7644 section 3.7.1
// lets it answer 409 after it tried.
func bulkCircularTolerated(ctx context.Context, s *session) error {
	a, err := s.bulk(ctx, []int{200, 409}, s.bulkGroup("a", "b"), s.bulkGroup("b", "a"))
	if err != nil || a.status == http.StatusConflict {
		return err
	}
	for _, op := range all(a.body, "/Operations/*") {
		if status := first(op, "/status"); status != "201" && status != "409" {
			return fmt.Errorf("an operation has the status %s, want 201 or 409", show(status))
		}
	}
	for _, name := range []string{"a", "b"} {
		body, err := s.get(ctx, "/Groups?filter="+url.QueryEscape(fmt.Sprintf("displayName eq %q", s.name(name))))
		if err != nil {
			return err
		}
		if v, _ := first(body, "/Resources/0/members/0/value").(string); strings.HasPrefix(v, "bulkId:") {
			return errors.New("a bulkId is stored as if it were an id")
		}
	}
	return nil
}

func bulkCircularGroups(ctx context.Context, s *session) error {
	a, err := s.bulk(ctx, []int{200}, s.bulkGroup("a", "b"), s.bulkGroup("b", "a"))
	if err != nil {
		return err
	}
	ids, err := allCreated(a, 2)
	if err != nil {
		return err
	}
	return s.circle(ctx, "/Groups", "/members/0/value", ids, "a", "b")
}

func bulkCircularManagers(ctx context.Context, s *session) error {
	managed := func(id, by string) object {
		return s.bulkUser(id, object{"schemas": []any{urnUser, urnEnterprise}, urnEnterprise: object{"manager": object{"value": "bulkId:" + by}}})
	}
	a, err := s.bulk(ctx, []int{200}, managed("a", "b"), managed("b", "c"), managed("c", "a"))
	if err != nil {
		return err
	}
	ids, err := allCreated(a, 3)
	if err != nil {
		return err
	}
	return s.circle(ctx, "/Users", "/"+urnEnterprise+"/manager/value", ids, "a", "b", "c")
}

// bulkLimit is an advertised limit of bulk.
func (s *session) bulkLimit(name string) (int, error) {
	n, ok := first(s.server.config, "/bulk/"+name).(float64)
	if !ok || n < 1 {
		return 0, fmt.Errorf("bulk.%s is %s, want a positive integer", name, show(first(s.server.config, "/bulk/"+name)))
	}
	return int(n), nil
}

// bulkTooManyOperations sends operations that would change nothing if they were done.
func bulkTooManyOperations(ctx context.Context, s *session) error {
	limit, err := s.bulkLimit("maxOperations")
	if err != nil {
		return err
	}
	ops := make([]any, limit+1)
	for i := range ops {
		ops[i] = object{"method": "DELETE", "path": "/Users/none"}
	}
	a, err := s.bulk(ctx, []int{413}, ops...)
	if err != nil {
		return err
	}
	return checkError("413", a)
}

func bulkTooLarge(ctx context.Context, s *session) error {
	limit, err := s.bulkLimit("maxPayloadSize")
	if err != nil {
		return err
	}
	if limit > maxAnswer {
		return notApplicableError("bulk.maxPayloadSize is more than this check sends")
	}
	op := s.bulkUser("x", object{"displayName": strings.Repeat("x", limit)})
	a, err := s.bulk(ctx, []int{413}, op)
	if err != nil {
		return err
	}
	return checkError("413", a)
}

// bulkAsManyAsAdvertised deletes, as often as is advertised, what is not there.
func bulkAsManyAsAdvertised(ctx context.Context, s *session) error {
	limit, err := s.bulkLimit("maxOperations")
	if err != nil {
		return err
	}
	if limit > 20000 {
		return notApplicableError("bulk.maxOperations is more than this check sends")
	}
	ops := make([]any, limit)
	for i := range ops {
		ops[i] = object{"method": "DELETE", "path": "/Users/none"}
	}
	a, err := s.bulk(ctx, []int{200}, ops...)
	if err != nil {
		return err
	}
	if n := len(all(a.body, "/Operations/*")); n != limit {
		return fmt.Errorf("%d operations have a result, want %d", n, limit)
	}
	return nil
}
