package test

import (
	"net/http"
	"strings"
	"testing"
)

// A server that stops writes down the uses that it has only remembered.
func TestLastUse_IsThereAfterTheEnd(t *testing.T) {
	onBoth(t, func(t *testing.T, p *program) {
		p.must(t, 200, http.MethodGet, "/Users", "", "User-Agent", "provisioner/7")
		if err := p.terminate(t); err != nil {
			t.Fatal(err)
		}
		out := p.runs(t, "credential", "get", "bootstrap")
		if !strings.Contains(out, " 127.0.0.1 provisioner/7") {
			t.Errorf("the credential is shown as %s", out)
		}
	})
}
