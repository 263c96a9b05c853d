package main

import (
	"net"

	"github.com/caregate/caregate/internal/httpapi"
)

// listening is an address that is bound and not yet served.
type listening struct {
	name     string
	listener net.Listener
}

// listen binds every address.
func (s *serving) listen() (bound []listening, err error) {
	defer func() {
		if err != nil {
			for _, l := range bound {
				_ = l.listener.Close()
			}
		}
	}()
	add := func(name, addr string) error {
		l, err := httpapi.Listen(addr)
		if err == nil {
			bound = append(bound, listening{name, l})
		}
		return err
	}
	for _, addr := range s.addrs {
		if err := add("decisions", addr); err != nil {
			return bound, err
		}
	}
	if err := add("diagnostic", s.diagnosticAddr); err != nil {
		return bound, err
	}
	if s.adminAddr != "" {
		return bound, add("admin", s.adminAddr)
	}
	return bound, nil
}

// address is a listener's address in the form of --addr.
func (l listening) address() string {
	if l.listener.Addr().Network() == "unix" {
		return "unix://" + l.listener.Addr().String()
	}
	return l.listener.Addr().String()
}
