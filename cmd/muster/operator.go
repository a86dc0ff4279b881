package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func consoleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "console",
		Short: "Let operators in to the web console, and see who is signed in",
		Long: `Make a link that signs an operator in to the web console once, keep the providers that
operators sign in with (OpenID Connect or SAML 2.0), list who is signed in, and end
sessions.

An operator belongs to a tenant and has a role: a viewer looks and changes nothing, an
operator changes users and groups too, an administrator does everything. Operators of
the tenant "default" may work in all tenants.` + whereHelp,
		Example: `  muster console login
  muster console login --operator grace --role viewer
  muster console provider set cyberark --saml metadata.xml --administrator Roles="Muster Admins" --viewer Roles=Everybody
  muster console sessions`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(consoleLoginCommand(), providerCommand(), consoleSessionsCommand(), consoleRevokeCommand())
	return cmd
}

// An operatorCall is what a command asks of OperatorService.
type operatorCall struct {
	adminCall[musterv1.OperatorServiceClient]
}

// withOperators gives a command what it does, and the flags of withCall.
func withOperators(cmd *cobra.Command, do func(ctx context.Context, c operatorCall) error) *cobra.Command {
	return withCall(cmd, musterv1.NewOperatorServiceClient, func(ctx context.Context, c adminCall[musterv1.OperatorServiceClient]) error {
		return do(ctx, operatorCall{c})
	})
}

func consoleLoginCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "login",
		Short:   "Print a link that signs an operator in once, within 15 minutes",
		Example: "  muster console login --operator grace --role viewer",
		Args:    cobra.NoArgs,
	}
	operator := cmd.Flags().String("operator", "", "what the audit log calls the operator (default: your user name)")
	role := cmd.Flags().String("role", "administrator", "viewer, operator or administrator")
	cmd.Flags().String("base-url", "", "public address of the server, as muster serve has it; without it, that of --http")
	cmd.Flags().String("http", "127.0.0.1:8080", "address of the console, without a --base-url")
	return withOperators(cmd, func(ctx context.Context, c operatorCall) error {
		as, err := parseWord[musterv1.OperatorRole]("role", *role)
		if err != nil {
			return err
		}
		if *operator == "" {
			*operator = userName()
		}
		out, err := c.client.CreateLoginLink(ctx, &musterv1.CreateLoginLinkRequest{Tenant: c.tenant, Operator: *operator, Role: as})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(c.cmd.OutOrStdout(), out)
		}
		base, err := consoleBase(c.cmd)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.cmd.OutOrStdout(), "%s\n\nGood once, until %s, for %s as %s.\n", loginURL(base, out.GetSecret()), forPeople(timeOf(out.GetExpireTime()), ""), *operator, word(as))
		return err
	})
}

// consoleBase is the address that the settings give the server.
func consoleBase(cmd *cobra.Command) (string, error) {
	c, err := loadConfig(cmd.Flags())
	if err != nil || c.BaseURL != "" {
		return c.BaseURL, err
	}
	host, port, err := net.SplitHostPort(c.HTTP)
	if err != nil {
		return "", fmt.Errorf("http is %q; give an address such as 127.0.0.1:8080", c.HTTP)
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(cmp.Or(host, "localhost"), port), nil
}

func consoleSessionsCommand() *cobra.Command {
	return withOperators(&cobra.Command{Use: "sessions", Short: "List the operators of a tenant who are signed in", Args: cobra.NoArgs}, func(ctx context.Context, c operatorCall) error {
		all, err := c.client.ListSessions(ctx, &musterv1.ListSessionsRequest{Tenant: c.tenant})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all.GetSessions())
		}
		var rows [][]string
		for _, s := range all.GetSessions() {
			rows = append(rows, []string{s.GetId(), s.GetOperator(), word(s.GetRole()), s.GetProvider(), forPeople(timeOf(s.GetCreateTime()), ""), forPeople(timeOf(s.GetActiveTime()), ""),
				forPeople(timeOf(s.GetExpireTime()), ""), s.GetAddress()})
		}
		return printTable(c.cmd.OutOrStdout(), "ID | OPERATOR | ROLE | PROVIDER | SINCE | ACTIVE | ENDS | ADDRESS", rows)
	})
}

func consoleRevokeCommand() *cobra.Command {
	return withOperators(&cobra.Command{Use: "revoke ID", Short: "End a session, with the next request on every server", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c operatorCall) error {
		out, err := c.client.RevokeSession(ctx, &musterv1.RevokeSessionRequest{Tenant: c.tenant, Id: c.args[0]})
		if err != nil {
			return err
		}
		return c.tell(out, "the session %s has ended", c.args[0])
	})
}

func providerCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "provider",
		Short: "Keep what operators sign in with: OpenID Connect and SAML 2.0",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(providerSetCommand(), providerListCommand(), providerDeleteCommand())
	return cmd
}

func providerSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Make a provider, or put another in its place",
		Long: `Make a provider, or put another in its place; that ends the sessions which began with
it. Give --saml with the file of the identity provider's metadata, or --oidc with the
issuer and --client-id.

Who has none of the roles is refused. --viewer, --operator and --administrator name an
attribute of the assertion, or a claim of the ID token, and the value that gives the
role; each may be given more than once, and the highest role counts.

The identity provider needs from Muster, at the server's public address (base-url):
  SAML  /console/saml/metadata    the metadata, which is the entity ID too; with ?encryption=1
                                  they have a key, for providers that encrypt assertions
        /console/saml/acs         the assertion consumer service
  OIDC  /console/oidc/callback    the redirect URI

An OpenID client's secret is in no database: ` + "`muster serve`" + ` reads it from
--console-oidc-secret-file.` + whereHelp,
		Example: `  muster console provider set cyberark --saml metadata.xml --administrator Roles="Muster Admins"
  muster console provider set entra --oidc https://login.example.com/tenant/v2.0 --client-id muster --viewer groups=staff`,
		Args: cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	metadata := flags.String("saml", "", "file of the SAML identity provider's metadata; - is standard input")
	unasked := flags.Bool("allow-idp-initiated", false, "let in whom the SAML provider sends unasked")
	issuer := flags.String("oidc", "", "URL of the OpenID issuer")
	client := flags.String("client-id", "", "what the OpenID issuer calls Muster")
	scopes := flags.StringSlice("scope", nil, "OpenID scopes beside openid (default: profile,email)")
	shown := flags.String("display-name", "", "what the button calls it (default: the name)")
	given := addRoles(flags)
	return withOperators(cmd, func(ctx context.Context, c operatorCall) error {
		roles, err := given.mappings()
		if err != nil {
			return err
		}
		p := &musterv1.SignInProvider{Tenant: c.tenant, Name: c.args[0], DisplayName: *shown, Roles: roles}
		switch {
		case (*metadata == "") == (*issuer == ""):
			return errors.New("give --saml with a file of metadata, or --oidc with an issuer")
		case *metadata != "":
			text, err := readInput(c.cmd, *metadata)
			if err != nil {
				return err
			}
			p.Kind, p.OfKind = musterv1.SignInProvider_KIND_SAML, &musterv1.SignInProvider_Saml{Saml: &musterv1.SamlProvider{Metadata: string(text), AllowIdpInitiated: *unasked}}
		default:
			p.Kind, p.OfKind = musterv1.SignInProvider_KIND_OIDC, &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: *issuer, ClientId: *client, Scopes: *scopes}}
		}
		out, err := c.client.SetSignInProvider(ctx, &musterv1.SetSignInProviderRequest{Provider: p})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printJSON(c.cmd.OutOrStdout(), out.GetProvider())
		}
		return printProviders(c, []*musterv1.SignInProvider{out.GetProvider()})
	})
}

// article is a role with the article before it.
func article(role string) string {
	if strings.ContainsRune("aeiou", rune(role[0])) {
		return "an " + role
	}
	return "a " + role
}

// givenRoles are the texts of the flags that give roles, in the order of operatorRoles.
type givenRoles []*[]string

var operatorRoles = []musterv1.OperatorRole{
	musterv1.OperatorRole_OPERATOR_ROLE_VIEWER, musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR, musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR,
}

// addRoles gives a command a flag for each role.
func addRoles(flags *pflag.FlagSet) (given givenRoles) {
	for _, role := range operatorRoles {
		given = append(given, flags.StringArray(word(role), nil, "ATTRIBUTE=VALUE that makes somebody "+article(word(role))))
	}
	return given
}

// mappings reads them. The name of an attribute may be a URL, and then has no =.
func (given givenRoles) mappings() (all []*musterv1.RoleMapping, err error) {
	for i, role := range operatorRoles {
		for _, text := range *given[i] {
			attribute, value, ok := strings.Cut(text, "=")
			if !ok || attribute == "" || value == "" {
				return nil, fmt.Errorf("--%s is %q; use ATTRIBUTE=VALUE", word(role), text)
			}
			all = append(all, &musterv1.RoleMapping{Attribute: attribute, Value: value, Role: role})
		}
	}
	return all, nil
}

// readInput reads a file that a flag names.
func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(cmd.InOrStdin())
	}
	return os.ReadFile(path) //nolint:gosec // a file that the administrator names
}

func printProviders(c operatorCall, all []*musterv1.SignInProvider) error {
	var rows [][]string
	for _, p := range all {
		of := p.GetOidc().GetIssuer() + p.GetSaml().GetEntityId()
		var roles []string
		for _, r := range p.GetRoles() {
			roles = append(roles, fmt.Sprintf("%s=%s: %s", r.GetAttribute(), r.GetValue(), word(r.GetRole())))
		}
		rows = append(rows, []string{p.GetName(), word(p.GetKind()), of, strings.Join(roles, "; ")})
	}
	return printTable(c.cmd.OutOrStdout(), "NAME | KIND | PROVIDER | ROLES", rows)
}

func providerListCommand() *cobra.Command {
	return withOperators(&cobra.Command{Use: "list", Short: "List the providers of a tenant", Args: cobra.NoArgs}, func(ctx context.Context, c operatorCall) error {
		all, err := c.client.ListSignInProviders(ctx, &musterv1.ListSignInProvidersRequest{Tenant: c.tenant})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all.GetProviders())
		}
		return printProviders(c, all.GetProviders())
	})
}

func providerDeleteCommand() *cobra.Command {
	return withOperators(&cobra.Command{Use: "delete NAME", Short: "Remove a provider, and end the sessions which began with it", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c operatorCall) error {
		out, err := c.client.DeleteSignInProvider(ctx, &musterv1.DeleteSignInProviderRequest{Tenant: c.tenant, Name: c.args[0]})
		if err != nil {
			return err
		}
		return c.tell(out, "the provider %s is deleted", c.args[0])
	})
}
