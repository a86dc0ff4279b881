package scim

import (
	"testing"

	"google.golang.org/protobuf/proto"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

func TestDecodeSearch(t *testing.T) {
	text := func(s string) *string { return &s }
	number := func(n int32) *int32 { return &n }
	for body, want := range map[string]*musterv1.SearchRequest{
		`{}`: {},
		`{"schemas":["x"],"attributes":["userName"," emails "],"excludedAttributes":["a"],"filter":"title pr","sortBy":"title","sortOrder":"descending","startIndex":3,"count":5,"cursor":"abc"}`: {
			Attributes: []string{"userName", " emails "}, ExcludedAttributes: []string{"a"}, Filter: "title pr", SortBy: "title",
			SortOrder: musterv1.SortOrder_SORT_ORDER_DESCENDING, StartIndex: number(3), Count: number(5), PageToken: text("abc"),
		},
		`{"FILTER":"a","SortBy":"b","sortorder":"ASCENDING","StartIndex":"-3","COUNT":" 5 ","Cursor":"","Attributes":"x,y"}`: {
			Filter: "a", SortBy: "b", SortOrder: musterv1.SortOrder_SORT_ORDER_ASCENDING, StartIndex: number(-3), Count: number(5), PageToken: text(""), Attributes: []string{"x,y"},
		},
		`{"filter":null,"sortBy":null,"sortOrder":null,"startIndex":null,"count":null,"cursor":null,"attributes":null,"extra":{"a":[1]}}`: {},
		`{"count":99999999999999999999,"startIndex":-99999999999999999999}`:                                                               {Count: number(1<<31 - 1), StartIndex: number(-1 << 31)},
	} {
		got, err := DecodeSearch([]byte(body))
		if err != nil || !proto.Equal(got, want) {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
	for body, want := range map[string]Reason{
		``: InvalidSyntax, `[]`: InvalidSyntax, `"x"`: InvalidSyntax, `{`: InvalidSyntax, `{}{}`: InvalidSyntax, `{"filter":}`: InvalidSyntax,
		`{"filter":7}`: InvalidValue, `{"sortBy":["a"]}`: InvalidValue, `{"sortOrder":"up"}`: InvalidValue, `{"cursor":7}`: InvalidValue,
		`{"attributes":[7]}`: InvalidValue, `{"startIndex":"x"}`: InvalidValue, `{"startIndex":{}}`: InvalidValue,
		`{"count":"x"}`: InvalidCount, `{"count":1.5}`: InvalidCount, `{"count":true}`: InvalidCount, `{"count":""}`: InvalidCount,
	} {
		if got, err := DecodeSearch([]byte(body)); ReasonOf(err) != want {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
}

// Whatever the body, it is a search or an error that has a reason.
func FuzzDecodeSearch(f *testing.F) {
	for _, body := range []string{
		`{"filter":"title pr","sortBy":"title","sortOrder":"descending","startIndex":3,"count":5,"cursor":"abc"}`,
		`{"attributes":["userName"],"excludedAttributes":"a,b","count":"7","cursor":null}`, `{"count":1e9}`, `[]`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := DecodeSearch(body)
		if (s == nil) == (err == nil) {
			t.Fatalf("%q: %v, %v", body, s, err)
		}
		if reason := ReasonOf(err); err != nil && reason != InvalidSyntax && reason != InvalidValue && reason != InvalidCount && reason != PayloadTooLarge {
			t.Fatalf("%q: %v", body, err)
		}
	})
}
