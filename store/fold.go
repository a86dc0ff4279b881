package store

import (
	"database/sql/driver"

	modernc "modernc.org/sqlite"

	"github.com/muster-scim/muster/scim"
)

// The SQL function muster_fold is scim.Fold in both databases, so that a filter
// finds what Match would. On PostgreSQL a migration makes it.
func init() { //nolint:gochecknoinits // a driver's functions are registered before its first connection
	modernc.MustRegisterDeterministicScalarFunction("muster_fold", 1, func(_ *modernc.FunctionContext, args []driver.Value) (driver.Value, error) {
		text, ok := args[0].(string)
		if !ok {
			return nil, nil //nolint:nilnil // NULL stays NULL
		}
		return scim.Fold(text), nil
	})
}
