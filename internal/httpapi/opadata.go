package httpapi

import (
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// dataAllow answers OPA's clients (OPA REST API, "Get a Document (with Input)")
// at the policy's entry point authz/allow: true, or no result.
func (a *API) dataAllow(x *exchange) error {
	return x.data(func(dst []byte, d authz.Decision) []byte {
		if !d.Allow {
			return dst
		}
		return append(dst, `"result":true,`...)
	})
}

// dataDecision answers at authz/decision: whether and why, or no result when
// the policy said nothing.
func (a *API) dataDecision(x *exchange) error {
	return x.data(func(dst []byte, d authz.Decision) []byte {
		if d.Undefined {
			return dst
		}
		return append(appendAccount(dst, `"result":{"allow":`, d), `},`...)
	})
}

// data asks the question in OPA's input and answers with the result that
// appendResult makes of the decision. Parameters of the query, such as pretty
// and explain, change nothing.
func (x *exchange) data(appendResult func([]byte, authz.Decision) []byte) error {
	if err := x.read(); err != nil {
		return err
	}
	request, err := x.in.data()
	if err != nil {
		return err
	}
	decision, stated, err := x.ask(request)
	if err != nil {
		return placed(err, inInput)
	}
	x.out = appendResult(append(x.out[:0], '{'), decision)
	x.out = append(x.out, `"decision_id":"`...)
	x.out = append(x.out, newID()...)
	x.out = append(x.out, `"}`...)
	x.answer(stated)
	return nil
}

// inInput names a field of a question as it stands in OPA's input.
func inInput(field string) string {
	part, _, _ := strings.Cut(field, ".")
	if part == "context" || part == "subject" || part == "action" || part == "resource" {
		return "input." + field
	}
	return field
}

// dataUnknown answers every other path of OPA's: the policy has two entry
// points, and its rules and data are not for reading.
func (a *API) dataUnknown(*exchange) error {
	return authz.Errorf(authz.NotFound, "", "the policy answers at /v1/data/authz/allow and /v1/data/authz/decision alone")
}
