package scim

// Limits are how large a request and its parts may be. Who reads a request asks its
// catalog, and what is advertised is the same.
type Limits struct {
	// Body is the most bytes of a request, and so of a bulk request.
	Body int
	// BulkOperations is the most operations of one bulk request.
	BulkOperations int
	// PatchOperations is the most operations of one patch.
	PatchOperations int
	// PageSize is the most resources in one page, and how many there are by default.
	PageSize int
	// FilterLength is the most bytes of a filter.
	FilterLength int
	// FilterDepth is how deep parentheses, brackets and not may nest in a filter.
	FilterDepth int
	// FilterTerms is the most comparisons in one filter.
	FilterTerms int
}

// The limits where nobody says otherwise. A filter that is deeper, or has more
// comparisons, is more than the databases take.
const (
	MaxBody            = 2 << 20
	MaxBulkOperations  = 1000
	MaxPatchOperations = 1000
	MaxPageSize        = 1000
	MaxFilterLength    = 8 << 10
	MaxFilterDepth     = 32
	MaxFilterTerms     = 256
)

// DefaultLimits are the limits where nobody says otherwise.
func DefaultLimits() Limits {
	return Limits{
		Body: MaxBody, BulkOperations: MaxBulkOperations, PatchOperations: MaxPatchOperations, PageSize: MaxPageSize,
		FilterLength: MaxFilterLength, FilterDepth: MaxFilterDepth, FilterTerms: MaxFilterTerms,
	}
}

// Within is the catalog for requests within other limits.
func (c *Catalog) Within(l Limits) *Catalog {
	within := &Catalog{schemas: c.schemas}
	for _, rt := range c.types {
		same := *rt
		same.limits = &l
		within.types = append(within.types, &same)
	}
	return within
}

// Limits are those of requests about the catalog.
func (c *Catalog) Limits() Limits { return c.types[0].within() }

// within are the limits of requests about the type.
func (rt *ResourceType) within() Limits {
	if rt.limits == nil {
		return DefaultLimits()
	}
	return *rt.limits
}

// CheckBulk fails with PayloadTooLarge where a bulk request of so many operations
// and bytes is too large.
func (l Limits) CheckBulk(operations, bytes int) *Error {
	if operations > l.BulkOperations {
		return Errorf(PayloadTooLarge, "the bulk request has more than %d operations (maxOperations)", l.BulkOperations).At("operations")
	}
	if bytes > l.Body {
		return Errorf(PayloadTooLarge, "the bulk request is larger than %d bytes (maxPayloadSize)", l.Body)
	}
	return nil
}
