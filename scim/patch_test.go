package scim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPatch_Golden plays the cases of testdata/patch.txt.
func TestPatch_Golden(t *testing.T) {
	const file = "testdata/patch.txt"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n=== ")
	var out strings.Builder
	out.WriteString(head)
	for c := range strings.SplitSeq(rest, "\n=== ") {
		lines := strings.SplitN(strings.TrimSpace(c), "\n", 4)
		name, before, body := lines[0], lines[1], lines[2]
		want := ""
		if len(lines) > 3 {
			want = lines[3]
		}
		got := playPatch(t, before, body)
		t.Run(name, func(t *testing.T) {
			if !*update && got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
		fmt.Fprintf(&out, "\n=== %s\n%s\n%s\n%s\n", name, before, body, got)
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// playPatch applies a patch and tells what came of it. It applies it twice,
// since a store may have to, and the second time must give the same.
func playPatch(t *testing.T, before, body string) string {
	t.Helper()
	rtName, doc, _ := strings.Cut(before, " ")
	rt := map[string]*ResourceType{"User": User, "Group": Group}[rtName]
	r := mustDecode(t, rt, doc)
	ops, err := DecodePatch([]byte(body))
	if err != nil {
		return "error " + err.Error()
	}
	c, err := rt.CompilePatch(ops)
	if err != nil {
		return "error " + err.Error()
	}
	again := proto.Clone(r).(Resource)
	err = c.Apply(r)
	if err2 := c.Apply(again); fmt.Sprint(err) != fmt.Sprint(err2) || err == nil && !proto.Equal(r, again) {
		t.Errorf("applied again, the patch gives %v %v, not %v %v", again, err2, r, err)
	}
	if err != nil {
		return "error " + err.Error()
	}
	out := string(rt.AppendJSON(nil, r, ""))
	for _, l := range c.Links() {
		out += fmt.Sprintf("\n%s %s %q", []string{"add", "remove", "remove where", "set"}[l.Kind], l.Attr.Path, l.Values)
		if l.Filter != nil {
			out += " " + formatElementFilter(l.Filter)
		}
	}
	return out
}

// mustDecode reads a resource as a store would hold it.
func mustDecode(t testing.TB, rt *ResourceType, doc string) Resource {
	t.Helper()
	r, err := rt.DecodeJSON([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	id := r.GetId()
	if err := rt.Prepare(r); err != nil {
		t.Fatal(err)
	}
	rt.Stamp(r, id, nil)
	return r
}
