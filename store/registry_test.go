package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	testpostgres "github.com/muster-scim/muster/test/postgres"
)

const badge = "urn:example:badge"

// put registers what a JSON text has.
func put(t Tenant, forAll bool, text string) error {
	schemas, types, err := scim.ParseRegistrations([]byte(text))
	if err != nil {
		return err
	}
	return t.Register(context.Background(), forAll, schemas, types)
}

func mustPut(tb testing.TB, t Tenant, forAll bool, text string) {
	tb.Helper()
	if err := put(t, forAll, text); err != nil {
		tb.Fatal(err)
	}
}

// badgeOf is an extension with these attributes.
func badgeOf(attributes string) string {
	return fmt.Sprintf(`{"id":%q,"attributes":[%s]}`, badge, attributes)
}

// extending is a type of the contract with that extension.
func extending(rt string, required bool) string {
	return fmt.Sprintf(`{"name":%q,"schemaExtensions":[{"schema":%q,"required":%t}]}`, rt, badge, required)
}

// thing is a type of its own, with these attributes.
func thing(attributes string) string {
	return `{"id":"urn:example:thing","attributes":[` + attributes + `]},{"name":"Thing","endpoint":"/Things","schema":"urn:example:thing"}`
}

// asNow is the tenant as its next request sees it.
func asNow(tb testing.TB, t Tenant) Tenant {
	tb.Helper()
	name := "default"
	if t.id == 1000 {
		name = "second"
	}
	now, err := t.store.Tenant(context.Background(), name)
	if err != nil {
		tb.Fatal(err)
	}
	return now
}

// add creates a resource as a client sends it.
func add(t Tenant, rt, text string) (string, error) {
	of := t.Catalog().ResourceType(rt)
	r, err := of.DecodeJSON([]byte(text))
	if err == nil {
		err = of.Prepare(r)
	}
	if err != nil {
		return "", err
	}
	made, err := t.Create(context.Background(), of, r, false)
	if err != nil {
		return "", err
	}
	return made.GetId(), nil
}

func mustAdd(tb testing.TB, t Tenant, rt, text string) string {
	tb.Helper()
	id, err := add(t, rt, text)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// What is registered again as it is changes nothing; any difference does.
func TestRegister_TheSameChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		mustPut(t, tenant, true, `[`+badgeOf(`{"name":"a"}`)+`,`+extending("User", false)+`]`)
		first := asNow(t, tenant).version
		for _, again := range []string{
			`[` + badgeOf(`{"name":"a"}`) + `,` + extending("User", false) + `]`,
			badgeOf(`{"name":"a","type":"string","mutability":"readWrite","returned":"default","uniqueness":"none"}`),
		} {
			mustPut(t, tenant, true, again)
			if v := asNow(t, tenant).version; v != first {
				t.Errorf("%s: the version is %d, and was %d", again, v, first)
			}
		}
		mustPut(t, tenant, true, badgeOf(`{"name":"a","description":"d"}`))
		if v := asNow(t, tenant).version; v != first+1 {
			t.Errorf("the version is %d, and was %d", v, first)
		}
		all, err := tenant.Registrations(context.Background())
		if err != nil || len(all) != 2 || !all[0].GetAllTenants() {
			t.Errorf("registered are %v, %v", all, err)
		}
	})
}

