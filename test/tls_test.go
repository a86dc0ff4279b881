package test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	musterv1 "github.com/muster-scim/muster/gen/muster/v1"
	"github.com/muster-scim/muster/server"
	"github.com/muster-scim/muster/store"
	"github.com/muster-scim/muster/test/authority"
)

// secured is a server that speaks TLS, with the authority that its clients trust and
// the folder of its files.
type secured struct {
	*program

	ca     *authority.Authority
	pair   authority.Pair
	folder string
}

func startTLS(t *testing.T, args ...string) *secured {
	t.Helper()
	s := &secured{ca: authority.New(t), folder: t.TempDir()}
	s.pair = s.ca.Server(t)
	cert, key := s.pair.Write(t, s.folder, "tls")
	authority.WriteFile(t, s.folder, "ca.crt", s.ca.PEM)
	s.program = start(t, sqliteURL(t), append([]string{"--tls-cert", cert, "--tls-key", key}, args...)...)
	s.client = s.newClient(t)
	return s
}

// newClient is a client of the REST face with connections of its own.
func (s *secured) newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// dial connects to the gRPC server, with a certificate if one is given.
func (s *secured) dial(t *testing.T, own ...authority.Pair) *grpc.ClientConn {
	t.Helper()
	config := &tls.Config{RootCAs: s.ca.Pool()}
	for _, p := range own {
		pair, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		// Shown whomever the server trusts: else Go keeps back what will be refused.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// list asks for the users, and returns the status.
func list(ctx context.Context, conn *grpc.ClientConn) codes.Code {
	_, err := musterv1.NewProvisioningServiceClient(conn).ListUsers(ctx, &musterv1.ListUsersRequest{})
	return status.Code(err)
}

// openStore opens the database of a running program, as `muster credential` does.
func openStore(t *testing.T, p *program) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), p.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestTLS_BothFaces(t *testing.T) {
	s := startTLS(t)
	if !strings.HasPrefix(s.base, "https://127.0.0.1:") {
		t.Fatalf("the base URL is %s", s.base)
	}
	r := s.rest(t, http.MethodPost, "/Users", `{"userName":"ada"}`)
	if location := r.header.Get("Location"); r.status != http.StatusCreated || !strings.HasPrefix(location, s.base+"/Users/") {
		t.Errorf("status %d, Location %q", r.status, location)
	}
	res, err := s.client.Get(s.base + "/Users")
	if err != nil || res.ProtoMajor != 2 || res.TLS.Version != tls.VersionTLS13 || res.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v, %v", res, err)
	}
	if err == nil {
		res.Body.Close()
	}
	if got := list(authorized(), s.dial(t)); got != codes.OK {
		t.Errorf("gRPC answers %v", got)
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool()}, TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}}
	defer plain.CloseIdleConnections()
	if res, err := plain.Get(s.base + "/Users"); err != nil || res.ProtoMajor != 1 {
		t.Errorf("a client without HTTP/2: %v, %v", res, err)
	} else {
		res.Body.Close()
	}
	if err := s.terminate(t); err != nil {
		t.Error(err)
	}
}

// Neither face answers in plain text, and neither is trusted by who does not know the
// authority; the log says of both that there was somebody.
func TestTLS_NothingElse(t *testing.T) {
	s := startTLS(t)
	if res, err := http.Get(strings.Replace(s.base, "https", "http", 1) + "/Users"); err == nil {
		if res.Body.Close(); res.StatusCode != http.StatusBadRequest {
			t.Errorf("plain HTTP is answered with %s", res.Status)
		}
	}
	if res, err := http.Get(s.base + "/Users"); err == nil {
		res.Body.Close()
		t.Error("a client that does not know the authority is content")
	}
	for name, creds := range map[string]credentials.TransportCredentials{"plain text": insecure.NewCredentials(), "another authority": credentials.NewTLS(&tls.Config{RootCAs: authority.New(t).Pool()})} {
		conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(creds))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := list(authorized(), conn); got != codes.Unavailable {
			t.Errorf("%s: gRPC answers %v", name, got)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(s.out.String(), "TLS handshake failed") || !strings.Contains(s.out.String(), "http: TLS handshake error"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log says nothing of the handshakes: %s", s.out)
		}
	}
}

