package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/muster-scim/muster/test/browser"
)

func TestMain(m *testing.M) {
	code := m.Run()
	browser.Stop()
	os.Exit(code)
}

// pages are what there is to look at. Whoever adds a page adds a row.
var pages = []struct {
	name string
	path func(*company) string
}{
	{"overview", at("")},
	{"users", at("users")},
	{"users-found", at("users?q=hop")},
	{"users-none", at("users?q=nobody-of-this-name")},
	{"users-filter", at("users?filter=userName+zz+%22a%22")},
	{"user", func(c *company) string { return "users/" + c.ada.GetId() }},
	{"user-inactive", func(c *company) string { return "users/" + c.mallory.GetId() }},
	{"user-deactivate", func(c *company) string { return "users/" + c.ada.GetId() + "/deactivate" }},
	{"groups", at("groups")},
	{"group", func(c *company) string { return "groups/" + c.staff.GetId() }},
	{"activity", at("activity")},
	{"activity-errors", at("activity?errors=1")},
	{"activity-none", at("activity?path=/nowhere")},
	{"activity-request", func(c *company) string { return "activity/requests/" + c.request("PATCH", 200) }},
	{"activity-error", func(c *company) string { return "activity/requests/" + c.request("GET", 401) }},
	{"activity-refused", func(c *company) string { return "activity/requests/" + c.request("POST", 409) }},
	{"activity-changes", at("activity/changes")},
	{"activity-recordings", at("activity/recordings")},
	{"activity-record", at("activity/recordings/start")},
	{"health", at("health")},
	{"health-week", at("health?since=7d&days=400")},
	{"health-stale", at("health/stale")},
	{"health-stale-none", at("health/stale?days=400")},
	{"health-stale-delete", at("health/stale/delete")},
	{"audit", at("audit")},
	{"audit-narrowed", at("audit?since=1h&method=ReplaceUser&operator=nobody")},
	{"audit-terms", at("audit?since=1h&method=ReplaceUser")},
	{"audit-verify", at("audit/verify?head=7")},
	{"credentials", at("credentials")},
	{"connect", at("connect")},
	{"connect-basic", at("connect?kind=basic")},
	{"connect-oauth", at("connect?kind=oauth")},
	{"connect-certificate", at("connect?kind=certificate")},
	{"connect-issuer", at("connect?kind=issuer")},
	{"credential", at("credentials/cyberark")},
	{"credential-connected", at("credentials/cyberark/connect")},
	{"credential-refused", at("credentials/portal/connect")},
	{"credential-oauth", at("credentials/sync/connect")},
	{"credential-edit", at("credentials/cyberark/edit")},
	{"credential-rotate", at("credentials/cyberark/rotate")},
	{"credential-revoke", at("credentials/cyberark/revoke")},
	{"credential-to-preview", at("credentials/cyberark/to-preview")},
	{"credential-preview", at("credentials/rehearsal/preview")},
	{"schemas", at("schemas")},
	{"schema", at("schemas/urn:ietf:params:scim:schemas:core:2.0:User")},
	{"schema-registered", at("schemas/" + badge)},
	{"schema-new", at("schemas-new")},
	{"schema-remove", at("schemas/" + badge + "/remove")},
	{"tenants", at("tenants")},
	{"tenant", at("tenants/acme")},
	{"tenant-suspended", at("tenants/initech")},
	{"tenant-new", at("tenants-new")},
	{"tenant-delete", at("tenants/initech/delete")},
	{"settings", at("settings")},
	{"sessions", at("settings/sessions")},
	{"providers", at("settings/sign-in")},
	{"provider-oidc", at("settings/sign-in-new?kind=oidc")},
	{"provider", at("settings/sign-in/company")},
	{"webhooks", at("settings/webhooks")},
	{"webhook", at("settings/webhooks/siem")},
	{"webhook-new", at("settings/webhooks-new")},
	{"webhook-poll", at("settings/webhooks-new?by=poll")},
	{"not-found", at("nowhere")},
	{"keys", at("keys")},
	{"signin", at("signin")},
	{"choose-tenant", at("tenant")},
}

func at(path string) func(*company) string { return func(*company) string { return path } }

// looks are how pages are looked at. The colours do not depend on the width, so that two
// are enough to check; the others are for pictures.
var looks = []struct {
	colours, size string
	width         int64
	picture       bool
}{
	{"light", "wide", 1440, false},
	{"dark", "narrow", 360, false},
	{"dark", "wide", 1440, true},
	{"light", "narrow", 360, true},
}

// Every page is accessible, loads nothing from outside, complains of nothing, and is not
// wider than a narrow screen, in both colours. With MUSTER_SCREENSHOTS (make screenshots)
// it leaves pictures in that folder. The race detector sees no more of a page that is
// looked at twice, and nothing of what axe does in the browser: with it each page is
// visited once.
func TestPages(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	folder := os.Getenv("MUSTER_SCREENSHOTS")
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			for i, look := range looks {
				if look.picture && folder == "" || raceEnabled && i > 0 {
					continue
				}
				tab.Prefer(look.colours)
				tab.Size(look.width, 900)
				tab.Visit(p.path(c))
				checkPage(t, tab)
				if folder != "" {
					tab.Screenshot(filepath.Join(folder, p.name+"-"+look.size+"-"+look.colours+".png"))
				}
			}
		})
	}
}

// checkPage checks the page that the tab is on.
func checkPage(t *testing.T, tab *browser.Tab) {
	t.Helper()
	if !raceEnabled {
		for _, line := range tab.Axe() {
			t.Errorf("axe: %s", line)
		}
	}
	for _, p := range tab.Problems() {
		if !strings.HasPrefix(p, "network: Failed to load resource: the server responded with a status of 404 (Not Found)") || !strings.Contains(p, root+"nowhere") {
			t.Error(p)
		}
	}
	if by := tab.Overflow(); by > 0 {
		t.Errorf("the page is %d pixels wider than the window", by)
	}
}
