package server

import (
	"context"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

const (
	// MaxLinkTime is how long a login link is good at most.
	MaxLinkTime = 15 * time.Minute
	// rotationOverlap is how long a session's secret is good once it was replaced: for
	// the requests that the browser had sent before it knew.
	rotationOverlap = 10 * time.Second
	// maxOperatorName is the most characters of a name of an operator.
	maxOperatorName = 254
	// maxDeedText is the most characters of what the log is told of a deed.
	maxDeedText = 500
)

// operatorService is muster.v1.OperatorService.
type operatorService struct {
	musterv1.UnimplementedOperatorServiceServer

	store    *store.Store
	sessions Sessions
}

// roles are those of the contract.
var roles = map[musterv1.OperatorRole]store.Role{
	musterv1.OperatorRole_OPERATOR_ROLE_VIEWER:        store.RoleViewer,
	musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR:      store.RoleOperator,
	musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR: store.RoleAdministrator,
}

// roleOf is the role as the contract has it.
func roleOf(role store.Role) musterv1.OperatorRole {
	for of, r := range roles {
		if r == role {
			return of
		}
	}
	return musterv1.OperatorRole_OPERATOR_ROLE_UNSPECIFIED
}

func (s *operatorService) CreateLoginLink(ctx context.Context, req *musterv1.CreateLoginLinkRequest) (*musterv1.CreateLoginLinkResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	role, known := roles[req.GetRole()]
	if !known {
		return nil, scim.Errorf(scim.InvalidValue, "say as what the operator signs in: viewer, operator or administrator").At("role")
	}
	if err := checkOperatorName(req.GetOperator()); err != nil {
		return nil, err
	}
	lifetime := MaxLinkTime
	if req.GetLifetime() != nil {
		lifetime = req.GetLifetime().AsDuration()
	}
	if lifetime <= 0 || lifetime > MaxLinkTime || req.GetLifetime() != nil && !req.GetLifetime().IsValid() {
		return nil, scim.Errorf(scim.InvalidValue, "a login link is good for at most %d minutes", int(MaxLinkTime.Minutes())).At("lifetime")
	}
	secret, link := NewLoginSecret(), store.LoginLink{Operator: req.GetOperator(), Role: role, Expires: time.Now().Add(lifetime)}
	if err := tenant.AddLoginLink(ctx, link, HashToken(secret)); err != nil {
		return nil, err
	}
	return &musterv1.CreateLoginLinkResponse{Secret: secret, ExpireTime: timestamppb.New(link.Expires)}, nil
}

// NewLoginSecret makes the secret of a login link.
func NewLoginSecret() string { return NewMarkedToken("login") }

// checkOperatorName fails with InvalidValue for what is no name that a log can show.
func checkOperatorName(name string) error {
	notShown := func(r rune) bool { return !unicode.IsGraphic(r) }
	if strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxOperatorName || !utf8.ValidString(name) || strings.ContainsFunc(name, notShown) {
		return scim.Errorf(scim.InvalidValue, "the name of an operator is of 1 to %d characters that can be seen", maxOperatorName).At("operator")
	}
	return nil
}

// sessionOf is the session that the call shows. Methods that ask for it are for those
// who have one.
func sessionOf(ctx context.Context) *store.Session { return principalOf(ctx).Session }

func (s *operatorService) GetSession(ctx context.Context, req *musterv1.GetSessionRequest) (*musterv1.GetSessionResponse, error) {
	session := *sessionOf(ctx)
	if !req.GetBackground() {
		active, err := s.store.KeepSession(ctx, &session)
		if err != nil {
			return nil, err
		}
		session.Active = active
	}
	return &musterv1.GetSessionResponse{Session: s.message(&session, session.Tenant), Tenant: principalOf(ctx).TenantName}, nil
}

func (s *operatorService) RotateSession(ctx context.Context, _ *musterv1.RotateSessionRequest) (*musterv1.RotateSessionResponse, error) {
	shown, err := parseAuthorization(first(ctx, "authorization"))
	if err != nil {
		return nil, err
	}
	secret := newSessionSecret()
	replaced, err := s.store.RotateSession(ctx, sessionOf(ctx), HashToken(shown.secret), HashToken(secret), rotationOverlap)
	if err != nil || !replaced {
		return &musterv1.RotateSessionResponse{}, err
	}
	return &musterv1.RotateSessionResponse{Secret: secret}, nil
}

func newSessionSecret() string { return NewMarkedToken("session") }

func (s *operatorService) EndSession(ctx context.Context, _ *musterv1.EndSessionRequest) (*musterv1.EndSessionResponse, error) {
	tenant, err := s.store.Tenant(ctx, sessionOf(ctx).Tenant)
	if err == nil {
		err = tenant.EndSession(ctx, sessionOf(ctx).ID)
	}
	return &musterv1.EndSessionResponse{}, err
}

// NoteDeed makes the act of the call the deed that it tells of; the interceptors record
// it, or that it was refused.
func (*operatorService) NoteDeed(ctx context.Context, req *musterv1.NoteDeedRequest) (*musterv1.NoteDeedResponse, error) {
	switch of, known := policy["/"+req.GetMethod()]; {
	case !known:
		return nil, scim.Errorf(scim.InvalidValue, "there is no RPC %.80q", req.GetMethod()).At("method")
	case !req.GetRefused() && of.action != read && of.action != adminRead:
		return nil, scim.Errorf(scim.InvalidValue, "what writes is recorded when it is done").At("method")
	}
	for _, text := range []string{req.GetResourceType(), req.GetResourceId(), req.GetDetail()} {
		if utf8.RuneCountInString(text) > maxDeedText || !utf8.ValidString(text) {
			return nil, scim.Errorf(scim.InvalidValue, "a deed is told in at most %d characters", maxDeedText)
		}
	}
	act := &callOf(ctx).act
	act.Method, act.ResourceType, act.ResourceID, act.Detail = req.GetMethod(), req.GetResourceType(), req.GetResourceId(), req.GetDetail()
	if req.GetRefused() {
		return nil, scim.Errorf(scim.Forbidden, "the console does not offer it to the role %s", sessionOf(ctx).Role)
	}
	return &musterv1.NoteDeedResponse{}, nil
}

func (s *operatorService) ListSessions(ctx context.Context, req *musterv1.ListSessionsRequest) (*musterv1.ListSessionsResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	all, err := tenant.Sessions(ctx, s.sessions.Idle)
	out := &musterv1.ListSessionsResponse{}
	for i := range all {
		out.Sessions = append(out.Sessions, s.message(&all[i], nameOfTenant(ctx, req.GetTenant())))
	}
	return out, err
}

func (s *operatorService) RevokeSession(ctx context.Context, req *musterv1.RevokeSessionRequest) (*musterv1.RevokeSessionResponse, error) {
	tenant, err := administered(ctx, s.store, req.GetTenant())
	if err != nil {
		return nil, err
	}
	id, err := strconv.ParseInt(req.GetId(), 10, 64)
	if err != nil {
		return nil, scim.Errorf(scim.NotFound, "there is no session %.80q", req.GetId())
	}
	return &musterv1.RevokeSessionResponse{}, tenant.EndSession(ctx, id)
}

// message is what the contract makes of a session.
func (s *operatorService) message(x *store.Session, tenant string) *musterv1.Session {
	idle := x.Active.Add(s.sessions.Idle)
	if idle.After(x.Expires) {
		idle = x.Expires
	}
	return &musterv1.Session{
		Id: strconv.FormatInt(x.ID, 10), Tenant: tenant, Operator: x.Operator, DisplayName: x.DisplayName, Role: roleOf(x.Role), Provider: x.Provider,
		CreateTime: timestamppb.New(x.Created), ActiveTime: timestamppb.New(x.Active), IdleExpireTime: timestamppb.New(idle), ExpireTime: timestamppb.New(x.Expires),
		SecretTime: timestamppb.New(x.SecretMade), Address: x.Address, Client: x.Client,
	}
}
