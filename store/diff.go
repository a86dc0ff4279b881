package store

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/muster-scim/muster/scim"
)

// A diff is what one write changes of a resource: the detail of its row in the
// change log. A create has no detail but the members it began with: the state
// after it follows from the present one and the changes between, without keeping
// each document twice.
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

// json is the detail: the attributes and members that changed, and
// the last document of a resource that was deleted. It is empty where there is
// nothing to say.
func (d *diff) json(last []byte) []byte {
	detail := struct {
		Attributes json.RawMessage     `json:"attributes,omitempty"`
		Members    map[string][]string `json:"members,omitempty"`
		Document   json.RawMessage     `json:"document,omitempty"`
	}{d.attributes, nil, last}
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
