package client_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/muster-scim/muster/client"
	"github.com/muster-scim/muster/client/sqlite"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// onBoth runs a test over a copy of each kind.
func onBoth(t *testing.T, test func(t *testing.T, c client.Copy)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { test(t, client.NewMemory()) })
	t.Run("SQLite", func(t *testing.T) { test(t, openCopy(t, filepath.Join(t.TempDir(), "a copy?.db"))) })
}

func openCopy(t *testing.T, path string) *sqlite.Copy {
	t.Helper()
	c, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// change runs f in a transaction.
func change(t *testing.T, c client.Copy, position int64, anew bool, f func(tx client.Transaction) error) {
	t.Helper()
	tx, err := c.Begin(t.Context(), anew)
	if err == nil {
		if err = f(tx); err == nil {
			err = tx.Commit(position)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func user(id, name, externalID string, emails ...string) *musterv1.User {
	u := &musterv1.User{Id: id, UserName: name, ExternalId: externalID}
	for _, e := range emails {
		u.Emails = append(u.Emails, &musterv1.Email{Value: e})
	}
	return u
}

// asked is what a copy answers to all questions about some words, in order.
func asked(t *testing.T, c client.Copy, words ...string) (answers []string) {
	t.Helper()
	ctx := t.Context()
	note := func(question string, ids []string, err error) {
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		for _, id := range ids {
			answers = append(answers, question+" "+id)
		}
	}
	one := func(id string) []string {
		if id == "" {
			return nil
		}
		return []string{id}
	}
	for _, w := range words {
		u, err := c.User(ctx, w)
		note("user "+w, one(u.GetUserName()), err)
		u, err = c.UserByName(ctx, w)
		note("name "+w, one(u.GetId()), err)
		us, err := c.UsersByExternalID(ctx, w)
		note("externalId "+w, idsOf(us), err)
		us, err = c.UsersByEmail(ctx, w)
		note("email "+w, idsOf(us), err)
		g, err := c.Group(ctx, w)
		note("group "+w, one(g.GetDisplayName()), err)
		gs, err := c.GroupsByName(ctx, w)
		note("group name "+w, idsOf(gs), err)
		ids, err := c.Members(ctx, w)
		note("members of "+w, ids, err)
		for _, direct := range []bool{true, false} {
			ids, err = c.GroupsOf(ctx, w, direct)
			note(map[bool]string{true: "groups", false: "all groups"}[direct]+" of "+w, ids, err)
			for _, other := range words {
				is, err := c.IsMember(ctx, w, other, direct)
				if err != nil || is != slices.Contains(ids, other) {
					t.Errorf("%s is a member of %s (direct: %t): %t, %v", w, other, direct, is, err)
				}
			}
		}
	}
	return answers
}

func idsOf[R interface{ GetId() string }](all []R) (ids []string) {
	for _, r := range all {
		ids = append(ids, r.GetId())
	}
	return ids
}

func wants(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("the answers are\n%q, not\n%q", got, want)
	}
}

func TestCopy_Lookups(t *testing.T) {
	onBoth(t, func(t *testing.T, c client.Copy) {
		wants(t, asked(t, c, "1", "a"))
		change(t, c, 7, false, func(tx client.Transaction) error {
			_ = tx.PutUser(user("1", "Ada", "E", "ada@x", "ADA@x", "both@x"))
			_ = tx.PutUser(user("2", "Bob", "E", "both@x"))
			_ = tx.PutUser(user("3", "Eve", ""))
			for _, id := range []string{"inner", "outer", "other"} {
				_ = tx.PutGroup(&musterv1.Group{Id: id, DisplayName: "The " + id})
			}
			_ = tx.Join("inner", []string{"1", "2", "1"})
			_ = tx.Join("outer", []string{"inner", "2"})
			return tx.Join("inner", []string{"outer"}) // a circle
		})
		if p, err := c.Position(t.Context()); p != 7 || err != nil {
			t.Errorf("the position is %d, %v", p, err)
		}
		wants(t, asked(t, c, "1", "2", "ADA", "e", "E", "", "both@X", "ada@x", "inner", "the INNER"),
			"user 1 Ada", "groups of 1 inner", "all groups of 1 inner", "all groups of 1 outer",
			"user 2 Bob", "groups of 2 inner", "groups of 2 outer", "all groups of 2 inner", "all groups of 2 outer",
			"name ADA 1", "externalId E 1", "externalId E 2", "email both@X 1", "email both@X 2", "email ada@x 1",
			"group inner The inner", "members of inner 1", "members of inner 2", "members of inner outer", "groups of inner outer", "all groups of inner inner", "all groups of inner outer",
			"group name the INNER inner")
		change(t, c, 9, false, func(tx client.Transaction) error {
			if u, err := tx.User("1"); err != nil || u.GetUserName() != "Ada" {
				t.Errorf("the transaction has %v, %v", u, err)
			}
			if g, err := tx.Group("none"); err != nil || g != nil {
				t.Errorf("the transaction has %v, %v", g, err)
			}
			_ = tx.PutUser(user("1", "Lovelace", "F", "ada@y"))
			_ = tx.PutUser(user("4", "ada", ""))
			_ = tx.PutGroup(&musterv1.Group{Id: "other", DisplayName: "Renamed"})
			_ = tx.Leave("inner", []string{"1", "nobody"})
			_ = tx.Remove("2")
			return tx.Remove("outer")
		})
		wants(t, asked(t, c, "1", "2", "ada", "E", "F", "both@x", "ada@x", "ada@y", "inner", "outer", "the other", "renamed"),
			"user 1 Lovelace", "groups of 2 inner", "all groups of 2 inner", // a server tells of it beforehand
			"name ada 4", "externalId F 1", "email ada@y 1", "group inner The inner", "members of inner 2", "members of inner outer",
			"groups of outer inner", "all groups of outer inner", "group name renamed other")
		if users, groups, err := c.Counts(t.Context()); users != 3 || groups != 2 || err != nil {
			t.Errorf("%d users, %d groups, %v", users, groups, err)
		}
	})
}

// What begins anew is seen when it is complete, and what is rolled back never.
func TestCopy_Anew(t *testing.T) {
	onBoth(t, func(t *testing.T, c client.Copy) {
		change(t, c, 1, false, func(tx client.Transaction) error {
			_ = tx.Join("g", []string{"1"})
			return tx.PutUser(user("1", "ada", "", "a@x"))
		})
		before := asked(t, c, "1", "ada", "a@x", "g")
		tx, err := c.Begin(t.Context(), true)
		if err != nil {
			t.Fatal(err)
		}
		if u, err := tx.User("1"); u != nil || err != nil {
			t.Errorf("anew there is %v, %v", u, err)
		}
		if err := tx.PutUser(user("2", "bob", "")); err != nil {
			t.Fatal(err)
		}
		wants(t, asked(t, c, "1", "ada", "a@x", "g"), before...)
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		wants(t, asked(t, c, "1", "ada", "a@x", "g"), before...)
		change(t, c, 5, true, func(tx client.Transaction) error { return tx.PutUser(user("2", "bob", "")) })
		wants(t, asked(t, c, "1", "ada", "a@x", "g", "bob"), "name bob 2")
		if p, _ := c.Position(t.Context()); p != 5 {
			t.Errorf("the position is %d", p)
		}
	})
}

// A file has what was committed when it is opened again; one that two write, or that
// another version wrote, is noticed.
func TestSQLiteCopy_Lasts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "copy.db")
	first := openCopy(t, path)
	put := func(tx client.Transaction) error { return tx.PutUser(user("1", "ada", "")) }
	change(t, first, 3, false, put)
	tx, err := first.Begin(context.Background(), true) // is never committed: the program ends
	if err != nil || put(tx) != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	second := openCopy(t, path)
	if p, _ := second.Position(t.Context()); p != 3 {
		t.Errorf("the position is %d", p)
	}
	wants(t, asked(t, second, "ada"), "name ada 1")
	change(t, second, 4, false, put)
	if tx, err = first.Begin(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(5); err == nil {
		t.Error("two write one file, and nobody notices")
	}
	change(t, second, 6, false, put) // the other holds nothing up
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if p, _ := openCopy(t, path).Position(t.Context()); p != 0 {
		t.Errorf("of another format the position is %d", p)
	}
}
