package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// page reads one page of the users that a filter finds.
func (s *session) page(ctx context.Context, filter, cursor string, count int) (*answer, error) {
	filter, err := s.vars.text(filter)
	if err != nil {
		return nil, err
	}
	query := url.Values{"filter": {filter}, "cursor": {cursor}, "count": {strconv.Itoa(count)}}
	return s.send(ctx, request{method: http.MethodGet, path: "/Users?" + query.Encode()})
}

// pages follows nextCursor from a cursor to the end. between is called after each page.
func (s *session) pages(ctx context.Context, filter, cursor string, count int, between func(page []any) error) (ids []any, err error) {
	for range 10000 {
		a, err := s.page(ctx, filter, cursor, count)
		if err != nil {
			return nil, err
		}
		if err := (Expect{}).checkStatus(http.MethodGet, a); err != nil {
			return nil, err
		}
		page := all(a.body, "/Resources/*/id")
		if len(page) > count {
			return nil, fmt.Errorf("a page has %d resources, and count is %d", len(page), count)
		}
		ids = append(ids, page...)
		next, more := first(a.body, "/nextCursor").(string)
		if !more {
			return ids, nil
		}
		cursor = next
		if err := between(page); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("there is no last page")
}

func undisturbed([]any) error { return nil }

func cursorWalk(ctx context.Context, s *session) error {
	for _, count := range []int{1, 2, 5} {
		ids, err := s.pages(ctx, "${mine}", "", count, undisturbed)
		if err != nil {
			return err
		}
		if err := s.allFive(ids); err != nil {
			return fmt.Errorf("in pages of %d: %w", count, err)
		}
	}
	return nil
}

// firstCursor is the nextCursor of the first page.
func (s *session) firstCursor(ctx context.Context) (string, error) {
	a, err := s.page(ctx, "${mine}", "", 2)
	if err != nil {
		return "", err
	}
	next, _ := first(a.body, "/nextCursor").(string)
	if next == "" {
		return "", errors.New("the first page has no nextCursor")
	}
	return next, nil
}

// refused demands that a changed cursor is refused.
func (s *session) refused(ctx context.Context, change func(cursor string) []string) error {
	cursor, err := s.firstCursor(ctx)
	if err != nil {
		return err
	}
	for _, changed := range change(cursor) {
		a, err := s.page(ctx, "${mine}", changed, 2)
		if err != nil {
			return err
		}
		if err := checkError("400 invalidCursor", a); err != nil {
			return err
		}
	}
	return nil
}

// cursorForged changes one letter, in several places.
func cursorForged(ctx context.Context, s *session) error {
	return s.refused(ctx, func(c string) (out []string) {
		for _, at := range []int{0, len(c) / 3, len(c) / 2, max(0, len(c)-2)} {
			b := []byte(c)
			if b[at] == 'A' {
				b[at] = 'B'
			} else {
				b[at] = 'A'
			}
			out = append(out, string(b))
		}
		return out
	})
}

func cursorCut(ctx context.Context, s *session) error {
	return s.refused(ctx, func(c string) []string { return []string{c[:len(c)/2]} })
}

// cursorOtherFilter uses a cursor with a filter that finds nothing.
func cursorOtherFilter(ctx context.Context, s *session) error {
	cursor, err := s.firstCursor(ctx)
	if err != nil {
		return err
	}
	a, err := s.page(ctx, `userName eq "nobody"`, cursor, 2)
	if err != nil {
		return err
	}
	if a.status == http.StatusBadRequest {
		return checkError("400 invalidCursor", a)
	}
	if err := (Expect{}).checkStatus(http.MethodGet, a); err != nil {
		return err
	}
	if first(a.body, "/Resources/0") == nil {
		return errors.New("the cursor is neither refused nor does it keep to its own query")
	}
	return nil
}

func cursorBack(ctx context.Context, s *session) error {
	a, err := s.page(ctx, "${mine}", "", 2)
	if err != nil {
		return err
	}
	next, _ := first(a.body, "/nextCursor").(string)
	b, err := s.page(ctx, "${mine}", next, 2)
	if err != nil {
		return err
	}
	back, ok := first(b.body, "/previousCursor").(string)
	if !ok {
		return notApplicableError("the server has no previousCursor")
	}
	c, err := s.page(ctx, "${mine}", back, 2)
	if err != nil {
		return err
	}
	if was, is := all(a.body, "/Resources/*/id"), all(c.body, "/Resources/*/id"); !slices.Equal(was, is) {
		return errors.New("previousCursor does not lead to the page before")
	}
	return nil
}

// cursorWhileWriting walks while users before and behind come and go: those that
// stay are seen once each.
func cursorWhileWriting(ctx context.Context, s *session) error {
	stay, err := s.newUsers(ctx, 12)
	if err != nil {
		return err
	}
	n := 0
	ids, err := s.pages(ctx, `userName co "${n}"`, "", 3, func([]any) error {
		n++
		id, err := s.newUser(ctx, fmt.Sprintf("a%d", n)) // sorts before what is there
		if err != nil {
			return err
		}
		if _, err := s.newUser(ctx, fmt.Sprintf("z%d", n)); err != nil { // and behind
			return err
		}
		_, err = s.call(ctx, http.MethodDelete, "/Users/"+id, nil)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range stay {
		seen := 0
		for _, got := range ids {
			if got == id {
				seen++
			}
		}
		if seen != 1 {
			return fmt.Errorf("a user that was there all the time is seen %d times", seen)
		}
	}
	return nil
}

// cursorAfterDeletion deletes the resource that a page ends with.
func cursorAfterDeletion(ctx context.Context, s *session) error {
	users, err := s.newUsers(ctx, 9)
	if err != nil {
		return err
	}
	ids, err := s.pages(ctx, `userName co "${n}"`, "", 3, func(page []any) error {
		if len(page) == 0 {
			return nil
		}
		_, err := s.call(ctx, http.MethodDelete, fmt.Sprintf("/Users/%v", page[len(page)-1]), nil)
		return err
	})
	if err != nil {
		return err
	}
	for _, id := range users {
		if !slices.Contains(ids, any(id)) {
			return errors.New("a user that was never deleted before its page is not seen")
		}
	}
	return nil
}

func cursorMaxPageSize(ctx context.Context, s *session) error {
	limit, ok := first(s.server.config, "/pagination/maxPageSize").(float64)
	if !ok {
		return notApplicableError("pagination.maxPageSize is not advertised")
	}
	a, err := s.page(ctx, `userName pr`, "", int(limit)+1)
	if err != nil {
		return err
	}
	if a.status == http.StatusBadRequest {
		return checkError("400 invalidCount", a)
	}
	if n := len(all(a.body, "/Resources/*")); n > int(limit) {
		return fmt.Errorf("a page has %d resources, and maxPageSize is %d", n, int(limit))
	}
	return (Expect{}).checkStatus(http.MethodGet, a)
}
