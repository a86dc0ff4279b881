package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

const ada = `{"userName":"Ada@example.com","externalId":"A1","displayName":"Ada Lovelace","active":true,
	"emails":[{"value":"Ada@Example.com","type":"work","primary":true},{"value":"ada@example.com","type":"home"}],
	"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Analysis"}}`

func TestCreate_ReadsBackEqual(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		made, err := tenant.Create(context.Background(), scim.User, decode(t, scim.User, ada), true)
		if err != nil {
			t.Fatal(err)
		}
		got := mustGet(t, tenant, scim.User, made.GetId())
		if a, b := scim.User.AppendJSON(nil, made, ""), scim.User.AppendJSON(nil, got, ""); string(a) != string(b) {
			t.Errorf("created %s\nread %s", a, b)
		}
		if got.GetMeta().GetVersion() != `W/"1"` || got.GetMeta().GetCreated().AsTime() != got.GetMeta().GetLastModified().AsTime() {
			t.Errorf("meta is %v", got.GetMeta())
		}
	})
}

func TestCreate_UserNameTaken(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		create(t, tenant, scim.User, `{"userName":"Élodie"}`)
		_, err := tenant.Create(context.Background(), scim.User, decode(t, scim.User, `{"userName":"éLODIE"}`), false)
		if scim.ReasonOf(err) != scim.Uniqueness || !strings.Contains(err.Error(), "userName") {
			t.Errorf("got %v", err)
		}
		create(t, tenant, scim.Group, `{"displayName":"Élodie"}`)
		create(t, tenant, scim.Group, `{"displayName":"Élodie"}`) // names of groups may repeat
	})
}

func TestUpdate_UserNameTaken(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		create(t, tenant, scim.User, `{"userName":"a"}`)
		b := create(t, tenant, scim.User, `{"userName":"b"}`)
		_, err := patch(t, tenant, scim.User, b, "", `[{"op":"replace","path":"userName","value":"A"}]`)
		if scim.ReasonOf(err) != scim.Uniqueness {
			t.Errorf("got %v", err)
		}
		if v := mustGet(t, tenant, scim.User, b).GetMeta().GetVersion(); v != `W/"1"` {
			t.Errorf("the version is %s after an update that failed", v)
		}
	})
}

// Of many creates of one name at once exactly one succeeds, and none of the
// others that share its commit suffers.
func TestCreate_Race(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		var wg sync.WaitGroup
		errs := make([]error, 64)
		for i := range errs {
			r := decode(t, scim.User, `{"userName":"user %d"}`, i/2)
			wg.Go(func() { _, errs[i] = tenant.Create(context.Background(), scim.User, r, false) })
		}
		wg.Wait()
		for i := 0; i < len(errs); i += 2 {
			a, b := errs[i], errs[i+1]
			if (a == nil) == (b == nil) || scim.ReasonOf(firstOf(a, b)) != scim.Uniqueness {
				t.Errorf("user %d: %v and %v", i/2, a, b)
			}
		}
		if n := len(logged(t, tenant)); n != len(errs)/2 {
			t.Errorf("the log has %d creates, not %d", n, len(errs)/2)
		}
	})
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A job that fails after it wrote takes nothing with it: neither its own writes
// stay nor those of its neighbours go.
func TestWrite_FailureIsAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		broken := scim.Errorf(scim.InvalidValue, "broken")
		var wg sync.WaitGroup
		errs := make([]error, 40)
		for i := range errs {
			wg.Go(func() {
				errs[i] = s.write(context.Background(), func(ctx context.Context, tx tx) error {
					st := s.statement().add("INSERT INTO tenants (profile, catalog_version, name, created_at) VALUES ('tolerant', 0, ", arg{fmt.Sprint("t", i)}, ", 0)")
					if err := tx.write(ctx, st); err != nil {
						return err
					}
					if i%4 == 0 {
						return broken
					}
					return nil
				})
			})
		}
		wg.Wait()
		for i, err := range errs {
			if (i%4 == 0) != (err != nil) {
				t.Errorf("job %d: %v", i, err)
			}
		}
		n := 0
		if err := s.read(context.Background(), s.statement().add("SELECT count(*) FROM tenants WHERE name <> 'default'"), func(scan scan) error { return scan(&n) }); err != nil || n != 30 {
			t.Errorf("%d jobs are there, %v", n, err)
		}
		_ = tenant
	})
}

