package gateway

import (
	"fmt"
	"io"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// marshaler is SCIM JSON for grpc-gateway: requests are decoded and answers
// printed by the rules of package scim.
type marshaler struct{ limits scim.Limits }

// NewDecoder decodes the body of a request, which the front has read.
func (m marshaler) NewDecoder(r io.Reader) runtime.Decoder {
	return runtime.DecoderFunc(func(v any) error {
		b, ok := r.(*body)
		if !ok {
			return fmt.Errorf("gateway: a body of type %T did not come through the front", r)
		}
		b.fault = m.decode(b.data, v)
		b.data = nil // what is left is the message
		return b.fault
	})
}

// Unmarshal decodes data into the field of a request message.
func (m marshaler) Unmarshal(data []byte, v any) error { return m.decode(data, v) }

// decode decodes data into v, which points to the field of a request message
// that http.yaml makes the body.
func (m marshaler) decode(data []byte, v any) (err error) {
	switch field := v.(type) {
	case **musterv1.User:
		*field, err = decodeResource[*musterv1.User](scim.User, data)
	case **musterv1.Group:
		*field, err = decodeResource[*musterv1.Group](scim.Group, data)
	case **musterv1.Resource:
		*field, err = scim.DecodeRegistered(data)
	case *[]*musterv1.PatchOperation:
		*field, err = scim.DecodePatch(data)
	case *musterv1.BulkRequest:
		err = decodeBulk(data, m.limits, field)
	case *musterv1.SearchRequest, *musterv1.ListUsersRequest, *musterv1.ListGroupsRequest, *musterv1.ListResourcesRequest:
		err = decodeSearch(data, v)
	default:
		err = fmt.Errorf("gateway: no SCIM JSON is read into %T", v)
	}
	return err
}

func decodeBulk(data []byte, limits scim.Limits, into *musterv1.BulkRequest) error {
	req, err := scim.DecodeBulk(data, limits)
	if err != nil {
		return err
	}
	into.Operations, into.FailOnErrors = req.GetOperations(), req.GetFailOnErrors()
	return nil
}

// decodeSearch decodes the body of a search into the request that it is here.
func decodeSearch(data []byte, v any) error {
	s, err := scim.DecodeSearch(data)
	if err != nil {
		return err
	}
	switch q := v.(type) {
	case *musterv1.SearchRequest:
		proto.Merge(q, s)
	case *musterv1.ListUsersRequest:
		q.Filter, q.StartIndex, q.Count, q.PageToken = s.GetFilter(), s.StartIndex, s.Count, s.PageToken
		q.SortBy, q.SortOrder = s.GetSortBy(), s.GetSortOrder()
		q.Attributes, q.ExcludedAttributes = s.GetAttributes(), s.GetExcludedAttributes()
	case *musterv1.ListGroupsRequest:
		q.Filter, q.StartIndex, q.Count, q.PageToken = s.GetFilter(), s.StartIndex, s.Count, s.PageToken
		q.SortBy, q.SortOrder = s.GetSortBy(), s.GetSortOrder()
		q.Attributes, q.ExcludedAttributes = s.GetAttributes(), s.GetExcludedAttributes()
	case *musterv1.ListResourcesRequest:
		q.Filter, q.StartIndex, q.Count, q.PageToken = s.GetFilter(), s.StartIndex, s.Count, s.PageToken
		q.SortBy, q.SortOrder = s.GetSortBy(), s.GetSortOrder()
		q.Attributes, q.ExcludedAttributes = s.GetAttributes(), s.GetExcludedAttributes()
	}
	return nil
}

func decodeResource[R scim.Resource](rt *scim.ResourceType, data []byte) (r R, err error) {
	decoded, err := rt.DecodeJSON(data)
	if err != nil {
		return r, err
	}
	return decoded.(R), nil //nolint:forcetypeassert // rt makes no other type
}

// Marshal prints an answer.
func (marshaler) Marshal(v any) ([]byte, error) {
	a, ok := v.(answer)
	if !ok {
		return nil, fmt.Errorf("gateway: %T is not an answer", v)
	}
	return a.appendJSON(nil)
}

// NewEncoder prints answers to w.
func (m marshaler) NewEncoder(w io.Writer) runtime.Encoder {
	return runtime.EncoderFunc(func(v any) error {
		data, err := m.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
}

// ContentType is what an answer has until decorate knows the request's wishes.
func (marshaler) ContentType(any) string { return scimJSON }

// Sizes to begin with, in bytes; an answer that is larger grows.
const (
	resourceSize = 2 << 10
	memberSize   = 192
)

func (a answer) appendJSON(dst []byte) ([]byte, error) {
	switch b := a.body.(type) {
	case nil:
		return dst, nil
	case *musterv1.User:
		return scim.User.AppendJSON(make([]byte, 0, resourceSize), b, a.base), nil
	case *musterv1.Group:
		return scim.Group.AppendJSON(make([]byte, 0, resourceSize+memberSize*len(b.GetMembers())), b, a.base), nil
	case *musterv1.Resource:
		return appendRegistered(make([]byte, 0, resourceSize), b, a.base), nil
	case *musterv1.ListResourcesResponse:
		return appendPage(b, b.GetResources(), appendRegistered, a.base), nil
	case *musterv1.ListUsersResponse:
		return appendPage(b, b.GetUsers(), appendUser, a.base), nil
	case *musterv1.ListGroupsResponse:
		return appendPage(b, b.GetGroups(), appendGroup, a.base), nil
	case *musterv1.SearchResponse:
		return appendPage(b, b.GetResults(), appendResult, a.base), nil
	case *musterv1.BulkResponse:
		return scim.AppendBulkResponse(dst, b, a.base), nil
	case *musterv1.ServiceProviderConfig:
		return scim.AppendServiceProviderConfigJSON(dst, b, a.base), nil
	case *musterv1.ResourceType:
		return scim.AppendResourceTypeJSON(dst, b, a.base), nil
	case *musterv1.Schema:
		return scim.AppendSchemaJSON(dst, b, a.base), nil
	case *musterv1.ListResourceTypesResponse:
		return appendAll(b.GetResourceTypes(), scim.AppendResourceTypeJSON, a.base), nil
	case *musterv1.ListSchemasResponse:
		return appendAll(b.GetSchemas(), scim.AppendSchemaJSON, a.base), nil
	}
	return nil, fmt.Errorf("gateway: no SCIM JSON for %T", a.body)
}

// page is what the answers of the list methods have in common.
type page interface {
	GetTotalResults() int32
	GetStartIndex() int32
	GetItemsPerPage() int32
	GetNextPageToken() string
}

// appendPage prints a page. The cursor of the next one is for those who asked for
// this one by a cursor, too: others page by index, and may not know of cursors.
func appendPage[T any](p page, items []T, appendItem func([]byte, T, string) []byte, base string) []byte {
	about := scim.Page{Total: int(p.GetTotalResults()), StartIndex: int(p.GetStartIndex()), ItemsPerPage: int(p.GetItemsPerPage())}
	if about.StartIndex == 0 {
		about.NextCursor = p.GetNextPageToken()
	}
	return scim.AppendList(make([]byte, 0, resourceSize*(1+len(items))), about, len(items),
		func(dst []byte, i int) []byte { return appendItem(dst, items[i], base) })
}

func appendUser(dst []byte, u *musterv1.User, base string) []byte {
	return scim.User.AppendJSON(dst, u, base)
}

func appendGroup(dst []byte, g *musterv1.Group, base string) []byte {
	return scim.Group.AppendJSON(dst, g, base)
}

func appendRegistered(dst []byte, r *musterv1.Resource, base string) []byte {
	return scim.ResourceTypeOf(r).AppendJSON(dst, r, base)
}

func appendResult(dst []byte, r *musterv1.SearchResult, base string) []byte {
	switch r := r.GetResource().(type) {
	case *musterv1.SearchResult_User:
		return appendUser(dst, r.User, base)
	case *musterv1.SearchResult_Group:
		return appendGroup(dst, r.Group, base)
	case *musterv1.SearchResult_Registered:
		return appendRegistered(dst, r.Registered, base)
	}
	return append(dst, "{}"...)
}

// appendAll prints a list that is always complete (RFC 7644 section 4).
func appendAll[T any](items []T, appendItem func([]byte, T, string) []byte, base string) []byte {
	n := len(items)
	return scim.AppendList(nil, scim.Page{Total: n, StartIndex: 1, ItemsPerPage: n}, n, func(dst []byte, i int) []byte { return appendItem(dst, items[i], base) })
}
