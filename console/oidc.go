package console

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

const (
	// issuerTime is how long what an issuer says of itself is used.
	issuerTime = 5 * time.Minute
	// issuerPatience is how long an issuer may take for an answer.
	issuerPatience = 10 * time.Second
	// maxIssuerAnswer is how many bytes it may have.
	maxIssuerAnswer = 1 << 20
)

// issuers are the OpenID providers, by their URL.
type issuers struct {
	client *http.Client
	mu     sync.Mutex
	known  map[string]issuer
}

// An issuer is what a provider says of itself.
type issuer struct {
	*oidc.Provider

	since time.Time
}

func newIssuers() *issuers {
	return &issuers{client: &http.Client{Timeout: issuerPatience, Transport: shortAnswers{http.DefaultTransport}}, known: make(map[string]issuer)}
}

// shortAnswers ends answers that are longer than any provider has a reason for.
type shortAnswers struct{ http.RoundTripper }

func (t shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(answer.Body, maxIssuerAnswer), answer.Body}
	}
	return answer, err
}

// of finds an issuer by its URL.
func (i *issuers) of(ctx context.Context, url string) (*oidc.Provider, error) {
	i.mu.Lock()
	known, ok := i.known[url]
	i.mu.Unlock()
	if ok && time.Since(known.since) < issuerTime {
		return known.Provider, nil
	}
	found, err := oidc.NewProvider(i.context(ctx), url)
	if err != nil {
		return nil, err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known[url] = issuer{found, time.Now()}
	return found, nil
}

// context is one in which the libraries ask issuers. Keys are asked for by later requests
// too, so it does not end with this one; each answer has its time.
func (i *issuers) context(ctx context.Context) context.Context {
	return oidc.ClientContext(context.WithoutCancel(ctx), i.client)
}

// oauthConfig is how Muster is a client of a provider.
func (c *Console) oauthConfig(origin string, p *musterv1.SignInProvider, at *oidc.Provider) (*oauth2.Config, error) {
	set := p.GetOidc()
	config := &oauth2.Config{ClientID: set.GetClientId(), Endpoint: at.Endpoint(), RedirectURL: origin + root + "oidc/callback", Scopes: []string{oidc.ScopeOpenID, "profile", "email"}}
	if scopes := set.GetScopes(); len(scopes) > 0 {
		config.Scopes = append([]string{oidc.ScopeOpenID}, slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == oidc.ScopeOpenID })...)
	}
	if c.clientSecret != nil {
		var err error
		if config.ClientSecret, err = c.clientSecret(set.GetIssuer(), set.GetClientId()); err != nil {
			return nil, err
		}
	}
	// The library would find out by trying, and send the code twice.
	var says struct {
		Methods []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := at.Claims(&says); err != nil {
		return nil, err
	}
	config.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if config.ClientSecret == "" || len(says.Methods) > 0 && !slices.Contains(says.Methods, "client_secret_basic") {
		config.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return config, nil
}

// startOIDC begins an authorization code flow with PKCE, state and nonce.
func (v *visit) startOIDC(origin string, p *musterv1.SignInProvider, a *attempt) (string, error) {
	at, err := v.issuers.of(v.Context(), p.GetOidc().GetIssuer())
	if err != nil {
		return "", err
	}
	config, err := v.oauthConfig(origin, p, at)
	if err != nil {
		return "", err
	}
	a.State, a.Nonce, a.Verifier = rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	return config.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), nil
}

// finishOIDC is where the provider sends the browser back to.
func finishOIDC(v *visit) error {
	a, found, err := v.takeAttempt()
	if err != nil {
		return err
	}
	if !found || a.State == "" || subtle.ConstantTimeCompare([]byte(a.State), []byte(v.FormValue("state"))) != 1 {
		return v.refuseSignIn(&musterv1.SignInProvider{Tenant: a.Tenant, Name: a.Provider}, "it did not begin in this browser, or took too long", nil)
	}
	p, _, err := v.provider(v.Context(), a.Tenant, a.Provider)
	if err != nil {
		return err
	}
	if p.GetKind() != musterv1.SignInProvider_KIND_OIDC {
		return v.showSignIn(noProvider, http.StatusNotFound)
	}
	origin, _ := v.origin()
	who, err := v.identityOIDC(origin, p, &a)
	if err != nil {
		told, cause := "the provider's answer is not valid", err
		if said, ok := errors.AsType[providerError](err); ok {
			told, cause = string(said), nil
		}
		return v.refuseSignIn(p, told, cause)
	}
	return v.begin(&musterv1.SignInRequest{By: &musterv1.SignInRequest_Identity{Identity: who}}, a.Return)
}

