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

// looks is what a handler of the Directory API looks at beside the path. Whatever
// else a request has is refused: somebody meant something by it.
type looks struct {
	query      []string // parameters
	conditions []string // of If-Match and If-None-Match
	noBody     bool
}

func pageParameters() looks { return looks{query: []string{"limit", "after"}} }

// only refuses what is not looked at.
func (x *exchange) only(l looks) error {
	values, err := url.ParseQuery(x.request.URL.RawQuery)
	if err != nil {
		return authz.Errorf(authz.Malformed, "query", "cannot be read; percent-encode what it says")
	}
	for name, given := range values {
		switch {
		case len(l.query) == 0:
			return authz.Errorf(authz.Malformed, "query", "this path takes no parameters; leave them out")
		case !slices.Contains(l.query, name):
			return authz.Errorf(authz.Malformed, "query", "has a parameter that is not known here; there are %s", strings.Join(l.query, ", "))
		case len(given) > 1:
			return authz.Errorf(authz.Malformed, name, "given more than once; give it once")
		case given[0] == "":
			return authz.Errorf(authz.Malformed, name, "is empty; give it a value, or leave it out")
		}
	}
	for _, name := range []string{ifMatch, ifNoneMatch} {
		if len(x.request.Header[name]) > 0 && !slices.Contains(l.conditions, name) {
			return authz.Errorf(authz.Malformed, name, "is not looked at here; leave it out, or send an edit with if_match to /directory/v1/edits")
		}
	}
	if l.noBody && x.request.ContentLength != 0 {
		return authz.Errorf(authz.Malformed, "", "the path says it all, and a body is not looked at; send none")
	}
	return nil
}
