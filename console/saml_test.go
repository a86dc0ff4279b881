package console

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"io"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// A signInWorld is a server with the console on it, as a browser finds it: nobody is
// signed in.
type signInWorld struct {
	*httptest.Server

	core     *server.Server
	console  *Console
	jar      *cookiejar.Jar
	database string // its file
}

func newSignInWorld(t *testing.T) *signInWorld {
	t.Helper()
	ctx := context.Background()
	file := filepath.Join(t.TempDir(), "muster.db")
	st, err := store.Open(ctx, "sqlite://"+file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Bootstrap(ctx, server.DefaultTenant, "test", sha256.Sum256([]byte("token-of-this-test"))); err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := newSignInWorldOn(t, server.New(st, server.Options{}), jar)
	w.database = file
	return w
}

func newSignInWorldOn(t *testing.T, core *server.Server, jar *cookiejar.Jar) *signInWorld {
	t.Helper()
	w := &signInWorld{core: core, jar: jar}
	c, err := New(w.core.ConsoleConn(), Options{Public: true, Addressed: func(*http.Request) (string, netip.Addr) {
		return w.URL + "/scim/v2", netip.MustParseAddr("127.0.0.1")
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.Server, w.console = httptest.NewServer(c), c
	t.Cleanup(w.Close)
	return w
}

// operators is the service, for who works on the database.
func (w *signInWorld) operators() musterv1.OperatorServiceClient {
	return musterv1.NewOperatorServiceClient(w.core.LocalConn())
}

// do sends a request of the browser; redirects are not followed.
func (w *signInWorld) do(t *testing.T, method, path string, form url.Values, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, w.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Jar: w.jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(body)
}

// isSignedIn tells whether the browser gets a page of who is signed in.
func (w *signInWorld) isSignedIn(t *testing.T) bool {
	t.Helper()
	answer, _ := w.do(t, http.MethodGet, root+"keys", nil)
	return answer.StatusCode == http.StatusOK
}

// newIDP makes a SAML identity provider that knows Muster.
func newIDP(t *testing.T, w *signInWorld) *saml.IdentityProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &saml.IdentityProvider{Key: key, Certificate: certificate, ServiceProviderProvider: w, SignatureMethod: dsig.RSASHA256SignatureMethod,
		MetadataURL: url.URL{Scheme: "https", Host: "idp.example.com", Path: "/metadata"}, SSOURL: url.URL{Scheme: "https", Host: "idp.example.com", Path: "/sso"}}
}

// GetServiceProvider reads Muster's own metadata, as an administrator of the provider does.
func (w *signInWorld) GetServiceProvider(*http.Request, string) (*saml.EntityDescriptor, error) {
	answer, err := http.Get(w.URL + root + "saml/metadata")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	e := &saml.EntityDescriptor{}
	return e, xml.Unmarshal(text, e)
}

// trust makes the provider one of Muster's.
func (w *signInWorld) trust(t *testing.T, idp *saml.IdentityProvider, unasked bool) {
	t.Helper()
	metadata, err := xml.Marshal(idp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.operators().SetSignInProvider(t.Context(), &musterv1.SetSignInProviderRequest{Provider: &musterv1.SignInProvider{
		Name: "cyberark", Kind: musterv1.SignInProvider_KIND_SAML,
		OfKind: &musterv1.SignInProvider_Saml{Saml: &musterv1.SamlProvider{Metadata: string(metadata), AllowIdpInitiated: unasked}},
		Roles:  []*musterv1.RoleMapping{{Attribute: "Roles", Value: "Muster Admins", Role: musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR}},
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// A forgery changes what the provider says: before it is signed, and after.
type forgery struct {
	assertion func(*saml.Assertion)
	response  func(*etree.Element)
	group     string
}

// asks begins a sign-in, and returns the request that the provider gets.
func (w *signInWorld) asks(t *testing.T) *http.Request {
	t.Helper()
	answer, body := w.do(t, http.MethodGet, root+"signin/start?provider=cyberark&return=/console/groups", nil)
	to := answer.Header.Get("Location")
	if answer.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "https://idp.example.com/sso?SAMLRequest=") {
		t.Fatalf("%s to %q: %s", answer.Status, to, body)
	}
	return httptest.NewRequest(http.MethodGet, to, nil)
}

// answers is the provider's answer to a request, in the form of the browser.
func answers(t *testing.T, idp *saml.IdentityProvider, r *http.Request, f forgery) string {
	t.Helper()
	req, err := saml.NewIdpAuthnRequest(idp, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := req.Validate(); err != nil {
		t.Fatal(err)
	}
	return response(t, req, f)
}

// unasked is what the provider sends by itself.
func unasked(t *testing.T, idp *saml.IdentityProvider, f forgery) string {
	t.Helper()
	req, err := idp.NewIdpInitiatedRequest(httptest.NewRequest(http.MethodGet, "https://idp.example.com/portal", nil), "muster", "")
	if err != nil {
		t.Fatal(err)
	}
	return response(t, req, f)
}

// response is what the provider says, signed.
func response(t *testing.T, req *saml.IdpAuthnRequest, f forgery) string {
	t.Helper()
	if f.group == "" {
		f.group = "Muster Admins"
	}
	session := &saml.Session{ID: "1", NameID: "grace@example.com", NameIDFormat: string(saml.EmailAddressNameIDFormat), CreateTime: time.Now(), ExpireTime: time.Now().Add(time.Hour),
		CustomAttributes: []saml.Attribute{{Name: "Roles", Values: []saml.AttributeValue{{Type: "xs:string", Value: f.group}}}}}
	if err := (saml.DefaultAssertionMaker{}).MakeAssertion(req, session); err != nil {
		t.Fatal(err)
	}
	if f.assertion != nil {
		f.assertion(req.Assertion)
	}
	if err := req.MakeAssertionEl(); err != nil {
		t.Fatal(err)
	}
	if err := req.MakeResponse(); err != nil {
		t.Fatal(err)
	}
	if f.response != nil {
		f.response(req.ResponseEl)
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.ResponseEl)
	text, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

// unsigned takes all signatures away.
func unsigned(e *etree.Element) {
	for _, s := range e.FindElements("//Signature") {
		s.Parent().RemoveChild(s)
	}
}

// bring brings an answer to the server as a browser does: first from the provider's site,
// without the cookies, and then from the page that this gets.
func (w *signInWorld) bring(t *testing.T, response string) (*http.Response, string) {
	t.Helper()
	kept := w.jar
	w.jar, _ = cookiejar.New(nil)
	answer, body := w.do(t, http.MethodPost, acsPath, url.Values{"SAMLResponse": {response}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://idp.example.com")
	w.jar = kept
	if answer.StatusCode != http.StatusOK || !strings.Contains(body, `name="again"`) || len(answer.Cookies()) > 0 {
		t.Fatalf("the first time: %s %v", answer.Status, answer.Cookies())
	}
	return w.do(t, http.MethodPost, acsPath, url.Values{"SAMLResponse": {response}, "again": {"1"}}, "Sec-Fetch-Site", "same-origin")
}

// Who a SAML provider names is signed in, once, and comes to where he was.
func TestSAML(t *testing.T) {
	w := newSignInWorld(t)
	idp := newIDP(t, w)
	w.trust(t, idp, false)
	response := answers(t, idp, w.asks(t), forgery{})
	address, _ := url.Parse(w.URL)
	before := w.jar.Cookies(address)
	answer, body := w.bring(t, response)
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/console/groups" || !w.isSignedIn(t) {
		t.Fatalf("%s to %q: %s", answer.Status, answer.Header.Get("Location"), body)
	}
	all, err := w.operators().ListSessions(t.Context(), &musterv1.ListSessionsRequest{})
	if err != nil || len(all.GetSessions()) != 1 || all.GetSessions()[0].GetOperator() != "grace@example.com" || all.GetSessions()[0].GetRole() != musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR {
		t.Errorf("the sessions are %v, %v", all, err)
	}
	w.jar, _ = cookiejar.New(nil)
	w.jar.SetCookies(address, before) // the browser as it was, or a copy of it
	if answer, body := w.bring(t, response); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "used before") || w.isSignedIn(t) {
		t.Errorf("replayed: %s", answer.Status)
	}
}

// Whom a provider sends unasked is let in where its setting allows it, once; also in place
// of what this browser asked.
func TestSAML_Unasked(t *testing.T) {
	w := newSignInWorld(t)
	idp := newIDP(t, w)
	w.trust(t, idp, false)
	w.asks(t)
	if answer, _ := w.bring(t, unasked(t, idp, forgery{})); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("not allowed: %s", answer.Status)
	}
	w.trust(t, idp, true)
	for name, f := range map[string]forgery{
		"unsigned":       {response: unsigned},
		"no role":        {group: "Staff"},
		"wrong audience": {assertion: func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other" }},
		"asked": {assertion: func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "id-of-another"
		}},
	} {
		if answer, _ := w.bring(t, unasked(t, idp, f)); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
			t.Errorf("%s: %s", name, answer.Status)
		}
	}
	w.asks(t)
	sent := unasked(t, idp, forgery{})
	if answer, body := w.bring(t, sent); answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != root || !w.isSignedIn(t) {
		t.Errorf("allowed: %s to %q: %s", answer.Status, answer.Header.Get("Location"), body)
	}
	w.jar, _ = cookiejar.New(nil)
	if answer, body := w.bring(t, sent); answer.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "used before") || w.isSignedIn(t) {
		t.Errorf("replayed: %s", answer.Status)
	}
}

// What a provider has not said, or not for this sign-in, lets nobody in.
func TestSAML_Refused(t *testing.T) {
	w := newSignInWorld(t)
	idp, other := newIDP(t, w), newIDP(t, w)
	w.trust(t, idp, false)
	for name, f := range map[string]forgery{
		"unsigned": {response: unsigned},
		"no role":  {group: "Staff"},
		"wrong audience": {assertion: func(a *saml.Assertion) {
			a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.example.com"
		}},
		"no audience": {assertion: func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil }},
		"wrong recipient": {assertion: func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = "https://other.example.com/acs"
		}},
		"another request": {assertion: func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "id-of-another"
		}},
		"expired": {assertion: func(a *saml.Assertion) {
			a.Conditions.NotOnOrAfter = time.Now().Add(-time.Hour)
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.NotOnOrAfter = time.Now().Add(-time.Hour)
		}},
		"not yet valid":   {assertion: func(a *saml.Assertion) { a.Conditions.NotBefore = time.Now().Add(time.Hour) }},
		"old":             {assertion: func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(-time.Hour) }},
		"another issuer":  {assertion: func(a *saml.Assertion) { a.Issuer.Value = "https://other.example.com" }},
		"changed":         {response: func(e *etree.Element) { e.FindElement("//NameID").SetText("mallory@example.com") }},
		"wrapped, before": {response: func(e *etree.Element) { wrap(e, 0) }},
		"wrapped, after":  {response: func(e *etree.Element) { wrap(e, len(e.Child)) }},
		"wrapped, around": {response: func(e *etree.Element) {
			good := e.FindElement("./Assertion")
			evil := good.Copy()
			unsigned(evil)
			evil.CreateAttr("ID", "evil")
			evil.FindElement(".//NameID").SetText("mallory@example.com")
			for _, s := range e.SelectElements("Signature") {
				e.RemoveChild(s)
			}
			e.RemoveChild(good)
			extensions := evil.CreateElement("Extensions")
			extensions.AddChild(good)
			e.AddChild(evil)
		}},
	} {
		r := w.asks(t)
		if answer, _ := w.bring(t, answers(t, idp, r, f)); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
			t.Errorf("%s: %s, signed in: %v", name, answer.Status, w.isSignedIn(t))
		}
	}
	if answer, _ := w.bring(t, answers(t, other, w.asks(t), forgery{})); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("another key: %s", answer.Status)
	}
	response := answers(t, idp, w.asks(t), forgery{})
	w.jar, _ = cookiejar.New(nil)
	if answer, _ := w.bring(t, response); answer.StatusCode != http.StatusUnauthorized || w.isSignedIn(t) {
		t.Errorf("another browser: %s", answer.Status)
	}
	if answer, _ := w.bring(t, base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("<a>"), 1000))); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("no answer: %s", answer.Status)
	}
}

// wrap puts an unsigned assertion of somebody else beside the signed one, whose response
// is not signed itself.
func wrap(e *etree.Element, at int) {
	for _, s := range e.SelectElements("Signature") {
		e.RemoveChild(s)
	}
	evil := e.FindElement("./Assertion").Copy()
	unsigned(evil)
	evil.CreateAttr("ID", "evil")
	evil.FindElement(".//NameID").SetText("mallory@example.com")
	e.InsertChildAt(min(at, len(e.Child)), evil)
}
