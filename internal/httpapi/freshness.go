package httpapi

import (
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// The headers by which a caller says how old the facts may be.
const (
	headerAtLeast     = "Caregate-At-Least"    // a token that Caregate-Revision said
	headerConsistency = "Caregate-Consistency" // full: read the facts now
)

// freshness returns what the caller asks of the facts. A header that cannot be
// read is never passed over.
func (x *exchange) freshness() (fresh authz.Freshness, err error) {
	h := x.request.Header
	if given := h[headerConsistency]; len(given) > 0 {
		if len(given) > 1 || given[0] != "full" {
			return fresh, authz.Errorf(authz.Malformed, headerConsistency, "must be full, or not there")
		}
		fresh.Full = true
	}
	if given := h[headerAtLeast]; len(given) > 0 {
		fresh.AtLeast, err = authz.ParseRevision(given[0])
		if err != nil || len(given) > 1 {
			return fresh, authz.Errorf(authz.Malformed, headerAtLeast, "must be one token, as Caregate-Revision said it")
		}
	}
	return fresh, nil
}

// options returns what a write depends on beside its conditions: facts that include what
// the caller has seen. Every write is of the facts as they are now.
func (x *exchange) options() (admin.Options, error) {
	fresh, err := x.freshness()
	return admin.Options{AtLeast: fresh.AtLeast, Request: x.requestID()}, err
}
