package server

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// How long the present secrets stay valid when another is made.
const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 90 * 24 * time.Hour
)

// credentialService is muster.v1.CredentialService.
type credentialService struct {
	musterv1.UnimplementedCredentialServiceServer

	store    *store.Store
	previews *previews
}

// nameOfTenant is the name of the tenant that a request is about.
func nameOfTenant(ctx context.Context, asked string) string {
	if asked == "" {
		return principalOf(ctx).TenantName
	}
	return asked
}

func (s *credentialService) GetCredential(ctx context.Context, req *musterv1.GetCredentialRequest) (*musterv1.GetCredentialResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	c, err := tenant.Credential(ctx, req.GetName())
	return &musterv1.GetCredentialResponse{Credential: credentialMessage(nameOfTenant(ctx, req.GetTenant()), &c)}, err
}

func (s *credentialService) ListCredentials(ctx context.Context, req *musterv1.ListCredentialsRequest) (*musterv1.ListCredentialsResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.Credentials(ctx)
	out := &musterv1.ListCredentialsResponse{}
	for i := range all {
		out.Credentials = append(out.Credentials, credentialMessage(nameOfTenant(ctx, req.GetTenant()), &all[i]))
	}
	return out, err
}

func (s *credentialService) CreateCredential(ctx context.Context, req *musterv1.CreateCredentialRequest) (*musterv1.CreateCredentialResponse, error) {
	asked := req.GetCredential()
	tenant, err := administered(ctx, s.store, asked.GetTenant())
	if err != nil {
		return nil, err
	}
	c, err := newCredential(tenant.Catalog(), asked)
	if err != nil {
		return nil, err
	}
	var secret string
	var hash []byte
	if c.HasSecret() {
		secret = NewToken()
		sum := HashToken(secret)
		hash = sum[:]
	}
	if err := tenant.AddCredential(ctx, c, hash); err != nil {
		return nil, err
	}
	made, err := tenant.Credential(ctx, c.Name)
	return &musterv1.CreateCredentialResponse{Credential: credentialMessage(nameOfTenant(ctx, asked.GetTenant()), &made), Secret: secret}, err
}

// newCredential checks what is asked for, and makes the credential of it.
func newCredential(catalog *scim.Catalog, asked *musterv1.Credential) (store.Credential, error) {
	kind, known := kinds[asked.GetKind()]
	if !known {
		return store.Credential{}, unknownValue("kind")
	}
	c := store.Credential{Name: asked.GetName(), Kind: kind}
	// scopes is set even where it is absent, which then fails.
	paths := slices.Concat([]string{"scopes"}, presentFields(asked, credentialFields))
	if err := makeKind(&c, asked); err != nil {
		return c, err
	}
	return c, setCredential(catalog, &c, asked, paths)
}

func (s *credentialService) UpdateCredential(ctx context.Context, req *musterv1.UpdateCredentialRequest) (*musterv1.UpdateCredentialResponse, error) {
	asked := req.GetCredential()
	tenant, err := administered(ctx, s.store, asked.GetTenant())
	if err != nil {
		return nil, err
	}
	paths, err := maskedFields(asked, req.GetUpdateMask(), credentialFields)
	if err != nil {
		return nil, err
	}
	c, err := tenant.UpdateCredential(ctx, asked.GetName(), func(c *store.Credential) error {
		if err := keepsKind(c, asked); err != nil {
			return err
		}
		if err := setCredential(tenant.Catalog(), c, asked, paths); err != nil {
			return err
		}
		return keepsAccess(ctx, nameOfTenant(ctx, asked.GetTenant()), c)
	})
	if err == nil {
		s.endPreview(tenant, c.Name, "its credential was changed")
	}
	return &musterv1.UpdateCredentialResponse{Credential: credentialMessage(nameOfTenant(ctx, asked.GetTenant()), &c)}, err
}

func (s *credentialService) RotateCredential(ctx context.Context, req *musterv1.RotateCredentialRequest) (*musterv1.RotateCredentialResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	overlap := defaultOverlap
	if req.GetOverlap() != nil {
		overlap = req.GetOverlap().AsDuration()
	}
	if overlap < 0 || overlap > maxOverlap || req.GetOverlap() != nil && !req.GetOverlap().IsValid() {
		return nil, scim.Errorf(scim.InvalidValue, "the overlap is from 0 to %d hours", int(maxOverlap.Hours())).At("overlap")
	}
	secret := NewToken()
	c, err := tenant.RotateCredential(ctx, req.GetName(), HashToken(secret), overlap)
	if err != nil {
		return nil, err
	}
	return &musterv1.RotateCredentialResponse{Credential: credentialMessage(nameOfTenant(ctx, req.GetTenant()), &c), Secret: secret}, nil
}

func (s *credentialService) RevokeCredential(ctx context.Context, req *musterv1.RevokeCredentialRequest) (*musterv1.RevokeCredentialResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	if isOwn(ctx, nameOfTenant(ctx, req.GetTenant()), req.GetName()) {
		return nil, scim.Errorf(scim.Conflict, "%s is the credential of this very request; revoke it with another one that has the scope %s", req.GetName(), ScopeAdmin)
	}
	err = tenant.RevokeCredential(ctx, req.GetName())
	if err == nil {
		s.endPreview(tenant, req.GetName(), "its credential is revoked")
	}
	return &musterv1.RevokeCredentialResponse{}, err
}

