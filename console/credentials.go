package console

import (
	"net/url"
	"strings"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// The end of the base URL, as the REST face has it.
const scimPath = "/scim/v2"

// credentialsPath is the page of the SCIM configuration, and begins that of each credential.
const credentialsPath = root + "credentials"

// credentialList is what the page of the SCIM configuration shows.
type credentialList struct {
	Base    baseURL
	Rows    []credentialRow
	Refused refusals
}

// A credentialRow is a credential as pages tell it.
type credentialRow struct {
	*musterv1.Credential

	Is credentialKind
	// Path is its own page.
	Path string
}

func credentialRowOf(c *musterv1.Credential) credentialRow {
	return credentialRow{c, kindOf(c), credentialPath(c.GetName())}
}

func credentialPath(name string) string { return credentialsPath + "/" + url.PathEscape(name) }

// Preview tells whether what it writes is not kept.
func (r credentialRow) Preview() bool { return r.GetMode() == musterv1.Credential_MODE_PREVIEW }

// Expired tells whether its time is over.
func (r credentialRow) Expired() bool {
	return r.GetExpireTime() != nil && r.GetExpireTime().AsTime().Before(time.Now())
}

// ExpiresSoon tells whether somebody should think of its end.
func (r credentialRow) ExpiresSoon() bool {
	return r.GetExpireTime() != nil && !r.Expired() && time.Until(r.GetExpireTime().AsTime()) < 14*24*time.Hour
}

// Provisions tells whether it may write resources, as a provisioning client does.
func (r credentialRow) Provisions() bool {
	for _, s := range r.GetScopes() {
		if area, rest, _ := strings.Cut(s, ":"); area == "scim" && rest != "read" && !strings.HasSuffix(rest, ":read") {
			return true
		}
	}
	return false
}

// A baseURL is where clients find the tenant.
type baseURL struct {
	URL    string
	Issuer string // what the endpoints of OAuth are below
	// Plain: it is of plain HTTP, which CyberArk Identity refuses.
	Plain bool
	// Local: it is of this machine, where nobody else finds it.
	Local bool
}

// base is the base URL of the tenant that the operator works in.
func (v *visit) base() baseURL { return v.baseOf(v.session.Tenant) }

// baseOf is the base URL of a tenant. That of the tenant "default" names none.
func (v *visit) baseOf(tenant string) baseURL {
	base, _ := v.addressed(v.Request)
	before, _ := strings.CutSuffix(base, scimPath)
	b := baseURL{URL: base, Issuer: before}
	if tenant != firstTenant {
		b.URL = before + "/t/" + tenant + scimPath
	}
	if u, err := url.Parse(base); err == nil {
		host := u.Hostname()
		b.Plain, b.Local = u.Scheme != "https", host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
	}
	return b
}

func listCredentials(v *visit) error {
	out, err := v.credentials.ListCredentials(v.Context(), &musterv1.ListCredentialsRequest{})
	if err != nil {
		return err
	}
	view := credentialList{Base: v.base()}
	for _, c := range out.GetCredentials() {
		view.Rows = append(view.Rows, credentialRowOf(c))
	}
	if view.Refused, err = v.refusals(v.Context()); err != nil {
		return err
	}
	return v.show("credentials", page{Title: "SCIM configuration", Section: "credentials", Data: view})
}
