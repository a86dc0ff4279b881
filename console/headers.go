package console

import (
	"net/http"
	"strings"
)

// contentPolicy lets a page have what this server sends, and nothing else: no script or
// style of its own, nothing from outside, no form that goes elsewhere, no frame.
var contentPolicy = strings.Join([]string{
	"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
	"form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'", "manifest-src 'none'",
}, "; ")

// protect refuses what another site makes a browser send, and tells the browser what it
// may do with our pages.
func (c *Console) protect(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.serve(w, r, route{needs: open, handle: func(*visit) error { return errOtherSite }})
	}))
	// What the form of a SAML provider brings says itself who has made it.
	guard.AddInsecureBypassPattern("POST " + acsPath)
	inner := guard.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store") // pages hold what is known of people
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		inner.ServeHTTP(w, r)
	})
}