// endPreview ends the preview of a credential on this server at once; others find out
// by themselves.
func (s *credentialService) endPreview(tenant store.Tenant, name, why string) {
	s.previews.end(func(p *store.Principal) bool { return p.Tenant.ID() == tenant.ID() && p.Credential.Name == name }, why)
}

// isOwn tells whether a credential is the caller's. A local operator has none, nor has
// one of the console.
func isOwn(ctx context.Context, tenant, name string) bool {
	p := principalOf(ctx)
	return p.ID > 0 && p.TenantName == tenant && p.Credential.Name == name
}

// keepsAccess fails where the caller would lock out itself.
func keepsAccess(ctx context.Context, tenant string, c *store.Credential) error {
	at := callOf(ctx).address
	switch {
	case !isOwn(ctx, tenant, c.Name):
	case !slices.Contains(c.Scopes, ScopeAdmin):
		return scim.Errorf(scim.Conflict, "%s is the credential of this very request; let another one take the scope %s from it", c.Name, ScopeAdmin).At("scopes")
	case len(c.Networks) > 0 && !slices.ContainsFunc(c.Networks, func(n netip.Prefix) bool { return n.Contains(at) }):
		return scim.Errorf(scim.Conflict, "%s is the credential of this very request, which comes from %s; the networks must have that address", c.Name, at).At("networks")
	}
	return nil
}

// credentialFields are what can be set of a credential.
var credentialFields = fields{
	// What says which credential it is, and cannot change, is held against it.
	setByServer: []string{"tenant", "name", "kind", "create_time", "last_use", "basic", "certificate", "oauth.client_id"},
	settable: []string{"scopes", "mode", "networks", "expire_time", "oauth", "oauth.redirect_uris", "oauth.jwks",
		"issuer", "issuer.issuer", "issuer.audience", "issuer.algorithms", "issuer.required_scope"},
}

// setCredential sets fields of a credential to what the message has, and checks
// what comes of it.
func setCredential(catalog *scim.Catalog, c *store.Credential, from *musterv1.Credential, paths []string) (err error) {
	for _, path := range paths {
		switch path {
		case "scopes":
			if c.Scopes, err = from.GetScopes(), CheckScopes(from.GetScopes()); err == nil {
				err = checkScopedTypes(catalog, c.Scopes)
			}
		case "mode":
			c.Preview, err = parseMode(from.GetMode())
		case "networks":
			c.Networks, err = parseNetworks(from.GetNetworks())
		case "expire_time":
			c.Expires, err = parseExpiry(from.GetExpireTime())
		default:
			err = setKind(c, from, path)
		}
		if err != nil {
			return err
		}
	}
	if c.Preview && slices.Contains(c.Scopes, ScopeAdmin) {
		return scim.Errorf(scim.InvalidValue, "a preview credential cannot have the scope %s: what administrators do is kept", ScopeAdmin).At("scopes")
	}
	return finishKind(c)
}

func parseMode(mode musterv1.Credential_Mode) (preview bool, err error) {
	if _, known := musterv1.Credential_Mode_name[int32(mode)]; !known {
		return false, unknownValue("mode")
	}
	return mode == musterv1.Credential_MODE_PREVIEW, nil
}

// maxNetworks is the most networks of one credential.
const maxNetworks = 100

// parseNetworks reads addresses and prefixes.
func parseNetworks(texts []string) (all []netip.Prefix, err error) {
	if len(texts) > maxNetworks {
		return nil, scim.Errorf(scim.InvalidValue, "a credential has at most %d networks", maxNetworks).At("networks")
	}
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			at, err := netip.ParseAddr(text)
			if err != nil || at.Zone() != "" {
				return nil, scim.Errorf(scim.InvalidValue, "%.80q is neither an address nor a network such as 10.0.0.0/8", text).At("networks")
			}
			at = at.Unmap()
			prefix = netip.PrefixFrom(at, at.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, scim.Errorf(scim.InvalidValue, "write %.80q as a network of IPv4, such as 10.0.0.0/8", text).At("networks")
		}
		if prefix = prefix.Masked(); !slices.Contains(all, prefix) {
			all = append(all, prefix)
		}
	}
	return all, nil
}

// parseExpiry reads when a credential expires; absent: never.
func parseExpiry(at *timestamppb.Timestamp) (time.Time, error) {
	if at == nil {
		return time.Time{}, nil
	}
	if !at.IsValid() || !at.AsTime().After(time.Now()) {
		return time.Time{}, scim.Errorf(scim.InvalidValue, "the expiry is not in the future; to end a credential now, revoke it").At("expireTime")
	}
	return at.AsTime(), nil
}

// credentialMessage is what the contract makes of a credential.
func credentialMessage(tenant string, c *store.Credential) *musterv1.Credential {
	m := &musterv1.Credential{
		Tenant: tenant, Name: c.Name, Kind: kindOf(c.Kind), Scopes: c.Scopes, Mode: musterv1.Credential_MODE_LIVE,
		CreateTime: timestamppb.New(c.Created),
	}
	if c.Preview {
		m.Mode = musterv1.Credential_MODE_PREVIEW
	}
	for _, prefix := range c.Networks {
		m.Networks = append(m.Networks, prefix.String())
	}
	if !c.Expires.IsZero() {
		m.ExpireTime = timestamppb.New(c.Expires)
	}
	if !c.LastUsed.Time.IsZero() {
		m.LastUse = &musterv1.LastUse{Time: timestamppb.New(c.LastUsed.Time), Address: c.LastUsed.Address, Client: c.LastUsed.Client}
	}
	describeKind(m, c)
	return m
}
