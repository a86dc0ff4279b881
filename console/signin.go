package console

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/gorilla/securecookie"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// signInView is what the page to sign in shows.
type signInView struct {
	Problem  string
	Return   string
	Choices  []signInChoice
	Operator string // who is signed in already
}

// A signInChoice is a provider.
type signInChoice struct{ Text, Path string }

// showSignIn shows what operators can sign in with: the providers, and the field for a
// login link's secret. The link has it behind #, where no server, log or scanner of links
// sees it; the page's script puts it into the field, and only the form spends it.
func showSignIn(v *visit) error { return v.showSignIn("", http.StatusOK) }

func (v *visit) showSignIn(problem string, code int) error {
	tenant, back := v.FormValue("tenant"), returnPath(v.FormValue("return"), "")
	view := signInView{Problem: problem, Return: back}
	if v.session != nil {
		view.Operator = v.session.Operator
	}
	prepared, err := v.operators.PrepareSignIn(v.Context(), &musterv1.PrepareSignInRequest{Tenant: tenant})
	if err != nil {
		return err
	}
	for _, p := range prepared.GetProviders() {
		text := p.GetDisplayName()
		if text == "" {
			text = p.GetName()
		}
		query := url.Values{"tenant": {p.GetTenant()}, "provider": {p.GetName()}}
		if back != "" {
			query.Set("return", back)
		}
		view.Choices = append(view.Choices, signInChoice{text, root + "signin/start?" + query.Encode()})
	}
	return v.show("signin", page{Title: "Sign in", Status: code, Data: view})
}

// signInByLink spends the secret of a login link.
func signInByLink(v *visit) error {
	secret := strings.TrimSpace(v.FormValue("secret"))
	if _, behind, found := strings.Cut(secret, "#"); found { // the whole link
		secret = behind
	}
	return v.begin(&musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: secret}}, v.FormValue("return"))
}

// begin begins a session, or tells on the page why there is none.
func (v *visit) begin(req *musterv1.SignInRequest, back string) error {
	out, err := v.operators.SignIn(v.Context(), req)
	switch s := status.Convert(err); s.Code() {
	case codes.OK:
		return v.signedIn(out.GetSecret(), back)
	case codes.Unauthenticated, codes.PermissionDenied, codes.InvalidArgument, codes.NotFound, codes.FailedPrecondition:
		return v.showSignIn(s.Message(), http.StatusUnauthorized)
	default:
		return err
	}
}

// refuseSignIn tells that what a provider is said to have said is not valid: the operator
// in words, the core for the audit log, and the log with the cause.
func (v *visit) refuseSignIn(p *musterv1.SignInProvider, detail string, cause error) error {
	_, err := v.operators.SignIn(v.Context(), &musterv1.SignInRequest{By: &musterv1.SignInRequest_Refused{
		Refused: &musterv1.RefusedSignIn{Tenant: p.GetTenant(), Provider: p.GetName(), Detail: detail},
	}})
	if status.Code(err) != codes.Unauthenticated {
		return err
	}
	attrs := []slog.Attr{slog.String("provider", p.GetName()), slog.String("tenant", p.GetTenant()), slog.String("detail", detail), slog.String("request_id", v.id)}
	if cause != nil {
		attrs = append(attrs, slog.String("cause", cause.Error()))
	}
	v.log.LogAttrs(v.Context(), slog.LevelWarn, "sign-in refused", attrs...)
	return v.showSignIn("The sign-in was refused: "+detail+". Begin again; if it stays so, tell an administrator of Muster.", http.StatusUnauthorized)
}

// An attempt is a sign-in under way: what the browser keeps of it, so that what comes from
// a provider is an answer to what was asked in this very browser.
type attempt struct {
	Tenant, Provider, Return string
	State, Nonce, Verifier   string // OpenID Connect
	Request                  string // the id of the SAML request
}

const (
	attemptCookie = "muster_signin"
	attemptTime   = 10 * 60 // seconds
)

