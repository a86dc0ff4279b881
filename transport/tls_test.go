package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/muster-scim/muster/test/authority"
)

const soon = 20 * time.Millisecond

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// openWatched opens the keys and watches them until the test ends.
func openWatched(t *testing.T, files Files) (*Keys, *logged) {
	t.Helper()
	log := &logged{}
	k, err := OpenKeys(files, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.Watch(ctx, soon); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return k, log
}

// shake makes one connection and returns both sides' errors.
func shake(t *testing.T, server, client *tls.Config) (state tls.ConnectionState, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ended := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer conn.Close()
		s := tls.Server(conn, server)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		ended <- err
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client = client.Clone()
	client.ServerName = "localhost"
	c := tls.Client(conn, client)
	_, clientErr = io.ReadFull(c, make([]byte, 1)) // with TLS 1.3 only this tells that the server agrees
	return c.ConnectionState(), <-ended, clientErr
}

// serial is the number of the certificate that a server shows now.
func serial(t *testing.T, k *Keys, a *authority.Authority) string {
	t.Helper()
	state, _, err := shake(t, k.Server("h2"), &tls.Config{RootCAs: a.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	return state.PeerCertificates[0].SerialNumber.String()
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(soon / 2) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not come to be so", what)
		}
	}
}

func TestKeys_ReadAgain(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	first, second := a.Server(t), a.Server(t)
	cert, key := first.Write(t, dir, "tls")
	k, log := openWatched(t, Files{Cert: cert, Key: key})
	if serial(t, k, a) != first.Certificate.SerialNumber.String() {
		t.Fatal("the server shows another certificate")
	}
	second.Write(t, dir, "tls")
	await(t, "the new certificate", func() bool { return serial(t, k, a) == second.Certificate.SerialNumber.String() })
	if !strings.Contains(log.String(), "read again") {
		t.Errorf("the log says %s", log)
	}
}

// Kubernetes mounts a secret as links through a link "..data", which it replaces.
func TestKeys_ReadAgainThroughLinks(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	first, second := a.Server(t), a.Server(t)
	mount := func(version string, p authority.Pair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
			t.Fatal(err)
		}
		p.Write(t, filepath.Join(dir, version), "tls")
		if err := errors.Join(os.Symlink(version, filepath.Join(dir, "..new")), os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data"))); err != nil {
			t.Fatal(err)
		}
	}
	mount("..1", first)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(os.Symlink("..data/tls.crt", cert), os.Symlink("..data/tls.key", key)); err != nil {
		t.Fatal(err)
	}
	k, _ := openWatched(t, Files{Cert: cert, Key: key})
	mount("..2", second)
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	await(t, "the new certificate", func() bool { return serial(t, k, a) == second.Certificate.SerialNumber.String() })
}

// Whatever is wrong with new files, the server goes on with the old ones, and says so
// once.
func TestKeys_BadFilesChangeNothing(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	good, other := a.Server(t), a.Server(t)
	cert, key := good.Write(t, dir, "tls")
	k, log := openWatched(t, Files{Cert: cert, Key: key})
	for name, spoil := range map[string]func(){
		"cert of another key": func() { authority.WriteFile(t, dir, "tls.crt", other.CertPEM) },
		"no PEM":              func() { authority.WriteFile(t, dir, "tls.key", []byte("nonsense")) },
		"no file":             func() { os.Remove(cert) },
	} {
		before := strings.Count(log.String(), "level=ERROR")
		spoil()
		await(t, name, func() bool { return strings.Count(log.String(), "level=ERROR") == before+1 })
		time.Sleep(5 * soon)
		if n := strings.Count(log.String(), "level=ERROR"); n != before+1 {
			t.Errorf("%s: told %d times: %s", name, n-before, log)
		}
		if serial(t, k, a) != good.Certificate.SerialNumber.String() {
			t.Errorf("%s: the certificate is another", name)
		}
		good.Write(t, dir, "tls")
		time.Sleep(5 * soon)
	}
	if strings.Contains(log.String(), "PRIVATE") || strings.Contains(log.String(), "nonsense") {
		t.Errorf("the log has what is in the files: %s", log)
	}
	other.Write(t, dir, "tls")
	await(t, "the new certificate", func() bool { return serial(t, k, a) == other.Certificate.SerialNumber.String() })
}

