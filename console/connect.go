package console

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A credentialForm is what somebody enters of a credential, as text.
type credentialForm struct {
	Name, Login, Redirects, Keys, Certificate   string
	Issuer, Audience, Algorithms, RequiredScope string
	Scope, Scopes, Networks, Expires, Mode      string
	Kind                                        credentialKind
	Kinds                                       []credentialKind
	Problem                                     string
	Path                                        string // of a credential that is changed; empty: of a new one
}

// scopeChoices are the scopes that most credentials have one of.
var scopeChoices = []struct{ Scope, Text, Help string }{
	{"scim", "Provision", "read and write users, groups and all else"},
	{"scim:read", "Read", "users, groups and all else"},
	{"admin", "Administer", "the tenant: credentials, schemas, audit"},
}

// Choices are the scopes to choose from.
func (f *credentialForm) Choices() any { return scopeChoices }

// Of tells whether it is of that kind.
func (f *credentialForm) Of(kind string) bool { return f.Kind.Word == kind }

// readForm is what was sent.
func (v *visit) readForm(k credentialKind) *credentialForm {
	text := func(name string) string { return strings.TrimSpace(v.PostFormValue(name)) }
	return &credentialForm{
		Name: text("name"), Login: text("login"), Redirects: text("redirects"), Keys: text("keys"), Certificate: text("certificate"),
		Issuer: text("issuer"), Audience: text("audience"), Algorithms: text("algorithms"), RequiredScope: text("required"),
		Scope: text("scope"), Scopes: text("scopes"), Networks: text("networks"), Expires: text("expires"), Mode: text("mode"),
		Kind: k, Kinds: credentialKinds,
	}
}

// words are the parts of a text between spaces, commas and new lines.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' || r == '\n' || r == '\r' || r == '\t' })
}

// scopes are the chosen one, or those that were typed.
func (f *credentialForm) scopes() []string {
	if f.Scope != "" && f.Scope != "other" {
		return []string{f.Scope}
	}
	return words(f.Scopes)
}

// expiry is the end of the day that was entered, in UTC; nil: never.
func (f *credentialForm) expiry() (*timestamppb.Timestamp, error) {
	if f.Expires == "" {
		return nil, nil //nolint:nilnil // absent is never
	}
	day, err := time.Parse(time.DateOnly, f.Expires)
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "%.40q is no date; write it as 2027-01-31", f.Expires)
	}
	return timestamppb.New(day.Add(24*time.Hour - time.Second)), nil
}

// mode is the mode that was chosen.
func (f *credentialForm) mode() musterv1.Credential_Mode {
	if f.Mode == "preview" {
		return musterv1.Credential_MODE_PREVIEW
	}
	return musterv1.Credential_MODE_LIVE
}

// credential is the credential that the form describes.
func (f *credentialForm) credential() (*musterv1.Credential, error) {
	expires, err := f.expiry()
	if err != nil {
		return nil, err
	}
	c := &musterv1.Credential{Name: f.Name, Kind: f.Kind.Kind, Scopes: f.scopes(), Mode: f.mode(), Networks: words(f.Networks), ExpireTime: expires}
	switch f.Kind.Kind {
	case musterv1.Credential_KIND_BASIC:
		c.OfKind = &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: f.Login}}
	case musterv1.Credential_KIND_OAUTH:
		c.OfKind = &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{RedirectUris: words(f.Redirects), Jwks: f.Keys}}
	case musterv1.Credential_KIND_CERTIFICATE:
		c.OfKind = &musterv1.Credential_Certificate{Certificate: certificateOf(f.Certificate)}
	case musterv1.Credential_KIND_ISSUER:
		c.OfKind = &musterv1.Credential_Issuer{Issuer: &musterv1.IssuerCredential{Issuer: f.Issuer, Audience: f.Audience, Algorithms: words(f.Algorithms), RequiredScope: f.RequiredScope}}
	case musterv1.Credential_KIND_BEARER, musterv1.Credential_KIND_DIRECT, musterv1.Credential_KIND_UNSPECIFIED: // have nothing of their own
	}
	return c, nil
}

// certificateOf is a certificate that was pasted as PEM, or the fingerprint of its key.
func certificateOf(text string) *musterv1.CertificateCredential {
	if strings.Contains(text, "-----BEGIN") {
		return &musterv1.CertificateCredential{Certificate: []byte(text)}
	}
	return &musterv1.CertificateCredential{Fingerprint: strings.ReplaceAll(text, ":", "")}
}

// showConnect shows the form for another credential.
func showConnect(v *visit) error {
	f := &credentialForm{Kind: kindByWord(v.URL.Query().Get("kind")), Kinds: credentialKinds, Scope: "scim", Mode: "live"}
	f.Name, f.Login = "cyberark", "cyberark"
	if f.Kind.Choice == "" {
		f.Name, f.Scope = "", "scim:read"
	}
	taken, err := v.credentials.ListCredentials(v.Context(), &musterv1.ListCredentialsRequest{})
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, c := range taken.GetCredentials() {
		names[c.GetName()] = true
	}
	f.Name = freeName(f.Name, names)
	return v.showForm(f, nil)
}

// freeName is a name that is not taken yet: that one, or one with a number.
func freeName(name string, taken map[string]bool) string {
	free := name
	for i := 2; taken[free]; i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	return free
}

// showForm shows the form, with what is wrong with it.
func (v *visit) showForm(f *credentialForm, problem error) error {
	p := page{Title: "Connect CyberArk Identity", Section: "credentials", Crumbs: []crumb{{"SCIM configuration", credentialsPath}}, Data: f}
	if f.Kind.Choice == "" {
		p.Title = "Connect a service"
	}
	if f.Path != "" {
		p.Title, p.Crumbs = "Edit "+f.Name, append(p.Crumbs, crumb{f.Name, f.Path})
	}
	if problem != nil {
		f.Problem, p.Status = messageOf(problem), http.StatusBadRequest
	}
	return v.show("credential-form", p)
}

// createCredential makes the credential, and shows its secret this once.
func createCredential(v *visit) error {
	f := v.readForm(kindByWord(v.PostFormValue("kind")))
	asked, err := f.credential()
	if err != nil {
		return v.showForm(f, err)
	}
	made, err := v.credentials.CreateCredential(v.Context(), &musterv1.CreateCredentialRequest{Credential: asked})
	if isInput(err) {
		return v.showForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.showConnection(made.GetCredential(), made.GetSecret(), "The credential "+made.GetCredential().GetName()+" is made.")
}

// connectView is what the page shows on which a client is connected.
type connectView struct {
	credentialRow

	Base       baseURL
	Steps      []guideStep
	Secret     string // shown this once
	Done       string // what was done just now
	Connection *connection
}

// showConnection shows what to do with a credential, and what its client does. The secret
// is empty where it was shown before.
func (v *visit) showConnection(c *musterv1.Credential, secret, done string) error {
	row := credentialRowOf(c)
	base := v.base()
	view := connectView{credentialRow: row, Base: base, Secret: secret, Done: done}
	if row.Is.Choice != "" {
		view.Steps = guide(c, base, secret)
		var err error
		if view.Connection, _, err = v.connection(v.Context(), row); err != nil {
			return err
		}
	}
	return v.show("connect", page{
		Title: "Connect with " + c.GetName(), Section: "credentials",
		Crumbs: []crumb{{"SCIM configuration", credentialsPath}, {c.GetName(), row.Path}}, Data: view,
	})
}

// showConnected shows the same later, without the secret.
func showConnected(v *visit) error {
	c, err := v.credential()
	if err != nil {
		return err
	}
	return v.showConnection(c.Credential, "", "")
}
