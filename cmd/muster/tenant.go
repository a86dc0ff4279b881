package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func tenantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tenant",
		Short: "Make, change, suspend and delete tenants",
		Long: `Make, list, change, suspend, resume and delete tenants. A tenant is one customer: a
set of users, groups and other resources that no other tenant's credentials can see.
The first start makes the tenant default, whose administrators administer all.` + whereHelp,
		Example: `  muster tenant create acme --deprovision disable
  muster credential create cyberark --tenant acme --scope scim
  muster tenant list`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tenantListCommand(), tenantGetCommand(), tenantCreateCommand(), tenantSetCommand(), tenantSuspendCommand(), tenantResumeCommand(), tenantDeleteCommand())
	return cmd
}

// withTenants gives a command the flags of ask and --json, and what it does.
func withTenants(cmd *cobra.Command, do func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error) *cobra.Command {
	asJSON := addJSON(cmd)
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return ask(cmd, func(ctx context.Context, conn grpc.ClientConnInterface) error {
			return do(ctx, cmd, musterv1.NewTenantServiceClient(conn), args, *asJSON)
		})
	}
	return cmd
}

func tenantListCommand() *cobra.Command {
	return withTenants(&cobra.Command{
		Use:   "list",
		Short: "List the tenants",
		Args:  cobra.NoArgs,
	}, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, _ []string, asJSON bool) error {
		all, err := c.ListTenants(ctx, &musterv1.ListTenantsRequest{})
		if err != nil {
			return err
		}
		if asJSON {
			return printList(cmd.OutOrStdout(), all.GetTenants())
		}
		var rows [][]string
		for _, t := range all.GetTenants() {
			rows = append(rows, []string{t.GetName(), word(t.GetState()), word(t.GetProfile()), word(t.GetDeprovision()), limitsText(t.GetLimits()), forPeople(timeOf(t.GetCreateTime()), "")})
		}
		return printTable(cmd.OutOrStdout(), "NAME | STATE | PROFILE | DELETE OF A USER | LIMITS | CREATED", rows)
	})
}

func tenantGetCommand() *cobra.Command {
	return withTenants(&cobra.Command{
		Use:     "get TENANT",
		Short:   "Show one tenant",
		Example: "  muster tenant get acme",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		out, err := c.GetTenant(ctx, &musterv1.GetTenantRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return showTenant(cmd, out.GetTenant(), asJSON)
	})
}

func showTenant(cmd *cobra.Command, t *musterv1.Tenant, asJSON bool) error {
	if asJSON {
		return printJSON(cmd.OutOrStdout(), t)
	}
	return printFacts(cmd.OutOrStdout(), [][2]string{
		{"name", t.GetName()}, {"state", word(t.GetState())}, {"profile", word(t.GetProfile())}, {"delete of a user", word(t.GetDeprovision()) + "s it"},
		{"limits", limitsText(t.GetLimits())}, {"created", forPeople(timeOf(t.GetCreateTime()), "")},
	})
}

// limitsText is the limits of a tenant that are not the server's.
func limitsText(l *musterv1.TenantLimits) string {
	var parts []string
	add := func(n, unit string) {
		if n == "0" {
			n = "any"
		}
		parts = append(parts, n+" "+unit)
	}
	if l != nil && l.RequestsPerSecond != nil {
		add(strconv.FormatFloat(l.GetRequestsPerSecond(), 'f', -1, 64), "requests/s")
	}
	if l != nil && l.Burst != nil {
		add(strconv.Itoa(int(l.GetBurst())), "in a burst")
	}
	if l != nil && l.ConcurrentRequests != nil {
		add(strconv.Itoa(int(l.GetConcurrentRequests())), "at once")
	}
	if parts == nil {
		return "the server's"
	}
	return strings.Join(parts, ", ")
}

const tenantSettingsHelp = `The profile decides the few points in which clients contradict each other:

  a patch of emails[type eq "work"] where the user has no such address
    tolerant: makes the address       strict: fails with noTarget (RFC 7644)
  the answer to a PATCH that names no attributes
    tolerant: 200 with the user       strict: 204 without a body

Both pass suites that follow the RFC.

What a DELETE of a user does is delete, or disable: the user stays, with active set
to false. Choose disable where a client deletes whom it should disable.

The limits are those of all the tenant's requests together; "default" takes the
server's own, 0 is any number.`

// addTenantSettings gives a command the flags of tenantOfFlags.
func addTenantSettings(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("profile", "", "how clients are understood: tolerant or strict")
	flags.String("deprovision", "", "what a DELETE of a user does: delete or disable")
	flags.String("requests-per-second", "", "how many requests are admitted in the long run: a number, or default")
	flags.String("burst", "", "how many may come at once after a quiet time: a number, or default")
	flags.String("concurrent-requests", "", "how many are worked on at the same time: a number, or default")
}

// tenantOfFlags is what the flags say, and which fields they set.
func tenantOfFlags(cmd *cobra.Command, name string) (t *musterv1.Tenant, mask *fieldmaskpb.FieldMask, err error) {
	t, mask = &musterv1.Tenant{Name: name, Limits: &musterv1.TenantLimits{}}, &fieldmaskpb.FieldMask{}
	count := func(to **int32) func(string) error {
		return func(text string) error {
			n, err := strconv.ParseInt(text, 10, 32)
			small := int32(n)
			*to = &small
			return err
		}
	}
	for _, f := range []struct {
		flag, path string
		set        func(text string) error
	}{
		{"profile", "profile", func(text string) (err error) {
			t.Profile, err = parseWord[musterv1.ClientProfile]("--profile", text)
			return err
		}},
		{"deprovision", "deprovision", func(text string) (err error) {
			t.Deprovision, err = parseWord[musterv1.Deprovision]("--deprovision", text)
			return err
		}},
		{"requests-per-second", "limits.requests_per_second", func(text string) error {
			n, err := strconv.ParseFloat(text, 64)
			t.Limits.RequestsPerSecond = &n
			return err
		}},
		{"burst", "limits.burst", count(&t.Limits.Burst)},
		{"concurrent-requests", "limits.concurrent_requests", count(&t.Limits.ConcurrentRequests)},
	} {
		if !cmd.Flags().Changed(f.flag) {
			continue
		}
		text := cmd.Flags().Lookup(f.flag).Value.String()
		mask.Paths = append(mask.Paths, f.path)
		if strings.HasPrefix(f.path, "limits.") && text == "default" {
			continue
		}
		if err := f.set(text); errors.Is(err, strconv.ErrSyntax) || errors.Is(err, strconv.ErrRange) {
			return nil, nil, fmt.Errorf("--%s is %q; use a number, or default for the server's own", f.flag, text)
		} else if err != nil {
			return nil, nil, err
		}
	}
	return t, mask, nil
}

func tenantCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "create TENANT",
		Short: "Make a tenant",
		Long: `Make a tenant, without credentials: ` + "`muster credential create --tenant TENANT`" + ` makes
them. Its name never changes.

` + tenantSettingsHelp,
		Example: `  muster tenant create acme
  muster tenant create acme --profile strict --deprovision disable --requests-per-second 50`,
		Args: cobra.ExactArgs(1),
	}
	addTenantSettings(cmd)
	return withTenants(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		t, _, err := tenantOfFlags(cmd, args[0])
		if err != nil {
			return err
		}
		out, err := c.CreateTenant(ctx, &musterv1.CreateTenantRequest{Tenant: t})
		if err != nil {
			return err
		}
		return showTenant(cmd, out.GetTenant(), asJSON)
	})
}

func tenantSetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "set TENANT",
		Short: "Change the settings of a tenant",
		Long:  "Change the settings of a tenant that are given as flags; the others stay.\n\n" + tenantSettingsHelp,
		Example: `  muster tenant set default --profile strict
  muster tenant set acme --requests-per-second 100 --burst default`,
		Args: cobra.ExactArgs(1),
	}
	addTenantSettings(cmd)
	return withTenants(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		t, mask, err := tenantOfFlags(cmd, args[0])
		if err != nil {
			return err
		}
		if len(mask.GetPaths()) == 0 {
			return errors.New("say what to set, such as --profile strict; see `muster tenant set --help`")
		}
		out, err := c.UpdateTenant(ctx, &musterv1.UpdateTenantRequest{Tenant: t, UpdateMask: mask})
		if err != nil {
			return err
		}
		return showTenant(cmd, out.GetTenant(), asJSON)
	})
}

func tenantSuspendCommand() *cobra.Command {
	return withTenants(&cobra.Command{
		Use:     "suspend TENANT",
		Short:   "Refuse all credentials of a tenant, until it is resumed",
		Example: "  muster tenant suspend acme",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		out, err := c.SuspendTenant(ctx, &musterv1.SuspendTenantRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return showTenant(cmd, out.GetTenant(), asJSON)
	})
}

func tenantResumeCommand() *cobra.Command {
	return withTenants(&cobra.Command{
		Use:     "resume TENANT",
		Short:   "End the suspension of a tenant",
		Example: "  muster tenant resume acme",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		out, err := c.ResumeTenant(ctx, &musterv1.ResumeTenantRequest{Name: args[0]})
		if err != nil {
			return err
		}
		return showTenant(cmd, out.GetTenant(), asJSON)
	})
}

func tenantDeleteCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete TENANT",
		Short: "Remove a suspended tenant with all its data",
		Long: `Remove a tenant with all its data: resources, credentials, registered schemas, change
log, audit log and recordings. It must be suspended first, and that cannot be undone. To make
sure that it is the one you mean, give its name once more with --yes-delete.

Where the command is interrupted, the server finishes it; calling it again does so
too.`,
		Example: `  muster tenant suspend acme
  muster tenant delete acme --yes-delete acme`,
		Args: cobra.ExactArgs(1),
	}
	sure := cmd.Flags().String("yes-delete", "", "the name of the tenant, once more")
	return withTenants(cmd, func(ctx context.Context, cmd *cobra.Command, c musterv1.TenantServiceClient, args []string, asJSON bool) error {
		if *sure != args[0] {
			return fmt.Errorf("all data of %s would be gone for ever; if you mean it, add --yes-delete %s", args[0], args[0])
		}
		out, err := c.DeleteTenant(ctx, &musterv1.DeleteTenantRequest{Name: args[0]})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), out)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is deleted\n", args[0])
		return err
	})
}
