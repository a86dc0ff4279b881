// Package schema describes the tables. Everything else in ent/ is made from it:
// the client by `go generate`, and a migration for each database.
//
// Times are Unix milliseconds, and every value is supplied by package store: the
// databases have no defaults that could differ between them.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
)

// jsonColumn is a column that holds JSON as it is, for the JSON functions of the
// database.
var jsonColumn = map[string]string{dialect.SQLite: "text", dialect.Postgres: "jsonb"}

// ServerKey is a random key that all servers of one database share. The first that
// needs it makes it.
type ServerKey struct{ ent.Schema }

// Fields of a key.
func (ServerKey) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Text("name").Unique().Comment("what it is for"),
		field.Bytes("value").Sensitive(),
		field.Int64("created_at"),
	}
}

// Resource is a user, a group, or a resource of another type. What must be found
// by an index stands in columns; the rest is one document.
type Resource struct{ ent.Schema }

// Fields of a resource.
func (Resource) Fields() []ent.Field {
	return []ent.Field{
		field.Text("id").Comment("a UUIDv7: ids grow with time"),
		field.Int64("tenant_id"),
		field.Text("type").Comment("the name of the resource type"),
		field.Int64("version").Comment("grows by one with each real change"),
		field.Int64("created_at"),
		field.Int64("updated_at"),
		field.Text("external_id").Optional().Nillable(),
		field.Text("user_name").Optional().Nillable().Comment("folded, so that case does not count"),
		field.Text("display_name").Optional().Nillable().Comment("folded"),
		field.Text("display").Optional().Nillable().Comment("what lists of members and groups show"),
		field.Text("document").SchemaType(jsonColumn).Comment("all other attributes, as SCIM JSON"),
	}
}

// Edges of a resource.
func (Resource) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("tenant", Tenant.Type).Ref("resources").Field("tenant_id").Unique().Required(),
		edge.To("attribute_values", AttributeValue.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("secrets", Secret.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("members", Resource.Type).Through("memberships", Membership.Type).
			StorageKey(edge.Columns("group_id", "member_id")),
	}
}

// Indexes of a resource. Each begins with the tenant and the type: no query sees
// more than one of either. Each ends with the id, which is where ties of an order
// end: a page of a sorted list is a walk along one of them.
func (Resource) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "type", "user_name").Unique(),
		index.Fields("tenant_id", "type", "external_id", "id"),
		index.Fields("tenant_id", "type", "display_name", "id"),
		index.Fields("tenant_id", "type", "created_at", "id"),
		index.Fields("tenant_id", "type", "updated_at", "id"),
		index.Fields("tenant_id", "type", "id"),
	}
}

// ResourceCount is how many resources of one type a tenant has: the sum of its
// parts. See store/count.go.
type ResourceCount struct{ ent.Schema }

// Fields of a count.
func (ResourceCount) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("type").Comment("of the resources"),
		field.Int64("part").Comment("which of the rows that add up to the number"),
		field.Int64("resources").Comment("how many; less than 0 where others have more"),
	}
}

// Indexes of a count.
func (ResourceCount) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "type", "part").Unique()}
}

// AttributeValue is one value of a multi-valued attribute that clients look up.
type AttributeValue struct{ ent.Schema }

// Fields of an attribute value.
func (AttributeValue) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id"),
		field.Text("type").Comment("of the resource"),
		field.Text("attr").Comment("the path of the attribute, such as emails.value"),
		field.Text("value").Comment("folded unless the attribute is caseExact"),
		field.Text("unique_in").Optional().Nillable().Comment("within what no two resources may have the value: a type, or * for all; no such thing: NULL"),
		field.Text("resource_id"),
	}
}

// Edges of an attribute value.
func (AttributeValue) Edges() []ent.Edge {
	return []ent.Edge{edge.From("resource", Resource.Type).Ref("attribute_values").Field("resource_id").Unique().Required()}
}

