package server

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/store"
)

// administers is a context of a credential that administers.
func administers(t *testing.T, s *Server) context.Context {
	t.Helper()
	return withCredential(t, s, store.Credential{Name: "ops", Kind: store.Bearer, Scopes: []string{ScopeAdmin}})
}

func pushed(name, endpoint, authorization string) *musterv1.Subscription {
	return &musterv1.Subscription{Name: name, Delivery: &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{Endpoint: endpoint, Authorization: authorization}}}
}

// A subscription is made, changed field by field, and shown without the secret.
func TestSubscriptions_Administered(t *testing.T) {
	s, _ := newServer(t)
	ctx, c := administers(t, s), musterv1.NewSubscriptionServiceClient(s.Conn())
	show := func(m proto.Message, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if text := protojson.Format(m); strings.Contains(text, "hidden") {
			t.Errorf("the authorization is shown: %s", text)
		}
	}
	made, err := c.CreateSubscription(ctx, &musterv1.CreateSubscriptionRequest{Subscription: pushed("hr", "https://hr.example.com/set", "Bearer hidden")})
	show(made, err)
	if got := made.GetSubscription(); !got.GetPush().GetHasAuthorization() || got.GetTenant() != "default" || got.GetState() != musterv1.Subscription_STATE_ACTIVE || got.GetAudience()[0] != "https://hr.example.com/set" {
		t.Errorf("made %v", got)
	}
	changed, err := c.UpdateSubscription(ctx, &musterv1.UpdateSubscriptionRequest{
		Subscription: &musterv1.Subscription{Name: "hr", Paused: true, Detail: musterv1.Subscription_DETAIL_FULL, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"User"}}},
	})
	show(changed, err)
	got := changed.GetSubscription()
	if got.GetState() != musterv1.Subscription_STATE_PAUSED || got.GetDetail() != musterv1.Subscription_DETAIL_FULL || !got.GetPush().GetHasAuthorization() || got.GetFilter().GetResourceTypes()[0] != "User" {
		t.Errorf("changed to %v", got)
	}
	resumed, err := c.UpdateSubscription(ctx, &musterv1.UpdateSubscriptionRequest{
		Subscription: &musterv1.Subscription{Name: "hr", Delivery: &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{}}},
		UpdateMask:   &fieldmaskpb.FieldMask{Paths: []string{"paused", "push.authorization"}},
	})
	show(resumed, err)
	if got := resumed.GetSubscription(); got.GetPaused() || got.GetPush().GetHasAuthorization() || got.GetPush().GetEndpoint() == "" {
		t.Errorf("resumed, without authorization: %v", got)
	}
	list, err := c.ListSubscriptions(ctx, &musterv1.ListSubscriptionsRequest{})
	show(list, err)
	if len(list.GetSubscriptions()) != 1 {
		t.Errorf("there are %v", list)
	}
	if _, err := c.DeleteSubscription(ctx, &musterv1.DeleteSubscriptionRequest{Subscription: "hr"}); err != nil {
		t.Error(err)
	}
	if _, err := c.GetSubscription(ctx, &musterv1.GetSubscriptionRequest{Subscription: "hr"}); status.Code(err) != codes.NotFound {
		t.Errorf("deleted: %v", err)
	}
}

