package console

import (
	"slices"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A credentialKind is how a client proves who it is, as people speak of it.
type credentialKind struct {
	Word string // in addresses and forms
	Kind musterv1.Credential_Kind
	Text string
	// Choice is what CyberArk Identity calls it; empty: it does not have it.
	Choice string
	Help   string
}

// HasSecret tells whether there is something that is shown once.
func (k credentialKind) HasSecret() bool { return k.Word != "certificate" && k.Word != "issuer" }

// credentialKinds are all of them; those of CyberArk Identity first, in its order.
var credentialKinds = []credentialKind{
	{"bearer", musterv1.Credential_KIND_BEARER, "Bearer token", "Authorization Header: Bearer Token", "One secret. Choose this if nothing speaks against it."},
	{"basic", musterv1.Credential_KIND_BASIC, "Basic", "Authorization Header: Basic", "A login and a password."},
	{"direct", musterv1.Credential_KIND_DIRECT, "Direct header", "Authorization Header: Direct", "One secret, sent as it is, without a word before it."},
	{"oauth", musterv1.Credential_KIND_OAUTH, "OAuth 2.0", "OAuth 2.0", "A client id and a secret, for access tokens that last an hour."},
	{"certificate", musterv1.Credential_KIND_CERTIFICATE, "Client certificate", "", "For services that connect over gRPC with a certificate of their own."},
	{"issuer", musterv1.Credential_KIND_ISSUER, "Outside issuer", "", "For services that bring tokens of your own identity provider."},
}

// kindByWord is the kind of that word, or else the first.
func kindByWord(word string) credentialKind {
	i := slices.IndexFunc(credentialKinds, func(k credentialKind) bool { return k.Word == word })
	return credentialKinds[max(i, 0)]
}

// kindOf is the kind of a credential.
func kindOf(c *musterv1.Credential) credentialKind {
	i := slices.IndexFunc(credentialKinds, func(k credentialKind) bool { return k.Kind == c.GetKind() })
	return credentialKinds[max(i, 0)]
}
