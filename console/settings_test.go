package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
)

// providerMetadata are those of a SAML identity provider, as it would give them away.
const providerMetadata = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.com/saml"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>MIIB</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example.com/sso"/></IDPSSODescriptor></EntityDescriptor>`

// A login link that the page makes lets somebody in with the role that was chosen, and
// the session that comes of it can be ended.
func TestSessions_LinkAndEnd(t *testing.T) {
	w := newWorld(t)
	answer, body := w.post(t, "settings/sessions/link", url.Values{"operator": {"grace@example.com"}, "role": {"operator"}})
	_, after, _ := strings.Cut(body, "https://scim.example.com/console/signin#")
	secret, _, _ := strings.Cut(after, "<")
	if answer.StatusCode != http.StatusOK || secret == "" {
		t.Fatalf("%s\n%s", answer.Status, body)
	}
	in, err := w.console.operators.SignIn(t.Context(), &musterv1.SignInRequest{By: &musterv1.SignInRequest_LoginSecret{LoginSecret: secret}})
	if err != nil || in.GetSession().GetRole() != musterv1.OperatorRole_OPERATOR_ROLE_OPERATOR {
		t.Fatalf("%v, %v", in, err)
	}
	if _, body := w.get(t, "settings/sessions"); !strings.Contains(body, "grace@example.com") {
		t.Errorf("she is not among those who are signed in: %s", body)
	}
	if answer, _ := w.post(t, "settings/sessions/"+in.GetSession().GetId()+"/end", nil); answer.StatusCode != http.StatusSeeOther {
		t.Error(answer.Status)
	}
	if _, err := w.console.operators.GetSession(as(t.Context(), in.GetSecret(), ""), &musterv1.GetSessionRequest{}); err == nil {
		t.Error("the session is still good")
	}
	if answer, body := w.post(t, "settings/sessions/link", url.Values{"operator": {""}, "role": {"viewer"}}); !strings.Contains(body, "the name of an operator") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
}

// A provider's metadata come as a file; what is wrong with them is told beside what was
// entered.
func TestProviders_SAMLMetadata(t *testing.T) {
	w := newWorld(t)
	set := func(path, metadata string) (*http.Response, string) {
		var form bytes.Buffer
		parts := multipart.NewWriter(&form)
		for _, f := range []field{{"kind", "saml"}, {"name", "cyberark"}, {"display", "CyberArk Identity"}, {"attribute", "Roles"}, {"value", "Muster Viewers"}, {"role", "viewer"}, {"attribute", ""}, {"value", ""}, {"role", "viewer"}} {
			if err := parts.WriteField(f.Name, f.Value); err != nil {
				t.Fatal(err)
			}
		}
		file, err := parts.CreateFormFile("file", "metadata.xml")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte(metadata)); err != nil {
			t.Fatal(err)
		}
		if err := parts.Close(); err != nil {
			t.Fatal(err)
		}
		return w.send(t, http.MethodPost, path, &form, "Content-Type", parts.FormDataContentType())
	}
	if answer, body := set("settings/sign-in-new", "<html/>"); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, `value="Muster Viewers"`) || !strings.Contains(body, "metadata") {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	for _, path := range []string{"settings/sign-in-new", "settings/sign-in/cyberark"} {
		if answer, body := set(path, providerMetadata); answer.StatusCode != http.StatusSeeOther {
			t.Fatalf("%s\n%s", answer.Status, body)
		}
	}
	out, err := w.operators.GetSignInProvider(w.ctx, &musterv1.GetSignInProviderRequest{Name: "cyberark"})
	if p := out.GetProvider(); err != nil || p.GetSaml().GetEntityId() != "https://idp.example.com/saml" || len(p.GetRoles()) != 1 || p.GetDisplayName() != "CyberArk Identity" {
		t.Errorf("%v, %v", p, err)
	}
	w.post(t, "settings/sign-in/cyberark/delete", nil)
	if _, err := w.operators.GetSignInProvider(w.ctx, &musterv1.GetSignInProviderRequest{Name: "cyberark"}); reasonOf(err) != "notFound" {
		t.Errorf("it is still there: %v", err)
	}
}

// Webhooks are made, held, resumed and deleted.
func TestWebhooks_Life(t *testing.T) {
	w := newWorld(t)
	if answer, body := w.post(t, "settings/webhooks-new", url.Values{"name": {"siem"}, "endpoint": {"ftp://nowhere"}}); answer.StatusCode != http.StatusBadRequest || !strings.Contains(body, `value="ftp://nowhere"`) {
		t.Errorf("%s\n%s", answer.Status, body)
	}
	w.post(t, "settings/webhooks-new", url.Values{"name": {"siem"}, "endpoint": {"https://siem.example.com/events"}, "authorization": {"Bearer not-to-be-shown"}, "detail": {"full"}})
	w.post(t, "settings/webhooks-new", url.Values{"name": {"puller"}, "by": {"poll"}})
	state := func(name string) webhookRow {
		out, err := w.subscriptions.GetSubscription(w.ctx, &musterv1.GetSubscriptionRequest{Subscription: name})
		if err != nil {
			t.Fatal(err)
		}
		return webhookRowOf(out.GetSubscription())
	}
	if s := state("siem"); !s.Active() || !s.Full() || !s.GetPush().GetHasAuthorization() || state("puller").GetPoll() == nil {
		t.Errorf("it is %v", s)
	}
	if _, body := w.get(t, "settings/webhooks/siem"); strings.Contains(body, "not-to-be-shown") || !strings.Contains(body, "siem.example.com") {
		t.Errorf("the page is %s", body)
	}
	w.post(t, "settings/webhooks/siem/pause", url.Values{"paused": {"1"}})
	if !state("siem").Stopped() {
		t.Error("it is not held")
	}
	w.post(t, "settings/webhooks/siem/pause", nil)
	if !state("siem").Active() {
		t.Error("it is not resumed")
	}
	for _, deed := range []string{"retry", "discard", "skip", "delete"} {
		if answer, body := w.post(t, "settings/webhooks/siem/"+deed, nil); answer.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %s\n%s", deed, answer.Status, body)
		}
	}
	if _, err := w.subscriptions.GetSubscription(w.ctx, &musterv1.GetSubscriptionRequest{Subscription: "siem"}); reasonOf(err) != "notFound" {
		t.Errorf("it is still there: %v", err)
	}
}
