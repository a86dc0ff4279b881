package test

import (
	"encoding/base64"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
)

// accessToken makes an OAuth client that may do all, and gets it an access token.
func (p *program) accessToken(t *testing.T, name string, scopes ...string) string {
	t.Helper()
	made := p.runs(t, "credential", "create", name, "--kind", "oauth", "--scope", "scim,admin")
	config := clientcredentials.Config{ClientID: clientText.FindString(made), ClientSecret: secretText.FindString(made), Scopes: scopes,
		TokenURL: p.base[:len(p.base)-len("/scim/v2")] + "/oauth2/token"}
	got, err := config.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + got.AccessToken
}

// strangersOfOtherKinds are those of Basic, direct, OAuth and an outside issuer. Each
// was let in before it became one. Those that lack the scope come apart: the clients
// that administer, and the administrators that ask for resources.
func (p *program) strangersOfOtherKinds(t *testing.T) (all, clients, administrators []stranger) {
	t.Helper()
	made := map[string]string{} // authorizations by name
	for _, what := range []string{"good", "revoked", "expired", "elsewhere"} {
		name := "kinds-basic-" + what
		made["basic "+what] = "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+p.secret(t, "create", name, "--kind", "basic", "--scope", "scim,admin")))
		made["direct "+what] = p.secret(t, "create", "kinds-direct-"+what, "--kind", "direct", "--scope", "scim,admin")
		made["OAuth "+what] = p.accessToken(t, "kinds-oauth-"+what, "scim", "admin")
	}
	made["OAuth token expired"] = p.accessToken(t, "kinds-token-expired", "scim", "admin")
	issuer := newOutsideIssuer(t)
	issuer.trusted(t, p, "kinds-issuer", "muster", "scim", "admin")
	issuer.trusted(t, p, "kinds-issuer-revoked", "revoked", "scim", "admin")
	issuer.trusted(t, p, "kinds-issuer-expired", "expired", "scim", "admin")
	issuer.trusted(t, p, "kinds-issuer-elsewhere", "elsewhere", "scim", "admin")
	issuer.trusted(t, p, "kinds-issuer-admin", "admin", "admin")
	jwt := func(audience, scope string, ends time.Duration) string {
		return "Bearer " + issuer.token(t, audience, scope, ends)
	}
	made["issuer good"] = jwt("muster", "scim admin", time.Hour)
	for _, what := range []string{"revoked", "expired", "elsewhere"} {
		made["issuer "+what] = jwt(what, "scim admin", time.Hour)
	}
	origin := p.base[:len(p.base)-len("/scim/v2")]
	for name, authorization := range made {
		if got := p.rest(t, http.MethodGet, "/Users", "", "Authorization", authorization); got.status != 200 {
			t.Errorf("%s, before: %d %s", name, got.status, got.body)
		}
		if got := p.rest(t, http.MethodGet, origin+"/admin/v1/tenants", "", "Authorization", authorization); got.status != 200 {
			t.Errorf("%s administers, before: %d %s", name, got.status, got.body)
		}
	}
	execute(t, p.database, "UPDATE credentials SET expires_at = 1 WHERE name LIKE 'kinds-%-expired' AND name <> 'kinds-token-expired'")
	execute(t, p.database, "UPDATE tokens SET expires_at = 1 WHERE purpose = 'access' AND credential_id = (SELECT id FROM credentials WHERE name = 'kinds-token-expired')")
	for _, kind := range []string{"basic", "direct", "oauth", "issuer"} {
		p.runs(t, "credential", "revoke", "kinds-"+kind+"-revoked")
		p.runs(t, "credential", "set", "kinds-"+kind+"-elsewhere", "--network", "192.0.2.0/24")
	}
	for _, kind := range []string{"basic", "direct", "OAuth", "issuer"} {
		all = append(all, stranger{kind + ", revoked", made[kind+" revoked"], "", 401}, stranger{kind + ", expired", made[kind+" expired"], "", 401},
			stranger{kind + ", a wrong tenant", made[kind+" good"], "acme", 403}, stranger{kind + ", a wrong network", made[kind+" elsewhere"], "", 403})
	}
	all = append(all,
		stranger{"an access token that expired", made["OAuth token expired"], "", 401},
		stranger{"an issuer's token that expired", jwt("muster", "scim admin", -time.Hour), "", 401},
		stranger{"an issuer's token for another audience", jwt("another", "scim admin", time.Hour), "", 401},
		stranger{"a token of an unknown issuer", "Bearer " + newOutsideIssuer(t).token(t, "muster", "scim admin", time.Hour), "", 401})
	clients = []stranger{{"the scope scim of a token", p.accessToken(t, "kinds-scim", "scim"), "", 403}, {"the scope scim of an issuer's token", jwt("muster", "scim", time.Hour), "", 403}}
	administrators = []stranger{{"the scope admin of a token", p.accessToken(t, "kinds-admin", "admin"), "", 403}, {"the scope admin of an issuer", jwt("admin", "scim admin", time.Hour), "", 403}}
	return all, clients, administrators
}

// A client certificate that is nobody's, or of a credential that was revoked, expired,
// is for another network or has not the scope, gets nothing on any method.
func TestCertificates_AreRefusedEverywhere(t *testing.T) {
	s := startTLS(t)
	if err := s.terminate(t); err != nil {
		t.Fatal(err)
	}
	s.program = serve(t, s.database, "--tls-cert", s.folder+"/tls.crt", "--tls-key", s.folder+"/tls.key", "--grpc-client-ca", s.folder+"/ca.crt")
	st, both := openStore(t, s.program), []string{"scim", "admin"}
	dial := func(name string, scopes ...string) *grpc.ClientConn {
		pair := s.ca.Client(t, time.Hour)
		if len(scopes) > 0 {
			s.addCertificate(t, st, pair, store.Credential{Name: name, Scopes: scopes})
		}
		conn := s.dial(t, pair)
		if got := list(t.Context(), conn); len(scopes) == 2 && got != codes.OK {
			t.Errorf("%s, before: %v", name, got)
		}
		return conn
	}
	revoked, expired, elsewhere := dial("revoked", both...), dial("expired", both...), dial("elsewhere", both...)
	good, unknown, client, administrator := dial("good", both...), dial("unknown"), dial("client", "scim"), dial("administrator", "admin")
	tenant, err := st.Tenant(t.Context(), server.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.RevokeCredential(t.Context(), "revoked"); err != nil {
		t.Fatal(err)
	}
	execute(t, s.database, "UPDATE credentials SET expires_at = 1 WHERE name = 'expired'")
	s.runs(t, "credential", "set", "elsewhere", "--network", "192.0.2.0/24")
	s.runs(t, "tenant", "create", "acme")
	calls := 0
	eachMethod(func(method protoreflect.MethodDescriptor) {
		if isPublic(string(method.FullName())) {
			return
		}
		narrow := client
		if ofResources(string(method.Parent().Name())) {
			narrow = administrator
		}
		for conn, who := range map[*grpc.ClientConn]stranger{
			revoked: {"revoked", "", "", 401}, expired: {"expired", "", "", 401}, unknown: {"unknown", "", "", 401},
			elsewhere: {"a wrong network", "", "", 403}, good: {"a wrong tenant", "", "acme", 403}, narrow: {"a wrong scope", "", "", 403},
		} {
			calls++
			s.refusesCall(t, conn, method, who)
		}
	})
	if calls < 200 {
		t.Errorf("only %d calls: this test looks in the wrong place", calls)
	}
}
