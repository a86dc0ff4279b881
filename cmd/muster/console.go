package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/muster-scim/muster/console"
	"github.com/muster-scim/muster/gateway"
)

// consoleOptions are what the settings mean for the web pages, which stand beside the
// REST face and are addressed as that is.
func consoleOptions(c config, log *slog.Logger) console.Options {
	return console.Options{
		Addressed: func(r *http.Request) (base string, from netip.Addr) {
			base, from = gateway.Addressed(r, c.proxies)
			if c.BaseURL != "" {
				base = c.BaseURL
			}
			return base, from
		},
		Public:       c.BaseURL != "",
		ClientSecret: c.clientSecret,
		Log:          log,
		Version:      programVersion(),
	}
}

// consoleSettings are for the operators of the console.
var consoleSettings = []setting{
	{"console-idle", "30m0s", "how long an operator of the console stays signed in while nobody is there", func(c *config) *time.Duration { return &c.Sessions.Idle }},
	{"console-session", "12h0m0s", "how long an operator of the console stays signed in at most", func(c *config) *time.Duration { return &c.Sessions.Lifetime }},
	{"console-oidc-secret-file", "", "file with the secrets of OpenID clients of the console, a line for each: ISSUER CLIENT_ID SECRET; read at each sign-in",
		func(c *config) *string { return &c.OIDCSecretFile }},
}

func (c *config) checkConsole() error {
	if c.Sessions.Idle == 0 || c.Sessions.Lifetime == 0 {
		return errors.New("console-idle and console-session are durations such as 30m and 12h, and not 0")
	}
	if c.OIDCSecretFile == "" {
		return nil
	}
	_, err := c.clientSecret("", "")
	return err
}

// clientSecret finds the secret of an OpenID client; empty: the file has none. A secret
// belongs to an issuer and a client, so that no change of a provider in the database can
// send it elsewhere.
func (c *config) clientSecret(issuer, clientID string) (string, error) {
	if c.OIDCSecretFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(c.OIDCSecretFile)
	if err != nil {
		return "", fmt.Errorf("console-oidc-secret-file: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasPrefix(fields[0], "#"):
		case len(fields) != 3:
			return "", errors.New("console-oidc-secret-file: each line is ISSUER CLIENT_ID SECRET")
		case fields[0] == issuer && fields[1] == clientID:
			return fields[2], nil
		}
	}
	return "", nil
}

// consoleURL is where a browser finds a page of the console, by the base URL of SCIM.
func consoleURL(base, page string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + "/console/" + page
}

// loginURL is a link that signs an operator in once.
func loginURL(base, secret string) string { return consoleURL(base, "signin#"+secret) }
