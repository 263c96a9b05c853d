package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
)

// said is an error whose text is ours.
type said string

func (s said) Error() string { return string(s) }

// because returns why the issuer gave no answer, in words of ours or of this machine.
// What a server says may quote anything, and nothing of it is kept.
func because(err error) string {
	var (
		ours    said
		errno   syscall.Errno
		timeout net.Error
	)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.As(err, &ours):
		return string(ours)
	case isDNS && dns.IsTimeout:
		return "the name of the host was not resolved in time"
	case isDNS:
		return "the name of the host cannot be resolved"
	case isTLS(err):
		return "the two do not agree on certificates or encryption; check SSL_CERT_FILE, and the names in the certificate of the server"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "it did not answer in time"
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "the connection ended before the answer did"
	default:
		return "its answer is not one of HTTP"
	}
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		alert        tls.AlertError
		record       tls.RecordHeaderError
		authority    x509.UnknownAuthorityError
		host         x509.HostnameError
		invalid      x509.CertificateInvalidError
	)
	return errors.As(err, &verification) || errors.As(err, &alert) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}
