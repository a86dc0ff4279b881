package server

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// authenticate finds out who is calling, and tells the caller's side for its log.
func (s *Server) authenticate(ctx context.Context, c *call) error {
	err := s.identifyOnce(ctx, c)
	told := metadata.MD{requestIDKey: {c.requestID}}
	if p := c.principal; p.Credential.Name != "" {
		told[tenantKey], told[credentialKey] = []string{p.TenantName}, []string{p.Credential.Name}
		told[profileKey] = []string{string(p.Tenant.Profile())}
		if p.Credential.Preview {
			told[modeKey] = []string{"preview"}
		}
	}
	if c.inProcess {
		if handle := s.recorder.handle(c, err); handle != "" {
			told[recordingKey] = []string{handle}
		}
	}
	_ = grpc.SetHeader(ctx, told) // it fails only after the header was sent
	if err != nil {
		return err
	}
	s.uses.note(c) //nolint:contextcheck // it is written later, in the background
	return c.proceed(ctx)
}

// identifyOnce is identify, but for callers who failed too often of late. What the REST
// face hands back of a request is no further attempt.
func (s *Server) identifyOnce(ctx context.Context, c *call) error {
	header := first(ctx, "authorization")
	c.shown = header
	if access, known := policy[c.method]; header == "" || known && access.action == public || c.isInternal() {
		return s.identify(ctx, c)
	}
	if err := s.throttle.Allow(c.address, header); err != nil {
		c.cause = causeThrottled
		return err
	}
	err := s.identify(ctx, c)
	switch {
	case scim.ReasonOf(err) == scim.Unauthenticated:
		s.throttle.Failed(c.address, header)
	case err == nil:
		s.throttle.Worked(c.address, header)
	}
	return err
}

// identify finds the principal of a call that is not public. Where it fails, the
// principal is who the caller claims to be, if that is known: for the log only.
func (s *Server) identify(ctx context.Context, c *call) error {
	if access, known := policy[c.method]; known && access.action == public || c.isInternal() {
		return nil
	}
	switch {
	case isLocal(ctx):
		return s.identifyLocal(ctx, c)
	case isConsole(ctx):
		return s.identifyOperator(ctx, c)
	}
	if err := s.identifyShown(ctx, c); err != nil {
		return err
	}
	if p := &c.principal; p.Granted != nil {
		// What the credential lost since the token was issued, the token lost too.
		p.Credential.Scopes = withinScopes(p.Granted, p.Credential.Scopes)
	}
	if base := first(ctx, baseTenantKey); base != "" && base != c.principal.TenantName {
		c.cause = causeWrongTenant
		return scim.Errorf(scim.Forbidden, "the credential is not one of the tenant %.80q", base)
	}
	if networks := c.principal.Credential.Networks; len(networks) > 0 && !slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(c.address) }) {
		c.cause = causeWrongAddress
		return scim.Errorf(scim.Forbidden, "the credential may not be used from this address")
	}
	return nil
}

// identifyShown finds the principal by what the caller shows: a secret in the
// authorization header, or else the certificate of its connection.
func (s *Server) identifyShown(ctx context.Context, c *call) error {
	header := first(ctx, "authorization")
	if certificate := clientCertificate(ctx); certificate != nil && header == "" && !c.inProcess {
		var err error
		c.principal, err = s.identifyCertificate(ctx, certificate)
		return err
	}
	shown, err := parseAuthorization(header)
	if err != nil {
		c.cause = causeOfHeader(header)
		return err
	}
	c.principal, err = s.store.Authenticate(ctx, HashToken(shown.secret))
	if shown.scheme == bearerScheme && scim.ReasonOf(err) == scim.Unauthenticated && c.principal.ID == 0 && looksLikeJWT(shown.secret) {
		c.principal, err = s.issuers.identify(ctx, c.requestID, shown.secret)
		c.cause, c.why = causeOfRefusal(&c.principal, err)
		return err
	}
	if err != nil {
		c.cause, c.why = causeOfRefusal(&c.principal, err)
		return err
	}
	if !shown.proves(&c.principal.Credential) {
		c.cause, c.why = shown.mistake(&c.principal.Credential)
		c.claimed = c.principal
		c.principal = store.Principal{}
		return scim.Errorf(scim.Unauthenticated, "the credential is not valid")
	}
	return nil
}

// A scheme is how a secret is shown in an authorization header.
type scheme uint8

const (
	bearerScheme scheme = iota
	basicScheme
	directScheme // the secret alone, or after any one word
)

// shown is what a caller shows to prove who it is.
type shown struct {
	scheme scheme
	login  string // basic
	secret string
}

// parseAuthorization reads an authorization header. Clients are known to put the
// word Bearer there twice, and blanks at the end.
func parseAuthorization(header string) (shown, error) {
	fields := strings.Fields(header)
	switch {
	case len(fields) == 0:
		return shown{}, scim.Errorf(scim.Unauthenticated, "send a credential, as in Authorization: Bearer TOKEN")
	case len(fields) == 2 && strings.EqualFold(fields[0], "Basic"):
		plain, err := base64.StdEncoding.DecodeString(fields[1])
		login, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok || password == "" {
			return shown{}, scim.Errorf(scim.Unauthenticated, "the Authorization header is not of the form Basic base64(LOGIN:PASSWORD)")
		}
		return shown{basicScheme, login, password}, nil
	case strings.EqualFold(fields[0], "Bearer"):
		rest := fields
		for len(rest) > 1 && strings.EqualFold(rest[0], "Bearer") {
			rest = rest[1:]
		}
		if len(rest) == 1 && len(fields) > 1 {
			return shown{scheme: bearerScheme, secret: rest[0]}, nil
		}
	case len(fields) <= 2:
		return shown{scheme: directScheme, secret: fields[len(fields)-1]}, nil
	}
	return shown{}, scim.Errorf(scim.Unauthenticated, "the Authorization header is not of the form Bearer TOKEN")
}

// proves tells whether what was shown, whose secret is the credential's, was shown
// as a credential of its kind is.
func (s shown) proves(c *store.Credential) bool {
	switch c.Kind {
	case store.Bearer, store.OAuth:
		return s.scheme == bearerScheme
	case store.Basic:
		return s.scheme == basicScheme && subtle.ConstantTimeCompare([]byte(s.login), []byte(c.Settings.Login)) == 1
	case store.Direct:
		return s.scheme == directScheme || s.scheme == bearerScheme
	case store.Certificate, store.Issuer: // they have no secret
	}
	return false
}

// callerOf is where a call came from: the address, if it is known, and the user
// agent. For a call in process the REST face says so; over a socket a proxy that is
// believed.
func (s *Server) callerOf(ctx context.Context, inProcess bool) (address netip.Addr, agent string) {
	agent = first(ctx, agentKey)
	if inProcess {
		address, _ = netip.ParseAddr(first(ctx, addressKey))
		return address.Unmap(), agent
	}
	agent = first(ctx, "user-agent")
	if p, ok := peer.FromContext(ctx); ok {
		if at, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
			address = s.proxies.Client(at.Addr().Unmap(), metadata.ValueFromIncomingContext(ctx, "x-forwarded-for"))
		}
	}
	return address, agent
}
