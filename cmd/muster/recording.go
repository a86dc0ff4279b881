package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/muster-scim/muster/console"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func recordingCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recording",
		Short: "Record what a client sends and is answered, and export it to be played again",
		Long: `Record the requests of one credential over REST and their answers, for a bounded time
and number, and export them as a file that ` + "`muster simulate replay`" + ` plays against
any SCIM server.

Tokens, passwords and other secrets are never recorded. Values of the attributes
that --redact names are replaced by placeholders, the same value by the same one;
all else is recorded as it is. A recording is removed 30 days after its end.` + whereHelp,
		Example: `  muster recording start cyberark --for 1h --redact userName,familyName,givenName,displayName,emails
  muster recording list
  muster recording export 1 --output cyberark.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(recordingStartCommand(), recordingStopCommand(), recordingListCommand(), recordingExportCommand(), recordingDeleteCommand())
	return cmd
}

// A recordingCall is what a command asks of RecordingService.
type recordingCall struct {
	adminCall[musterv1.RecordingServiceClient]
}

// withRecordings gives a command what it does, and the flags of withCall.
func withRecordings(cmd *cobra.Command, do func(ctx context.Context, c recordingCall) error) *cobra.Command {
	return withCall(cmd, musterv1.NewRecordingServiceClient, func(ctx context.Context, c adminCall[musterv1.RecordingServiceClient]) error {
		return do(ctx, recordingCall{c})
	})
}

func (c recordingCall) show(r *musterv1.Recording) error {
	if c.asJSON {
		return printJSON(c.cmd.OutOrStdout(), r)
	}
	return printFacts(c.cmd.OutOrStdout(), [][2]string{
		{"tenant", r.GetTenant()}, {"id", r.GetId()}, {"credential", r.GetCredential()}, {"started", forPeople(timeOf(r.GetStartTime()), "")},
		{state(r), forPeople(timeOf(r.GetEndTime()), "")}, {"redacted", strings.Join(r.GetRedacted(), ", ")},
		{"exchanges", fmt.Sprintf("%d of at most %d", r.GetExchanges(), r.GetMaxExchanges())},
	})
}

// state is what the end of a recording is called.
func state(r *musterv1.Recording) string {
	if r.GetRunning() {
		return "ends"
	}
	return "ended"
}

func recordingStartCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "start CREDENTIAL",
		Short:   "Begin to record a credential: on every server within some two seconds",
		Example: "  muster recording start cyberark --for 1h --redact userName,emails",
		Args:    cobra.ExactArgs(1),
	}
	lasts := cmd.Flags().String("for", "15m", "how long, at most 24h")
	most := cmd.Flags().Int32("max", 1000, "the most exchanges, at most 10000")
	redacted := cmd.Flags().StringSlice("redact", nil, "attributes and sub-attributes whose values are replaced, such as userName,familyName")
	return withRecordings(cmd, func(ctx context.Context, c recordingCall) error {
		d, err := parseSpan(*lasts)
		if err != nil {
			return fmt.Errorf("--for is %q; use a duration such as 15m or 2h", *lasts)
		}
		out, err := c.client.StartRecording(ctx, &musterv1.StartRecordingRequest{Tenant: c.tenant, Credential: c.args[0], Duration: durationpb.New(d), MaxExchanges: *most, Redacted: *redacted})
		if err != nil {
			return err
		}
		return c.show(out.GetRecording())
	})
}

func recordingStopCommand() *cobra.Command {
	return withRecordings(&cobra.Command{Use: "stop ID", Short: "End a recording before its time", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c recordingCall) error {
		out, err := c.client.StopRecording(ctx, &musterv1.StopRecordingRequest{Tenant: c.tenant, Id: c.args[0]})
		if err != nil {
			return err
		}
		return c.show(out.GetRecording())
	})
}

func recordingListCommand() *cobra.Command {
	return withRecordings(&cobra.Command{Use: "list", Short: "List a tenant's recordings, the newest first", Args: cobra.NoArgs}, func(ctx context.Context, c recordingCall) error {
		all, err := c.client.ListRecordings(ctx, &musterv1.ListRecordingsRequest{Tenant: c.tenant})
		if err != nil {
			return err
		}
		if c.asJSON {
			return printList(c.cmd.OutOrStdout(), all.GetRecordings())
		}
		var rows [][]string
		for _, r := range all.GetRecordings() {
			rows = append(rows, []string{r.GetId(), r.GetCredential(), forPeople(timeOf(r.GetStartTime()), ""), state(r), forPeople(timeOf(r.GetEndTime()), ""),
				strconv.Itoa(int(r.GetExchanges())), strings.Join(r.GetRedacted(), ",")})
		}
		return printTable(c.cmd.OutOrStdout(), "ID | CREDENTIAL | STARTED | STATE | END | EXCHANGES | REDACTED", rows)
	})
}

func recordingDeleteCommand() *cobra.Command {
	return withRecordings(&cobra.Command{Use: "delete ID", Short: "Remove a recording with all that it holds", Args: cobra.ExactArgs(1)}, func(ctx context.Context, c recordingCall) error {
		out, err := c.client.DeleteRecording(ctx, &musterv1.DeleteRecordingRequest{Tenant: c.tenant, Id: c.args[0]})
		if err != nil {
			return err
		}
		return c.tell(out, "the recording %s is deleted", c.args[0])
	})
}

func recordingExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "export ID",
		Short:   "Write a recording as a YAML file that `muster simulate replay` plays",
		Example: "  muster recording export 1 --output cyberark.yaml",
		Args:    cobra.ExactArgs(1),
	}
	output := cmd.Flags().StringP("output", "o", "", "file to write; empty: standard output")
	return withRecordings(cmd, func(ctx context.Context, c recordingCall) error {
		pages, err := c.pages(ctx)
		if err != nil {
			return err
		}
		to := c.cmd.OutOrStdout()
		if *output == "" {
			return c.export(to, pages)
		}
		file, err := os.OpenFile(*output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		if err := c.export(file, pages); err != nil {
			_ = file.Close() // the first error is the one that helps
			return err
		}
		return file.Close()
	})
}

// pages reads a whole recording, as one page.
func (c recordingCall) pages(ctx context.Context) (*musterv1.ExportRecordingResponse, error) {
	all := &musterv1.ExportRecordingResponse{}
	for token, more := "", true; more; more = token != "" {
		page, err := c.client.ExportRecording(ctx, &musterv1.ExportRecordingRequest{Tenant: c.tenant, Id: c.args[0], PageToken: token})
		if err != nil {
			return nil, err
		}
		all.Recording, token = page.GetRecording(), page.GetNextPageToken()
		all.Exchanges = append(all.Exchanges, page.GetExchanges()...)
	}
	return all, nil
}

func (c recordingCall) export(w io.Writer, all *musterv1.ExportRecordingResponse) error {
	if c.asJSON {
		return printJSON(w, all)
	}
	return console.WriteRecording(w, all.GetRecording(), all.GetExchanges())
}
