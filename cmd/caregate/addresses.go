package main

import (
	"errors"
	"fmt"

	"github.com/caregate/caregate/internal/httpapi"
)

// checkAddresses refuses addresses at which strangers could ask.
func (s *serving) checkAddresses() error {
	var errs []error
	for _, addr := range s.addrs {
		errs = append(errs, httpapi.CheckAddress("--addr", addr, s.tokens != "" || s.tlsClientCA != "", s.allowUnauthenticated))
	}
	if len(s.addrs) == 0 {
		errs = append(errs, errors.New("--addr: name at least one address for decisions"))
	}
	if s.adminAddr != "" {
		known := s.adminTokens != "" || s.jwt.jwks != "" || len(s.adminClientNames) > 0
		if s.tlsClientCA != "" && !known && !httpapi.IsUnix(s.adminAddr) {
			errs = append(errs, fmt.Errorf("--tls-client-ca: every certificate that it signed, a server's too, would administer at %s: "+
				"say which names may with --admin-client-names, or give --admin-tokens or --jwt-jwks, or listen on unix:///path (--admin-addr)", s.adminAddr))
		} else {
			errs = append(errs, httpapi.CheckAddress("--admin-addr", s.adminAddr, known, s.allowUnauthenticated))
		}
	}
	return errors.Join(append(errs, s.checkClientNames())...)
}

// checkClientNames refuses names that nobody would be asked for although somebody wrote them.
func (s *serving) checkClientNames() error {
	if len(s.adminClientNames) == 0 {
		return nil
	}
	why := ""
	switch {
	case s.tlsClientCA == "":
		why = "nobody is asked for a certificate; give --tls-client-ca"
	case s.adminAddr == "" && s.tokens != "":
		why = "administration is off, and callers of decisions bear tokens; give --admin-addr"
	case httpapi.IsUnix(s.adminAddr):
		why = "over a unix socket nobody shows a certificate, and the file system says who may; have --admin-addr be host:port"
	default:
		return nil
	}
	return fmt.Errorf("%s: the names have no effect: %s, or leave the names out", s.app.source("admin-client-names").name, why)
}
