package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// metadata makes AuthZEN's metadata document (section 9) from the configured
// URL only: what a request says of its host is the caller's word.
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

// document returns the metadata of the decision point of an organisation, or of none.
func (m *metadata) document(organisation string, named bool) wire.Metadata {
	base := m.base
	if named {
		base += "/organisations/" + url.PathEscape(organisation)
	}
	doc := wire.Metadata{DecisionPoint: base, Evaluation: base + "/access/v1/evaluation", Evaluations: base + "/access/v1/evaluations"}
	if m.search {
		doc.Subjects, doc.Resources, doc.Actions = base+searchPath+"subject", base+searchPath+"resource", base+searchPath+"action"
	}
	return doc
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
	if err := x.encode(a.metadata.document(organisation, len(x.echo.ParamNames()) > 0)); err != nil {
		return err
	}
	x.header()["Cache-Control"] = []string{"max-age=300"}
	x.send(http.StatusOK, a.fixed.jsonType, x.out)
	return nil
}
