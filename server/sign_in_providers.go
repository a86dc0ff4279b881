package server

import (
	"context"
	"encoding/xml"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of a provider.
const (
	maxRoleMappings = 100
	maxMappingText  = 500
	maxMetadata     = 256 << 10
	maxProviderURL  = 2000
	maxOIDCScopes   = 20
)

func (s *operatorService) GetSignInProvider(ctx context.Context, req *musterv1.GetSignInProviderRequest) (*musterv1.GetSignInProviderResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	p, err := tenant.SignInProvider(ctx, req.GetName())
	return &musterv1.GetSignInProviderResponse{Provider: providerMessage(nameOfTenant(ctx, req.GetTenant()), &p)}, err
}

func (s *operatorService) ListSignInProviders(ctx context.Context, req *musterv1.ListSignInProvidersRequest) (*musterv1.ListSignInProvidersResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.SignInProviders(ctx)
	out := &musterv1.ListSignInProvidersResponse{}
	for i := range all {
		out.Providers = append(out.Providers, providerMessage(nameOfTenant(ctx, req.GetTenant()), &all[i]))
	}
	return out, err
}

func (s *operatorService) SetSignInProvider(ctx context.Context, req *musterv1.SetSignInProviderRequest) (*musterv1.SetSignInProviderResponse, error) {
	asked := req.GetProvider()
	tenant, err := administered(ctx, s.store, asked.GetTenant())
	if err != nil {
		return nil, err
	}
	p, err := newProvider(asked)
	if err != nil {
		return nil, err
	}
	spare := int64(0)
	if session := sessionOf(ctx); session != nil {
		spare = session.ID
	}
	p, err = tenant.SetSignInProvider(ctx, p, spare)
	return &musterv1.SetSignInProviderResponse{Provider: providerMessage(nameOfTenant(ctx, asked.GetTenant()), &p)}, err
}

func (s *operatorService) DeleteSignInProvider(ctx context.Context, req *musterv1.DeleteSignInProviderRequest) (*musterv1.DeleteSignInProviderResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	return &musterv1.DeleteSignInProviderResponse{}, tenant.DeleteSignInProvider(ctx, req.GetName())
}

// newProvider checks what is asked for, and makes the provider of it.
func newProvider(asked *musterv1.SignInProvider) (p store.SignInProvider, err error) {
	p = store.SignInProvider{Name: asked.GetName(), Settings: store.ProviderSettings{DisplayName: asked.GetDisplayName()}}
	if name := asked.GetDisplayName(); utf8.RuneCountInString(name) > maxOperatorName || shownName(name) != name {
		return p, scim.Errorf(scim.InvalidValue, "the display name is of at most %d characters that can be seen", maxOperatorName).At("display_name")
	}
	if p.Settings.Roles, err = roleMappings(asked.GetRoles()); err != nil {
		return p, err
	}
	switch asked.GetKind() {
	case musterv1.SignInProvider_KIND_OIDC:
		p.Kind = store.OIDC
		return p, setOIDC(&p.Settings, asked.GetOidc())
	case musterv1.SignInProvider_KIND_SAML:
		p.Kind = store.SAML
		return p, setSAML(&p.Settings, asked.GetSaml())
	default:
		return p, scim.Errorf(scim.InvalidValue, "the kind of a provider is oidc or saml").At("kind")
	}
}

func roleMappings(asked []*musterv1.RoleMapping) (all []store.RoleMapping, err error) {
	if len(asked) > maxRoleMappings {
		return nil, scim.Errorf(scim.InvalidValue, "a provider has at most %d roles", maxRoleMappings).At("roles")
	}
	for _, m := range asked {
		role, known := roles[m.GetRole()]
		for _, text := range []string{m.GetAttribute(), m.GetValue()} {
			if text == "" || len(text) > maxMappingText || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return nil, scim.Errorf(scim.InvalidValue, "a role is given for an attribute and a value, each of at most %d bytes", maxMappingText).At("roles")
			}
		}
		if !known {
			return nil, scim.Errorf(scim.InvalidValue, "a role is viewer, operator or administrator").At("roles")
		}
		all = append(all, store.RoleMapping{Attribute: m.GetAttribute(), Value: m.GetValue(), Role: role})
	}
	return all, nil
}

