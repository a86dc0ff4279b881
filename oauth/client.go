package oauth

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// grants is what the library calls.
type grants struct {
	op.UnimplementedServer
	*Server
}

// VerifyClient finds the client of a request to the token or the revocation
// endpoint, which must prove itself: there are no public clients.
func (g *grants) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	x := exchangeOf(ctx)
	p, err := g.attempt(x, secretOf(r.Data), func() (store.Principal, error) { return g.prove(ctx, x, r.Data) })
	x.noteRefusal(err)
	if err != nil {
		x.tellRetryAfter(err)
		return nil, clientError(err)
	}
	x.isOf(p)
	return &client{p}, nil
}

// noteRefusal keeps the reason for the audit log, if it is one.
func (x *exchange) noteRefusal(err error) {
	if e, ours := errors.AsType[*scim.Error](err); ours {
		x.refused = e
	}
}

// secretOf is what a client shows again and again: "" for an assertion.
func secretOf(shown *op.ClientCredentials) string {
	if shown.ClientSecret == "" {
		return ""
	}
	return shown.ClientID + " " + shown.ClientSecret
}

// attempt proves who somebody is by what is shown, unless the address has failed too
// often. Whoever it is must be allowed to come from there, and not too often.
func (s *Server) attempt(x *exchange, shown string, prove func() (store.Principal, error)) (store.Principal, error) {
	if s.opts.Throttle != nil {
		if err := s.opts.Throttle.Allow(x.address, shown); err != nil {
			return store.Principal{}, err
		}
	}
	p, err := prove()
	if err == nil && !p.Credential.AllowsAddress(x.address) {
		err = scim.Errorf(scim.Forbidden, "the credential may not be used from this address")
	}
	if s.opts.Throttle != nil {
		switch {
		case err == nil:
			s.opts.Throttle.Worked(x.address, shown)
		case scim.ReasonOf(err) == scim.Unauthenticated:
			s.opts.Throttle.Failed(x.address, shown)
		}
	}
	if err == nil && s.opts.Admit != nil {
		err = s.opts.Admit(&p)
	}
	return p, err
}

// prove finds the client whose secret or assertion this is.
func (g *grants) prove(ctx context.Context, x *exchange, shown *op.ClientCredentials) (store.Principal, error) {
	switch {
	case shown.ClientAssertion != "":
		return g.proveByAssertion(ctx, x.issuer, shown)
	case shown.ClientSecret != "":
		return g.store.AuthenticateClient(ctx, shown.ClientID, server.HashToken(shown.ClientSecret))
	}
	return store.Principal{}, scim.Errorf(scim.Unauthenticated, "the client must prove itself: with its secret, or with an assertion")
}

// clientError is an error of a client that is not let in, or of the store, as RFC
// 6749 section 5.2 has it.
func clientError(err error) error {
	e, ours := errors.AsType[*scim.Error](err)
	switch {
	case !ours:
		return oidc.ErrServerError().WithParent(err).WithDescription("an internal error; the server's log has its cause")
	case e.Reason == scim.Unavailable:
		return op.NewStatusError(oidc.ErrServerError().WithDescription("%s", e.Detail), http.StatusServiceUnavailable)
	case e.Reason == scim.RateLimited:
		return op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("%s", e.Detail), http.StatusTooManyRequests)
	}
	return op.NewStatusError(oidc.ErrInvalidClient().WithDescription("%s", e.Detail), http.StatusUnauthorized)
}

// client is a client as the library asks for it.
type client struct{ store.Principal }

func (c *client) GetID() string          { return c.Credential.ClientID() }
func (c *client) RedirectURIs() []string { return c.Credential.Settings.RedirectURIs }

// ApplicationType: it keeps a secret.
func (c *client) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }

func (c *client) AuthMethod() oidc.AuthMethod {
	if c.Credential.Settings.JWKS != "" {
		return oidc.AuthMethodPrivateKeyJWT
	}
	return oidc.AuthMethodBasic
}

func (c *client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}

// GrantTypes: an authorization needs somewhere to answer to.
func (c *client) GrantTypes() []oidc.GrantType {
	types := []oidc.GrantType{oidc.GrantTypeClientCredentials}
	if len(c.RedirectURIs()) > 0 {
		types = append(types, oidc.GrantTypeCode, oidc.GrantTypeRefreshToken)
	}
	return types
}

func (c *client) IsScopeAllowed(scope string) bool {
	return server.ScopeWithin(scope, c.Credential.Scopes)
}

// What follows is of OpenID Connect, and asked by nobody here.

func (*client) PostLogoutRedirectURIs() []string                                { return nil }
func (*client) LoginURL(string) string                                          { return "" }
func (*client) AccessTokenType() op.AccessTokenType                             { return op.AccessTokenTypeBearer }
func (*client) IDTokenLifetime() time.Duration                                  { return 0 }
func (*client) DevMode() bool                                                   { return false }
func (*client) RestrictAdditionalIdTokenScopes() func(scopes []string) []string { return nil } //nolint:revive // the library's name
func (*client) IDTokenUserinfoClaimsAssertion() bool                            { return false }
func (*client) ClockSkew() time.Duration                                        { return 0 }

func (*client) RestrictAdditionalAccessTokenScopes() func(scopes []string) []string { return nil }
