package httpapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// unixScheme starts the address of a unix socket.
const unixScheme = "unix://"

// Listen listens on host:port, or on the unix socket of unix:///path. A socket
// that another process left behind is replaced, one that a process still answers
// on is not, and nothing else is ever removed. The socket is open to its owner
// and group, and removed when the listener closes.
func Listen(addr string) (net.Listener, error) {
	path, unix := strings.CutPrefix(addr, unixScheme)
	if !unix {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, fmt.Errorf("listen on %q (write host:port, or unix:///path): %w", addr, err)
		}
		return l, nil
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("listen on %q: a socket needs an absolute path; write unix:///path", addr)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %q: %w", addr, err)
	}
	return l, nil
}

// removeStale makes room for a socket at path.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file that is not a socket; remove it or choose another path")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = conn.Close()
		return errors.New("another process answers on this socket; stop it or choose another path")
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot tell whether the socket is in use: %w", err)
	}
	return os.Remove(path)
}

// IsUnix reports whether addr is a unix socket.
func IsUnix(addr string) bool { return strings.HasPrefix(addr, unixScheme) }

// IsLoopback reports whether only processes of this machine can reach addr: a
// unix socket, or a host that is localhost or a loopback address. An empty host
// means every interface.
func IsLoopback(addr string) bool {
	if IsUnix(addr) {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// CheckAddress refuses an address that other machines can reach when nobody
// there is asked who they are. Flag is the one that gave the address,
// authenticated means that tokens, signed or not, or client certificates are
// required on it.
func CheckAddress(flag, addr string, authenticated, allowUnauthenticated bool) error {
	if authenticated || allowUnauthenticated || IsLoopback(addr) {
		return nil
	}
	return fmt.Errorf("%s %s can be reached from other machines, and callers are not asked who they are: "+
		"give --tokens or --tls-client-ca (for --admin-addr --admin-tokens, --jwt-jwks or --admin-client-names), or listen on a loopback address or unix:///path, "+
		"or start with --allow-unauthenticated, which lets everybody who can reach the address ask everything", flag, addr)
}