// What cannot work is refused.
func TestSubscriptions_Refused(t *testing.T) {
	s, _ := newServer(t)
	ctx, c := administers(t, s), musterv1.NewSubscriptionServiceClient(s.Conn())
	for what, sub := range map[string]*musterv1.Subscription{
		"no delivery":            {Name: "a"},
		"plain HTTP":             pushed("a", "http://hr.example.com/", ""),
		"a password in the URL":  pushed("a", "https://me:secret@hr.example.com/", ""),
		"a fragment":             pushed("a", "https://hr.example.com/#x", ""),
		"no URL":                 pushed("a", "hr", ""),
		"two headers":            pushed("a", "https://hr.example.com/", "Bearer x\r\nX: y"),
		"a long header":          pushed("a", "https://hr.example.com/", strings.Repeat("x", maxAuthorization+1)),
		"no name":                pushed("a b", "https://hr.example.com/", ""),
		"an unknown type":        {Name: "a", Delivery: &musterv1.Subscription_Poll{}, Filter: &musterv1.ChangeFilter{ResourceTypes: []string{"Thing"}}},
		"an empty audience":      {Name: "a", Delivery: &musterv1.Subscription_Poll{}, Audience: []string{""}},
		"an unknown detail":      {Name: "a", Delivery: &musterv1.Subscription_Poll{}, Detail: 9},
		"very many groups":       {Name: "a", Delivery: &musterv1.Subscription_Poll{}, Filter: &musterv1.ChangeFilter{Groups: make([]string, maxFilterValues+1)}},
		"no tenant of that name": {Name: "a", Tenant: "nobody", Delivery: &musterv1.Subscription_Poll{}},
	} {
		_, err := c.CreateSubscription(ctx, &musterv1.CreateSubscriptionRequest{Subscription: sub})
		if code := status.Code(err); code != codes.InvalidArgument && code != codes.NotFound {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := c.CreateSubscription(ctx, &musterv1.CreateSubscriptionRequest{Subscription: pushed("hr", "https://hr.example.com/", "")}); err != nil {
		t.Fatal(err)
	}
	_, err := c.UpdateSubscription(ctx, &musterv1.UpdateSubscriptionRequest{Subscription: &musterv1.Subscription{Name: "hr", Delivery: &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{}}}})
	if status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another delivery: %v", err)
	}
	for _, ids := range [][]string{{"x"}, {"-1"}, make([]string, maxLetterIDs+1)} {
		if _, err := c.RetryDeadLetters(ctx, &musterv1.RetryDeadLettersRequest{Subscription: "hr", Ids: ids}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%d ids: %v", len(ids), err)
		}
	}
}

// An authorization stays with the place it was given for: who moves the endpoint to
// another one gives it anew, or takes it away.
func TestSubscriptions_AuthorizationStaysWithItsPlace(t *testing.T) {
	s, _ := newServer(t)
	ctx, c := administers(t, s), musterv1.NewSubscriptionServiceClient(s.Conn())
	if _, err := c.CreateSubscription(ctx, &musterv1.CreateSubscriptionRequest{Subscription: pushed("hr", "https://hr.example.com/set", "Bearer hidden")}); err != nil {
		t.Fatal(err)
	}
	move := func(endpoint, authorization string, mask ...string) (*musterv1.UpdateSubscriptionResponse, error) {
		return c.UpdateSubscription(ctx, &musterv1.UpdateSubscriptionRequest{Subscription: pushed("hr", endpoint, authorization), UpdateMask: &fieldmaskpb.FieldMask{Paths: mask}})
	}
	for _, mask := range []string{"push", "push.endpoint"} {
		if _, err := move("https://evil.example.com/set", "", mask); status.Code(err) != codes.InvalidArgument {
			t.Errorf("moved with its authorization by %s: %v", mask, err)
		}
	}
	if _, err := move("http://127.0.0.1:9/set", "", "push.endpoint"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("moved to another scheme: %v", err)
	}
	if got, err := move("https://hr.example.com/other", "", "push.endpoint"); err != nil || !got.GetSubscription().GetPush().GetHasAuthorization() {
		t.Errorf("another path of the same place: %v, %v", got, err)
	}
	if got, err := move("https://new.example.com/set", "Bearer other", "push.endpoint", "push.authorization"); err != nil || !got.GetSubscription().GetPush().GetHasAuthorization() {
		t.Errorf("with another authorization: %v, %v", got, err)
	}
	if got, err := move("https://third.example.com/set", "", "push.endpoint", "push.authorization"); err != nil || got.GetSubscription().GetPush().GetHasAuthorization() {
		t.Errorf("without any: %v, %v", got, err)
	}
	lines, events := audited(t, s, firstTenant(t, s))
	if n := len(lines); n < 3 || !strings.Contains(events[n-2].Changes, `"secret":{}`) || !strings.Contains(events[n-2].Changes, "new.example.com") || strings.Contains(events[n-2].Changes, "Bearer") {
		t.Errorf("the move is recorded as %v", events)
	}
}
