package httpapi

import (
	"net/url"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// The headers by which a request depends on a version.
const (
	ifMatch     = "If-Match"
	ifNoneMatch = "If-None-Match"
)

// accepted is what a request to the Directory API may have beside the path. Whatever else it
// has is refused: somebody meant something by it.
type accepted struct {
	query      []string // parameters
	conditions []string // of If-Match and If-None-Match
	noBody     bool
}

func pageParameters() accepted { return accepted{query: []string{"limit", "after"}} }

// accepts refuses a request that has anything else.
func (x *exchange) accepts(a accepted) error {
	values, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		return authz.Errorf(authz.Malformed, "query", "cannot be read; percent-encode what it says")
	}
	for name, given := range values {
		switch {
		case len(a.query) == 0:
			return authz.Errorf(authz.Malformed, "query", "this path takes no parameters; leave them out")
		case !slices.Contains(a.query, name):
			return authz.Errorf(authz.Malformed, "query", "has a parameter that is not known here; there are %s", strings.Join(a.query, ", "))
		case len(given) > 1:
			return authz.Errorf(authz.Malformed, name, "given more than once; give it once")
		case given[0] == "":
			return authz.Errorf(authz.Malformed, name, "is empty; give it a value, or leave it out")
		}
	}
	for _, name := range []string{ifMatch, ifNoneMatch} {
		if len(x.request.Header[name]) > 0 && !slices.Contains(a.conditions, name) {
			return authz.Errorf(authz.Malformed, name, "is not looked at here; leave it out, or send an edit with if_match to /directory/v1/edits")
		}
	}
	if a.noBody && x.request.ContentLength != 0 {
		return authz.Errorf(authz.Malformed, "", "the path says it all, and a body is not looked at; send none")
	}
	return nil
}
