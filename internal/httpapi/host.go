package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// hosts are the names under which this machine may be asked over loopback by those who
// are not asked who they are. A page in a browser can have its own name lead to 127.0.0.1
// and then ask whatever listens there (DNS rebinding), but the browser says that name.
type hosts map[string]bool

// newHosts checks names, and adds that of publicURL.
func newHosts(names []string, publicURL string) (hosts, error) {
	h := hosts{"localhost": true}
	for _, name := range names {
		if name == "" || strings.ContainsAny(name, "/:@*?#[] \t") {
			return nil, fmt.Errorf("%q is no name of a host; write it without scheme, port and path, such as caregate.internal", name)
		}
		h[hostName(name)] = true
	}
	if u, err := url.Parse(publicURL); err == nil && u.Hostname() != "" {
		h[hostName(u.Hostname())] = true
	}
	return h, nil
}

// hostName is a name as hosts have it: names are the same in any case and with a full stop
// at their end.
func hostName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// addressed refuses a request that came over loopback, where nobody is asked who they
// are, under another name than this machine's, or from a page of another machine's. A
// certificate is for a name, so over TLS there is nothing to look at, and a unix socket is
// out of every browser's reach. Probes of HTTP/1.0 may come without a name; no browser does.
func (h hosts) addressed(r *http.Request, probes bool) error {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || r.TLS != nil || !local.IP.IsLoopback() {
		return nil
	}
	if r.Host == "" && !probes {
		return authz.Errorf(authz.Forbidden, "Host", "is empty; send the name or the address that you ask, such as localhost")
	}
	if r.Host != "" && !h.has(r.Host, false) {
		return authz.Errorf(authz.Forbidden, "Host", "is the name of another machine; ask for localhost, or for the address, "+
			"or have callers bear tokens, or start with the name in --allowed-hosts")
	}
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !h.has(u.Host, true) {
			return authz.Errorf(authz.Forbidden, "Origin", "is a page of another machine's, and nobody here is asked who they are; "+
				"ask from a service, or have callers bear tokens, or start with the name in --allowed-hosts")
		}
	}
	return nil
}

// has reports whether a host, with its port or without, is one of this machine's names,
// or an address: whoever asks for an address was led nowhere by a name. For own it has to
// be an address of loopback.
func (h hosts) has(host string, own bool) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	host = hostName(host)
	if ip, err := netip.ParseAddr(host); err == nil {
		return !own || ip.Unmap().IsLoopback()
	}
	return h[host]
}
