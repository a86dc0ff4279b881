package store

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

// acting is a context whose writes are recorded for a tenant.
func acting(t Tenant) (context.Context, *Act) {
	act := &Act{TenantID: t.id, Method: "test/Write", RequestID: "r1", Credential: "test", Operator: "grace", Address: "192.0.2.1", Client: "curl"}
	return Acting(context.Background(), act), act
}

func createAs(ctx context.Context, tb testing.TB, t Tenant, rt *scim.ResourceType, format string, args ...any) string {
	tb.Helper()
	r, err := t.Create(ctx, rt, decode(tb, rt, format, args...), false)
	if err != nil {
		tb.Fatal(err)
	}
	return r.GetId()
}

func patchAs(ctx context.Context, tb testing.TB, t Tenant, rt *scim.ResourceType, id, operations string) {
	tb.Helper()
	if _, err := t.Update(ctx, rt, id, scim.Match{}, compilePatch(tb, rt, operations), false); err != nil {
		tb.Fatal(err)
	}
}

// events are all events of a tenant, the oldest first.
func events(tb testing.TB, s *Store, tenant int64) []AuditEvent {
	tb.Helper()
	st := s.statement()
	st.add("SELECT "+eventColumns+" FROM audit_events WHERE tenant_id = ", arg{tenant}, " ORDER BY id")
	all, err := readEvents(context.Background(), s, st)
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

func seal(tb testing.TB, s *Store) (sealed int) {
	tb.Helper()
	for {
		n, err := s.SealAudit(context.Background())
		if err != nil {
			tb.Fatal(err)
		}
		if n == 0 {
			return sealed
		}
		sealed += n
	}
}

func verify(tb testing.TB, s *Store, tenant int64, head *AuditHead) AuditVerification {
	tb.Helper()
	v, err := s.VerifyAudit(context.Background(), tenant, head)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// changesOf are the changes that the events of a tenant tell of.
func changesOf(tb testing.TB, s *Store, tenant int64) (lines []string) {
	tb.Helper()
	for _, e := range events(tb, s, tenant) {
		lines = append(lines, e.ResourceType+" "+e.Changes)
	}
	return lines
}

// What a write did is in its event: a create all that was made, an update what
// differs, a delete all that was; and nothing of it is a secret.
func TestAudit_Changes(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ctx, _ := acting(tenant)
		ada := createAs(ctx, t, tenant, scim.User, `{"userName":"ada","password":"the hash of a secret","title":"T"}`)
		group := createAs(ctx, t, tenant, scim.Group, `{"displayName":"G","members":[{"value":%q}]}`, ada)
		patchAs(ctx, t, tenant, scim.User, ada, `[{"op":"replace","path":"title","value":"U"},{"op":"replace","path":"password","value":"another secret"}]`)
		patchAs(ctx, t, tenant, scim.User, ada, `[{"op":"replace","path":"title","value":"U"}]`)
		patchAs(ctx, t, tenant, scim.Group, group, `[{"op":"remove","path":"members"}]`)
		patchAs(ctx, t, tenant, scim.Group, group, `[{"op":"add","path":"members","value":[{"value":"`+ada+`"}]}]`)
		if err := tenant.Delete(ctx, scim.User, ada, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		grace := createAs(ctx, t, tenant, scim.User, `{"userName":"grace"}`)
		patchAs(ctx, t, tenant, scim.Group, group, `[{"op":"add","path":"members","value":[{"value":"`+grace+`"}]}]`)
		if err := tenant.Delete(ctx, scim.Group, group, scim.Match{}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`User {"attributes":{"password":{},"userName":{"after":"ada"},"title":{"after":"T"}}}`,
			`Group {"attributes":{"displayName":{"after":"G"}},"members":{"added":["ADA"]}}`,
			`User {"attributes":{"password":{},"title":{"before":"T","after":"U"}}}`,
			`Group {"members":{"removed":["ADA"]}}`,
			`Group {"members":{"added":["ADA"]}}`,
			`User {"attributes":{"userName":{"before":"ada"},"title":{"before":"U"}},"groups":{"removed":["GROUP"]}}`,
			`User {"attributes":{"userName":{"after":"grace"}}}`,
			`Group {"members":{"added":["GRACE"]}}`,
			`Group {"attributes":{"displayName":{"before":"G"}},"members":{"removed":["GRACE"]}}`,
		}
		got := changesOf(t, s, tenant.id)
		for i := range got {
			got[i] = strings.NewReplacer(ada, "ADA", group, "GROUP", grace, "GRACE").Replace(got[i])
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		e := events(t, s, tenant.id)[0]
		if e.Method != "test/Write" || e.RequestID != "r1" || e.Credential != "test" || e.Operator != "grace" || e.Address != "192.0.2.1" || e.Client != "curl" ||
			e.ResourceID != ada || e.Outcome != AuditOK || e.Preview || time.Since(e.Time).Abs() > time.Minute || e.Sequence != 0 || e.Hash != nil {
			t.Errorf("the event is %+v", e)
		}
	})
}

// A write that fails leaves no event, whenever it fails; one that changes nothing
// neither, and its act says so.
func TestAudit_FailedWrite(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ctx, act := acting(tenant)
		id := createAs(ctx, t, tenant, scim.User, `{"userName":"ada"}`)
		if !act.Recorded() {
			t.Error("a create is not recorded")
		}
		if _, err := tenant.Create(ctx, scim.User, decode(t, scim.User, `{"userName":"ADA"}`), false); scim.ReasonOf(err) != scim.Uniqueness {
			t.Fatal(err)
		}
		all := []*New{{Type: scim.User, ID: "1", Resource: decode(t, scim.User, `{"userName":"b"}`)}, {Type: scim.User, ID: "2", Resource: decode(t, scim.User, `{"userName":"B"}`)}}
		if _, err := tenant.CreateTogether(ctx, all); scim.ReasonOf(err) != scim.Uniqueness {
			t.Fatal(err)
		}
		patchAs(ctx, t, tenant, scim.User, id, `[{"op":"replace","path":"userName","value":"ada"}]`)
		if act.Recorded() {
			t.Error("what changed nothing is recorded")
		}
		if got := events(t, s, tenant.id); len(got) != 1 {
			t.Errorf("there are %d events: %+v", len(got), got)
		}
	})
}

