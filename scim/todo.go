package scim

import musterv1 "github.com/muster-scim/muster/gen/muster/v1"

// ParseFilter parses a filter over the attributes of rt.
func (rt *ResourceType) ParseFilter(text string) (Filter, error) { panic("todo") }

// ParsePath parses the path of a patch operation.
func (rt *ResourceType) ParsePath(text string) (Path, error) { panic("todo") }

// Match tells whether r meets the filter. It is the reference that the store's SQL agrees with.
func (rt *ResourceType) Match(f Filter, r Resource) bool { panic("todo") }

// DecodeJSON reads a resource as a client writes it.
func (rt *ResourceType) DecodeJSON(data []byte) (Resource, error) { panic("todo") }

// AppendJSON appends the resource as clients read it. baseURL (no trailing slash) makes
// meta.location and $ref; empty: they're left out.
func (rt *ResourceType) AppendJSON(dst []byte, r Resource, baseURL string) []byte { panic("todo") }

// AppendDocument appends what the store keeps of a resource: JSON of everything but schemas?, id, meta, links, password.
func (rt *ResourceType) AppendDocument(dst []byte, r Resource) []byte { panic("todo") }

// DecodeDocument reads what AppendDocument wrote.
func (rt *ResourceType) DecodeDocument(data []byte) (Resource, error) { panic("todo") }

// DecodePatch reads the body of a PATCH request.
func DecodePatch(data []byte) ([]*musterv1.PatchOperation, error) { panic("todo") }

// Prepare makes a resource that a client sent fit to be stored: drops read-only attributes, sets schemas, primary, checks required.
func (rt *ResourceType) Prepare(r Resource) error { panic("todo") }

// Change is what a write does to a stored resource: pure, may run more than once.
type Change interface {
	// Apply changes r, which holds no links, in place.
	Apply(r Resource) error
	// Links are what happens to the links, in order.
	Links() []LinkChange
}

// CompileReplace prepares a PUT: r is what the client sent.
func (rt *ResourceType) CompileReplace(r Resource) (Change, error) { panic("todo") }

// CompilePatch prepares a PATCH: every error that needs no stored resource happens here.
func (rt *ResourceType) CompilePatch(ops []*musterv1.PatchOperation) (Change, error) { panic("todo") }

// LinkChange is one step of a change of the links of a resource.
type LinkChange struct {
	Attr *Attribute
	Kind LinkKind
	// Values are ids of resources, without repetition.
	Values []string
	// Filter is set for RemoveLinksWhere: over one element, as in a ValueFilter.
	Filter Filter
}

type LinkKind uint8

const (
	AddLinks LinkKind = iota
	RemoveLinks
	RemoveLinksWhere
	SetLinks
)

// TakeLinks removes the link elements from r (a resource a client sent) and returns their values, in order, without repetition.
func (rt *ResourceType) TakeLinks(r Resource) []string { panic("todo") }

// Changed lists the top-level attributes (paths) whose values differ.
func (rt *ResourceType) Changed(before, after Resource) []string { panic("todo") }

// Projection says which attributes an answer has (RFC 7644 3.9).
type Projection struct{}

// CompileProjection: unknown names are ignored, both lists -> invalidValue.
func (rt *ResourceType) CompileProjection(attributes, excluded []string) (*Projection, error) {
	panic("todo")
}

// Includes tells whether an answer may have (part of) the top-level attribute.
func (p *Projection) Includes(a *Attribute) bool { panic("todo") }

// Apply clears what the answer does not have.
func (p *Projection) Apply(r Resource) { panic("todo") }

// Discovery.
func (rt *ResourceType) Proto() *musterv1.ResourceType { panic("todo") }
func (s *Schema) Proto() *musterv1.Schema              { panic("todo") }
func Schemas() []*Schema                               { panic("todo") }

// AppendList appends a ListResponse (RFC 7644 3.4.2).
func AppendList(dst []byte, total, startIndex, itemsPerPage int, n int, appendItem func(dst []byte, i int) []byte) []byte {
	panic("todo")
}

// AppendError appends an error body (RFC 7644 3.12); scimType is left out unless reason.IsSCIMType().
func AppendError(dst []byte, status int, reason Reason, detail string) []byte { panic("todo") }

// Discovery bodies.
func AppendSchemaJSON(dst []byte, s *musterv1.Schema, baseURL string) []byte { panic("todo") }
func AppendResourceTypeJSON(dst []byte, rt *musterv1.ResourceType, baseURL string) []byte {
	panic("todo")
}
func AppendServiceProviderConfigJSON(dst []byte, c *musterv1.ServiceProviderConfig, baseURL string) []byte {
	panic("todo")
}
