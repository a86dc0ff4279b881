package server

import (
	"context"
	"math"

	"github.com/alexedwards/argon2id"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// The cost of a hash: OWASP's first choice for argon2id. Two at once use 38 MiB.
var hashCost = &argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

const (
	hashesAtOnce = 2
	// maxPassword is the most bytes of a password. Other secrets, such as a voucher
	// in PEM, may be as long as any text.
	maxPassword = 1024
)

// passwords hashes passwords and other write-only values, a few at once, before any transaction begins.
type passwords struct{ turns *store.Turns }

func newPasswords() passwords { return passwords{store.NewTurns(hashesAtOnce, math.MaxInt)} }

// hash makes the hash of a password. present is the hash of the present one, or
// "": where it is of the same password the result is "", for nothing changes.
func (p passwords) hash(ctx context.Context, attr *scim.Attribute, plain, present string) (string, error) {
	if !attr.Registered() && len(plain) > maxPassword {
		return "", scim.Errorf(scim.InvalidValue, "%s has at most %d bytes", attr.Path, maxPassword).At(attr.Path)
	}
	done, err := p.turns.Take(ctx, tenantOf(ctx).ID(), hashesAtOnce, 0)
	if err != nil {
		return "", err
	}
	defer done()
	if present != "" {
		same, err := argon2id.ComparePasswordAndHash(plain, present)
		if same || err != nil {
			return "", err
		}
	}
	return argon2id.CreateHash(plain, hashCost)
}
