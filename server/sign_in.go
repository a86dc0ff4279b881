package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// Limits of what a provider says.
const (
	maxAssertionTime  = 24 * time.Hour // that its replay must be remembered
	maxAssertionID    = 500
	maxSubject        = 1000
	maxAttributes     = 100
	maxAttributeValue = 10_000 // values of all attributes together
)

// signInKey is the name of the key of PrepareSignIn.
const signInKey = "console sign-in"

func (s *operatorService) PrepareSignIn(ctx context.Context, req *musterv1.PrepareSignInRequest) (*musterv1.PrepareSignInResponse, error) {
	key, err := s.store.Key(ctx, signInKey)
	if err != nil {
		return nil, err
	}
	out := &musterv1.PrepareSignInResponse{Key: key}
	if req.GetDecryption() {
		if out.DecryptionKey, err = s.store.MadeKey(ctx, decryptionKey, newDecryptionKey); err != nil {
			return nil, err
		}
	}
	name := cmp.Or(req.GetTenant(), DefaultTenant)
	tenant, err := s.store.Tenant(ctx, name)
	switch scim.ReasonOf(err) {
	case scim.NotFound, scim.Conflict: // whether it is there is nobody's business
		return out, nil
	default:
	}
	if err != nil {
		return nil, err
	}
	all, err := tenant.SignInProviders(ctx)
	for i := range all {
		out.Providers = append(out.Providers, providerMessage(name, &all[i]))
	}
	return out, err
}

func (s *operatorService) SignIn(ctx context.Context, req *musterv1.SignInRequest) (*musterv1.SignInResponse, error) {
	c := callOf(ctx)
	secret := newSessionSecret()
	begin := store.Session{Client: c.agent[:min(len(c.agent), maxAgent)], Expires: time.Now().Add(s.sessions.Lifetime)}
	begin.Client = strings.ToValidUTF8(begin.Client, "")
	if c.address.IsValid() {
		begin.Address = c.address.String()
	}
	var tenant string
	var err error
	switch by := req.GetBy().(type) {
	case *musterv1.SignInRequest_LoginSecret:
		begin, tenant, err = s.store.SpendLoginLink(ctx, HashToken(by.LoginSecret), begin, HashToken(secret))
	case *musterv1.SignInRequest_Identity:
		tenant = by.Identity.GetTenant()
		begin, err = s.signInIdentity(ctx, by.Identity, begin, HashToken(secret))
	case *musterv1.SignInRequest_Refused:
		err = s.refused(ctx, by.Refused)
	default:
		err = scim.Errorf(scim.InvalidValue, "say who signs in: a login secret or an identity")
	}
	if err != nil {
		return nil, err
	}
	return &musterv1.SignInResponse{Secret: secret, Session: s.message(&begin, tenant)}, nil
}

// signInIdentity begins the session of who a provider says that somebody is.
func (s *operatorService) signInIdentity(ctx context.Context, who *musterv1.SignInIdentity, begin store.Session, hash [32]byte) (store.Session, error) {
	if err := checkIdentity(who); err != nil {
		return begin, err
	}
	begin.Operator, begin.Subject = cmp.Or(who.GetEmail(), who.GetSubject()), who.GetSubject()
	begin.DisplayName = cmp.Or(shownName(who.GetDisplayName()), begin.Operator)
	if err := checkOperatorName(begin.Operator); err != nil {
		return begin, err
	}
	tenant, err := s.store.Tenant(ctx, who.GetTenant())
	if err != nil {
		return begin, err
	}
	act := &callOf(ctx).act // also of an attempt that is refused
	act.TenantID, act.Operator = tenant.ID(), begin.Operator
	provider, err := tenant.SignInProvider(ctx, who.GetProvider())
	if err != nil {
		return begin, err
	}
	if begin.Role = roleByMapping(provider.Settings.Roles, who.GetAttributes()); begin.Role == "" {
		return begin, scim.Errorf(scim.Forbidden, "the provider %s gives %s no role here; let an administrator of it add you to a group that has one, or an administrator of Muster map one", provider.Name, begin.Operator)
	}
	assertion := store.Assertion{ID: who.GetAssertionId(), Expires: who.GetAssertionExpireTime().AsTime()}
	return tenant.SignIn(ctx, &provider, assertion, begin, hash)
}

