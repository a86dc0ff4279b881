package schema

import (
	"fmt"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// Exchange is a request of a client and what came of it. Rows are only added, and
// removed when they are too old or too many.
type Exchange struct{ ent.Schema }

// Fields of an exchange. What is large stands at the end, so that most of a row can be
// read without it.
func (Exchange) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Comment("0: the tenant is not known"),
		field.Int64("occurred_at"),
		field.Int64("took").Comment("microseconds"),
		field.Text("server").Comment("which one answered"),
		field.Text("door").Comment("rest or grpc"),
		field.Text("kind").Comment("what it is about; see store/exchanges.go"),
		field.Text("method").Comment("of HTTP, or the RPC"),
		field.Int64("status").Comment("of HTTP, or the one that means the same"),
		field.Text("request_id"),
		field.Bool("preview").Comment("nothing of it was kept"),
		field.Bool("writes").Comment("it changed something, or was to"),
		field.Int64("left_out").Comment("how many before it were not kept"),
		field.Text("credential").Optional().Nillable().Comment("its name"),
		field.Text("operator").Optional().Nillable().Comment("the human behind it, where one is known"),
		field.Text("address").Optional().Nillable(),
		field.Text("client").Optional().Nillable().Comment("the user agent"),
		field.Text("path").Optional().Nillable().Comment("with the query, less secrets"),
		field.Text("code").Optional().Nillable().Comment("of gRPC"),
		field.Text("reason").Optional().Nillable().Comment("of an error"),
		field.Text("detail").Optional().Nillable().Comment("what the client was told of an error"),
		field.Text("cause").Optional().Nillable().Comment("why somebody was not let in"),
		field.Text("resource_type").Optional().Nillable(),
		field.Text("resource_id").Optional().Nillable(),
		field.Text("request").Optional().Nillable().Comment("JSON, as that of a recorded exchange; NULL: not kept"),
		field.Text("answer").Optional().Nillable().Comment("the same"),
	}
}

// Indexes of an exchange. There are few, since many rows are written.
func (Exchange) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "id"),
		index.Fields("tenant_id", "id").StorageKey("exchange_errors").Annotations(entsql.IndexWhere("status >= 400")),
		index.Fields("tenant_id", "resource_id", "id").Annotations(entsql.IndexWhere("resource_id IS NOT NULL")),
	}
}

// Traffic is how many requests of one credential came through one door of one server
// in one minute.
type Traffic struct{ ent.Schema }

// Annotations of traffic.
func (Traffic) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "traffic"}}
}

// latencyColumns is how many classes of latencies are counted: see store/traffic.go.
const latencyColumns = 15

// Fields of traffic.
func (Traffic) Fields() []ent.Field {
	fields := []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Comment("0: the tenant is not known"),
		field.Int64("minute").Comment("Unix time in minutes"),
		field.Text("credential").Comment("its name; empty: none that is valid"),
		field.Text("door").Comment("rest or grpc"),
		field.Text("server"),
		field.Int64("requests"),
		field.Int64("client_errors"),
		field.Int64("server_errors"),
		field.Int64("unauthenticated"),
		field.Int64("rate_limited"),
	}
	for i := range latencyColumns {
		fields = append(fields, field.Int64(fmt.Sprintf("latency%d", i)))
	}
	return fields
}

// Indexes of traffic.
func (Traffic) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "minute", "credential", "door", "server").Unique(),
		index.Fields("minute"),
	}
}

// Watcher is a stream that follows the changes now. A server keeps those of its own up
// to date; what is not is left over from one that is gone.
type Watcher struct{ ent.Schema }

// Fields of a watcher.
func (Watcher) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("stream").Unique().Comment("random"),
		field.Text("server"),
		field.Text("credential").Comment("its name"),
		field.Text("address").Optional().Nillable(),
		field.Text("client").Optional().Nillable().Comment("the user agent"),
		field.Int64("started_at"),
		field.Int64("position").Comment("all up to it was sent"),
		field.Int64("last_sent_at").Optional().Nillable(),
		field.Bool("snapshot").Comment("it still gets its snapshot"),
		field.Int64("updated_at"),
	}
}

// Indexes of a watcher.
func (Watcher) Indexes() []ent.Index { return []ent.Index{index.Fields("tenant_id", "id")} }

// GroupPush is when a client last wrote a group, also where that changed nothing.
type GroupPush struct{ ent.Schema }

// Fields of a push.
func (GroupPush) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Text("group_id"),
		field.Int64("pushed_at").Comment("to about a minute"),
	}
}

// Edges of a push.
func (GroupPush) Edges() []ent.Edge {
	return []ent.Edge{edge.To("group", Resource.Type).Field("group_id").Unique().Required().Annotations(entsql.OnDelete(entsql.Cascade))}
}

// Indexes of a push.
func (GroupPush) Indexes() []ent.Index { return []ent.Index{index.Fields("group_id").Unique()} }

// RevokedToken is a secret that stands for nothing any more. It is remembered so that
// an operator sees why a client that still shows it is refused; the client learns no
// more than anybody.
type RevokedToken struct{ ent.Schema }

// Fields of a revoked token.
func (RevokedToken) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("credential").Comment("the name of the one that it was of"),
		field.Bytes("hash").Unique().Comment("SHA-256 of the token"),
		field.Bool("rotated").Comment("another took its place"),
		field.Int64("revoked_at"),
	}
}

// Indexes of a revoked token.
func (RevokedToken) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id"), index.Fields("revoked_at")}
}