// providerError is an error that an operator is told as it is.
type providerError string

func (e providerError) Error() string { return string(e) }

// identityOIDC is who the provider says that the operator is, verified.
func (v *visit) identityOIDC(origin string, p *musterv1.SignInProvider, a *attempt) (*musterv1.SignInIdentity, error) {
	set, query := p.GetOidc(), v.URL.Query()
	if iss := query.Get("iss"); iss != "" && iss != set.GetIssuer() { // RFC 9207
		return nil, providerError("the answer comes from another provider")
	}
	if query.Get("error") != "" {
		return nil, providerError(fmt.Sprintf("the provider says %.80q", query.Get("error")))
	}
	at, err := v.issuers.of(v.Context(), set.GetIssuer())
	if err != nil {
		return nil, err
	}
	config, err := v.oauthConfig(origin, p, at)
	if err != nil {
		return nil, err
	}
	asking := v.issuers.context(v.Context())
	token, err := config.Exchange(asking, query.Get("code"), oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return nil, err
	}
	text, _ := token.Extra("id_token").(string)
	id, err := at.Verifier(&oidc.Config{ClientID: set.GetClientId()}).Verify(asking, text)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return nil, providerError("the ID token is not for this sign-in")
	}
	claims := make(map[string]any)
	if err := id.Claims(&claims); err != nil {
		return nil, err
	}
	if azp, _ := claims["azp"].(string); azp != "" && azp != set.GetClientId() || azp == "" && len(id.Audience) > 1 {
		return nil, providerError("the ID token is for another client")
	}
	if err := v.addUserInfo(asking, at, p, id.Subject, token, claims); err != nil {
		return nil, err
	}
	return identityOf(p, id, a.Nonce, claims), nil
}

// addUserInfo asks for the claims that the ID token does not have, where roles or the name
// need them.
func (v *visit) addUserInfo(ctx context.Context, at *oidc.Provider, p *musterv1.SignInProvider, subject string, token *oauth2.Token, claims map[string]any) error {
	missing := claims["email"] == nil
	for _, role := range p.GetRoles() {
		missing = missing || len(claimValues(claims, role.GetAttribute())) == 0
	}
	if !missing || at.UserInfoEndpoint() == "" {
		return nil
	}
	about, err := at.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return err
	}
	if about.Subject != subject { // OpenID Connect Core section 5.3.2
		return providerError("the provider tells of somebody else")
	}
	more := make(map[string]any)
	if err := about.Claims(&more); err != nil {
		return err
	}
	for name, value := range more {
		if _, has := claims[name]; !has {
			claims[name] = value
		}
	}
	return nil
}

// identityOf is what the core is told. The nonce stands for the ID token, of which there
// is one for each.
func identityOf(p *musterv1.SignInProvider, id *oidc.IDToken, nonce string, claims map[string]any) *musterv1.SignInIdentity {
	who := &musterv1.SignInIdentity{Tenant: p.GetTenant(), Provider: p.GetName(), Subject: id.Subject, AssertionId: nonce, AssertionExpireTime: timestamppb.New(time.Now().Add(2 * attemptTime * time.Second))}
	who.DisplayName, _ = claims["name"].(string)
	if verified, said := claims["email_verified"].(bool); verified || !said {
		who.Email, _ = claims["email"].(string)
	}
	for _, name := range attributeNames(p) {
		if values := claimValues(claims, name); len(values) > 0 {
			who.Attributes = append(who.Attributes, &musterv1.IdentityAttribute{Name: name, Values: values})
		}
	}
	return who
}

// attributeNames are what the roles of a provider are given for.
func attributeNames(p *musterv1.SignInProvider) (names []string) {
	for _, role := range p.GetRoles() {
		if !slices.Contains(names, role.GetAttribute()) {
			names = append(names, role.GetAttribute())
		}
	}
	return names
}

// claimValues are the texts of a claim: by its name, or else by the names of claims
// within claims, with dots between them.
func claimValues(claims map[string]any, name string) (values []string) {
	value, found := claims[name]
	for rest := name; !found; {
		top, below, more := strings.Cut(rest, ".")
		inner, ok := claims[top].(map[string]any)
		if !more || !ok {
			return nil
		}
		claims, rest = inner, below
		value, found = claims[rest]
	}
	list, isList := value.([]any)
	if !isList {
		list = []any{value}
	}
	for _, one := range list {
		switch one := one.(type) {
		case string:
			values = append(values, one)
		case bool, float64:
			values = append(values, fmt.Sprint(one))
		}
	}
	return values
}
