package identity

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/caregate/caregate/internal/plaintext"
)

// maxSet is the most bytes that a key set may have.
const maxSet = 1 << 20

// newSource returns what reads the key set at a place: a URL or a file.
func newSource(place string, client *http.Client) (func(context.Context) ([]byte, error), error) {
	if !strings.Contains(place, "://") {
		return func(context.Context) ([]byte, error) { return readFile(place) }, nil
	}
	u, err := url.Parse(place)
	if err != nil {
		return nil, errors.New("the JWKS is no URL that can be read")
	}
	if err := trustworthy(u); err != nil {
		return nil, err
	}
	// A connection for each answer: what comes on an idle one is logged by net/http.
	own := http.Client{Timeout: fetchTimeout, Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(r *http.Request, before []*http.Request) error {
		if len(before) > 3 {
			return said("more than 3 redirects")
		}
		return trustworthy(r.URL)
	}
	return func(ctx context.Context) ([]byte, error) { return fetch(ctx, &own, u) }, nil
}

// trustworthy refuses a URL of which somebody on the way could change the answer.
func trustworthy(u *url.URL) error {
	switch {
	case u.Host == "" || u.User != nil:
		return said("the URL of the JWKS must name a host, and no user")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	default:
		return said("the URL of the JWKS must begin with https://; http:// will do for this machine alone")
	}
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// fetch reads the key set at a URL. Its errors name the host alone: the rest of a
// URL may hold a secret. Of what the host says they hold nothing.
func fetch(ctx context.Context, client *http.Client, u *url.URL) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("the JWKS at %s cannot be asked for", u.Host)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	answer, err := client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("the JWKS at %s cannot be fetched: %s", u.Host, because(err))
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the JWKS at %s cannot be fetched: it answers %d", u.Host, answer.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(answer.Body, maxSet+1))
	if err != nil {
		return nil, fmt.Errorf("the JWKS at %s cannot be fetched: %s", u.Host, because(err))
	}
	if err := plain(b); err != nil {
		return nil, fmt.Errorf("the JWKS at %s: %w", u.Host, err)
	}
	return b, nil
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the JWKS cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	b, err := io.ReadAll(io.LimitReader(file, maxSet+1))
	if err == nil {
		err = plain(b)
	}
	if err != nil {
		return nil, fmt.Errorf("the JWKS %s: %w", path, err)
	}
	return b, nil
}

// plain refuses what no key set is.
func plain(b []byte) error {
	if len(b) > maxSet {
		return fmt.Errorf("more than %d bytes; a key set is smaller", maxSet)
	}
	return plaintext.Check(b)
}
