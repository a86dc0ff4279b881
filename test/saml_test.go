package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/test/browser"
)

// pythonOfOthers is a Python that has the libraries of test/clients.
var pythonOfOthers = sync.OnceValues(func() (string, error) {
	if _, err := exec.LookPath("xmlsec1"); err != nil {
		return "", err
	}
	said := &bytes.Buffer{}
	venv := exec.Command("clients/venv")
	venv.Stderr = said
	out, err := venv.Output()
	if err != nil {
		return "", fmt.Errorf("clients/venv: %w\n%s", err, said)
	}
	return strings.TrimSpace(string(out)), nil
})

// An identityProvider is clients/idp.py: the SAML 2.0 of another library than ours, in a
// process of its own.
type identityProvider struct {
	*program

	address string
}

// startProvider starts an identity provider, and tells it the metadata of the server.
// Where there is no xmlsec1, or pysaml2 cannot be had, the test is skipped, loudly;
// MUSTER_TEST_SAML_REQUIRED makes that a failure.
func startProvider(t *testing.T, p *program) *identityProvider {
	t.Helper()
	python, err := pythonOfOthers()
	if err != nil {
		if os.Getenv("MUSTER_TEST_SAML_REQUIRED") == "" {
			t.Skip("NOT TESTED WITH PYSAML2: ", err)
		}
		t.Fatal(err)
	}
	idp := &identityProvider{program: &program{cmd: exec.Command(python, "-W", "ignore", "clients/idp.py", t.TempDir()), out: &output{}, ended: make(chan error, 1)}}
	idp.cmd.Stdout, idp.cmd.Stderr = idp.out, idp.out
	if err := idp.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { idp.ended <- idp.cmd.Wait() }()
	t.Cleanup(idp.kill)
	idp.address = idp.awaitLine(t, "Identity provider: ")
	idp.learns(t, get(t, p.console()+"saml/metadata"))
	return idp
}

// learns gives the provider the metadata of the server.
func (idp *identityProvider) learns(t *testing.T, ours string) {
	t.Helper()
	told, err := http.Post(idp.address+"/metadata", "application/samlmetadata+xml", strings.NewReader(ours))
	if err != nil {
		t.Fatal(err)
	}
	defer told.Body.Close()
	if text, err := io.ReadAll(told.Body); err != nil || told.StatusCode != http.StatusOK {
		t.Fatalf("the provider does not take our metadata: %s %v\n%s", told.Status, err, text)
	}
}

// console is where the pages are.
func (p *program) console() string { return strings.TrimSuffix(p.base, "scim/v2") + "console/" }

func get(t *testing.T, address string) string {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", address, answer.Status, err, text)
	}
	return string(text)
}

