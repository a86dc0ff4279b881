package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/simulate"
	"github.com/muster-scim/muster/transport"
)

func simulateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Play what a provisioning client sends, against any SCIM server",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(simulateCyberArkCommand(), simulateReplayCommand())
	return cmd
}

func simulateCyberArkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cyberark",
		Short: "Play a provisioning run of CyberArk Identity",
		Long: `Play a provisioning run against a SCIM base URL: verify, sync users and groups,
update, rename, disable, delete, and some accidents; once in each of the media
types that clients send. What it makes has names of its own and is deleted at
the end, so it may run against a server in use, and again.

The script is built to the list of endpoints that CyberArk publishes. It is not
a capture of CyberArk Identity.

The exit code is 1 if anything failed.`,
		Example: `  muster simulate cyberark --url https://scim.example.com/scim/v2 --token TOKEN
  MUSTER_TOKEN=TOKEN muster simulate cyberark --url http://127.0.0.1:8080/scim/v2 --json`,
		Args: cobra.NoArgs,
		RunE: runSimulateCyberArk,
	}
	addSimulate(cmd)
	return cmd
}

// addSimulate gives a command the flags of simulated.
func addSimulate(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("url", "http://127.0.0.1:8080/scim/v2", "SCIM base URL (or MUSTER_URL)")
	flags.String("token", "", "bearer token (or MUSTER_TOKEN, which keeps it out of the list of processes)")
	addCA(cmd)
	flags.Bool("json", false, "print the report as JSON")
}

func simulateReplayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Play a recording that `muster recording export` wrote",
		Long: `Play a recording against a SCIM base URL, one exchange after another. Ids, versions
and cursors that the recorded server made are replaced by those of this server. The
statuses are compared, and of the bodies what does not differ from server to server.

What the recording leaves behind stays: play it against a server for tests. Where its
attributes were redacted, placeholders are sent.

The exit code is 1 if anything failed.`,
		Example: "  muster simulate replay cyberark.yaml --url http://127.0.0.1:8080/scim/v2 --token TOKEN",
		Args:    cobra.ExactArgs(1),
		RunE:    runSimulateReplay,
	}
	addSimulate(cmd)
	return cmd
}

func runSimulateReplay(cmd *cobra.Command, args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	recorded, err := simulate.ReadCase(file)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return simulated(cmd, func(o simulate.Options) (*simulate.Report, error) {
		return simulate.Replay(cmd.Context(), recorded, o)
	})
}

func runSimulateCyberArk(cmd *cobra.Command, _ []string) error {
	return simulated(cmd, func(o simulate.Options) (*simulate.Report, error) { return simulate.CyberArk(cmd.Context(), o) })
}

// simulated plays, and prints the report.
func simulated(cmd *cobra.Command, play func(simulate.Options) (*simulate.Report, error)) error {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	secured, err := transport.Client(v.GetString("ca"), "", "")
	if err != nil {
		return err
	}
	report, err := play(simulate.Options{URL: v.GetString("url"), Token: v.GetString("token"), TLS: secured})
	if err != nil {
		return err
	}
	write := report.WriteTable
	if v.GetBool("json") {
		write = report.WriteJSON
	}
	if err := write(cmd.OutOrStdout()); err != nil {
		return err
	}
	if !report.OK() {
		return errFailed
	}
	return nil
}
