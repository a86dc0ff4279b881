package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/scim"
)

func TestRecordings(t *testing.T) {
	onBoth(t, func(t *testing.T, s *Store) {
		ctx := context.Background()
		tenant := newTenant(t, s)
		addBearer(t, tenant, "c", "scim")
		begun := time.Now().Truncate(time.Millisecond)
		asked := Recording{Credential: "c", Started: begun, Ends: begun.Add(time.Hour), MaxExchanges: 2, Redacted: []string{"userName", "emails"}}
		r, err := tenant.StartRecording(ctx, asked)
		mustDo(t, err)
		if _, err := tenant.StartRecording(ctx, asked); !reasonIs(err, scim.Conflict) {
			t.Errorf("two at once: %v", err)
		}
		if _, err := tenant.StartRecording(ctx, Recording{Credential: "nobody", Started: begun, Ends: begun}); !reasonIs(err, scim.NotFound) {
			t.Errorf("of nobody: %v", err)
		}
		running, err := s.RunningRecordings(ctx)
		if err != nil || len(running) != 1 || running[0].ID != r.ID || running[0].TenantID != tenant.ID() || strings.Join(running[0].Redacted, " ") != "userName emails" || !running[0].Ends.Equal(asked.Ends) {
			t.Errorf("running are %+v, %v", running, err)
		}
		for _, text := range []string{"1", "2", "3"} {
			mustDo(t, s.RecordExchange(ctx, r.ID, RecordedExchange{Time: time.Now(), Request: text, Answer: "a" + text}))
		}
		mustDo(t, s.RecordExchange(ctx, r.ID+1000, RecordedExchange{Time: time.Now(), Request: "x", Answer: "x"}))
		if got, err := tenant.Recording(ctx, r.ID); err != nil || got.Exchanges != 2 || got.Ends.After(time.Now()) {
			t.Errorf("a full one is %+v, %v", got, err)
		}
		first, err := tenant.RecordedExchanges(ctx, r.ID, 0, 1)
		if err != nil || len(first) != 1 || first[0].Request != "1" || first[0].Answer != "a1" {
			t.Fatalf("the first is %+v, %v", first, err)
		}
		if rest, err := tenant.RecordedExchanges(ctx, r.ID, first[0].ID, 10); err != nil || len(rest) != 1 || rest[0].Request != "2" {
			t.Errorf("the rest is %+v, %v", rest, err)
		}
		asked.Started = time.Now().Add(time.Millisecond)
		again, err := tenant.StartRecording(ctx, asked)
		mustDo(t, err)
		if got, err := tenant.StopRecording(ctx, again.ID); err != nil || got.Ends.After(time.Now()) {
			t.Errorf("stopped: %+v, %v", got, err)
		}
		if all, err := tenant.Recordings(ctx); err != nil || len(all) != 2 || all[0].ID != again.ID {
			t.Errorf("all are %+v, %v", all, err)
		}
		mustDo(t, tenant.DeleteRecording(ctx, r.ID))
		if left, err := tenant.RecordedExchanges(ctx, r.ID, 0, 10); err != nil || len(left) != 0 {
			t.Errorf("left are %v, %v", left, err)
		}
		mustDo(t, s.RemoveRecordings(ctx, time.Now().Add(time.Hour)))
		for name, err := range map[string]error{"Recording": errOfCall(tenant.Recording(ctx, again.ID)), "Stop": errOfCall(tenant.StopRecording(ctx, again.ID)), "Delete": tenant.DeleteRecording(ctx, r.ID)} {
			if !reasonIs(err, scim.NotFound) {
				t.Errorf("%s of one that is gone: %v", name, err)
			}
		}
	})
}

func errOfCall[T any](_ T, err error) error { return err }