// metadataFile is a file with the provider's metadata, as an administrator has it.
func (idp *identityProvider) metadataFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "idp.xml")
	if err := os.WriteFile(file, []byte(get(t, idp.address+"/metadata")), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// affiliation is what eduPersonAffiliation is called in SAML.
const affiliation = "urn:oid:1.3.6.1.4.1.5923.1.1.1.1"

// trusts makes the provider one of the server's, by a command.
func (p *program) trusts(t *testing.T, idp *identityProvider, flags ...string) {
	t.Helper()
	p.runs(t, append([]string{"console", "provider", "set", "pysaml2", "--saml", idp.metadataFile(t),
		"--administrator", "Roles=Muster Administrators", "--viewer", affiliation + "=muster-viewer"}, flags...)...)
}

// A person is a browser as far as HTTP goes: it keeps cookies, and follows no redirect.
type person struct {
	p   *program
	idp *identityProvider
	jar *cookiejar.Jar
}

func newPerson(p *program, idp *identityProvider) *person {
	jar, _ := cookiejar.New(nil)
	return &person{p, idp, jar}
}

// do asks for something; a form is posted. The text is the body, or where it redirects to.
func (w *person) do(t *testing.T, jar *cookiejar.Jar, address string, form url.Values, header ...string) (status int, text string) {
	t.Helper()
	method := http.MethodGet
	if form != nil {
		method = http.MethodPost
	}
	r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	client := *noRedirects
	if jar != nil {
		client.Jar = jar
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if to := answer.Header.Get("Location"); to != "" {
		return answer.StatusCode, to
	}
	return answer.StatusCode, html.UnescapeString(string(body))
}

// isSignedIn tells whether the console knows the browser.
func (w *person) isSignedIn(t *testing.T) bool {
	t.Helper()
	status, _ := w.do(t, w.jar, w.p.console()+"keys", nil)
	return status == http.StatusOK
}

var responseText = regexp.MustCompile(`name="SAMLResponse" value="([^"]+)"`)

// hasAnswer begins a sign-in at the console, and is what the provider answers, signed in
// as somebody. ask has the person, the deed and what is signed; with portal the provider
// sends the browser unasked.
func (w *person) hasAnswer(t *testing.T, portal bool, ask url.Values) (response string) {
	t.Helper()
	var status int
	var page string
	if portal {
		status, page = w.do(t, nil, w.idp.address+"/portal?"+ask.Encode(), nil)
	} else {
		began, to := w.do(t, w.jar, w.p.console()+"signin/start?provider=pysaml2&return=/console/groups", nil)
		if began != http.StatusSeeOther || !strings.HasPrefix(to, w.idp.address+"/sso?SAMLRequest=") {
			t.Fatalf("%d, to %s", began, to)
		}
		if status, page = w.do(t, nil, to, nil); status != http.StatusOK || !strings.Contains(page, "I am grace") {
			t.Fatalf("the provider's page: %d %s", status, page)
		}
		sent, _ := url.Parse(to)
		ask.Set("SAMLRequest", sent.Query().Get("SAMLRequest"))
		status, page = w.do(t, nil, w.idp.address+"/answer", ask)
	}
	found := responseText.FindStringSubmatch(page)
	if status != http.StatusOK || found == nil || !strings.Contains(page, `action="`+w.p.console()+`saml/acs"`) {
		t.Fatalf("the provider's answer: %d %s", status, page)
	}
	return found[1]
}

// brings brings an answer to the console, as a browser does: from the provider's site
// without cookies, and by the page that this gets once more with them.
func (w *person) brings(t *testing.T, response string) (status int, text string) {
	t.Helper()
	acs := w.p.console() + "saml/acs"
	if first, page := w.do(t, nil, acs, url.Values{"SAMLResponse": {response}}, "Sec-Fetch-Site", "cross-site", "Origin", w.idp.address); first != http.StatusOK || !strings.Contains(page, `name="again"`) {
		t.Fatalf("the first time: %d %s", first, page)
	}
	return w.do(t, w.jar, acs, url.Values{"SAMLResponse": {response}, "again": {"1"}}, "Sec-Fetch-Site", "same-origin")
}

// sessions are those of the operators, the last one first.
func (p *program) sessions(t *testing.T) []*musterv1.Session {
	t.Helper()
	var all []json.RawMessage
	if err := json.Unmarshal([]byte(p.runs(t, "console", "sessions", "--json")), &all); err != nil {
		t.Fatal(err)
	}
	var sessions []*musterv1.Session
	for _, text := range all {
		x := &musterv1.Session{}
		if err := protojson.Unmarshal(text, x); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, x)
	}
	return sessions
}

// In a browser: an administrator gives the console the metadata of a provider of another
// library, and people sign in there; each has the role of an attribute.
func TestSAML_WholeWay(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		idp := startProvider(t, p)
		tab := signIn(t, p)
		tab.Visit("settings/sign-in-new?kind=saml")
		tab.Upload("#file", idp.metadataFile(t))
		tab.Click(`[name="unasked"]`)
		for i, mapped := range [][3]string{{"Roles", "Muster Administrators", "administrator"}, {affiliation, "muster-viewer", "viewer"}} {
			row := fmt.Sprintf(".role:nth-of-type(%d) ", i+1)
			tab.Type(row+`[name="attribute"]`, mapped[0])
			tab.Type(row+`[name="value"]`, mapped[1])
			tab.Evaluate(fmt.Sprintf("document.querySelector(%q).value = %q", row+"select", mapped[2]), nil)
		}
		tab.ClickText("Save")
		tab.Await("Operators can sign in with cyberark now")

		for _, who := range []struct {
			name, operator, shown string
			role                  musterv1.OperatorRole
		}{
			{"grace", "grace@example.com", "Grace Hopper", musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR},
			{"ada", "ada@example.com", "ada@example.com", musterv1.OperatorRole_OPERATOR_ROLE_VIEWER},
		} {
			tab := browser.Open(t, p.console())
			tab.Visit("groups")
			tab.ClickText("CyberArk Identity")
			tab.ClickText("I am " + who.name)
			tab.AwaitTrue(`document.querySelector("#nav") !== null`)
			if path := tab.Path(); path != "/console/groups" {
				t.Errorf("%s comes to %s", who.name, path)
			}
			last := p.sessions(t)[0]
			if last.GetOperator() != who.operator || last.GetDisplayName() != who.shown || last.GetRole() != who.role || last.GetProvider() != "cyberark" {
				t.Errorf("the session of %s is %v", who.name, last)
			}
		}
		unasked := browser.Open(t, p.console())
		unasked.Visit(idp.address + "/portal?person=grace")
		unasked.AwaitTrue(`document.querySelector("#nav") !== null`)
		if path := unasked.Path(); path != "/console/" {
			t.Errorf("unasked it comes to %s", path)
		}
	})
}

