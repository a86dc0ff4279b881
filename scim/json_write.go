package scim

import (
	"strconv"
	"unicode/utf8"
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

// AppendList appends a ListResponse (RFC 7644 section 3.4.2): total matches, of
// which n are in the answer, each appended by appendItem.
func AppendList(dst []byte, total, startIndex, itemsPerPage, n int, appendItem func(dst []byte, i int) []byte) []byte {
	dst = append(dst, `{"schemas":["`+listResponseURN+`"],"totalResults":`...)
	dst = strconv.AppendInt(dst, int64(total), 10)
	dst = append(dst, `,"startIndex":`...)
	dst = strconv.AppendInt(dst, int64(startIndex), 10)
	dst = append(dst, `,"itemsPerPage":`...)
	dst = strconv.AppendInt(dst, int64(itemsPerPage), 10)
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