func setOIDC(set *store.ProviderSettings, asked *musterv1.OidcProvider) error {
	set.Issuer, set.ClientID, set.Scopes = asked.GetIssuer(), asked.GetClientId(), asked.GetScopes()
	if !isProviderURL(set.Issuer) {
		return scim.Errorf(scim.InvalidValue, "the issuer is an https URL without query, such as https://idp.example.com (http on this very machine only)").At("oidc.issuer")
	}
	if set.ClientID == "" || len(set.ClientID) > maxMappingText || strings.ContainsFunc(set.ClientID, notPrintable) {
		return scim.Errorf(scim.InvalidValue, "the client_id is what the provider calls Muster: at most %d printable characters", maxMappingText).At("oidc.client_id")
	}
	bad := func(scope string) bool {
		return scope == "" || len(scope) > 100 || strings.ContainsFunc(scope, notPrintable) || strings.ContainsAny(scope, ` "\`)
	}
	if len(set.Scopes) > maxOIDCScopes || slices.ContainsFunc(set.Scopes, bad) {
		return scim.Errorf(scim.InvalidValue, "the scopes are at most %d words", maxOIDCScopes).At("oidc.scopes")
	}
	return nil
}

func notPrintable(r rune) bool { return r < ' ' || r > '~' }

// isProviderURL tells whether a text is a URL whose answers nobody on the way can
// change.
func isProviderURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(text) > maxProviderURL {
		return false
	}
	at, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && at.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && here
}

// entityDescriptor is what Muster looks at of SAML metadata when they are given to it.
// All else the console reads, with its library, when somebody signs in.
type entityDescriptor struct {
	XMLName  xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	EntityID string   `xml:"entityID,attr"`
	IDP      []struct {
		Keys []struct {
			Use          string   `xml:"use,attr"`
			Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
		SignOn []struct {
			Binding  string `xml:"Binding,attr"`
			Location string `xml:"Location,attr"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:metadata SingleSignOnService"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

// redirectBinding is how the console sends browsers to a SAML provider.
const redirectBinding = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"

func setSAML(set *store.ProviderSettings, asked *musterv1.SamlProvider) error {
	set.Metadata, set.AllowIDPInitiated = asked.GetMetadata(), asked.GetAllowIdpInitiated()
	problem := func(text string) error {
		return scim.Errorf(scim.InvalidValue, "the metadata %s; give those that the identity provider offers for download", text).At("saml.metadata")
	}
	if set.Metadata == "" || len(set.Metadata) > maxMetadata {
		return problem("are missing, or larger than 256 KiB")
	}
	var e entityDescriptor
	if err := xml.Unmarshal([]byte(set.Metadata), &e); err != nil || !utf8.ValidString(set.Metadata) || strings.ContainsRune(set.Metadata, 0) {
		return problem("are no EntityDescriptor of SAML 2.0 in XML")
	}
	if set.EntityID = e.EntityID; e.EntityID == "" || len(e.EntityID) > maxProviderURL || len(e.IDP) != 1 {
		return problem("are not those of one identity provider")
	}
	signs, reached := false, false
	for _, key := range e.IDP[0].Keys {
		signs = signs || len(key.Certificates) > 0 && (key.Use == "" || key.Use == "signing")
	}
	for _, at := range e.IDP[0].SignOn {
		reached = reached || at.Binding == redirectBinding && isSignOnURL(at.Location)
	}
	switch {
	case !signs:
		return problem("have no certificate for signing")
	case !reached:
		return problem("have no https SingleSignOnService of the binding HTTP-Redirect")
	}
	return nil
}

// isSignOnURL tells whether browsers can be sent to a text; providers have queries in
// it.
func isSignOnURL(text string) bool {
	before, _, _ := strings.Cut(text, "?")
	return len(text) <= maxProviderURL && isProviderURL(before)
}
