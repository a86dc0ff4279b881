package console

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/muster-scim/muster/test/browser"
)

// An event is found by what it is about, and opened; without loading the page anew.
func TestAudit_Narrowed(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("audit")
	tab.Await("Create group")
	tab.AwaitGone("List credentials")
	tab.Click("[name=reads]")
	tab.Await("List credentials")
	tab.Click("[name=reads]")
	tab.AwaitGone("List credentials")
	tab.Click(".filter > summary")
	tab.Type("[name=method]", "ReplaceUser")
	tab.AwaitGone("Create group")
	tab.Await("Replace user")
	if path := tab.Path(); path != "/console/audit?method=ReplaceUser" {
		t.Errorf("the address is %s", path)
	}
	tab.Type("[name=resource]", c.ada.GetId())
	tab.Type("[name=outcome]", "ok") // a client's, with a value that is none, failed
	tab.AwaitTrue(`document.querySelectorAll("#results [data-row]").length === 2`)
	tab.Click("#results summary")
	tab.Await("Principal engineer")
	tab.Type("[name=outcome]", "ay") // no outcome is okay
	tab.Await("No event matches")
	tab.ClickText("Show the whole log")
	tab.Await("Create group")
}

// Without JavaScript the same form does the same.
func TestAudit_NoScript(t *testing.T) {
	c := newCompany(t)
	tab := browser.Open(t, c.URL+root)
	tab.NoScript()
	tab.Visit("audit?method=ReplaceUser")
	tab.Await("4 events")
	tab.Click("[name=failures]")
	tab.ClickText("Search")
	tab.Await("1 event")
}

// The chain is verified, and a head that is none is told.
func TestAudit_Verify(t *testing.T) {
	c := newCompany(t)
	head := c.sealed(t)
	tab := browser.Open(t, c.URL+root)
	tab.Visit("audit")
	tab.ClickText("Verify the chain")
	tab.Await("The chain is whole")
	tab.Await(head)
	tab.Visit("audit/verify?head=" + head)
	tab.Await("the head that you gave is in the chain")
	tab.Visit("audit/verify?head=" + strings.Repeat("1", len(head)-64-1) + ":" + strings.Repeat("0", 64))
	tab.Await("The chain is broken")
	tab.Visit("audit/verify?head=7")
	tab.Await("That is no head")
}

// sealed waits until the whole audit log is sealed, and is its head.
func (w *world) sealed(t testing.TB) string {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err := w.store.SealAudit(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, body := w.get(t, "audit/verify")
		if _, rest, found := strings.Cut(body, `<span class="secret"><code>`); found && !strings.Contains(body, "not sealed yet") {
			head, _, _ := strings.Cut(rest, "<")
			return head
		}
	}
	t.Fatal("the log is not sealed")
	return ""
}

// The export has what the page was narrowed to, in the order of the chain.
func TestAudit_Export(t *testing.T) {
	c := newCompany(t)
	c.sealed(t)
	answer, body := c.get(t, "audit/export?method=ReplaceUser")
	if how := answer.Header.Get("Content-Disposition"); !strings.Contains(how, "attachment; filename=muster-audit-") {
		t.Errorf("it is %q", how)
	}
	var last int64
	n := 0
	for lines := bufio.NewScanner(strings.NewReader(body)); lines.Scan(); n++ {
		var line struct {
			Sequence int64  `json:"sequence"`
			Method   string `json:"method"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Sequence <= last || line.Method != "muster.v1.ProvisioningService/ReplaceUser" {
			t.Errorf("%s stands after %d", lines.Text(), last)
		}
		last = line.Sequence
	}
	if n != 4 { // three of the company, one of its traffic
		t.Errorf("%d events, want 4", n)
	}
}
