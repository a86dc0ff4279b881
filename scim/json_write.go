package scim

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

// The schemas of the messages that are not resources (RFC 7644 section 8.2).
const (
	listResponseURN = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorURN        = "urn:ietf:params:scim:api:messages:2.0:Error"
	bulkResponseURN = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"
)

// plain marks the bytes that stand for themselves in a JSON string. Those from
// 0x80 on are parts of UTF-8 sequences and are looked at one by one.
var plain = func() (t [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendString appends s as a JSON string (RFC 8259). Only what must be escaped
// is; a byte that is not UTF-8 becomes U+FFFD.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not yet copied
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, s[i])
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, s[start:i]...)
			dst = utf8.AppendRune(dst, utf8.RuneError)
			start = i + 1
		}
		i += size
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

// appendEscape appends a quote, a backslash or a control character.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
}

// appendValue appends any JSON value; members of objects come in the order of
// their names.
func appendValue(dst []byte, v *structpb.Value) []byte {
	switch v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return strconv.AppendBool(dst, v.GetBoolValue())
	case *structpb.Value_NumberValue:
		return appendFloat(dst, v.GetNumberValue())
	case *structpb.Value_StringValue:
		return appendString(dst, v.GetStringValue())
	case *structpb.Value_StructValue:
		return appendStruct(dst, v.GetStructValue())
	case *structpb.Value_ListValue:
		dst = append(dst, '[')
		for i, element := range v.GetListValue().GetValues() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendValue(dst, element)
		}
		return append(dst, ']')
	default:
		return append(dst, "null"...)
	}
}

// appendStruct appends an object, without members that hold nothing: a projection
// may have left some.
func appendStruct(dst []byte, s *structpb.Struct) []byte {
	dst = append(dst, '{')
	start := len(dst)
	for _, name := range slices.Sorted(maps.Keys(s.GetFields())) {
		v := s.GetFields()[name]
		if !holdsAnything(v) {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = appendString(dst, name)
		dst = appendValue(append(dst, ':'), v)
	}
	return append(dst, '}')
}

// holdsAnything tells whether a value is more than empty objects and lists.
func holdsAnything(v *structpb.Value) bool {
	switch v.GetKind().(type) {
	case *structpb.Value_StructValue:
		for _, member := range v.GetStructValue().GetFields() {
			if holdsAnything(member) {
				return true
			}
		}
		return false
	case *structpb.Value_ListValue:
		return slices.ContainsFunc(v.GetListValue().GetValues(), holdsAnything)
	default:
		return true
	}
}

// appendFloat appends a number without an exponent where it is a whole one that
// a float64 holds exactly.
func appendFloat(dst []byte, n float64) []byte {
	if n == math.Trunc(n) && math.Abs(n) <= MaxInteger {
		return strconv.AppendInt(dst, int64(n), 10)
	}
	return strconv.AppendFloat(dst, n, 'g', -1, 64)
}

// A Page is what a ListResponse says of itself.
type Page struct {
	Total, ItemsPerPage int
	StartIndex          int    // 0: the page was asked for by a cursor
	NextCursor          string // "": there is no more
}

// AppendList appends a ListResponse (RFC 7644 section 3.4.2, RFC 9865 section 2) of
// n resources, each appended by appendItem.
func AppendList(dst []byte, p Page, n int, appendItem func(dst []byte, i int) []byte) []byte {
	dst = append(dst, `{"schemas":["`+listResponseURN+`"],"totalResults":`...)
	dst = strconv.AppendInt(dst, int64(p.Total), 10)
	if p.StartIndex > 0 {
		dst = append(dst, `,"startIndex":`...)
		dst = strconv.AppendInt(dst, int64(p.StartIndex), 10)
	}
	dst = append(dst, `,"itemsPerPage":`...)
	dst = strconv.AppendInt(dst, int64(p.ItemsPerPage), 10)
	if p.NextCursor != "" {
		dst = append(dst, `,"nextCursor":`...)
		dst = appendString(dst, p.NextCursor)
	}
	dst = append(dst, `,"Resources":[`...)
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendItem(dst, i)
	}
	return append(dst, ']', '}')
}

// AppendError appends an error body (RFC 7644 section 3.12). The reason shows as
// scimType only where it is one of the RFC's words.
func AppendError(dst []byte, status int, reason Reason, detail string) []byte {
	dst = append(dst, `{"schemas":["`+errorURN+`"],"status":"`...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, '"')
	if reason.IsSCIMType() {
		dst = append(dst, `,"scimType":"`...)
		dst = append(dst, reason.String()...)
		dst = append(dst, '"')
	}
	if detail != "" {
		dst = append(dst, `,"detail":`...)
		dst = appendString(dst, detail)
	}
	return append(dst, '}')
}
