package httpapi

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// TLSFiles names what a listener proves itself with, and whom it trusts.
type TLSFiles struct {
	// Cert and Key are the listener's certificate chain and its key, PEM. Required.
	Cert, Key string
	// ClientCA is a file of certificates, PEM. Callers must then show one that
	// these signed. "" asks callers for none.
	ClientCA string
	// Logger is told of later changes. nil discards.
	Logger *slog.Logger
}

// NewTLS returns a configuration of TLS 1.2 or later from files, which it reads
// again when they change. A file that cannot be used is an error now, and later
// leaves what was before.
func NewTLS(files TLSFiles) (*tls.Config, error) {
	if files.Cert == "" || files.Key == "" {
		return nil, errors.New("tls: a certificate needs its key and a key its certificate; give --tls-cert and --tls-key")
	}
	if files.Logger == nil {
		files.Logger = slog.New(slog.DiscardHandler)
	}
	k := &keeper{logger: files.Logger, files: []*watchedFile{{path: files.Cert}, {path: files.Key}}}
	if files.ClientCA != "" {
		k.files = append(k.files, &watchedFile{path: files.ClientCA})
	}
	if err := k.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"h2", "http/1.1"},
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return k.config(), nil },
	}, nil
}

// keeper holds the configuration that the files made last.
type keeper struct {
	logger  *slog.Logger
	files   []*watchedFile
	current atomic.Pointer[tls.Config]
}

func (k *keeper) config() *tls.Config {
	changed := false
	for _, f := range k.files {
		changed = f.changed() || changed
	}
	if changed {
		if err := k.load(); err != nil {
			k.logger.Error("the TLS files cannot be used; those of before hold", slog.String("error", err.Error()))
		} else {
			k.logger.Info("TLS files read again")
		}
	}
	return k.current.Load()
}

func (k *keeper) load() error {
	var content [3][]byte
	var unread []error
	for i, f := range k.files { // all of them, so that each is known as it is now
		b, err := f.content()
		if err != nil {
			unread = append(unread, err)
		}
		content[i] = b
	}
	if err := errors.Join(unread...); err != nil {
		return err
	}
	cert, err := tls.X509KeyPair(content[0], content[1])
	if err != nil {
		return fmt.Errorf("%s and %s: %w", k.files[0].path, k.files[1].path, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		Certificates: []tls.Certificate{cert},
	}
	if len(k.files) > 2 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(content[2]) {
			return fmt.Errorf("%s: there is no certificate in it; write the ones that sign callers, as PEM", k.files[2].path)
		}
		config.ClientCAs, config.ClientAuth = pool, tls.RequireAndVerifyClientCert
		// A resumed session would keep in a caller whose signer was taken away.
		config.SessionTicketsDisabled = true
	}
	k.current.Store(config)
	return nil
}
