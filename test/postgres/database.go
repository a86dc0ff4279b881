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

// The database of which those of Filled are copies.
const filled = "muster_test_filled"

var (
	fillOnce sync.Once
	unfilled error
)

// URL returns the URL of an empty database for one test, dropped when the test
// ends. It is on the server that MUSTER_TEST_POSTGRES names, or else on a private
// one that lives as long as the test process. Where there is neither the test is
// skipped, loudly; MUSTER_TEST_POSTGRES_REQUIRED makes that a failure.
func URL(tb testing.TB) string {
	tb.Helper()
	needServer(tb)
	return create(tb, "")
}

// Filled is URL of a database that has what fill puts into an empty one. A test process
// fills one and copies it for each test, which costs less than filling each: so fill
// must be the same each time, and leave no connection behind. On a server that
// MUSTER_TEST_POSTGRES names each is filled, for nobody would drop the one to copy.
func Filled(tb testing.TB, fill func(url string) error) string {
	tb.Helper()
	needServer(tb)
	if os.Getenv("MUSTER_TEST_POSTGRES") != "" {
		u := create(tb, "")
		if err := fill(u); err != nil {
			tb.Fatal(err)
		}
		return u
	}
	fillOnce.Do(func() {
		if unfilled = execute(context.Background(), server, "CREATE DATABASE "+filled); unfilled == nil {
			unfilled = fill(urlOf(filled))
		}
	})
	if unfilled != nil {
		tb.Fatal(unfilled)
	}
	return create(tb, " TEMPLATE "+filled)
}

func needServer(tb testing.TB) {
	tb.Helper()
	start.Do(startServer)
	if startup != nil {
		if errors.Is(startup, ErrNotFound) && os.Getenv("MUSTER_TEST_POSTGRES_REQUIRED") == "" {
			tb.Skip("NOT TESTED ON POSTGRESQL: ", startup)
		}
		tb.Fatal(startup)
	}
}

// create makes the database of one test, with options as SQL has them.
func create(tb testing.TB, options string) (url string) {
	tb.Helper()
	name := fmt.Sprintf("muster_test_%d_%d", os.Getpid(), count.Add(1))
	ctx := context.Background()
	if err := execute(ctx, server, "CREATE DATABASE "+name+options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := execute(ctx, server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return urlOf(name)
}

// urlOf is the URL of a database of the server.
func urlOf(name string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // it was connected to
	}
	u.Path = "/" + name
	return u.String()
}

func startServer() {
	if server = os.Getenv("MUSTER_TEST_POSTGRES"); server != "" {
		return
	}
	// No test takes the machine's power away, so none has to wait for the disk: what
	// reached the kernel outlives any process.
	server, _, startup = Start(context.Background(), os.TempDir(), "fsync=off", "full_page_writes=off")
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
