package audit

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// wellFormed returns what is wrong with an entity by itself, given the fields and
// values of its hash in turn.
func wellFormed(kind authz.Kind, id string, hash []string) []Finding {
	var found []Finding
	add := func(rule Rule, format string, args ...any) {
		found = append(found, about(rule, kind, id, remedyRecord, format, args...))
	}
	if !admin.ValidID(id) {
		found = append(found, about(RuleID, kind, id,
			"delete the key; import its record under an id of 1 to 256 bytes of UTF-8 without control characters",
			"has an id that is outside the limits"))
	}
	e := new(layout.Entity)
	missing := slices.Collect(layout.RequiredFields(kind))
	for i := 0; i+1 < len(hash); i += 2 {
		field, value := hash[i], hash[i+1]
		missing = slices.DeleteFunc(missing, func(f string) bool { return f == field })
		known, _ := e.Set(kind, field, value)
		switch {
		case field == "rev":
			if !known || e.Since.String() != value || Printable(value) != value {
				add(RuleSince, "has no valid revision of its last change")
			}
		case field == "patient_group" && kind == authz.KindPatient:
			if value == "" {
				add(RuleGroup, "is in no patient group")
			}
		case strings.HasPrefix(field, "c:") && len(field) > 2 && kind == authz.KindPatient:
			if !validSources(value) {
				found = append(found, about(RuleSources, kind, id, remedyTeam,
					"has %s on the care team by sources that are neither manual nor a booking, or not in order", Printable(field[2:])))
			}
		case !known:
			add(RuleFields, "has a field or a value that no %s can have: %s", model.Noun(kind), Printable(field))
		case isName(kind, field):
			if admin.CheckName("", value) != nil {
				add(RuleFields, "has a name that is too long, or no text without control characters")
			}
		}
	}
	for _, field := range missing {
		switch {
		case field == "rev":
			add(RuleSince, "has no revision of its last change")
		case kind == authz.KindPatient:
			add(RuleGroup, "is in no patient group")
		default:
			add(RuleFields, "lacks the field %s", field)
		}
	}
	for i, p := range e.Record.Permissions {
		if admin.CheckPermission("", p) != nil {
			add(RuleFields, "has a permission that is not type:action, type:* or *:*: %s", Printable(p))
		}
		if i > 0 && e.Record.Permissions[i-1] >= p {
			add(RuleFields, "has its permissions out of order or twice, at %s", Printable(p))
		}
	}
	if kind == authz.KindTeamMember && !e.Record.IsProvider && len(e.Record.Booking) > 0 {
		found = append(found, about(RuleBooking, kind, id,
			"make the member a provider, or take the Booking assignments away, and import the record",
			"is not a provider and has Booking for %s", some(e.Record.Booking)))
	}
	return found
}

// isName reports whether a field is a text that may be anything.
func isName(kind authz.Kind, field string) bool {
	f, _ := model.StoredField(kind, field)
	return f != nil && f.Type == model.Name
}

// validText reports whether a text that is not an id is UTF-8.
func validText(text string) bool { return strings.ToValidUTF8(text, "") == text }

// validSources reports whether the sources of a place on a care team are as they
// are written (B6): "manual" and "booking:ID", sorted, each once.
func validSources(text string) bool {
	last := ""
	for source := range strings.SplitSeq(text, "\n") {
		booking, isBooking := strings.CutPrefix(source, "booking:")
		if source <= last || source != "manual" && (!isBooking || !admin.ValidID(booking)) {
			return false
		}
		last = source
	}
	return true
}

// some names the first few of a set, in order.
func some(ids []string) string {
	const most = 5
	ids = slices.Sorted(slices.Values(ids))
	end := ""
	if len(ids) > most {
		ids, end = ids[:most], ", …"
	}
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = Printable(id)
	}
	return strings.Join(out, ", ") + end
}

// headState is the head as an audit finds it, damaged or not.
type headState struct {
	typ    string
	hash   []string // fields and values in turn
	fields map[string]string
}

func newHeadState(typ string, hash []string) headState {
	h := headState{typ: typ, hash: hash, fields: map[string]string{}}
	for i := 0; i+1 < len(hash); i += 2 {
		h.fields[hash[i]] = hash[i+1]
	}
	return h
}

// revision returns the revision, the zero one if the head has none that is valid.
func (h headState) revision() authz.Revision {
	count, err := strconv.ParseInt(h.fields["rev"], 10, 64)
	nonce := h.fields["nonce"]
	if err != nil || count < 1 || strconv.FormatInt(count, 10) != h.fields["rev"] || nonce == "" || Printable(nonce) != nonce {
		return authz.Revision{}
	}
	return authz.Revision{Count: uint64(count), Nonce: nonce}
}

// log returns the number of bytes that the images of all changes have, as the head
// says it.
func (h headState) log() (bytes int, valid bool) {
	bytes, err := strconv.Atoi(h.fields["log"])
	return bytes, err == nil && bytes >= 0 && strconv.Itoa(bytes) == h.fields["log"]
}

// isOther reports whether the facts have another schema that Caregate may have
// written. It agrees with the script, which then compares nothing.
func (h headState) isOther() bool {
	text := h.fields["schema"]
	number := text != "" && text[0] != '0' && strings.Trim(text, "0123456789") == ""
	return number && !script.KnowsSchema(text)
}

// isNewer reports whether it is one that this build is too old for.
func (h headState) isNewer() bool {
	number, err := strconv.ParseFloat(h.fields["schema"], 64)
	return h.isOther() && err == nil && number > script.Schema
}

// findings returns what is wrong with the head.
func (h headState) findings() []Finding {
	const remedy = "restore the organisation: take an export, the last one if none can be made now, and import it into a Redis, or under a name, that does not have it"
	var found []Finding
	add := func(rule Rule, format string, args ...any) {
		found = append(found, aboutKey(rule, kindHead, kindHead, remedy, format, args...))
	}
	switch {
	case h.typ == "none":
		add(RuleHead, "does not exist, though keys of the organisation do")
		return found
	case h.typ != "hash":
		add(RuleType, "is a %s and must be a hash", h.typ)
		return found
	case h.isNewer():
		found = append(found, aboutKey(RuleSchema, kindHead, kindHead, "run a newer Caregate",
			"says that the facts have schema %s; this build knows schema %d and looked at nothing else", Printable(h.fields["schema"]), script.Schema))
		return found
	case h.isOther():
		found = append(found, aboutKey(RuleSchema, kindHead, kindHead, "export the organisation with the build that wrote it, and import that with this one",
			"says that the facts have schema %s; this build knows schema %d and looked at nothing else", Printable(h.fields["schema"]), script.Schema))
		return found
	}
	if !script.KnowsSchema(h.fields["schema"]) {
		add(RuleSchema, "has no valid schema number")
	}
	if h.revision() == (authz.Revision{}) {
		add(RuleHead, "has no valid revision")
	}
	if _, valid := h.log(); !valid {
		add(RuleHead, "does not say how many bytes the images of all changes have")
	}
	for i := 0; i+1 < len(h.hash); i += 2 {
		if f := h.hash[i]; f != "rev" && f != "nonce" && f != "schema" && f != "log" {
			add(RuleHead, "has a field that no head can have: %s", Printable(f))
		}
	}
	return found
}
