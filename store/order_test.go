package store

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// Whatever the data and whatever it is sorted by, the store's SQL has the order
// that scim's Compare has, in both databases, for one type and for all together;
// and page by page, by index and by place, it is the same list.
func TestSort_AgreesWithCompare(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		register(t, newTenant(t, s))
		tenant := newTenant(t, s) // as it is now
		p := fill(t, tenant, 0)
		fill(t, secondTenant(t, s), 1)
		all := tenant.Catalog().ResourceTypes()
		defer func(n int) { farOff = n }(farOff)
		rapid.Check(t, func(t *rapid.T) {
			for range 5 {
				farOff = rapid.SampledFrom([]int{0, 10, 1000}).Draw(t, "far off")
				types := all
				if rapid.Bool().Draw(t, "one") {
					types = []*scim.ResourceType{rapid.SampledFrom(all).Draw(t, "type")}
				}
				l := drawList(t, tenant, p, types)
				for _, way := range []string{"by place", "by index"} {
					l.walk(t, way, rapid.SampledFrom([]int{1, 3, 7, 12, 40, 52, 53}).Draw(t, "count"))
				}
			}
		})
	})
}

// A randomList is a list with what it should be.
type randomList struct {
	tenant Tenant
	parts  []Part
	order  scim.Sort // of no attribute: each part has its own
	want   []scim.Resource
}

func drawList(t *rapid.T, tenant Tenant, p *pool, types []*scim.ResourceType) *randomList {
	l := &randomList{tenant: tenant, parts: make([]Part, len(types)), order: scim.Sort{Descending: rapid.Bool().Draw(t, "descending")}}
	some := rapid.SampledFrom(types).Draw(t, "type")
	filters, sorts := make([]scim.Filter, len(types)), make([]*scim.Attribute, len(types))
	var err error
	if rapid.Bool().Draw(t, "filtered") {
		if filters, err = scim.ParseFilters(types, p.filter(t, some, nil, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "sorted") > 0 {
		sortBy := rapid.SampledFrom(sortable(some.Attributes())).Draw(t, "attribute").Path
		if sorts, err = scim.ParseSorts(types, sortBy); err != nil {
			t.Fatal(err)
		}
	}
	for i, rt := range types {
		l.parts[i] = Part{Type: rt, Filter: filters[i], SortBy: sorts[i], Links: rapid.Bool().Draw(t, "links")}
		for _, r := range p.resources[rt] {
			if filters[i] == nil || rt.Match(filters[i], r) {
				l.want = append(l.want, r)
			}
		}
	}
	slices.SortFunc(l.want, func(a, b scim.Resource) int { return l.order.Compare(l.place(a), l.place(b)) })
	return l
}

// place is where a resource should stand.
func (l *randomList) place(r scim.Resource) scim.Place {
	s := scim.Sort{}
	for _, p := range l.parts {
		if p.Type.Name == r.GetMeta().GetResourceType() && p.SortBy != nil && p.SortBy.Path != "id" {
			s.Attr = p.SortBy
		}
	}
	return s.PlaceOf(r)
}

// walk reads the list page by page.
func (l *randomList) walk(t *rapid.T, way string, count int) {
	q := Query{Count: count, Descending: l.order.Descending}
	for begin := 0; ; begin += count {
		page, err := l.tenant.Search(context.Background(), l.parts, q)
		if err != nil {
			t.Fatal(err)
		}
		end := min(begin+count, len(l.want))
		if !slices.EqualFunc(page.Resources, l.want[begin:end], func(a, b scim.Resource) bool { return a.GetId() == b.GetId() }) {
			t.Fatalf("%s, %d to %d are\n%s\nand should be\n%s", way, begin, end, l.places(page.Resources), l.places(l.want[begin:end]))
		}
		for i, of := range page.Of {
			if name := page.Resources[i].GetMeta().GetResourceType(); l.parts[of].Type.Name != name {
				t.Fatalf("a %s is said to be of the part of %s", name, l.parts[of].Type.Name)
			}
		}
		if page.Total != len(l.want) {
			t.Fatalf("%s: the total is %d, not %d", way, page.Total, len(l.want))
		}
		switch more := end < len(l.want); {
		case more != (page.Next != nil):
			t.Fatalf("%s: after %d of %d, the next page begins at %v", way, end, len(l.want), page.Next)
		case !more:
			return
		case *page.Next != l.place(l.want[end-1]):
			t.Fatalf("%s: the next page begins at %v, not %v", way, *page.Next, l.place(l.want[end-1]))
		case way == "by place":
			q.After = page.Next
		default:
			q.Offset = end
		}
	}
}

func (l *randomList) places(resources []scim.Resource) string {
	text := ""
	for _, r := range resources {
		text += fmt.Sprintf("%+v\n", l.place(r))
	}
	return text
}

func sortable(attrs []*scim.Attribute) []*scim.Attribute {
	var some []*scim.Attribute
	for _, a := range searchable(attrs) {
		if a.Type == scim.Complex {
			some = append(some, sortable(a.Sub)...)
		} else {
			some = append(some, a)
		}
	}
	return some
}

// A list that is read behind a place neither repeats nor misses a resource that is
// there all the time, whatever is written meanwhile.
func TestList_StableUnderWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		title, err := scim.User.ParseSort("title")
		if err != nil {
			t.Fatal(err)
		}
		for _, sortBy := range []*scim.Attribute{nil, title} {
			goes := make(map[string]bool)
			for i := range 40 {
				goes[create(t, tenant, scim.User, `{"userName":"%t %d","title":"%d"}`, sortBy == nil, i, i%7)] = i%2 == 1
			}
			seen := make(map[string]int)
			q := Query{SortBy: sortBy, Count: 3}
			for n := 0; n == 0 || q.After != nil; n++ {
				page, err := tenant.List(context.Background(), scim.User, q)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range page.Resources {
					seen[r.GetId()]++
				}
				if q.After = page.Next; q.After != nil && goes[q.After.ID] { // the very one that the page ends with
					if err := tenant.Delete(context.Background(), scim.User, q.After.ID, scim.Match{}); err != nil {
						t.Fatal(err)
					}
				}
				create(t, tenant, scim.User, `{"userName":"%t new %d","title":"%d"}`, sortBy == nil, n, n%10)
			}
			for id, gone := range goes {
				if seen[id] != 1 && !gone || seen[id] > 1 {
					t.Errorf("sorted %t: a user was seen %d times", sortBy != nil, seen[id])
				}
			}
		}
	})
}