// The writes of a preview have their events kept for later, and not in the log.
func TestAudit_Preview(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ctx, act := acting(tenant)
		act.Preview = true
		id := createAs(ctx, t, tenant, scim.User, `{"userName":"ada"}`)
		kept := act.TakeKept()
		if len(kept) != 1 || kept[0].ResourceID != id || !kept[0].Preview || !act.Recorded() || len(act.TakeKept()) != 0 {
			t.Errorf("kept are %+v", kept)
		}
		if got := events(t, s, tenant.id); len(got) != 0 {
			t.Errorf("there are %+v", got)
		}
	})
}

// Registrations are recorded with what was and what is registered.
func TestAudit_Registrations(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		tenant := newTenant(t, s)
		ctx, _ := acting(tenant)
		schemas, types, err := scim.ParseRegistrations([]byte("[" + thing(`{"name":"a"}`) + "]"))
		if err == nil {
			err = tenant.Register(ctx, false, schemas, types)
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := changesOf(t, s, tenant.id); len(got) != 1 || !strings.Contains(got[0], `"resource type Thing":{"after":{`) || strings.Contains(got[0], "before") {
			t.Errorf("got %s", got)
		}
		if err := tenant.Unregister(ctx, false, nil, []string{"Thing"}); err != nil {
			t.Fatal(err)
		}
		if got := changesOf(t, s, tenant.id); len(got) != 2 || !strings.Contains(got[1], `"resource type Thing":{"before":{`) || strings.Contains(got[1], "after") {
			t.Errorf("got %s", got)
		}
	})
}

// Texts from outside are cut and made fit, whatever they hold.
func TestAudit_AnyText(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		text := "a\x00b\xff" + strings.Repeat("ä", 2000)
		if err := s.AddAuditEvents(context.Background(), []AuditEvent{{Method: "m", RequestID: text, ResourceID: text, Client: text, Detail: text, Outcome: "ok", Time: time.Now()}}); err != nil {
			t.Fatal(err)
		}
		seal(t, s)
		if v := verify(t, s, NoTenant, nil); v.Problem != "" || v.Head.Sequence != 1 {
			t.Errorf("verified: %+v", v)
		}
		if e := events(t, s, NoTenant)[0]; !strings.HasPrefix(e.ResourceID, "a\uFFFDb\uFFFDä") || len(e.Client) > maxEventText+10 {
			t.Errorf("it is %q", e.ResourceID)
		}
	})
}

