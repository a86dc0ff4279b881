package console

import (
	"bytes"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/crewjam/saml"
	"github.com/crewjam/saml/samlsp"
	"github.com/crewjam/saml/xmlenc"
	"google.golang.org/protobuf/types/known/timestamppb"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// acsPath is where SAML providers send browsers back to, by a form on their own site.
const acsPath = root + "saml/acs"

// serviceProvider is Muster as SAML providers know it.
func serviceProvider(origin string) (*saml.ServiceProvider, error) {
	metadata, err := url.Parse(origin + root + "saml/metadata")
	if err != nil {
		return nil, err
	}
	acs, err := url.Parse(origin + acsPath)
	if err != nil {
		return nil, err
	}
	return &saml.ServiceProvider{
		EntityID: metadata.String(), MetadataURL: *metadata, AcsURL: *acs,
		AuthnNameIDFormat: saml.UnspecifiedNameIDFormat, MetadataOmitValidUntil: true,
		AssertionConsumerServiceBindings: []string{saml.HTTPPostBinding},
		RejectUnknownConditions:          true, RejectSHA1Signatures: true, RequireSignedResponseForCBC: true,
	}, nil
}

// serviceProviderOf is the same for one provider.
func serviceProviderOf(origin string, p *musterv1.SignInProvider) (*saml.ServiceProvider, error) {
	sp, err := serviceProvider(origin)
	if err != nil {
		return nil, err
	}
	sp.IDPMetadata, err = samlsp.ParseMetadata([]byte(p.GetSaml().GetMetadata()))
	return sp, err
}

// decrypting gives a service provider the key that providers encrypt for.
func (v *visit) decrypting(sp *saml.ServiceProvider) error {
	prepared, err := v.operators.PrepareSignIn(v.Context(), &musterv1.PrepareSignInRequest{Decryption: true})
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(prepared.GetDecryptionKey(), prepared.GetDecryptionKey())
	if err != nil {
		return err
	}
	private, ok := pair.PrivateKey.(*rsa.PrivateKey)
	if !ok {
		return errors.New("the decryption key is of another kind than RSA")
	}
	sp.EncryptionKey, sp.EncryptionCertificate = private, pair.Leaf
	return nil
}

// showSAMLMetadata is what the provider is told of Muster. The key to encrypt for is among
// it only for who asks: many providers begin to encrypt when they see one, not all of them
// in a way that is safe.
func showSAMLMetadata(v *visit) error {
	origin, ok := v.origin()
	if !ok {
		return v.showSignIn("Set base-url of `muster serve`: providers need to know the public address of this server.", http.StatusConflict)
	}
	sp, err := serviceProvider(origin)
	if err != nil {
		return err
	}
	if v.FormValue("encryption") != "" {
		if err := v.decrypting(sp); err != nil {
			return err
		}
	}
	text, err := xml.MarshalIndent(sp.Metadata(), "", "  ")
	if err != nil {
		return err
	}
	v.w.Header().Set("Content-Type", "application/samlmetadata+xml")
	v.w.Header().Set("Content-Disposition", `attachment; filename="muster-metadata.xml"`)
	_, _ = v.w.Write(append([]byte(xml.Header), text...)) // an error means that the browser is gone
	return nil
}

// startSAML asks the provider who somebody is.
func startSAML(origin string, p *musterv1.SignInProvider, a *attempt) (string, error) {
	sp, err := serviceProviderOf(origin, p)
	if err != nil {
		return "", err
	}
	request, err := sp.MakeAuthenticationRequest(sp.GetSSOBindingLocation(saml.HTTPRedirectBinding), saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", err
	}
	a.Request = request.ID
	to, err := request.Redirect("", sp)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// A handedOver is an answer of a provider that the browser has to bring once more.
type handedOver struct{ Response string }

// finishSAML takes the answer of a provider. The form that brings it stands on the
// provider's site, so the browser leaves out the cookie with the attempt (SameSite). A
// page of our own then sends the same form again, by its script or a button: now the
// request comes from this site, and has the cookie. No cookie has to be open to other
// sites for that.
func finishSAML(v *visit) error {
	again := v.FormValue("again") != ""
	if !again && v.cookie(attemptCookie) == "" {
		return v.show("saml", page{Title: "Signing in", Data: handedOver{v.FormValue("SAMLResponse")}})
	}
	a, found, err := v.takeAttempt()
	if err != nil {
		return err
	}
	origin, ok := v.origin()
	text, malformed := base64.StdEncoding.DecodeString(v.FormValue("SAMLResponse"))
	if !ok || malformed != nil || len(text) == 0 {
		return v.refuseSignIn(&musterv1.SignInProvider{Tenant: a.Tenant, Name: a.Provider}, "there is no answer of a provider", malformed)
	}
	err = errNotAsked
	var p *musterv1.SignInProvider
	if found && a.Request != "" {
		if p, _, err = v.provider(v.Context(), a.Tenant, a.Provider); err != nil {
			return err
		}
		if p.GetKind() != musterv1.SignInProvider_KIND_SAML {
			return v.showSignIn(noProvider, http.StatusNotFound)
		}
		var who *musterv1.SignInIdentity
		if who, err = v.identitySAML(origin, p, text, a.Request); err == nil {
			return v.begin(&musterv1.SignInRequest{By: &musterv1.SignInRequest_Identity{Identity: who}}, a.Return)
		}
	}
	if errors.Is(err, errNotAsked) || errors.Is(err, saml.ErrRequestIDMismatch) {
		return v.finishUnasked(origin, p, text, err)
	}
	return v.refuseSignIn(p, explainSAML(err), err)
}

var errNotAsked = errors.New("no sign-in is under way in this browser")

// finishUnasked takes what a provider of the first tenant sends by itself, if it may: the
// one whose key has signed it.
func (v *visit) finishUnasked(origin string, asked *musterv1.SignInProvider, text []byte, why error) error {
	prepared, err := v.operators.PrepareSignIn(v.Context(), &musterv1.PrepareSignInRequest{})
	if err != nil {
		return err
	}
	for _, p := range prepared.GetProviders() {
		if !p.GetSaml().GetAllowIdpInitiated() {
			continue
		}
		who, err := v.identitySAML(origin, p, text, "")
		if err == nil {
			return v.begin(&musterv1.SignInRequest{By: &musterv1.SignInRequest_Identity{Identity: who}}, root)
		}
		asked, why = p, err
	}
	return v.refuseSignIn(asked, explainSAML(why), why)
}

// spending notes which assertion the library has accepted, and until when it could be
// used. Whether it was used before, on any server, the core decides when it signs in.
type spending struct {
	id      string
	expires time.Time
}

func (s *spending) Consume(id string, expires time.Time) error {
	s.id, s.expires = id, expires
	return nil
}

// identitySAML is who the provider says that the operator is, in an answer to the request
// of this id; empty: unasked. The library checks signature, issuer, audience, recipient,
// times and the request; what it returns stands within what is signed.
func (v *visit) identitySAML(origin string, p *musterv1.SignInProvider, text []byte, request string) (*musterv1.SignInIdentity, error) {
	sp, err := serviceProviderOf(origin, p)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(text, []byte("EncryptedData")) {
		if err := v.decrypting(sp); err != nil {
			return nil, err
		}
	}
	spent := &spending{}
	sp.ReplayCache, sp.AllowIDPInitiated = spent, request == ""
	assertion, err := sp.ParseXMLResponse(text, []string{request}, sp.AcsURL)
	if err != nil {
		if private, ok := errors.AsType[*saml.InvalidResponseError](err); ok {
			err = private.PrivateErr
		}
		return nil, err
	}
	if assertion.Subject == nil || assertion.Subject.NameID == nil {
		return nil, providerError("the provider does not say who it is (NameID)")
	}
	who := &musterv1.SignInIdentity{
		Tenant: p.GetTenant(), Provider: p.GetName(), Subject: assertion.Subject.NameID.Value,
		AssertionId: spent.id, AssertionExpireTime: timestamppb.New(spent.expires),
	}
	if assertion.Subject.NameID.Format == string(saml.EmailAddressNameIDFormat) {
		who.Email = who.GetSubject()
	}
	addAttributes(who, p, assertion)
	return who, nil
}

// What providers call the e-mail address and the name of a person.
var (
	emailAttributes = []string{"email", "mail", "emailaddress", "urn:oid:0.9.2342.19200300.100.1.3", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"}
	nameAttributes  = []string{"displayname", "name", "urn:oid:2.16.840.1.113730.3.1.241", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "http://schemas.microsoft.com/identity/claims/displayname"}
)

// addAttributes adds what an assertion says beside the subject.
func addAttributes(who *musterv1.SignInIdentity, p *musterv1.SignInProvider, assertion *saml.Assertion) {
	wanted := attributeNames(p)
	for _, statement := range assertion.AttributeStatements {
		for _, attribute := range statement.Attributes {
			var values []string
			for _, value := range attribute.Values {
				values = append(values, strings.TrimSpace(value.Value))
			}
			if len(values) == 0 {
				continue
			}
			lower := strings.ToLower(attribute.Name)
			if who.GetEmail() == "" && slices.Contains(emailAttributes, lower) {
				who.Email = values[0]
			}
			if who.GetDisplayName() == "" && slices.Contains(nameAttributes, lower) {
				who.DisplayName = values[0]
			}
			for _, name := range []string{attribute.Name, attribute.FriendlyName} {
				if slices.Contains(wanted, name) {
					who.Attributes = append(who.Attributes, &musterv1.IdentityAttribute{Name: name, Values: values})
					break
				}
			}
		}
	}
}

// notSigned is what the library says where it demands a signature and there is none; it
// has no name for the error.
const notSigned = "signature element not present"

// explainSAML says in words why an answer is refused.
func explainSAML(err error) string {
	if said, ok := errors.AsType[providerError](err); ok {
		return string(said)
	}
	if bad, ok := errors.AsType[saml.ErrBadStatus](err); ok {
		return "the provider says " + bad.Status[strings.LastIndexByte(bad.Status, ':')+1:]
	}
	if _, ok := errors.AsType[xmlenc.ErrAlgorithmNotImplemented](err); ok && errors.Is(err, saml.ErrDecryptionFailed) {
		return "the assertion is encrypted in a way that is not accepted; let the provider use AES-GCM with RSA-OAEP, or not encrypt"
	}
	if strings.Contains(err.Error(), "RequireSignedResponseForCBC") {
		return "the assertion is encrypted with AES-CBC, which others can change; let the provider sign the response too, use AES-GCM, or not encrypt"
	}
	if errors.Is(err, saml.ErrInvalidSignature) && errors.Is(err, saml.ErrUnsupported) {
		return "it is signed with SHA-1, which is not safe any more; let the provider sign with SHA-256"
	}
	if err.Error() == notSigned {
		return "it is not signed; let the provider sign the response or the assertion"
	}
	for _, known := range []struct {
		is   error
		text string
	}{
		{errNotAsked, "it did not begin in this browser, or took too long"},
		{saml.ErrRequestIDMismatch, "it did not begin in this browser, or took too long"},
		{saml.ErrExpired, "the provider's answer has expired; compare the clocks"},
		{saml.ErrNotYetValid, "the provider's answer is not valid yet; compare the clocks"},
		{saml.ErrAudienceMismatch, "the provider's answer is for another audience than this server's entity ID"},
		{saml.ErrDestinationMismatch, "the provider's answer is for another address than this server's"},
		{saml.ErrIssuerMismatch, "the answer comes from another provider"},
		{saml.ErrUntrustedCertificate, "it is signed with a certificate that the provider's metadata do not have"},
		{saml.ErrCertificateNotValidNow, "the provider's certificate has expired; give its new metadata"},
		{saml.ErrDecryptionFailed, "the assertion is encrypted, and not for the key of this server; give the provider the metadata with the key to encrypt for, or let it not encrypt"},
		{saml.ErrInvalidSignature, "its signature is not valid"},
	} {
		if errors.Is(err, known.is) {
			return known.text
		}
	}
	return "the provider's answer is not valid"
}
