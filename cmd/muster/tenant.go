package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/muster-scim/muster/store"
)

func tenantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "List the tenants and set how their clients are understood",
		Long: `List the tenants, and set a tenant's client profile. These commands work on the
database directly; a running server follows with the next request.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tenantListCommand(), tenantSetCommand())
	return cmd
}

// withStore runs f on the database that the settings of a command name.
func withStore(ctx context.Context, flags *pflag.FlagSet, f func(ctx context.Context, s *store.Store) error) error {
	c, err := loadConfig(flags)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.CheckSchema(ctx); err != nil {
		return err
	}
	return f(ctx, s)
}

func tenantListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the tenants",
		Args:  cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	addSettings(cmd, "data", "database")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withStore(cmd.Context(), cmd.Flags(), func(ctx context.Context, s *store.Store) error {
			tenants, err := s.Tenants(ctx)
			if err != nil {
				return err
			}
			return writeTenants(cmd.OutOrStdout(), tenants, *asJSON)
		})
	}
	return cmd
}

func writeTenants(w io.Writer, tenants []store.TenantInfo, asJSON bool) error {
	if asJSON {
		list := make([]map[string]string, 0, len(tenants))
		for _, t := range tenants {
			list = append(list, map[string]string{"name": t.Name, "profile": string(t.Profile), "created": t.Created.UTC().Format(time.RFC3339)})
		}
		return json.NewEncoder(w).Encode(list)
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tPROFILE\tCREATED")
	for _, t := range tenants {
		fmt.Fprintf(table, "%s\t%s\t%s\n", t.Name, t.Profile, t.Created.Local().Format(time.DateTime)) //nolint:gosmopolitan // for the operator's eyes
	}
	return table.Flush()
}

func tenantSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set TENANT --profile tolerant|strict",
		Short: "Set the client profile of a tenant",
		Long: `Set the client profile of a tenant. It decides the few points in which clients
contradict each other:

  a patch of emails[type eq "work"] where the user has no such address
    tolerant: makes the address       strict: fails with noTarget (RFC 7644)
  the answer to a PATCH that names no attributes
    tolerant: 200 with the user       strict: 204 without a body

Both pass suites that follow the RFC. Every tenant begins as tolerant.`,
		Example: "  muster tenant set default --profile strict",
		Args:    cobra.ExactArgs(1),
	}
	profile := cmd.Flags().String("profile", "", "tolerant or strict")
	addSettings(cmd, "data", "database")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withStore(cmd.Context(), cmd.Flags(), func(ctx context.Context, s *store.Store) error {
			_, err := s.UpdateTenant(ctx, args[0], func(info *store.TenantInfo) error {
				info.Profile = store.Profile(*profile)
				return nil
			})
			if err != nil {
				return fmt.Errorf("setting the profile of %s: %w", args[0], err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: the profile is %s\n", args[0], *profile)
			return err
		})
	}
	return cmd
}