func TestUpdate_NothingChangedWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		id := create(t, tenant, scim.User, "%s", ada)
		group := create(t, tenant, scim.Group, `{"displayName":"G","members":[{"value":"%s"}]}`, id)
		before := logged(t, tenant)
		c, err := scim.User.CompileReplace(decode(t, scim.User, "%s", ada))
		if err != nil {
			t.Fatal(err)
		}
		r, err := tenant.Update(context.Background(), scim.User, id, scim.Match{}, c, true)
		if err != nil || r.GetMeta().GetVersion() != `W/"1"` {
			t.Errorf("a replace with the same: %v, %v", r, err)
		}
		for _, ops := range []string{
			`[{"op":"add","path":"members","value":[{"value":"` + id + `"}]}]`,
			`[{"op":"remove","path":"members[value eq \"nobody\"]"}]`,
			`[{"op":"replace","path":"members","value":[{"value":"` + id + `"}]}]`,
			`[{"op":"remove","path":"members","value":[{"value":"` + id + `"}]},{"op":"add","path":"members","value":[{"value":"` + id + `"}]}]`,
			`[{"op":"replace","path":"displayName","value":"G"}]`,
		} {
			if r := mustPatch(t, tenant, scim.Group, group, ops); r.GetMeta().GetVersion() != `W/"1"` {
				t.Errorf("%s: version %s", ops, r.GetMeta().GetVersion())
			}
		}
		if after := logged(t, tenant); !slices.Equal(before, after) {
			t.Errorf("the log grew:\n%s", strings.Join(after, "\n"))
		}
		if got := membersOf(t, tenant, group); !slices.Equal(got, []string{id}) {
			t.Errorf("members are %v", got)
		}
	})
}

func TestUpdate_Version(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		id := create(t, tenant, scim.User, `{"userName":"a"}`)
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = patch(t, tenant, scim.User, id, `W/"1"`, fmt.Sprintf(`[{"op":"add","path":"title","value":"t%d"}]`, i))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if scim.ReasonOf(err) != scim.VersionMismatch {
				t.Error(err)
			}
		}
		if v := mustGet(t, tenant, scim.User, id).GetMeta().GetVersion(); won != 1 || v != `W/"2"` {
			t.Errorf("%d of %d writers won, the version is %s", won, len(errs), v)
		}
		if err := tenant.Delete(context.Background(), scim.User, id, mustMatch(t, `W/"1"`)); scim.ReasonOf(err) != scim.VersionMismatch {
			t.Errorf("delete of an old version: %v", err)
		}
	})
}

func mustMatch(t *testing.T, header string) scim.Match {
	t.Helper()
	m, err := scim.ParseMatch(header, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNotFound(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ctx := context.Background()
		group := create(t, tenant, scim.Group, `{"displayName":"G"}`)
		for _, id := range []string{"nobody", "", group, "0190\x00", "x' OR 1=1 --"} {
			_, get := tenant.Get(ctx, scim.User, id, true)
			_, update := patch(t, tenant, scim.User, id, "", `[{"op":"add","path":"title","value":"t"}]`)
			for _, err := range []error{get, update, tenant.Delete(ctx, scim.User, id, scim.Match{})} {
				if scim.ReasonOf(err) != scim.NotFound {
					t.Errorf("%q: %v", id, err)
				}
			}
		}
	})
}

func TestList_Pages(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		var ids []string
		for i := range 25 {
			ids = append(ids, create(t, tenant, scim.User, `{"userName":"u%d"}`, i))
		}
		var got []string
		for offset := 0; offset < 30; offset += 10 {
			page, err := tenant.List(context.Background(), scim.User, Query{Offset: offset, Count: 10, Links: true})
			if err != nil || page.Total != 25 {
				t.Fatalf("total %d, %v", page.Total, err)
			}
			for _, r := range page.Resources {
				got = append(got, r.GetId())
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("got %v, want the order of creation %v", got, ids)
		}
		for _, q := range []Query{{Count: 0}, {Offset: 25, Count: 5}, {Offset: 1000, Count: 5}} {
			if page, err := tenant.List(context.Background(), scim.User, q); err != nil || page.Total != 25 || len(page.Resources) != 0 {
				t.Errorf("%+v: %+v, %v", q, page, err)
			}
		}
	})
}

func TestPassword_IsKeptApart(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		made, err := tenant.Create(context.Background(), scim.User, decode(t, scim.User, `{"userName":"a","password":"hash 1"}`), true)
		if err != nil {
			t.Fatal(err)
		}
		id := made.GetId()
		hash := func() string {
			h, err := tenant.SecretHash(context.Background(), id, scim.User.Attribute("password"))
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		if hash() != "hash 1" || made.(*musterv1.User).GetPassword() != scim.KeptSecret {
			t.Errorf("hash %q; the answer holds %q", hash(), made.(*musterv1.User).GetPassword())
		}
		r := mustPatch(t, tenant, scim.User, id, `[{"op":"replace","path":"password","value":"hash 2"}]`)
		if hash() != "hash 2" || r.GetMeta().GetVersion() != `W/"2"` || r.(*musterv1.User).GetPassword() != scim.KeptSecret {
			t.Errorf("hash %q, %v", hash(), r)
		}
		mustPatch(t, tenant, scim.User, id, `[{"op":"replace","path":"title","value":"T"}]`)
		if hash() != "hash 2" {
			t.Errorf("another change made it %q", hash())
		}
		mustPatch(t, tenant, scim.User, id, `[{"op":"remove","path":"password"}]`)
		r = mustPatch(t, tenant, scim.User, id, `[{"op":"remove","path":"password"}]`)
		if hash() != "" || r.GetMeta().GetVersion() != `W/"4"` || r.(*musterv1.User).GetPassword() != "" {
			t.Errorf("removed twice, it is %q, %v", hash(), r)
		}
		if log := strings.Join(logged(t, tenant), "\n"); strings.Contains(log, "hash") || !strings.Contains(log, `"password"`) {
			t.Errorf("the log says\n%s", log)
		}
	})
}
