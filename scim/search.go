package scim

import (
	"math"
	"strconv"
	"strings"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// DecodeSearch reads the body of a POST to /.search (RFC 7644 section 3.4.3, with
// the cursor of RFC 9865 section 3). Names of members are taken in any letter case,
// and members it does not know are passed over; null is as good as absent. A list
// of attributes may be one string with commas, and a number may be in quotes.
//
// The error is InvalidSyntax for text that is not a JSON object, InvalidCount for a
// count that is no number, and InvalidValue for another member of a wrong type.
func DecodeSearch(data []byte) (*musterv1.SearchRequest, error) {
	in := newJSONReader(data, MaxValues)
	s := searchReader{in: in, out: &musterv1.SearchRequest{}}
	switch k := in.peek(); k {
	case kindObject:
		in.open()
		for key, more := in.next(); more; key, more = in.next() {
			s.member(key)
		}
	case kindNone:
	default:
		in.fail(Errorf(InvalidSyntax, "the body is %s, not a JSON object", k))
	}
	in.end()
	if in.fault != nil {
		return nil, in.fault
	}
	return s.out, nil
}

type searchReader struct {
	in  *jsonReader
	out *musterv1.SearchRequest
}

func (s *searchReader) member(key string) {
	if s.in.peek() == kindNull {
		s.in.null()
		return
	}
	switch strings.ToLower(key) {
	case "filter":
		s.out.Filter = s.text(key)
	case "sortby":
		s.out.SortBy = s.text(key)
	case "sortorder":
		s.out.SortOrder = s.order(key)
	case "startindex":
		s.out.StartIndex = s.number(key, InvalidValue)
	case "count":
		s.out.Count = s.number(key, InvalidCount)
	case "cursor":
		cursor := s.text(key)
		s.out.PageToken = &cursor
	case "attributes":
		s.out.Attributes = s.texts(key)
	case "excludedattributes":
		s.out.ExcludedAttributes = s.texts(key)
	default:
		skipValue(s.in)
	}
}

func (s *searchReader) text(name string) string {
	if k := s.in.peek(); k != kindString {
		if k != kindNone {
			s.in.fail(Errorf(InvalidValue, "%s is %s, not a string", name, k))
		}
		return ""
	}
	return s.in.text()
}

// texts reads a list of strings, or one string.
func (s *searchReader) texts(name string) (list []string) {
	if s.in.peek() != kindArray {
		return []string{s.text(name)}
	}
	s.in.open()
	for _, more := s.in.next(); more; _, more = s.in.next() {
		list = append(list, s.text(name))
	}
	return list
}

func (s *searchReader) number(name string, reason Reason) *int32 {
	literal := ""
	switch s.in.peek() {
	case kindNumber:
		literal = s.in.number()
	case kindString:
		literal = s.in.text()
	default:
		skipValue(s.in)
	}
	n, ok := ParseNumber(literal)
	if !ok {
		s.in.fail(Errorf(reason, "%s is not a whole number", name))
	}
	return &n
}

func (s *searchReader) order(name string) musterv1.SortOrder {
	order, ok := ParseSortOrder(s.text(name))
	if !ok {
		s.in.fail(Errorf(InvalidValue, "%s is neither ascending nor descending", name))
	}
	return order
}

// ParseNumber reads a whole number. One that does not fit 32 bits becomes the
// nearest that does: a client that asks for ever so many results means as many as
// there are.
func ParseNumber(text string) (n int32, ok bool) {
	long, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil && long == 0 { // out of range leaves the nearest number
		return 0, false
	}
	return int32(min(max(long, math.MinInt32), math.MaxInt32)), true
}

// ParseSortOrder reads a sortOrder, in any letter case; an empty one is unspecified.
func ParseSortOrder(text string) (order musterv1.SortOrder, ok bool) {
	switch {
	case strings.EqualFold(text, "ascending"):
		return musterv1.SortOrder_SORT_ORDER_ASCENDING, true
	case strings.EqualFold(text, "descending"):
		return musterv1.SortOrder_SORT_ORDER_DESCENDING, true
	}
	return musterv1.SortOrder_SORT_ORDER_UNSPECIFIED, text == ""
}
