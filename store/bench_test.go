package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	testpostgres "github.com/muster-scim/muster/test/postgres"
)

// The benchmarks of the store alone; test/bench measures the whole program. Run
// them as eight clients, with -cpu 8.
func benchBoth(b *testing.B, bench func(b *testing.B, t Tenant)) {
	b.Helper()
	b.Run("SQLite", func(b *testing.B) {
		bench(b, newTenant(b, openMigrated(b, "sqlite://"+filepath.Join(b.TempDir(), "muster.db"))))
	})
	b.Run("PostgreSQL", func(b *testing.B) { bench(b, newTenant(b, openMigrated(b, testpostgres.URL(b)))) })
}

// richUser is a user of about 2 KB with a name of its own.
func richUser(b *testing.B, n int64) scim.Resource {
	b.Helper()
	doc, err := os.ReadFile("../scim/testdata/user.json")
	if err != nil {
		b.Fatal(err)
	}
	r := decode(b, scim.User, "%s", doc)
	r.(*musterv1.User).GetEnterpriseUser().Manager = nil // who must exist
	return named(r, fmt.Sprint("user ", n))
}

func BenchmarkCreate(b *testing.B) {
	benchBoth(b, func(b *testing.B, t Tenant) {
		var n atomic.Int64
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			ctx, _ := acting(t) // an act is for one goroutine
			for pb.Next() {
				if _, err := t.Create(ctx, scim.User, richUser(b, n.Add(1)), false); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkInsert is the ceiling of BenchmarkCreate: one row with the same
// document, in the same way.
func BenchmarkInsert(b *testing.B) {
	benchBoth(b, func(b *testing.B, t Tenant) {
		run(b, t.store, "CREATE TABLE bare (id text PRIMARY KEY, tenant_id bigint, name text, document text, UNIQUE (tenant_id, name))")
		var n atomic.Int64
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				name := fmt.Sprint("user ", n.Add(1))
				doc := string(scim.User.AppendDocument(nil, richUser(b, 0)))
				run(b, t.store, "INSERT INTO bare VALUES (", arg{name}, ", 1, ", arg{name}, ", ", arg{doc}, ")")
			}
		})
	})
}

func BenchmarkGet(b *testing.B) {
	benchBoth(b, func(b *testing.B, t Tenant) {
		r, err := t.Create(context.Background(), scim.User, richUser(b, 1), false)
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := t.Get(context.Background(), scim.User, r.GetId(), true); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

func BenchmarkLookup(b *testing.B) {
	benchBoth(b, func(b *testing.B, t Tenant) {
		if _, err := t.Create(context.Background(), scim.User, richUser(b, 1), false); err != nil {
			b.Fatal(err)
		}
		f, err := scim.User.ParseFilter(`userName eq "user 1"`)
		if err != nil {
			b.Fatal(err)
		}
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				page, err := t.List(context.Background(), scim.User, Query{Filter: f, Count: 100, Links: true})
				if err != nil || page.Total != 1 {
					b.Error(page.Total, err)
				}
			}
		})
	})
}

// BenchmarkAddMember adds and removes one member of a group of ten and of one of
// a hundred thousand.
func BenchmarkAddMember(b *testing.B) {
	for _, size := range []int{10, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			benchBoth(b, func(b *testing.B, t Tenant) {
				group := create(b, t, scim.Group, `{"displayName":"G"}`)
				fillGroups(b, t, []string{group}, size)
				user := create(b, t, scim.User, `{"userName":"one more"}`)
				b.ResetTimer()
				for i := range b.N {
					op := "add"
					if i%2 == 1 {
						op = "remove"
					}
					c := compilePatch(b, scim.Group, `[{"op":"`+op+`","path":"members","value":[{"value":"`+user+`"}]}]`)
					if _, err := t.Update(context.Background(), scim.Group, group, scim.Match{}, c, false); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkPage reads the first page of 100 of a million users, and the last. It
// costs the same, in whichever order, and so does a page without a place.
func BenchmarkPage(b *testing.B) {
	many := 1_000_000
	if testing.Short() {
		many = 20_000
	}
	benchBoth(b, func(b *testing.B, t Tenant) {
		fillUsers(b, t, many)
		for _, sortBy := range []string{"id", "userName", "displayName", "meta.lastModified"} {
			a, err := scim.User.ParseSort(sortBy)
			if err != nil {
				b.Fatal(err)
			}
			backwards, err := t.List(context.Background(), scim.User, Query{SortBy: a, Descending: true, Count: 101})
			if err != nil {
				b.Fatal(err)
			}
			for _, after := range []*scim.Place{nil, backwards.Next} {
				name := sortBy + "/first"
				if after != nil {
					name = sortBy + "/last"
				}
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						page, err := t.List(context.Background(), scim.User, Query{SortBy: a, Count: 100, After: after})
						if err != nil || len(page.Resources) != 100 || page.Total != many || (page.Next == nil) != (after != nil) {
							b.Fatal(len(page.Resources), page.Total, page.Next, err)
						}
					}
				})
			}
		}
	})
}

// fillUsers makes users of about half a KB, by SQL.
func fillUsers(b *testing.B, t Tenant, many int) {
	b.Helper()
	document := "CAST(" + `'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"user.' || i || '@example.com","displayName":"Person ' || i || '","active":true,` +
		`"name":{"formatted":"Ms. Person Number ' || i || '","familyName":"Number","givenName":"Person"},"title":"Senior Tour Guide","locale":"en-US","timezone":"America/Los_Angeles",` +
		`"emails":[{"value":"user.' || i || '@example.com","type":"work","primary":true}],"phoneNumbers":[{"value":"+1 555 ' || i || '","type":"work"}]}' AS text)`
	if t.store.dialect == postgres {
		document = "CAST(" + document + " AS jsonb)"
	}
	const begin, step = 1_000_000, 20_000 // ids of one length; a write has a timeout
	for i := begin; i < begin+many; i += step {
		run(b, t.store, "INSERT INTO resources (id, tenant_id, type, version, created_at, updated_at, external_id, user_name, display_name, display, document) "+
			"WITH RECURSIVE n (i) AS (SELECT ", fmt.Sprint(i), " UNION ALL SELECT i + 1 FROM n WHERE i < ", fmt.Sprint(min(i+step, begin+many)-1), ") "+
			"SELECT 'user-' || i, ", arg{t.id}, ", 'User', 1, i, i / 1000, 'x' || i, 'user.' || i || '@example.com', 'person ' || (i % 1000), 'Person ' || (i % 1000), ", document, " FROM n")
	}
	run(b, t.store, "INSERT INTO resource_counts (tenant_id, type, part, resources) VALUES (", arg{t.id}, ", 'User', 0, ", arg{many}, ")")
	if t.store.dialect == postgres {
		run(b, t.store, "VACUUM ANALYZE resources")
	}
}
