package main

import (
	"log/slog"
	"net/http"
	"net/netip"

	"github.com/muster-scim/muster/gateway"
	"github.com/muster-scim/muster/oauth"
	"github.com/muster-scim/muster/server"
)

// oauthOptions are what the settings mean for the OAuth 2.0 server, which stands
// beside the REST face and is addressed as that is.
func oauthOptions(c config, core *server.Server, log *slog.Logger) oauth.Options {
	return oauth.Options{
		Addressed: func(r *http.Request) (issuer string, from netip.Addr) {
			base, from := gateway.Addressed(r, c.proxies)
			if c.BaseURL != "" {
				base = c.BaseURL
			}
			return oauth.IssuerOf(base), from
		},
		Throttle: core.Throttle(),
		Admit:    core.Admit,
		Audit:    core.Audit,
		Note:     core.NoteOAuth,
		Log:      log,
	}
}
