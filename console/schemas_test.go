package console

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/muster-scim/muster/test/browser"
)

// What is wrong with a schema stands beside it, and what was pasted is not lost; mended,
// it is registered and listed. A viewer cannot.
func TestSchemas_Register(t *testing.T) {
	w := newWorld(t)
	w.signIn("viewer")
	if answer, _ := w.post(t, "schemas/register", url.Values{"text": {"[]"}}); answer.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's POST: %d", answer.StatusCode)
	}
	w.signIn("administrator")
	tab := browser.Open(t, w.URL+root)
	tab.Visit("schemas")
	tab.ClickText("Register a schema")
	tab.Type("#text", `{"id": "urn:example:Parking", "name": "Parking", "attributes": [{"name": "no good name", "type": "string"}]}`)
	tab.ClickText("Register")
	tab.AwaitTrue(`document.querySelector("[role=alert]")?.innerText.includes("no good name")`)
	tab.AwaitTrue(`document.querySelector("#text").value.includes("urn:example:Parking")`)
	tab.Evaluate(`document.querySelector("#text").value = document.querySelector("#text").value.replace("no good name", "lot")`, nil)
	tab.ClickText("Register")
	tab.Await("1 schema and 0 resource types registered.")
	tab.Await("urn:example:Parking")
	tab.Await("registered here")
}
