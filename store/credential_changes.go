package store

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/muster-scim/muster/ent"
	"github.com/muster-scim/muster/ent/credential"
	"github.com/muster-scim/muster/scim"
)

// previewMode is what the column mode has for a preview credential.
const previewMode = "preview"

// HasSecret tells whether a secret of our making proves the credential.
func (c *Credential) HasSecret() bool {
	switch c.Kind {
	case Certificate, Issuer:
		return false
	case OAuth:
		return c.Settings.JWKS == ""
	case Bearer, Basic, Direct:
	}
	return true
}

// AddCredential makes a credential, whose secret has the SHA-256 hash; nil: it has
// none. It fails with InvalidValue for a name that is none, and with Uniqueness where
// the tenant has a credential of that name, or another credential the lookup.
func (t Tenant) AddCredential(ctx context.Context, c Credential, hash []byte) error {
	if !validName.MatchString(c.Name) {
		return scim.Errorf(scim.InvalidValue, "the name of a credential is of at most 64 letters, digits and . _ @ -").At("name")
	}
	tx, err := t.store.client.Tx(ctx)
	if err != nil {
		return err
	}
	if err := addCredential(ctx, tx, t.id, c, hash); err != nil {
		_ = tx.Rollback()
		if !ent.IsConstraintError(err) {
			return err
		}
		found, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id), credential.Name(c.Name)).Exist(ctx)
		switch {
		case err != nil:
			return err
		case found:
			return scim.Errorf(scim.Uniqueness, "there is a credential %s already; revoke it, or choose another name", c.Name).At("name")
		}
		return errSameProof
	}
	if err := auditThrough(ctx, tx, stateChanges(nil, c.state())); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

var errSameProof = scim.Errorf(scim.Uniqueness, "another credential is proved by the same; revoke it, or change it")

func addCredential(ctx context.Context, tx *ent.Tx, tenant int64, c Credential, hash []byte) error {
	create := tx.Credential.Create().SetTenantID(tenant).SetName(c.Name).SetKind(string(c.Kind)).
		SetScopes(strings.Join(c.Scopes, " ")).SetCreatedAt(now()).SetNillableLookup(nilIfEmpty(c.Lookup))
	if c.Preview {
		create.SetMode(previewMode)
	}
	if len(c.Networks) > 0 {
		create.SetNetworks(joinPrefixes(c.Networks))
	}
	if !c.Expires.IsZero() {
		create.SetExpiresAt(c.Expires.UnixMilli())
	}
	settings, err := settingsText(c.Settings)
	if err != nil {
		return err
	}
	made, err := create.SetNillableSettings(nilIfEmpty(settings)).Save(ctx)
	if err != nil || hash == nil {
		return err
	}
	return tx.Token.Create().SetCredentialID(made.ID).SetPurpose(purposeSecret).SetHash(hash).SetCreatedAt(now()).Exec(ctx)
}

func joinPrefixes(all []netip.Prefix) string {
	texts := make([]string, len(all))
	for i, prefix := range all {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, " ")
}

// Credentials lists the tenant's credentials by name.
func (t Tenant) Credentials(ctx context.Context) ([]Credential, error) {
	rows, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id)).Order(credential.ByName()).All(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]Credential, len(rows))
	for i, row := range rows {
		if all[i], err = credentialOf(row); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func credentialOf(row *ent.Credential) (Credential, error) {
	c := Credential{Name: row.Name, Kind: Kind(row.Kind), Scopes: strings.Fields(row.Scopes), Created: time.UnixMilli(row.CreatedAt)}
	c.understand(row.Mode, row.Networks, row.Lookup, row.ExpiresAt)
	if row.LastUsedAt != nil {
		c.LastUsed.Time = time.UnixMilli(*row.LastUsedAt)
	}
	if row.LastUsedFrom != nil {
		c.LastUsed.Address = *row.LastUsedFrom
	}
	if row.LastUsedBy != nil {
		c.LastUsed.Client = *row.LastUsedBy
	}
	if row.Settings == nil {
		return c, nil
	}
	return c, json.Unmarshal([]byte(*row.Settings), &c.Settings)
}

// Credential finds one of the tenant's credentials. It fails with NotFound.
func (t Tenant) Credential(ctx context.Context, name string) (Credential, error) {
	row, err := t.store.client.Credential.Query().Where(credential.TenantID(t.id), credential.Name(name)).Only(ctx)
	if ent.IsNotFound(err) {
		err = noCredential(name)
	}
	if err != nil {
		return Credential{}, err
	}
	return credentialOf(row)
}

func noCredential(name string) error {
	return scim.Errorf(scim.NotFound, "there is no credential %.80q", name)
}

// UpdateCredential changes the scopes, the mode, the networks, the expiry, the
// lookup and the settings of a credential, with effect from the next request on
// every server. Other scopes end the tokens that OAuth issued to it, and keys of its
// own its secrets. change may run more than once. It fails with NotFound, with
// Uniqueness where another credential has the lookup, and as change does.
func (t Tenant) UpdateCredential(ctx context.Context, name string, change func(*Credential) error) (c Credential, err error) {
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		id, before, err := t.lockCredential(ctx, tx, name)
		if err != nil {
			return err
		}
		c = before
		if err := change(&c); err != nil {
			return err
		}
		if err := t.writeCredential(ctx, tx, id, &c); err != nil {
			return err
		}
		if err := t.store.auditState(ctx, tx, before.state(), c.state()); err != nil {
			return err
		}
		if !slices.Equal(before.Scopes, c.Scopes) {
			if err := tx.write(ctx, t.store.statement().add("DELETE FROM tokens WHERE credential_id = ", arg{id}, " AND purpose IN ('"+purposeAccess+"', '"+purposeRefresh+"', '"+purposeCode+"')")); err != nil {
				return err
			}
		}
		if c.Settings.JWKS == "" {
			return nil
		}
		return tx.write(ctx, t.store.statement().add("DELETE FROM tokens WHERE credential_id = ", arg{id}, " AND purpose = '"+purposeSecret+"'"))
	})
	if errors.Is(err, errTaken) {
		err = errSameProof
	}
	return c, err
}

