package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/muster-scim/muster/scim"
)

// ProviderKind is how a provider is spoken to.
type ProviderKind string

// The kinds of providers.
const (
	OIDC ProviderKind = "oidc"
	SAML ProviderKind = "saml"
)

// SignInProvider is an outside service that operators of a tenant sign in with.
type SignInProvider struct {
	ID       int64
	Name     string
	Kind     ProviderKind
	Settings ProviderSettings
	Created  time.Time
}

// ProviderSettings are what is decided of a provider.
type ProviderSettings struct {
	DisplayName string        `json:"displayName,omitempty"`
	Roles       []RoleMapping `json:"roles,omitempty"`

	Issuer   string   `json:"issuer,omitempty"`   // oidc
	ClientID string   `json:"clientId,omitempty"` // oidc
	Scopes   []string `json:"scopes,omitempty"`   // oidc

	Metadata          string `json:"metadata,omitempty"`          // saml
	EntityID          string `json:"entityId,omitempty"`          // saml
	AllowIDPInitiated bool   `json:"allowIdpInitiated,omitempty"` // saml
}

// RoleMapping gives a role to whom an attribute has a value.
type RoleMapping struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Role      Role   `json:"role"`
}

// maxProviders is the most providers of a tenant.
const maxProviders = 20

// state is what events say of a provider. Of metadata they have a hash.
func (p *SignInProvider) state() map[string]any {
	settings := p.Settings
	s := map[string]any{"kind": p.Kind}
	if settings.Metadata != "" {
		sum := sha256.Sum256([]byte(settings.Metadata))
		settings.Metadata, s["metadataSHA256"] = "", hex.EncodeToString(sum[:])
	}
	s["settings"] = json.RawMessage(mustJSON(settings))
	return s
}

const providerColumns = "id, name, kind, settings, created_at"

func (p *SignInProvider) scan(scan scan) error {
	var settings string
	var created int64
	if err := scan(&p.ID, &p.Name, (*string)(&p.Kind), &settings, &created); err != nil {
		return err
	}
	p.Created = time.UnixMilli(created)
	return json.Unmarshal([]byte(settings), &p.Settings)
}

// SignInProviders lists the tenant's providers by name.
func (t Tenant) SignInProviders(ctx context.Context) (all []SignInProvider, err error) {
	st := t.store.statement()
	st.add("SELECT "+providerColumns+" FROM sign_in_providers WHERE tenant_id = ", arg{t.id}, " ORDER BY name")
	err = t.store.read(ctx, st, func(scan scan) error {
		var p SignInProvider
		err := p.scan(scan)
		all = append(all, p)
		return err
	})
	return all, err
}

// SignInProvider finds one of the tenant's providers. It fails with NotFound.
func (t Tenant) SignInProvider(ctx context.Context, name string) (SignInProvider, error) {
	return t.findProvider(ctx, t.store, name)
}

func (t Tenant) findProvider(ctx context.Context, r reader, name string) (p SignInProvider, err error) {
	st := t.store.statement()
	st.add("SELECT "+providerColumns+" FROM sign_in_providers WHERE tenant_id = ", arg{t.id}, " AND name = ", arg{name})
	err = r.read(ctx, st, p.scan)
	if err == nil && p.ID == 0 {
		err = scim.Errorf(scim.NotFound, "there is no provider %.80q", name)
	}
	return p, err
}

// SetSignInProvider makes a provider, or changes the one of that name; that ends the
// sessions which began with it, but for the one with the id spare. It fails with
// InvalidValue for a name that is none, and with Conflict where the tenant has very
// many.
func (t Tenant) SetSignInProvider(ctx context.Context, p SignInProvider, spare int64) (SignInProvider, error) {
	if !validName.MatchString(p.Name) {
		return p, scim.Errorf(scim.InvalidValue, "the name of a provider is of at most 64 letters, digits and . _ @ -, and begins with a letter or digit").At("name")
	}
	err := t.write(ctx, func(ctx context.Context, tx tx) error {
		before, err := t.findProvider(ctx, tx, p.Name)
		if scim.ReasonOf(err) == scim.NotFound {
			return t.addProvider(ctx, tx, &p)
		}
		if err != nil {
			return err
		}
		p.ID, p.Created = before.ID, before.Created
		if stateChanges(before.state(), p.state()) == "" {
			return nil
		}
		for _, st := range []*statement{
			t.store.statement().add("UPDATE sign_in_providers SET kind = ", arg{string(p.Kind)}, ", settings = ", arg{string(mustJSON(p.Settings))}, " WHERE id = ", arg{p.ID}),
			t.store.statement().add("DELETE FROM sessions WHERE provider_id = ", arg{p.ID}, " AND id <> ", arg{spare}),
		} {
			if err := tx.write(ctx, st); err != nil {
				return err
			}
		}
		return t.store.auditState(ctx, tx, before.state(), p.state())
	})
	return p, err
}

func (t Tenant) addProvider(ctx context.Context, tx tx, p *SignInProvider) error {
	has, at := 0, now()
	count := t.store.statement().add("SELECT COUNT(*) FROM sign_in_providers WHERE tenant_id = ", arg{t.id})
	if err := tx.read(ctx, count, func(scan scan) error { return scan(&has) }); err != nil {
		return err
	}
	if has >= maxProviders {
		return scim.Errorf(scim.Conflict, "the tenant has %d providers; delete some first", has)
	}
	st := t.store.statement()
	st.add("INSERT INTO sign_in_providers (tenant_id, name, kind, settings, created_at) VALUES (", arg{t.id}, ", ", arg{p.Name}, ", ", arg{string(p.Kind)}, ", ",
		arg{string(mustJSON(p.Settings))}, ", ", arg{at}, ") RETURNING id")
	if err := tx.read(ctx, st, func(scan scan) error { return scan(&p.ID) }); err != nil {
		return err
	}
	p.Created = time.UnixMilli(at)
	return t.store.auditState(ctx, tx, nil, p.state())
}

// DeleteSignInProvider removes a provider, and the sessions which began with it. It
// fails with NotFound.
func (t Tenant) DeleteSignInProvider(ctx context.Context, name string) error {
	return t.write(ctx, func(ctx context.Context, tx tx) error {
		p, err := t.findProvider(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := tx.write(ctx, t.store.statement().add("DELETE FROM sign_in_providers WHERE id = ", arg{p.ID})); err != nil { // and its sessions
			return err
		}
		return t.store.auditState(ctx, tx, p.state(), nil)
	})
}
