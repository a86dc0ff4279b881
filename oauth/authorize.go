package oauth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// An authorization is what a client asks an administrator for.
type authorization struct {
	oidc.AuthRequest

	client *client
	scopes []string // what it gets
}

// authorize is the authorization endpoint (RFC 6749 section 3.1): GET shows the page,
// and its form sends the same parameters with the decision. Nothing is kept of an
// authorization before it is approved.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	a, refused := s.readAuthorization(r)
	if refused != nil {
		s.refuse(w, r, a, refused)
		return
	}
	x := exchangeOf(r.Context())
	x.tenant, x.credential = a.client.TenantName, a.client.Credential.Name
	if r.Method != http.MethodPost {
		showPage(w, r, http.StatusOK, pageOf(a, ""))
		return
	}
	// The form bears its own proof, so nobody's browser can be made to approve; this
	// keeps other sites from sending it at all.
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		showPage(w, r, http.StatusForbidden, page{Problem: "This form was sent by another site."})
		return
	}
	if r.PostForm.Get("decision") != "allow" {
		s.answer(w, r, a, url.Values{"error": {"access_denied"}, "error_description": {"the administrator refused"}})
		return
	}
	s.approve(w, r, a)
}

// readAuthorization reads the parameters. What is wrong with the client or with where
// to answer to is told on a page (a is nil then), all else to the client.
func (s *Server) readAuthorization(r *http.Request) (a *authorization, refused error) {
	if problem := readForm(r); problem != "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("%s", problem)
	}
	a = &authorization{AuthRequest: oidc.AuthRequest{
		ClientID: r.Form.Get("client_id"), RedirectURI: r.Form.Get("redirect_uri"), State: r.Form.Get("state"),
		ResponseType: oidc.ResponseType(r.Form.Get("response_type")), ResponseMode: oidc.ResponseMode(r.Form.Get("response_mode")),
		Scopes: strings.Fields(r.Form.Get("scope")), RequestParam: r.Form.Get("request") + r.Form.Get("request_uri"),
		CodeChallenge: r.Form.Get("code_challenge"), CodeChallengeMethod: oidc.CodeChallengeMethod(r.Form.Get("code_challenge_method")),
	}}
	p, err := s.store.OAuthClient(r.Context(), a.ClientID)
	if err != nil {
		if scim.ReasonOf(err) == scim.Unauthenticated {
			err = scim.Errorf(scim.Unauthenticated, "there is no such client_id, or it has expired")
		}
		return nil, err
	}
	a.client = &client{p}
	if err := op.ValidateAuthReqRedirectURI(a.client, a.RedirectURI, a.ResponseType); err != nil {
		return nil, err
	}
	if u, err := url.Parse(a.RedirectURI); err != nil || u.Fragment != "" || u.Host == "" {
		return nil, oidc.ErrInvalidRequest().WithDescription("the redirect_uri of the client is no absolute URL without a fragment")
	}
	if err := a.check(); err != nil {
		return a, err
	}
	a.scopes, err = grantScopes(a.Scopes, p.Credential.Scopes)
	return a, err
}

// check finds what the client asks for that there is not.
func (a *authorization) check() error {
	challenge, err := base64.RawURLEncoding.DecodeString(a.CodeChallenge)
	switch {
	case a.ResponseType != oidc.ResponseTypeCode:
		return &oidc.Error{ErrorType: "unsupported_response_type", Description: "response_type is code"}
	case a.ResponseMode != "" && a.ResponseMode != oidc.ResponseModeQuery:
		return oidc.ErrInvalidRequest().WithDescription("response_mode is query")
	case a.RequestParam != "":
		return oidc.ErrRequestNotSupported()
	case a.CodeChallenge == "":
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is missing: PKCE is required")
	case a.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method is S256")
	case err != nil || len(challenge) != 32:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is no SHA-256 in base64url")
	}
	return nil
}

// refuse tells why a request cannot even be shown to an administrator.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, a *authorization, err error) {
	e, known := errors.AsType[*oidc.Error](err)
	if a != nil && known {
		values := url.Values{"error": {string(e.ErrorType)}}
		if e.Description != "" {
			values.Set("error_description", e.Description)
		}
		s.answer(w, r, a, values)
		return
	}
	if known {
		showPage(w, r, http.StatusBadRequest, page{Problem: e.Description})
		return
	}
	status, problem := s.explain(r, err)
	showPage(w, r, status, page{Problem: problem})
}

