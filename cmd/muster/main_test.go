package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A command that is typed wrong says where to look.
func TestCommand_WrongArguments(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{"unknown command \"serv\" for \"muster\"; see `muster --help`", []string{"serv"}},
		{"unknown command \"creat\" for \"muster tenant\"; see `muster tenant --help`", []string{"tenant", "creat"}},
		{"accepts 1 arg(s), received 0; see `muster tenant create --help`", []string{"tenant", "create"}},
		{"unknown flag: --htp; see `muster serve --help`", []string{"serve", "--htp"}},
		{"give both --cert and --key, or neither", []string{"tenant", "list", "--cert", "portal.crt"}},
	} {
		root := rootCommand()
		root.SetArgs(c.args)
		if err := root.ExecuteContext(t.Context()); err == nil || err.Error() != c.want {
			t.Errorf("%q: %v, want %s", c.args, err, c.want)
		}
	}
}

// The help of each command names itself and its flags as they are: what stands in
// backquotes would be shown in place of the flag's value.
func TestCommand_Help(t *testing.T) {
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Short == "" && cmd.HasParent() {
			t.Errorf("%s does not say what it does", cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: %q", cmd.CommandPath(), f.Name, f.Usage)
			}
		})
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(rootCommand())
}