// A change that a stored resource would not fit is refused, says why and which, and
// leaves everything as it was.
func TestRegister_Conflicts(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		const rest = `,{"name":"n","type":"integer"},{"name":"s","mutability":"writeOnly"}`
		mustPut(t, tenant, false, `[`+badgeOf(`{"name":"a"}`+rest)+`,`+extending("User", false)+`,`+thing(`{"name":"a"}`)+`]`)
		tenant = asNow(t, tenant)
		first := mustAdd(t, tenant, "User", `{"userName":"a","urn:example:badge":{"a":"1","n":1,"s":"hash"}}`)
		second := mustAdd(t, tenant, "User", `{"userName":"b","urn:example:badge":{"a":"1"}}`)
		third := mustAdd(t, tenant, "User", `{"userName":"c"}`)
		made := mustAdd(t, tenant, "Thing", `{"a":"1"}`)
		for _, test := range []struct{ text, id, want string }{
			{badgeOf(`{"name":"a","type":"boolean"}` + rest), first, "true or false"},
			{badgeOf(`{"name":"a"},{"name":"n"},{"name":"s","mutability":"writeOnly"}`), first, "is a string, not a number"},
			{badgeOf(`{"name":"a","multiValued":true}` + rest), first, "lost or changed"},
			{badgeOf(`{"name":"n","type":"integer"}`), first, badge + ":a would be lost"},
			{badgeOf(`{"name":"a"}` + rest + `,{"name":"b","required":true}`), first, "b is required"},
			{badgeOf(`{"name":"a"},{"name":"n","type":"integer","required":true},{"name":"s","mutability":"writeOnly"}`), second, "n is required"},
			{badgeOf(`{"name":"a","uniqueness":"server"}` + rest), second, "another resource has this " + badge + ":a"},
			{badgeOf(`{"name":"a","canonicalValues":["2"]}` + rest), first, "is one of: 2"},
			{badgeOf(`{"name":"a"},{"name":"n","type":"integer"},{"name":"s"}`), first, "kept as hashes"},
			{extending("User", true), third, "is a required extension"},
			{`{"name":"User","schemaExtensions":[]}`, first, "would be lost"},
			{`[{"id":"urn:example:other","attributes":[{"name":"a"}]},{"name":"Thing","endpoint":"/Things","schema":"urn:example:other"}]`, made, "its schema is urn:example:thing"},
		} {
			err := put(tenant, false, test.text)
			if scim.ReasonOf(err) != scim.Conflict || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), test.id) {
				t.Errorf("%s\ngot  %v\nwant %s, of %s", test.text, err, test.want, test.id)
			}
		}
		if now := asNow(t, tenant); now.version != tenant.version {
			t.Errorf("the version is %d, and was %d", now.version, tenant.version)
		}
		if got := list(t, tenant, tenant.Catalog().ResourceType("User"), badge+`:a eq "1"`); len(got) != 2 {
			t.Errorf("found %v", got)
		}
	})
}

// What does not fit what is registered is refused with the reason, all of it.
func TestRegister_Refuses(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		for _, test := range []struct{ text, want string }{
			{extending("User", false), "is not registered"},
			{`[` + badgeOf(`{"name":"a"}`) + `,` + badgeOf(`{"name":"b"}`) + `]`, "two schemas"},
			{`[` + badgeOf(`{"name":"a"}`) + `,{"name":"Thing","endpoint":"/Groups","schema":"` + badge + `"}]`, "is taken by Group"},
			{`[` + badgeOf(`{"name":"a"},{"name":"b","type":"complex"}`) + `]`, `the schema "` + badge + `": the attribute b is complex`},
		} {
			if err := put(tenant, false, test.text); scim.ReasonOf(err) != scim.InvalidValue || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: got %v, want %s", test.text, err, test.want)
			}
		}
		many := make([]string, maxRegistrations+1)
		for i := range many {
			many[i] = fmt.Sprintf(`{"id":"urn:example:s%d","attributes":[{"name":"a"}]}`, i)
		}
		if err := put(tenant, false, `[`+strings.Join(many, ",")+`]`); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("too many: %v", err)
		}
		if all, err := tenant.Registrations(context.Background()); err != nil || len(all) != 0 || asNow(t, tenant).version != 0 {
			t.Errorf("registered are %v, %v", all, err)
		}
	})
}