// fillAudit makes and seals many events, one of each second since begin.
func fillAudit(tb testing.TB, s *Store, tenant int64, many int, begin time.Time) {
	tb.Helper()
	var all []AuditEvent
	for i := range many {
		e := AuditEvent{TenantID: tenant, Time: begin.Add(time.Duration(i) * time.Second), Method: "muster.v1.S/Get", RequestID: fmt.Sprint("r", i), Outcome: "ok"}
		if i%10 == 0 {
			e.Outcome, e.Detail, e.ResourceType, e.ResourceID, e.Address, e.Credential = "notFound", "it is not there", "User", fmt.Sprint("u", i), "192.0.2.7", "c"
			e.Method = "muster.v1.S/Delete"
			e.Operator, e.Preview = "ada@example.com", i%20 == 0
		}
		all = append(all, e)
	}
	if err := s.AddAuditEvents(context.Background(), all); err != nil {
		tb.Fatal(err)
	}
	if n := seal(tb, s); n != many {
		tb.Fatalf("%d are sealed", n)
	}
}

var longAgo = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

// Whatever somebody does to the tables, the verification finds it: but for a chain
// that was computed anew from some place on, which only a head kept elsewhere shows.
func TestVerifyAudit_Tampering(t *testing.T) {
	const many = 700
	tampers := map[string]struct {
		sql  []string
		want string
	}{
		"nothing":              {nil, ""},
		"a changed outcome":    {[]string{"UPDATE audit_events SET outcome = 'ok' WHERE tenant_id = 9 AND sequence = 301"}, "event 301 is not what was sealed"},
		"a changed credential": {[]string{"UPDATE audit_events SET credential = 'other' WHERE tenant_id = 9 AND sequence = 700"}, "event 700 is not what was sealed"},
		"a changed time":       {[]string{"UPDATE audit_events SET occurred_at = occurred_at + 1 WHERE tenant_id = 9 AND sequence = 1"}, "event 1 is not what was sealed"},
		"a changed hash":       {[]string{"UPDATE audit_events SET hash = NULL WHERE tenant_id = 9 AND sequence = 5"}, "event 5 is not what was sealed"},
		"a missing one":        {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence = 250"}, "event 250 is missing"},
		"missing ones":         {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence BETWEEN 251 AND 300"}, "events 251 to 300 are missing"},
		"a missing beginning":  {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence < 4"}, "events 1 to 3 are missing"},
		"a missing end":        {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence >= 699"}, "events 699 to 700 are missing"},
		"none left":            {[]string{"DELETE FROM audit_events WHERE tenant_id = 9"}, "events 1 to 700 are missing"},
		"no end":               {[]string{"DELETE FROM audit_chains WHERE tenant_id = 9"}, "event 1 stands after the end"},
		"a missing one, closed up": {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence = 699",
			"UPDATE audit_events SET sequence = 699 WHERE tenant_id = 9 AND sequence = 700"}, "event 699 is not what was sealed"},
		"two in each other's place": {[]string{"UPDATE audit_events SET sequence = -1 WHERE tenant_id = 9 AND sequence = 10",
			"UPDATE audit_events SET sequence = 10 WHERE tenant_id = 9 AND sequence = 11", "UPDATE audit_events SET sequence = 11 WHERE tenant_id = 9 AND sequence = -1"}, "event 10 is not what was sealed"},
		"one inserted at the end":   {[]string{insertLike(700, 701)}, "event 701 is not what was sealed"},
		"one inserted at the front": {[]string{insertLike(1, 0)}, "before the beginning"},
		"one inserted in the middle": {[]string{"DELETE FROM audit_events WHERE tenant_id = 9 AND sequence = 20", insertLike(19, 20)},
			"event 20 is not what was sealed"},
	}
	onBoth(t, func(t *testing.T, s *Store) {
		for name, tamper := range tampers {
			run(t, s, "DELETE FROM audit_events")
			run(t, s, "DELETE FROM audit_chains")
			fillAudit(t, s, 9, many, longAgo)
			for _, sql := range tamper.sql {
				run(t, s, sql)
			}
			v := verify(t, s, 9, nil)
			if tamper.want == "" && (v.Problem != "" || v.First != 1 || v.Head.Sequence != many || v.Unsealed != 0) || !strings.Contains(v.Problem, tamper.want) {
				t.Errorf("%s: %+v", name, v)
			}
		}
	})
}

// insertLike is the SQL that inserts a copy of an event at another place.
func insertLike(of, at int) string {
	return fmt.Sprint("INSERT INTO audit_events (tenant_id, occurred_at, request_id, method, outcome, preview, sequence, hash)"+
		" SELECT tenant_id, occurred_at, request_id, method, outcome, preview, ", at, ", hash FROM audit_events WHERE tenant_id = 9 AND sequence = ", of)
}

// A head that was kept elsewhere shows a chain whose end was cut off, and one that
// was computed anew.
func TestVerifyAudit_Head(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		fillAudit(t, s, 9, 20, longAgo)
		head := verify(t, s, 9, nil).Head
		fillAudit(t, s, 9, 20, longAgo)
		if v := verify(t, s, 9, &head); v.Problem != "" || v.Head.Sequence != 40 {
			t.Errorf("a head in the middle: %+v", v)
		}
		run(t, s, "DELETE FROM audit_events WHERE sequence >= 20")
		run(t, s, "UPDATE audit_chains SET sequence = 19, hash = (SELECT hash FROM audit_events WHERE sequence = 19)")
		if v := verify(t, s, 9, nil); v.Problem != "" {
			t.Errorf("an end cut off with care: %+v", v)
		}
		if v := verify(t, s, 9, &head); !strings.Contains(v.Problem, "the chain ends at 19") {
			t.Errorf("and with a head: %+v", v)
		}
		run(t, s, "UPDATE audit_events SET outcome = 'forged', sequence = NULL, hash = NULL")
		run(t, s, "DELETE FROM audit_chains")
		if n := seal(t, s); n != 19 {
			t.Fatalf("%d are sealed", n)
		}
		fillAudit(t, s, 9, 10, longAgo)
		if v := verify(t, s, 9, nil); v.Problem != "" {
			t.Errorf("computed anew: %+v", v)
		}
		if v := verify(t, s, 9, &head); !strings.Contains(v.Problem, "another hash than the head") {
			t.Errorf("and with a head: %+v", v)
		}
	})
}

// The old events go from the beginning, up to the first that is not old enough; what
// is left is a whole chain, and goes on.
func TestTrimAudit(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		fillAudit(t, s, 9, 600, longAgo)
		old := verify(t, s, 9, nil).Head
		fillAudit(t, s, 9, 3, longAgo.Add(time.Hour))
		fillAudit(t, s, 9, 3, longAgo)
		if err := s.AddAuditEvents(ctx, []AuditEvent{{TenantID: 9, Method: "m", Outcome: "ok", Time: longAgo}}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.TrimAudit(ctx, 0); n != 0 || err != nil {
			t.Errorf("kept for ever: %d, %v", n, err)
		}
		removed := 0
		for {
			n, err := s.TrimAudit(ctx, time.Since(longAgo.Add(time.Hour)))
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
			if removed += n; n > auditStep {
				t.Errorf("%d at once", n)
			}
		}
		if left := events(t, s, 9); removed != 600 || len(left) != 7 {
			t.Errorf("%d are removed, %d are left", removed, len(left))
		}
		v := verify(t, s, 9, &old)
		if v.Problem != "" || v.First != 601 || v.Head.Sequence != 606 || v.Unsealed != 1 {
			t.Errorf("what is left: %+v", v)
		}
		seal(t, s)
		if v := verify(t, s, 9, nil); v.Problem != "" || v.Head.Sequence != 607 {
			t.Errorf("what goes on: %+v", v)
		}
		if v := verify(t, s, 9, &AuditHead{Sequence: 599}); !strings.Contains(v.Problem, "older than what is kept") {
			t.Errorf("a head that is gone: %+v", v)
		}
		run(t, s, "DELETE FROM audit_events WHERE tenant_id = 9 AND sequence = 601")
		if v := verify(t, s, 9, nil); v.Problem != "event 601 is missing" {
			t.Errorf("a second beginning removed: %+v", v)
		}
	})
}

