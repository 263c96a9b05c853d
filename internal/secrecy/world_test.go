package secrecy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// kinds are those of records, in an order in which a record refers only to earlier ones.
var kinds = []string{"role", "group", "patient_group", "team_member", "patient", "booking"}

// key names a record.
type key struct{ kind, id string }

func (k key) String() string { return k.kind + " " + k.id }

func byKind(a, b key) int {
	return cmp.Or(cmp.Compare(slices.Index(kinds, a.kind), slices.Index(kinds, b.kind)), cmp.Compare(a.id, b.id))
}

// record is a record of facts. Which members are used depends on its kind.
type record struct {
	name            string
	permissions     []string // of a role, of a group
	role            string
	groups          []string
	access, booking []string
	bookable        bool // "provider" of a team member
	patientGroup    string
	careTeam        []string // manual places
	patient         string
	provider        string // of a booking
	state           string
}

func (r *record) clone() *record {
	c := *r
	for _, list := range []*[]string{&c.permissions, &c.groups, &c.access, &c.booking, &c.careTeam} {
		*list = slices.Clone(*list)
	}
	return &c
}

// line writes a record as imports and exports have it.
func (r *record) line(k key) string {
	out := map[string]any{"kind": k.kind, "id": k.id}
	set := func(name string, value any) {
		switch v := value.(type) {
		case string:
			if v != "" {
				out[name] = v
			}
		case bool:
			if v {
				out[name] = v
			}
		case []string:
			if len(v) > 0 {
				out[name] = slices.Compact(slices.Sorted(slices.Values(v)))
			}
		}
	}
	set("name", r.name)
	set("permissions", r.permissions)
	set("role", r.role)
	set("groups", r.groups)
	set("access", r.access)
	set("booking", r.booking)
	set("provider", r.bookable)
	set("patient_group", r.patientGroup)
	set("care_team", r.careTeam)
	set("patient", r.patient)
	set("provider", r.provider)
	set("state", r.state)
	text, err := json.Marshal(out)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// world is an organisation.
type world map[key]*record

// parse reads what an export wrote.
func parse(text string) (world, error) {
	w := world{}
	for line := range strings.Lines(text) {
		var in struct {
			Kind, ID, Name, Role, Patient, State string
			Permissions, Groups                  []string
			Access, Booking                      []string
			PatientGroup                         string   `json:"patient_group"`
			CareTeam                             []string `json:"care_team"`
			Provider                             any
		}
		if err := json.Unmarshal([]byte(line), &in); err != nil {
			return nil, fmt.Errorf("%w in %s", err, line)
		}
		r := &record{name: in.Name, permissions: in.Permissions, role: in.Role, groups: in.Groups, access: in.Access, booking: in.Booking,
			patientGroup: in.PatientGroup, careTeam: in.CareTeam, patient: in.Patient, state: in.State}
		r.bookable, _ = in.Provider.(bool)
		r.provider, _ = in.Provider.(string)
		w[key{in.Kind, in.ID}] = r
	}
	return w, nil
}

func (w world) clone() world {
	c := make(world, len(w))
	for k, r := range w {
		c[k] = r.clone()
	}
	return c
}

func (w world) keys() []key { return slices.SortedFunc(maps.Keys(w), byKind) }

// of are the ids of a kind, in order.
func (w world) of(kind string) (ids []string) {
	for _, k := range w.keys() {
		if k.kind == kind {
			ids = append(ids, k.id)
		}
	}
	return ids
}

// lines writes the organisation as an import reads it.
func (w world) lines() string {
	var b strings.Builder
	for _, k := range w.keys() {
		b.WriteString(w[k].line(k))
		b.WriteByte('\n')
	}
	return b.String()
}

// content is everything that a record says: of a patient also the places on the care team that bookings made.
func (w world) content(k key) string {
	r, there := w[k]
	if !there {
		return ""
	}
	text := r.line(k)
	if k.kind == "patient" {
		for _, b := range w.of("booking") {
			if v := w[key{"booking", b}]; v.patient == k.id && v.state != "released" {
				text += " " + v.provider + " by " + b
			}
		}
	}
	return text
}

// remove takes a record out, with what cannot be without it, and ends the references to it.
func (w world) remove(k key) {
	delete(w, k)
	drop := func(list *[]string) {
		*list = slices.DeleteFunc(*list, func(id string) bool { return id == k.id })
	}
	for other, r := range w {
		switch k.kind {
		case "role":
			if r.role == k.id {
				r.role = ""
			}
		case "group":
			drop(&r.groups)
		case "patient_group":
			drop(&r.access)
			drop(&r.booking)
			if r.patientGroup == k.id {
				w.remove(other)
			}
		case "team_member":
			drop(&r.careTeam)
			if r.provider == k.id {
				w.remove(other)
			}
		case "patient":
			if r.patient == k.id {
				w.remove(other)
			}
		}
	}
}

// differing are the records that are not the same in both organisations.
func differing(a, b world) (out []key) {
	for k := range a {
		if a.content(k) != b.content(k) {
			out = append(out, k)
		}
	}
	for k := range b {
		if _, there := a[k]; !there {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, byKind)
	return out
}

// difference prints it.
func difference(a, b world) string {
	var out strings.Builder
	side := func(w world, k key) string {
		if text := w.content(k); text != "" {
			return text
		}
		return "nothing"
	}
	for _, k := range differing(a, b) {
		fmt.Fprintf(&out, "  1 %s\n  2 %s\n", side(a, k), side(b, k))
	}
	return out.String()
}
