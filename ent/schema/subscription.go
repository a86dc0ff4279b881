package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Subscription is who is told of which changes as security event tokens, and how far
// that has come.
type Subscription struct{ ent.Schema }

// Fields of a subscription.
func (Subscription) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("name"),
		field.Text("handle").Unique().Comment("random; begins the jti of its tokens"),
		field.Bool("push").Comment("tokens are sent to the receiver; or else it fetches them"),
		field.Text("settings").SchemaType(jsonColumn).Comment("store.SubscriptionSettings"),
		field.Text("secret").Optional().Nillable().Sensitive().Comment("the header Authorization of push, as it is sent: it must be usable"),
		field.Bool("paused"),
		field.Int64("created_at"),
		field.Int64("revision").Comment("grows when an administrator changes it: who delivers looks at it anew"),
		field.Int64("position").Comment("all changes up to it are dealt with"),
		field.Text("progress").Optional().Nillable().SchemaType(jsonColumn).Comment("store.Progress: what is known of changes after the position"),
		field.Text("failure").Optional().Nillable().Comment("why it cannot go on"),
		field.Int64("last_success_at").Optional().Nillable(),
		field.Int64("last_error_at").Optional().Nillable(),
		field.Text("last_error").Optional().Nillable(),
		field.Int64("last_poll_at").Optional().Nillable().Comment("to about a minute"),
		field.Text("lease_owner").Optional().Nillable().Comment("the server that delivers"),
		field.Int64("lease_until").Optional().Nillable(),
	}
}

// Edges of a subscription.
func (Subscription) Edges() []ent.Edge {
	return []ent.Edge{edge.To("dead_letters", DeadLetter.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// Indexes of a subscription.
func (Subscription) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "name").Unique()}
}

// DeadLetter is an event that a receiver did not accept.
type DeadLetter struct{ ent.Schema }

// Fields of a dead letter.
func (DeadLetter) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("subscription_id"),
		field.Int64("position").Comment("of the change"),
		field.Text("resource_type"),
		field.Text("resource_id"),
		field.Int64("occurred_at").Comment("when the change was made"),
		field.Text("event").Comment("JSON: the claims of the token that tell of the change, so that it can be sent when the change is no longer kept"),
		field.Text("reason"),
		field.Int64("attempts"),
		field.Int64("died_at"),
		field.Bool("retrying").Comment("it is being delivered again"),
	}
}

// Edges of a dead letter.
func (DeadLetter) Edges() []ent.Edge {
	return []ent.Edge{edge.From("subscription", Subscription.Type).Ref("dead_letters").Field("subscription_id").Unique().Required()}
}

// Indexes of a dead letter.
func (DeadLetter) Indexes() []ent.Index {
	return []ent.Index{index.Fields("subscription_id", "position").Unique()}
}
