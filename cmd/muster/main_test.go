package main

import "testing"

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
