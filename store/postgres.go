package store

import (
	"context"
	"errors"
	"fmt"

	entdialect "entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/muster-scim/muster/ent"
)

// settings are those of every connection. A statement is planned once and its
// plan kept: made while a table is new and small, it would read the whole table
// for ever, or until statistics are gathered. Every table has an index that fits,
// so reading all of one is never the plan that we mean. Compiling queries to
// machine code takes longer than ours run. docs/adr/0017-plans-on-postgresql.md says more.
const settings = "SET enable_seqscan = off; SET jit = off"

// openPostgres opens a pool of connections. The parameters of pgxpool, such as
// pool_max_conns, may stand in the URL.
func openPostgres(ctx context.Context, url string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read; it looks like postgres://USER:PASSWORD@HOST:5432/NAME, with special characters percent-encoded")
	}
	config.MaxConns = max(config.MaxConns, 20)
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, settings)
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database cannot be reached; is it running, and are host, user, password and name right? %w", err)
	}
	db := stdlib.OpenDBFromPool(pool)
	return &Store{
		dialect:  postgres,
		client:   ent.NewClient(ent.Driver(entsql.OpenDB(entdialect.Postgres, db))),
		shares:   newShares(int(config.MaxConns)*3/10, int(config.MaxConns)/2),
		follower: newFollower(),
		pool:     pool,
		db:       db,
	}, nil
}
