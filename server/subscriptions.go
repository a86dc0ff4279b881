package server

import (
	"context"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-scim/muster/events"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of a subscription.
const (
	maxFilterValues  = 100 // of each field
	maxFilterValue   = 200 // bytes
	maxReceivers     = 10
	maxAuthorization = 8 << 10
	maxLetterIDs     = 1000
)

// subscriptionService is muster.v1.SubscriptionService.
type subscriptionService struct {
	musterv1.UnimplementedSubscriptionServiceServer

	store  *store.Store
	tokens *events.Tokens
}

func (s *subscriptionService) CreateSubscription(ctx context.Context, req *musterv1.CreateSubscriptionRequest) (*musterv1.CreateSubscriptionResponse, error) {
	asked := req.GetSubscription()
	tenant, err := administered(ctx, s.store, asked.GetTenant())
	if err != nil {
		return nil, err
	}
	sub := store.Subscription{Name: asked.GetName(), Push: asked.GetPush() != nil}
	if asked.GetDelivery() == nil {
		return nil, scim.Errorf(scim.InvalidValue, "say how tokens are delivered: push or poll").At("delivery")
	}
	paths := []string{"push.endpoint", "push.authorization"}
	if !sub.Push {
		paths = []string{"poll.credential"}
	}
	if err := setSubscription(tenant, &sub, asked, append(paths, "filter", "detail", "audience", "paused")); err != nil {
		return nil, err
	}
	made, err := tenant.AddSubscription(ctx, sub, req.AfterPosition)
	if err != nil {
		return nil, err
	}
	out, err := describeSubscription(ctx, tenant, asked.GetTenant(), made)
	return &musterv1.CreateSubscriptionResponse{Subscription: out}, err
}

func (s *subscriptionService) GetSubscription(ctx context.Context, req *musterv1.GetSubscriptionRequest) (*musterv1.GetSubscriptionResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	sub, err := tenant.Subscription(ctx, req.GetSubscription())
	if err != nil {
		return nil, err
	}
	out, err := describeSubscription(ctx, tenant, req.GetTenant(), sub)
	return &musterv1.GetSubscriptionResponse{Subscription: out}, err
}

func (s *subscriptionService) ListSubscriptions(ctx context.Context, req *musterv1.ListSubscriptionsRequest) (*musterv1.ListSubscriptionsResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.Subscriptions(ctx)
	if err != nil {
		return nil, err
	}
	out := &musterv1.ListSubscriptionsResponse{}
	for _, sub := range all {
		one, err := describeSubscription(ctx, tenant, req.GetTenant(), sub)
		if err != nil {
			return nil, err
		}
		out.Subscriptions = append(out.Subscriptions, one)
	}
	return out, nil
}

func (s *subscriptionService) UpdateSubscription(ctx context.Context, req *musterv1.UpdateSubscriptionRequest) (*musterv1.UpdateSubscriptionResponse, error) {
	asked := req.GetSubscription()
	tenant, err := administered(ctx, s.store, asked.GetTenant())
	if err != nil {
		return nil, err
	}
	paths, err := maskedFields(asked, req.GetUpdateMask(), subscriptionFields)
	if err != nil {
		return nil, err
	}
	sub, err := tenant.UpdateSubscription(ctx, asked.GetName(), func(sub *store.Subscription) error {
		if asked.GetDelivery() != nil && sub.Push != (asked.GetPush() != nil) {
			return scim.Errorf(scim.Mutability, "how tokens are delivered never changes; make another subscription").At("delivery")
		}
		before := *sub
		if err := setSubscription(tenant, sub, asked, paths); err != nil {
			return err
		}
		// Nobody gets to see a receiver's secret by moving its endpoint to where he listens.
		if sub.Secret != "" && asked.GetPush().GetAuthorization() == "" && originOf(sub) != originOf(&before) {
			return scim.Errorf(scim.InvalidValue, "the endpoint is at another place; give the authorization for it too, or an empty one").At("push.authorization")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out, err := describeSubscription(ctx, tenant, asked.GetTenant(), sub)
	return &musterv1.UpdateSubscriptionResponse{Subscription: out}, err
}

func (s *subscriptionService) DeleteSubscription(ctx context.Context, req *musterv1.DeleteSubscriptionRequest) (*musterv1.DeleteSubscriptionResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	return &musterv1.DeleteSubscriptionResponse{}, tenant.DeleteSubscription(ctx, req.GetSubscription())
}

func (s *subscriptionService) ReplaySubscription(ctx context.Context, req *musterv1.ReplaySubscriptionRequest) (*musterv1.ReplaySubscriptionResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	sub, err := tenant.ReplaySubscription(ctx, req.GetSubscription(), req.AfterPosition)
	if err != nil {
		return nil, err
	}
	out, err := describeSubscription(ctx, tenant, req.GetTenant(), sub)
	return &musterv1.ReplaySubscriptionResponse{Subscription: out}, err
}

func (s *subscriptionService) ListDeadLetters(ctx context.Context, req *musterv1.ListDeadLettersRequest) (*musterv1.ListDeadLettersResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	sub, err := tenant.Subscription(ctx, req.GetSubscription())
	if err != nil {
		return nil, err
	}
	after := int64(0)
	if text := req.GetPageToken(); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil {
			return nil, scim.Errorf(scim.InvalidCursor, "page_token is not one that this method has given").At("pageToken")
		}
	}
	most := int(req.GetPageSize())
	if most <= 0 || most > store.MaxDeadLetters {
		most = store.MaxDeadLetters
	}
	letters, err := tenant.DeadLetters(ctx, sub.ID, after, most)
	out := &musterv1.ListDeadLettersResponse{}
	for i := range letters {
		out.DeadLetters = append(out.DeadLetters, letterMessage(&letters[i]))
	}
	if len(letters) == most {
		out.NextPageToken = strconv.FormatInt(letters[most-1].ID, 10)
	}
	return out, err
}

func (s *subscriptionService) RetryDeadLetters(ctx context.Context, req *musterv1.RetryDeadLettersRequest) (*musterv1.RetryDeadLettersResponse, error) {
	n, err := s.changeLetters(ctx, req, store.Tenant.RetryDeadLetters)
	return &musterv1.RetryDeadLettersResponse{DeadLetters: n}, err
}

func (s *subscriptionService) DiscardDeadLetters(ctx context.Context, req *musterv1.DiscardDeadLettersRequest) (*musterv1.DiscardDeadLettersResponse, error) {
	n, err := s.changeLetters(ctx, req, store.Tenant.DiscardDeadLetters)
	return &musterv1.DiscardDeadLettersResponse{DeadLetters: n}, err
}

// changeLetters does something to the dead letters that a request names.
func (s *subscriptionService) changeLetters(ctx context.Context, req interface {
	GetTenant() string
	GetSubscription() string
	GetIds() []string
}, do func(store.Tenant, context.Context, string, []int64) (int, error),
) (int32, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return 0, err
	}
	if len(req.GetIds()) > maxLetterIDs {
		return 0, scim.Errorf(scim.InvalidValue, "at most %d ids at once; without any, all are meant", maxLetterIDs).At("ids")
	}
	ids, err := store.ParseLetterIDs(req.GetIds())
	if err != nil {
		return 0, err
	}
	n, err := do(tenant, ctx, req.GetSubscription(), ids)
	return int32(min(n, math.MaxInt32)), err //nolint:gosec // in range
}

func (s *subscriptionService) RotateSigningKey(ctx context.Context, req *musterv1.RotateSigningKeyRequest) (*musterv1.RotateSigningKeyResponse, error) {
	if !administersAll(ctx) {
		return nil, scim.Errorf(scim.Forbidden, "only a credential of the tenant %s rotates the key, which signs for all tenants", DefaultTenant)
	}
	id, err := s.tokens.Rotate(ctx, req.GetRemoveOld())
	return &musterv1.RotateSigningKeyResponse{KeyId: id}, err
}

// subscriptionFields are what can be set of a subscription.
var subscriptionFields = fields{
	setByServer: []string{"tenant", "name", "state", "failure", "position", "lag", "oldest_pending_time", "dead_letters", "last_success_time",
		"last_error_time", "last_error", "last_poll_time", "create_time", "push.has_authorization"},
	settable: []string{"push", "push.endpoint", "push.authorization", "poll", "poll.credential", "filter", "detail", "audience", "paused"},
}

// setSubscription sets fields of a subscription to what the message has, and checks
// what comes of it.
func setSubscription(tenant store.Tenant, sub *store.Subscription, from *musterv1.Subscription, paths []string) error {
	set := &sub.Settings
	for _, path := range paths {
		switch path {
		case "push": // an authorization that is not given stays: it cannot be read to be sent back
			set.Endpoint = from.GetPush().GetEndpoint()
			if from.GetPush().GetAuthorization() != "" {
				sub.Secret = from.GetPush().GetAuthorization()
			}
		case "push.endpoint":
			set.Endpoint = from.GetPush().GetEndpoint()
		case "push.authorization":
			sub.Secret = from.GetPush().GetAuthorization()
		case "poll", "poll.credential":
			set.Credential = from.GetPoll().GetCredential()
		case "filter":
			set.Filter = store.ChangeFilter{Types: from.GetFilter().GetResourceTypes(), Attributes: from.GetFilter().GetAttributes(), Groups: from.GetFilter().GetGroups()}
		case "detail":
			if _, known := musterv1.Subscription_Detail_name[int32(from.GetDetail())]; !known {
				return unknownValue(path)
			}
			set.Full = from.GetDetail() == musterv1.Subscription_DETAIL_FULL
		case "audience":
			set.Audience = from.GetAudience()
		case "paused":
			sub.Paused = from.GetPaused()
		}
	}
	return checkSubscription(tenant, sub)
}

// originOf is the scheme, host and port of the endpoint of a subscription.
func originOf(sub *store.Subscription) string {
	u, err := url.Parse(sub.Settings.Endpoint)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// checkSubscription refuses what cannot work.
func checkSubscription(tenant store.Tenant, sub *store.Subscription) error {
	set := &sub.Settings
	if sub.Push {
		u, ok := parseSecure(set.Endpoint)
		if !ok || u.User != nil || strings.Contains(set.Endpoint, "#") {
			return scim.Errorf(scim.InvalidValue, "the endpoint is not an absolute https URL, or http of a loopback address, without a fragment, user or password").At("push.endpoint")
		}
	}
	if len(sub.Secret) > maxAuthorization || strings.ContainsFunc(sub.Secret, func(r rune) bool { return r < ' ' || r > '~' }) {
		return scim.Errorf(scim.InvalidValue, "the authorization is the value of a header: at most %d visible ASCII characters", maxAuthorization).At("push.authorization")
	}
	if len(set.Audience) > maxReceivers || slices.ContainsFunc(set.Audience, func(s string) bool { return s == "" || len(s) > maxURI }) {
		return scim.Errorf(scim.InvalidValue, "there are at most %d audiences, none of them empty or longer than %d bytes", maxReceivers, maxURI).At("audience")
	}
	for _, list := range [][]string{set.Filter.Types, set.Filter.Attributes, set.Filter.Groups} {
		if len(list) > maxFilterValues || slices.ContainsFunc(list, func(s string) bool { return s == "" || len(s) > maxFilterValue }) {
			return scim.Errorf(scim.InvalidValue, "a filter has at most %d values of each kind, none of them empty or longer than %d bytes", maxFilterValues, maxFilterValue).At("filter")
		}
	}
	for _, name := range set.Filter.Types {
		if tenant.Catalog().ResourceType(name) == nil {
			return scim.Errorf(scim.InvalidValue, "there is no resource type %.80q", name).At("filter.resourceTypes")
		}
	}
	return nil
}

// describeSubscription is what the contract makes of a subscription, with how far it is.
func describeSubscription(ctx context.Context, tenant store.Tenant, asked string, sub store.Subscription) (*musterv1.Subscription, error) {
	lag, oldest, err := tenant.Lag(ctx, sub.Position)
	if err != nil {
		return nil, err
	}
	letters, err := tenant.CountDeadLetters(ctx)
	if err != nil {
		return nil, err
	}
	name := nameOfTenant(ctx, asked)
	m := &musterv1.Subscription{
		Tenant: name, Name: sub.Name, Detail: musterv1.Subscription_DETAIL_NOTICE, Audience: events.Audience(name, &sub), Paused: sub.Paused,
		State: musterv1.Subscription_STATE_ACTIVE, Failure: sub.Failure, Position: sub.Position, Lag: lag,
		DeadLetters: int32(min(letters[sub.ID], math.MaxInt32)), LastError: sub.LastError, CreateTime: timestamppb.New(sub.Created), //nolint:gosec // in range
	}
	set := &sub.Settings
	m.Filter = &musterv1.ChangeFilter{ResourceTypes: set.Filter.Types, Attributes: set.Filter.Attributes, Groups: set.Filter.Groups}
	if set.Full {
		m.Detail = musterv1.Subscription_DETAIL_FULL
	}
	switch {
	case sub.Failure != "":
		m.State = musterv1.Subscription_STATE_FAILED
	case sub.Paused:
		m.State = musterv1.Subscription_STATE_PAUSED
	}
	if sub.Push {
		m.Delivery = &musterv1.Subscription_Push{Push: &musterv1.PushDelivery{Endpoint: set.Endpoint, HasAuthorization: sub.Secret != ""}}
	} else {
		m.Delivery = &musterv1.Subscription_Poll{Poll: &musterv1.PollDelivery{Credential: set.Credential}}
	}
	m.OldestPendingTime, m.LastSuccessTime = timeOrNil(oldest), timeOrNil(sub.LastSuccess)
	m.LastErrorTime, m.LastPollTime = timeOrNil(sub.LastErrorTime), timeOrNil(sub.LastPoll)
	return m, nil
}

// letterMessage is what the contract makes of a dead letter.
func letterMessage(l *store.DeadLetter) *musterv1.DeadLetter {
	return &musterv1.DeadLetter{
		Id: strconv.FormatInt(l.ID, 10), Position: l.Position, ResourceType: l.ResourceType, ResourceId: l.ResourceID, Events: events.Names(l), Reason: l.Reason,
		Attempts: int32(min(l.Attempts, math.MaxInt32)), ChangeTime: timestamppb.New(l.Changed), DeathTime: timestamppb.New(l.Died), Retrying: l.Retrying, //nolint:gosec // in range
	}
}
