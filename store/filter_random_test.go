package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Whatever the data and whatever the filter, the store's SQL chooses the very
// resources that scim's Match does, in both databases.
func TestFilter_AgreesWithMatch(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenants := []Tenant{newTenant(t, s), secondTenant(t, s)}
		register(t, tenants[0])
		tenants[0] = newTenant(t, s) // as it is now
		pools := make([]*pool, len(tenants))
		for i, tenant := range tenants {
			pools[i] = fill(t, tenant, i)
		}
		rapid.Check(t, func(t *rapid.T) {
			for range 20 {
				i := rapid.IntRange(0, len(pools)-1).Draw(t, "tenant")
				types := tenants[i].Catalog().ResourceTypes()
				rt := types[rapid.IntRange(0, len(types)-1).Draw(t, "type")]
				whole := func(t *rapid.T) string { return pools[i].filter(t, rt, nil, 3) }
				compareWithMatch(t, tenants[i], pools[i], rt, rapid.Custom(whole).Draw(t, "filter"))
			}
		})
	})
}

func compareWithMatch(t *rapid.T, tenant Tenant, p *pool, rt *scim.ResourceType, text string) {
	f, err := rt.ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	page, err := tenant.List(context.Background(), rt, Query{Filter: f, Count: 1000})
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for _, r := range page.Resources {
		found[r.GetId()] = true
	}
	wanted := 0
	for _, r := range p.resources[rt] {
		want := rt.Match(f, r)
		if want {
			wanted++
		}
		if want != found[r.GetId()] {
			t.Errorf("match says %t of %s", want, rt.AppendJSON(nil, r, ""))
		}
	}
	if len(page.Resources) != wanted || page.Total != wanted {
		t.Errorf("%d resources of %d, and %d match", len(page.Resources), page.Total, wanted)
	}
}

// secondTenant makes a tenant whose data must never be found from the first.
func secondTenant(tb testing.TB, s *Store) Tenant {
	tb.Helper()
	run(tb, s, "INSERT INTO tenants (id, profile, catalog_version, name, created_at) VALUES (1000, 'tolerant', 0, 'second', 0)")
	return Tenant{store: s, id: 1000, catalog: scim.Contract}
}

// register registers what scim tests the same with: an extension of User with an
// attribute of every type, and a type of its own.
func register(tb testing.TB, tenant Tenant) {
	tb.Helper()
	text, err := os.ReadFile("../scim/testdata/registered.json")
	if err != nil {
		tb.Fatal(err)
	}
	schemas, types, err := scim.ParseRegistrations(text)
	if err != nil {
		tb.Fatal(err)
	}
	if err := tenant.Register(context.Background(), false, schemas, types); err != nil {
		tb.Fatal(err)
	}
}

// A pool is the data of one tenant, and the values that stand in it, from which
// filters are made.
type pool struct {
	resources map[*scim.ResourceType][]scim.Resource // with their links
	ids       []string
}

// fill makes random users and groups, and groups in groups, some of them in
// circles.
func fill(tb testing.TB, tenant Tenant, seed int) *pool {
	tb.Helper()
	p := &pool{resources: make(map[*scim.ResourceType][]scim.Resource)}
	const manyUsers, manyGroups = 40, 12
	var types []*scim.ResourceType // of p.ids
	for _, rt := range tenant.Catalog().ResourceTypes() {
		n := manyGroups
		if rt.Name == scim.User.Name {
			n = manyUsers
		}
		for i := range n {
			users := p.ids[:min(len(p.ids), manyUsers)]
			body := rapid.Custom(func(t *rapid.T) map[string]any { return object(t, rt.Attributes(), users) }).Example(seed*1000 + i)
			makeUnique(body, i)
			text, err := json.Marshal(body)
			if err != nil {
				tb.Fatal(err)
			}
			p.ids, types = append(p.ids, create(tb, tenant, rt, "%s", text)), append(types, rt)
		}
	}
	users, groups := p.ids[:manyUsers], p.ids[manyUsers:manyUsers+manyGroups]
	for i, group := range groups[2:] { // two are empty
		chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(users), 0, 4, rapid.ID).Example(seed*1000 + i)
		chosen = append(chosen, rapid.SliceOfNDistinct(rapid.SampledFrom(groups[1:]), 0, 2, rapid.ID).Example(seed*1000+i)...)
		for _, member := range chosen {
			mustPatch(tb, tenant, scim.Group, group, fmt.Sprintf(`[{"op":"add","path":"members","value":[{"value":%q}]}]`, member))
		}
	}
	for i, id := range p.ids {
		run(tb, tenant.store, "UPDATE resources SET created_at = ", arg{moments[i%3].UnixMilli()},
			", updated_at = ", arg{moments[i%4].UnixMilli()}, " WHERE id = ", arg{id})
	}
	for i, id := range p.ids {
		p.resources[types[i]] = append(p.resources[types[i]], mustGet(tb, tenant, types[i], id))
	}
	return p
}

