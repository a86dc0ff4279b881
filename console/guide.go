package console

import (
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A guideStep is something to do in the client's own administration.
type guideStep struct {
	Title  string
	Text   string
	Values []guideValue
}

// A guideValue is what is chosen or pasted there.
type guideValue struct {
	Field string // what it is called there
	Value string
	// Choose: it is chosen from a list, and not pasted.
	Choose bool
	// Secret: it is shown this once.
	Secret bool
	// Gone: it was shown, and is not known any more.
	Gone bool
}

// secretOf is a secret to paste, where it is known.
func secretOf(name, secret string) guideValue {
	return guideValue{Field: name, Value: secret, Secret: secret != "", Gone: secret == ""}
}

// guide is what to do in CyberArk Identity for a credential. The secret is empty where it
// was shown before.
func guide(c *musterv1.Credential, base baseURL, secret string) []guideStep {
	steps := []guideStep{
		{Title: "Open the application, and its page Provisioning", Text: "In CyberArk Identity, among your web apps. Enable provisioning for this application, and choose Preview Mode for the beginning."},
		{Title: "Enter the address", Values: []guideValue{{Field: "SCIM Service URL", Value: base.URL}}},
		{Title: "Choose how to authorize, and paste", Values: authorization(c, base, secret)},
		{Title: "Press Verify", Text: "Keep this page open beside it: what arrives here is shown at once, and why where it does not succeed."},
		{Title: "Choose the roles, and synchronize", Text: "Map roles to destination groups; what does not exist is made. Run a synchronization in preview, look at its report, and switch to Live Mode."},
	}
	if c.GetMode() == musterv1.Credential_MODE_PREVIEW {
		steps[4].Text = "Map roles to destination groups, and run a synchronization. Muster answers as if it kept everything, and keeps nothing: look at what would have changed, and then make this credential live."
	}
	return steps
}

// authorization is what to choose and paste for a kind of credential.
func authorization(c *musterv1.Credential, base baseURL, secret string) []guideValue {
	header := guideValue{Field: "Authorization Type", Value: "Authorization Header", Choose: true}
	switch c.GetKind() {
	case musterv1.Credential_KIND_BASIC:
		return []guideValue{header, {Field: "Header Type", Value: "Basic", Choose: true}, {Field: "User name", Value: c.GetBasic().GetLogin()}, secretOf("Password", secret)}
	case musterv1.Credential_KIND_DIRECT:
		return []guideValue{header, {Field: "Header Type", Value: "Direct", Choose: true}, secretOf("Header value", secret)}
	case musterv1.Credential_KIND_OAUTH:
		values := []guideValue{
			{Field: "Authorization Type", Value: "OAuth 2.0", Choose: true}, {Field: "Client ID", Value: c.GetOauth().GetClientId()}, secretOf("Client secret", secret),
			{Field: "Token URL", Value: base.Issuer + "/oauth2/token"},
		}
		if c.GetOauth().GetJwks() != "" {
			values[2] = guideValue{Field: "Client secret", Value: "none: the client signs with its own key", Choose: true}
		}
		if len(c.GetOauth().GetRedirectUris()) > 0 {
			values = append(values, guideValue{Field: "Authorization URL", Value: base.Issuer + "/oauth2/authorize"})
		}
		return append(values, guideValue{Field: "Scope", Value: strings.Join(c.GetScopes(), " ")})
	case musterv1.Credential_KIND_BEARER, musterv1.Credential_KIND_UNSPECIFIED, musterv1.Credential_KIND_CERTIFICATE, musterv1.Credential_KIND_ISSUER:
	}
	return []guideValue{header, {Field: "Header Type", Value: "Bearer Token", Choose: true}, secretOf("Token", secret)}
}