// Several servers that write, seal, remove and verify at once make one chain of each
// tenant.
func TestSealAudit_ManyServers(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		var writers, sealers sync.WaitGroup
		ctx, stop := context.WithCancel(context.Background())
		for i := range 4 {
			writers.Go(func() {
				for range 50 {
					if err := s.AddAuditEvents(ctx, []AuditEvent{
						{TenantID: int64(i % 2), Method: "m", Outcome: "ok", Time: time.Now()}, {TenantID: 7, Method: "m", Outcome: "ok", Time: longAgo},
					}); err != nil {
						t.Error(err)
					}
				}
			})
			sealers.Go(func() {
				for ctx.Err() == nil {
					if _, err := s.SealAudit(context.Background()); err != nil {
						t.Error(err)
					}
					if _, err := s.TrimAudit(context.Background(), time.Since(longAgo)-time.Hour); err != nil {
						t.Error(err)
					}
					for _, tenant := range []int64{0, 7} {
						if v, err := s.VerifyAudit(context.Background(), tenant, nil); err != nil || v.Problem != "" {
							t.Errorf("meanwhile: %+v, %v", v, err)
						}
					}
				}
			})
		}
		writers.Wait()
		stop()
		sealers.Wait()
		seal(t, s)
		for tenant, want := range map[int64]int64{0: 100, 1: 100, 7: 200} {
			if v := verify(t, s, tenant, nil); v.Problem != "" || v.Head.Sequence != want || v.Unsealed != 0 {
				t.Errorf("tenant %d: %+v", tenant, v)
			}
		}
	})
}