// What is in use cannot be removed; schemas and types go together.
func TestUnregister(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		mustPut(t, tenant, false, `[`+badgeOf(`{"name":"a"}`)+`,`+extending("Group", false)+`,`+thing(`{"name":"a"}`)+`]`)
		tenant = asNow(t, tenant)
		group := mustAdd(t, tenant, "Group", `{"displayName":"g","urn:example:badge":{"a":"1"}}`)
		made := mustAdd(t, tenant, "Thing", `{"a":"1"}`)
		for _, test := range []struct {
			urns, names []string
			reason      scim.Reason
			want        string
		}{
			{[]string{badge}, nil, scim.Conflict, "needed: the schema \"" + badge + "\", an extension of Group"},
			{nil, []string{"Group"}, scim.Conflict, group},
			{[]string{badge}, []string{"Group"}, scim.Conflict, group},
			{nil, []string{"Thing"}, scim.Conflict, made},
			{[]string{"urn:example:thing"}, nil, scim.Conflict, "of the resource type Thing"},
			{nil, []string{"User"}, scim.NotFound, "no resource type \"User\""},
			{[]string{"urn:example:none"}, nil, scim.NotFound, "no schema"},
		} {
			err := tenant.Unregister(ctx, false, test.urns, test.names)
			if scim.ReasonOf(err) != test.reason || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v %v: got %v, want %s", test.urns, test.names, err, test.want)
			}
		}
		if err := tenant.Unregister(ctx, true, []string{badge}, nil); scim.ReasonOf(err) != scim.NotFound {
			t.Errorf("it is registered for all tenants: %v", err)
		}
		mustPatch(t, tenant, tenant.Catalog().ResourceType("Group"), group, `[{"op":"remove","path":"urn:example:badge:a"}]`)
		if err := tenant.Delete(ctx, tenant.Catalog().ResourceType("Thing"), made, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		if err := tenant.Unregister(ctx, false, []string{badge, "urn:example:thing"}, []string{"Group", "Thing"}); err != nil {
			t.Fatal(err)
		}
		tenant = asNow(t, tenant)
		if all, err := tenant.Registrations(ctx); err != nil || len(all) != 0 || tenant.Catalog().ResourceType("Thing") != nil {
			t.Errorf("registered are %v, %v", all, err)
		}
	})
}

// The rows of unique values come and go with the characteristic, and follow its
// letter case.
func TestRegister_UniqueValues(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		attribute := func(characteristics string) string { return badgeOf(`{"name":"a"` + characteristics + `}`) }
		mustPut(t, tenant, false, `[`+attribute(``)+`,`+extending("User", false)+`]`)
		tenant = asNow(t, tenant)
		mustAdd(t, tenant, "User", `{"userName":"a","urn:example:badge":{"a":"x"}}`)
		mustAdd(t, tenant, "User", `{"userName":"b","urn:example:badge":{"a":"y"}}`)
		taken := func(want bool, value string) {
			t.Helper()
			tenant = asNow(t, tenant)
			id, err := add(tenant, "User", `{"userName":"c","urn:example:badge":{"a":"`+value+`"}}`)
			switch {
			case want && (scim.ReasonOf(err) != scim.Uniqueness || !strings.Contains(err.Error(), badge+":a")):
				t.Errorf("%s: got %v", value, err)
			case !want && err != nil:
				t.Errorf("%s: got %v", value, err)
			case err == nil:
				if err := tenant.Delete(context.Background(), scim.User, id, scim.Match{}); err != nil {
					t.Error(err)
				}
			}
		}
		taken(false, "x")
		mustPut(t, tenant, false, attribute(`,"uniqueness":"server"`))
		taken(true, "x")
		taken(true, "X")
		taken(false, "z")
		mustPut(t, tenant, false, attribute(`,"uniqueness":"server","caseExact":true`))
		taken(true, "x")
		taken(false, "X")
		mustPut(t, tenant, false, attribute(``))
		taken(false, "x")
		rows := 0
		st := s.statement().add("SELECT count(*) FROM attribute_values WHERE unique_in IS NOT NULL")
		if err := s.read(context.Background(), st, func(scan scan) error { return scan(&rows) }); err != nil || rows != 0 {
			t.Errorf("%d rows are left, %v", rows, err)
		}
	})
}

