// Command acceptance starts the built program as an administrator would, on an
// empty SQLite database and on an empty PostgreSQL one, and runs commands against
// each: every argument is a line for the shell, in whose environment MUSTER_URL,
// MUSTER_ADDRESS (of gRPC) and MUSTER_TOKEN say where the server is. It needs
// bin/muster; `make acceptance` and `make conformance` are the ways to call it.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/muster-scim/muster/test/postgres"
)

const (
	program = "bin/muster"
	token   = "acceptance-token-for-a-server-on-loopback"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1) //nolint:gocritic // the deferred stop does nothing that outlives the process
	}
}

func run(ctx context.Context, commands []string) error {
	if len(commands) == 0 {
		return errors.New("no command to run against the servers")
	}
	dir, err := os.MkdirTemp("", "muster-acceptance-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	url, stop, err := postgres.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer stop()
	for _, database := range []string{"sqlite://" + filepath.Join(dir, "muster.db"), url} {
		if err := accept(ctx, database, commands); err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

// accept migrates, serves, runs the commands, and stops the server gracefully.
func accept(ctx context.Context, database string, commands []string) error {
	kind, _, _ := strings.Cut(database, ":")
	fmt.Fprintf(os.Stdout, "\n== a server on %s\n", kind)
	if err := command(ctx, database, program, "migrate").Run(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	core, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	serve := command(ctx, database, program, "serve", "--http", addr, "--grpc", core, "--log-level", "warn")
	if err := serve.Start(); err != nil {
		return err
	}
	base := "http://" + addr + "/scim/v2"
	err = errors.Join(awaitServer(ctx, base), runAll(ctx, database, base, core, commands))
	if signalled := serve.Process.Signal(syscall.SIGTERM); err == nil {
		err = signalled
	}
	if stopped := serve.Wait(); err == nil && stopped != nil {
		err = fmt.Errorf("serve did not stop well: %w", stopped)
	}
	return err
}

// runAll runs every command, also after one has failed: each says something else.
func runAll(ctx context.Context, database, base, core string, commands []string) error {
	var errs []error
	for _, line := range commands {
		fmt.Fprintf(os.Stdout, "\n$ %s\n", line)
		cmd := command(ctx, database, "sh", "-c", line)
		cmd.Env = append(cmd.Env, "MUSTER_URL="+base, "MUSTER_ADDRESS="+core, "MUSTER_TOKEN="+token)
		if err := cmd.Run(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", line, err))
		}
	}
	return errors.Join(errs...)
}

func command(ctx context.Context, database, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "MUSTER_DATABASE="+database, "MUSTER_BOOTSTRAP_TOKEN="+token)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

func awaitServer(ctx context.Context, base string) error {
	var err error
	for range 200 {
		var req *http.Request
		if req, err = http.NewRequestWithContext(ctx, http.MethodGet, base+"/ServiceProviderConfig", nil); err != nil {
			return err
		}
		var res *http.Response
		if res, err = http.DefaultClient.Do(req); err == nil {
			return res.Body.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
