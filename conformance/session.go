package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// session is one check at work: what it saved, sent and made.
type session struct {
	client *client
	server *server
	vars   vars

	mu sync.Mutex // probes send from several goroutines
	// last is the latest exchange; a check ends at the first thing amiss, so it
	// is the one to show.
	last *Exchange
	made []string // paths to delete
}

// session begins a check (or a setup) that sees what parent saved.
func (s *suite) session(id string, parent vars) *session {
	v := maps.Clone(builtIn)
	maps.Copy(v, parent)
	v["n"] = s.id + "." + id
	v["token"] = s.client.token
	return &session{client: s.client, server: s.server, vars: v}
}

// run performs a check. The error says what the server did wrong.
func (s *session) run(ctx context.Context, c Check) error {
	if c.Probe != "" {
		return probes[c.Probe](ctx, s)
	}
	return s.steps(ctx, c.Steps)
}

func (s *session) steps(ctx context.Context, steps []Step) error {
	for i, step := range steps {
		if err := s.step(ctx, step); err != nil {
			return fmt.Errorf("step %d: %w", i+1, err)
		}
	}
	return nil
}

// step sends one request and looks at the answer.
func (s *session) step(ctx context.Context, step Step) error {
	step = step.complete()
	r, err := s.request(step)
	if err != nil {
		return err
	}
	want, err := step.expand(s.vars)
	if err != nil {
		return err
	}
	if err := pause(ctx, step.Wait); err != nil {
		return err
	}
	a, err := s.send(ctx, r)
	if err != nil {
		return err
	}
	if err := want.check(r.method, a); err != nil {
		return err
	}
	if step.Find != "" {
		if err := s.found(a, step.Are); err != nil {
			return err
		}
	}
	return s.save(step, a)
}

// pause waits, unless the run is interrupted.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// complete writes out the short forms of a request.
func (step Step) complete() Step {
	switch {
	case step.User != "":
		step.Do = "POST /Users"
		body := map[string]any{"schemas": []any{urnUser}, "userName": step.User + ".${n}@example.com"}
		maps.Copy(body, step.With)
		step.Body = body
	case step.Group != "":
		step.Do = "POST /Groups"
		body := map[string]any{"schemas": []any{urnGroup}, "displayName": step.Group + " ${n}"}
		maps.Copy(body, step.With)
		step.Body = body
	case step.Find != "":
		in := step.In
		if in == "" {
			in = "/Users"
		}
		step.Do = "GET " + in
		step.Query = map[string]any{"filter": step.Find, "count": 100}
	case step.Ops != nil:
		step.Body = map[string]any{"schemas": []any{urnPatch}, "Operations": step.Ops}
	}
	return step
}

func (s *session) request(step Step) (request, error) {
	line, err := s.vars.text(step.Do)
	if err != nil {
		return request{}, err
	}
	method, path, _ := strings.Cut(line, " ")
	query, err := s.query(step.Query)
	if err != nil {
		return request{}, err
	}
	r := request{method: method, path: path + query, header: map[string]string{}}
	for name, value := range step.Header {
		if r.header[name], err = s.vars.text(value); err != nil {
			return request{}, err
		}
	}
	switch {
	case step.Raw != nil:
		text, err := s.vars.text(*step.Raw)
		r.body = []byte(text)
		return r, err
	case step.Body != nil:
		body, err := s.vars.expand(step.Body)
		if err != nil {
			return request{}, err
		}
		r.body, err = json.Marshal(body)
		return r, err
	}
	return r, nil
}

// query is the query string for some parameters, or nothing.
func (s *session) query(parameters map[string]any) (string, error) {
	if len(parameters) == 0 {
		return "", nil
	}
	values := url.Values{}
	for name, v := range parameters {
		text, err := s.vars.text(fmt.Sprint(v))
		if err != nil {
			return "", err
		}
		values.Set(name, text)
	}
	return "?" + values.Encode(), nil
}

// send sends a request, and notes what it makes.
func (s *session) send(ctx context.Context, r request) (*answer, error) {
	a, err := s.client.send(ctx, r)
	e := exchange(r, a, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = &e
	if err != nil {
		return nil, err
	}
	s.made = append(s.made, made(r, a)...)
	return a, nil
}

// made lists the paths of the resources that a request made.
func made(r request, a *answer) []string {
	path, _, _ := strings.Cut(r.path, "?")
	if r.method != http.MethodPost {
		return nil
	}
	if id, ok := first(a.body, "/id").(string); ok && a.status == http.StatusCreated {
		return []string{path + "/" + id}
	}
	var paths []string
	for _, op := range all(a.body, "/Operations/*") {
		location, _ := first(op, "/location").(string)
		if parts := strings.Split(location, "/"); first(op, "/method") == http.MethodPost && len(parts) > 1 {
			paths = append(paths, "/"+strings.Join(parts[len(parts)-2:], "/"))
		}
	}
	return paths
}

// found demands that a list holds the named resources and no others.
func (s *session) found(a *answer, names []string) error {
	want := map[any]string{}
	for _, name := range names {
		id, err := s.vars.lookup(name)
		if err != nil {
			return err
		}
		want[id] = name
	}
	var others int
	for _, id := range all(a.body, "/Resources/*/id") {
		if _, ok := want[id]; !ok {
			others++
		}
		delete(want, id)
	}
	if len(want) > 0 {
		return fmt.Errorf("the filter does not find %s", strings.Join(slices.Sorted(maps.Values(want)), ", "))
	}
	if others > 0 {
		return fmt.Errorf("the filter finds %d other resources", others)
	}
	return nil
}

func (s *session) save(step Step, a *answer) error {
	if name := step.User + step.Group; name != "" {
		s.vars[name] = a.body
	}
	for name, where := range step.Save {
		if header, ok := strings.CutPrefix(where, "header "); ok {
			s.vars[name] = a.header.Get(header)
			continue
		}
		v := first(a.body, where)
		if v == nil {
			return fmt.Errorf("the answer has nothing at %s", where)
		}
		s.vars[name] = v
	}
	return nil
}

// cleanUp deletes what the session made, the latest first, even if the run is
// being interrupted.
func (s *session) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
	defer cancel()
	var errs []error
	for _, path := range slices.Backward(s.made) {
		a, err := s.client.send(ctx, request{method: http.MethodDelete, path: path})
		if err == nil && a.status >= 300 && a.status != http.StatusNotFound {
			err = fmt.Errorf("DELETE %s: status %d: the check cannot remove what it made", path, a.status)
		}
		errs = append(errs, err)
	}
	s.made = nil
	return errors.Join(errs...)
}
