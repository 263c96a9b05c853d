package wire

import (
	"strconv"

	"github.com/caregate/caregate/internal/authz"
)

// AppendDecision appends one decision as AuthZEN answers it (section 6.2). Its
// context is the policy's own JSON, as it stands.
func AppendDecision(dst []byte, d authz.Decision) []byte {
	return append(appendDecided(dst, `{"decision":`, d), '}')
}

// appendDecided appends opening, whether d allows, and its context.
func appendDecided(dst []byte, opening string, d authz.Decision) []byte {
	dst = append(dst, opening...)
	dst = strconv.AppendBool(dst, d.Allow)
	if len(d.Context) > 0 {
		dst = append(dst, `,"context":`...)
		dst = append(dst, d.Context...)
	}
	return dst
}

// AppendDecisions appends the decisions of a batch (AuthZEN 1.0, section 7.2). An
// item that has none denies and says why in its context (section 7.2.1): failed returns
// the status and the message of that, and 0 where there is a decision.
func AppendDecisions(dst []byte, decisions []authz.Decision, failed func(int) (status int, message string)) []byte {
	dst = append(dst, `{"evaluations":[`...)
	for i, d := range decisions {
		if i > 0 {
			dst = append(dst, ',')
		}
		status, message := failed(i)
		if status == 0 {
			dst = AppendDecision(dst, d)
			continue
		}
		dst = append(dst, `{"decision":false,"context":{"error":{"status":`...)
		dst = strconv.AppendInt(dst, int64(status), 10)
		dst = append(dst, `,"message":`...)
		dst = append(appendString(dst, message), `}}}`...)
	}
	return append(dst, `]}`...)
}

// AppendAllowResult appends a decision as OPA's clients are told it at authz/allow: true, or
// no result.
func AppendAllowResult(dst []byte, d authz.Decision, id string) []byte {
	dst = append(dst, '{')
	if d.Allow {
		dst = append(dst, `"result":true,`...)
	}
	return appendDecisionID(dst, id)
}

// AppendDecisionResult is AppendAllowResult at authz/decision: whether and why, or no result
// when the policy said nothing.
func AppendDecisionResult(dst []byte, d authz.Decision, id string) []byte {
	dst = append(dst, '{')
	if !d.Undefined {
		dst = append(appendDecided(dst, `"result":{"allow":`, d), `},`...)
	}
	return appendDecisionID(dst, id)
}

func appendDecisionID(dst []byte, id string) []byte {
	dst = append(dst, `"decision_id":`...)
	return append(appendString(dst, id), '}')
}
