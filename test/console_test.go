package test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/test/browser"
)

// An administrator goes the whole way on a fresh server, with clicks: the link of the
// first start, a credential, what to paste, a run of the client; the users appear while
// he looks, a disabled one shows as such with its history, and in the end the client is
// refused. The audit log has each of his deeds with his name.
func TestConsole_WholeWay(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		tab := signIn(t, p)
		secret := makeCredential(t, p, tab)
		tab.Await("Waiting for the client")
		if out, err := exec.Command(binary, "simulate", "cyberark", "--url", p.base, "--token", secret).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		tab.Await("Verified")

		showsUsers(t, p, tab, secret)

		tab.Visit("credentials/cyberark")
		tab.ClickText("Revoke")
		tab.Click("dialog .danger")
		tab.Await("cyberark is revoked")
		if got := p.rest(t, http.MethodGet, "/Users?count=1", "", "Authorization", "Bearer "+secret).status; got != http.StatusUnauthorized {
			t.Errorf("a revoked credential gets %d", got)
		}
		tab.Await("Its credential was revoked")
		for _, problem := range tab.Problems() {
			t.Error(problem)
		}
		for _, method := range []string{"CredentialService/CreateCredential", "CredentialService/RevokeCredential"} {
			awaitAudited(t, p, method, `"credential":"console","operator":"`)
		}
	})
}

// With OAuth 2.0 the panel shows the request for a token too: red where the secret is
// wrong, and green in the end.
func TestConsole_VerifyWithOAuth(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		made := p.runs(t, "credential", "create", "cyoauth", "--kind", "oauth", "--scope", "scim")
		id, secret := clientText.FindString(made), secretText.FindString(made)
		tab := signIn(t, p)
		tab.Visit("credentials/cyoauth/connect")
		tab.Await("Waiting for the client")
		p.asksToken(t, id, secret+"x")
		tab.Await("Something is not right yet")
		token, _ := p.asksToken(t, id, secret).json(t)["access_token"].(string)
		for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
			p.must(t, http.StatusOK, http.MethodGet, path, "", "Authorization", "Bearer "+token)
		}
		tab.Await("Verified")
	})
}

// signIn opens the console by the link of the first start.
func signIn(t *testing.T, p *program) *browser.Tab {
	t.Helper()
	link, _, _ := strings.Cut(p.awaitLine(t, "Console:       "), " ")
	root, hash, _ := strings.Cut(link, "signin")
	tab := browser.Open(t, root)
	tab.Visit("signin" + hash)
	tab.AwaitTrue(`document.querySelector("#secret").value.length > 20`)
	tab.Click("form button.primary")
	tab.AwaitTrue(`document.querySelector("#nav") !== null`)
	return tab
}

// makeCredential makes one for bearer tokens, and is its secret as the page shows it.
func makeCredential(t *testing.T, p *program, tab *browser.Tab) (secret string) {
	t.Helper()
	tab.Visit("credentials")
	tab.ClickText("Connect CyberArk")
	tab.ClickText("Create, and show the secret")
	tab.Await("shown this once")
	var all []string
	tab.Evaluate(`[...document.querySelectorAll("[data-copy]")].map(b => b.dataset.copy)`, &all)
	base := false
	for _, value := range all {
		base = base || value == p.base
		if strings.HasPrefix(value, "muster_") {
			secret = value
		}
	}
	if !base || secret == "" {
		t.Fatalf("the page has %q to copy", all)
	}
	return secret
}

// showsUsers pushes users while the page of users is open, and disables one.
func showsUsers(t *testing.T, p *program, tab *browser.Tab, secret string) {
	t.Helper()
	as := "Bearer " + secret
	tab.Visit("users")
	tab.Evaluate(`window.stays = true`, nil)
	ada := p.must(t, http.StatusCreated, http.MethodPost, "/Users", `{"userName":"ada.l@example.com","displayName":"Ada Lovelace","active":true}`, "Authorization", as)
	p.must(t, http.StatusCreated, http.MethodPost, "/Users", `{"userName":"bob.k@example.com","displayName":"Bob Kahn","active":true}`, "Authorization", as)
	tab.Await("Ada Lovelace")
	tab.Await("Bob Kahn")
	id, _ := ada["id"].(string)
	p.rest(t, http.MethodPatch, "/Users/"+id, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"active","value":false}]}`, "Authorization", as)
	tab.AwaitTrue(`[...document.querySelectorAll("#results tr")].some(tr => tr.innerText.includes("Ada Lovelace") && /inactive|disabled/i.test(tr.innerText))`)
	tab.AwaitTrue(`window.stays === true`)
	tab.ClickText("Ada Lovelace")
	tab.AwaitTrue(`[...document.querySelectorAll(".events li")].some(li => li.querySelector(".before")?.innerText.includes("true") && li.querySelector(".after")?.innerText.includes("false"))`)
	tab.Await("cyberark")
}

// hasLine tells whether some line has all of some words.
func hasLine(text string, words ...string) bool {
	for line := range strings.Lines(text) {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			return true
		}
	}
	return false
}

// awaitAudited waits until the audit log is sealed as far as an event with some words.
func awaitAudited(t *testing.T, p *program, words ...string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		audit, err := command(p.database, "audit", "export").Output()
		if err != nil {
			t.Fatal(err)
		}
		if hasLine(string(audit), words...) {
			return
		}
	}
	t.Errorf("the audit log has no event with %q", words)
}