// pages reads all pages of a query.
func pages(tb testing.TB, s *Store, q AuditQuery) (all []AuditEvent, n int) {
	tb.Helper()
	for {
		page, err := s.AuditEvents(context.Background(), q)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, page.Events...)
		n++
		if page.Next == 0 {
			return all, n
		}
		q.After = page.Next
	}
}

// What is not near is looked for farther off, before the page is answered.
func TestAuditEvents_Far(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		fillAudit(t, s, 9, 2*nearScan+100, longAgo)
		for _, inChain := range []bool{false, true} {
			for _, c := range []struct {
				q          AuditQuery
				first, all int
			}{
				{AuditQuery{RequestID: "r2050", Count: 5}, 1, 1},
				{AuditQuery{Failures: true, Count: nearScan/10 + 50}, nearScan/10 + 50, 2*nearScan/10 + 10},
				{AuditQuery{Failures: true, Count: 50}, 50, 2*nearScan/10 + 10},
			} {
				c.q.TenantID, c.q.InChain = 9, inChain
				page, err := s.AuditEvents(context.Background(), c.q)
				if err != nil || len(page.Events) != c.first {
					t.Errorf("%+v: %d events at first, want %d (%v)", c.q, len(page.Events), c.first, err)
				}
				if all, _ := pages(t, s, c.q); len(all) != c.all {
					t.Errorf("%+v: %d events, want %d", c.q, len(all), c.all)
				}
			}
		}
	})
}

