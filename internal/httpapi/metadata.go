package httpapi

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// metadata makes AuthZEN's metadata document (section 9) from the configured
// URL alone: what a request says of its host is the caller's word.
type metadata struct {
	base   string
	search bool // searches are answered
}

// newMetadata checks publicURL.
func newMetadata(publicURL string, search bool) (*metadata, error) {
	u, err := url.Parse(publicURL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a URL: %w", err)
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, fmt.Errorf("%q must start with https:// or http:// and name a host", publicURL)
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery || u.User != nil || strings.ContainsAny(publicURL, "?#"):
		return nil, fmt.Errorf("%q must have no user, query or fragment", publicURL)
	}
	return &metadata{strings.TrimRight(u.String(), "/"), search}, nil
}

// document appends the metadata of the decision point at base, a URL.
func (m *metadata) document(dst []byte, organisation string, named bool) []byte {
	base := m.base
	if named {
		base += "/organisations/" + url.PathEscape(organisation)
	}
	dst = append(dst, `{"policy_decision_point":`...)
	dst = appendString(dst, base)
	dst = append(dst, `,"access_evaluation_endpoint":`...)
	dst = appendString(dst, base+"/access/v1/evaluation")
	dst = append(dst, `,"access_evaluations_endpoint":`...)
	dst = appendString(dst, base+"/access/v1/evaluations")
	if m.search {
		for _, what := range [...]string{"subject", "resource", "action"} {
			dst = append(append(append(dst, `,"search_`...), what...), `_endpoint":`...)
			dst = appendString(dst, base+searchPath+what)
		}
	}
	return append(dst, '}')
}

// configuration answers the metadata document, without asking who wants it.
func (a *API) configuration(x *exchange) error {
	if a.metadata == nil {
		return authz.Errorf(authz.NotFound, "", "this service was not told its own URL; start it with --public-url")
	}
	organisation, one := x.param("organisation")
	if !one {
		return authz.Errorf(authz.NotFound, "", "there is no such path; write a / inside a name as %%2F")
	}
	x.out = a.metadata.document(x.out[:0], organisation, len(x.echo.ParamNames()) > 0)
	x.header()["Cache-Control"] = []string{"max-age=300"}
	x.send(200, a.fixed.jsonType, x.out)
	return nil
}
