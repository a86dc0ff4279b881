package console

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// A factSheet is what a resource has of one schema.
type factSheet struct {
	Name, URN string
	Facts     []fact
}

// A fact is an attribute with its value: one line, or several parts.
type fact struct {
	Name, Help string
	Text       string
	Time       bool   // Text is a moment
	Link       string // where a reference leads
	Parts      []fact
	Elements   []element // of an attribute with many values
}

// An element is one of the values of an attribute that has many.
type element struct {
	Text    string
	Notes   []string // its type, and whether it is the primary one
	Parts   []fact   // what else there is of it
	Primary bool
}

// messageJSON is a resource as SCIM names its attributes; those of extensions stand
// below their URN, whether the contract has them or they were registered at run time.
func messageJSON(m proto.Message) (map[string]any, error) {
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	if extensions, ok := all["extensions"].(map[string]any); ok {
		maps.Copy(all, extensions)
	}
	return all, nil
}

// everyResource are attributes that every resource has and no schema names (RFC 7643
// section 3.1).
var everyResource = []*musterv1.Attribute{
	{Name: "externalId", Description: "The identifier that the provisioning client uses."},
	{Name: "id", Description: "The identifier, made by the server; it never changes."},
}

// sheetsOf are the attributes of a resource by schema, in the order of the schemas: those
// that have a value, less some that the page shows elsewhere.
func (v *visit) sheetsOf(resourceType string, m proto.Message, without ...string) ([]factSheet, error) {
	values, err := messageJSON(m)
	if err != nil {
		return nil, err
	}
	rt, err := v.discovery.GetResourceType(v.Context(), &musterv1.GetResourceTypeRequest{Id: resourceType})
	if err != nil {
		return nil, err
	}
	schemas, err := v.discovery.ListSchemas(v.Context(), &musterv1.ListSchemasRequest{})
	if err != nil {
		return nil, err
	}
	byURN := make(map[string]*musterv1.Schema)
	for _, s := range schemas.GetSchemas() {
		byURN[s.GetId()] = s
	}
	var sheets []factSheet
	core := byURN[rt.GetResourceType().GetSchema()]
	facts := factsOf(slices.Concat(core.GetAttributes(), everyResource), values, without)
	sheets = append(sheets, factSheet{Name: "Attributes", URN: core.GetId(), Facts: facts})
	for _, e := range rt.GetResourceType().GetSchemaExtensions() {
		s := byURN[e.GetSchema()]
		of, _ := values[e.GetSchema()].(map[string]any)
		if facts := factsOf(s.GetAttributes(), of, nil); len(facts) > 0 {
			sheets = append(sheets, factSheet{Name: s.GetName(), URN: s.GetId(), Facts: facts})
		}
	}
	return sheets, v.nameLinks(sheets)
}

// nameLinks puts the names of users in place of the ids that references to them show.
func (v *visit) nameLinks(sheets []factSheet) error {
	links := make(map[string][]*fact)
	for _, s := range sheets {
		for i := range s.Facts {
			if id, ok := strings.CutPrefix(s.Facts[i].Link, root+"users/"); ok {
				links[id] = append(links[id], &s.Facts[i])
			}
		}
	}
	if len(links) == 0 {
		return nil
	}
	out, err := v.directory.BatchGetUsers(v.Context(), &musterv1.BatchGetUsersRequest{
		Ids: slices.Collect(maps.Keys(links)), ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"user_name", "display_name", "name"}},
	})
	for _, u := range out.GetUsers() {
		for _, f := range links[u.GetId()] {
			f.Text = nameOf(u)
		}
	}
	return err
}

// factsOf are the attributes that have a value.
func factsOf(attributes []*musterv1.Attribute, values map[string]any, without []string) []fact {
	var facts []fact
	for _, a := range attributes {
		value, assigned := values[a.GetName()]
		if !assigned || slices.Contains(without, a.GetName()) {
			continue
		}
		f := factOf(a, value)
		if f.Text != "" || len(f.Parts) > 0 || len(f.Elements) > 0 {
			facts = append(facts, f)
		}
	}
	return facts
}

