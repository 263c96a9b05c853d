package acceptance

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

// newAuthority makes one that signed itself.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.pem, _ = a.sign(t, func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
		c.ExtKeyUsage, c.IPAddresses = nil, nil
	})
	return a
}

// sign makes a certificate, of which change says what is not usual, and its key, both in
// PEM. It is for 127.0.0.1 and for servers and clients.
func (a *authority) sign(t *testing.T, change func(*x509.Certificate)) (cert, key string) {
	t.Helper()
	private := try(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).must(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "caregate test"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(template)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = template, private
	}
	der := try(x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)).must(t)
	if a.cert == nil {
		a.cert, a.key = try(x509.ParseCertificate(der)).must(t), private
	}
	raw := try(x509.MarshalPKCS8PrivateKey(private)).must(t)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// client returns the certificate of a caller who has names: URIs, and DNS names.
func (a *authority) client(t *testing.T, usage []x509.ExtKeyUsage, names ...string) tls.Certificate {
	t.Helper()
	cert, key := a.sign(t, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.IPAddresses = usage, nil
		for _, name := range names {
			if u, err := url.Parse(name); err == nil && u.Scheme != "" {
				c.URIs = append(c.URIs, u)
			} else {
				c.DNSNames = append(c.DNSNames, name)
			}
		}
	})
	pair := try(tls.X509KeyPair([]byte(cert), []byte(key))).must(t)
	return pair
}
