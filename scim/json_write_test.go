package scim

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the text, readers see what encoding/json would have shown them.
func TestAppendString_AgreesWithEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.String(),
			rapid.StringOfN(rapid.RuneFrom([]rune("\x00\x1f\"\\/\n\r\t\u2028é😀a")), 0, 20, -1),
			rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) }),
		).Draw(t, "s")
		var ours, theirs string
		if err := json.Unmarshal(appendString(nil, s), &ours); err != nil {
			t.Fatalf("%q is printed as %s: %v", s, appendString(nil, s), err)
		}
		std, _ := json.Marshal(s)
		if err := json.Unmarshal(std, &theirs); err != nil || ours != theirs {
			t.Fatalf("%q is read back as %q, want %q", s, ours, theirs)
		}
	})
}

func TestAppendList(t *testing.T) {
	item := func(dst []byte, i int) []byte { return append(dst, `{"n":`+string(rune('0'+i))+`}`...) }
	for want, got := range map[string][]byte{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":7,"startIndex":3,"itemsPerPage":2,"Resources":[{"n":0},{"n":1}]}`: AppendList(nil, Page{Total: 7, StartIndex: 3, ItemsPerPage: 2}, 2, item),
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":0,"startIndex":1,"itemsPerPage":0,"Resources":[]}`:                AppendList(nil, Page{StartIndex: 1}, 0, item),
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":7,"itemsPerPage":1,"nextCursor":"aB-_","Resources":[{"n":0}]}`:    AppendList(nil, Page{Total: 7, ItemsPerPage: 1, NextCursor: "aB-_"}, 1, item),
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAppendError(t *testing.T) {
	for want, got := range map[string][]byte{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"400","scimType":"invalidFilter","detail":"at \"x\""}`: AppendError(nil, 400, InvalidFilter, `at "x"`),
		// A reason of our own is never sent as scimType.
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"404","detail":"no user"}`: AppendError(nil, 404, NotFound, "no user"),
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"500"}`:                    AppendError(nil, 500, Internal, ""),
	} {
		if string(got) != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
