package directory

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/redistest"
)

// certAuthority is who signs certificates.
type certAuthority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *certAuthority {
	t.Helper()
	a := &certAuthority{t: t}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	a.file = a.write("ca", "CERTIFICATE", a.cert.Raw)
	return a
}

func (a *certAuthority) sign(template *x509.Certificate, by *certAuthority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(a.t)(err)
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: template.SerialNumber.String()}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	must(a.t)(err)
	cert, err := x509.ParseCertificate(der)
	must(a.t)(err)
	return cert, key
}

// issue returns files of a certificate and its key.
func (a *certAuthority) issue(template *x509.Certificate) (cert, key string) {
	a.t.Helper()
	c, k := a.sign(template, a)
	der, err := x509.MarshalECPrivateKey(k)
	must(a.t)(err)
	return a.write("cert", "CERTIFICATE", c.Raw), a.write("key", "EC PRIVATE KEY", der)
}

func (a *certAuthority) forServer(names ...string) (cert, key string) {
	return a.issue(&x509.Certificate{
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *certAuthority) forClient() (cert, key string) {
	return a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *certAuthority) write(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.t.TempDir(), name)
	must(a.t)(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return file
}

// startTLS starts a Redis that speaks TLS on the port of the URL that it returns.
func startTLS(t *testing.T, a *certAuthority, clients string) string {
	t.Helper()
	port, err := redistest.FreePort()
	must(t)(err)
	cert, key := a.forServer("localhost")
	server, err := redistest.Start(t.TempDir(), "--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", a.file, "--tls-auth-clients", clients)
	must(t)(err)
	t.Cleanup(server.Kill)
	return "rediss://127.0.0.1:" + strconv.Itoa(port)
}

// connects reports whether a directory opened like this is answered.
func connects(t *testing.T, cfg Config) error {
	t.Helper()
	d, err := Open(cfg)
	if err != nil {
		return err
	}
	defer closed(t, d)
	// Once more: a busy machine may need its time.
	if err = d.Ready(t.Context(), "riverside"); err != nil {
		err = d.Ready(t.Context(), "riverside")
	}
	return err
}

func TestTLS(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	url := startTLS(t, a, "no")
	port := url[strings.LastIndex(url, ":"):]
	works(t, Config{URL: url, CA: a.file})
	works(t, Config{URL: "rediss://localhost" + port, CA: a.file})
	for what, cfg := range map[string]Config{
		"the system trusts nobody of ours": {URL: url},
		"another authority":                {URL: url, CA: other.file},
		"no encryption":                    {URL: strings.Replace(url, "rediss", "redis", 1)},
	} {
		if err := connects(t, cfg); authz.KindOf(err) != authz.Unavailable || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A server that has a certificate, but for another name.
	elsewhere, err := net.Listen("tcp", "127.0.0.2:0")
	if err == nil { // where there are such addresses
		defer func() { _ = elsewhere.Close() }()
		link := "rediss://" + elsewhere.Addr().String()
		go relay(elsewhere, "127.0.0.1"+port)
		if err := connects(t, Config{URL: link, CA: a.file}); authz.KindOf(err) != authz.Unavailable || err == nil {
			t.Errorf("a certificate for another name: %v", err)
		}
	}
}

// relay lets whoever comes to a listener talk to a server.
func relay(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", to)
		if err != nil {
			_ = client.Close()
			continue
		}
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			go func() {
				b := make([]byte, 4096)
				for {
					n, err := pair[0].Read(b)
					if _, err2 := pair[1].Write(b[:n]); err != nil || err2 != nil {
						_, _ = pair[0].Close(), pair[1].Close()
						return
					}
				}
			}()
		}
	}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	a, other := newAuthority(t), newAuthority(t)
	url := startTLS(t, a, "yes")
	cert, key := a.forClient()
	works(t, Config{URL: url, CA: a.file, Cert: cert, Key: key})
	otherCert, otherKey := other.forClient()
	for what, cfg := range map[string]Config{
		"no certificate":                   {URL: url, CA: a.file},
		"a certificate that others signed": {URL: url, CA: a.file, Cert: otherCert, Key: otherKey},
	} {
		if err := connects(t, cfg); authz.KindOf(err) != authz.Unavailable || err == nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	// A certificate is replaced while it is used.
	d, err := Open(Config{URL: url, CA: a.file, Cert: otherCert, Key: otherKey})
	must(t)(err)
	defer closed(t, d)
	if d.Ready(t.Context(), "riverside") == nil {
		t.Error("a certificate that others signed is taken")
	}
	for from, to := range map[string]string{cert: otherCert, key: otherKey} {
		text, err := os.ReadFile(from)
		must(t)(err)
		must(t)(os.WriteFile(to, text, 0o600))
	}
	must(t)(redistest.Await(10*time.Second, "the new certificate is shown", func() bool { return d.Ready(t.Context(), "riverside") == nil }))
	must(t)(os.Remove(otherCert)) // the one in force stays
	for range 20 {
		must(t)(d.Ready(t.Context(), "riverside"))
	}
}

// Sentinels and nodes of a cluster are trusted by the same certificates.
func TestTLSOfSentinelsAndClusters(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	cert, key := a.forServer()
	port, err := redistest.FreePort()
	must(t)(err)
	tls := []string{
		"--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.file, "--tls-auth-clients", "yes",
		"--tls-cluster", "yes", "--cluster-enabled", "yes",
	}
	server, err := redistest.Start(t.TempDir(), tls...)
	must(t)(err)
	t.Cleanup(server.Kill)
	_, err = server.Do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	must(t)(err)
	must(t)(redistest.Await(20*time.Second, "the cluster works", func() bool {
		info, err := server.Do("CLUSTER", "INFO")
		return err == nil && strings.Contains(info.(string), "cluster_state:ok")
	}))
	clientCert, clientKey := a.forClient()
	url := "rediss+cluster://127.0.0.1:" + strconv.Itoa(port)
	works(t, Config{URL: url, CA: a.file, Cert: clientCert, Key: clientKey})
	if err := connects(t, Config{URL: url, CA: newAuthority(t).file, Cert: clientCert, Key: clientKey}); authz.KindOf(err) != authz.Unavailable || err == nil {
		t.Errorf("a cluster with certificates of others: %v", err)
	}
	for _, url := range []string{"rediss+sentinel://127.0.0.1:1?master_name=m", url} {
		d, err := Open(Config{URL: url, CA: a.file, Cert: clientCert, Key: clientKey})
		must(t)(err)
		if config := *d.server.TLS(); config == nil || config.RootCAs == nil || config.GetClientCertificate == nil || config.InsecureSkipVerify {
			t.Errorf("%s: %+v", url, config)
		}
		closed(t, d)
	}
}

// Whatever cannot be used of what names certificates stops the start, and nothing
// of a file is in the error.
func TestBadTLS(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.forClient()
	rubbish := filepath.Join(t.TempDir(), "rubbish")
	must(t)(os.WriteFile(rubbish, []byte("SECRET"), 0o600))
	missing := filepath.Join(t.TempDir(), "missing")
	const url = "rediss://127.0.0.1"
	for field, configs := range map[string][]Config{
		"redis-ca": {
			{URL: "redis://127.0.0.1", CA: a.file}, {URL: "unix:///s", CA: a.file}, {URL: "redis+cluster://a:1", CA: a.file},
			{URL: "redis+sentinel://a:1?master_name=m", CA: a.file},
			{URL: url, CA: missing}, {URL: url, CA: rubbish}, {URL: url, CA: key}, {URL: url, CA: t.TempDir()},
			{URL: url + "?skip_verify=true", CA: a.file},
		},
		"redis-cert": {
			{URL: "redis://127.0.0.1", Cert: cert, Key: key}, {URL: url, Key: key}, {URL: url, Cert: missing, Key: key},
			{URL: url, Cert: rubbish, Key: key}, {URL: url, Cert: cert, Key: rubbish}, {URL: url, Cert: a.file, Key: key},
		},
		"redis-key": {{URL: url, Cert: cert}, {URL: url, Cert: cert, Key: missing}},
	} {
		for _, cfg := range configs {
			d, err := Open(cfg)
			if err == nil {
				closed(t, d)
			}
			e, ok := errors.AsType[*authz.Error](err)
			if !ok || e.Field != field || e.Kind != authz.Malformed || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%+v: %v", cfg, err)
			}
		}
	}
}