// What a tenant registers is its own; what is registered for all is everybody's,
// must fit everybody's data, and reaches tenants that come later.
func TestRegister_ForAll(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		first, second := newTenant(t, s), secondTenant(t, s)
		mustPut(t, first, false, `[`+thing(`{"name":"a"}`)+`]`)
		if asNow(t, second).Catalog().ResourceType("Thing") != nil {
			t.Error("another tenant has it too")
		}
		mustPut(t, first, true, `[`+badgeOf(`{"name":"a"}`)+`,`+extending("User", false)+`]`)
		mustPut(t, second, false, `[{"id":"urn:example:own","attributes":[{"name":"b"}]},{"name":"User","schemaExtensions":[{"schema":"urn:example:own"}]}]`)
		if u := asNow(t, first).Catalog().ResourceType("User"); len(u.Extensions) != 2 {
			t.Errorf("the first has the extensions %v", u.Extensions)
		}
		second = asNow(t, second)
		if u := second.Catalog().ResourceType("User"); len(u.Extensions) != 3 {
			t.Errorf("the second has the extensions %v", u.Extensions)
		}
		id := mustAdd(t, second, "User", `{"userName":"a","urn:example:badge":{"a":"1"},"urn:example:own":{"b":"2"}}`)
		err := put(first, true, badgeOf(`{"name":"a","type":"integer"}`))
		if scim.ReasonOf(err) != scim.Conflict || !strings.Contains(err.Error(), "for the tenant second: ") || !strings.Contains(err.Error(), id) {
			t.Errorf("got %v", err)
		}
		mustPut(t, second, false, `[`+badgeOf(`{"name":"a"},{"name":"c"}`)+`]`) // its own comes before that for all
		if _, err := asNow(t, second).Catalog().ResourceType("User").ParsePath(badge + ":c"); err != nil {
			t.Error(err)
		}
		if err := first.Unregister(ctx, true, nil, []string{"User"}); err == nil || !strings.Contains(err.Error(), "would be lost") {
			t.Errorf("got %v", err)
		}
		tx, err := s.client.Tx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := makeTenant(ctx, tx, TenantInfo{Name: "third", Profile: Tolerant}); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		third, err := s.Tenant(ctx, "third")
		if err != nil || len(third.Catalog().ResourceType("User").Extensions) != 2 {
			t.Errorf("the third: %v, %v", third.Catalog(), err)
		}
	})
}

// Groups have extensions as users do.
func TestRegister_ExtensionOfGroup(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		mustPut(t, tenant, false, `[`+badgeOf(`{"name":"code","uniqueness":"server"},{"name":"ranks","type":"integer","multiValued":true}`)+`,`+extending("Group", true)+`]`)
		tenant = asNow(t, tenant)
		rt := tenant.Catalog().ResourceType("Group")
		user := mustAdd(t, tenant, "User", `{"userName":"a"}`)
		id := mustAdd(t, tenant, "Group", `{"displayName":"g","members":[{"value":"`+user+`"}],"urn:example:badge":{"code":"1","ranks":[3,4]}}`)
		if _, err := add(tenant, "Group", `{"displayName":"h"}`); err == nil || !strings.Contains(err.Error(), "required extension") {
			t.Errorf("got %v", err)
		}
		if _, err := add(tenant, "Group", `{"displayName":"h","urn:example:badge":{"code":"1"}}`); scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("got %v", err)
		}
		g := mustPatch(t, tenant, rt, id, `[{"op":"add","path":"urn:example:badge:ranks","value":5}]`).(*musterv1.Group)
		if n := len(g.GetExtensions()[badge].GetFields()["ranks"].GetListValue().GetValues()); n != 3 || len(g.GetMembers()) != 1 {
			t.Errorf("the group is %v", g)
		}
		if got := list(t, tenant, rt, badge+`:ranks gt 4 and members.value eq "`+user+`"`); len(got) != 1 {
			t.Errorf("found %v", got)
		}
	})
}

