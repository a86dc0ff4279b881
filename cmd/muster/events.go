package main

import (
	"context"
	"errors"
	"time"

	"github.com/muster-scim/muster/events"
	"github.com/muster-scim/muster/oauth"
)

// eventSettings are about security event tokens.
var eventSettings = []setting{
	{"events-private", "false", "send events to receivers at private addresses and on this machine, too", func(c *config) *bool { return &c.Events.Private }},
	{"events-timeout", "10s", "how long a receiver of events may take to answer", func(c *config) *time.Duration { return &c.Events.Timeout }},
	{"events-attempts", "20", "how often an event is sent before it is a dead letter, while the receiver accepts others", integer{func(c *config) *int { return &c.Events.Attempts }, 1, 1e6}},
	{"events-max-age", "72h0m0s", "how long an event is tried before it is a dead letter in any case", func(c *config) *time.Duration { return &c.Events.MaxAge }},
}

// checkEvents refuses settings that cannot work.
func (c *config) checkEvents() error {
	if c.Events.Timeout <= 0 || c.Events.Timeout > time.Minute || c.Events.MaxAge <= 0 {
		return errors.New("events-timeout is more than nothing and at most 1m, and events-max-age more than nothing")
	}
	return nil
}

// base is the address that the program tells an administrator.
func (p *program) base(c config) string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	return p.scheme() + "://" + p.http.Addr().String() + "/scim/v2"
}

// tokensOf makes the signer of events. Their issuer is that of OAuth.
func (p *program) tokensOf(c config) *events.Tokens {
	return events.NewTokens(p.store, oauth.IssuerOf(p.base(c)), p.base(c))
}

// deliveryOf makes what sends events.
func (p *program) deliveryOf(c config, tokens *events.Tokens) *events.Delivery {
	o := c.Events
	o.Log = p.log
	return events.NewDelivery(p.store, tokens, o)
}

// removeSigningKeys removes the keys that sign no more and of which no token can be under
// way.
func (p *program) removeSigningKeys(ctx context.Context) error {
	return p.store.RemoveSigningKeys(ctx, time.Now().Add(-events.Kept))
}
