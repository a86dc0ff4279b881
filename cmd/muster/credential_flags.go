package main

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// addCredentialSettings gives a command the flags of what can be set of a credential
// at any time.
func addCredentialSettings(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSlice("scope", nil, "what it may do, such as scim or admin; several: --scope scim:User,scim:Group:read")
	flags.String("mode", "live", "live, or preview: its writes are not kept")
	flags.StringSlice("network", nil, "where it may be used from, such as 10.0.0.0/8; none: anywhere")
	flags.String("expires", "never", "when it ends: a date, a time as 2027-01-31T12:00:00Z, 90d, 12h or never")
	flags.StringSlice("redirect-uri", nil, "oauth: where an authorization may be answered to")
	flags.String("jwks", "", "oauth: file with the client's public keys as JSON Web Key Set; it has no secret then")
	flags.String("issuer", "", "issuer: its URL, where its metadata is found")
	flags.String("audience", "", "issuer: what the claim aud must contain")
	flags.StringSlice("algorithm", nil, "issuer: signature algorithms (default RS256,ES256)")
	flags.String("required-scope", "", "issuer: the scope that a token must have (default scim)")
}

// credentialFlags read the flags of one command.
type credentialFlags struct {
	cmd  *cobra.Command
	mask *fieldmaskpb.FieldMask
	err  error
}

// credentialOfFlags is what the flags say, and which fields they set.
func credentialOfFlags(cmd *cobra.Command, tenant, name string) (*musterv1.Credential, *fieldmaskpb.FieldMask, error) {
	f := &credentialFlags{cmd: cmd, mask: &fieldmaskpb.FieldMask{}}
	c := &musterv1.Credential{Tenant: tenant, Name: name}
	if text, given := f.text("kind", ""); given {
		c.Kind, f.err = parseWord[musterv1.Credential_Kind]("--kind", text)
	}
	c.Scopes, _ = f.list("scope", "scopes")
	c.Networks, _ = f.list("network", "networks")
	if text, given := f.text("mode", "mode"); given && f.err == nil {
		c.Mode, f.err = parseWord[musterv1.Credential_Mode]("--mode", text)
	}
	if text, given := f.text("expires", "expire_time"); given && f.err == nil {
		c.ExpireTime, f.err = parseExpiry(text)
	}
	f.kind(c)
	return c, f.mask, f.err
}

// kind reads the flags of what only one kind has. Those of two kinds at once the
// server refuses, as it does those of another kind.
func (f *credentialFlags) kind(c *musterv1.Credential) {
	if login, given := f.text("login", ""); given {
		c.OfKind = &musterv1.Credential_Basic{Basic: &musterv1.BasicCredential{Login: login}}
	}
	certificate, fromFile := f.file("certificate-file", "")
	fingerprint, known := f.text("fingerprint", "")
	if fromFile || known {
		c.OfKind = &musterv1.Credential_Certificate{Certificate: &musterv1.CertificateCredential{Certificate: certificate, Fingerprint: fingerprint}}
	}
	redirects, answered := f.list("redirect-uri", "oauth.redirect_uris")
	keys, hasKeys := f.file("jwks", "oauth.jwks")
	if answered || hasKeys {
		c.OfKind = &musterv1.Credential_Oauth{Oauth: &musterv1.OAuthClient{RedirectUris: redirects, Jwks: string(keys)}}
	}
	i := &musterv1.IssuerCredential{}
	given := make([]bool, 4)
	i.Issuer, given[0] = f.text("issuer", "issuer.issuer")
	i.Audience, given[1] = f.text("audience", "issuer.audience")
	i.Algorithms, given[2] = f.list("algorithm", "issuer.algorithms")
	i.RequiredScope, given[3] = f.text("required-scope", "issuer.required_scope")
	if slices.Contains(given, true) {
		c.OfKind = &musterv1.Credential_Issuer{Issuer: i}
	}
}

// given tells whether a flag was given, and then puts its path into the mask.
func (f *credentialFlags) given(flag, path string) bool {
	given := f.cmd.Flags().Changed(flag)
	if given && path != "" {
		f.mask.Paths = append(f.mask.Paths, path)
	}
	return given
}

func (f *credentialFlags) text(flag, path string) (string, bool) {
	if !f.given(flag, path) {
		return "", false
	}
	return f.cmd.Flags().Lookup(flag).Value.String(), true
}

func (f *credentialFlags) list(flag, path string) ([]string, bool) {
	if !f.given(flag, path) {
		return nil, false
	}
	list, err := f.cmd.Flags().GetStringSlice(flag)
	if err != nil && f.err == nil {
		f.err = err
	}
	return slices.DeleteFunc(list, func(s string) bool { return s == "" }), true
}

// file is what the file that a flag names has; an empty name: nothing.
func (f *credentialFlags) file(flag, path string) ([]byte, bool) {
	name, given := f.text(flag, path)
	if !given || name == "" {
		return nil, given
	}
	data, err := os.ReadFile(name) //nolint:gosec // the operator names it
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("--%s: %w", flag, err)
	}
	return data, true
}

// parseExpiry reads when a credential ends; nil: never.
func parseExpiry(text string) (*timestamppb.Timestamp, error) {
	if text == "never" {
		return nil, nil //nolint:nilnil // absent is never
	}
	if span, err := parseSpan(text); err == nil {
		return timestamppb.New(time.Now().Add(span)), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.ParseInLocation(layout, text, time.Local); err == nil { //nolint:gosmopolitan // as the operator writes it
			return timestamppb.New(at), nil
		}
	}
	return nil, fmt.Errorf("--expires is %q; use a date such as 2027-01-31, a time such as 2027-01-31T12:00:00Z, 90d, 12h or never", text)
}