// makeUnique gives the attributes that must be unique values that are.
func makeUnique(body map[string]any, i int) {
	for name, v := range body {
		switch v := v.(type) {
		case map[string]any:
			makeUnique(v, i)
		case string:
			if name == "userName" || name == "badgeNumber" || name == "serialNumber" {
				body[name] = v + fmt.Sprint(i)
			}
		}
	}
}

var moments = []time.Time{
	time.UnixMilli(0).UTC(),
	time.Date(2026, 1, 31, 8, 0, 0, 1e6, time.UTC),
	time.Date(2026, 1, 31, 8, 0, 0, 2e6, time.UTC),
	time.Date(2026, 1, 31, 8, 0, 1, 0, time.UTC),
}

// Few characters, so that values often meet: those whose letter case is unlike
// that of English, neighbours of the surrogates, the greatest of all, and those
// that SQL gives a meaning.
var (
	character = rapid.SampledFrom([]rune("aaabbbAABcsSſkKıİiIßẞéÉσςΣ😀\uD7FF\uE000\U0010FFFF1%_'\"\\"))
	word      = rapid.StringOfN(character, 1, 3, -1)
	certain   = []byte{0, 1, 0xff}
	kinds     = rapid.SampledFrom([]string{"work", "Work", "home"})
	linkKinds = rapid.SampledFrom([]string{"direct", "indirect", "User", "Group"})
)

// object is a random JSON object of some of the attributes. users are those there
// are to refer to.
func object(t *rapid.T, attrs []*scim.Attribute, users []string) map[string]any {
	o := make(map[string]any)
	for _, a := range attrs {
		if a.ReadOnly() || a.Link || a.Name == "schemas" || a.Name == "password" || refers(a) && len(users) == 0 {
			continue
		}
		required := a.Required || a.Name == "room"
		if !required && rapid.IntRange(0, 2).Draw(t, a.Path) == 0 {
			continue
		}
		v := value(t, a, users)
		if a.MultiValued {
			elements := []any{v}
			for range rapid.IntRange(0, 2).Draw(t, "more") {
				elements = append(elements, value(t, a, users))
			}
			v = elements
		}
		if urn := a.Schema.URN; strings.HasPrefix(a.Path, urn) && a.Parent == nil {
			ext, _ := o[urn].(map[string]any)
			if ext == nil {
				ext = make(map[string]any)
				o[urn] = ext
			}
			ext[a.Name] = v
			continue
		}
		o[a.Name] = v
	}
	return o
}

// refers tells whether the values of the attribute name users.
func refers(a *scim.Attribute) bool {
	return a.Name == "owner" || a.Name == "value" && a.Parent != nil && (a.Parent.Name == "manager" || a.Parent.Name == "sponsor")
}

