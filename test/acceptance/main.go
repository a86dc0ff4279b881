// Command acceptance starts the built program as an administrator would, on an
// empty SQLite database and on an empty PostgreSQL one, and plays CyberArk
// Identity against each, twice. It is part of .ci/run and needs bin/muster.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
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
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "acceptance:", err)
		os.Exit(1) //nolint:gocritic // the deferred stop does nothing that outlives the process
	}
}

func run(ctx context.Context) error {
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
		if err := accept(ctx, database); err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

// accept migrates, serves, simulates twice, and stops the server gracefully.
func accept(ctx context.Context, database string) error {
	if err := command(ctx, database, "migrate").Run(); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	serve := command(ctx, database, "serve", "--http", addr, "--grpc", "127.0.0.1:0", "--log-level", "warn")
	if err := serve.Start(); err != nil {
		return err
	}
	base := "http://" + addr + "/scim/v2"
	err = awaitServer(ctx, base)
	for range 2 {
		if err == nil {
			err = command(ctx, database, "simulate", "cyberark", "--url", base, "--token", token).Run()
		}
	}
	if signalled := serve.Process.Signal(syscall.SIGTERM); err == nil {
		err = signalled
	}
	if stopped := serve.Wait(); err == nil && stopped != nil {
		err = fmt.Errorf("serve did not stop well: %w", stopped)
	}
	return err
}

func command(ctx context.Context, database string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
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
