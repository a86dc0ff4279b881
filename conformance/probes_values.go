package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

func allowHeader(ctx context.Context, s *session) error {
	a, err := s.call(ctx, http.MethodPut, "/Users", object{"schemas": []any{urnUser}, "userName": s.name("x")}, 404, 405, 501)
	if err != nil {
		return err
	}
	if a.status != http.StatusMethodNotAllowed {
		return notApplicableError(fmt.Sprintf("PUT /Users is refused with %d, not with 405", a.status))
	}
	if a.header.Get("Allow") == "" {
		return errors.New("the 405 has no header Allow")
	}
	return nil
}

func contentLocation(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	a, err := s.call(ctx, http.MethodGet, "/Users/"+id, nil, http.StatusOK)
	if err != nil {
		return err
	}
	header, member := a.header.Get("Content-Location"), first(a.body, "/meta/location")
	if header == "" {
		return notApplicableError("the server sends no header Content-Location")
	}
	if header != member {
		return fmt.Errorf("Content-Location is %s, meta.location is %s", header, show(member))
	}
	return nil
}

func listed(ctx context.Context, s *session) error {
	if _, err := s.newUser(ctx, "ada"); err != nil {
		return err
	}
	body, err := s.get(ctx, "/Users?count=50")
	if err != nil {
		return err
	}
	for i, r := range all(body, "/Resources/*") {
		if first(r, "/id") == nil || first(r, "/schemas/0") == nil {
			return fmt.Errorf("/Resources/%d has no id or no schemas", i)
		}
	}
	return nil
}

func rootQuery(ctx context.Context, s *session) error {
	user, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	a, err := s.send(ctx, request{method: http.MethodGet, path: "/?filter=" + url.QueryEscape(fmt.Sprintf("id eq %q", user))})
	switch {
	case err != nil:
		return err
	case a.status != http.StatusOK:
		return notApplicableError(fmt.Sprintf("a query at the root is refused with %d", a.status))
	}
	return Expect{Equals: object{"/totalResults": 1.0, "/Resources/0/id": user}}.check(http.MethodGet, a)
}

// deepFilter nests parentheses: the server may refuse, but must answer, and go on.
func deepFilter(ctx context.Context, s *session) error {
	for _, depth := range []int{20, 400} {
		f := strings.Repeat("(", depth) + `userName eq "nobody"` + strings.Repeat(")", depth)
		a, err := s.call(ctx, http.MethodGet, "/Users?filter="+url.QueryEscape(f), nil, 200, 400, 413, 414)
		if err != nil {
			return err
		}
		if a.status == http.StatusBadRequest {
			if err := checkError("400 invalidFilter", a); err != nil {
				return err
			}
		}
	}
	_, err := s.get(ctx, "/ServiceProviderConfig")
	return err
}

// otherTimeZone asks for meta.created as a clock elsewhere shows it.
func otherTimeZone(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	user, err := s.get(ctx, "/Users/"+id)
	if err != nil {
		return err
	}
	text, _ := first(user, "/meta/created").(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return fmt.Errorf("meta.created: %w", err)
	}
	there := t.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339Nano)
	filter := fmt.Sprintf("userName eq %q and meta.created eq %q", s.name("ada"), there)
	return s.step(ctx, Step{Do: "GET /Users", Query: object{"filter": filter}, Expect: Expect{Equals: object{"/totalResults": 1}}})
}

func patchAnswer(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	ops := []any{object{"op": "add", "path": "title", "value": "Countess"}}
	a, err := s.call(ctx, http.MethodPatch, "/Users/"+id, object{"schemas": []any{urnPatch}, "Operations": ops}, 200, 204)
	switch {
	case err != nil:
		return err
	case a.status == http.StatusNoContent && len(a.raw) > 0:
		return errors.New("the 204 has a body")
	case a.status == http.StatusOK && (first(a.body, "/title") != "Countess" || first(a.body, "/id") != id || first(a.body, "/userName") == nil):
		return errors.New("the body of the 200 is not the whole resource as it is now")
	}
	return nil
}

func sameETag(ctx context.Context, s *session) error {
	a, err := s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "userName": s.name("ada")}, http.StatusCreated)
	if err != nil {
		return err
	}
	b, err := s.call(ctx, http.MethodGet, fmt.Sprintf("/Users/%v", first(a.body, "/id")), nil, http.StatusOK)
	if err != nil {
		return err
	}
	if x, y := a.header.Get("ETag"), b.header.Get("ETag"); x != y || x == "" {
		return fmt.Errorf("the POST answered ETag %q, the GET %q", x, y)
	}
	return nil
}

// onePrimary sends two primary values: they are refused, or one of them is left.
func onePrimary(ctx context.Context, s *session) error {
	a, err := s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "userName": s.name("ada"), "emails": []any{
		object{"value": s.name("a") + "@example.com", "primary": true},
		object{"value": s.name("b") + "@example.com", "primary": true},
	}}, 201, 400)
	if err != nil {
		return err
	}
	n := 0
	for _, p := range all(a.body, "/emails/*/primary") {
		if p == true {
			n++
		}
	}
	if n > 1 {
		return fmt.Errorf("%d values are primary", n)
	}
	return nil
}

