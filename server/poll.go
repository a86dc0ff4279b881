package server

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/muster-scim/muster/events"
	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
)

// eventService is muster.v1.EventService.
type eventService struct {
	musterv1.UnimplementedEventServiceServer

	server *Server
}

func (s *eventService) ListSigningKeys(ctx context.Context, _ *musterv1.ListSigningKeysRequest) (*musterv1.ListSigningKeysResponse, error) {
	keys, err := s.server.tokens.Published(ctx)
	return &musterv1.ListSigningKeysResponse{Keys: keys}, err
}

// PollEvents answers as soon as there are tokens, or the time is over.
func (s *eventService) PollEvents(ctx context.Context, req *musterv1.PollEventsRequest) (*musterv1.PollEventsResponse, error) {
	if err := s.mayPoll(ctx, req.GetSubscription()); err != nil {
		return nil, err
	}
	p := events.Poll{Most: events.MaxPolled, Acks: req.GetAck(), Errors: make(map[string]string, len(req.GetSetErrs()))}
	if req.MaxEvents != nil {
		p.Most = min(max(int(req.GetMaxEvents()), 0), events.MaxPolled)
	}
	for id, e := range req.GetSetErrs() {
		p.Errors[id] = rejection(e)
	}
	defer s.server.store.FollowChanges()() //nolint:contextcheck // who looks does so for others, too
	over := time.NewTimer(events.LongPoll)
	defer over.Stop()
	for {
		grown := s.server.store.Grown()
		if err := s.server.store.SequenceChanges(ctx); err != nil {
			return nil, err
		}
		got, err := s.server.tokens.Poll(ctx, tenantOf(ctx), principalOf(ctx).TenantName, req.GetSubscription(), p)
		if err != nil {
			return nil, err
		}
		out := &musterv1.PollEventsResponse{Sets: got.Tokens, MoreAvailable: got.More}
		if len(got.Tokens) > 0 || req.GetReturnImmediately() || p.Most == 0 {
			return out, nil
		}
		p.Acks, p.Errors = nil, nil
		select {
		case <-grown:
		case <-over.C:
			return out, nil
		case <-s.server.stopping:
			return out, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		// Who was let in when the call began may not be by now.
		if err := s.server.identify(ctx, callOf(ctx)); err != nil {
			return nil, err
		}
		if err := s.mayPoll(ctx, req.GetSubscription()); err != nil {
			return nil, err
		}
	}
}

// mayPoll fails where the caller may not fetch the tokens of a subscription.
func (s *eventService) mayPoll(ctx context.Context, name string) error {
	c := callOf(ctx)
	if c.principal.Credential.Preview {
		return scim.Errorf(scim.Forbidden, "preview credentials cannot poll: what they acknowledge would be kept")
	}
	sub, err := tenantOf(ctx).Subscription(ctx, name)
	if err != nil {
		return err
	}
	if only := sub.Settings.Credential; only != "" && only != c.principal.Credential.Name {
		return scim.Errorf(scim.Forbidden, "the tokens of %s are for another credential", name)
	}
	for _, t := range events.Types(tenantOf(ctx), sub.Settings.Filter) {
		if err := c.permit(c.method, t); err != nil {
			return err
		}
	}
	return nil
}

// maxRejection is how long the reason of a dead letter may be, in bytes.
const maxRejection = 500

// rejection is why a receiver did not accept a token.
func rejection(e *musterv1.EventError) string {
	text := strings.TrimSpace(e.GetErr() + ": " + e.GetDescription())
	return strings.ToValidUTF8(text[:min(len(text), maxRejection)], "")
}

// timeOrNil is a time of the contract; nil: never.
func timeOrNil(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