// Whatever a provider of another library signs is accepted, once; what is not as it
// should be lets nobody in, and the page says why.
func TestSAML_Deeds(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		idp := startProvider(t, p)
		p.trusts(t, idp)
		for _, sign := range []string{"assertion", "response", "both"} {
			w := newPerson(p, idp)
			if status, to := w.brings(t, w.hasAnswer(t, false, url.Values{"person": {"grace"}, "sign": {sign}})); status != http.StatusSeeOther || to != "/console/groups" || !w.isSignedIn(t) {
				t.Errorf("with a signed %s: %d %s", sign, status, to)
			}
		}
		eve := newPerson(p, idp) // whose name begins with that of grace
		status, text := eve.brings(t, eve.hasAnswer(t, false, url.Values{"person": {"eve"}, "deed": {"commented"}}))
		if last := p.sessions(t)[0]; status != http.StatusSeeOther || last.GetOperator() != "grace@example.com.example.org" {
			t.Errorf("a comment in a name: %d %s, %v", status, text, last)
		}
		before := len(p.sessions(t))
		for _, c := range []struct{ person, sign, deed, why string }{
			{"mallory", "assertion", "", "gives mallory@example.com no role"},
			{"grace", "none", "", "is not signed"},
			{"grace", "assertion", "impostor", "signed with a certificate that the provider's metadata do not have"},
			{"grace", "response", "impostor", "signed with a certificate that the provider's metadata do not have"},
			{"grace", "assertion", "sha1", "SHA-1"},
			{"grace", "assertion", "expired", "has expired"},
			{"grace", "both", "expired", "has expired"},
			{"grace", "assertion", "early", "not valid yet"},
			{"grace", "assertion", "old", "has expired"},
			{"grace", "assertion", "audience", "for another audience"},
			{"grace", "assertion", "recipient", "for another address"},
			{"grace", "assertion", "destination", "for another address"},
			{"grace", "both", "destination", "for another address"},
			{"grace", "assertion", "request", "did not begin in this browser"},
			{"grace", "assertion", "issuer", "comes from another provider"},
			{"grace", "assertion", "changed", "signature is not valid"},
			{"grace", "response", "changed", "signature is not valid"},
			{"mallory", "assertion", "raised", "signature is not valid"},
			{"mallory", "response", "raised", "signature is not valid"},
			{"grace", "assertion", "stripped", "is not signed"},
			{"grace", "response", "wrapped before", "signature is not valid"},
			{"grace", "assertion", "wrapped before", "not valid"},
			{"grace", "assertion", "wrapped after", "not valid"},
			{"grace", "both", "wrapped after", "signature is not valid"},
			{"grace", "assertion", "wrapped around", "is not signed"},
			{"grace", "assertion", "wrapped within", "not valid"},
		} {
			w := newPerson(p, idp)
			status, text := w.brings(t, w.hasAnswer(t, false, url.Values{"person": {c.person}, "sign": {c.sign}, "deed": {c.deed}}))
			if status != http.StatusUnauthorized || !strings.Contains(text, c.why) || w.isSignedIn(t) {
				t.Errorf("%s, %q, with a signed %s: %d %s", c.person, c.deed, c.sign, status, text)
			}
		}
		if after := len(p.sessions(t)); after != before {
			t.Errorf("of what is refused there are %d sessions", after-before)
		}
	})
}

