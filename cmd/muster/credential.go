package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const scopesHelp = `Its scopes say what it may do:

  scim                  read and write users, groups and all other resources
  scim:read scim:write  one of the two
  scim:TYPE             resources of one type, such as scim:User or scim:Group:read
  admin                 administer the tenant: credentials, schemas, audit and
                        recordings; with the tenant default, all tenants
  admin:read            look at the same`

func credentialCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credential",
		Short: "Make, change, rotate and revoke the credentials of clients, services and operators",
		Long: `Make, list, change, rotate and revoke credentials. A credential belongs to one
tenant, which it decides: nobody can see another's data with it.

` + scopesHelp + whereHelp,
		Example: `  muster credential create ops --scope admin
  muster credential create cyberark --scope scim
  muster credential list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(credentialCreateCommand(), credentialListCommand(), credentialGetCommand(), credentialSetCommand(), credentialRotateCommand(), credentialRevokeCommand())
	return cmd
}

// A credentialCall is what a command asks of CredentialService.
type credentialCall struct {
	adminCall[musterv1.CredentialServiceClient]
}

// withCredentials gives a command what it does, and the flags of withCall.
func withCredentials(cmd *cobra.Command, do func(ctx context.Context, c credentialCall) error) *cobra.Command {
	return withCall(cmd, musterv1.NewCredentialServiceClient, func(ctx context.Context, c adminCall[musterv1.CredentialServiceClient]) error {
		return do(ctx, credentialCall{c})
	})
}

func credentialCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME --scope SCOPE",
		Short: "Make a credential, and print its secret this once",
		Long: `Make a credential and print its secret. Only its hash is kept, so it cannot be shown
again; logs call the credential by its name.

` + scopesHelp + `

Its kind says how it is shown:

  bearer       Authorization: Bearer SECRET
  basic        Authorization: Basic, with the login and the secret as password
  direct       Authorization: SECRET, or any one word before the secret
  oauth        a client of Muster's own OAuth 2.0 server
  certificate  the client certificate of a gRPC connection
  issuer       access tokens that an outside issuer signed

A preview credential's writes are checked and answered as any other's, and not kept:
to see what a client would do.`,
		Example: `  muster credential create cyberark --scope scim
  muster credential create reader --scope scim:read --network 10.0.0.0/8 --expires 90d
  muster credential create old-client --kind basic --login scim-user --scope scim
  muster credential create portal --kind certificate --certificate-file portal.pem --scope scim:User:read
  muster credential create entra --kind issuer --issuer https://login.example.com/ --audience muster --scope scim
  export MUSTER_TOKEN=$(muster credential create ops --scope admin | cut -d ' ' -f 1)`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("kind", "bearer", "bearer, basic, direct, oauth, certificate or issuer")
	addCredentialSettings(cmd)
	flags.String("login", "", "basic: the login (default: the name)")
	flags.String("certificate-file", "", "certificate: file with the certificate, as PEM or DER")
	flags.String("fingerprint", "", "certificate: SHA-256 of its public key (SubjectPublicKeyInfo) in hex, instead of the file")
	return withCredentials(cmd, func(ctx context.Context, c credentialCall) error {
		asked, _, err := credentialOfFlags(cmd, c.tenant, c.args[0])
		if err != nil {
			return err
		}
		made, err := c.client.CreateCredential(ctx, &musterv1.CreateCredentialRequest{Credential: asked})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(cmd.OutOrStdout(), made)
		}
		return printSecret(cmd.OutOrStdout(), made.GetCredential(), made.GetSecret())
	})
}

// printSecret prints what a client needs. A secret that is all of it stands alone in
// its line, first, for scripts.
func printSecret(w io.Writer, c *musterv1.Credential, secret string) error {
	if secret != "" {
		secret += "   (shown this once)"
	}
	switch c.GetKind() {
	case musterv1.Credential_KIND_BASIC:
		return printFacts(w, [][2]string{{"login", c.GetBasic().GetLogin()}, {"password", secret}})
	case musterv1.Credential_KIND_OAUTH:
		return printFacts(w, [][2]string{{"client_id", c.GetOauth().GetClientId()}, {"client_secret", secret}})
	case musterv1.Credential_KIND_CERTIFICATE, musterv1.Credential_KIND_ISSUER:
		return printFacts(w, credentialFacts(c))
	default:
		_, err := fmt.Fprintln(w, secret)
		return err
	}
}

func credentialListCommand() *cobra.Command {
	return withCredentials(&cobra.Command{
		Use:   "list",
		Short: "List a tenant's credentials, with their last use",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, c credentialCall) error {
		all, err := c.client.ListCredentials(ctx, &musterv1.ListCredentialsRequest{Tenant: c.tenant})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all.GetCredentials())
		}
		var rows [][]string
		for _, k := range all.GetCredentials() {
			rows = append(rows, []string{k.GetName(), word(k.GetKind()), strings.Join(k.GetScopes(), ","), word(k.GetMode()),
				forPeople(timeOf(k.GetExpireTime()), "never"), forPeople(timeOf(k.GetLastUse().GetTime()), "never"), k.GetLastUse().GetAddress(), forPeople(timeOf(k.GetCreateTime()), "")})
		}
		return printTable(c.cmd.OutOrStdout(), "NAME | KIND | SCOPES | MODE | EXPIRES | LAST USED | FROM | CREATED", rows)
	})
}

func credentialGetCommand() *cobra.Command {
	return withCredentials(&cobra.Command{
		Use:     "get NAME",
		Short:   "Show one credential, but for its secret, which nobody knows",
		Example: "  muster credential get cyberark",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, c credentialCall) error {
		out, err := c.client.GetCredential(ctx, &musterv1.GetCredentialRequest{Tenant: c.tenant, Name: c.args[0]})
		if err != nil {
			return err
		}
		return c.show(out.GetCredential())
	})
}

func (c credentialCall) show(k *musterv1.Credential) error {
	if c.asJSON {
		return printJSON(c.cmd.OutOrStdout(), k)
	}
	return printFacts(c.cmd.OutOrStdout(), credentialFacts(k))
}

func credentialFacts(k *musterv1.Credential) [][2]string {
	keys := ""
	if k.GetOauth().GetJwks() != "" {
		keys = "of its own; it has no secret"
	}
	used := k.GetLastUse()
	return [][2]string{
		{"tenant", k.GetTenant()}, {"name", k.GetName()}, {"kind", word(k.GetKind())}, {"scopes", strings.Join(k.GetScopes(), ", ")}, {"mode", word(k.GetMode())},
		{"networks", strings.Join(k.GetNetworks(), ", ")}, {"expires", forPeople(timeOf(k.GetExpireTime()), "never")},
		{"login", k.GetBasic().GetLogin()}, {"fingerprint", k.GetCertificate().GetFingerprint()},
		{"client_id", k.GetOauth().GetClientId()}, {"redirect URIs", strings.Join(k.GetOauth().GetRedirectUris(), ", ")}, {"keys", keys},
		{"issuer", k.GetIssuer().GetIssuer()}, {"audience", k.GetIssuer().GetAudience()}, {"algorithms", strings.Join(k.GetIssuer().GetAlgorithms(), ", ")},
		{"required scope", k.GetIssuer().GetRequiredScope()},
		{"created", forPeople(timeOf(k.GetCreateTime()), "")},
		{"last used", strings.TrimSpace(forPeople(timeOf(used.GetTime()), "never") + " " + used.GetAddress() + " " + used.GetClient())},
	}
}

func credentialSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Change a credential",
		Long: `Change what is given as flags of a credential; all else stays, the secret too. An