func factOf(a *musterv1.Attribute, value any) fact {
	f := fact{Name: a.GetName(), Help: a.GetDescription(), Time: a.GetType() == musterv1.Attribute_TYPE_DATE_TIME}
	switch value := value.(type) {
	case []any:
		for _, e := range value {
			f.Elements = append(f.Elements, elementOf(a, e))
		}
	case map[string]any:
		f.Parts = factsOf(a.GetSubAttributes(), value, nil)
		link(&f, a, value)
	default:
		f.Text = scalar(value)
	}
	return f
}

// link makes of a reference to a user, as manager is one, a link.
func link(f *fact, a *musterv1.Attribute, value map[string]any) {
	for _, sub := range a.GetSubAttributes() {
		id, ok := value["value"].(string)
		if !ok || sub.GetName() != "$ref" {
			continue
		}
		for path, name := range map[string]string{"users/": "User", "groups/": "Group"} {
			if slices.Equal(sub.GetReferenceTypes(), []string{name}) {
				f.Link = root + path + id
			}
		}
	}
	if f.Link == "" {
		return
	}
	if f.Text = scalar(value["displayName"]); f.Text == "" {
		f.Text = scalar(value["value"])
	}
	f.Parts = nil
}

// elementOf is one of many values. Of those that are complex the value itself, or else
// what is displayed or formatted, is the text.
func elementOf(a *musterv1.Attribute, value any) element {
	of, isComplex := value.(map[string]any)
	if !isComplex {
		return element{Text: scalar(value)}
	}
	var e element
	shown := []string{"type", "primary", "$ref"}
	for _, name := range []string{"value", "formatted", "display"} {
		if text := scalar(of[name]); text != "" && e.Text == "" {
			e.Text, shown = text, append(shown, name)
		}
	}
	if text := scalar(of["type"]); text != "" {
		e.Notes = append(e.Notes, text)
	}
	if of["primary"] == true {
		e.Primary, e.Notes = true, append(e.Notes, "primary")
	}
	for _, f := range factsOf(a.GetSubAttributes(), of, shown) {
		if f.Text != "" && f.Text == e.Text {
			continue
		}
		e.Parts = append(e.Parts, f)
	}
	return e
}

// A change is what an event of the audit log did to one attribute.
type change struct {
	Name          string
	Before, After string
	Secret        bool // only that it changed is known
}

// Short is the name without the URN of its schema.
func (c change) Short() string { return c.Name[strings.LastIndexByte(c.Name, ':')+1:] }

// changesOf reads what an event changed, as the audit log has it.
func changesOf(text string) ([]change, error) {
	if text == "" {
		return nil, nil
	}
	var of struct {
		Attributes map[string]map[string]any `json:"attributes"`
		Members    struct {
			Added   []string `json:"added"`
			Removed []string `json:"removed"`
		} `json:"members"`
		Groups struct {
			Removed []string `json:"removed"`
		} `json:"groups"`
	}
	if err := json.Unmarshal([]byte(text), &of); err != nil {
		return nil, fmt.Errorf("what an event of the audit log changed: %w", err)
	}
	var all []change
	for name, values := range of.Attributes {
		before, err := compact(values["before"])
		if err != nil {
			return nil, err
		}
		after, err := compact(values["after"])
		if err != nil {
			return nil, err
		}
		all = append(all, change{Name: name, Before: before, After: after, Secret: before == "" && after == ""})
	}
	slices.SortFunc(all, func(a, b change) int { return strings.Compare(a.Name, b.Name) })
	for _, c := range []change{{Name: "members", After: some(of.Members.Added), Before: some(of.Members.Removed)}, {Name: "groups", Before: some(of.Groups.Removed)}} {
		if c.Before != "" || c.After != "" {
			all = append(all, c)
		}
	}
	return all, nil
}

// maxLine is how long a value is at most that stands on one line.
const maxLine = 72

// compact is a value of any kind as text; of one that is not there, empty.
func compact(value any) (string, error) {
	switch value.(type) {
	case nil:
		return "", nil
	case map[string]any, []any:
		if line, err := json.Marshal(value); err != nil || len(line) <= maxLine {
			return string(line), err
		}
		return pretty(value)
	case bool:
		return fmt.Sprint(value), nil
	}
	return scalar(value), nil
}

// some are the first of many ids.
func some(ids []string) string {
	const most = 20
	if more := len(ids) - most; more > 0 {
		return strings.Join(ids[:most], "\n") + "\nand " + plural(more, "more", "more")
	}
	return strings.Join(ids, "\n")
}
