// Package transport is how bytes come in and go out: certificates from files that
// may change while the program runs, and which proxies are believed about where a
// request came from.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Files are what a server's TLS is made of, all PEM.
type Files struct {
	// Cert is the server's certificate and those between it and the root; Key is its
	// private key, not encrypted.
	Cert, Key string
	// ClientCA are the certificates of those whose client certificates are trusted.
	// Empty: clients are not asked for a certificate.
	ClientCA string
}

// Keys are the contents of Files, as they are now.
type Keys struct {
	log     *slog.Logger
	server  *watched[tls.Certificate]
	clients *watched[x509.CertPool] // nil: without client certificates
}

// OpenKeys reads the files. It fails where one cannot be read, or where the key does
// not belong to the certificate.
func OpenKeys(files Files, log *slog.Logger) (*Keys, error) {
	k := &Keys{log: log}
	k.server = &watched[tls.Certificate]{what: "the TLS certificate", paths: []string{files.Cert, files.Key}, parse: k.parsePair}
	if _, err := k.server.read(); err != nil {
		return nil, fmt.Errorf("reading the TLS certificate %s and its key %s: %w", files.Cert, files.Key, err)
	}
	if files.ClientCA == "" {
		return k, nil
	}
	k.clients = &watched[x509.CertPool]{what: "the certificates that client certificates are trusted by", paths: []string{files.ClientCA}, parse: parsePool}
	if _, err := k.clients.read(); err != nil {
		return nil, fmt.Errorf("reading the certificates %s that client certificates are trusted by: %w", files.ClientCA, err)
	}
	return k, nil
}

// parsePair makes the server's certificate. That it is over, or not yet valid, is no
// reason to refuse it: clients do, and the clock may be wrong.
func (k *Keys) parsePair(files [][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(files[0], files[1])
	if err != nil {
		return nil, err
	}
	leaf, at := pair.Leaf, time.Now()
	if at.After(leaf.NotAfter) || at.Before(leaf.NotBefore) {
		k.log.Warn("the TLS certificate is not valid now", "from", leaf.NotBefore, "until", leaf.NotAfter)
	}
	return &pair, nil
}

func parsePool(files [][]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(files[0]) {
		return nil, errors.New("the file has no certificate in PEM form")
	}
	return pool, nil
}

// Watch reads the files again at this interval until ctx ends. Connections that are
// open stay as they are; new ones get what is new. Files that are no good change
// nothing, and are told in the log.
func (k *Keys) Watch(ctx context.Context, every time.Duration) {
	var both sync.WaitGroup
	both.Go(func() { k.server.watch(ctx, every, k.log) })
	if k.clients != nil {
		both.Go(func() { k.clients.watch(ctx, every, k.log) })
	}
	both.Wait()
}

// Server is the configuration of a server that speaks these protocols (ALPN), the
// preferred first. It asks no client for a certificate.
func (k *Keys) Server(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return k.server.current.Load(), nil },
	}
}

// Mutual is Server, and verifies the certificate of a client that has one; where it
// is required, a client without is refused. Without Files.ClientCA it is Server.
func (k *Keys) Mutual(required bool, protocols ...string) *tls.Config {
	config := k.Server(protocols...)
	if k.clients == nil {
		return config
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if required {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := config.Clone()
		now.ClientCAs = k.clients.current.Load()
		return now, nil
	}
	return config
}

// Client is the configuration of a client. It trusts the certificates in the file
// ca, or where that is empty those that the system trusts; and it shows the
// certificate in the file cert, unless that is empty.
func Client(ca, cert, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		data, err := os.ReadFile(ca) //nolint:gosec // the operator names it
		if err != nil {
			return nil, err
		}
		if config.RootCAs, err = parsePool([][]byte{data}); err != nil {
			return nil, fmt.Errorf("%s: %w", ca, err)
		}
	}
	if cert == "" && key == "" {
		return config, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate %s and its key %s: %w", cert, key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