empty list removes what it lists (--network ''), and --expires never the expiry. Other
scopes end the access tokens that OAuth issued to it.`,
		Example: `  muster credential set cyberark --scope scim --network 192.0.2.0/24
  muster credential set cyberark --mode preview
  muster credential set reader --expires 2027-06-30`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().SortFlags = false
	addCredentialSettings(cmd)
	return withCredentials(cmd, func(ctx context.Context, c credentialCall) error {
		asked, mask, err := credentialOfFlags(cmd, c.tenant, c.args[0])
		if err != nil {
			return err
		}
		if len(mask.GetPaths()) == 0 {
			return fmt.Errorf("say what to set, such as --scope scim; see `%s --help`", cmd.CommandPath())
		}
		out, err := c.client.UpdateCredential(ctx, &musterv1.UpdateCredentialRequest{Credential: asked, UpdateMask: mask})
		if err != nil {
			return err
		}
		return c.show(out.GetCredential())
	})
}

func credentialRotateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a credential another secret, while the old one stays valid for some time",
		Long: `Give a credential another secret, and print it this once. The old one stays valid for
the overlap, so that nothing stops while the client gets the new one.`,
		Example: `  muster credential rotate cyberark
  muster credential rotate cyberark --overlap 7d
  muster credential rotate leaked --overlap 0`,
		Args: cobra.ExactArgs(1),
	}
	overlap := cmd.Flags().String("overlap", "24h", "how long the old secret stays valid, such as 30m, 24h or 7d; 0: it ends now")
	return withCredentials(cmd, func(ctx context.Context, c credentialCall) error {
		d, err := parseSpan(*overlap)
		if err != nil {
			return fmt.Errorf("--overlap is %q; use a duration such as 30m, 24h or 7d", *overlap)
		}
		out, err := c.client.RotateCredential(ctx, &musterv1.RotateCredentialRequest{Tenant: c.tenant, Name: c.args[0], Overlap: durationpb.New(d)})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(cmd.OutOrStdout(), out)
		}
		return printSecret(cmd.OutOrStdout(), out.GetCredential(), out.GetSecret())
	})
}

func credentialRevokeCommand() *cobra.Command {
	return withCredentials(&cobra.Command{
		Use:     "revoke NAME",
		Short:   "Revoke a credential, with effect from the next request on every server",
		Example: "  muster credential revoke cyberark",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, c credentialCall) error {
		out, err := c.client.RevokeCredential(ctx, &musterv1.RevokeCredentialRequest{Tenant: c.tenant, Name: c.args[0]})
		if err != nil {
			return err
		}
		return c.tell(out, "%s is revoked", c.args[0])
	})
}
