package console

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const providersPath = settingsPath + "/sign-in"

// maxMetadata is how many bytes the metadata of a SAML provider have.
const maxMetadata = 256 << 10

// emptyRoles is how many roles more can be entered at a time.
const emptyRoles = 3

// providersView is what operators sign in with.
type providersView struct {
	Providers []*musterv1.SignInProvider
	Own       ownEnd
}

// An ownEnd is what a provider has to be told of the console.
type ownEnd struct{ Redirect, EntityID, ACS, Metadata string }

// ownEnd is that of this server, as it was addressed.
func (v *visit) ownEnd() ownEnd {
	origin := v.base().Issuer
	return ownEnd{origin + root + "oidc/callback", origin + root + "saml/metadata", origin + root + "saml/acs", root + "saml/metadata"}
}

func listProviders(v *visit) error {
	out, err := v.operators.ListSignInProviders(v.Context(), &musterv1.ListSignInProvidersRequest{})
	if err != nil {
		return err
	}
	return v.showSetting("providers", "Sign-in", providersPath, providersView{out.GetProviders(), v.ownEnd()})
}

// A providerForm is what somebody enters of a provider, as text.
type providerForm struct {
	Name, Display, Issuer, Client, Scopes, Metadata string
	SAML, Unasked, New                              bool
	Roles                                           []roleRow
	Own                                             ownEnd
	Problem                                         string
	Path                                            string
}

// A roleRow gives a role to whom an attribute has a value.
type roleRow struct{ Attribute, Value, Role string }

// providerFormOf is the form with what a provider has.
func providerFormOf(p *musterv1.SignInProvider) *providerForm {
	f := &providerForm{
		Name: p.GetName(), Display: p.GetDisplayName(), SAML: p.GetKind() == musterv1.SignInProvider_KIND_SAML,
		Issuer: p.GetOidc().GetIssuer(), Client: p.GetOidc().GetClientId(), Scopes: strings.Join(p.GetOidc().GetScopes(), " "),
		Metadata: p.GetSaml().GetMetadata(), Unasked: p.GetSaml().GetAllowIdpInitiated(), Path: providersPath + "/" + url.PathEscape(p.GetName()),
	}
	for _, r := range p.GetRoles() {
		f.Roles = append(f.Roles, roleRow{r.GetAttribute(), r.GetValue(), roleNames[r.GetRole()]})
	}
	return f
}

// provider is the provider that the form describes.
func (f *providerForm) provider() *musterv1.SignInProvider {
	p := &musterv1.SignInProvider{Name: f.Name, DisplayName: f.Display, Kind: musterv1.SignInProvider_KIND_OIDC}
	if f.SAML {
		p.Kind = musterv1.SignInProvider_KIND_SAML
		p.OfKind = &musterv1.SignInProvider_Saml{Saml: &musterv1.SamlProvider{Metadata: f.Metadata, AllowIdpInitiated: f.Unasked}}
	} else {
		p.OfKind = &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: f.Issuer, ClientId: f.Client, Scopes: words(f.Scopes)}}
	}
	for _, r := range f.Roles {
		p.Roles = append(p.Roles, &musterv1.RoleMapping{Attribute: r.Attribute, Value: r.Value, Role: roleOf(r.Role)})
	}
	return p
}

// readProviderForm reads what was sent. Metadata come as a file or as text.
func (v *visit) readProviderForm() (*providerForm, error) {
	text := func(name string) string { return strings.TrimSpace(v.FormValue(name)) }
	f := &providerForm{
		Name: text("name"), Display: text("display"), Issuer: text("issuer"), Client: text("client"), Scopes: text("scopes"),
		Metadata: text("metadata"), SAML: text("kind") == "saml", Unasked: text("unasked") != "",
	}
	if v.MultipartForm != nil && len(v.MultipartForm.File["file"]) > 0 {
		file, err := v.MultipartForm.File["file"][0].Open()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		xml, err := io.ReadAll(io.LimitReader(file, maxMetadata+1))
		if err != nil {
			return nil, err
		}
		if len(xml) > 0 {
			f.Metadata = string(xml)
		}
	}
	attributes, values, roles := v.Form["attribute"], v.Form["value"], v.Form["role"]
	for i := range min(len(attributes), len(values), len(roles)) {
		r := roleRow{strings.TrimSpace(attributes[i]), strings.TrimSpace(values[i]), roles[i]}
		if r.Attribute != "" || r.Value != "" {
			f.Roles = append(f.Roles, r)
		}
	}
	return f, nil
}

// showProviderForm shows the form, with what is wrong with it.
func (v *visit) showProviderForm(f *providerForm, problem error) error {
	f.Own = v.ownEnd()
	for range emptyRoles {
		f.Roles = append(f.Roles, roleRow{Role: "viewer"})
	}
	p := page{Title: f.Name, Section: "settings", Crumbs: settingCrumbs(settingTabs[1]), Data: f}
	if f.New {
		p.Title = "Sign in with OpenID Connect"
		if f.SAML {
			p.Title = "Sign in with SAML"
		}
	}
	if problem != nil {
		f.Problem, p.Status = messageOf(problem), http.StatusBadRequest
	}
	return v.show("provider-form", p)
}

func newProvider(v *visit) error {
	f := &providerForm{New: true, SAML: v.URL.Query().Get("kind") == "saml"}
	if f.SAML {
		f.Name, f.Display = "cyberark", "CyberArk Identity"
	}
	return v.showProviderForm(f, nil)
}

func showProvider(v *visit) error {
	out, err := v.operators.GetSignInProvider(v.Context(), &musterv1.GetSignInProviderRequest{Name: v.PathValue("name")})
	if err != nil {
		return err
	}
	return v.showProviderForm(providerFormOf(out.GetProvider()), nil)
}

// setProvider makes a provider, or puts another in its place.
func setProvider(v *visit) error {
	f, err := v.readProviderForm()
	if err != nil {
		return err
	}
	if name := v.PathValue("name"); name != "" {
		f.Name, f.Path = name, v.URL.Path
	} else {
		f.New = true
	}
	_, err = v.operators.SetSignInProvider(v.Context(), &musterv1.SetSignInProviderRequest{Provider: f.provider()})
	if isInput(err) {
		return v.showProviderForm(f, err)
	}
	if err != nil {
		return err
	}
	return v.done(providersPath, "Operators can sign in with "+f.Name+" now. Try it in another browser before you sign out here.")
}

func askDeleteProvider(v *visit) error {
	return v.ask(page{Section: "settings", Crumbs: settingCrumbs(settingTabs[1])}, question{
		Title: "Remove " + v.PathValue("name") + "?", Button: "Remove", Danger: true, Back: providersPath,
		Text: "Nobody signs in with it any more.", Points: []string{"Sessions that began with it end.", "A login link lets you in all the same: muster console login prints one."},
	})
}

func deleteProvider(v *visit) error {
	name := v.PathValue("name")
	if _, err := v.operators.DeleteSignInProvider(v.Context(), &musterv1.DeleteSignInProviderRequest{Name: name}); err != nil {
		return err
	}
	return v.done(providersPath, name+" is removed.")
}