// An answer is good once, and in the browser that asked.
func TestSAML_Once(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		idp := startProvider(t, p)
		p.trusts(t, idp)
		w := newPerson(p, idp)
		response := w.hasAnswer(t, false, url.Values{"person": {"grace"}})
		address, _ := url.Parse(p.console())
		attempt := w.jar.Cookies(address)
		if status, to := w.brings(t, response); status != http.StatusSeeOther || !w.isSignedIn(t) {
			t.Fatalf("%d %s", status, to)
		}
		copied := newPerson(p, idp)
		copied.jar.SetCookies(address, attempt)
		if status, text := copied.brings(t, response); status != http.StatusUnauthorized || !strings.Contains(text, "used before") || copied.isSignedIn(t) {
			t.Errorf("replayed: %d %s", status, text)
		}
		other := newPerson(p, idp)
		if status, text := other.brings(t, w.hasAnswer(t, false, url.Values{"person": {"grace"}})); status != http.StatusUnauthorized || !strings.Contains(text, "did not begin in this browser") || other.isSignedIn(t) {
			t.Errorf("in another browser: %d %s", status, text)
		}
		// An answer to the first of two questions is none to the second.
		first := other.hasAnswer(t, false, url.Values{"person": {"grace"}})
		other.hasAnswer(t, false, url.Values{"person": {"grace"}})
		if status, text := other.brings(t, first); status != http.StatusUnauthorized || !strings.Contains(text, "did not begin in this browser") || other.isSignedIn(t) {
			t.Errorf("to another question: %d %s", status, text)
		}
	})
}

// What a provider sends unasked is accepted where its setting allows that, with all the
// other checks; elsewhere nobody is let in.
func TestSAML_Unasked(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		idp := startProvider(t, p)
		p.trusts(t, idp)
		refused := func(what, response, why string) {
			t.Helper()
			w := newPerson(p, idp)
			if status, text := w.brings(t, response); status != http.StatusUnauthorized || !strings.Contains(text, why) || w.isSignedIn(t) {
				t.Errorf("%s: %d %s", what, status, text)
			}
		}
		unasked := func(ask url.Values) string { return newPerson(p, idp).hasAnswer(t, true, ask) }
		refused("not allowed", unasked(url.Values{"person": {"grace"}}), "did not begin in this browser")
		asking := newPerson(p, idp)
		asking.hasAnswer(t, false, url.Values{"person": {"grace"}})
		if status, text := asking.brings(t, unasked(url.Values{"person": {"grace"}})); status != http.StatusUnauthorized || asking.isSignedIn(t) {
			t.Errorf("in place of what was asked, not allowed: %d %s", status, text)
		}

		p.trusts(t, idp, "--allow-idp-initiated")
		for _, sign := range []string{"assertion", "response", "both"} {
			w := newPerson(p, idp)
			response := unasked(url.Values{"person": {"ada"}, "sign": {sign}})
			if status, to := w.brings(t, response); status != http.StatusSeeOther || to != "/console/" || !w.isSignedIn(t) {
				t.Errorf("with a signed %s: %d %s", sign, status, to)
			}
			if last := p.sessions(t)[0]; last.GetOperator() != "ada@example.com" || last.GetRole() != musterv1.OperatorRole_OPERATOR_ROLE_VIEWER {
				t.Errorf("with a signed %s the session is %v", sign, last)
			}
			refused("replayed", response, "used before")
		}
		for deed, why := range map[string]string{
			"impostor": "signed with a certificate that the provider's metadata do not have",
			"expired":  "has expired", "audience": "for another audience", "recipient": "for another address",
			"changed": "signature is not valid", "request": "did not begin in this browser",
		} {
			refused(deed, unasked(url.Values{"person": {"grace"}, "deed": {deed}}), why)
		}
		refused("no role", unasked(url.Values{"person": {"mallory"}}), "no role")
		// What answers a question stays bound to the browser that asked.
		refused("an answer of another", asking.hasAnswer(t, false, url.Values{"person": {"grace"}}), "did not begin in this browser")
	})
}

