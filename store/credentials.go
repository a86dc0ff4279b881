package store

import (
	"context"
	"errors"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/scim"
)

// Tenant is a handle on the data of one tenant. Every method on resources hangs
// on it, so that code which forgets whose data it means does not compile.
type Tenant struct {
	store *Store
	id    int64
}

// Principal is who is calling.
type Principal struct {
	Tenant     Tenant
	TenantName string
	// Credential is the name of the credential, for logs.
	Credential string
}

// Bootstrap makes the first tenant, with one bearer credential whose secret has
// the SHA-256 secretHash. Where the database has a tenant already it does
// nothing, and created is false; of several programs that start at once one
// creates.
func (s *Store) Bootstrap(ctx context.Context, tenant, credential string, secretHash [32]byte) (created bool, err error) {
	tx, err := s.client.Tx(ctx)
	if err != nil {
		return false, err
	}
	created, err = bootstrap(ctx, tx, tenant, credential, secretHash)
	if err != nil {
		err = errors.Join(err, tx.Rollback())
		if ent.IsConstraintError(err) { // another was faster
			return false, nil
		}
		return false, err
	}
	return created, tx.Commit()
}

func bootstrap(ctx context.Context, tx *ent.Tx, tenant, credential string, secretHash [32]byte) (bool, error) {
	if found, err := tx.Tenant.Query().Exist(ctx); found || err != nil {
		return false, err
	}
	t, err := tx.Tenant.Create().SetName(tenant).SetCreatedAt(now()).Save(ctx)
	if err != nil {
		return false, err
	}
	return true, tx.Credential.Create().SetTenant(t).SetName(credential).SetKind("bearer").
		SetSecretHash(secretHash[:]).SetCreatedAt(now()).Exec(ctx)
}

// Authenticate finds the credential whose secret has the SHA-256 secretHash. It
// fails with Unauthenticated where there is none. The secret is random, so
// comparing its hash in an index tells nothing about it.
func (s *Store) Authenticate(ctx context.Context, secretHash [32]byte) (Principal, error) {
	st := s.statement()
	st.add("SELECT t.id, t.name, c.name FROM credentials c JOIN tenants t ON t.id = c.tenant_id WHERE c.secret_hash = ", arg{secretHash[:]})
	var p Principal
	err := s.read(context.WithoutCancel(ctx), st, func(scan scan) error {
		p.Tenant.store = s
		return scan(&p.Tenant.id, &p.TenantName, &p.Credential)
	})
	if err == nil && p.Tenant.store == nil {
		err = scim.Errorf(scim.Unauthenticated, "the token is not valid")
	}
	return p, err
}