// Another server on the same database follows with its next request.
func TestRegister_OtherServerFollows(t *testing.T) {
	for name, url := range map[string]func() string{
		"SQLite":     func() string { return "sqlite://" + filepath.Join(t.TempDir(), "muster.db") },
		"PostgreSQL": func() string { return testpostgres.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			at := url()
			one, other := openMigrated(t, at), openMigrated(t, at)
			tenant := newTenant(t, one)
			seen := func() *scim.ResourceType {
				t.Helper()
				p, err := other.Authenticate(context.Background(), sha256.Sum256([]byte(t.Name())))
				if err != nil {
					t.Fatal(err)
				}
				return p.Tenant.Catalog().ResourceType("Thing")
			}
			if seen() != nil {
				t.Error("it is there already")
			}
			for _, attribute := range []string{"a", "b", "c"} {
				mustPut(t, tenant, false, `[`+thing(`{"name":"`+attribute+`"}`)+`]`)
				if rt := seen(); rt == nil || rt.Attribute(attribute) == nil {
					t.Errorf("%s is not there yet", attribute)
				}
			}
		})
	}
}

// A write that was checked by a catalog which is no longer the tenant's is refused
// and can be sent again: also where the change was the first.
func TestRegister_WriteChecksAgain(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		before := newTenant(t, s)
		stays := mustAdd(t, before, "User", `{"userName":"stays"}`)
		for i := range 2 {
			mustPut(t, before, false, `[`+badgeOf(fmt.Sprintf(`{"name":"a%d"}`, i))+`,`+extending("User", false)+`]`)
			if _, err := add(before, "User", `{"userName":"new"}`); scim.ReasonOf(err) != scim.Unavailable {
				t.Errorf("a create: %v", err)
			}
			if _, err := patch(t, before, before.Catalog().ResourceType("User"), stays, "", `[{"op":"replace","path":"title","value":"new"}]`); scim.ReasonOf(err) != scim.Unavailable {
				t.Errorf("a patch: %v", err)
			}
			before = asNow(t, before)
			if u := mustGet(t, before, scim.User, stays).(*musterv1.User); u.GetTitle() != "" || u.GetMeta().GetVersion() != `W/"1"` {
				t.Errorf("the user is %v", u)
			}
		}
		mustAdd(t, before, "User", `{"userName":"new"}`)
	})
}

// Whatever the order in which writes and a change of the schema meet, no resource is
// stored that does not fit.
func TestRegister_RacesWithWrites(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		mustPut(t, tenant, false, `[`+badgeOf(`{"name":"a"}`)+`,`+extending("User", false)+`]`)
		refused, accepted := 0, 0
		for round := range 12 {
			var wg sync.WaitGroup
			var registered error
			errs, ids := make([]error, 8), make([]string, 8)
			for i := range errs {
				wg.Go(func() {
					with := ""
					if i%2 == round%2 || round%3 == 0 {
						with = fmt.Sprintf(`,"urn:example:badge":{"a":"%d.%d"}`, round, i)
					}
					ids[i], errs[i] = add(asNow(t, tenant), "User", fmt.Sprintf(`{"userName":"%d.%d"%s}`, round, i, with))
				})
			}
			wg.Go(func() { registered = put(tenant, false, extending("User", true)) })
			wg.Wait()
			now := asNow(t, tenant)
			without := list(t, now, now.Catalog().ResourceType("User"), `not (`+badge+`:a pr)`)
			switch {
			case registered == nil && len(without) > 0:
				t.Fatalf("the extension is required, and %v lack it", without)
			case registered == nil:
				accepted++
			case scim.ReasonOf(registered) != scim.Conflict:
				t.Fatal(registered)
			default:
				refused++
			}
			for _, err := range errs {
				if r := scim.ReasonOf(err); err != nil && r != scim.Unavailable && r != scim.InvalidValue {
					t.Errorf("a create: %v", err)
				}
			}
			mustPut(t, now, false, extending("User", false))
			now = asNow(t, tenant)
			for _, id := range ids {
				if err := now.Delete(context.Background(), scim.User, id, scim.Match{}); err != nil && id != "" {
					t.Fatal(err)
				}
			}
		}
		t.Logf("%d accepted, %d refused", accepted, refused)
	})
}

