package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

func credentialCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "credential",
		Short: "Make, list and revoke the credentials of clients and operators",
		Long: `Make, list and revoke credentials. A credential belongs to one tenant and has
scopes:

  scim    read and write users, groups and other resources
  admin   register schemas and resource types

These commands work on the database directly; a running server follows with the
next request.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(credentialCreateCommand(), credentialListCommand(), credentialRevokeCommand())
	return cmd
}

// withTenant runs f on the tenant that the flags of a command name.
func withTenant(cmd *cobra.Command, f func(ctx context.Context, t store.Tenant) error) error {
	name, err := cmd.Flags().GetString("tenant")
	if err != nil {
		return err
	}
	return withStore(cmd.Context(), cmd.Flags(), func(ctx context.Context, s *store.Store) error {
		t, err := s.Tenant(ctx, name)
		if err != nil {
			return err
		}
		return f(ctx, t)
	})
}

// addTenant gives a command the flags of withTenant.
func addTenant(cmd *cobra.Command) {
	cmd.Flags().String("tenant", server.DefaultTenant, "tenant")
	addSettings(cmd, "data", "database")
}

func credentialCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create NAME --scope scim|admin",
		Short: "Make a bearer token, and print it this once",
		Long: `Make a bearer token and print it. Only its hash is kept, so it cannot be shown
again; logs call the credential by its name.`,
		Example: `  muster credential create cyberark --scope scim
  export MUSTER_TOKEN=$(muster credential create ops --scope admin | cut -d ' ' -f 1)`,
		Args: cobra.ExactArgs(1),
	}
	scopes := cmd.Flags().StringSlice("scope", nil, "scim or admin; both: --scope scim,admin")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	addTenant(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := server.CheckScopes(*scopes); err != nil {
			return err
		}
		token := server.NewToken()
		hash := server.HashToken(token)
		return withTenant(cmd, func(ctx context.Context, t store.Tenant) error {
			if err := t.AddCredential(ctx, store.Credential{Name: args[0], Kind: store.Bearer, Scopes: *scopes}, hash[:]); err != nil {
				return fmt.Errorf("making the credential %s: %w", args[0], err)
			}
			if *asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"name": args[0], "scopes": *scopes, "token": token})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s   (shown this once)\n", token)
			return err
		})
	}
	return cmd
}

func credentialListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List a tenant's credentials",
		Args:  cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	addTenant(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withTenant(cmd, func(ctx context.Context, t store.Tenant) error {
			all, err := t.Credentials(ctx)
			if err != nil {
				return err
			}
			return writeCredentials(cmd.OutOrStdout(), all, *asJSON)
		})
	}
	return cmd
}

func writeCredentials(w io.Writer, all []store.Credential, asJSON bool) error {
	if asJSON {
		list := make([]map[string]any, 0, len(all))
		for _, c := range all {
			list = append(list, map[string]any{"name": c.Name, "kind": c.Kind, "scopes": c.Scopes, "created": c.Created.UTC().Format(time.RFC3339)})
		}
		return json.NewEncoder(w).Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tKIND\tSCOPES\tCREATED")
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, c.Kind, strings.Join(c.Scopes, ","), c.Created.Local().Format(time.DateTime)) //nolint:gosmopolitan // for the operator's eyes
	}
	return table.Flush()
}

func credentialRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "revoke NAME",
		Short:   "Revoke a credential, with effect from the next request",
		Example: "  muster credential revoke cyberark",
		Args:    cobra.ExactArgs(1),
	}
	addTenant(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withTenant(cmd, func(ctx context.Context, t store.Tenant) error {
			if err := t.RevokeCredential(ctx, args[0]); err != nil {
				return fmt.Errorf("revoking %s: %w", args[0], err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s is revoked\n", args[0])
			return err
		})
	}
	return cmd
}
