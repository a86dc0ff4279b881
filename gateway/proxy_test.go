package gateway

import (
	"net/http"
	"net/netip"
	"testing"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/transport"
)

// Requests of these tests come from 192.0.2.1 to example.com.
func TestFace_Proxies(t *testing.T) {
	trusted := transport.Proxies{netip.MustParsePrefix("192.0.2.0/24")}
	const own = "http://example.com/scim/v2"
	for _, row := range []struct {
		why                   string
		opts                  Options
		headers               []string
		wantBase, wantAddress string
	}{
		{"nobody is believed", Options{}, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "198.51.100.1"}, own, "192.0.2.1"},
		{"another is believed", Options{Proxies: transport.Proxies{netip.MustParsePrefix("10.0.0.0/8")}}, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "198.51.100.1"}, own, "192.0.2.1"},
		{"a proxy", Options{Proxies: trusted}, []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "scim.example.net:8443", "X-Forwarded-For", "203.0.113.7, 198.51.100.1"}, "https://scim.example.net:8443/scim/v2", "198.51.100.1"},
		{"a proxy that keeps the host", Options{Proxies: trusted}, []string{"X-Forwarded-Proto", "https"}, "https://example.com/scim/v2", "192.0.2.1"},
		{"the last in a list", Options{Proxies: trusted}, []string{"X-Forwarded-Proto", "http, https", "X-Forwarded-Host", "evil.example, scim.example.net"}, "https://scim.example.net/scim/v2", "192.0.2.1"},
		{"what cannot be", Options{Proxies: trusted}, []string{"X-Forwarded-Proto", "javascript", "X-Forwarded-Host", "evil/path"}, own, "192.0.2.1"},
		{"no host with a user", Options{Proxies: trusted}, []string{"X-Forwarded-Host", "you@evil.example"}, own, "192.0.2.1"},
		{"a base URL", Options{Proxies: trusted, BaseURL: "https://scim.example.com/scim/v2"}, []string{"X-Forwarded-Host", "scim.example.net", "X-Forwarded-For", "198.51.100.1"}, "https://scim.example.com/scim/v2", "198.51.100.1"},
		{"what is not read", Options{Proxies: trusted}, []string{"Forwarded", "for=198.51.100.1;host=evil.example;proto=https", "X-Forwarded-Prefix", "/evil", "X-Real-Ip", "198.51.100.1"}, own, "192.0.2.1"},
	} {
		c := &canned{answer: &musterv1.CreateUserResponse{User: ada}}
		r := ask(t, newFace(t, c, row.opts), http.MethodPost, "http://example.com/scim/v2/Users", `{"userName":"ada"}`, row.headers...)
		if got := r.Header.Get("Location"); got != row.wantBase+"/Users/"+ada.GetId() {
			t.Errorf("%s: Location is %s, want %s", row.why, got, row.wantBase)
		}
		if got := c.sent.Get("muster-address"); len(got) != 1 || got[0] != row.wantAddress {
			t.Errorf("%s: the address is %v, want %s", row.why, got, row.wantAddress)
		}
	}
}
