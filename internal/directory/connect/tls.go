package connect

import (
	"crypto/tls"
	"crypto/x509"
	"sync"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/plaintext"
)

// Certificates name files in PEM, "" for none: CA the certificates that may have signed those of
// the servers, Cert and Key a certificate that is shown to them.
type Certificates struct{ CA, Cert, Key string }

// Secure returns the server with certificates. Whatever of them cannot be used is an error: to
// go without would trust whom nobody meant.
func (s Server) Secure(cfg Certificates) (Server, error) {
	if cfg.CA == "" && cfg.Cert == "" && cfg.Key == "" {
		return s, nil
	}
	base := s.TLS()
	if *base == nil {
		field := "redis-ca"
		if cfg.CA == "" {
			field = "redis-cert"
		}
		return Server{}, badTLS(field, "is given and the connection to Redis is not encrypted; write rediss:// in its URL, or leave this out")
	}
	secured := (*base).Clone()
	if cfg.CA != "" {
		if secured.InsecureSkipVerify {
			return Server{}, badTLS("redis-ca", "is given and the URL of Redis says skip_verify, which trusts everybody; leave out one of them")
		}
		pem, err := plaintext.ReadFile(cfg.CA)
		if err != nil {
			return Server{}, unreadable("redis-ca", err)
		}
		if secured.RootCAs = x509.NewCertPool(); !secured.RootCAs.AppendCertsFromPEM(pem) {
			return Server{}, badTLS("redis-ca", "has no certificate; name a file with the certificates to trust, in PEM")
		}
	}
	if cfg.Cert != "" || cfg.Key != "" {
		shown, err := newShownCert(cfg.Cert, cfg.Key)
		if err != nil {
			return Server{}, err
		}
		secured.GetClientCertificate = shown.get
	}
	*base = secured
	return s, nil
}

// TLS returns where the options of the server say how to encrypt, nil there for
// not at all.
func (s Server) TLS() **tls.Config {
	switch {
	case s.cluster != nil:
		return &s.cluster.TLSConfig
	case s.sentinel != nil:
		return &s.sentinel.TLSConfig
	default:
		return &s.Single.TLSConfig
	}
}

// shownCert is the certificate that is shown to Redis.
type shownCert struct {
	cert, key string // files

	mu   sync.Mutex
	last *tls.Certificate
}

func newShownCert(cert, key string) (*shownCert, error) {
	if cert == "" {
		return nil, badTLS("redis-cert", "is missing beside --redis-key; name the certificate that the key is for")
	}
	if key == "" {
		return nil, badTLS("redis-key", "is missing beside --redis-cert; name the key of that certificate")
	}
	s := &shownCert{cert: cert, key: key}
	return s, s.load()
}

// load reads the files.
func (s *shownCert) load() error {
	cert, err := plaintext.ReadFile(s.cert)
	if err != nil {
		return unreadable("redis-cert", err)
	}
	key, err := plaintext.ReadFile(s.key)
	if err != nil {
		return unreadable("redis-key", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil { // may repeat what is in a file
		return badTLS("redis-cert", "and --redis-key are not a certificate and its key, in PEM")
	}
	s.last = &pair
	return nil
}

// get reads the files again for each connection, so that a certificate can be
// replaced while it is used. Files that cannot be read leave the old one in force.
func (s *shownCert) get(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.load()
	return s.last, nil
}

func badTLS(field, message string) error {
	return authz.Errorf(authz.Malformed, field, "%s", message)
}

func unreadable(field string, err error) error {
	return &authz.Error{Kind: authz.Malformed, Field: field, Message: "cannot be read; name a file in PEM that this process may read", Err: err}
}
