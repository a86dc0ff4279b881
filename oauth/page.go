package oauth

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/muster-scim/muster/server"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the page shows: a problem alone, or an authorization to decide on.
type page struct {
	Problem string
	Client  string // empty: there is nothing to decide
	Tenant  string
	Scopes  []scopeLine
	Host    string // where the answer goes
	Fields  []field
	Style   template.CSS

	origin string // of the redirect URI
}

// A scopeLine is a scope, and what it means.
type scopeLine struct{ Name, Meaning string }

// A field of the form is a parameter of the request.
type field struct{ Name, Value string }

func pageOf(a *authorization, problem string) page {
	p := page{Problem: problem, Client: a.client.Credential.Name, Tenant: a.client.TenantName}
	for _, s := range a.scopes {
		p.Scopes = append(p.Scopes, scopeLine{s, meaning(s)})
	}
	if u, err := url.Parse(a.RedirectURI); err == nil {
		if p.Host = u.Host; !strings.ContainsAny(u.Host, " ;,'\"") {
			p.origin = u.Scheme + "://" + u.Host
		}
	}
	for _, f := range []field{
		{"response_type", string(a.ResponseType)}, {"client_id", a.ClientID}, {"redirect_uri", a.RedirectURI},
		{"scope", strings.Join(a.scopes, " ")}, {"state", a.State},
		{"code_challenge", a.CodeChallenge}, {"code_challenge_method", string(a.CodeChallengeMethod)},
	} {
		if f.Value != "" {
			p.Fields = append(p.Fields, f)
		}
	}
	return p
}

// meaning says what a scope lets a client do.
func meaning(scope string) string {
	switch scope {
	case server.ScopeAdmin:
		return "administer the tenant"
	case server.ScopeAdminRead:
		return "look at everything that concerns the tenant"
	}
	parts := strings.Split(scope, ":")[1:]
	do := "read and write"
	if n := len(parts); n > 0 && slices.Contains([]string{"read", "write"}, parts[n-1]) {
		do, parts = parts[n-1], parts[:n-1]
	}
	if len(parts) == 0 {
		return do + " users, groups and all other resources"
	}
	return do + " resources of the type " + parts[0]
}

// styleHash lets the page's own style through its policy, and nothing else.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return base64.StdEncoding.EncodeToString(sum[:])
}()

// showPage sends the page. Nothing is loaded, no script runs, no site can frame it,
// and its form goes here and, by a redirect, to the client.
func showPage(w http.ResponseWriter, r *http.Request, status int, p page) {
	p.Style = template.CSS(pageStyle) //nolint:gosec // our own
	h := w.Header()
	h.Set("Content-Security-Policy", strings.TrimSpace("default-src 'none'; style-src 'sha256-"+styleHash+"'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' "+p.origin))
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // the form's origin is checked
	h.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		// An error means that the browser is gone.
		_ = pageTemplate.Execute(w, p)
	}
}
