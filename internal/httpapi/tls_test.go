package httpapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caregate/caregate/internal/httpapi"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.pem, _ = a.sign(name, true)
	return a
}

func (a *authority) sign(name string, ca bool) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Unix(0, 0), NotAfter: time.Now().Add(100 * 365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: ca, BasicConstraintsValid: true,
		DNSNames: []string{"caregate"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// issue writes a certificate and its key for name.
func (a *authority) issue(name, certFile, keyFile string) {
	a.t.Helper()
	_, _, cert, key := a.sign(name, false)
	write(a.t, certFile, cert)
	write(a.t, keyFile, key)
}

func (a *authority) client(name string) tls.Certificate {
	a.t.Helper()
	_, _, cert, key := a.sign(name, false)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	server, callers, strangers := newAuthority(t, "server CA"), newAuthority(t, "callers CA"), newAuthority(t, "strangers CA")
	files := httpapi.TLSFiles{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), ClientCA: filepath.Join(dir, "ca")}
	server.issue("one", files.Cert, files.Key)
	write(t, files.ClientCA, callers.pem)
	config, err := httpapi.NewTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	_, l := started(t, httpapi.ServerConfig{}, newAPI(t, httpapi.Config{}).Decisions(), config)

	roots := x509.NewCertPool()
	roots.AddCert(server.cert)
	ask := func(version uint16, certs ...tls.Certificate) (string, string, error) {
		tr := &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
			},
			ForceAttemptHTTP2: true,
			TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: certs, MaxVersion: version, MinVersion: tls.VersionTLS10},
		}
		defer tr.CloseIdleConnections()
		w, err := (&http.Client{Transport: tr}).Post("https://caregate/access/v1/evaluation", "application/json", strings.NewReader(good))
		if err != nil {
			return "", "", err
		}
		defer func() { _ = w.Body.Close() }()
		b, err := io.ReadAll(w.Body)
		return string(b), w.Proto, err
	}
	if got, proto, err := ask(0, callers.client("scheduling")); err != nil || got != yes || proto != "HTTP/2.0" {
		t.Errorf("got %s %s %v", got, proto, err)
	}
	if got, _, err := ask(tls.VersionTLS12, callers.client("scheduling")); err != nil || got != yes {
		t.Errorf("TLS 1.2: got %s %v", got, err)
	}
	if _, _, err := ask(0); err == nil {
		t.Error("a caller without a certificate is answered")
	}
	if _, _, err := ask(0, strangers.client("scheduling")); err == nil {
		t.Error("a caller of another authority is answered")
	}
	if _, _, err := ask(tls.VersionTLS11, callers.client("scheduling")); err == nil {
		t.Error("TLS 1.1 is answered")
	}
}

func TestTLSFailsClosed(t *testing.T) {
	dir := t.TempDir()
	a := newAuthority(t, "CA")
	cert, key, other, ca := filepath.Join(dir, "c"), filepath.Join(dir, "k"), filepath.Join(dir, "k2"), filepath.Join(dir, "ca")
	a.issue("one", cert, key)
	a.issue("two", filepath.Join(dir, "c2"), other)
	write(t, ca, "")
	for name, files := range map[string]httpapi.TLSFiles{
		"no key":         {Cert: cert},
		"no certificate": {Key: key},
		"a CA alone":     {ClientCA: ca},
		"missing":        {Cert: filepath.Join(dir, "x"), Key: key},
		"another's key":  {Cert: cert, Key: other},
		"empty CA":       {Cert: cert, Key: key, ClientCA: ca},
		"missing CA":     {Cert: cert, Key: key, ClientCA: filepath.Join(dir, "x")},
		"a CA of a key":  {Cert: cert, Key: key, ClientCA: key},
	} {
		if _, err := httpapi.NewTLS(files); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestTLSReloads(t *testing.T) {
	dir := t.TempDir()
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	logged, logger := newLog(slog.LevelInfo)
	files := httpapi.TLSFiles{Cert: filepath.Join(dir, "c"), Key: filepath.Join(dir, "k"), ClientCA: filepath.Join(dir, "ca"), Logger: logger}
	first.issue("one", files.Cert, files.Key)
	write(t, files.ClientCA, first.pem)
	synctest.Test(t, func(t *testing.T) {
		config, err := httpapi.NewTLS(files)
		if err != nil {
			t.Fatal(err)
		}
		now := func() (name string, signers int) {
			t.Helper()
			time.Sleep(1100 * time.Millisecond)
			c, err := config.GetConfigForClient(nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.ClientAuth != tls.RequireAndVerifyClientCert || c.MinVersion != tls.VersionTLS12 {
				t.Error("a configuration that asks for less")
			}
			return c.Certificates[0].Leaf.Subject.CommonName, len(c.ClientCAs.Subjects()) //nolint:staticcheck // not a system pool
		}
		if name, _ := now(); name != "one" {
			t.Errorf("serves %s", name)
		}
		first.issue("two", files.Cert, files.Key)
		write(t, files.ClientCA, first.pem+second.pem)
		if name, signers := now(); name != "two" || signers != 2 {
			t.Errorf("serves %s with %d signers", name, signers)
		}
		write(t, files.ClientCA, "")
		write(t, files.Key, "rubbish")
		for range 3 {
			if name, signers := now(); name != "two" || signers != 2 {
				t.Errorf("serves %s with %d signers", name, signers)
			}
		}
		if n := len(logged.lines(`"level":"ERROR"`)); n != 1 {
			t.Errorf("%d errors: %s", n, logged)
		}
		second.issue("three", files.Cert, files.Key)
		write(t, files.ClientCA, second.pem)
		if name, signers := now(); name != "three" || signers != 1 {
			t.Errorf("serves %s with %d signers", name, signers)
		}
	})
}
