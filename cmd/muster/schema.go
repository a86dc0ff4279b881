package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

const schemaHelp = `Register schemas and resource types while the server runs: extensions of User and
Group, and resource types of your own, which are then served at their endpoints.` + whereHelp

func schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Register schemas and resource types of your own",
		Long:  schemaHelp,
		Example: `  export MUSTER_TOKEN=$(muster credential create ops --scope admin | cut -d ' ' -f 1)
  muster schema add docs/examples/badges/*.json
  muster schema list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(schemaListCommand(), schemaAddCommand(), schemaRemoveCommand())
	return cmd
}

func schemaListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is registered for the tenant and for all tenants",
		Args:  cobra.NoArgs,
	}
	asJSON := cmd.Flags().Bool("json", false, "print the schemas and resource types as JSON, in the form that add reads")
	tenant := addTenant(cmd)
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return askRegistry(cmd, func(ctx context.Context, c musterv1.RegistryServiceClient) error {
			out, err := c.ListRegistrations(ctx, &musterv1.ListRegistrationsRequest{Tenant: *tenant})
			if err != nil {
				return err
			}
			if *asJSON {
				return writeRegistered(cmd.OutOrStdout(), out.GetRegistrations())
			}
			return tabulateRegistered(cmd.OutOrStdout(), out.GetRegistrations())
		})
	}
	return cmd
}

func schemaAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add FILE...",
		Short: "Register what the files have, or replace it: all of it or nothing",
		Long: `Register the schemas and resource types that the files have, or replace those
with the same id or name. A file is JSON as /Schemas and /ResourceTypes show it:
one object, a list of them, or a ListResponse; "-" is standard input. The order
does not matter. What is registered like that already stays as it is.

A change that stored resources would not fit is refused, and the error names the
first of them.`,
		Example: `  muster schema add badge.json user.json
  muster schema add docs/examples/devices/*.json --all-tenants`,
		Args: cobra.MinimumNArgs(1),
	}
	forAll := cmd.Flags().Bool("all-tenants", false, "register for all tenants (a credential of the tenant default may)")
	asJSON := addJSON(cmd)
	tenant := addTenant(cmd)
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		schemas, types, err := readRegistrations(cmd.InOrStdin(), args)
		if err != nil {
			return err
		}
		return askRegistry(cmd, func(ctx context.Context, c musterv1.RegistryServiceClient) error {
			out, err := c.Register(ctx, &musterv1.RegisterRequest{Tenant: *tenant, AllTenants: *forAll, Schemas: schemas, ResourceTypes: types})
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "registered: %d schemas, %d resource types\n", len(schemas), len(types))
			return err
		})
	}
	return cmd
}

func schemaRemoveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove NAME-or-URN...",
		Short: "Remove resource types and schemas: all of them or none",
		Long: `Remove resource types, by their names, and schemas, by their URNs. A resource type
that has resources, and a schema that a resource type names, are not removed.
For User and Group the name stands for their registered extensions.`,
		Example: `  muster schema remove Device urn:ietf:params:scim:schemas:core:2.0:Device`,
		Args:    cobra.MinimumNArgs(1),
	}
	forAll := cmd.Flags().Bool("all-tenants", false, "remove what is registered for all tenants")
	asJSON := addJSON(cmd)
	tenant := addTenant(cmd)
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var urns, names []string
		for _, arg := range args {
			if strings.Contains(arg, ":") {
				urns = append(urns, arg)
			} else {
				names = append(names, arg)
			}
		}
		return askRegistry(cmd, func(ctx context.Context, c musterv1.RegistryServiceClient) error {
			out, err := c.Unregister(ctx, &musterv1.UnregisterRequest{Tenant: *tenant, AllTenants: *forAll, Schemas: urns, ResourceTypes: names})
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(cmd.OutOrStdout(), out)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed: %s\n", strings.Join(args, ", "))
			return err
		})
	}
	return cmd
}

// readRegistrations reads what the files have; "-" is in.
func readRegistrations(in io.Reader, files []string) (schemas []*musterv1.Schema, types []*musterv1.ResourceType, err error) {
	for _, file := range files {
		var text []byte
		if file == "-" {
			text, err = io.ReadAll(in)
		} else {
			text, err = os.ReadFile(file) //nolint:gosec // the operator names it
		}
		if err != nil {
			return nil, nil, err
		}
		s, t, err := scim.ParseRegistrations(text)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		schemas, types = append(schemas, s...), append(types, t...)
	}
	return schemas, types, nil
}

// readSchemaFolder reads the files of the setting schemas.
func readSchemaFolder(folder string) (schemas []*musterv1.Schema, types []*musterv1.ResourceType, err error) {
	info, err := os.Stat(folder)
	if err != nil {
		return nil, nil, err
	}
	if !info.IsDir() {
		return nil, nil, errors.New(folder + " is no folder")
	}
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		return nil, nil, err
	}
	return readRegistrations(nil, files)
}

// tabulateRegistered prints a table for people.
func tabulateRegistered(w io.Writer, all []*musterv1.Registration) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KIND\tNAME\tTENANTS\tWHAT")
	for _, r := range all {
		tenants := "this"
		if r.GetAllTenants() {
			tenants = "all"
		}
		kind, name, what := "schema", r.GetSchema().GetId(), fmt.Sprintf("%d attributes", len(r.GetSchema().GetAttributes()))
		if t := r.GetResourceType(); t != nil {
			parts := []string{t.GetEndpoint()}
			for _, ext := range t.GetSchemaExtensions() {
				parts = append(parts, ext.GetSchema())
			}
			kind, name, what = "type", t.GetName(), strings.Join(parts, " + ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", kind, name, tenants, what)
	}
	return table.Flush()
}

// writeRegistered prints a list that muster schema add reads.
func writeRegistered(w io.Writer, all []*musterv1.Registration) error {
	list := make([]json.RawMessage, 0, len(all))
	for _, r := range all {
		if r.GetSchema() != nil {
			list = append(list, scim.AppendSchemaJSON(nil, r.GetSchema(), ""))
		} else {
			list = append(list, scim.AppendResourceTypeJSON(nil, r.GetResourceType(), ""))
		}
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(list)
}

// askRegistry runs f on the registry that the flags of a command name.
func askRegistry(cmd *cobra.Command, f func(ctx context.Context, c musterv1.RegistryServiceClient) error) error {
	return ask(cmd, func(ctx context.Context, conn grpc.ClientConnInterface) error {
		return f(ctx, musterv1.NewRegistryServiceClient(conn))
	})
}