// sealer seals attempts, so that the browser can neither read nor make one. Any server of
// the database opens what another has sealed.
func sealer(key []byte) (*securecookie.SecureCookie, error) {
	keys, err := hkdf.Key(sha256.New, key, nil, "muster console attempt", 64)
	if err != nil {
		return nil, err
	}
	return securecookie.New(keys[:32], keys[32:]).MaxAge(attemptTime).SetSerializer(securecookie.JSONEncoder{}), nil
}

// keepAttempt gives the browser an attempt to keep.
func (v *visit) keepAttempt(key []byte, a attempt) error {
	seal, err := sealer(key)
	if err != nil {
		return err
	}
	text, err := seal.Encode(attemptCookie, a)
	if err == nil {
		v.keepCookie(attemptCookie, text, attemptTime)
	}
	return err
}

// takeAttempt is the attempt that the browser has kept, once. It says false where there is
// none, or it is too old.
func (v *visit) takeAttempt() (a attempt, found bool, err error) {
	text := v.cookie(attemptCookie)
	if text == "" {
		return a, false, nil
	}
	v.dropCookie(attemptCookie)
	prepared, err := v.operators.PrepareSignIn(v.Context(), &musterv1.PrepareSignInRequest{})
	if err != nil {
		return a, false, err
	}
	seal, err := sealer(prepared.GetKey())
	if err != nil {
		return a, false, err
	}
	return a, seal.Decode(attemptCookie, text, &a) == nil, nil
}

// provider finds a provider of a tenant; nil: there is none of that name.
func (v *visit) provider(ctx context.Context, tenant, name string) (p *musterv1.SignInProvider, key []byte, err error) {
	prepared, err := v.operators.PrepareSignIn(ctx, &musterv1.PrepareSignInRequest{Tenant: tenant})
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(prepared.GetProviders(), func(p *musterv1.SignInProvider) bool { return p.GetName() == name })
	if i < 0 {
		return nil, prepared.GetKey(), nil
	}
	return prepared.GetProviders()[i], prepared.GetKey(), nil
}

// noProvider is told to who comes by a provider that there is no more.
const noProvider = "Operators do not sign in with this provider any more."

// startSignIn sends the browser to a provider.
func startSignIn(v *visit) error {
	p, key, err := v.provider(v.Context(), v.FormValue("tenant"), v.FormValue("provider"))
	if err != nil {
		return err
	}
	if p == nil {
		return v.showSignIn(noProvider, http.StatusNotFound)
	}
	origin, ok := v.origin()
	if !ok {
		return v.showSignIn("Providers need to know the public address of this server. Set base-url of `muster serve`, or use a login link.", http.StatusConflict)
	}
	a := attempt{Tenant: p.GetTenant(), Provider: p.GetName(), Return: returnPath(v.FormValue("return"), root)}
	var to string
	if p.GetKind() == musterv1.SignInProvider_KIND_SAML {
		to, err = startSAML(origin, p, &a)
	} else {
		to, err = v.startOIDC(origin, p, &a)
	}
	if err != nil {
		v.log.LogAttrs(v.Context(), slog.LevelError, "a provider cannot be used", slog.String("provider", p.GetName()), slog.String("request_id", v.id), slog.String("cause", err.Error()))
		return v.showSignIn("The provider cannot be reached, or its settings are not right; the server's log has the cause. Try again later, or use a login link.", http.StatusBadGateway)
	}
	if err := v.keepAttempt(key, a); err != nil {
		return err
	}
	return v.redirect(to)
}

// origin is the public address of this server, where providers send browsers back to.
// Where no setting has it, only that of this very machine will do: a request can say of
// itself whatever it likes, and with it what an assertion has to be made for.
func (v *visit) origin() (string, bool) {
	base, _ := v.addressed(v.Request)
	u, err := url.Parse(base)
	if err != nil || u.Host == "" {
		return "", false
	}
	at, err := netip.ParseAddr(u.Hostname())
	here := u.Hostname() == "localhost" || err == nil && at.IsLoopback()
	return u.Scheme + "://" + u.Host, v.public || here
}