func TestAuditEvents_Filters(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		fillAudit(t, s, 9, 1000, longAgo)
		fillAudit(t, s, 8, 5, longAgo)
		at := func(seconds int) time.Time { return longAgo.Add(time.Duration(seconds) * time.Second) }
		for _, c := range []struct {
			q    AuditQuery
			want int
		}{
			{AuditQuery{}, 1000},
			{AuditQuery{TenantID: 8}, 5},
			{AuditQuery{TenantID: 7}, 0},
			{AuditQuery{Failures: true}, 100},
			{AuditQuery{Outcome: "notFound"}, 100},
			{AuditQuery{Outcome: "ok"}, 900},
			{AuditQuery{Method: "muster.v1.S/Delete"}, 100},
			{AuditQuery{Method: "Delete"}, 100},
			{AuditQuery{Method: "elete"}, 0},
			{AuditQuery{ResourceType: "User"}, 100},
			{AuditQuery{ResourceID: "u50"}, 1},
			{AuditQuery{Credential: "c"}, 100},
			{AuditQuery{Credential: "c\x00"}, 0},
			{AuditQuery{Address: "192.0.2.7", Outcome: "ok"}, 0},
			{AuditQuery{RequestID: "r77"}, 1},
			{AuditQuery{Operator: "ada@example.com"}, 100},
			{AuditQuery{Operator: "ada"}, 0},
			{AuditQuery{Preview: new(true)}, 50},
			{AuditQuery{Preview: new(false)}, 950},
			{AuditQuery{Without: []string{"muster.v1.S/Get"}}, 100},
			{AuditQuery{Without: []string{"muster.v1.S/Delete"}}, 1000}, // none succeeded
			{AuditQuery{From: at(990)}, 10},
			{AuditQuery{To: at(10)}, 10},
			{AuditQuery{From: at(500), To: at(600)}, 100},
			{AuditQuery{From: at(500), To: at(600), Failures: true}, 10},
			{AuditQuery{From: at(5000)}, 0},
			{AuditQuery{To: at(-5000)}, 0},
		} {
			if c.q.TenantID == 0 {
				c.q.TenantID = 9
			}
			for _, inChain := range []bool{false, true} {
				c.q.InChain, c.q.Count = inChain, 150
				got, _ := pages(t, s, c.q)
				if len(got) != c.want {
					t.Errorf("%+v: %d events, want %d", c.q, len(got), c.want)
				}
				for i := 1; i < len(got); i++ {
					if inChain && got[i].Sequence <= got[i-1].Sequence || !inChain && got[i].ID >= got[i-1].ID {
						t.Fatalf("%+v: %d stands after %d", c.q, got[i].ID, got[i-1].ID)
					}
				}
			}
		}
	})
}

// Who follows the chain gets each event once, also those that come meanwhile; what is
// not sealed yet comes later.
func TestAuditEvents_Following(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		fillAudit(t, s, 9, 10, longAgo)
		first, _ := pages(t, s, AuditQuery{TenantID: 9, InChain: true, Count: 4})
		if err := s.AddAuditEvents(context.Background(), []AuditEvent{{TenantID: 9, Method: "m", Outcome: "ok", Time: longAgo}}); err != nil {
			t.Fatal(err)
		}
		q := AuditQuery{TenantID: 9, InChain: true, Count: 4, After: first[9].Sequence}
		if more, _ := pages(t, s, q); len(more) != 0 {
			t.Errorf("not sealed, and listed: %+v", more)
		}
		seal(t, s)
		if more, _ := pages(t, s, q); len(more) != 1 || more[0].Sequence != 11 || bytes.Equal(more[0].Hash, first[9].Hash) {
			t.Errorf("more are %+v", more)
		}
	})
}

// What is asked often is answered by an index, and in its order: nothing reads or
// sorts a whole log.
func TestAuditEvents_UsesIndex(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		for tenant := range int64(4) {
			fillAudit(t, s, tenant+1, 3000, longAgo)
		}
		run(t, s, "UPDATE audit_events SET credential = 'c' || (id % 50), resource_id = 'r' || (id % 1000)")
		if s.dialect == postgres {
			run(t, s, "VACUUM ANALYZE audit_events")
		} else {
			run(t, s, "ANALYZE")
		}
		check := func(st *statement, index string) {
			t.Helper()
			plan := explain(t, s, st)
			if !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE FOR ORDER") || strings.Contains(plan, "Seq Scan on audit") {
				t.Errorf("%s\nis answered without %s, or sorted:\n%s", &st.text, index, plan)
			}
		}
		for _, c := range []struct {
			q     AuditQuery
			index string
		}{
			{AuditQuery{}, ""},
			{AuditQuery{After: 5000, Failures: true}, ""},
			{AuditQuery{ResourceID: "r77"}, "resource_id"},
			{AuditQuery{Credential: "c7"}, "credential"},
			{AuditQuery{InChain: true}, "sequence"},
			{AuditQuery{InChain: true, After: 1000}, "sequence"},
		} {
			c.q.TenantID, c.q.Count = 3, 20
			w := newWindow(s, &c.q)
			if err := w.narrow(context.Background()); err != nil {
				t.Fatal(err)
			}
			check(w.events(), c.index)
		}
		check(s.statement().add(unsealedTenants), "unsealed")
	})
}
