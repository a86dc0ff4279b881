// Package conformance checks any SCIM 2.0 server, from outside, against RFC 7643,
// RFC 7644 and RFC 9865. It speaks plain HTTP and knows nothing of Muster's own
// packages, so it can judge Muster like any other server.
//
// The checks are data: checks/*.yaml, one file for each area. A check has a
// number that stays, the section of the RFC that it comes from, and steps:
// requests, and what must come back. What cannot be said as steps (races, large
// groups, walks through pages while others write) is a Go function, named by its
// check under the key "probe".
package conformance

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say which server to check, and what.
type Options struct {
	// URL is the SCIM base URL, with or without a trailing slash.
	URL string
	// Token is the bearer token.
	Token string
	// TLS is the configuration for https; nil: the default.
	TLS *tls.Config
	// Only are beginnings of numbers, such as "FILTER" or "PATCH-03"; other
	// checks are left out. Empty means all.
	Only []string
	// Except are numbers that are left out; the report lists them as not checked.
	Except []string
	// Level is the lowest level to check: Must leaves out what should or may be.
	// Empty means all.
	Level Level
}

// Run checks the server. What the checks make has names of its own and is
// deleted again, so they may run against a server in use, and again.
//
// An error means that the options are unusable or that the server cannot be
// reached; whatever it does wrong is in the report.
func Run(ctx context.Context, o Options) (*Report, error) {
	base, err := url.Parse(strings.TrimRight(strings.TrimSpace(o.URL), "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("%q is not a SCIM base URL; give one such as http://127.0.0.1:8080/scim/v2", o.URL)
	}
	if strings.TrimSpace(o.Token) == "" {
		return nil, errors.New("no token; give the bearer token of the server")
	}
	areas, err := Areas()
	if err != nil {
		return nil, err
	}
	if err := known(o.Except, areas); err != nil {
		return nil, err
	}
	if areas = selectChecks(areas, o); len(areas) == 0 {
		return nil, fmt.Errorf("no check has a number that begins with %s", strings.Join(o.Only, " or "))
	}
	client := newClient(base, o.Token, o.TLS)
	defer client.http.CloseIdleConnections()
	server, err := discover(ctx, client)
	if err != nil {
		return nil, err
	}
	s := &suite{client: client, server: server, id: runID(), except: o.Except, report: &Report{URL: base.String(), Started: time.Now().UTC()}}
	for _, a := range areas {
		s.area(ctx, a)
	}
	s.report.Seconds = time.Since(s.report.Started).Seconds()
	return s.report, ctx.Err()
}

// runID is part of every name that a run makes, so that runs do not meet.
func runID() string {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return "r" + hex.EncodeToString(b)
}

// selectChecks leaves the checks that the options ask for.
func selectChecks(areas []Area, o Options) []Area {
	var out []Area
	for _, a := range areas {
		var checks []Check
		for _, c := range a.Checks {
			if c.Level.atLeast(o.Level) && hasPrefix(c.ID, o.Only) {
				checks = append(checks, c)
			}
		}
		if a.Checks = checks; len(checks) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// known refuses the number of a check that does not exist: a typing mistake, or a
// check that went.
func known(ids []string, areas []Area) error {
	for _, id := range ids {
		has := func(a Area) bool { return slices.ContainsFunc(a.Checks, func(c Check) bool { return c.ID == id }) }
		if !slices.ContainsFunc(areas, has) {
			return fmt.Errorf("there is no check %s", id)
		}
	}
	return nil
}

func hasPrefix(id string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(id, strings.ToUpper(p)) {
			return true
		}
	}
	return len(prefixes) == 0
}

// suite is one run against one server.
type suite struct {
	client *client
	server *server
	id     string
	except []string
	report *Report
}

// skips says why a check is left out, or nothing.
func (s *suite) skips(a Area, c Check) string {
	if slices.Contains(s.except, c.ID) {
		return "it is left out by --except"
	}
	return s.server.lacks(a.Needs, c.Needs)
}

// area runs the checks of one file on the resources that its setup makes.
func (s *suite) area(ctx context.Context, a Area) {
	setup := s.session(strings.ToLower(a.Prefix), nil)
	setup.vars["shared"] = setup.vars["n"]
	setup.vars["mine"] = fmt.Sprintf("externalId sw %q", setup.vars["n"])
	defer func() { _ = setup.cleanUp(ctx) }() // the checks' own say whether deleting works
	ready, failed := false, error(nil)
	for _, c := range a.Checks {
		r := Result{ID: c.ID, Title: c.Title, Area: a.Name, RFC: c.RFC, Level: c.Level}
		began := time.Now()
		if why := s.skips(a, c); why != "" {
			r.Outcome, r.Detail = Skipped, why
			s.report.Results = append(s.report.Results, r)
			continue
		}
		if !ready {
			ready, failed = true, setup.steps(ctx, a.Setup)
		}
		check := s.session(strings.ToLower(c.ID), setup.vars)
		switch {
		case failed != nil:
			r.fail(fmt.Errorf("the resources of this area cannot be made: %w", failed), setup)
		default:
			r.judge(check.run(ctx, c), check)
		}
		if err := check.cleanUp(ctx); err != nil && r.Outcome == Passed {
			r.fail(err, check)
		}
		r.Milliseconds = float64(time.Since(began).Microseconds()) / 1000
		s.report.Results = append(s.report.Results, r)
	}
}
