package store

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/muster-scim/muster/ent"
)

// What events say of tenants and credentials, and those whose writes go through ent.

// auditThrough is audit for a transaction of ent.
func auditThrough(ctx context.Context, tx *ent.Tx, changes string) error {
	a := actOf(ctx)
	if a == nil {
		return nil
	}
	e := a.event("", "", "", changes)
	a.recorded, a.kept = true, nil
	if a.Preview {
		a.kept = []AuditEvent{e}
		return nil
	}
	text := func(s string) *string { return nilIfEmpty(clean(s)) }
	return tx.AuditEvent.Create().SetTenantID(e.TenantID).SetOccurredAt(e.Time.UnixMilli()).SetRequestID(clean(e.RequestID)).
		SetNillableCredential(text(e.Credential)).SetNillableOperator(text(e.Operator)).SetNillableAddress(text(e.Address)).
		SetNillableClient(text(e.Client)).SetMethod(clean(e.Method)).SetNillableResourceType(text(e.ResourceType)).
		SetNillableResourceID(text(e.ResourceID)).SetOutcome(e.Outcome).SetPreview(false).SetNillableChanges(nilIfEmpty(e.Changes)).Exec(ctx)
}

// auditState records how the state of what an act is about differs from what it was.
func (s *Store) auditState(ctx context.Context, tx tx, before, after map[string]any) error {
	if changes := stateChanges(before, after); changes != "" {
		return s.audit(ctx, tx, "", "", "", changes)
	}
	return nil // the act has changed nothing
}

// stateChanges is what an event says of two states, one of them nil where there is
// none; empty where they do not differ.
func stateChanges(before, after map[string]any) string {
	differ := make(map[string]map[string]json.RawMessage)
	for when, states := range map[string][2]map[string]any{"before": {before, after}, "after": {after, before}} {
		for name, value := range states[0] {
			text := mustJSON(value)
			if other, has := states[1][name]; has && slices.Equal(mustJSON(other), text) {
				continue
			}
			if differ[name] == nil {
				differ[name] = make(map[string]json.RawMessage, 2)
			}
			differ[name][when] = text
		}
	}
	if len(differ) == 0 {
		return ""
	}
	return eventChanges(mustJSON(differ), nil, nil)
}

// state is what events say of a credential: all but when it was used. What proves it
// is not among it.
func (c *Credential) state() map[string]any {
	s := map[string]any{"kind": c.Kind, "scopes": c.Scopes}
	if c.Preview {
		s["preview"] = true
	}
	if len(c.Networks) > 0 {
		s["networks"] = c.Networks
	}
	if !c.Expires.IsZero() {
		s["expires"] = c.Expires.UTC()
	}
	if c.Lookup != "" {
		s["lookup"] = c.Lookup
	}
	if settings := mustJSON(c.Settings); string(settings) != "{}" {
		s["settings"] = json.RawMessage(settings)
	}
	return s
}

// state is what events say of a tenant.
func (info *TenantInfo) state() map[string]any {
	s := map[string]any{"state": info.State, "profile": info.Profile}
	if settings := mustJSON(info.Settings); string(settings) != "{}" {
		s["settings"] = json.RawMessage(settings)
	}
	return s
}

// aSecret is what an event says of another secret: nothing.
const aSecret = `{"attributes":{"secret":{}}}`

// andASecret is what an event says of changes, and of another secret.
func andASecret(changes string) string {
	if changes == "" {
		return aSecret
	}
	return strings.Replace(changes, `{"attributes":{`, `{"attributes":{"secret":{},`, 1)
}

// tokenChanges is what an event says of tokens that were issued: what they are good
// for.
func tokenChanges(tokens ...Token) string {
	var issued []map[string]any
	for _, t := range tokens {
		issued = append(issued, map[string]any{"purpose": t.Purpose, "scopes": t.Scopes, "expires": t.Expires.UTC()})
	}
	return stateChanges(nil, map[string]any{"tokens": issued})
}
