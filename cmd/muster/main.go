// Command muster is a SCIM 2.0 provisioning server: provisioning clients write
// users and groups over REST, and internal services read them over gRPC.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	if err := keepMemory(); err != nil { // a system may forbid it; nothing else depends on it
		fmt.Fprintf(os.Stderr, "muster: secrets in memory may reach core files: %v\n", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errFailed is returned by a command that has already told what failed.
var errFailed = errors.New("failed")

// execute runs the command line and returns the exit code: 0 for success, 1 for
// anything else. It ends early, and gracefully, when ctx does.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := rootCommand() //nolint:contextcheck // commands get theirs from cobra
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errFailed) {
		fmt.Fprintf(stderr, "muster: %v\n", err)
	}
	return 1
}

const rootHelp = `Muster keeps the users and groups that a provisioning system (CyberArk
Identity, or any other SCIM 2.0 client) writes, and serves them to a company's
own services over gRPC.

Start it, and it prints what to type into the provisioning system:

  muster serve

Check it, as CyberArk Identity would use it:

  muster simulate cyberark --url http://127.0.0.1:8080/scim/v2 --token TOKEN

Administer it, on its database or with the token of an administrator from anywhere:

  muster credential create ops --scope admin
  muster tenant list`

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "muster",
		Short:         "A SCIM 2.0 provisioning server",
		Long:          rootHelp,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
	})
	root.AddCommand(serveCommand(), migrateCommand(), configCommand(), tenantCommand(), credentialCommand(), subscriptionCommand(), recordingCommand(), activityCommand(), trafficCommand(), groupsCommand(), auditCommand(), consoleCommand(), schemaCommand(), conformanceCommand(), simulateCommand(), versionCommand())
	pointToHelp(root)
	return root
}

// pointToHelp makes a command, and those below it, say where their arguments are
// explained when these are wrong.
func pointToHelp(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())
			}
			return nil
		}
	}
	for _, below := range cmd.Commands() {
		pointToHelp(below)
	}
}
