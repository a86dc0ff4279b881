// Package postgres starts a private PostgreSQL server for tests and benchmarks:
// on loopback, with its files in a temporary folder, thrown away afterwards.
package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound says that this machine has no PostgreSQL server programs.
var ErrNotFound = errors.New("no PostgreSQL server programs found (initdb, postgres): install PostgreSQL, or name a server in MUSTER_TEST_POSTGRES")

// script runs a server and removes its files, the folder $0, when it ends or is
// told to: also where nobody is left to do that. SIGINT is PostgreSQL's fast
// shutdown.
const script = `"$@" & server=$!
trap 'kill -INT $server' INT TERM
wait $server; wait $server
rm -rf "$0"`

// Start starts a server whose files are in a new folder below dir, and returns
// the URL of an empty database. stop ends the server. The server also ends when
// this process does, however that happens. settings are more of its own, as
// "fsync=off".
func Start(ctx context.Context, dir string, settings ...string) (url string, stop func(), err error) {
	bin, err := programs()
	if err != nil {
		return "", nil, err
	}
	owner, err := serverUser()
	if err != nil {
		return "", nil, err
	}
	data, err := makeDataDir(dir, owner)
	if err != nil {
		return "", nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return "", nil, err
	}
	if err := initialize(ctx, owner, bin, data); err != nil {
		return "", nil, err
	}
	var log bytes.Buffer
	args := []string{"-c", script, data, filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(port), "-k", data}
	for _, setting := range append([]string{"shared_buffers=128MB", "max_connections=200", "max_wal_size=2GB"}, settings...) {
		args = append(args, "-c", setting)
	}
	server := command(context.WithoutCancel(ctx), owner, "/bin/sh", args...)
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = server.Process.Signal(syscall.SIGTERM)
		_ = server.Wait()
		_ = os.RemoveAll(data)
	}
	url = fmt.Sprintf("postgres://muster@127.0.0.1:%d/postgres?sslmode=disable", port)
	if err := await(ctx, url); err != nil {
		stop()
		return "", nil, fmt.Errorf("PostgreSQL does not start: %w: %s", err, log.String())
	}
	return url, stop, nil
}

// initialize makes the files of a server. Its locale sorts as people do, where
// that can be had: so a test finds SQL that relies on the order of bytes without
// saying so.
func initialize(ctx context.Context, owner *syscall.Credential, bin, data string) error {
	initdb := func(locale ...string) ([]byte, error) {
		return command(ctx, owner, filepath.Join(bin, "initdb"), append([]string{"--pgdata", data, "--username", "muster", "--auth", "trust",
			"--encoding", "UTF8", "--no-sync", "--no-instructions"}, locale...)...).CombinedOutput()
	}
	if _, err := initdb("--locale-provider", "icu", "--icu-locale", "en-US", "--locale", "C.UTF-8"); err == nil {
		return nil
	}
	if out, err := initdb("--locale", "C"); err != nil { // before version 15, or without ICU
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	return nil
}

// programs finds the folder of initdb and postgres: in the path, or where Debian
// puts them.
func programs() (string, error) {
	candidates, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		candidates = append(candidates, path)
	}
	for _, path := range candidates {
		if path, err = filepath.EvalSymlinks(path); err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	return "", ErrNotFound
}

// serverUser is whom the server runs as where it may not run as we do: it
// refuses root.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil //nolint:nilnil // nobody else
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL refuses to run as root, and there is no user postgres: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// makeDataDir makes an empty folder that the server may write and everybody may
// walk through to.
func makeDataDir(dir string, owner *syscall.Credential) (string, error) {
	data, err := os.MkdirTemp(dir, "postgres-")
	if err != nil || owner == nil {
		return data, err
	}
	for at := filepath.Dir(data); at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o711); err != nil { // to be walked through, not read
			return "", err
		}
	}
	return data, os.Chown(data, int(owner.Uid), int(owner.Gid))
}

// command makes a command of the server's user that dies with this process.
func command(ctx context.Context, owner *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner, Pdeathsig: syscall.SIGTERM}
	return cmd
}

func freePort(ctx context.Context) (int, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func await(ctx context.Context, url string) error {
	var err error
	for range 200 {
		var conn *pgx.Conn
		if conn, err = pgx.Connect(ctx, url); err == nil {
			return conn.Close(ctx)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
