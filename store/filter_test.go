package store

import (
	"context"
	"slices"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// What random filters meet too seldom, and what a reader wants to see.
func TestList_Filter(t *testing.T) {
	users := []string{
		`{"userName":"Ada","externalId":"A%_1","displayName":"ÉCOLE","active":true,"name":{"familyName":"Kelvin"},
			"emails":[{"value":"Ada@Example.com","type":"work"},{"value":"x@home","type":"home"}]}`,
		`{"userName":"bob","externalId":"a%_1","active":false,"emails":[{"value":"x@home","type":"work"},{"display":"none"}]}`,
		`{"userName":"last\uDBFF\uDFFF!","nickName":"it's \"quoted\" \\ 100%"}`,
		`{"userName":"last\uD7FF!","name":{"givenName":"L"}}`,
		`{"userName":"lasu","x509Certificates":[{"value":"AAE="}]}`,
	}
	cases := []struct{ filter, want string }{
		{`userName eq "ADA"`, "Ada"},
		{`userName sw "LAS"`, "last\U0010FFFF! last\uD7FF! lasu"},
		{`userName sw "last\uDBFF\uDFFF"`, "last\U0010FFFF!"},
		{`userName sw "last\uD7FF"`, "last\uD7FF!"},
		{`userName sw "last\uDBFF\uDFFF\uDBFF\uDFFF"`, ""},
		{`userName sw "\uDBFF\uDFFF"`, ""},
		{`userName sw ""`, "Ada bob last\U0010FFFF! last\uD7FF! lasu"},
		{`userName ew "!"`, "last\U0010FFFF! last\uD7FF!"},
		{`userName ew "longer than any name"`, ""},
		{`userName gt "last\uE000"`, "last\U0010FFFF! lasu"}, // by characters, not by UTF-16 units
		{`externalId eq "a%_1"`, "bob"},
		{`externalId sw "A"`, "Ada"},
		{`externalId co "%_"`, "Ada bob"},
		{`externalId co "_%"`, ""},
		{`displayName eq "école"`, "Ada"},
		{`displayName ne "école"`, "bob last\U0010FFFF! last\uD7FF! lasu"},
		{`not (displayName eq "x")`, "Ada bob last\U0010FFFF! last\uD7FF! lasu"},
		{`not (displayName ne "école")`, "Ada"},
		{`name.familyName sw "kel"`, "Ada"}, // a Kelvin sign is a k
		{`name.familyName ne "x" and name pr`, "Ada last\uD7FF!"},
		{`name[not (familyName eq "x")]`, "Ada last\uD7FF!"},
		{`nickName eq "IT'S \"quoted\" \\ 100%"`, "last\U0010FFFF!"},
		{`active eq false`, "bob"},
		{`active ne true`, "bob last\U0010FFFF! last\uD7FF! lasu"},
		{`emails.value eq "ADA@example.com"`, "Ada"},
		{`emails.value ne "x@home"`, "Ada bob"}, // an element that differs, or has no value
		{`not (emails.value eq "x@home")`, "last\U0010FFFF! last\uD7FF! lasu"},
		{`emails.type eq "work" and emails.value eq "x@home"`, "Ada bob"}, // not of one element
		{`emails[type eq "work" and value eq "x@home"]`, "bob"},
		{`emails[type eq "work"].value eq "x@home"`, "bob"},
		{`emails[type ne "work" and value eq null]`, "bob"},
		{`emails eq null`, "last\U0010FFFF! last\uD7FF! lasu"},
		{`emails.display ne null`, "bob"},
		{`x509Certificates.value eq "AAE="`, "lasu"},
		{`x509Certificates.value eq "AAI="`, ""},
		{`meta.version eq "W/\"1\"" and meta.resourceType eq "User"`, "Ada bob last\U0010FFFF! last\uD7FF! lasu"},
		{`meta.created gt "2999-12-31T23:59:59+01:00"`, ""},
		{`meta.created lt "2999-12-31T23:59:59+01:00" and userName eq "bob"`, "bob"},
		{`schemas eq "urn:ietf:params:scim:schemas:core:2.0:User" and userName eq "bob"`, "bob"},
	}
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		for _, user := range users {
			create(t, tenant, scim.User, "%s", user)
		}
		for _, c := range cases {
			if got := strings.Join(list(t, tenant, scim.User, c.filter), " "); got != c.want {
				t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
			}
		}
	})
}

