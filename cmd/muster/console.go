package main

import (
	"log/slog"
	"net/http"
	"net/netip"

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
		Log:     log,
		Version: programVersion(),
	}
}
