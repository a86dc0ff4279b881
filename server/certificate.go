package server

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/peer"

	"github.com/muster-scim/muster/scim"
	"github.com/muster-scim/muster/store"
)

// transportCredentials are how connections over a socket are made.
func (s *Server) transportCredentials(config *tls.Config) credentials.TransportCredentials {
	if config == nil {
		return insecure.NewCredentials()
	}
	return &handshakes{credentials.NewTLS(config), s.log}
}

// handshakes are those of the embedded credentials, and the log gets a line for each
// that fails: what is wrong with a certificate stands nowhere else.
type handshakes struct {
	credentials.TransportCredentials

	log *slog.Logger
}

func (h *handshakes) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := h.TransportCredentials.ServerHandshake(conn)
	if err != nil && !errors.Is(err, io.EOF) { // who says nothing looks only whether the port is open
		h.log.Info("TLS handshake failed", "address", conn.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

func (h *handshakes) Clone() credentials.TransportCredentials {
	return &handshakes{h.TransportCredentials.Clone(), h.log}
}

// CertificateFingerprint is what a certificate is known by: SHA-256 of its public
// key in hex, so that it stays the same where it is renewed with the same key.
func CertificateFingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// CertificateLookup is the store.Credential.Lookup of a certificate with this
// fingerprint.
func CertificateLookup(fingerprint string) string { return "certificate:" + fingerprint }

// clientCertificate is the certificate of the caller's connection, if it has one that
// was verified when the connection was made.
func clientCertificate(ctx context.Context) *x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.VerifiedChains[0][0]
}

// identifyCertificate finds the credential that a client certificate stands for. A
// connection may live longer than the certificate it was made with.
func (s *Server) identifyCertificate(ctx context.Context, certificate *x509.Certificate) (store.Principal, error) {
	if time.Now().After(certificate.NotAfter) {
		return store.Principal{}, scim.Errorf(scim.Unauthenticated, "the client certificate has expired; connect again with a new one")
	}
	return s.store.AuthenticateLookup(ctx, store.Certificate, CertificateLookup(CertificateFingerprint(certificate)))
}
