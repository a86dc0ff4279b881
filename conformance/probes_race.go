package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// racers is how many requests race each other.
const racers = 12

func oneWriterWins(ctx context.Context, s *session) error {
	a, err := s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "userName": s.name("ada")}, http.StatusCreated)
	if err != nil {
		return err
	}
	path, tag := fmt.Sprintf("/Users/%v", first(a.body, "/id")), a.header.Get("ETag")
	answers, err := race(racers, func(i int) (*answer, error) {
		body, err := json.Marshal(object{"schemas": []any{urnUser}, "userName": s.name("ada"), "displayName": fmt.Sprintf("writer %d", i)})
		if err != nil {
			return nil, err
		}
		return s.send(ctx, request{method: http.MethodPut, path: path, body: body, header: map[string]string{"If-Match": tag}})
	})
	if err != nil {
		return err
	}
	if count(answers, 200) != 1 || count(answers, 412) != racers-1 {
		return fmt.Errorf("the statuses are %s, want one 200 and otherwise 412", statusesOf(answers))
	}
	winner := ""
	for _, a := range answers {
		if a.status == http.StatusOK {
			winner = fmt.Sprint(first(a.body, "/displayName"))
		}
	}
	body, err := s.get(ctx, path)
	if err == nil && first(body, "/displayName") != winner {
		return fmt.Errorf("displayName is %s, and %s won", show(first(body, "/displayName")), winner)
	}
	return err
}

// createAtOnce creates one user several times at once.
func (s *session) createAtOnce(ctx context.Context) ([]*answer, error) {
	body, err := json.Marshal(object{"schemas": []any{urnUser}, "userName": s.name("ada")})
	if err != nil {
		return nil, err
	}
	return race(racers, func(int) (*answer, error) {
		return s.send(ctx, request{method: http.MethodPost, path: "/Users", body: body})
	})
}

func oneCreateWins(ctx context.Context, s *session) error {
	answers, err := s.createAtOnce(ctx)
	if err != nil {
		return err
	}
	if n := count(answers, 201); n != 1 {
		return fmt.Errorf("%d of %d requests created the same user", n, racers)
	}
	return nil
}

func otherCreatesConflict(ctx context.Context, s *session) error {
	answers, err := s.createAtOnce(ctx)
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.status != http.StatusCreated {
			if err := checkError("409 uniqueness", a); err != nil {
				return err
			}
		}
	}
	return nil
}

func oneRenameWins(ctx context.Context, s *session) error {
	users, err := s.newUsers(ctx, racers)
	if err != nil {
		return err
	}
	body, err := json.Marshal(object{"schemas": []any{urnUser}, "userName": s.name("same")})
	if err != nil {
		return err
	}
	answers, err := race(racers, func(i int) (*answer, error) {
		return s.send(ctx, request{method: http.MethodPut, path: "/Users/" + users[i], body: body})
	})
	if err != nil {
		return err
	}
	if count(answers, 200) != 1 || count(answers, 409) != racers-1 {
		return fmt.Errorf("the statuses are %s, want one 200 and otherwise 409", statusesOf(answers))
	}
	return nil
}

func membersAddedAtOnce(ctx context.Context, s *session) error {
	users, err := s.newUsers(ctx, racers)
	if err != nil {
		return err
	}
	group, err := s.newGroup(ctx, "g")
	if err != nil {
		return err
	}
	if _, err := race(racers, func(i int) (*answer, error) {
		return nil, s.patch(ctx, "/Groups/"+group, object{"op": "add", "path": "members", "value": memberValues(users[i : i+1])})
	}); err != nil {
		return err
	}
	return s.wantMembers(ctx, group, users)
}