// Membership is found through groups in groups, even where they hold each other.
func TestList_FilterGroups(t *testing.T) {
	cases := []struct{ filter, want string }{
		{`groups.value eq "$outer"`, "direct both deep"},
		{`groups.value eq "$inner"`, "direct both deep"}, // the two hold each other
		{`groups.value eq "$empty"`, ""},
		{`groups.display eq "OUTER"`, "direct both deep"},
		{`groups.display sw "em"`, ""},
		{`groups pr`, "direct both deep"},
		{`groups eq null`, "none"},
		{`groups.type eq "indirect"`, "direct deep"},
		{`groups[value eq "$outer" and type eq "direct"]`, "direct both"},
		{`groups[value eq "$outer" and type eq "indirect"]`, "deep"},
		{`groups[value eq "$inner" and not (type eq "direct")]`, "direct"},
		{`groups[value ne "$outer" and type ne "indirect"]`, "both deep"},
		{`not (groups[type eq "direct" and display eq "outer"])`, "deep none"},
	}
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		id := make(map[string]string)
		for _, name := range []string{"direct", "both", "deep", "none"} {
			id[name] = create(t, tenant, scim.User, `{"userName":%q}`, name)
		}
		for _, name := range []string{"outer", "inner", "empty"} {
			id[name] = create(t, tenant, scim.Group, `{"displayName":%q}`, name)
		}
		addMembers(t, tenant, id["outer"], id["direct"], id["both"], id["inner"])
		addMembers(t, tenant, id["inner"], id["both"], id["deep"], id["outer"])
		for _, c := range cases {
			filter := c.filter
			for name := range id {
				filter = strings.ReplaceAll(filter, "$"+name, id[name])
			}
			if got := strings.Join(list(t, tenant, scim.User, filter), " "); got != c.want {
				t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
			}
		}
	})
}

func TestList_FilterMembers(t *testing.T) {
	cases := []struct{ filter, want string }{
		{`members.value eq "$ada"`, "users mixed"},
		{`members.value sw "$ada"`, "users mixed"},
		{`members.value ne "$ada"`, "users mixed"},
		{`not (members.value eq "$ada")`, "empty"},
		{`members.display eq "COUNTESS"`, "users mixed"},
		{`members.display eq "Bob"`, "users"}, // no displayName: the userName is shown
		{`members.type eq "Group"`, "mixed"},
		{`members[value eq "$ada" and type eq "Group"]`, ""},
		{`members[display eq "countess" and type eq "User"]`, "users mixed"},
		{`members pr`, "users mixed"},
		{`members.value eq null`, "empty"},
	}
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ada := create(t, tenant, scim.User, `{"userName":"ada","displayName":"Countess"}`)
		bob := create(t, tenant, scim.User, `{"userName":"bob"}`)
		users := create(t, tenant, scim.Group, `{"displayName":"users"}`)
		mixed := create(t, tenant, scim.Group, `{"displayName":"mixed"}`)
		create(t, tenant, scim.Group, `{"displayName":"empty"}`)
		addMembers(t, tenant, users, ada, bob)
		addMembers(t, tenant, mixed, ada, users)
		for _, c := range cases {
			filter := strings.ReplaceAll(c.filter, "$ada", ada)
			if got := strings.Join(list(t, tenant, scim.Group, filter), " "); got != c.want {
				t.Errorf("%s: got %q, want %q", c.filter, got, c.want)
			}
		}
	})
}

