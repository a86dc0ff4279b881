package gateway

import (
	"net/http"
	"strings"
)

// Page is a document about the server, which everybody may read and which does not
// change while it runs.
type Page struct {
	ContentType string
	Body        []byte
	// Policy is what a browser lets the page do: its Content-Security-Policy.
	Policy string
}

// show answers with a page.
func (x *exchange) show(p Page) {
	if x.request.Method != http.MethodGet && x.request.Method != http.MethodHead {
		x.refuse(&problem{status: http.StatusMethodNotAllowed, detail: "the method is not allowed here", allow: strings.Join(readOnly, ", ")})
		return
	}
	h := x.Header()
	h.Set("Content-Type", p.ContentType)
	h.Set("Cache-Control", "no-cache") // it may be kept, and is asked for anew by its ETag
	h.Set("Content-Security-Policy", p.Policy)
	h.Set("X-Content-Type-Options", "nosniff")
	x.describes = true
	_, _ = x.Write(p.Body) // an error means that the client is gone
}