func membersRemovedAtOnce(ctx context.Context, s *session) error {
	users, err := s.newUsers(ctx, racers+1)
	if err != nil {
		return err
	}
	group, err := s.newGroup(ctx, "g", users...)
	if err != nil {
		return err
	}
	if _, err := race(racers, func(i int) (*answer, error) {
		return nil, s.patch(ctx, "/Groups/"+group, object{"op": "remove", "path": fmt.Sprintf("members[value eq %q]", users[i])})
	}); err != nil {
		return err
	}
	return s.wantMembers(ctx, group, users[racers:])
}

func attributesAtOnce(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	paths := []string{"title", "nickName", "displayName", "userType", "locale", "timezone", "name.givenName", "name.familyName"}
	if _, err := race(len(paths), func(i int) (*answer, error) {
		return nil, s.patch(ctx, "/Users/"+id, object{"op": "replace", "path": paths[i], "value": "x"})
	}); err != nil {
		return err
	}
	body, err := s.get(ctx, "/Users/"+id)
	if err != nil {
		return err
	}
	for _, p := range []string{"/title", "/nickName", "/displayName", "/userType", "/locale", "/timezone", "/name/givenName", "/name/familyName"} {
		if first(body, p) != "x" {
			return fmt.Errorf("%s is lost", p)
		}
	}
	return nil
}

// noHalfWrite changes two attributes together and reads meanwhile.
func noHalfWrite(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	written := func(i int) error {
		v := strconv.Itoa(i)
		return s.patch(ctx, "/Users/"+id, object{"op": "replace", "path": "title", "value": v}, object{"op": "replace", "path": "nickName", "value": v})
	}
	return atOnce(80, 4, func(i int) error {
		if i%2 == 0 {
			return written(i)
		}
		body, err := s.get(ctx, "/Users/"+id)
		if err != nil {
			return err
		}
		if a, b := first(body, "/title"), first(body, "/nickName"); a != b {
			return fmt.Errorf("title is %s and nickName is %s; they are only ever written together", show(a), show(b))
		}
		return nil
	})
}

func oneDeleteWins(ctx context.Context, s *session) error {
	id, err := s.newUser(ctx, "ada")
	if err != nil {
		return err
	}
	answers, err := race(racers, func(int) (*answer, error) {
		return s.send(ctx, request{method: http.MethodDelete, path: "/Users/" + id})
	})
	if err != nil {
		return err
	}
	if count(answers, 204) != 1 || count(answers, 404) != racers-1 {
		return fmt.Errorf("the statuses are %s, want one 204 and otherwise 404", statusesOf(answers))
	}
	return nil
}

func idsAtOnce(ctx context.Context, s *session) error {
	answers, err := race(racers, func(i int) (*answer, error) {
		return s.call(ctx, http.MethodPost, "/Users", object{"schemas": []any{urnUser}, "userName": s.name(strconv.Itoa(i))}, http.StatusCreated)
	})
	if err != nil {
		return err
	}
	seen := map[any]bool{}
	for _, a := range answers {
		seen[first(a.body, "/id")] = true
	}
	if len(seen) != racers {
		return fmt.Errorf("%d resources have %d ids", racers, len(seen))
	}
	return nil
}

func deleteMemberAndGroup(ctx context.Context, s *session) error {
	for i := range 4 {
		user, err := s.newUser(ctx, fmt.Sprint("u", i))
		if err != nil {
			return err
		}
		group, err := s.newGroup(ctx, fmt.Sprint("g", i), user)
		if err != nil {
			return err
		}
		paths := []string{"/Users/" + user, "/Groups/" + group}
		answers, err := race(2, func(i int) (*answer, error) {
			return s.send(ctx, request{method: http.MethodDelete, path: paths[i]})
		})
		if err != nil {
			return err
		}
		if count(answers, 204) != 2 {
			return fmt.Errorf("the statuses are %s, want 204 twice", statusesOf(answers))
		}
		for _, p := range paths {
			if _, err := s.call(ctx, http.MethodGet, p, nil, http.StatusNotFound); err != nil {
				return errors.Join(errors.New("what was deleted is still there"), err)
			}
		}
	}
	return nil
}
