package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/caregate/caregate/internal/authz"
)

// appendDecision appends one decision as AuthZEN answers it (section 6.2). Its
// context is the policy's own JSON, as it stands.
func appendDecision(dst []byte, d authz.Decision) []byte {
	return append(appendAccount(dst, `{"decision":`, d), '}')
}

// appendAccount appends opening, whether d allows, and its context.
func appendAccount(dst []byte, opening string, d authz.Decision) []byte {
	dst = append(dst, opening...)
	dst = strconv.AppendBool(dst, d.Allow)
	if len(d.Context) > 0 {
		dst = append(dst, `,"context":`...)
		dst = append(dst, d.Context...)
	}
	return dst
}

// appendBatch appends the decisions of a batch (AuthZEN 1.0, section 7.2). An
// item that could not be asked or answered denies and says why in its context
// (section 7.2.1); what an internal error says stays inside.
func appendBatch(dst []byte, decisions []authz.Decision, errs func(int) error) []byte {
	dst = append(dst, `{"evaluations":[`...)
	for i, d := range decisions {
		if i > 0 {
			dst = append(dst, ',')
		}
		if err := errs(i); err != nil {
			dst = appendItemError(dst, err)
		} else {
			dst = appendDecision(dst, d)
		}
	}
	return append(dst, `]}`...)
}

func appendItemError(dst []byte, err error) []byte {
	p, field, detail := describe(err)
	dst = append(dst, `{"decision":false,"context":{"error":{"status":`...)
	dst = strconv.AppendInt(dst, int64(p.status), 10)
	dst = append(dst, `,"message":`...)
	if field != "" {
		detail = field + ": " + detail
	}
	dst = appendString(dst, detail)
	return append(dst, `}}}`...)
}

// appendPermissions appends what a team member holds, the same bytes for the
// same permissions.
func appendPermissions(dst []byte, member string, grants map[string]authz.Grant) []byte {
	dst = append(dst, `{"team_member":`...)
	dst = appendString(dst, member)
	dst = append(dst, `,"permissions":{`...)
	for i, permission := range slices.Sorted(maps.Keys(grants)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, permission)
		dst = append(dst, ':')
		dst = appendGrant(dst, grants[permission])
	}
	return append(dst, `}}`...)
}

func appendGrant(dst []byte, g authz.Grant) []byte {
	dst = append(dst, '{')
	if g.Role != "" {
		dst = append(dst, `"role":`...)
		dst = appendString(dst, g.Role)
	}
	if len(g.Groups) > 0 {
		if g.Role != "" {
			dst = append(dst, ',')
		}
		dst = append(dst, `"groups":[`...)
		for i, group := range slices.Sorted(slices.Values(g.Groups)) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, group)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

// object writes a small JSON object that no decision is in.
func (x *exchange) object(status int, body []byte) {
	x.header()["Cache-Control"] = x.api.fixed.noStore
	x.send(status, x.api.fixed.jsonType, body)
}

// ok is object for what went well.
func (x *exchange) ok(body []byte) { x.object(http.StatusOK, body) }
