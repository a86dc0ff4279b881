package test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// A credential that may be used from one network only is the proof of whom the
// server takes for its client.
func TestProxies(t *testing.T) {
	const office, from, public = "office-token-of-a-test", "198.51.100.9", "https://scim.example.com/scim/v2"
	setUp := func(t *testing.T, args ...string) *program {
		t.Helper()
		p := start(t, sqliteURL(t), args...)
		tenant, err := openStore(t, p).Tenant(t.Context(), server.DefaultTenant)
		if err != nil {
			t.Fatal(err)
		}
		hash := server.HashToken(office)
		c := store.Credential{Name: "office", Kind: store.Bearer, Scopes: []string{"scim"}, Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}
		if err := tenant.AddCredential(t.Context(), c, hash[:]); err != nil {
			t.Fatal(err)
		}
		return p
	}
	ask := func(p *program, forwardedFor string) reply {
		return p.rest(t, http.MethodPost, "/Users", `{"userName":"`+forwardedFor+`"}`, "Authorization", "Bearer "+office,
			"X-Forwarded-For", forwardedFor, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "scim.example.com")
	}
	askGRPC := func(p *program, forwardedFor string) codes.Code {
		return list(metadata.AppendToOutgoingContext(bearing(office), "x-forwarded-for", forwardedFor), p.dial(t))
	}
	t.Run("trusted", func(t *testing.T) {
		p := setUp(t, "--trusted-proxies", "127.0.0.0/8,10.0.0.0/8")
		for _, through := range []string{from, "203.0.113.1, " + from, from + ", 10.0.0.4"} {
			r := ask(p, through)
			if location := r.header.Get("Location"); r.status != 201 || !strings.HasPrefix(location, public+"/Users/") {
				t.Errorf("%s: status %d, Location %s: %s", through, r.status, location, r.body)
			}
			if r.status == 201 && !strings.HasPrefix(r.json(t)["meta"].(map[string]any)["location"].(string), public) {
				t.Errorf("%s: the body is %s", through, r.body)
			}
			if got := askGRPC(p, through); got != codes.OK {
				t.Errorf("%s: gRPC answers %v", through, got)
			}
		}
		for _, through := range []string{from + ", 203.0.113.1", "unknown"} {
			if r := ask(p, through); r.status != 403 {
				t.Errorf("%s: status %d", through, r.status)
			}
			if got := askGRPC(p, through); got != codes.PermissionDenied {
				t.Errorf("%s: gRPC answers %v", through, got)
			}
		}
		p.awaitLog(t, `"address":"`+from+`"`)
		if got := issuer(t, p); got != "https://scim.example.com" {
			t.Errorf("the OAuth 2.0 server is addressed as %s", got)
		}
	})
	for name, args := range map[string][]string{"nobody": nil, "others": {"--trusted-proxies", "10.0.0.0/8"}} {
		t.Run(name, func(t *testing.T) {
			p := setUp(t, args...)
			if r := ask(p, from); r.status != 403 {
				t.Errorf("status %d: %s", r.status, r.body)
			}
			if got := askGRPC(p, from); got != codes.PermissionDenied {
				t.Errorf("gRPC answers %v", got)
			}
			r := p.rest(t, http.MethodPost, "/Users", `{"userName":"x"}`, "X-Forwarded-Proto", "https", "X-Forwarded-Host", "scim.example.com")
			if got := issuer(t, p); got+"/scim/v2" != p.base {
				t.Errorf("the OAuth 2.0 server is addressed as %s", got)
			}
			if location := r.header.Get("Location"); !strings.HasPrefix(location, p.base+"/Users/") {
				t.Errorf("Location is %s", location)
			}
		})
	}
}

// issuer is how the OAuth 2.0 server says that it is addressed.
func issuer(t *testing.T, p *program) string {
	t.Helper()
	url := strings.TrimSuffix(p.base, "/scim/v2") + "/.well-known/oauth-authorization-server"
	told, _ := p.must(t, 200, http.MethodGet, url, "", "X-Forwarded-Proto", "https", "X-Forwarded-Host", "scim.example.com")["issuer"].(string)
	return told
}
