package store

import (
	"context"
	"math"
)

// shares are what tenants share of the database. Each has its fair part, and none
// can take all: what is left, and what only reads by a key or finds out who is
// calling, never waits for long queries or many writes of others.
type shares struct {
	searches share // queries of lists, of which some take long
	writes   share // on PostgreSQL; on SQLite the writer itself is fair
	large    share // answers with many links; they fill the memory
}

// newShares says how many searches and writes there are at once.
func newShares(searches, writes int) shares {
	return shares{searches: newShare(searches), writes: newShare(writes), large: newShare(3)}
}

// A share is turns of which some are always left for other tenants.
type share struct {
	turns *Turns
	each  int
}

// newShare leaves a fifth to others, and one turn at least.
func newShare(total int) share {
	return share{NewTurns(total, math.MaxInt), max(total-max(total/5, 1), 1)}
}

// take waits for a turn of a tenant.
func (s share) take(ctx context.Context, tenant int64) (done func(), err error) {
	return s.turns.Take(ctx, tenant, s.each, 0)
}
