package server

import (
	"errors"
	"strings"
	"time"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// A cause is why somebody was not let in, as far as the server knows. Operators see it;
// the client is told no more than that it is not let in. It is a word of the contract,
// without its prefix and in small letters.
type cause string

const (
	causeNoCredential  cause = "no_credential" //nolint:gosec // a word, not a secret
	causeMalformed     cause = "malformed"
	causeUnknownSecret cause = "unknown_secret"
	causeRevoked       cause = "revoked"
	causeRotated       cause = "rotated"
	causeExpired       cause = "expired"
	causeWrongScheme   cause = "wrong_scheme"
	causeWrongLogin    cause = "wrong_login"
	causeOutsideToken  cause = "outside_token"
	causeWrongAddress  cause = "wrong_address"
	causeWrongTenant   cause = "wrong_tenant"
	causeSuspended     cause = "suspended"
	causeLacksScope    cause = "lacks_scope"
	causeThrottled     cause = "throttled"
	causePreview       cause = "preview"
)

// message is what the contract makes of a cause.
func (c cause) message() musterv1.LoggedExchange_Cause {
	return musterv1.LoggedExchange_Cause(musterv1.LoggedExchange_Cause_value["CAUSE_"+strings.ToUpper(string(c))])
}

// causeOfHeader is that of an Authorization header that cannot be read.
func causeOfHeader(header string) cause {
	if strings.TrimSpace(header) == "" {
		return causeNoCredential
	}
	return causeMalformed
}

// causeOfRefusal is that of a secret or a token that is not accepted, and more of it
// where there is more to say; p is whose it is, if that is known.
func causeOfRefusal(p *store.Principal, err error) (of cause, why string) {
	outside, isOutside := errors.AsType[*outsideError](err)
	switch reason := scim.ReasonOf(err); {
	case err == nil:
		return "", ""
	case isOutside:
		return causeOutsideToken, outside.cause
	case reason == scim.Forbidden:
		return causeSuspended, ""
	case reason != scim.Unauthenticated:
		return "", "" // nobody's fault but ours
	case p.ID == 0:
		return causeUnknownSecret, ""
	}
	// A secret ends before its credential where another has taken its place; an access
	// token ends by itself.
	if ends := p.Credential.Expires; p.Credential.HasSecret() && p.Credential.Kind != store.OAuth && (ends.IsZero() || ends.After(time.Now())) {
		return causeRotated, ""
	}
	return causeExpired, ""
}

// mistake is what was wrong about how a secret was shown that is right.
func (s shown) mistake(c *store.Credential) (of cause, why string) {
	if s.scheme == basicScheme && c.Kind == store.Basic {
		return causeWrongLogin, ""
	}
	sent := map[scheme]string{bearerScheme: "as a bearer token", basicScheme: "as the password of Basic", directScheme: "without the word Bearer"}[s.scheme] //nolint:gosec // no secret
	return causeWrongScheme, "it was sent " + sent + ", and the credential is of the kind " + string(c.Kind)
}

// causeOfCall is why a call was refused by those who come after authentication.
func causeOfCall(c *call, err error) cause {
	e, ok := errors.AsType[*scim.Error](err)
	switch {
	case c.cause != "" || !ok || e.Reason != scim.Forbidden:
		return c.cause
	case e.Scope != "":
		return causeLacksScope
	case c.principal.Credential.Preview && policy[c.method].action == admin:
		return causePreview
	}
	return ""
}
