package store

import (
	"context"
	"errors"
	"fmt"

	entdialect "entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/muster-scim/muster/ent"
)

// openPostgres opens a pool of connections. The parameters of pgxpool, such as
// pool_max_conns, may stand in the URL.
func openPostgres(ctx context.Context, url string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("the URL of the database cannot be read; it looks like postgres://USER:PASSWORD@HOST:5432/NAME, with special characters percent-encoded")
	}
	config.MaxConns = max(config.MaxConns, 16)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("the database cannot be reached; is it running, and are host, user, password and name right? %w", err)
	}
	view := stdlib.OpenDBFromPool(pool)
	return &Store{
		dialect: postgres,
		client:  ent.NewClient(ent.Driver(entsql.OpenDB(entdialect.Postgres, view))),
		turns:   newTurns(),
		pool:    pool,
		view:    view,
	}, nil
}