func TestOpenKeys_SaysWhatIsWrong(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	cert, key := a.Server(t).Write(t, dir, "tls")
	_, otherKey := a.Server(t).Write(t, dir, "other")
	for name, files := range map[string]Files{
		"no certificate":      {Cert: dir + "/nowhere", Key: key},
		"key of another":      {Cert: cert, Key: otherKey},
		"no authority":        {Cert: cert, Key: key, ClientCA: dir + "/nowhere"},
		"no PEM as authority": {Cert: cert, Key: key, ClientCA: key},
	} {
		if _, err := OpenKeys(files, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeys_Versions(t *testing.T) {
	a := authority.New(t)
	cert, key := a.Server(t).Write(t, t.TempDir(), "tls")
	k, _ := openWatched(t, Files{Cert: cert, Key: key})
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, _, err := shake(t, k.Server("h2", "http/1.1"), &tls.Config{RootCAs: a.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: version})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
	state, _, err := shake(t, k.Server("h2", "http/1.1"), &tls.Config{RootCAs: a.Pool(), NextProtos: []string{"http/1.1", "h2"}})
	if err != nil || state.Version != tls.VersionTLS13 || state.NegotiatedProtocol != "h2" {
		t.Errorf("TLS %x with %q, %v", state.Version, state.NegotiatedProtocol, err)
	}
}

func TestKeys_ClientCertificates(t *testing.T) {
	a, stranger, dir := authority.New(t), authority.New(t), t.TempDir()
	cert, key := a.Server(t).Write(t, dir, "tls")
	k, _ := openWatched(t, Files{Cert: cert, Key: key, ClientCA: authority.WriteFile(t, dir, "ca.crt", a.PEM)})
	clients := map[string]*tls.Config{"none": {RootCAs: a.Pool()}}
	for name, p := range map[string]authority.Pair{
		"known": a.Client(t, time.Hour), "expired": a.Client(t, -time.Minute), "of a stranger": stranger.Client(t, time.Hour), "of a server": a.Server(t),
	} {
		pair, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM)
		if err != nil {
			t.Fatal(err)
		}
		clients[name] = &tls.Config{RootCAs: a.Pool(), GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
	}
	for name, want := range map[string]struct{ optional, required bool }{
		"none": {true, false}, "known": {true, true}, "expired": {}, "of a stranger": {}, "of a server": {},
	} {
		for _, required := range []bool{false, true} {
			_, serverErr, clientErr := shake(t, k.Mutual(required, "h2"), clients[name])
			let := want.optional
			if required {
				let = want.required
			}
			if (serverErr == nil) != let || (clientErr == nil) != let {
				t.Errorf("%s, required %v: the server says %v, the client %v", name, required, serverErr, clientErr)
			}
		}
	}
	authority.WriteFile(t, dir, "ca.crt", stranger.PEM)
	await(t, "the other authority", func() bool {
		_, err, _ := shake(t, k.Mutual(true, "h2"), clients["of a stranger"])
		return err == nil
	})
	if _, err, _ := shake(t, k.Mutual(false, "h2"), clients["known"]); err == nil {
		t.Error("a certificate of the authority that was removed is still verified")
	}
}

// A session of a client whose authority is gone is not resumed.
func TestKeys_NoResumptionPastTheAuthority(t *testing.T) {
	a, stranger, dir := authority.New(t), authority.New(t), t.TempDir()
	cert, key := a.Server(t).Write(t, dir, "tls")
	k, _ := openWatched(t, Files{Cert: cert, Key: key, ClientCA: authority.WriteFile(t, dir, "ca.crt", a.PEM)})
	p := a.Client(t, time.Hour)
	pair, err := tls.X509KeyPair(p.CertPEM, p.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	server := k.Mutual(true, "h2")
	client := &tls.Config{RootCAs: a.Pool(), Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	for i := range 2 {
		if state, _, err := shake(t, server, client); err != nil || state.DidResume != (i == 1) {
			t.Fatalf("connection %d: resumed %v, %v", i, state.DidResume, err)
		}
	}
	authority.WriteFile(t, dir, "ca.crt", stranger.PEM)
	await(t, "the refusal", func() bool { _, err, _ := shake(t, server, client); return err != nil })
}

func TestClient(t *testing.T) {
	a, dir := authority.New(t), t.TempDir()
	cert, key := a.Server(t).Write(t, dir, "tls")
	ca := authority.WriteFile(t, dir, "ca.crt", a.PEM)
	clientCert, clientKey := a.Client(t, time.Hour).Write(t, dir, "client")
	k, _ := openWatched(t, Files{Cert: cert, Key: key, ClientCA: ca})
	config, err := Client(ca, clientCert, clientKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := shake(t, k.Mutual(true, "h2"), config); err != nil {
		t.Errorf("with everything: %v", err)
	}
	config, err = Client("", "", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := shake(t, k.Server("h2"), config); err == nil {
		t.Error("the system trusts an authority of a test")
	}
	for _, wrong := range [][3]string{{dir + "/nowhere"}, {key}, {ca, clientCert, key}, {ca, clientCert, ""}, {ca, "", clientKey}} {
		if _, err := Client(wrong[0], wrong[1], wrong[2]); err == nil {
			t.Errorf("%v: no error", wrong)
		}
	}
}