func value(t *rapid.T, a *scim.Attribute, users []string) any {
	switch {
	case refers(a):
		return rapid.SampledFrom(users).Draw(t, a.Name)
	case a.Type == scim.Complex:
		return object(t, a.Sub, users)
	case a.Type == scim.Integer:
		return rapid.SampledFrom([]int{-1, 0, 1, 9, 10, 1 << 53}).Draw(t, a.Name)
	case a.Type == scim.Decimal:
		return rapid.SampledFrom([]float64{-1.5, 0, 0.1, 1, 9.5, 1e21}).Draw(t, a.Name)
	case a.Type == scim.DateTime:
		return rapid.SampledFrom(moments).Draw(t, a.Name).Format(time.RFC3339Nano)
	case len(a.CanonicalValues) > 0 && a.Registered():
		return rapid.SampledFrom(a.CanonicalValues).Draw(t, a.Name)
	case a.Type == scim.Boolean:
		return rapid.Bool().Draw(t, a.Name)
	case a.Type == scim.Binary:
		return base64.StdEncoding.EncodeToString(rapid.SliceOfN(rapid.SampledFrom(certain), 1, 2).Draw(t, a.Name))
	case a.Name == "type":
		return kinds.Draw(t, a.Name)
	default:
		return word.Draw(t, a.Name)
	}
}

// filter is the text of a random filter: of the resource, or of an element of a.
func (p *pool) filter(t *rapid.T, rt *scim.ResourceType, a *scim.Attribute, depth int) string {
	part := func() string { return p.filter(t, rt, a, depth-1) }
	if depth > 0 {
		switch rapid.SampledFrom([]string{"term", "term", "term", "and", "or", "not"}).Draw(t, "form") {
		case "and":
			return "(" + part() + " and " + part() + ")"
		case "or":
			return "(" + part() + " or " + part() + ")"
		case "not":
			return "not (" + part() + ")"
		}
	}
	return p.term(t, rt, a)
}

func (p *pool) term(t *rapid.T, rt *scim.ResourceType, element *scim.Attribute) string {
	choice := rt.Attributes()
	if element != nil {
		choice = element.Sub
	}
	var intricate []*scim.Attribute // these are drawn as often as all others
	for _, a := range choice {
		if a.Link || a.Name == "emails" || a.Registered() && a.Parent == nil || a.Parent != nil && a.Parent.Link {
			intricate = append(intricate, a)
		}
	}
	if len(intricate) > 0 && rapid.Bool().Draw(t, "intricate") {
		choice = intricate
	}
	a := rapid.SampledFrom(searchable(choice)).Draw(t, "attribute")
	name := a.Path
	if element != nil {
		name = a.Name
	}
	if a.Type == scim.Complex {
		switch rapid.IntRange(0, 3).Draw(t, "complex") {
		case 0:
			return name + " pr"
		case 1:
			a = rapid.SampledFrom(searchable(a.Sub)).Draw(t, "sub")
			name = a.Path
		default:
			return name + "[" + p.filter(t, rt, a, 2) + "]"
		}
	}
	ops := []string{"eq", "eq", "ne", "pr"}
	switch a.Type {
	case scim.String, scim.Reference:
		ops = append(ops, "co", "sw", "ew", "gt", "ge", "lt", "le")
	case scim.DateTime, scim.Integer, scim.Decimal:
		ops = append(ops, "gt", "ge", "lt", "le")
	default:
	}
	op := rapid.SampledFrom(ops).Draw(t, "operator")
	if op == "pr" {
		return name + " pr"
	}
	return name + " " + op + " " + p.literal(t, rt, a, op)
}

func searchable(attrs []*scim.Attribute) []*scim.Attribute {
	var some []*scim.Attribute
	for _, a := range attrs {
		if a.Returned != musterv1.Attribute_RETURNED_NEVER && !a.Computed {
			some = append(some, a)
		}
	}
	return some
}

