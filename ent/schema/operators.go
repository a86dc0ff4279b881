package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// SignInProvider is an outside service that operators of a tenant sign in with.
type SignInProvider struct{ ent.Schema }

// Fields of a provider.
func (SignInProvider) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("name"),
		field.Text("kind").Comment("oidc or saml"),
		field.Text("settings").SchemaType(jsonColumn).Comment("store.ProviderSettings"),
		field.Int64("created_at"),
	}
}

// Edges of a provider.
func (SignInProvider) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tenant", Tenant.Type).Ref("sign_in_providers").Field("tenant_id").Unique().Required(),
		edge.To("sessions", Session.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a provider.
func (SignInProvider) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "name").Unique()}
}

// Session is the time in which an operator is signed in to the console.
type Session struct{ ent.Schema }

// Fields of a session.
func (Session) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Comment("which the operator belongs to"),
		field.Int64("provider_id").Optional().Nillable().Comment("NULL: it began with a login link"),
		field.Text("operator").Comment("what the audit log calls the operator"),
		field.Text("display_name"),
		field.Text("role").Comment("viewer, operator or administrator"),
		field.Bytes("hash").Unique().Comment("SHA-256 of the secret; the secret itself is nowhere"),
		field.Bytes("previous_hash").Optional().Nillable().Unique().Comment("of the secret before"),
		field.Int64("previous_until").Optional().Nillable().Comment("how long that is good"),
		field.Int64("created_at"),
		field.Int64("secret_at").Comment("when the secret was made"),
		field.Int64("active_at").Comment("when its operator was last there, to about a minute"),
		field.Int64("expires_at"),
		field.Text("address").Optional().Nillable().Comment("where it began"),
		field.Text("client").Optional().Nillable().Comment("the user agent"),
	}
}

// Edges of a session.
func (Session) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tenant", Tenant.Type).Ref("sessions").Field("tenant_id").Unique().Required(),
		edge.From("provider", SignInProvider.Type).Ref("sessions").Field("provider_id").Unique(),
	}
}

// Indexes of a session.
func (Session) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id"), index.Fields("provider_id"), index.Fields("expires_at"), index.Fields("active_at")}
}

// LoginLink is a secret that lets an operator in once.
type LoginLink struct{ ent.Schema }

// Fields of a link.
func (LoginLink) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("operator"),
		field.Text("role"),
		field.Bytes("hash").Unique().Comment("SHA-256 of the secret"),
		field.Int64("created_at"),
		field.Int64("expires_at"),
	}
}

// Edges of a link.
func (LoginLink) Edges() []ent.Edge {
	return []ent.Edge{edge.From("tenant", Tenant.Type).Ref("login_links").Field("tenant_id").Unique().Required()}
}

// Indexes of a link.
func (LoginLink) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id"), index.Fields("expires_at")}
}

// SpentAssertion is what a provider said of somebody who signed in: its row keeps it
// from being used again.
type SpentAssertion struct{ ent.Schema }

// Fields of a spent assertion.
func (SpentAssertion) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Bytes("hash").Unique().Comment("SHA-256 of the provider and the assertion's id"),
		field.Int64("expires_at").Comment("when it could not be used any more anyway"),
	}
}

// Indexes of a spent assertion.
func (SpentAssertion) Indexes() []ent.Index { return []ent.Index{index.Fields("expires_at")} }
