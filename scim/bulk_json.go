package scim

import (
	"net/url"
	"strconv"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// DecodeBulk reads the body of a bulk request (RFC 7644 section 3.7). Names of
// members and methods are taken in any letter case, and members it does not know
// are passed over. What an operation lacks is the fault of that operation alone,
// which its execution finds; so is what its data say, which stay text until then.
//
// The error is InvalidSyntax, or PayloadTooLarge for too many operations.
func DecodeBulk(data []byte, limits Limits) (*musterv1.BulkRequest, error) {
	in := newJSONReader(data, len(data)) // no limit: the data of operations stay text
	b := bulkReader{in: in, limits: limits, req: &musterv1.BulkRequest{}}
	if k := in.peek(); k != kindObject && k != kindNone {
		in.fail(Errorf(InvalidSyntax, "the body is %s, not a JSON object", k))
	}
	b.body()
	in.end()
	if in.fault == nil && !b.listed {
		in.fail(Errorf(InvalidSyntax, "a bulk request needs a list of Operations"))
	}
	if in.fault != nil {
		return nil, in.fault
	}
	return b.req, nil
}

// A bulkReader reads a bulk request.
type bulkReader struct {
	in     *jsonReader
	limits Limits
	req    *musterv1.BulkRequest
	listed bool // there is a member Operations
}

func (b *bulkReader) body() {
	if b.in.peek() != kindObject {
		return
	}
	b.in.open()
	for key, more := b.in.next(); more; key, more = b.in.next() {
		switch {
		case strings.EqualFold(key, "Operations"):
			b.listed = true
			b.operations()
		case strings.EqualFold(key, "failOnErrors"):
			b.failOnErrors()
		default:
			skipValue(b.in)
		}
	}
}

func (b *bulkReader) failOnErrors() {
	var text string
	switch b.in.peek() {
	case kindNull:
		b.in.null()
		return
	case kindNumber:
		text = b.in.number()
	default:
		text = b.in.optionalText("failOnErrors")
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		b.in.fail(Errorf(InvalidSyntax, "failOnErrors is a whole number"))
	}
	b.req.FailOnErrors = int32(n)
}

func (b *bulkReader) operations() {
	if b.in.peek() != kindArray {
		b.in.fail(Errorf(InvalidSyntax, "Operations is a list"))
		return
	}
	b.in.open()
	for _, more := b.in.next(); more; _, more = b.in.next() {
		if k := b.in.peek(); k != kindObject {
			b.in.fail(Errorf(InvalidSyntax, "an operation is an object, not %s", k))
			return
		}
		if err := b.limits.CheckBulk(len(b.req.GetOperations())+1, 0); err != nil {
			b.in.fail(err)
			return
		}
		b.req.Operations = append(b.req.Operations, b.operation())
	}
}

func (b *bulkReader) operation() *musterv1.BulkOperation {
	op := &musterv1.BulkOperation{}
	b.in.open()
	for key, more := b.in.next(); more; key, more = b.in.next() {
		switch {
		case strings.EqualFold(key, "method"):
			word := "METHOD_" + strings.ToUpper(b.in.optionalText("method"))
			op.Method = musterv1.BulkOperation_Method(musterv1.BulkOperation_Method_value[word])
		case strings.EqualFold(key, "bulkId"):
			op.BulkId = b.in.optionalText("bulkId")
		case strings.EqualFold(key, "version"):
			op.Version = b.in.optionalText("version")
		case strings.EqualFold(key, "path"):
			op.Path = b.in.optionalText("path")
		case strings.EqualFold(key, "data"):
			op.Data = b.in.raw()
		default:
			skipValue(b.in)
		}
	}
	return op
}

// AppendBulkResponse appends the answer to a bulk request (RFC 7644 section
// 3.7.3). baseURL, without a trailing slash, begins each location.
func AppendBulkResponse(dst []byte, r *musterv1.BulkResponse, baseURL string) []byte {
	dst = append(dst, `{"schemas":["`+bulkResponseURN+`"],"Operations":[`...)
	for i, result := range r.GetOperations() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendBulkResult(dst, result, baseURL)
	}
	return append(dst, ']', '}')
}

func appendBulkResult(dst []byte, r *musterv1.BulkOperationResult, baseURL string) []byte {
	dst = append(dst, `{"status":`...)
	dst = appendString(dst, r.GetStatus())
	if r.GetMethod() != musterv1.BulkOperation_METHOD_UNSPECIFIED {
		dst = appendText(dst, "method", strings.TrimPrefix(r.GetMethod().String(), "METHOD_"))
	}
	dst = appendText(dst, "bulkId", r.GetBulkId())
	dst = appendText(dst, "version", r.GetVersion())
	if r.GetLocation() != "" {
		dst = appendText(dst, "location", baseURL+r.GetLocation())
	}
	if e := r.GetError(); e != nil {
		reason, _ := ParseReason(e.GetReason())
		dst = append(dst, `,"response":`...)
		dst = AppendError(dst, reason.Status(), reason, e.GetDetail())
	}
	return append(dst, '}')
}

// Location is where a resource is, relative to the base URL.
func (rt *ResourceType) Location(id string) string { return rt.Endpoint + "/" + url.PathEscape(id) }
