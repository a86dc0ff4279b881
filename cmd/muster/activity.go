package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// withActivity gives a command what it does, and the flags of withCall.
func withActivity(cmd *cobra.Command, do func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error) *cobra.Command {
	return withCall(cmd, musterv1.NewActivityServiceClient, func(ctx context.Context, c adminCall[musterv1.ActivityServiceClient]) error {
		return do(ctx, c.client, c.tenant, c.asJSON)
	})
}

func activityCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "activity",
		Short: "See what clients ask and are answered, and why they are refused",
		Long: `See what clients ask and are answered, live too, and why somebody is refused with what
to mend. Secrets are left out. --unknown adds those of no known tenant, such as
requests with a wrong token.` + whereHelp,
		Example: "  muster activity list --errors --unknown\n  muster activity get 4711",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(activityListCommand(), activityGetCommand(), activityWatchCommand())
	return cmd
}

// addExchangeFilters gives a command the flags that select exchanges.
func addExchangeFilters(cmd *cobra.Command) *musterv1.ExchangeFilter {
	f, flags := &musterv1.ExchangeFilter{}, cmd.Flags()
	flags.BoolVar(&f.Errors, "errors", false, "only what did not succeed")
	flags.BoolVar(&f.Writes, "writes", false, "only what changed something, or was to")
	flags.BoolVar(&f.UnknownTenant, "unknown", false, "those of no known tenant too")
	flags.StringVar(&f.Credential, "credential", "", "the name of the credential that asked")
	flags.StringVar(&f.PathPrefix, "path", "", "how the path begins, such as /scim/v2/Users")
	flags.StringVar(&f.ResourceId, "id", "", "the id of the resource")
	flags.Int32Var(&f.Status, "status", 0, "the status, such as 409")
	flags.StringVar(&f.RequestId, "request-id", "", "the request id, as in the server's log")
	return f
}

func activityListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List exchanges, the newest first", Args: cobra.NoArgs, Example: "  muster activity list --errors --since 1h"}
	filter := addExchangeFilters(cmd)
	since := cmd.Flags().String("since", "", "from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or a time ago, such as 24h")
	limit := cmd.Flags().Int32("limit", 50, "how many at most, up to 500")
	return withActivity(cmd, func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error {
		req := &musterv1.ListExchangesRequest{Tenant: tenant, Filter: filter, PageSize: *limit}
		var err error
		if req.StartTime, err = parseMoment("since", *since); err != nil {
			return err
		}
		got, err := c.ListExchanges(ctx, req)
		if err != nil {
			return err
		}
		if asJSON {
			return printList(cmd.OutOrStdout(), got.GetExchanges())
		}
		return printExchanges(cmd.OutOrStdout(), got.GetExchanges())
	})
}

func printExchanges(w io.Writer, all []*musterv1.LoggedExchange) error {
	rows := make([][]string, len(all))
	for i, e := range all {
		rows[i] = exchangeRow(e)
	}
	return printTable(w, "ID | TIME | STATUS | METHOD | PATH | WHO | FROM | WHY", rows)
}

func exchangeRow(e *musterv1.LoggedExchange) []string {
	why := e.GetDetail()
	if e.GetCause() != musterv1.LoggedExchange_CAUSE_UNSPECIFIED {
		why = strings.ReplaceAll(word(e.GetCause()), "_", " ") + ": " + why
	}
	return []string{e.GetId(), forPeople(timeOf(e.GetTime()), ""), strconv.Itoa(int(e.GetStatus())), e.GetMethod(), e.GetPath(), cmp.Or(e.GetCredential(), "-"), e.GetAddress(), why}
}

func activityGetCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "get ID", Short: "Show one exchange whole, with a hint what to mend", Args: cobra.ExactArgs(1)}
	return withActivity(cmd, func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error {
		got, err := c.GetExchange(ctx, &musterv1.GetExchangeRequest{Tenant: tenant, Id: cmd.Flags().Arg(0)})
		if err != nil {
			return err
		}
		e := got.GetExchange()
		if asJSON {
			return printJSON(cmd.OutOrStdout(), e)
		}
		row := exchangeRow(e)
		return printFacts(cmd.OutOrStdout(), [][2]string{
			{"id", row[0]}, {"time", row[1]}, {"status", row[2]}, {"request", row[3] + " " + row[4]}, {"credential", e.GetCredential()}, {"from", e.GetAddress()}, {"client", e.GetClient()},
			{"request id", e.GetRequestId()}, {"took", e.GetTook().AsDuration().String()}, {"why", row[7]}, {"hint", e.GetHint()},
			{"sent", e.GetExchange().GetRequestBody()}, {"answered", e.GetExchange().GetAnswerBody()},
		})
	})
}

func activityWatchCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "watch", Short: "Print exchanges as they happen, until interrupted", Args: cobra.NoArgs}
	filter := addExchangeFilters(cmd)
	return withActivity(cmd, func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error {
		stream, err := c.WatchExchanges(ctx, &musterv1.WatchExchangesRequest{Tenant: tenant, Filter: filter})
		if err != nil {
			return err
		}
		for {
			m, err := stream.Recv()
			switch {
			case ctx.Err() != nil:
				return nil //nolint:nilerr // interrupted: that is how it ends
			case err != nil:
				return err
			case m.GetExchange() == nil:
				continue
			case asJSON:
				err = printJSON(cmd.OutOrStdout(), m.GetExchange())
			default:
				_, err = fmt.Fprintln(cmd.OutOrStdout(), strings.Join(exchangeRow(m.GetExchange()), "  "))
			}
			if err != nil {
				return err
			}
		}
	})
}

func trafficCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "traffic", Short: "Show how many requests there were, how many failed and how long they took", Args: cobra.NoArgs,
		Long: "Show the traffic of each credential and door. Each request counts." + whereHelp, Example: "  muster traffic --since 24h"}
	since := cmd.Flags().Duration("since", time.Hour, "how far to look back")
	return withActivity(cmd, func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error {
		start, err := parseMoment("since", since.String())
		if err != nil {
			return err
		}
		step := max(time.Minute, (*since/1000 + time.Minute).Truncate(time.Minute))
		got, err := c.GetTraffic(ctx, &musterv1.GetTrafficRequest{Tenant: tenant, StartTime: start, Step: durationpb.New(step)})
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), got)
		}
		var rows [][]string
		for _, s := range got.GetSeries() {
			sum, n := s.GetSum(), func(n int64) string { return strconv.FormatInt(n, 10) }
			rows = append(rows, []string{cmp.Or(s.GetCredential(), "-"), word(s.GetDoor()), n(sum.GetRequests()), n(sum.GetClientErrors()), n(sum.GetServerErrors()),
				sum.GetP50().AsDuration().Round(10 * time.Microsecond).String(), sum.GetP95().AsDuration().Round(10 * time.Microsecond).String(), sum.GetP99().AsDuration().Round(10 * time.Microsecond).String()})
		}
		return printTable(cmd.OutOrStdout(), "CREDENTIAL | DOOR | REQUESTS | 4XX | 5XX | P50 | P95 | P99", rows)
	})
}

func groupsCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "groups", Short: "Find and delete groups that no client has written for long", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(staleCommand())
	return cmd
}

func staleCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "stale", Short: "List groups that no client has written for long, or delete them", Args: cobra.NoArgs,
		Long: "List groups that no client has written for some days, or delete them: without --yes\nit only tells which would go." + whereHelp, Example: "  muster groups stale --days 90 --delete --yes"}
	days := cmd.Flags().Int32("days", 30, "for how many days nobody has written them")
	remove, yes := cmd.Flags().Bool("delete", false, "delete them, at most 500"), cmd.Flags().Bool("yes", false, "with --delete: do it")
	return withActivity(cmd, func(ctx context.Context, c musterv1.ActivityServiceClient, tenant string, asJSON bool) error {
		if *yes && !*remove {
			return errors.New("--yes goes with --delete")
		}
		var groups []*musterv1.StaleGroup
		if *remove {
			done, err := c.DeleteStaleGroups(ctx, &musterv1.DeleteStaleGroupsRequest{Tenant: tenant, Days: *days, Max: 500, DryRun: !*yes})
			if err != nil {
				return err
			}
			groups = done.GetGroups()
		} else {
			found, err := c.ListStaleGroups(ctx, &musterv1.ListStaleGroupsRequest{Tenant: tenant, Days: *days, PageSize: 500})
			if err != nil {
				return err
			}
			groups = found.GetGroups()
		}
		if asJSON {
			return printList(cmd.OutOrStdout(), groups)
		}
		var rows [][]string
		for _, g := range groups {
			rows = append(rows, []string{g.GetId(), g.GetDisplayName(), strconv.FormatInt(g.GetMembers(), 10), forPeople(timeOf(g.GetLastPushTime()), "")})
		}
		return printTable(cmd.OutOrStdout(), "ID | NAME | MEMBERS | LAST PUSH", rows)
	})
}
