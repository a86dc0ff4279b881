package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A replay plays a recording. The ids, versions and cursors that the recorded server
// made are not those of the server under test: they are learned from its answers, and
// put into later requests.
type replay struct {
	*play

	ids      map[string]string // by the recorded id
	versions map[string]string // by the recorded id, or path, and the recorded version
	cursors  map[string]string
}

// recordedID is an id that Muster made.
var recordedID = regexp.MustCompile(`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// Replay plays a recording against a SCIM server, one exchange after another, and
// compares the statuses of the answers, and of bodies what does not differ from server
// to server: no times, versions, locations, texts of errors, nor what describes the
// server. What the recording leaves behind stays.
//
// An error means that the options are unusable, or that nothing answers at the URL;
// whatever the server does wrong is in the report.
func Replay(ctx context.Context, c *Case, o Options) (*Report, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	report := &Report{Script: "replay of " + c.Credential, URL: base.String(), Started: time.Now().UTC()}
	r := &replay{newPlay(ctx, base, o, "replay", report), make(map[string]string), make(map[string]string), make(map[string]string)}
	if err := r.reach(); err != nil {
		return nil, err
	}
	r.section = "Exchanges"
	for i := range c.Exchanges {
		e := &c.Exchanges[i]
		path, _, _ := strings.Cut(e.Request.Path, "?")
		name := fmt.Sprintf("%d %s %s: %d", i+1, e.Request.Method, path, e.Answer.Status)
		if why := e.unplayable(); why != "" {
			r.notPlayed(name, why)
			continue
		}
		r.step(name, func() error { return r.exchange(e) })
	}
	r.http.CloseIdleConnections()
	report.Seconds = time.Since(report.Started).Seconds()
	return report, nil
}

// unplayable tells why an exchange says nothing of another server.
func (e *CaseExchange) unplayable() string {
	switch s := e.Answer.Status; {
	case e.Refused || s == http.StatusUnauthorized:
		return "the credential was refused when it was recorded"
	case e.Request.Cut:
		return "the request was too large to be recorded"
	case s == http.StatusTooManyRequests || s == 499 || s >= 500:
		return "it was not served when it was recorded"
	}
	return ""
}

// exchange plays one exchange.
func (r *replay) exchange(e *CaseExchange) error {
	got, err := r.play1(e)
	if err != nil {
		return err
	}
	var recorded, answered any
	if e.Answer.Body != "" && !e.Answer.Cut {
		_ = json.Unmarshal([]byte(e.Answer.Body), &recorded) // nil: there is nothing to compare
	}
	if len(got.raw) > 0 {
		_ = json.Unmarshal(got.raw, &answered)
	}
	if err := got.want(e.Answer.Status); err != nil {
		return err
	}
	r.bindLocation(e.Answer.Header["Location"], got.header.Get("Location"))
	r.bind(recorded, answered)
	r.bindVersion(e, got)
	path, query, _ := strings.Cut(e.Request.Path, "?")
	if recorded == nil || describes(path) {
		return nil
	}
	filtered := strings.Contains(query, "filter=") || strings.Contains(e.Request.Body, `"filter"`)
	return r.compare(recorded, answered, "body", filtered)
}

// describes tells whether what is at a path is about the server itself.
func describes(path string) bool {
	first, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	return slices.Contains([]string{"ServiceProviderConfig", "ResourceTypes", "Schemas"}, first)
}

// play1 sends a recorded request.
func (r *replay) play1(e *CaseExchange) (*answer, error) {
	var body io.Reader = http.NoBody
	if e.Request.Body != "" {
		body = bytes.NewReader([]byte(r.translate(e.Request.Body)))
	}
	path := r.translate(e.Request.Path)
	req, err := http.NewRequestWithContext(r.ctx, e.Request.Method, r.base.String()+path, body)
	if err != nil {
		return nil, err
	}
	for name, value := range e.Request.Header {
		if name == "If-Match" || name == "If-None-Match" {
			value = r.tags(e, value)
		}
		req.Header.Set(name, value)
	}
	req.Header.Set("Authorization", r.auth)
	res, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	a := &answer{request: e.Request.Method + " " + path, status: res.StatusCode, header: res.Header}
	a.raw, err = io.ReadAll(io.LimitReader(res.Body, 64<<20))
	return a, err
}

// translate puts what the server under test made in the place of what the recorded
// one made.
func (r *replay) translate(text string) string {
	text = strings.ReplaceAll(text, "${base}", r.base.String())
	for recorded, own := range r.cursors {
		text = strings.ReplaceAll(text, recorded, own)
		text = strings.ReplaceAll(text, url.QueryEscape(recorded), url.QueryEscape(own))
	}
	return recordedID.ReplaceAllStringFunc(text, func(id string) string {
		if own, ok := r.ids[id]; ok {
			return own
		}
		return id
	})
}

// subject is what the versions of an exchange are of: a resource, or else a path.
func subject(e *CaseExchange) string {
	path, _, _ := strings.Cut(e.Request.Path, "?")
	if ids := recordedID.FindAllString(path, -1); len(ids) > 0 {
		return ids[len(ids)-1]
	}
	return path
}

// bare is an entity tag without what says that it is weak.
func bare(tag string) string { return strings.TrimPrefix(strings.TrimSpace(tag), "W/") }

// tags translates the entity tags of a header.
func (r *replay) tags(e *CaseExchange, value string) string {
	tags := strings.Split(value, ",")
	for i, tag := range tags {
		if own, ok := r.versions[subject(e)+" "+bare(tag)]; ok {
			tags[i] = own
		}
	}
	return strings.Join(tags, ",")
}

// bindVersion learns the version that the headers tell.
func (r *replay) bindVersion(e *CaseExchange, got *answer) {
	if recorded, own := e.Answer.Header["Etag"], got.header.Get("ETag"); recorded != "" && own != "" {
		r.versions[subject(e)+" "+bare(recorded)] = own
	}
}

// bindLocation learns an id from the location of a resource.
func (r *replay) bindLocation(recorded, own string) {
	at := strings.LastIndexByte(recorded, '/')
	if id := recorded[at+1:]; at >= 0 && recordedID.FindString(id) == id && id != "" && own != "" {
		r.bindID(id, own[strings.LastIndexByte(own, '/')+1:])
	}
}

func (r *replay) bindID(recorded, own string) {
	if _, known := r.ids[recorded]; !known {
		r.ids[recorded] = own
	}
}

// bind learns ids, versions and cursors from an answer.
func (r *replay) bind(recorded, own any) {
	was, ok := recorded.(object)
	is, also := own.(object)
	if !ok || !also {
		return
	}
	if id := text(was["id"]); id != "" && recordedID.FindString(id) == id && text(is["id"]) != "" {
		r.bindID(id, text(is["id"]))
		if version := text(dig(was, "meta", "version")); version != "" {
			r.versions[id+" "+bare(version)] = text(dig(is, "meta", "version"))
		}
	}
	r.bindLocation(text(was["location"]), text(is["location"]))
	for _, name := range []string{"nextCursor", "previousCursor"} {
		if text(was[name]) != "" && text(is[name]) != "" {
			r.cursors[text(was[name])] = text(is[name])
		}
	}
	r.bind(was["response"], is["response"])
	theirs := elements(is["Operations"])
	for i, o := range elements(was["Operations"]) {
		if i < len(theirs) {
			r.bind(o, theirs[i])
		}
	}
	found := elements(is["Resources"])
	for _, o := range elements(was["Resources"]) {
		if i := slices.IndexFunc(found, func(f object) bool { return sameName(o, f) }); i >= 0 {
			r.bind(o, found[i])
		}
	}
}

// sameName tells whether two resources of two servers are called the same.
func sameName(a, b object) bool {
	for _, name := range []string{"userName", "externalId", "displayName"} {
		if text(a[name]) != "" || text(b[name]) != "" {
			return strings.EqualFold(text(a[name]), text(b[name]))
		}
	}
	return false
}

// unstable are members that differ from server to server.
var unstable = []string{"created", "lastModified", "version", "location", "$ref", "detail", "nextCursor", "previousCursor"}

// compare reports the first value of a recorded answer that the answer lacks. It may
// have more. Only of a list that is filtered its length counts, and what the recording
// has not made: otherwise it depends on what else the server has.
func (r *replay) compare(recorded, own any, at string, filtered bool) error {
	switch was := recorded.(type) {
	case object:
		is, ok := own.(object)
		if !ok {
			return fmt.Errorf("%s is %v, want an object", at, own)
		}
		for name, value := range was {
			counts := slices.Contains([]string{"totalResults", "itemsPerPage", "startIndex"}, name)
			if slices.Contains(unstable, name) || counts && !filtered {
				continue
			}
			if list, ok := value.([]any); ok && name == "Resources" {
				if err := r.compareResources(list, is[name], at+"."+name, filtered); err != nil {
					return err
				}
				continue
			}
			if err := r.compare(value, is[name], at+"."+name, filtered); err != nil {
				return err
			}
		}
	case []any:
		return r.compareArray(was, own, at, filtered)
	case string:
		if want := r.translate(was); want != own {
			return fmt.Errorf("%s is %v, want %q", at, own, want)
		}
	default:
		if recorded != own {
			return fmt.Errorf("%s is %v, want %v", at, own, recorded)
		}
	}
	return nil
}

// compareArray compares arrays of which the order means nothing.
func (r *replay) compareArray(was []any, own any, at string, filtered bool) error {
	is, ok := own.([]any)
	if !ok || len(is) != len(was) {
		return fmt.Errorf("%s is %v, want %v", at, own, was)
	}
	left := slices.Clone(is)
	for i, value := range was {
		j := slices.IndexFunc(left, func(other any) bool { return r.compare(value, other, at, filtered) == nil })
		if j < 0 {
			return fmt.Errorf("%s lacks %v", at, was[i])
		}
		left = slices.Delete(left, j, j+1)
	}
	return nil
}

// compareResources compares the resources of a list that the recording has made.
func (r *replay) compareResources(was []any, own any, at string, filtered bool) error {
	found := elements(own)
	for _, o := range elements(was) {
		id, known := r.ids[text(o["id"])]
		if !known && !filtered {
			continue
		}
		i := slices.IndexFunc(found, func(f object) bool { return text(f["id"]) == id })
		if i < 0 {
			if filtered {
				return fmt.Errorf("%s lacks %v", at, o)
			}
			continue // it may be on another page
		}
		if err := r.compare(o, found[i], at, filtered); err != nil {
			return err
		}
	}
	return nil
}

// base checks the options, and is the SCIM base URL.
func (o *Options) base() (*url.URL, error) {
	base, err := url.Parse(strings.TrimRight(strings.TrimSpace(o.URL), "/"))
	if err != nil || base.Host == "" || (base.Scheme != "http" && base.Scheme != "https") {
		return nil, fmt.Errorf("%q is not a SCIM base URL; give one such as http://127.0.0.1:8080/scim/v2", o.URL)
	}
	if strings.TrimSpace(o.Token) == "" {
		return nil, errors.New("no token; give the bearer token that `muster serve` printed at its first start")
	}
	return base, nil
}