// literal is a value to compare a with, often one that some resource has.
func (p *pool) literal(t *rapid.T, rt *scim.ResourceType, a *scim.Attribute, op string) string {
	if (op == "eq" || op == "ne") && rapid.IntRange(0, 7).Draw(t, "null") == 0 {
		return "null"
	}
	switch a.Type {
	case scim.Boolean:
		return fmt.Sprint(rapid.Bool().Draw(t, "literal"))
	case scim.DateTime:
		shift := rapid.SampledFrom([]time.Duration{0, 0, time.Microsecond, time.Millisecond, -time.Hour}).Draw(t, "shift")
		return `"` + rapid.SampledFrom(moments).Draw(t, "literal").Add(shift).Format(time.RFC3339Nano) + `"`
	case scim.Binary:
		return fmt.Sprintf("%q", value(t, a, nil))
	case scim.Integer, scim.Decimal:
		return strings.ReplaceAll(fmt.Sprint(value(t, a, nil)), "e+", "e")
	default:
	}
	s := rapid.StringOfN(character, 0, 2, -1).Draw(t, "literal")
	if rapid.IntRange(0, 3).Draw(t, "met") > 0 {
		s = p.met(t, rt, a, s)
	}
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// met is a text that a may well have, or else s.
func (p *pool) met(t *rapid.T, rt *scim.ResourceType, a *scim.Attribute, s string) string {
	isLink := a.Parent != nil && a.Parent.Link
	switch {
	case a.Name == "id", a.Name == "value" && isLink, refers(a):
		id := rapid.SampledFrom(p.ids).Draw(t, "id")
		return id[:rapid.SampledFrom([]int{len(id), len(id), 20, 9}).Draw(t, "length")]
	case a.Name == "display" && isLink, a.Name == "userName", a.Name == "displayName":
		r := rapid.SampledFrom(p.usersAndGroups()).Draw(t, "resource")
		if u, ok := r.(*musterv1.User); ok && (u.GetDisplayName() == "" || a.Name == "userName") {
			return u.GetUserName()
		} else if ok {
			return u.GetDisplayName()
		}
		return r.(*musterv1.Group).GetDisplayName()
	case a.Name == "type" && isLink, a.Name == "resourceType":
		return linkKinds.Draw(t, "kind")
	case a.Name == "type":
		return kinds.Draw(t, "kind")
	case a.Name == "version":
		return rapid.SampledFrom([]string{`W/"1"`, `W/"2"`, `W/"`, `"`, "1"}).Draw(t, "version")
	case a.Name == "schemas":
		return rapid.SampledFrom([]string{scim.User.Schema.URN, scim.Group.Schema.URN, scim.User.Extensions[0].URN, "urn"}).Draw(t, "schema")
	}
	return s
}

func (p *pool) usersAndGroups() []scim.Resource {
	var all []scim.Resource
	for rt, some := range p.resources {
		if !rt.Registered() {
			all = append(all, some...)
		}
	}
	return all
}

// The limits of the filter language are within those of the databases.
func TestFilter_AtTheLimits(t *testing.T) {
	nested := strings.Repeat("not (", scim.MaxFilterDepth-1) + "%s" + strings.Repeat(")", scim.MaxFilterDepth-1)
	repeat := func(format string, between string, n int) string {
		terms := make([]string, n)
		for i := range terms {
			terms[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(terms, between)
	}
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		create(t, tenant, scim.User, `{"userName":"a","emails":[{"value":"0"}],"title":"1"}`)
		for _, filter := range []string{
			repeat(`title eq "%d"`, " or ", scim.MaxFilterTerms),
			repeat(`title ne "x%d"`, " and ", scim.MaxFilterTerms),
			repeat(`emails eq "%d"`, " or ", scim.MaxFilterTerms),
			repeat(`emails.type ne "%d"`, " and ", scim.MaxFilterTerms),
			repeat(`emails[type ne "%d"]`, " and ", scim.MaxFilterTerms),
			repeat(`not (groups.type eq "%d")`, " and ", 100),
			fmt.Sprintf("not ("+nested+")", "userName pr"),
			fmt.Sprintf("not ("+nested+")", repeat(`userName ne "x%d"`, " and ", scim.MaxFilterTerms)),
		} {
			f, err := scim.User.ParseFilter(filter)
			if err != nil {
				t.Fatal(err)
			}
			page, err := tenant.List(context.Background(), scim.User, Query{Filter: f, Count: 10})
			if err != nil || page.Total != 1 {
				t.Errorf("%.80s…: %d, %v", filter, page.Total, errors.Unwrap(err))
			}
		}
	})
}
