// Command bench measures Muster from outside: the program in a process of its
// own, a client with a few connections, on both databases. Next to each number
// stands a ceiling measured in the same run, since machines differ and are
// noisy: the same JSON through net/http with no work, and a bare INSERT of the
// same row. Read the ratios.
//
//	go run ./test/bench          # some minutes
//	go run ./test/bench -quick   # less of everything
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/muster-scim/muster/test/postgres"
)

// plan is how much to measure.
type plan struct {
	connections int
	round       time.Duration // of each measurement
	rounds      int           // the best one counts
	few, many   int           // how many users there are
	group       int           // how many members the large group has
	program     string
}

func main() {
	quick := flag.Bool("quick", false, "measure less of everything, in about a minute")
	program := flag.String("program", "bin/muster", "the program to measure")
	ceiling := flag.String("serve-ceiling", "", "serve the HTTP ceiling on this address (used by the program itself)")
	database := flag.String("ceiling-database", "", "insert a row there for each POST to the ceiling")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *ceiling != "" {
		exit(serveCeiling(ctx, *ceiling, *database))
	}
	p := plan{connections: 8, round: 3 * time.Second, rounds: 3, few: 1000, many: 200_000, group: 100_000, program: *program}
	if *quick {
		p.round, p.rounds, p.many, p.group = time.Second, 1, 5000, 5000
	}
	exit(run(ctx, p))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(ctx context.Context, p plan) error {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	sayf("%d connections, users of %d bytes; best of %d rounds of %s\n", p.connections, len(userBody(0)), p.rounds, p.round)
	http, err := measureHTTPCeiling(ctx, p)
	if err != nil {
		return err
	}
	if err := measureDatabase(ctx, p, http, database{"SQLite", "sqlite://" + dir + "/muster.db", "sqlite://" + dir + "/bare.db"}); err != nil {
		return err
	}
	url, stop, err := postgres.Start(ctx, dir)
	if err != nil {
		sayf("\nPostgreSQL is not measured: %v\n", err)
		return nil
	}
	defer stop()
	return measureDatabase(ctx, p, http, database{"PostgreSQL", url, url})
}

// measureDatabase prints the table of one database.
func measureDatabase(ctx context.Context, p plan, http ceilings, db database) error {
	sayf("\n%s\n", db.name)
	insert, err := openInsert(ctx, db.bare)
	if err != nil {
		return err
	}
	bare, err := p.best(ctx, insert)
	if err != nil {
		return fmt.Errorf("bare INSERT: %w", err)
	}
	sayf("  bare INSERT, no HTTP   %8.0f/s\n", bare)
	posted, err := measurePost(ctx, p, db.bare)
	if err != nil {
		return fmt.Errorf("bare INSERT through net/http: %w", err)
	}
	sayf("  the same by net/http   %8.0f/s\n", posted)
	m, err := startMuster(ctx, p.program, db.url)
	if err != nil {
		return err
	}
	defer m.stop()
	b := &bench{plan: p, muster: m, client: newClient(p.connections)}
	create, err := b.fill(ctx, p.few)
	if err != nil {
		return err
	}
	rowOfInsert(create, bare, posted)
	if err := b.reads(ctx, http); err != nil {
		return err
	}
	if create, err = b.fill(ctx, p.many); err != nil {
		return err
	}
	rowOfInsert(create, bare, posted)
	if err := b.reads(ctx, http); err != nil {
		return err
	}
	if err := b.members(ctx); err != nil {
		return err
	}
	if err := b.neighbour(ctx); err != nil {
		return err
	}
	return m.reportMemory()
}

func sayf(format string, args ...any) { fmt.Fprintf(os.Stdout, format, args...) }

// row prints one measurement and its part of a ceiling.
func row(what string, rate float64, ceiling string, of float64) {
	sayf("  %-22s %8.0f/s   %3.0f %% of %s\n", what, rate, 100*rate/of, ceiling)
}

func rowOfInsert(create, bare, posted float64) {
	sayf("  %-22s %8.0f/s   %3.0f %% of the bare INSERT, %.0f %% of it by net/http\n", "create", create, 100*create/bare, 100*create/posted)
}
