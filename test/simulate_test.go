package test

import (
	"bytes"
	"context"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/muster-scim/muster/simulate"
)

var (
	secretText = regexp.MustCompile(`muster_[A-Z0-9]+`)
	clientText = regexp.MustCompile(`client-[A-Z0-9]+`)
)

// secret makes a credential by the command line, and returns its secret.
func (p *program) secret(t *testing.T, args ...string) string {
	t.Helper()
	return secretText.FindString(p.runs(t, append([]string{"credential"}, args...)...))
}

// authorizations are all ways to authorize that CyberArk Identity has.
func (p *program) authorizations(t *testing.T) simulate.Options {
	t.Helper()
	made := p.runs(t, "credential", "create", "cy-oauth", "--kind", "oauth", "--scope", "scim")
	config := clientcredentials.Config{
		ClientID: clientText.FindString(made), ClientSecret: secretText.FindString(made), Scopes: []string{"scim"},
		TokenURL: p.base[:len(p.base)-len("/scim/v2")] + "/oauth2/token",
	}
	access, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	revoked := p.secret(t, "create", "cy-revoked", "--scope", "scim")
	p.runs(t, "credential", "revoke", "cy-revoked")
	p.runs(t, "tenant", "create", "limited", "--requests-per-second", "1", "--burst", "5")
	basic := "cy-basic:" + p.secret(t, "create", "cy-basic", "--kind", "basic", "--scope", "scim")
	return simulate.Options{
		URL: p.base, Token: token, Revoked: "Bearer " + revoked,
		Limited: "Bearer " + p.secret(t, "create", "cy-limited", "--scope", "scim", "--tenant", "limited"),
		Others: []simulate.Authorization{
			{Name: "Bearer, rotated", Header: "Bearer " + p.secret(t, "rotate", "bootstrap")},
			{Name: "Bearer, pasted with the word", Header: "Bearer Bearer " + p.secret(t, "create", "cy-bearer", "--scope", "scim") + " "},
			{Name: "Basic", Header: "Basic " + base64.StdEncoding.EncodeToString([]byte(basic))},
			{Name: "Direct", Header: p.secret(t, "create", "cy-direct", "--kind", "direct", "--scope", "scim")},
			{Name: "Direct after a word", Header: "SSWS " + p.secret(t, "create", "cy-direct2", "--kind", "direct", "--scope", "scim")},
			{Name: "OAuth 2.0", Header: "Bearer " + access.AccessToken},
		},
	}
}

// The script of a CyberArk run, in both media types and with each way to authorize,
// passes whole, and again.
func TestSimulate_CyberArk(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		o := p.authorizations(t)
		for range 2 {
			report, err := simulate.CyberArk(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			var table bytes.Buffer
			if err := report.WriteTable(&table); err != nil {
				t.Fatal(err)
			}
			if !report.OK() || report.Count(simulate.NotPlayed) > 0 {
				t.Errorf("%s", table.String())
			}
		}
	})
}

// The command tells by its exit code, and an administrator by its table.
func TestSimulate_Command(t *testing.T) {
	p := start(t, sqliteURL(t))
	args := []string{"simulate", "cyberark", "--url", p.base, "--token", token, "--basic", "b:" + p.secret(t, "create", "b", "--kind", "basic", "--scope", "scim")}
	if out, err := command(p.database, args...).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("PASSED")) || !bytes.Contains(out, []byte("O Basic: A Verify")) {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := command(p.database, "simulate", "cyberark", "--url", p.base, "--token", "wrong").CombinedOutput(); err == nil || !bytes.Contains(out, []byte("does not accept the token")) {
		t.Errorf("with a wrong token:\n%s", out)
	}
}

// Where nothing answers, that is said, and not that some of the checks passed.
func TestSimulate_NothingAnswers(t *testing.T) {
	o := simulate.Options{URL: "http://127.0.0.1:1/scim/v2", Token: token} // nobody listens on tcpmux
	if report, err := simulate.CyberArk(t.Context(), o); report != nil || err == nil || !strings.Contains(err.Error(), "no SCIM server answers") {
		t.Errorf("a run: %v, %v", report, err)
	}
	if report, err := simulate.Replay(t.Context(), &simulate.Case{}, o); report != nil || err == nil || !strings.Contains(err.Error(), "no SCIM server answers") {
		t.Errorf("a replay: %v, %v", report, err)
	}
}
