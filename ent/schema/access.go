package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Tenant is one customer: a set of resources that no other can see.
type Tenant struct{ ent.Schema }

// Fields of a tenant.
func (Tenant) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Text("name").Unique(),
		field.Text("profile").Comment("the client profile: tolerant or strict"),
		field.Int64("catalog_version").Comment("grows with each change of what is registered for the tenant"),
		field.Int64("created_at"),
		field.Text("state").Optional().Nillable().Comment("NULL: active; suspended, or deleting"),
		field.Text("settings").Optional().Nillable().SchemaType(jsonColumn).Comment("store.TenantSettings; NULL: the defaults"),
	}
}

// Edges of a tenant.
func (Tenant) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("credentials", Credential.Type),
		edge.To("resources", Resource.Type),
		edge.To("sign_in_providers", SignInProvider.Type),
		edge.To("sessions", Session.Type),
		edge.To("login_links", LoginLink.Type),
	}
}

// Credential is how a client proves which tenant it may see.
type Credential struct{ ent.Schema }

// Fields of a credential.
func (Credential) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("name").Comment("what logs call it"),
		field.Text("kind").Comment("bearer, basic, direct, oauth, certificate or issuer"),
		field.Text("scopes").Comment("what the credential may do, separated by blanks"),
		field.Int64("created_at"),
		field.Text("mode").Optional().Nillable().Comment("NULL: live; preview"),
		field.Text("networks").Optional().Nillable().Comment("where it may be used from, as prefixes separated by blanks; NULL: anywhere"),
		field.Int64("expires_at").Optional().Nillable(),
		field.Text("lookup").Optional().Nillable().Unique().Comment("what it is found by where that is no secret: the fingerprint of a certificate, the client_id of OAuth, an issuer and its audience"),
		field.Text("settings").Optional().Nillable().SchemaType(jsonColumn).Comment("store.CredentialSettings: what only some kinds have"),
		field.Int64("last_used_at").Optional().Nillable().Comment("to about a minute"),
		field.Text("last_used_from").Optional().Nillable().Comment("an address"),
		field.Text("last_used_by").Optional().Nillable().Comment("the user agent"),
	}
}

// Edges of a credential.
func (Credential) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tenant", Tenant.Type).Ref("credentials").Field("tenant_id").Unique().Required(),
		edge.To("tokens", Token.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a credential.
func (Credential) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "name").Unique()}
}

// Token is a random secret that stands for a credential: its own, of which it may
// have two while it is rotated, or one that OAuth issued to it.
type Token struct{ ent.Schema }

// Fields of a token.
func (Token) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("credential_id"),
		field.Text("purpose").Comment("secret, access, refresh or code"),
		field.Bytes("hash").Unique().Comment("SHA-256 of the token; the token itself is nowhere"),
		field.Text("scopes").Optional().Nillable().Comment("NULL: those of the credential"),
		field.Int64("created_at"),
		field.Int64("expires_at").Optional().Nillable(),
		field.Int64("used_at").Optional().Nillable().Comment("when a refresh token or a code was spent"),
		field.Text("family").Optional().Nillable().Comment("all that came of one grant"),
		field.Text("detail").Optional().Nillable().SchemaType(jsonColumn).Comment("what the grant has to remember"),
	}
}

// Edges of a token.
func (Token) Edges() []ent.Edge {
	return []ent.Edge{edge.From("credential", Credential.Type).Ref("tokens").Field("credential_id").Unique().Required()}
}

// Indexes of a token.
func (Token) Indexes() []ent.Index {
	return []ent.Index{index.Fields("credential_id"), index.Fields("family"), index.Fields("expires_at")}
}

// AuditEvent is one thing that somebody did or tried to do. Rows are only added,
// and removed from the beginning when they are too old.
type AuditEvent struct{ ent.Schema }

// Fields of an audit event.
func (AuditEvent) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Comment("0: it concerns no tenant, as an attempt without a valid credential"),
		field.Int64("occurred_at"),
		field.Text("request_id"),
		field.Text("credential").Optional().Nillable().Comment("its name"),
		field.Text("operator").Optional().Nillable().Comment("the human behind it, where one is known"),
		field.Text("address").Optional().Nillable(),
		field.Text("client").Optional().Nillable().Comment("the user agent"),
		field.Text("method").Comment("the RPC, as muster.v1.ProvisioningService/CreateUser"),
		field.Text("resource_type").Optional().Nillable(),
		field.Text("resource_id").Optional().Nillable(),
		field.Text("outcome").Comment("ok, or the reason of the error"),
		field.Text("detail").Optional().Nillable().Comment("of an error, what the client was told"),
		field.Bool("preview").Comment("nothing of it was kept"),
		field.Text("changes").Optional().Nillable().Comment("JSON, byte for byte as it was hashed: attributes before and after, without secrets"),
		field.Int64("sequence").Optional().Nillable().Comment("its place in the tenant's chain; NULL until it is sealed"),
		field.Bytes("hash").Optional().Nillable().Comment("of the event and the hash before it in the chain"),
	}
}

// Indexes of an audit event.
func (AuditEvent) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "sequence").Unique(),
		index.Fields("tenant_id", "id"),
		index.Fields("tenant_id", "resource_id", "id"),
		index.Fields("tenant_id", "credential", "id"),
		index.Fields("id").StorageKey("auditevent_unsealed").Annotations(entsql.IndexWhere("sequence IS NULL")),
	}
}

// AuditChain is the end of a tenant's chain of events, and where it begins once old
// ones were removed.
type AuditChain struct{ ent.Schema }

// Fields of a chain.
func (AuditChain) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Unique(),
		field.Int64("sequence").Comment("of the last event"),
		field.Bytes("hash").Comment("of the last event"),
		field.Int64("removed_sequence").Comment("of the last event that was removed; 0: none"),
		field.Bytes("removed_hash").Optional().Nillable().Comment("its hash"),
	}
}

// Recording is a time in which the requests of one credential are kept.
type Recording struct{ ent.Schema }

// Fields of a recording.
func (Recording) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("credential").Comment("its name"),
		field.Int64("started_at"),
		field.Int64("ends_at"),
		field.Int64("max_exchanges"),
		field.Text("redacted").Optional().Nillable().Comment("names of attributes whose values are replaced, separated by blanks"),
	}
}

// Edges of a recording.
func (Recording) Edges() []ent.Edge {
	return []ent.Edge{edge.To("exchanges", RecordedExchange.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// Indexes of a recording.
func (Recording) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "credential", "ends_at")}
}

// RecordedExchange is a request and its answer, as they were but for what is
// redacted.
type RecordedExchange struct{ ent.Schema }

// Annotations of an exchange.
func (RecordedExchange) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "recorded_exchanges"}}
}

// Fields of an exchange.
func (RecordedExchange) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("recording_id"),
		field.Int64("occurred_at"),
		field.Text("request").Comment("JSON: method, path, header, body"),
		field.Text("answer").Comment("JSON: status, header, body"),
	}
}

// Edges of an exchange.
func (RecordedExchange) Edges() []ent.Edge {
	return []ent.Edge{edge.From("recording", Recording.Type).Ref("exchanges").Field("recording_id").Unique().Required()}
}

// Indexes of an exchange.
func (RecordedExchange) Indexes() []ent.Index {
	return []ent.Index{index.Fields("recording_id", "id")}
}
