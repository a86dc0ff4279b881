package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// The server of this test process, started when the first test needs it.
var (
	start   sync.Once
	server  string
	startup error
	count   atomic.Int64
)

// URL returns the URL of an empty database for one test, dropped when the test
// ends. It is on the server that MUSTER_TEST_POSTGRES names, or else on a private
// one that lives as long as the test process. Where there is neither the test is
// skipped, loudly; MUSTER_TEST_POSTGRES_REQUIRED makes that a failure.
func URL(tb testing.TB) string {
	tb.Helper()
	start.Do(startServer)
	if startup != nil {
		if errors.Is(startup, ErrNotFound) && os.Getenv("MUSTER_TEST_POSTGRES_REQUIRED") == "" {
			tb.Skip("NOT TESTED ON POSTGRESQL: ", startup)
		}
		tb.Fatal(startup)
	}
	name := fmt.Sprintf("muster_test_%d_%d", os.Getpid(), count.Add(1))
	ctx := context.Background()
	if err := execute(ctx, server, "CREATE DATABASE "+name); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}

func startServer() {
	if server = os.Getenv("MUSTER_TEST_POSTGRES"); server != "" {
		return
	}
	server, _, startup = Start(context.Background(), os.TempDir())
	if errors.Is(startup, ErrNotFound) {
		fmt.Fprintf(os.Stderr, "\n%s\nNOT TESTED ON POSTGRESQL: %v\n%[1]s\n\n", strings.Repeat("*", 80), startup)
	}
}

func execute(ctx context.Context, url, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}