// Indexes of an attribute value.
func (AttributeValue) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields("tenant_id", "type", "attr", "value", "resource_id"),
		index.Fields("resource_id"),
		index.Fields("tenant_id", "attr", "unique_in", "value").Unique().Annotations(entsql.IndexWhere("unique_in IS NOT NULL")),
	}
}

// Secret is the hash of a write-only value.
type Secret struct{ ent.Schema }

// Annotations of a secret.
func (Secret) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "secrets"}}
}

// Fields of a secret.
func (Secret) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Text("resource_id"),
		field.Text("attr").Comment("the path of the attribute, such as password"),
		field.Text("hash").Sensitive(),
	}
}

// Edges of a secret.
func (Secret) Edges() []ent.Edge {
	return []ent.Edge{edge.From("resource", Resource.Type).Ref("secrets").Field("resource_id").Unique().Required()}
}

// Indexes of a secret.
func (Secret) Indexes() []ent.Index {
	return []ent.Index{index.Fields("resource_id", "attr").Unique()}
}

// Registration is a schema or a resource type that an operator added.
type Registration struct{ ent.Schema }

// Fields of a registration.
func (Registration) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Comment("0: for all tenants"),
		field.Text("kind").Comment("schema or resourceType"),
		field.Text("name").Comment("the URN of a schema, the name of a type"),
		field.Text("document").SchemaType(jsonColumn).Comment("the message, as protobuf JSON"),
		field.Int64("updated_at"),
	}
}

// Indexes of a registration.
func (Registration) Indexes() []ent.Index {
	return []ent.Index{index.Fields("tenant_id", "kind", "name").Unique()}
}

// Membership is one edge between a group and a member of it. Its key is the pair,
// which makes adding a member twice impossible and finding one cheap.
type Membership struct{ ent.Schema }

// Annotations of a membership.
func (Membership) Annotations() []schema.Annotation {
	return []schema.Annotation{field.ID("group_id", "member_id")}
}

// Fields of a membership.
func (Membership) Fields() []ent.Field {
	return []ent.Field{
		field.Text("group_id"),
		field.Text("member_id"),
		field.Int64("tenant_id"),
		field.Text("member_type").Comment("the resource type of the member"),
	}
}

// Edges of a membership. Both ends take it with them when they go.
func (Membership) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("group", Resource.Type).Field("group_id").Unique().Required().Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("member", Resource.Type).Field("member_id").Unique().Required().Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Indexes of a membership, for the way from a member to its groups.
func (Membership) Indexes() []ent.Index {
	return []ent.Index{index.Fields("member_id", "group_id")}
}

// Change is what one write changed, in the order of the log. It refers to nothing:
// it outlives its resource.
type Change struct{ ent.Schema }

// Fields of a change.
func (Change) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").StorageKey("position"),
		field.Int64("tenant_id"),
		field.Text("resource_type"),
		field.Text("resource_id"),
		field.Text("operation").Comment("create, update or delete"),
		field.Int64("version").Comment("of the resource, after the change"),
		field.Int64("occurred_at"),
		field.Text("detail").Optional().Nillable().SchemaType(jsonColumn).Comment("what changed; see store/diff.go"),
		field.Int64("sequence").Optional().Nillable().Comment("PostgreSQL: its place in an order of commits, given to it afterwards; see store/feed.go"),
	}
}

// ChangeLog is what is known of a tenant's change log as a whole.
type ChangeLog struct{ ent.Schema }

// Fields of a change log.
func (ChangeLog) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.Int64("tenant_id").Unique().Comment("0: the logs of all tenants"),
		field.Int64("assigned").Comment("of all tenants: the last sequence that a change has"),
		field.Int64("removed").Comment("the position up to which changes are no longer kept"),
		field.Int64("measured").Optional().Nillable().Comment("the position up to which bytes counts; NULL: 0"),
		field.Int64("bytes").Optional().Nillable().Comment("how large the changes are that are kept, up to measured; see store/feed_retention.go"),
	}
}