// The number that is kept is that of the rows, whoever writes at once.
func TestCount_IsKept(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenants := []Tenant{newTenant(t, s), secondTenant(t, s)}
		done := make(chan error)
		const writers, each = 8, 12
		for w := range writers {
			go func() {
				tenant := tenants[w%2]
				for i := range each {
					r := &musterv1.User{UserName: fmt.Sprint("user ", w, " ", i)}
					made, err := tenant.Create(context.Background(), scim.User, r, false)
					if err == nil && i%3 == 0 {
						err = tenant.Delete(context.Background(), scim.User, made.GetId(), scim.Match{})
					}
					if err != nil {
						done <- err
						return
					}
					_, err = tenant.Create(context.Background(), scim.User, &musterv1.User{UserName: "taken"}, false)
					if err != nil && scim.ReasonOf(err) != scim.Uniqueness {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range writers {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		for _, tenant := range tenants {
			page, err := tenant.List(context.Background(), scim.User, Query{Count: 1})
			if want := writers/2*each*2/3 + 1; err != nil || page.Total != want {
				t.Errorf("the total is %d, %v, not %d", page.Total, err, want)
			}
			groups, err := tenant.List(context.Background(), scim.Group, Query{})
			if err != nil || groups.Total != 0 {
				t.Errorf("%d groups, %v", groups.Total, err)
			}
		}
	})
}
