package directory

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/authz"
)

// Record is one line of facts: everything that an organisation says about one
// entity. Which fields count depends on Kind. A record stands for the entity as
// a whole; importing it creates or replaces the entity.
type Record struct {
	Kind authz.Kind
	ID   string
	Name string // role, group, patient group and team member

	Permissions []string // role and group

	// Team member.
	Role       string // "" for none
	Groups     []string
	IsProvider bool
	Access     []string
	Booking    []string

	// Patient. CareTeam lists the manual edges; bookings bring theirs.
	PatientGroup string
	CareTeam     []string

	// Booking. State is booked, cancelled or released.
	Patient  string
	Provider string
	State    string
}

// The records as they stand on a line. The order of the fields is the order in
// which they are written.
type (
	permissionsLine struct {
		Kind        authz.Kind `json:"kind"`
		ID          string     `json:"id"`
		Name        string     `json:"name,omitzero"`
		Permissions []string   `json:"permissions"`
	}
	patientGroupLine struct {
		Kind authz.Kind `json:"kind"`
		ID   string     `json:"id"`
		Name string     `json:"name,omitzero"`
	}
	teamMemberLine struct {
		Kind     authz.Kind `json:"kind"`
		ID       string     `json:"id"`
		Name     string     `json:"name,omitzero"`
		Role     string     `json:"role,omitzero"`
		Groups   []string   `json:"groups,omitempty"`
		Provider bool       `json:"provider,omitzero"`
		Access   []string   `json:"access,omitempty"`
		Booking  []string   `json:"booking,omitempty"`
	}
	patientLine struct {
		Kind         authz.Kind `json:"kind"`
		ID           string     `json:"id"`
		PatientGroup string     `json:"patient_group"`
		CareTeam     []string   `json:"care_team,omitempty"`
	}
	bookingLine struct {
		Kind     authz.Kind `json:"kind"`
		ID       string     `json:"id"`
		Patient  string     `json:"patient"`
		Provider string     `json:"provider"`
		State    string     `json:"state"`
	}
)

// appendLine appends the record as one line of JSON with its newline. Equal
// records give equal bytes if their lists are in the same order.
func (r *Record) appendLine(b []byte) ([]byte, error) {
	var line any
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		line = permissionsLine{r.Kind, r.ID, r.Name, r.Permissions}
	case authz.KindPatientGroup:
		line = patientGroupLine{r.Kind, r.ID, r.Name}
	case authz.KindTeamMember:
		line = teamMemberLine{r.Kind, r.ID, r.Name, r.Role, r.Groups, r.IsProvider, r.Access, r.Booking}
	case authz.KindPatient:
		line = patientLine{r.Kind, r.ID, r.PatientGroup, r.CareTeam}
	case authz.KindBooking:
		line = bookingLine{r.Kind, r.ID, r.Patient, r.Provider, r.State}
	default:
		return nil, unknownKind(r.Kind)
	}
	out := bytes.NewBuffer(b)
	if err := json.MarshalWrite(out, line); err != nil {
		return nil, fmt.Errorf("write a record of kind %s: %w", r.Kind, err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func unknownKind(kind authz.Kind) *authz.Error {
	names := make([]string, 0, len(kinds()))
	for _, k := range kinds() {
		names = append(names, string(k))
	}
	if kind == "" {
		return bad("kind", "is missing; write one of %s", strings.Join(names, ", "))
	}
	return bad("kind", "%sis no kind of record; write one of %s", word(string(kind)), strings.Join(names, ", "))
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

// bad makes the error for a field of a record.
func bad(field, format string, args ...any) *authz.Error {
	return authz.Errorf(authz.Malformed, field, format, args...)
}

// check reports what a record says that no record can say. References are
// checked where the directory knows what exists.
func (r *Record) check() *authz.Error {
	if err := checkID("id", r.ID); err != nil {
		return err
	}
	if err := checkName(r.Name); err != nil {
		return err
	}
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		return checkList("permissions", r.Permissions, checkPermission)
	case authz.KindTeamMember:
		return r.checkMember()
	case authz.KindPatient:
		if r.PatientGroup == "" {
			return bad("patient_group", "is missing; every patient is in exactly one")
		}
		if err := checkID("patient_group", r.PatientGroup); err != nil {
			return err
		}
		return checkList("care_team", r.CareTeam, checkID)
	case authz.KindBooking:
		return r.checkBooking()
	case authz.KindPatientGroup:
		return nil
	default:
		return unknownKind(r.Kind)
	}
}

func (r *Record) checkMember() *authz.Error {
	if r.Role != "" {
		if err := checkID("role", r.Role); err != nil {
			return err
		}
	}
	if err := checkList("groups", r.Groups, checkID); err != nil {
		return err
	}
	if err := checkList("access", r.Access, checkID); err != nil {
		return err
	}
	if err := checkList("booking", r.Booking, checkID); err != nil {
		return err
	}
	if len(r.Booking) > 0 && !r.IsProvider { // B1
		return bad("provider", "must be true for a team member with booking assignments; add \"provider\":true or empty the list booking")
	}
	return nil
}

func (r *Record) checkBooking() *authz.Error {
	if err := checkID("patient", r.Patient); err != nil {
		return err
	}
	if err := checkID("provider", r.Provider); err != nil {
		return err
	}
	switch r.State {
	case stateBooked, stateCancelled, stateReleased:
		return nil
	case "":
		return bad("state", "is missing; write booked, cancelled or released")
	default:
		return bad("state", "is no state of a booking; write booked, cancelled or released")
	}
}

func checkID(field, id string) *authz.Error {
	switch {
	case id == "":
		return bad(field, "is missing or empty; write an id")
	case len(id) > maxID:
		return bad(field, "is %d bytes long; an id has at most %d", len(id), maxID)
	case !validID(id):
		return bad(field, "has a control character; an id has none")
	default:
		return nil
	}
}

// maxName is the most bytes that a name may have.
const maxName = 1024

func checkName(name string) *authz.Error {
	switch {
	case len(name) > maxName:
		return bad("name", "is %d bytes long; a name has at most %d", len(name), maxName)
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("name", "has a control character; a name has none")
	default:
		return nil
	}
}

// checkPermission accepts type:action, type:* and *:* (P3). Whether the
// catalogue has the type is not asked: facts outlive a catalogue.
func checkPermission(field, permission string) *authz.Error {
	typ, action, found := strings.Cut(permission, ":")
	switch {
	case len(permission) > maxID:
		return bad(field, "is %d bytes long; a permission has at most %d", len(permission), maxID)
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

// sortLists puts every list in order, for they are sets.
func (r *Record) sortLists() {
	for _, list := range [][]string{r.Permissions, r.Groups, r.Access, r.Booking, r.CareTeam} {
		slices.Sort(list)
	}
}
