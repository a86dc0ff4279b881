package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/muster-scim/muster/server"
)

// The commands of an administrator are clients of the gRPC services: those of a
// running server, or of one in this very process that works on the database.

// whereHelp is how their help says which.
const whereHelp = `

It asks a running server where a token is given (--token or MUSTER_TOKEN, of a
credential with the scope admin) or a client certificate (--cert and --key), at the
address of --grpc; elsewhere than on loopback in TLS. Otherwise it works on
the database itself (--data or --database; ./data if neither is given), whether a
server runs on it or not: who can open the database needs no token. A change has
effect with the next request, on every server.`

// agent is what the audit log calls these commands.
const agent = "muster command line"

// addDial gives a command the flags of ask.
func addDial(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String("token", "", "ask a running server, with this token (or MUSTER_TOKEN, which keeps it out of the list of processes)")
	addSettings(cmd, "grpc", "data", "database")
	addTransport(cmd)
	flags.Lookup("grpc").Usage = "address of the running server"
	flags.Lookup("data").Usage = "folder of the embedded database, to work on it directly"
	flags.Lookup("database").Usage = "database, to work on it directly: postgres://USER:PASSWORD@HOST/NAME or sqlite://PATH"
}

// addTenant gives a command the flag that names a tenant.
func addTenant(cmd *cobra.Command) *string {
	return cmd.Flags().String("tenant", "", "tenant (default: that of the token; on the database itself, "+server.DefaultTenant+")")
}

// An adminCall is what a command of an administrator asks of a service, with the flags
// that all of them have.
type adminCall[C any] struct {
	cmd    *cobra.Command
	client C
	tenant string
	args   []string
	asJSON bool
}

// withCall gives a command the flags of ask, --tenant and --json, and what it does.
func withCall[C any](cmd *cobra.Command, newClient func(grpc.ClientConnInterface) C, do func(ctx context.Context, c adminCall[C]) error) *cobra.Command {
	cmd.Flags().SortFlags = false
	tenant, asJSON := addTenant(cmd), addJSON(cmd)
	addDial(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return ask(cmd, func(ctx context.Context, conn grpc.ClientConnInterface) error {
			return do(ctx, adminCall[C]{cmd, newClient(conn), *tenant, args, *asJSON})
		})
	}
	return cmd
}

// tell prints an answer as JSON, or in words where that is not asked for.
func (c adminCall[C]) tell(answer proto.Message, format string, args ...any) error {
	if c.asJSON {
		return printJSON(c.cmd.OutOrStdout(), answer)
	}
	_, err := fmt.Fprintf(c.cmd.OutOrStdout(), format+"\n", args...)
	return err
}

// ask runs f on the connection that the flags of a command name. ctx says who is
// calling.
func ask(cmd *cobra.Command, f func(ctx context.Context, conn grpc.ClientConnInterface) error) error {
	ctx, conn, hangUp, err := dial(cmd)
	if err != nil {
		return err
	}
	return errors.Join(explain(f(ctx, conn)), hangUp())
}

// dial connects to a running server, or to one in this process.
func dial(cmd *cobra.Command) (ctx context.Context, conn grpc.ClientConnInterface, hangUp func() error, err error) {
	v, err := newViper(cmd.Flags())
	if err != nil {
		return nil, nil, nil, err
	}
	token := strings.TrimSpace(v.GetString("token"))
	remote, err := asksServer(cmd, token != "" || v.GetString("cert") != "")
	if err != nil {
		return nil, nil, nil, err
	}
	if !remote {
		return dialDatabase(cmd)
	}
	if (v.GetString("cert") == "") != (v.GetString("key") == "") {
		return nil, nil, nil, errors.New("give both --cert and --key, or neither")
	}
	if token == "" && v.GetString("cert") == "" {
		return nil, nil, nil, errors.New("give --token or MUSTER_TOKEN, or --cert and --key, of a credential with the scope admin (`muster credential create` on the database makes one), or the database with --data or --database")
	}
	transport, err := transportTo(v, v.GetString("grpc"))
	if err != nil {
		return nil, nil, nil, err
	}
	socket, err := grpc.NewClient(v.GetString("grpc"), grpc.WithTransportCredentials(transport), grpc.WithUserAgent(agent))
	if err != nil {
		return nil, nil, nil, err
	}
	ctx = cmd.Context()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	hangUp = func() error { _ = socket.Close(); return nil } // what it did is done
	return ctx, socket, hangUp, nil
}

// asksServer tells whether a command asks a running server; shows: there is something
// to show to one. Flags say so first, then the environment.
func asksServer(cmd *cobra.Command, shows bool) (bool, error) {
	changed := func(names ...string) bool { return slices.ContainsFunc(names, cmd.Flags().Changed) }
	remote, direct := changed("grpc", "token", "tls", "ca", "cert", "key", "plaintext"), changed("data", "database")
	switch {
	case remote && direct:
		return false, errors.New("give --grpc and --token to ask a running server, or --data or --database to work on the database itself; not both")
	case remote || direct:
		return remote, nil
	case changed("config"), os.Getenv("MUSTER_DATABASE") != "", os.Getenv("MUSTER_DATA") != "":
		return false, nil
	}
	return shows, nil
}

// dialDatabase opens the database, and connects to a server on it that listens
// nowhere.
func dialDatabase(cmd *cobra.Command) (ctx context.Context, conn grpc.ClientConnInterface, hangUp func() error, err error) {
	c, err := loadConfig(cmd.Flags())
	if err != nil {
		return nil, nil, nil, err
	}
	if path, embedded := strings.CutPrefix(c.databaseURL(), "sqlite://"); embedded {
		path, _, _ = strings.Cut(path, "?")
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, nil, nil, fmt.Errorf("there is no database at %s: `muster serve` makes it; or give another with --data or --database, or ask a running server with --grpc and MUSTER_TOKEN", path)
		}
	}
	s, err := openStore(cmd.Context(), c)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := s.CheckSchema(cmd.Context()); err != nil {
		_ = s.Close() // the first error is the one that helps
		return nil, nil, nil, err
	}
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
	core := server.New(s, server.Options{Log: log})
	hangUp = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), drainTime)
		defer cancel()
		return errors.Join(core.Shutdown(ctx), s.Close())
	}
	return metadata.AppendToOutgoingContext(cmd.Context(), "muster-agent", agent, "muster-operator", userName()), core.LocalConn(), hangUp, nil
}

// userName is what the operating system calls who runs the command, for the audit log.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

// explain makes of an error what helps the operator.
func explain(err error) error {
	s, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	ours := false
	for _, detail := range s.Details() {
		_, isReason := detail.(*errdetails.ErrorInfo)
		ours = ours || isReason
	}
	switch {
	case s.Code() == codes.Unavailable && !ours:
		return fmt.Errorf("the server does not answer: %s; start it, give its address with --grpc (and --tls or --ca, if it speaks TLS), or work on the database itself with --data or --database", s.Message())
	case s.Code() == codes.Unimplemented && !ours:
		return fmt.Errorf("the server does not know this command: %s; it may be older than this program", s.Message())
	}
	return errors.New(s.Message())
}

// forPeople is a time as operators read it; the zero time as word.
func forPeople(t time.Time, word string) string {
	if t.IsZero() {
		return word
	}
	return t.Local().Format(time.DateTime) //nolint:gosmopolitan // for the operator's eyes
}