// refused is the error of an attempt that the console has refused: the interceptors
// record it.
func (s *operatorService) refused(ctx context.Context, r *musterv1.RefusedSignIn) error {
	if tenant, err := s.store.Tenant(ctx, r.GetTenant()); err == nil {
		callOf(ctx).act.TenantID = tenant.ID()
	}
	return scim.Errorf(scim.Unauthenticated, "%.80s: %.500s", r.GetProvider(), strings.ToValidUTF8(r.GetDetail(), ""))
}

// checkIdentity refuses what no provider can mean.
func checkIdentity(who *musterv1.SignInIdentity) error {
	values, expires := 0, who.GetAssertionExpireTime()
	for _, a := range who.GetAttributes() {
		values += len(a.GetValues())
	}
	switch {
	case who.GetSubject() == "" || len(who.GetSubject()) > maxSubject:
		return scim.Errorf(scim.InvalidValue, "the provider does not say who it is in at most %d bytes", maxSubject).At("subject")
	case len(who.GetAttributes()) > maxAttributes || values > maxAttributeValue:
		return scim.Errorf(scim.InvalidValue, "the provider says more than %d attributes or %d values; let it send those alone that give roles", maxAttributes, maxAttributeValue).At("attributes")
	case who.GetAssertionId() == "" || len(who.GetAssertionId()) > maxAssertionID:
		return scim.Errorf(scim.InvalidValue, "the assertion has no id, or a very long one").At("assertion_id")
	case !expires.IsValid() || time.Until(expires.AsTime()) <= 0:
		return scim.Errorf(scim.Unauthenticated, "the assertion has expired").At("assertion_expire_time")
	case time.Until(expires.AsTime()) > maxAssertionTime:
		return scim.Errorf(scim.InvalidValue, "the assertion is good for longer than %d hours", int(maxAssertionTime.Hours())).At("assertion_expire_time")
	}
	return nil
}

// shownName is a name that is for people to read only, made fit for it.
func shownName(name string) string {
	name = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, name)
	if utf8.RuneCountInString(name) > maxOperatorName {
		name = string([]rune(name)[:maxOperatorName])
	}
	return strings.TrimSpace(name)
}

// ranks are the roles, the highest last.
var ranks = []store.Role{store.RoleViewer, store.RoleOperator, store.RoleAdministrator}

// roleByMapping is the highest role that attributes give; empty: none.
func roleByMapping(mappings []store.RoleMapping, attributes []*musterv1.IdentityAttribute) (role store.Role) {
	for _, m := range mappings {
		fits := slices.ContainsFunc(attributes, func(a *musterv1.IdentityAttribute) bool {
			return a.GetName() == m.Attribute && slices.Contains(a.GetValues(), m.Value)
		})
		if fits && slices.Index(ranks, m.Role) > slices.Index(ranks, role) {
			role = m.Role
		}
	}
	return role
}

// providerMessage is what the contract makes of a provider.
func providerMessage(tenant string, p *store.SignInProvider) *musterv1.SignInProvider {
	set := &p.Settings
	m := &musterv1.SignInProvider{Tenant: tenant, Name: p.Name, DisplayName: set.DisplayName, CreateTime: timestamppb.New(p.Created)}
	for _, r := range set.Roles {
		m.Roles = append(m.Roles, &musterv1.RoleMapping{Attribute: r.Attribute, Value: r.Value, Role: roleOf(r.Role)})
	}
	switch p.Kind {
	case store.OIDC:
		m.Kind = musterv1.SignInProvider_KIND_OIDC
		m.OfKind = &musterv1.SignInProvider_Oidc{Oidc: &musterv1.OidcProvider{Issuer: set.Issuer, ClientId: set.ClientID, Scopes: set.Scopes}}
	case store.SAML:
		m.Kind = musterv1.SignInProvider_KIND_SAML
		m.OfKind = &musterv1.SignInProvider_Saml{Saml: &musterv1.SamlProvider{Metadata: set.Metadata, EntityId: set.EntityID, AllowIdpInitiated: set.AllowIDPInitiated}}
	}
	return m
}
