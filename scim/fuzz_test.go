package scim

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// seed adds the cases of a golden file.
func seed(f *testing.F, file string) {
	f.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSuffix(line, "\n"); line != "" && !strings.ContainsAny(line[:1], "\t#@") {
			f.Add(line)
		}
	}
}

// Whatever the text, parsing ends, with a filter that its canonical form gives
// back and that can be matched, or with an error that has a reason.
func FuzzParseFilter(f *testing.F) {
	seed(f, "testdata/filter.txt")
	_, r := decodeStored(f, ada)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := User.ParseFilter(text)
		if err != nil {
			if ReasonOf(err) != InvalidFilter {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		canonical := formatFilter(filter)
		if len(canonical) > MaxFilterLength {
			return
		}
		again, err := User.ParseFilter(canonical)
		if err != nil {
			t.Fatalf("%q: its canonical form %q: %v", text, canonical, err)
		}
		if second := formatFilter(again); second != canonical {
			t.Fatalf("%q: %q became %q", text, canonical, second)
		}
		if User.Match(filter, r) != User.Match(again, r) {
			t.Fatalf("%q: %q matches otherwise", text, canonical)
		}
		if User.Match(Not{filter}, r) == User.Match(filter, r) {
			t.Fatalf("%q: not makes no difference", text)
		}
	})
}

// The same for paths.
func FuzzParsePath(f *testing.F) {
	seed(f, "testdata/path.txt")
	f.Fuzz(func(t *testing.T, text string) {
		path, err := User.ParsePath(text)
		if err != nil {
			if r := ReasonOf(err); r != InvalidPath && r != InvalidFilter {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		canonical := formatPath(path)
		if len(canonical) > MaxFilterLength {
			return
		}
		again, err := User.ParsePath(canonical)
		if err != nil || formatPath(again) != canonical {
			t.Fatalf("%q: its canonical form %q: %v, %v", text, canonical, again, err)
		}
		if again.Attr != path.Attr || again.Sub != path.Sub {
			t.Fatalf("%q: %q is another path", text, canonical)
		}
	})
}

// Whatever the body, reading a bulk request ends; what it takes for data is JSON.
func FuzzDecodeBulk(f *testing.F) {
	for _, body := range []string{
		`{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"failOnErrors":1,"Operations":[{"method":"POST","path":"/Users","bulkId":"q","data":{"userName":"a"}}]}`,
		`{"operations":[{"METHOD":"Delete","path":"/Users/bulkId:q","version":"W/\"1\""},{"data": [1.5e3, null, "\u00e9"] }],"failonerrors":"2"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		req, err := DecodeBulk(body, DefaultLimits())
		if err != nil {
			if r := ReasonOf(err); r != InvalidSyntax && r != InvalidValue && r != PayloadTooLarge {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		for _, op := range req.GetOperations() {
			if op.GetData() != "" && !json.Valid([]byte(op.GetData())) {
				t.Fatalf("%q: the data are %q", body, op.GetData())
			}
			_, _, _ = SplitBulkPath(op.GetPath())
		}
	})
}