func longString(ctx context.Context, s *session) error {
	long := strings.Repeat("long ", 2000) + "end"
	a, err := s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "userName": s.name("ada"), "displayName": long}, 201, 400, 413)
	if err != nil || a.status != http.StatusCreated {
		return err
	}
	body, err := s.get(ctx, fmt.Sprintf("/Users/%v", first(a.body, "/id")))
	if err != nil {
		return err
	}
	if got, _ := first(body, "/displayName").(string); got != long {
		return fmt.Errorf("of %d characters %d are kept", len(long), len(got))
	}
	return nil
}

func passwordInError(ctx context.Context, s *session) error {
	const secret = "T0p-secret-that-nobody-repeats"
	a, err := s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "password": secret}, http.StatusBadRequest)
	if err != nil {
		return err
	}
	if strings.Contains(string(a.raw), secret) {
		return errors.New("the error repeats the password")
	}
	return nil
}

// indexPages reads the five users of its area page by page.
func indexPages(ctx context.Context, s *session) error {
	var ids []any
	mine, err := s.vars.text("${mine}")
	if err != nil {
		return err
	}
	for start := 1; start <= 5; start += 2 {
		body, err := s.get(ctx, fmt.Sprintf("/Users?count=2&startIndex=%d&filter=%s", start, url.QueryEscape(mine)))
		if err != nil {
			return err
		}
		ids = append(ids, all(body, "/Resources/*/id")...)
	}
	return s.allFive(ids)
}

// allFive demands the five users of an area, each once.
func (s *session) allFive(ids []any) error {
	if len(ids) != 5 {
		return fmt.Errorf("the pages hold %d resources together, want 5", len(ids))
	}
	for _, name := range []string{"u1", "u2", "u3", "u4", "u5"} {
		id, err := s.vars.lookup(name)
		if err != nil {
			return err
		}
		if !slices.Contains(ids, id) {
			return errors.New("a resource is on no page, and another is on two")
		}
	}
	return nil
}

// manyMembers is how many members a large group has. There are that many users,
// so the checks ask for no more than it takes to tell.
const manyMembers = 1000

// largeGroup makes users and a group of all of them, added by one PATCH.
func (s *session) largeGroup(ctx context.Context) (group string, users []string, err error) {
	if users, err = s.newUsers(ctx, manyMembers); err != nil {
		return "", nil, err
	}
	if group, err = s.newGroup(ctx, "large"); err != nil {
		return "", nil, err
	}
	return group, users, s.patch(ctx, "/Groups/"+group, object{"op": "add", "path": "members", "value": memberValues(users)})
}

func (s *session) wantMembers(ctx context.Context, group string, want []string) error {
	body, err := s.get(ctx, "/Groups/"+group)
	if err != nil {
		return err
	}
	got := map[any]bool{}
	for _, id := range all(body, "/members/*/value") {
		got[id] = true
	}
	for _, id := range want {
		if !got[id] {
			return fmt.Errorf("the group has %d members, want %d; %s is missing", len(got), len(want), id)
		}
	}
	if len(got) != len(want) {
		return fmt.Errorf("the group has %d members, want %d", len(got), len(want))
	}
	return nil
}

func thousandMembers(ctx context.Context, s *session) error {
	group, users, err := s.largeGroup(ctx)
	if err != nil {
		return err
	}
	return s.wantMembers(ctx, group, users)
}

func oneOfThousand(ctx context.Context, s *session) error {
	group, users, err := s.largeGroup(ctx)
	if err != nil {
		return err
	}
	gone := users[manyMembers/2]
	if err := s.patch(ctx, "/Groups/"+group, object{"op": "remove", "path": fmt.Sprintf("members[value eq %q]", gone)}); err != nil {
		return err
	}
	return s.wantMembers(ctx, group, slices.DeleteFunc(slices.Clone(users), func(id string) bool { return id == gone }))
}

// largeGroupCost compares a PATCH of one member in a large and in a small group,
// each the fastest of some. The answer leaves out members, which do cost more.
func largeGroupCost(ctx context.Context, s *session) error {
	large, users, err := s.largeGroup(ctx)
	if err != nil {
		return err
	}
	one, err := s.newUser(ctx, "one")
	if err != nil {
		return err
	}
	small, err := s.newGroup(ctx, "small", users[0])
	if err != nil {
		return err
	}
	cost := map[string]time.Duration{small: time.Hour, large: time.Hour}
	for range 7 {
		for _, group := range []string{small, large} {
			path := "/Groups/" + group + "?excludedAttributes=members"
			began := time.Now()
			if err := s.patch(ctx, path, object{"op": "add", "path": "members", "value": memberValues([]string{one})}); err != nil {
				return err
			}
			cost[group] = min(cost[group], time.Since(began))
			if err := s.patch(ctx, path, object{"op": "remove", "path": fmt.Sprintf("members[value eq %q]", one)}); err != nil {
				return err
			}
		}
	}
	if cost[large] > 3*cost[small]+5*time.Millisecond {
		return fmt.Errorf("adding a member takes %s in a group of %d and %s in a group of one", cost[large], manyMembers, cost[small])
	}
	return nil
}