// What a provider encrypts for the key in our metadata is read, and checked like all else.
// The key is there only for who asks for it, and is the same after a new start.
func TestSAML_Encrypted(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		if plain := get(t, p.console()+"saml/metadata"); strings.Contains(plain, "KeyDescriptor") {
			t.Errorf("a key that nobody asked for: %s", plain)
		}
		path := "saml/metadata?encryption=1"
		ours := get(t, p.console()+path)
		idp := startProvider(t, p)
		idp.learns(t, ours)
		p.trusts(t, idp, "--allow-idp-initiated")
		accepted := func(sign, encrypt string) {
			t.Helper()
			w := newPerson(p, idp)
			response := w.hasAnswer(t, false, url.Values{"person": {"grace"}, "sign": {sign}, "encrypt": {encrypt}})
			if status, to := w.brings(t, response); status != http.StatusSeeOther || to != "/console/groups" || !w.isSignedIn(t) {
				t.Errorf("%s with a signed %s: %d %s", encrypt, sign, status, to)
			}
			last := p.sessions(t)[0]
			if last.GetOperator() != "grace@example.com" || last.GetRole() != musterv1.OperatorRole_OPERATOR_ROLE_ADMINISTRATOR {
				t.Errorf("%s with a signed %s: the session is %v", encrypt, sign, last)
			}
		}
		for _, sign := range []string{"assertion", "response", "both"} {
			accepted(sign, "gcm")
		}
		accepted("response", "cbc")
		accepted("both", "cbc")
		w := newPerson(p, idp)
		response := w.hasAnswer(t, true, url.Values{"person": {"grace"}, "encrypt": {"gcm"}})
		if status, to := w.brings(t, response); status != http.StatusSeeOther || !w.isSignedIn(t) {
			t.Errorf("unasked: %d %s", status, to)
		}
		if status, text := newPerson(p, idp).brings(t, response); status != http.StatusUnauthorized || !strings.Contains(text, "used before") {
			t.Errorf("replayed: %d %s", status, text)
		}
		before := len(p.sessions(t))
		for _, c := range []struct{ encrypt, sign, deed, why string }{
			{"gcm", "assertion", "mistaken", "not for the key of this server"},
			{"gcm", "assertion", "meddled", "not for the key of this server"},
			{"gcm", "both", "meddled", "signature is not valid"},
			{"gcm", "none", "", "is not signed"},
			{"gcm", "assertion", "impostor", "signed with a certificate that the provider's metadata do not have"},
			{"gcm", "assertion", "expired", "has expired"},
			{"gcm", "assertion", "audience", "for another audience"},
			{"gcm", "assertion", "request", "did not begin in this browser"},
			{"cbc", "assertion", "", "sign the response too"},
			{"cbc", "none", "", "sign the response too"},
			{"pkcs1", "both", "", "AES-GCM with RSA-OAEP"},
			{"pysaml2", "response", "", "AES-GCM with RSA-OAEP"}, // Triple DES
		} {
			w := newPerson(p, idp)
			status, text := w.brings(t, w.hasAnswer(t, false, url.Values{"person": {"grace"}, "sign": {c.sign}, "encrypt": {c.encrypt}, "deed": {c.deed}}))
			if status != http.StatusUnauthorized || !strings.Contains(text, c.why) || w.isSignedIn(t) {
				t.Errorf("%s, %q, with a signed %s: %d %s", c.encrypt, c.deed, c.sign, status, text)
			}
		}
		if after := len(p.sessions(t)); after != before {
			t.Errorf("of what is refused there are %d sessions", after-before)
		}

		p.kill()
		again := serve(t, p.database)
		if got := get(t, again.console()+path); certificateOf(t, got) != certificateOf(t, ours) {
			t.Errorf("after a new start the key is another: %s", got)
		}
	})
}

var certificateText = regexp.MustCompile(`<X509Certificate[^>]*>([^<]+)<`)

func certificateOf(t *testing.T, metadata string) string {
	t.Helper()
	found := certificateText.FindStringSubmatch(metadata)
	if found == nil {
		t.Fatalf("there is no certificate: %s", metadata)
	}
	return found[1]
}
