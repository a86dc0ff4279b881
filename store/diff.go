package store

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/muster-scim/muster/scim"
)

// A diff is what one write changes of a resource: the detail of its row in the
// change log, beside the document after it. So the log can be replayed by itself.
type diff struct {
	attributes []byte // JSON of scim.AppendDiff; nil: none changed
	members    map[string]bool
}

func newDiff() *diff { return &diff{members: make(map[string]bool)} }

// add and remove note a membership that began (true) or ended (false). One that
// did both is as before.
func (d *diff) add(id string) { d.note(id, true) }

func (d *diff) remove(id string) { d.note(id, false) }

func (d *diff) note(id string, member bool) {
	if was, noted := d.members[id]; noted && was != member {
		delete(d.members, id)
		return
	}
	d.members[id] = member
}

func (d *diff) empty() bool { return d.attributes == nil && len(d.members) == 0 }

// attributesDiff is scim.AppendDiff. That a secret changed is all that is said of
// it.
func attributesDiff(rt *scim.ResourceType, before, after scim.Resource, secrets map[string]string) []byte {
	out := rt.AppendDiff(nil, before, after)
	for _, path := range slices.Sorted(maps.Keys(secrets)) {
		member := `{"` + path + `":{}`
		if string(out) != "{}" {
			member += ","
		}
		out = append([]byte(member), out[1:]...)
	}
	return out
}

// mustDecode decodes what was just encoded.
func mustDecode(rt *scim.ResourceType, document []byte) scim.Resource {
	r, err := rt.DecodeDocument(document)
	if err != nil {
		panic(err)
	}
	return r
}

// json is the detail: the attributes and members that changed, and the document of
// the resource after that, or as it was last before it was deleted; nil where its
// attributes are as they were. It is empty where there is nothing to say.
func (d *diff) json(w *row) []byte {
	detail := struct {
		Attributes json.RawMessage     `json:"attributes,omitempty"`
		Members    map[string][]string `json:"members,omitempty"`
		Document   json.RawMessage     `json:"document,omitempty"`
		Created    int64               `json:"created,omitempty"` // with the document
	}{Attributes: d.attributes}
	if w != nil {
		detail.Document, detail.Created = w.document, w.created
	}
	for _, id := range slices.Sorted(maps.Keys(d.members)) {
		word := "removed"
		if d.members[id] {
			word = "added"
		}
		if detail.Members == nil {
			detail.Members = make(map[string][]string, 2)
		}
		detail.Members[word] = append(detail.Members[word], id)
	}
	if detail.Attributes == nil && detail.Members == nil && detail.Document == nil {
		return nil
	}
	text, err := json.Marshal(detail)
	if err != nil {
		panic(err) // its parts are JSON already
	}
	return text
}
