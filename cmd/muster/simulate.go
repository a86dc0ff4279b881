package main

import (
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
	cmd.AddCommand(simulateCyberArkCommand())
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
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("url", "http://127.0.0.1:8080/scim/v2", "SCIM base URL (or MUSTER_URL)")
	flags.String("token", "", "bearer token (or MUSTER_TOKEN, which keeps it out of the list of processes)")
	addCA(cmd)
	flags.Bool("json", false, "print the report as JSON")
	return cmd
}

func runSimulateCyberArk(cmd *cobra.Command, _ []string) error {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	secured, err := transport.Client(v.GetString("ca"), "", "")
	if err != nil {
		return err
	}
	report, err := simulate.CyberArk(cmd.Context(), simulate.Options{URL: v.GetString("url"), Token: v.GetString("token"), TLS: secured})
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
