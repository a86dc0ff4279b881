package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// grantScopes are the scopes that a client gets which asks for some: never more than
// it has. Who asks for none gets what it has, but for administration; that has to be
// asked for by name.
func grantScopes(asked, has []string) ([]string, error) {
	asked = slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return s == "" })
	if len(asked) == 0 {
		asked = slices.DeleteFunc(slices.Clone(has), func(s string) bool { return strings.HasPrefix(s, server.ScopeAdmin) })
		if len(asked) == 0 {
			return nil, oidc.ErrInvalidScope().WithDescription("the client has no scope but for administration, which must be asked for by name")
		}
	}
	for _, s := range asked {
		if server.CheckScopes([]string{s}) != nil { // not repeated: it may be a secret in the wrong place
			return nil, oidc.ErrInvalidScope().WithDescription("what is asked for is no scope; scopes are separated by blanks")
		}
		if !server.ScopeWithin(s, has) {
			return nil, oidc.ErrInvalidScope().WithDescription("the client does not have the scope %.80q", s)
		}
	}
	return asked, nil
}

// issue makes a token, and what is kept of it.
func (c *client) issue(purpose store.Purpose, mark string, lifetime time.Duration, scopes []string) (string, store.Token) {
	token := server.NewMarkedToken(mark)
	expires := time.Now().Add(lifetime)
	if end := c.Credential.Expires; !end.IsZero() && end.Before(expires) {
		expires = end
	}
	return token, store.Token{Purpose: purpose, Hash: server.HashToken(token), Scopes: scopes, Expires: expires}
}

func (c *client) issueAccess(scopes []string) (string, store.Token) {
	return c.issue(store.AccessToken, "at", AccessLifetime, scopes)
}

// answer is the answer of the token endpoint (RFC 6749 section 5.1).
func answer(access string, kept store.Token, refresh string) *op.Response {
	return op.NewResponse(&oidc.AccessTokenResponse{
		AccessToken: access, TokenType: oidc.BearerToken, RefreshToken: refresh,
		ExpiresIn: uint64(max(time.Until(kept.Expires).Round(time.Second)/time.Second, 0)),
		Scope:     kept.Scopes,
	})
}

// ClientCredentialsExchange issues an access token (RFC 6749 section 4.4). There is
// no refresh token: the client can come again.
func (g *grants) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	c := clientOf(r.Client)
	scopes, err := grantScopes(r.Data.Scope, c.Credential.Scopes)
	if err != nil {
		return nil, err
	}
	token, kept := c.issueAccess(scopes)
	if err := g.store.IssueToken(ctx, c.ID, kept); err != nil {
		return nil, clientError(err)
	}
	return answer(token, kept, ""), nil
}

// clientOf is the client as VerifyClient made it.
func clientOf(c op.Client) *client { return c.(*client) } //nolint:forcetypeassert // no one else makes them

// codeDetail is what a code remembers of its authorization. The challenge is a hash.
type codeDetail struct {
	RedirectURI string `json:"redirectUri"`
	Challenge   string `json:"challenge"`
	ApprovedBy  string `json:"approvedBy"` // the administrator's credential
}

// CodeExchange issues tokens for a code (RFC 6749 section 4.1.3, RFC 7636 section
// 4.6).
func (g *grants) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	return g.exchange(ctx, clientOf(r.Client), store.AuthorizationCode, r.Data.Code, nil, func(code store.Token) error {
		var detail codeDetail
		if err := json.Unmarshal([]byte(code.Detail), &detail); err != nil {
			return err
		}
		if r.Data.RedirectURI != detail.RedirectURI {
			return oidc.ErrInvalidGrant().WithDescription("redirect_uri is not that of the authorization")
		}
		challenge := &oidc.CodeChallenge{Challenge: detail.Challenge, Method: oidc.CodeChallengeMethodS256}
		if !oidc.VerifyCodeChallenge(challenge, r.Data.CodeVerifier) {
			return oidc.ErrInvalidGrant().WithDescription("code_verifier does not belong to the code")
		}
		return nil
	})
}

// RefreshToken issues tokens for a refresh token, which is spent (RFC 6749 section
// 6, RFC 9700 section 4.14).
func (g *grants) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	return g.exchange(ctx, clientOf(r.Client), store.RefreshToken, r.Data.RefreshToken, r.Data.Scopes, func(store.Token) error { return nil })
}

// exchange spends a code or a refresh token for an access token, which may be asked
// for with fewer scopes, and a refresh token with the same.
func (g *grants) exchange(ctx context.Context, c *client, purpose store.Purpose, token string, asked []string, check func(store.Token) error) (*op.Response, error) {
	var access, refresh string
	var kept store.Token
	err := g.store.ExchangeToken(ctx, c.ID, purpose, server.HashToken(token), func(spent store.Token) ([]store.Token, error) {
		if err := check(spent); err != nil {
			return nil, err
		}
		// What the client lost since the authorization, the authorization lost too.
		granted := slices.DeleteFunc(spent.Scopes, func(s string) bool { return !server.ScopeWithin(s, c.Credential.Scopes) })
		if len(granted) == 0 {
			return nil, oidc.ErrInvalidGrant().WithDescription("the client no longer has the scopes of the authorization")
		}
		scopes := granted
		if len(asked) > 0 {
			var err error
			if scopes, err = grantScopes(asked, granted); err != nil {
				return nil, err
			}
		}
		var next store.Token
		access, kept = c.issueAccess(scopes)
		refresh, next = c.issue(store.RefreshToken, "rt", RefreshLifetime, granted)
		return []store.Token{kept, next}, nil
	})
	if err != nil {
		exchangeOf(ctx).noteRefusal(err)
		return nil, grantError(err)
	}
	return answer(access, kept, refresh), nil
}

// grantError is why a code or a refresh token is not taken.
func grantError(err error) error {
	if _, known := errors.AsType[*oidc.Error](err); known {
		return err
	}
	if e, ours := errors.AsType[*scim.Error](err); ours && e.Reason == scim.Unauthenticated {
		return oidc.ErrInvalidGrant().WithDescription("%s", e.Detail)
	}
	return clientError(err)
}

// Revocation ends a token of the client (RFC 7009).
func (g *grants) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	if err := g.store.RevokeToken(ctx, clientOf(r.Client).ID, server.HashToken(r.Data.Token)); err != nil {
		return nil, clientError(err)
	}
	return op.NewResponse(nil), nil
}
