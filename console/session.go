package console

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// Cookies of who is signed in. That of the tenant is no secret.
const (
	sessionCookie = "muster_session"
	tenantCookie  = "muster_tenant"
)

// rotateEvery is how long one secret of a session is used.
const rotateEvery = 15 * time.Minute

// tenantKey is the metadata that say in which tenant an operator works.
const tenantKey = "muster-tenant"

// as is the context of calls of a session.
func as(ctx context.Context, secret, tenant string) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, authorizationKey, "Bearer "+secret)
	if tenant != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, tenantKey, tenant)
	}
	return ctx
}

// findSession finds the session of a visit by its cookie; nil: nobody is signed in.
func findSession(v *visit) (*session, error) {
	secret := v.cookie(sessionCookie)
	if secret == "" {
		return nil, nil //nolint:nilnil // nobody
	}
	tenant := v.cookie(tenantCookie)
	got, err := v.askSession(secret, tenant)
	if code := status.Code(err); tenant != "" && (code == codes.NotFound || code == codes.FailedPrecondition || code == codes.PermissionDenied) {
		// The tenant is gone, or the operator is another than the one who chose it.
		v.dropCookie(tenantCookie)
		got, err = v.askSession(secret, "")
	}
	if status.Code(err) == codes.Unauthenticated {
		v.dropCookie(sessionCookie)
		return nil, nil //nolint:nilnil // nobody any more
	}
	if err != nil {
		return nil, err
	}
	x := got.GetSession()
	s := &session{Operator: x.GetOperator(), Role: roleNames[x.GetRole()], Tenant: got.GetTenant(), Switches: x.GetTenant() == firstTenant, secret: secret}
	if v.Method == http.MethodGet && !v.background() && time.Since(x.GetSecretTime().AsTime()) > rotateEvery {
		v.rotate(s)
	}
	return s, nil
}

// firstTenant is the one whose operators may work in all.
const firstTenant = "default"

// roleNames are the roles as pages know them.
var roleNames = map[musterv1.OperatorRole]string{
	musterv1.OperatorRole_OPERATOR_ROLE_VIEWER:        "viewer",
	musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR:      "operator",
	musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR: "administrator",
}

// askSession asks the core for a session.
func (v *visit) askSession(secret, tenant string) (*musterv1.GetSessionResponse, error) {
	return v.operators.GetSession(as(v.Context(), secret, tenant), &musterv1.GetSessionRequest{Background: v.background()})
}

// background tells whether a page makes the visit by itself, so that its operator need not
// be there.
func (v *visit) background() bool { return v.Header.Get("Accept") == "text/event-stream" }

// rotate gives the session another secret. Where that fails the present one stays, and
// the next visit tries again.
func (v *visit) rotate(s *session) {
	out, err := v.operators.RotateSession(as(v.Context(), s.secret, ""), &musterv1.RotateSessionRequest{})
	if err != nil || out.GetSecret() == "" { // empty: another visit was faster
		return
	}
	s.secret = out.GetSecret()
	v.keepCookie(sessionCookie, s.secret, 0)
}

// signedIn keeps the session that has begun, and goes to where the operator was.
func (v *visit) signedIn(secret, back string) error {
	v.keepCookie(sessionCookie, secret, 0)
	v.dropCookie(tenantCookie)
	return v.redirect(returnPath(back, root))
}

// signOut ends the session.
func signOut(v *visit) error {
	if v.session != nil {
		if _, err := v.operators.EndSession(v.Context(), &musterv1.EndSessionRequest{}); err != nil && status.Code(err) != codes.Unauthenticated {
			return err
		}
	}
	v.dropCookie(sessionCookie)
	v.dropCookie(tenantCookie)
	return v.redirect(root + "signin")
}

// secure tells whether the browser speaks TLS, with us or with a proxy that is believed.
func (v *visit) secure() bool {
	base, _ := v.addressed(v.Request)
	u, err := url.Parse(base)
	return v.TLS != nil || err == nil && u.Scheme == "https"
}

// cookieName is what a cookie is called: over TLS in the form that no other host, not
// even a neighbour under the same domain, can set (RFC 6265bis section 4.1.3.2).
func (v *visit) cookieName(name string) string {
	if v.secure() {
		return "__Host-" + name
	}
	return name
}

func (v *visit) cookie(name string) string {
	c, err := v.Cookie(v.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// keepCookie gives the browser a cookie that no script reads, for so many seconds; 0:
// until it is closed. SameSite is Lax and not Strict, so that a link in a mail to a page
// of the console opens it.
func (v *visit) keepCookie(name, value string, age int) {
	http.SetCookie(v.w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS
		Name: v.cookieName(name), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: v.secure(), SameSite: http.SameSiteLaxMode,
	})
}

func (v *visit) dropCookie(name string) { v.keepCookie(name, "", -1) }

// A tenantChoice is a tenant that an operator may work in.
type tenantChoice struct {
	Name    string
	Present bool
}

// askTenant shows the tenants to choose from.
func askTenant(v *visit) error {
	if !v.session.Switches {
		return errMayNot
	}
	// In the tenant of the moment the operator would see that one alone.
	all, err := v.tenants.ListTenants(as(v.calling(v.Context()), v.session.secret, ""), &musterv1.ListTenantsRequest{})
	if err != nil {
		return err
	}
	var choices []tenantChoice
	for _, t := range all.GetTenants() {
		choices = append(choices, tenantChoice{t.GetName(), t.GetName() == v.session.Tenant})
	}
	return v.show("tenant", page{Title: "Choose a tenant", Data: choices})
}

// setTenant keeps the choice. What it is worth the core decides with each call; it is
// told at once, so that the audit log of the tenant has who came.
func setTenant(v *visit) error {
	name := v.FormValue("tenant")
	if name == "" || len(name) > 64 || url.PathEscape(name) != name {
		name = firstTenant
	}
	_, err := v.operators.NoteDeed(as(v.calling(v.Context()), v.session.secret, name), &musterv1.NoteDeedRequest{
		Method: strings.TrimPrefix(v.does.method, "/"), ResourceType: v.does.resourceType, ResourceId: name, Detail: "works in it from now on",
	})
	switch code := status.Code(err); {
	case code == codes.NotFound, code == codes.FailedPrecondition, code == codes.PermissionDenied, err == nil && name == firstTenant:
		v.dropCookie(tenantCookie)
	case err != nil:
		return err
	default:
		v.keepCookie(tenantCookie, name, 0)
	}
	return v.redirect(root)
}
