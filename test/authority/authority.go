// Package authority makes certificates for tests, as a company's own authority does.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority is a root that signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// PEM is its certificate.
	PEM []byte
}

// Pair is a certificate and its key.
type Pair struct {
	Certificate *x509.Certificate
	CertPEM     []byte
	KeyPEM      []byte

	key *ecdsa.PrivateKey
}

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "an authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{certificate, key, pemOf("CERTIFICATE", der)}
}

// Pool is the authority as those have it who trust it.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Server makes a certificate of 127.0.0.1, ::1 and localhost.
func (a *Authority) Server(t testing.TB) Pair {
	t.Helper()
	return a.sign(t, newKey(t), &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotAfter: time.Now().Add(time.Hour),
	})
}

// Client makes a certificate of a client that is valid for so long from now; less
// than nothing: it is over.
func (a *Authority) Client(t testing.TB, valid time.Duration) Pair {
	t.Helper()
	return a.client(t, newKey(t), valid)
}

// Renew makes another certificate with the key of a client.
func (a *Authority) Renew(t testing.TB, p Pair, valid time.Duration) Pair {
	t.Helper()
	return a.client(t, p.key, valid)
}

func (a *Authority) client(t testing.TB, key *ecdsa.PrivateKey, valid time.Duration) Pair {
	t.Helper()
	return a.sign(t, key, &x509.Certificate{
		Subject: pkix.Name{CommonName: "a client"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotAfter: time.Now().Add(valid),
	})
}

func (a *Authority) sign(t testing.TB, key *ecdsa.PrivateKey, template *x509.Certificate) Pair {
	t.Helper()
	template.SerialNumber, template.NotBefore, template.KeyUsage = serial(t), time.Now().Add(-time.Hour), x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{certificate, pemOf("CERTIFICATE", der), pemOf("PRIVATE KEY", private), key}
}

// Write writes the pair as the files NAME.crt and NAME.key of a folder.
func (p Pair) Write(t testing.TB, folder, name string) (cert, key string) {
	t.Helper()
	return WriteFile(t, folder, name+".crt", p.CertPEM), WriteFile(t, folder, name+".key", p.KeyPEM)
}

// WriteFile writes a file, which appears whole or not at all, and returns its path.
func WriteFile(t testing.TB, folder, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	t.Helper()
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