// explain is what a page says of an error.
func (s *Server) explain(r *http.Request, err error) (status int, problem string) {
	e, ours := errors.AsType[*scim.Error](err)
	if !ours {
		s.log.ErrorContext(r.Context(), "internal error", "path", r.URL.Path, "cause", err)
		return http.StatusInternalServerError, "The server failed; its log has the cause."
	}
	if status = e.Reason.Status(); status == http.StatusUnauthorized {
		status = http.StatusForbidden // a page has no header to ask for
	}
	return status, e.Detail
}

// approve issues a code where an administrator proved to be one.
func (s *Server) approve(w http.ResponseWriter, r *http.Request, a *authorization) {
	admin, err := s.administrator(r.Context(), strings.TrimSpace(r.PostForm.Get("credential")), a)
	exchangeOf(r.Context()).noteRefusal(err)
	if err != nil {
		exchangeOf(r.Context()).tellRetryAfter(err)
		status, problem := s.explain(r, err)
		showPage(w, r, status, pageOf(a, problem))
		return
	}
	x := exchangeOf(r.Context())
	x.isOf(admin)
	x.act.ResourceType, x.act.ResourceID = "Credential", a.client.TenantName+"/"+a.client.Credential.Name
	detail, err := json.Marshal(codeDetail{RedirectURI: a.RedirectURI, Challenge: a.CodeChallenge, ApprovedBy: admin.Credential.Name})
	if err != nil {
		panic(err) // texts have a JSON form
	}
	code, kept := a.client.issue(store.AuthorizationCode, "ac", CodeLifetime, a.scopes)
	kept.Family, kept.Detail = rand.Text(), string(detail)
	if err := s.store.IssueToken(r.Context(), a.client.ID, kept); err != nil {
		status, problem := s.explain(r, err)
		showPage(w, r, status, pageOf(a, problem))
		return
	}
	s.log.InfoContext(r.Context(), "authorization approved", "tenant", a.client.TenantName, "client", a.client.Credential.Name,
		"scopes", strings.Join(a.scopes, " "), "by", admin.Credential.Name)
	s.answer(w, r, a, url.Values{"code": {code}})
}

// administrator finds the credential that may approve: one with the scope admin, of
// the client's tenant or of the one that administers all.
func (s *Server) administrator(ctx context.Context, secret string, a *authorization) (store.Principal, error) {
	if secret == "" {
		return store.Principal{}, scim.Errorf(scim.InvalidValue, "Paste a credential to allow this.")
	}
	p, err := s.attempt(exchangeOf(ctx), secret, func() (store.Principal, error) { return s.store.Authenticate(ctx, server.HashToken(secret)) })
	if err != nil {
		return p, err
	}
	sees := p.TenantName == a.client.TenantName || p.TenantName == server.DefaultTenant
	administers := slices.Contains(p.Credential.Scopes, server.ScopeAdmin) && (p.Granted == nil || slices.Contains(p.Granted, server.ScopeAdmin))
	shown := slices.Contains([]store.Kind{store.Bearer, store.Direct, store.OAuth}, p.Credential.Kind) // by the secret alone
	if !shown || !sees || !administers || p.Credential.Preview {
		return p, scim.Errorf(scim.Forbidden, "This credential does not administer the tenant: it needs the scope admin.")
	}
	return p, nil
}

// answer sends the browser back to the client, with the state that it sent and who
// answers (RFC 6749 section 4.1.2, RFC 9207).
func (s *Server) answer(w http.ResponseWriter, r *http.Request, a *authorization, values url.Values) {
	u, err := url.Parse(a.RedirectURI)
	if err != nil { // it was read before
		showPage(w, r, http.StatusBadRequest, page{Problem: "The redirect_uri is no URL."})
		return
	}
	query := u.Query()
	for name := range values {
		query.Set(name, values.Get(name))
	}
	if a.State != "" {
		query.Set("state", a.State)
	}
	query.Set("iss", exchangeOf(r.Context()).issuer)
	u.RawQuery = query.Encode()
	w.Header().Set("Location", u.String())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusSeeOther) // what is sent on is no form
}
