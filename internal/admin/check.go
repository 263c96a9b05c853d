package admin

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// The limits on what is written.
const (
	MaxID   = 256  // bytes of an id, a permission, or the name of an organisation
	MaxName = 1024 // bytes of a name
)

// ValidID reports whether id is within the limits on ids: 1 to 256 bytes of UTF-8
// without control characters.
func ValidID(id string) bool {
	return id != "" && len(id) <= MaxID && utf8.ValidString(id) && !strings.ContainsFunc(id, unicode.IsControl)
}

// CheckRecord reports what a record says that no record can say, as an error of kind
// Malformed whose Field is named as on the wire. References are checked where it
// is known what exists.
func CheckRecord(r *Record) *authz.Error {
	if err := CheckID("id", r.ID); err != nil {
		return err
	}
	if !model.Has(r.Kind) {
		return UnknownKind("kind", r.Kind)
	}
	for _, f := range model.Fields(r.Kind) {
		if err := checkField(f.Name, &f, r); err != nil {
			return err
		}
	}
	if len(r.Booking) > 0 && !r.IsProvider { // B1
		return bad("provider", "must be true for a team member with booking assignments; add \"provider\":true or empty the list booking")
	}
	return nil
}

// checkField checks the value that a record has in a field; at is where it stands.
func checkField(at string, f *model.Field, r *Record) *authz.Error {
	switch f.Type {
	case model.Name:
		return CheckName(at, *f.Text(r))
	case model.ID:
		switch id := *f.Text(r); {
		case id == "" && !f.Always:
			return nil
		case id == "" && f.Relation == PatientGroupOf:
			return bad(at, "is missing; every patient is in exactly one")
		default:
			return CheckID(at, id)
		}
	case model.State:
		switch state := State(*f.Text(r)); {
		case state == "":
			return bad(at, "is missing; write booked, cancelled or released")
		case !state.Known():
			return bad(at, "is no state of a booking; write booked, cancelled or released")
		}
	case model.Permissions:
		return CheckPermissions(at, *f.List(r))
	case model.IDs:
		return checkList(at, *f.List(r), CheckID)
	}
	return nil
}

// UnknownKind is the error for a kind that no record has.
func UnknownKind(field string, kind authz.Kind) *authz.Error {
	names := make([]string, 0, len(model.Kinds()))
	for _, k := range model.Kinds() {
		names = append(names, string(k))
	}
	if kind == "" {
		return bad(field, "is missing; write one of %s", strings.Join(names, ", "))
	}
	return bad(field, "%sis no kind of record; write one of %s", word(string(kind)), strings.Join(names, ", "))
}

// word returns a word to be quoted in a message, with a space after it, or
// nothing if it does not look like a word of this format: then it may be
// anything, a name too.
func word(text string) string {
	if len(text) > 32 || strings.ContainsFunc(text, func(c rune) bool { return c != '_' && (c < 'a' || c > 'z') }) {
		return ""
	}
	return strconv.Quote(text) + " "
}

// bad makes the error for a field of a record or an edit.
func bad(field, format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Malformed, field, format, args...)
}

// CheckID reports what is wrong with an id; field is where it stands.
func CheckID(field, id string) *authz.Error {
	switch {
	case id == "":
		return bad(field, "is missing or empty; write an id")
	case len(id) > MaxID:
		return bad(field, "is %d bytes long; an id has at most %d", len(id), MaxID)
	case !utf8.ValidString(id):
		return bad(field, "is not UTF-8; an id is")
	case !ValidID(id):
		return bad(field, "has a control character; an id has none")
	default:
		return nil
	}
}

// CheckName reports what is wrong with a name, which may be empty.
func CheckName(field, name string) *authz.Error {
	switch {
	case len(name) > MaxName:
		return bad(field, "is %d bytes long; a name has at most %d", len(name), MaxName)
	case !utf8.ValidString(name):
		return bad(field, "is not UTF-8; a name is")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad(field, "has a control character; a name has none")
	default:
		return nil
	}
}

// CheckPermissions checks each of a list of permissions, and that none stands
// there twice.
func CheckPermissions(field string, permissions []string) *authz.Error {
	return checkList(field, permissions, CheckPermission)
}

// CheckPermission accepts type:action, type:* and *:* (P3). Whether the
// catalogue has the type is not asked: facts outlive a catalogue.
func CheckPermission(field, permission string) *authz.Error {
	typ, action, found := strings.Cut(permission, ":")
	switch {
	case len(permission) > MaxID:
		return bad(field, "is %d bytes long; a permission has at most %d", len(permission), MaxID)
	case !utf8.ValidString(permission):
		return bad(field, "is not UTF-8; write type:action, type:* or *:*")
	case !found || typ == "" || action == "" || strings.Contains(action, ":"):
		return bad(field, "is not a permission; write type:action, type:* or *:*")
	case permission == "*:*":
		return nil
	case typ == "*":
		return bad(field, "grants one action on every type, which is not possible; write one permission for each type, such as patient:%s, or *:* for everything",
			cmp.Or(strings.Trim(word(action), `" `), "view"))
	case strings.Contains(typ, "*"), strings.Contains(action, "*") && action != "*":
		return bad(field, "has a * beside other characters; it stands for a whole type or action: write type:action, type:* or *:*")
	case strings.ContainsFunc(permission, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return bad(field, "has a space or a control character; write type:action, type:* or *:*")
	default:
		return nil
	}
}

// checkList checks each item of a list, and that none stands there twice.
func checkList(field string, items []string, check func(field, item string) *authz.Error) *authz.Error {
	seen := make(map[string]bool, len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := check(at, item); err != nil {
			return err
		}
		if seen[item] {
			return bad(at, "stands in the list twice; keep one")
		}
		seen[item] = true
	}
	return nil
}
