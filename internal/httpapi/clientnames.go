package httpapi

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// clientNames are the names of which a certificate has to have one for its holder to
// administer: DNS names and URIs, among the certificate's alternative names. Its signer
// alone says little, for the certificate of every server may have the same one.
type clientNames struct {
	dns, uris map[string]bool
}

// newClientNames checks names. Without any it returns nil, which asks for none.
func newClientNames(names []string) (*clientNames, error) {
	if len(names) == 0 {
		return nil, nil //nolint:nilnil // no names, none is asked for
	}
	c := &clientNames{dns: make(map[string]bool), uris: make(map[string]bool)}
	for _, name := range names {
		switch u := uriName(name); {
		case u != nil:
			c.uris[u.String()] = true
		case isDNSName(name):
			c.dns[hostName(name)] = true
		default:
			return nil, fmt.Errorf("%q is neither a DNS name nor a URI; write one that the certificate of the caller has, "+
				"as it is there and without a *, such as console.example or spiffe://example/console", name)
		}
	}
	return c, nil
}

// uriName returns the URI that a name is, nil for none. A host with a port looks like one.
func uriName(name string) *url.URL {
	u, err := url.Parse(name)
	if err != nil || u.Scheme == "" || u.Host == "" && u.Opaque == "" || strings.Trim(u.Opaque, "0123456789") == "" && u.Opaque != "" || strings.Contains(name, "*") {
		return nil
	}
	return u
}

// isDNSName reports whether a name is one as certificates have it: letters of other
// alphabets are there in another form (xn--), and an address is none.
func isDNSName(name string) bool {
	_, err := netip.ParseAddr(name)
	return err != nil && hostName(name) != "" && strings.IndexFunc(hostName(name), func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-._", r)
	}) < 0
}

// names refuses a caller who is known by a certificate and names somebody, unless they may
// administer: a signer's every certificate would be an administrator's else.
func (c *clientNames) names(x *exchange) error {
	if state := x.request.TLS; c == nil && state != nil && len(state.VerifiedChains) > 0 {
		return authz.Errorf(authz.Forbidden, headerActor, "names somebody, and nothing says whose certificates may; "+
			"leave it out, or start with --admin-client-names or --tokens")
	}
	return c.admits(x)
}

// admits refuses a caller whose certificate is none of a client's, or has none of the names. What
// is asked for is said, and the names are not.
func (c *clientNames) admits(x *exchange) error {
	if c == nil {
		return nil
	}
	state := x.request.TLS
	if state == nil || len(state.VerifiedChains) == 0 {
		return authz.Errorf(authz.Forbidden, "", "no certificate was shown, and who administers here is known by theirs; show one over TLS")
	}
	shown := state.PeerCertificates[0]
	// TLS takes a certificate that is for nothing in particular, or for anything.
	if !slices.Contains(shown.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		return authz.Errorf(authz.Forbidden, "", "the certificate that was shown lacks the extended key usage clientAuth; show one that was made for a client")
	}
	for _, name := range shown.DNSNames {
		if c.dns[hostName(name)] {
			return nil
		}
	}
	for _, u := range shown.URIs {
		if c.uris[u.String()] {
			return nil
		}
	}
	return authz.Errorf(authz.Forbidden, "", "the certificate that was shown has no DNS name and no URI of those who administer; "+
		"show one that has, or have its name added to --admin-client-names")
}