// serialAt is the number of the certificate that a new connection is shown.
func serialAt(t *testing.T, s *secured, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: s.ca.Pool(), NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestTLS_NewCertificateWithoutRestart(t *testing.T) {
	t.Parallel()
	s := startTLS(t)
	faces := []string{strings.TrimSuffix(strings.TrimPrefix(s.base, "https://"), "/scim/v2"), s.grpc}
	open := s.dial(t)
	s.must(t, 200, http.MethodGet, "/Users", "")
	if got := list(authorized(), open); got != codes.OK {
		t.Fatal(got)
	}
	awaitSerial := func(want string) {
		t.Helper()
		for _, face := range faces {
			for deadline := time.Now().Add(20 * time.Second); serialAt(t, s, face) != want; time.Sleep(100 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%s still shows another certificate:\n%s", face, s.out)
				}
			}
		}
	}
	renewed := s.ca.Server(t)
	renewed.Write(t, s.folder, "tls")
	awaitSerial(renewed.Certificate.SerialNumber.String())

	// Connections from before go on as they are.
	res, err := s.client.Get(s.base + "/Users")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.TLS.PeerCertificates[0].SerialNumber; got.Cmp(s.pair.Certificate.SerialNumber) != 0 {
		t.Error("the open connection was not used: this test looks at another")
	}
	if got := list(authorized(), open); got != codes.OK {
		t.Errorf("the open connection answers %v", got)
	}

	// Files that are no good change nothing, and the log says so.
	authority.WriteFile(t, s.folder, "tls.crt", s.pair.CertPEM)
	s.awaitLog(t, "cannot be read again")
	awaitSerial(renewed.Certificate.SerialNumber.String())
}

// awaitLog waits until the log has the text.
func (p *program) awaitLog(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.out.String(), text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log does not say %q:\n%s", text, p.out)
		}
	}
}

