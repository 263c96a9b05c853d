package httpapi

import (
	"github.com/caregate/caregate/internal/authz"
)

// The headers by which a caller says how old the facts may be.
const (
	headerAtLeast     = "Caregate-At-Least"    // a token that Caregate-Revision said
	headerConsistency = "Caregate-Consistency" // full: read the facts now
)

// fresh refuses an answer from before the revision that the caller asks for. It
// is never answered from an earlier one, and a header that cannot be read is
// never passed over.
func (x *exchange) fresh(stated authz.Stated) error {
	h := x.request.Header
	if given := h[headerConsistency]; len(given) > 0 && (len(given) > 1 || given[0] != "full") {
		return authz.Errorf(authz.Malformed, headerConsistency, "must be full, or not there")
	}
	given := h[headerAtLeast]
	if len(given) == 0 {
		return nil
	}
	want, err := authz.ParseRevision(given[0])
	if err != nil || len(given) > 1 {
		return authz.Errorf(authz.Malformed, headerAtLeast, "must be one token, as Caregate-Revision said it")
	}
	have := stated.Revision
	if have.Count < want.Count || have.Count == want.Count && have.Nonce != want.Nonce {
		return authz.Errorf(authz.Behind, headerAtLeast,
			"the facts here do not include that revision; ask again, and if it stays so they were lost: ask without it")
	}
	return nil
}