// A tenant's filters never reach another tenant's resources, nor those of
// another type.
func TestList_FilterOfOtherTenant(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenants := []Tenant{newTenant(t, s), secondTenant(t, s)}
		var group string
		for _, tenant := range tenants {
			user := create(t, tenant, scim.User, `{"userName":"ada","externalId":"1","emails":[{"value":"ada@x"}]}`)
			group = create(t, tenant, scim.Group, `{"displayName":"ada","externalId":"1"}`)
			addMembers(t, tenant, group, user)
		}
		for _, filter := range []string{`userName eq "ada"`, `emails.value eq "ada@x"`, `groups.display eq "ada"`, `externalId eq "1"`, `groups pr`} {
			for _, tenant := range tenants {
				if got := list(t, tenant, scim.User, filter); len(got) != 1 {
					t.Errorf("%s: %q", filter, got)
				}
			}
		}
		if got := list(t, tenants[0], scim.User, `groups.value eq "`+group+`"`); len(got) != 0 {
			t.Errorf("found %q by the group of another tenant", got)
		}
	})
}

func addMembers(tb testing.TB, tenant Tenant, group string, members ...string) {
	tb.Helper()
	mustPatch(tb, tenant, scim.Group, group, `[{"op":"add","path":"members","value":[{"value":"`+strings.Join(members, `"},{"value":"`)+`"}]}]`)
}

// list returns the names of what a filter finds, in order.
func list(tb testing.TB, tenant Tenant, rt *scim.ResourceType, filter string) []string {
	tb.Helper()
	f, err := rt.ParseFilter(filter)
	if err != nil {
		tb.Fatal(err)
	}
	page, err := tenant.List(context.Background(), rt, Query{Filter: f, Count: 100})
	if err != nil {
		tb.Fatalf("%s: %v", filter, err)
	}
	var names []string
	for _, r := range page.Resources {
		switch r := r.(type) {
		case *musterv1.User:
			names = append(names, r.GetUserName())
		case *musterv1.Group:
			names = append(names, r.GetDisplayName())
		}
	}
	return names
}

func TestAfterPrefix(t *testing.T) {
	for prefix, want := range map[string]string{
		"":                      "",
		"a":                     "b",
		"aé":                    "aê",
		"a\x7f":                 "a\u0080",
		"a\uD7FF":               "a\uE000",
		"a\uFFFF":               "a\U00010000",
		"a\U0010FFFF\U0010FFFF": "b",
		"\U0010FFFF":            "",
		"\uD7FF\U0010FFFF":      "\uE000",
	} {
		if got := afterPrefix(prefix); got != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}

// A patch chooses the members it removes by the same filters.
func TestUpdate_RemoveFilteredMembers(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ada := create(t, tenant, scim.User, `{"userName":"ada","displayName":"Countess"}`)
		bob := create(t, tenant, scim.User, `{"userName":"bob"}`)
		inner := create(t, tenant, scim.Group, `{"displayName":"inner"}`)
		for filter, want := range map[string][]string{
			`value eq \"` + ada + `\"`:                     {bob, inner},
			`value ne \"` + ada + `\"`:                     {ada},
			`display eq \"COUNTESS\"`:                      {bob, inner},
			`display sw \"b\" or type eq \"Group\"`:        {ada},
			`type eq \"group\"`:                            {ada, bob},
			`not (type eq \"User\" and display ew \"SS\")`: {ada},
			`display pr and not (value co \"no such id\")`: nil,
		} {
			group := create(t, tenant, scim.Group, `{"displayName":"outer"}`)
			addMembers(t, tenant, group, ada, bob, inner)
			mustPatch(t, tenant, scim.Group, group, `[{"op":"remove","path":"members[`+filter+`]"}]`)
			if got := membersOf(t, tenant, group); !slices.Equal(got, want) {
				t.Errorf("after the removal of %s: %q, want %q", filter, got, want)
			}
		}
	})
}
