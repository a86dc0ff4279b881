package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/muster-scim/muster/transport"
)

// rereadEvery is how often the files of TLS are looked at. They are small.
const rereadEvery = 2 * time.Second

// Whether a gRPC client must have a certificate.
const (
	certOptional = "optional"
	certRequired = "required"
)

// checkTransport refuses settings of the transport that contradict each other.
func (c *config) checkTransport() (err error) {
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("give both --tls-cert and --tls-key, or neither")
	case c.TLSCert != "" && c.Plaintext:
		return errors.New("--plaintext is for a server without --tls-cert; give one of them")
	case c.GRPCClientCA != "" && c.TLSCert == "":
		return errors.New("--grpc-client-ca needs --tls-cert and --tls-key: client certificates are a part of TLS")
	case c.GRPCClientCert != certOptional && c.GRPCClientCert != certRequired:
		return fmt.Errorf("grpc-client-cert is %q; use optional or required", c.GRPCClientCert)
	case c.GRPCClientCert == certRequired && c.GRPCClientCA == "":
		return errors.New("--grpc-client-cert required needs --grpc-client-ca: the certificates that they are verified by")
	}
	if c.proxies, err = transport.ParseProxies(c.TrustedProxies); err != nil {
		return fmt.Errorf("trusted-proxies: %w", err)
	}
	return nil
}

// openKeys reads the files of TLS, if there are any.
func (p *program) openKeys(c config) (err error) {
	if c.TLSCert == "" {
		return nil
	}
	p.keys, err = transport.OpenKeys(transport.Files{Cert: c.TLSCert, Key: c.TLSKey, ClientCA: c.GRPCClientCA}, p.log)
	return err
}

// grpcTLS is the configuration of the gRPC server; nil: plain text.
func (p *program) grpcTLS(c config) *tls.Config {
	if p.keys == nil {
		return nil
	}
	return p.keys.Mutual(c.GRPCClientCert == certRequired, "h2")
}

// serveFace serves the REST face until it is shut down.
func (p *program) serveFace() error {
	if p.keys == nil {
		return p.face.Serve(p.http)
	}
	p.face.TLSConfig = p.keys.Server("h2", "http/1.1")
	return p.face.ServeTLS(p.http, "", "")
}

func (p *program) scheme() string {
	if p.keys == nil {
		return "http"
	}
	return "https"
}

// checkPlaintext refuses to listen without TLS where other machines can connect,
// unless the operator asks for just that.
func (p *program) checkPlaintext(c config) error {
	if p.keys != nil || c.Plaintext {
		return nil
	}
	const ways = "; or listen on loopback, such as 127.0.0.1:%d%s; or allow it with --plaintext"
	for flag, l := range map[string]net.Listener{"--http": p.http, "--grpc": p.grpc} {
		if !isLoopback(l) {
			return fmt.Errorf("%s %s can be reached by other machines, and tokens would travel in plain text: give --tls-cert and --tls-key"+ways,
				flag, l.Addr(), 8080, " behind a proxy that speaks TLS")
		}
	}
	if l := p.metrics.listener; l != nil && !isLoopback(l) {
		return fmt.Errorf("--metrics %s can be reached by other machines, and the numbers would travel in plain text: give --tls-cert and --tls-key"+ways, l.Addr(), 9464, "")
	}
	return nil
}