// lockCredential reads a credential that this transaction will write.
func (t Tenant) lockCredential(ctx context.Context, tx tx, name string) (id int64, c Credential, err error) {
	st := t.store.statement()
	st.add("SELECT id, name, kind, scopes, created_at, mode, networks, expires_at, lookup, settings, last_used_at, last_used_from, last_used_by"+
		" FROM credentials WHERE tenant_id = ", arg{t.id}, " AND name = ", arg{name})
	if t.store.dialect == postgres {
		st.add(" FOR NO KEY UPDATE")
	}
	var row ent.Credential
	err = tx.read(ctx, st, func(scan scan) error {
		return scan(&row.ID, &row.Name, &row.Kind, &row.Scopes, &row.CreatedAt, &row.Mode, &row.Networks, &row.ExpiresAt, &row.Lookup,
			&row.Settings, &row.LastUsedAt, &row.LastUsedFrom, &row.LastUsedBy)
	})
	if err == nil && row.ID == 0 {
		err = noCredential(name)
	}
	if err != nil {
		return 0, Credential{}, err
	}
	c, err = credentialOf(&row)
	return row.ID, c, err
}

// writeCredential writes what can change of a credential.
func (t Tenant) writeCredential(ctx context.Context, tx tx, id int64, c *Credential) error {
	settings, err := settingsText(c.Settings)
	if err != nil {
		return err
	}
	var mode, expires any
	if c.Preview {
		mode = previewMode
	}
	if !c.Expires.IsZero() {
		expires = c.Expires.UnixMilli()
	}
	st := t.store.statement()
	st.add("UPDATE credentials SET scopes = ", arg{strings.Join(c.Scopes, " ")}, ", mode = ", arg{mode}, ", networks = ", arg{textOrNull(joinPrefixes(c.Networks))},
		", expires_at = ", arg{expires}, ", lookup = ", arg{textOrNull(c.Lookup)}, ", settings = ", arg{textOrNull(settings)}, " WHERE id = ", arg{id})
	return tx.write(ctx, st)
}

// RotateCredential gives a credential another secret, with the SHA-256 hash. Its
// present ones stay valid for the overlap; none: they end at once. It fails with
// NotFound, and with Conflict for a credential that has no secret.
func (t Tenant) RotateCredential(ctx context.Context, name string, hash [32]byte, overlap time.Duration) (c Credential, err error) {
	err = t.write(ctx, func(ctx context.Context, tx tx) error {
		var id int64
		if id, c, err = t.lockCredential(ctx, tx, name); err != nil {
			return err
		}
		if !c.HasSecret() {
			return scim.Errorf(scim.Conflict, "the credential %s has no secret that could be rotated", name)
		}
		at := now()
		ends := at + overlap.Milliseconds()
		st := t.store.statement().add("UPDATE tokens SET expires_at = ", arg{ends}, " WHERE credential_id = ", arg{id}, " AND purpose = '"+purposeSecret+"'",
			" AND (expires_at IS NULL OR expires_at > ", arg{ends}, ")")
		if err := tx.write(ctx, st); err != nil {
			return err
		}
		if err := t.store.rememberTokens(ctx, tx, true, "k.credential_id = ", arg{id}, " AND k.purpose = '"+purposeSecret+"' AND k.expires_at <= ", arg{at}); err != nil {
			return err
		}
		for _, st := range []*statement{
			t.store.statement().add("DELETE FROM tokens WHERE credential_id = ", arg{id}, " AND purpose = '"+purposeSecret+"' AND expires_at <= ", arg{at}),
			t.store.statement().add("INSERT INTO tokens (credential_id, purpose, hash, created_at) VALUES (", arg{id}, ", '"+purposeSecret+"', ", arg{hash[:]}, ", ", arg{at}, ")"),
		} {
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return t.store.audit(ctx, tx, "", "", "", aSecret)
	})
	return c, err
}

// RevokeCredential removes a credential and its tokens. No request that comes after
// it is let in. It fails with NotFound.
func (t Tenant) RevokeCredential(ctx context.Context, name string) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		id, c, err := t.lockCredential(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := t.store.rememberTokens(ctx, tx, false, "k.credential_id = ", arg{id}, " AND k.purpose IN ('"+purposeSecret+"', '"+purposeAccess+"')"); err != nil {
			return err
		}
		if err := tx.write(ctx, t.store.statement().add("DELETE FROM credentials WHERE id = ", arg{id})); err != nil { // and its tokens
			return err
		}
		return t.store.auditState(ctx, tx, c.state(), nil)
	})
}

func nilIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