// addCertificate makes a credential of a certificate.
func (s *secured) addCertificate(t *testing.T, st *store.Store, p authority.Pair, c store.Credential) {
	t.Helper()
	tenant, err := st.Tenant(t.Context(), server.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	c.Kind, c.Lookup = store.Certificate, server.CertificateLookup(server.CertificateFingerprint(p.Certificate))
	if err := tenant.AddCredential(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	s := startTLS(t)
	if err := s.terminate(t); err != nil {
		t.Fatal(err)
	}
	ca := s.folder + "/ca.crt"
	s.program = serve(t, s.database, "--tls-cert", s.folder+"/tls.crt", "--tls-key", s.folder+"/tls.key", "--grpc-client-ca", ca)
	st := openStore(t, s.program)
	reader, nobody, late := s.ca.Client(t, time.Hour), s.ca.Client(t, time.Hour), s.ca.Client(t, -time.Minute)
	s.addCertificate(t, st, reader, store.Credential{Name: "reader", Scopes: []string{"scim:read"}})
	s.addCertificate(t, st, late, store.Credential{Name: "late", Scopes: []string{"scim"}})
	expired := s.ca.Client(t, time.Hour)
	s.addCertificate(t, st, expired, store.Credential{Name: "expired", Scopes: []string{"scim"}, Expires: time.Now().Add(-time.Second)})
	stranger := authority.New(t).Renew(t, reader, time.Hour) // the known key, signed by another

	short := s.ca.Client(t, 5*time.Second)
	s.addCertificate(t, st, short, store.Credential{Name: "short", Scopes: []string{"scim"}})
	opened := s.dial(t, short)
	if got := list(t.Context(), opened); got != codes.OK {
		t.Errorf("a certificate that is valid for some seconds: %v", got)
	}
	for name, row := range map[string]struct {
		conn  *grpc.ClientConn
		token string
		want  codes.Code
	}{
		"known":                     {s.dial(t, reader), "", codes.OK},
		"renewed with its key":      {s.dial(t, s.ca.Renew(t, reader, time.Hour)), "", codes.OK},
		"unknown":                   {s.dial(t, nobody), "", codes.Unauthenticated},
		"unknown with a token":      {s.dial(t, nobody), token, codes.OK},
		"known with a wrong token":  {s.dial(t, reader), "wrong", codes.Unauthenticated},
		"expired":                   {s.dial(t, late), "", codes.Unavailable},
		"of an expired credential":  {s.dial(t, expired), "", codes.Unauthenticated},
		"of another authority":      {s.dial(t, stranger), "", codes.Unavailable},
		"none, with a token":        {s.dial(t), token, codes.OK},
		"none, and no token either": {s.dial(t), "", codes.Unauthenticated},
	} {
		ctx := t.Context()
		if row.token != "" {
			ctx = bearing(row.token)
		}
		if got := list(ctx, row.conn); got != row.want {
			t.Errorf("%s: %v, want %v", name, got, row.want)
		}
	}
	conn := s.dial(t, reader)
	_, err := musterv1.NewProvisioningServiceClient(conn).CreateUser(t.Context(), &musterv1.CreateUserRequest{User: &musterv1.User{UserName: "x"}})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a reader writes: %v", err)
	}
	time.Sleep(time.Until(short.Certificate.NotAfter) + time.Second)
	if got := list(t.Context(), opened); got != codes.Unauthenticated {
		t.Errorf("a connection that outlived its certificate: %v", got)
	}
	tenant, err := st.Tenant(t.Context(), server.DefaultTenant)
	if err != nil {
		t.Fatal(err)
	}
	if err := tenant.RevokeCredential(t.Context(), "reader"); err != nil {
		t.Fatal(err)
	}
	if got := list(t.Context(), conn); got != codes.Unauthenticated {
		t.Errorf("a revoked credential on an open connection: %v", got)
	}
	if !strings.Contains(s.out.String(), `"credential":"reader"`) {
		t.Errorf("the log does not name the credential: %s", s.out)
	}
}

func TestMutualTLS_Required(t *testing.T) {
	s := startTLS(t)
	if err := s.terminate(t); err != nil {
		t.Fatal(err)
	}
	s.program = serve(t, s.database, "--tls-cert", s.folder+"/tls.crt", "--tls-key", s.folder+"/tls.key",
		"--grpc-client-ca", s.folder+"/ca.crt", "--grpc-client-cert", "required")
	s.client = s.newClient(t)
	if got := list(authorized(), s.dial(t)); got != codes.Unavailable {
		t.Errorf("without a certificate: %v", got)
	}
	if got := list(authorized(), s.dial(t, s.ca.Client(t, time.Hour))); got != codes.OK {
		t.Errorf("with a certificate and a token: %v", got)
	}
	s.must(t, 200, http.MethodGet, "/Users", "") // REST asks for none
}

// Plain text is for loopback, or for who asks for it.
func TestPlaintext_OnlyWhereAskedFor(t *testing.T) {
	for _, flag := range []string{"--http", "--grpc"} {
		cmd := exec.Command(binary, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", flag, ":0")
		cmd.Env = append(cmd.Environ(), "MUSTER_DATABASE="+sqliteURL(t))
		out, err := cmd.CombinedOutput()
		if err == nil {
			t.Fatalf("%s: it serves: %s", flag, out)
		}
		for _, way := range []string{flag + " ", "--tls-cert", "127.0.0.1", "--plaintext"} {
			if !strings.Contains(string(out), way) {
				t.Errorf("%s: the error does not say %q: %s", flag, way, out)
			}
		}
		if strings.Contains(string(out), "Bearer token") {
			t.Errorf("%s: a token was made by a server that does not start: %s", flag, out)
		}
	}
	p := start(t, sqliteURL(t), "--http", ":0", "--plaintext")
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(p.base, "http://"), "/scim/v2"))
	if err != nil {
		t.Fatal(err)
	}
	p.must(t, 200, http.MethodGet, "http://127.0.0.1:"+port+"/scim/v2/Users", "")
}

// A token that is made at a start that fails is shown all the same: there is no
// other time.
func TestServe_ShowsTheTokenOfAStartThatFails(t *testing.T) {
	folder := t.TempDir()
	authority.WriteFile(t, folder, "broken.json", []byte("{"))
	cmd := exec.Command(binary, "serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--schemas", folder)
	cmd.Env = append(cmd.Environ(), "MUSTER_DATABASE="+sqliteURL(t))
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Bearer token:  muster_") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestTLS_SettingsThatContradict(t *testing.T) {
	for _, args := range [][]string{
		{"--tls-cert", "a"}, {"--tls-key", "a"}, {"--tls-cert", "a", "--tls-key", "b", "--plaintext"}, {"--grpc-client-ca", "a"},
		{"--grpc-client-cert", "perhaps"}, {"--grpc-client-cert", "required"}, {"--tls-cert", "nowhere.crt", "--tls-key", "nowhere.key"},
	} {
		out, err := command(sqliteURL(t), append([]string{"serve", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"}, args...)...).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), "muster: ") {
			t.Errorf("%v: %v: %s", args, err, out)
		}
	}
}