// Two changes at once are one after the other: both count, and of two that exclude
// each other one is refused.
func TestRegister_RacesWithItself(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		var wg sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wg.Go(func() {
				errs[i] = put(tenant, i%2 == 0, fmt.Sprintf(`[{"id":"urn:example:%d","attributes":[{"name":"a"}]},{"name":"T%d","endpoint":"/E%d","schema":"urn:example:%d"}]`, i, i, i/2, i))
			})
		}
		wg.Wait()
		for i := 0; i < len(errs); i += 2 {
			if (errs[i] == nil) == (errs[i+1] == nil) || scim.ReasonOf(firstOf(errs[i:i+2]...)) != scim.InvalidValue {
				t.Errorf("%v and %v", errs[i], errs[i+1])
			}
		}
		now := asNow(t, tenant)
		if n := len(now.Catalog().ResourceTypes()); n != 2+len(errs)/2 || now.version != int64(len(errs)/2) {
			t.Errorf("%d types, version %d", n, now.version)
		}
	})
}

// A tenant's credentials, as operators make and revoke them.
func TestCredentials(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant, second := newTenant(t, s), secondTenant(t, s)
		secret, other := sha256.Sum256([]byte("secret")), sha256.Sum256([]byte("other"))
		if err := errors.Join(tenant.AddCredential(ctx, Credential{Name: "ops", Kind: Bearer, Scopes: []string{"admin"}}, secret[:]), second.AddCredential(ctx, Credential{Name: "ops", Kind: Bearer, Scopes: []string{"scim"}}, other[:])); err != nil {
			t.Fatal(err)
		}
		if err := tenant.AddCredential(ctx, Credential{Name: "ops", Kind: Bearer, Scopes: []string{"scim"}}, []byte{0}); scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("a name twice: %v", err)
		}
		if err := tenant.AddCredential(ctx, Credential{Name: "a b", Kind: Bearer, Scopes: nil}, []byte{0}); scim.ReasonOf(err) != scim.InvalidValue {
			t.Errorf("a name that is none: %v", err)
		}
		p, err := s.Authenticate(ctx, secret)
		if err != nil || p.Credential.Name != "ops" || p.Tenant.id != tenant.id || !slices.Equal(p.Credential.Scopes, []string{"admin"}) {
			t.Errorf("got %v, %v", p, err)
		}
		all, err := tenant.Credentials(ctx)
		if err != nil || len(all) != 2 || all[0].Name != "ops" || all[0].Kind != "bearer" || all[1].Name != "test" {
			t.Errorf("got %v, %v", all, err)
		}
		if err := tenant.RevokeCredential(ctx, "ops"); err != nil {
			t.Fatal(err)
		}
		if err := tenant.RevokeCredential(ctx, "ops"); scim.ReasonOf(err) != scim.NotFound {
			t.Errorf("revoked twice: %v", err)
		}
		if _, err := s.Authenticate(ctx, secret); scim.ReasonOf(err) != scim.Unauthenticated {
			t.Errorf("it is let in: %v", err)
		}
		if _, err := s.Authenticate(ctx, other); err != nil {
			t.Errorf("another tenant's of that name: %v", err)
		}
		if _, err := s.Tenant(ctx, "nobody"); scim.ReasonOf(err) != scim.NotFound {
			t.Errorf("got %v", err)
		}
	})
}
