package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/muster-scim/muster/conformance"
	"github.com/muster-scim/muster/transport"
)

func conformanceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conformance",
		Short: "Check any SCIM server against RFC 7643, RFC 7644 and RFC 9865",
		Long: `Check a SCIM 2.0 server, requirement by requirement: discovery, attributes,
create, read, replace, every form of PATCH, delete, filters and how each type
compares, projection, sorting, pages and cursors, search, bulk, ETags, errors,
groups large and small, and what happens when many write at once.

Each check has a number that stays, and names the section of the RFC that it
comes from. What a server does not advertise in /ServiceProviderConfig is not
asked of it; but it must then refuse it.

What the checks make has names of its own and is deleted at the end, so they may
run against a server in use, and again. They make some thousand requests, one at
a time except where many at once are the point.

The exit code is 1 if a MUST is not met. A SHOULD or MAY that is not met is
reported, and does not change the exit code.`,
		Example: `  muster conformance --url https://scim.example.com/scim/v2 --token TOKEN
  MUSTER_TOKEN=TOKEN muster conformance --url http://127.0.0.1:8080/scim/v2 --level must
  muster conformance --only PATCH --only FILTER-02
  muster conformance --junit > conformance.xml`,
		Args: cobra.NoArgs,
		RunE: runConformance,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.String("url", "http://127.0.0.1:8080/scim/v2", "SCIM base URL (or MUSTER_URL)")
	flags.String("token", "", "bearer token (or MUSTER_TOKEN, which keeps it out of the list of processes)")
	addCA(cmd)
	flags.StringArray("only", nil, "check only numbers that begin with this, such as PATCH or FILTER-012 (may be repeated)")
	flags.StringArray("except", nil, "leave out the check with this number, where a deviation is known (may be repeated)")
	flags.String("level", "", "check only what binds at least so much: must, should or may (default may: everything)")
	flags.Bool("json", false, "print the report as JSON")
	flags.Bool("junit", false, "print the report as JUnit XML, in which a SHOULD or MAY that is not met counts as skipped")
	cmd.MarkFlagsMutuallyExclusive("json", "junit")
	return cmd
}

func runConformance(cmd *cobra.Command, _ []string) error {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return err
	}
	level, err := conformance.ParseLevel(v.GetString("level"))
	if err != nil {
		return err
	}
	only, err := cmd.Flags().GetStringArray("only")
	if err != nil {
		return err
	}
	except, err := cmd.Flags().GetStringArray("except")
	if err != nil {
		return err
	}
	secured, err := transport.Client(v.GetString("ca"), "", "")
	if err != nil {
		return err
	}
	report, err := conformance.Run(cmd.Context(), conformance.Options{
		URL: v.GetString("url"), Token: v.GetString("token"), TLS: secured, Only: only, Except: except, Level: level,
	})
	if report == nil {
		return err
	}
	write := report.WriteTable
	switch {
	case v.GetBool("json"):
		write = report.WriteJSON
	case v.GetBool("junit"):
		write = report.WriteJUnit
	}
	if err := errors.Join(err, write(cmd.OutOrStdout())); err != nil {
		return err
	}
	if !report.OK() {
		return errFailed
	}
	return nil
}
