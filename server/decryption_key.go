package server

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"
)

const (
	// decryptionKey is the name of what SAML providers encrypt for.
	decryptionKey     = "console decryption"
	decryptionKeyBits = 3072
	// decryptionKeyYears is how long its certificate is valid. Providers take a public key
	// from it; some want it not to have expired, and nobody looks after it here.
	decryptionKeyYears = 20
)

// newDecryptionKey makes a private key and a certificate that it has signed itself, in
// PEM.
func newDecryptionKey() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, decryptionKeyBits)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	at := time.Now().Add(-time.Hour) // for clocks of providers that are behind
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Muster"}, KeyUsage: x509.KeyUsageKeyEncipherment,
		NotBefore: at, NotAfter: at.AddDate(decryptionKeyYears, 0, 0),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := &bytes.Buffer{}
	for _, block := range []pem.Block{{Type: "PRIVATE KEY", Bytes: private}, {Type: "CERTIFICATE", Bytes: certificate}} {
		if err := pem.Encode(text, &block); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
