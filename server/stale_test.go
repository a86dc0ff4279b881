package server

import (
	"context"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// The audit log does not say of a group that it was deleted where it was left alone, or
// where somebody only looked at what a clean-up would do.
func TestDeleteStale_TellsWhatItDidNot(t *testing.T) {
	s, _ := newServer(t)
	tenant, err := s.store.Tenant(t.Context(), DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	c := &call{method: musterv1.ActivityService_DeleteStaleGroups_FullMethodName, principal: store.Principal{Tenant: tenant}}
	deleted, err := deleteStale(context.WithValue(t.Context(), callKey{}, c), tenant, []store.StaleGroup{{ID: "deleted meanwhile"}})
	if err != nil || len(deleted) > 0 || !strings.HasPrefix(c.act.Detail, "nothing was deleted") {
		t.Errorf("%v, %v, and the log says %q", deleted, err, c.act.Detail)
	}

	admin := withCredential(t, s, store.Credential{Name: "ops", Scopes: []string{ScopeAdmin}})
	if _, err := musterv1.NewActivityServiceClient(s.Conn()).DeleteStaleGroups(admin, &musterv1.DeleteStaleGroupsRequest{Days: 30, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	_, events := audited(t, s, tenant.ID())
	if len(events) != 1 || !strings.HasPrefix(events[0].Detail, "a dry run") {
		t.Errorf("the events are %+v", events)
	}
}
