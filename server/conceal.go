package server

import (
	"context"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// maxActivityBody is the most bytes of a body that are kept, once it is redacted.
const maxActivityBody = 16 << 10

const redacted = "redacted"

// tokenText is what the secrets look like that this server makes, wherever they stand.
var tokenText = regexp.MustCompile(`muster_[A-Za-z0-9_-]{8,}`)

// finish finds out whose an exchange is, where the core was not asked or did not let
// the caller in, and takes out what must not be kept.
func (a *activity) finish(ctx context.Context, p *pending) {
	secret := secretIn(p.shown)
	names := a.secretNames(p.TenantID)
	if !p.letIn && secret != "" {
		if found := a.recognise(ctx, p, secret); found != nil {
			names = found
		}
	}
	if names == nil {
		p.raw = nil // whatever may be a secret in it
		names = contractSecrets
	}
	r := &redactor{known: make(map[string]string)}
	r.secrets.Store(names)
	if len(secret) >= minKnown {
		r.known[secret] = redacted
	}
	clean := func(text string) string { return conceal(text, secret, p.shown) }
	p.addBodies(r, clean)
	p.Path = clean(p.target(r))
	p.Detail, p.Client, p.RequestID, p.Method = clean(p.Detail), clean(p.Client), clean(p.RequestID), clean(p.Method)
	p.ResourceID = clean(p.ResourceID)
	p.Client = p.Client[:min(len(p.Client), maxAgent)]
}

var contractSecrets = secretsOf(scim.Contract)

// secretNames are those of a tenant that was seen; nil: it was not.
func (a *activity) secretNames(tenant int64) *secretNames {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.secrets[tenant]
}

// secretIn is the secret that an Authorization header shows; empty: none.
func secretIn(header string) string {
	if header == "" {
		return ""
	}
	if shown, err := parseAuthorization(header); err == nil {
		return shown.secret
	}
	fields := strings.Fields(header)
	return fields[len(fields)-1]
}

// recognise finds whose secret was shown. Only if it would be let in with it, the names
// of its secret attributes are returned.
func (a *activity) recognise(ctx context.Context, p *pending, secret string) *secretNames {
	shown, err := parseAuthorization(p.shown)
	if err != nil {
		return nil
	}
	hash := HashToken(secret)
	who, err := a.store.Authenticate(ctx, hash)
	if who.ID != 0 {
		p.TenantID, p.Credential, p.Preview = who.Tenant.ID(), who.Credential.Name, who.Credential.Preview
		if err == nil && shown.proves(&who.Credential) && p.Cause == "" {
			return secretsOf(who.Tenant.Catalog())
		}
		return nil
	}
	if was, err := a.store.FindRevokedToken(ctx, hash); err == nil && was.TenantID != 0 {
		p.TenantID, p.Credential, p.Cause = was.TenantID, was.Credential, string(causeRevoked)
		if was.Rotated {
			p.Cause = string(causeRotated)
		}
	}
	return nil
}

// conceal takes secrets out of a text: what was shown, and whatever looks like one.
func conceal(text, secret, header string) string {
	if text == "" {
		return text
	}
	for _, shown := range append(strings.Fields(header), secret) { // the last of a Basic header is the secret in another form
		if len(shown) >= minKnown {
			text = strings.ReplaceAll(text, shown, redacted)
		}
	}
	return tokenText.ReplaceAllString(text, redacted)
}

// keptParameters are the names, in small letters, of the parameters of a query whose
// values are kept: those of SCIM.
var keptParameters = []string{"filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "cursor"}

// target is the path with the query, redacted. Of what is no parameter of SCIM, and of
// a caller who was not let in, only the names of the parameters are kept.
func (p *pending) target(r *redactor) string {
	path, query, has := strings.Cut(p.Path, "?")
	path = path[:min(len(path), maxRecordedText)]
	if !has {
		return path
	}
	if len(query) > maxRecordedText {
		return path + "?" + redacted
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = ""
		}
		if value != "" && (!p.letIn || p.Kind != kindAdmin && !slices.Contains(keptParameters, strings.ToLower(plain))) {
			pairs[i] = name + "=" + redacted
		}
	}
	return r.target(path+"?"+strings.Join(pairs, "&"), "")
}

// addBodies makes of what was handed over what is kept of it.
func (p *pending) addBodies(r *redactor, clean func(string) string) {
	x := p.raw
	if x == nil {
		return
	}
	request := recordedRequest{Method: x.GetMethod(), Header: r.headers(x.GetRequestHeader(), p.base), Cut: x.GetRequestCut()}
	answer := recordedAnswer{Status: int(x.GetStatus()), Header: r.headers(x.GetAnswerHeader(), p.base), Took: x.GetTook().AsDuration(), Cut: x.GetAnswerCut()}
	request.Body = shorten(clean(r.body([]byte(x.GetRequestBody()), p.base)), &request.Cut)
	answer.Body = shorten(clean(r.body([]byte(x.GetAnswerBody()), p.base)), &answer.Cut)
	request.Path = clean(p.target(r))
	for _, header := range []map[string]string{request.Header, answer.Header} {
		for name, value := range header {
			header[name] = clean(value)
		}
	}
	one, err := json.Marshal(request)
	if err != nil {
		return
	}
	two, err := json.Marshal(answer)
	if err != nil {
		return
	}
	p.Request, p.Answer = withoutNUL(one), withoutNUL(two)
}

// shorten cuts what is too long.
func shorten(text string, cut *bool) string {
	if len(text) <= maxActivityBody {
		return text
	}
	*cut = true
	text = text[:maxActivityBody]
	for !utf8.ValidString(text) {
		text = text[:len(text)-1]
	}
	return text
}

// withoutNUL is a JSON text that PostgreSQL takes.
func withoutNUL(text []byte) string { return strings.ReplaceAll(string(text), "\x00", "") }

// exchangeOfKept is a kept exchange as one of a recording, whose form it has.
func exchangeOfKept(e *store.Exchange) *store.RecordedExchange {
	return &store.RecordedExchange{Time: e.Time, Request: e.Request, Answer: e.Answer}
}
