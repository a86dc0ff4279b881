package oauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/muster-scim/muster/store"
)

// Each token that is issued or revoked is in the audit log, and so is who is refused;
// no token and no secret is.
func TestAudit(t *testing.T) {
	onBoth(t, func(t *testing.T, b *bench) {
		var mu sync.Mutex
		var refused []store.AuditEvent
		b.server.opts.Audit = func(_ context.Context, e store.AuditEvent) {
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, e)
		}
		token, _ := b.ask(t, by("grant_type", "client_credentials")...).json(t)["access_token"].(string)
		b.ask(t, by("grant_type", "client_credentials", "client_secret", "wrong")...)
		b.ask(t, by("grant_type", "client_credentials", "scope", "nonsense")...)
		b.send(t, "POST", revokePath, form(by("token", token)...).Encode())
		b.send(t, "POST", authorizePath, form("client_id", "c1", "redirect_uri", callback, "response_type", "code").Encode())

		page, err := b.store.AuditEvents(context.Background(), store.AuditQuery{TenantID: b.tenant.ID(), Count: 10})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(page.Events)
		var got []string
		for _, e := range slices.Concat(page.Events, refused) {
			got = append(got, strings.TrimSpace(fmt.Sprint(e.Method, " ", e.Credential, " ", e.Outcome, " ", e.TenantID == b.tenant.ID())))
			if text := fmt.Sprint(e); strings.Contains(text, token) || strings.Contains(text, "secret of") || strings.Contains(text, "wrong") || e.Address != "192.0.2.7" || e.RequestID == "" {
				t.Errorf("the event is %s", text)
			}
		}
		want := []string{"oauth2/token c1 ok true", "oauth2/revoke c1 ok true", "oauth2/token  unauthenticated false", "oauth2/token c1 invalidValue true"}
		if !slices.Equal(got[:min(4, len(got))], want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if issued := page.Events[0].Changes; !strings.Contains(issued, `"purpose":"access"`) || !strings.Contains(issued, `"scopes":["scim"]`) {
			t.Errorf("issued: %s", issued)
		}
	})
}
