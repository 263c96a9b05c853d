package search_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/internal/search"
)

// hospital is a random organisation in a real store.
type hospital struct {
	*testing.T
	r       *rand.Rand
	name    string
	store   *directory.Cache
	policy  *policy.Snapshot
	checks  *authz.Service
	search  *search.Service
	members map[string]bool
	patient map[string]bool
}

// record writes one line.
func (h *hospital) record(fields map[string]any) {
	h.Helper()
	line, err := json.Marshal(fields)
	if err != nil {
		h.Fatal(err)
	}
	h.load(string(line))
}

func (h *hospital) load(lines ...string) {
	h.Helper()
	orgstore.Load(h, h.store, h.name, lines...)
}

func (h *hospital) some(n int, of func(int) string) []string {
	out := []string{}
	for i := range n {
		if h.r.IntN(3) == 0 {
			out = append(out, of(i))
		}
	}
	return out
}

// The ids have in them what a store or a language may take for something else.
func name(prefix string, i int) string {
	return prefix + []string{"1", `"`, `\`, " ", "%s", "é", "e\u0301", "😀", "*", "A", "a", ":"}[i%12] + fmt.Sprint(i/12)
}

func patientGroup(i int) string { return name("pg", i) }
func memberName(i int) string   { return name("m", i) }
func patientName(i int) string  { return name("p", i) }

func (h *hospital) permissions() []string {
	all := []string{
		"patient:view", "patient:view", "patient:update", "patient:delete", "patient:create", "patient:view_all", "appointment:create",
		"appointment:view", "report:view", "stock:view", "stock:*", "patient:*", "provider:view", "settings:update", "*:*",
	}
	out := h.some(len(all)*2/3, func(int) string { return all[h.r.IntN(len(all))] })
	slices.Sort(out)
	return slices.Compact(out)
}

func (h *hospital) memberRecord(i int) map[string]any {
	h.members[memberName(i)] = true
	out := map[string]any{
		"kind": "team_member", "id": memberName(i), "groups": h.some(3, func(i int) string { return name("g", i) }), "access": h.some(5, patientGroup),
	}
	if h.r.IntN(4) > 0 {
		out["role"] = name("r", h.r.IntN(3))
	}
	if h.r.IntN(2) == 0 {
		out["provider"], out["booking"] = true, h.some(5, patientGroup)
	}
	return out
}

func (h *hospital) patientRecord(i int) map[string]any {
	h.patient[patientName(i)] = true
	team := []string{}
	for _, m := range slices.Sorted(maps.Keys(h.members)) {
		if h.r.IntN(6) == 0 {
			team = append(team, m)
		}
	}
	return map[string]any{"kind": "patient", "id": patientName(i), "patient_group": patientGroup(h.r.IntN(5)), "care_team": team}
}

func (h *hospital) fill() {
	h.Helper()
	var lines []string
	add := func(fields map[string]any) {
		line, err := json.Marshal(fields)
		if err != nil {
			h.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	for i := range 3 {
		add(map[string]any{"kind": "role", "id": name("r", i), "permissions": h.permissions()})
		add(map[string]any{"kind": "group", "id": name("g", i), "permissions": h.permissions()})
	}
	for i := range 5 {
		add(map[string]any{"kind": "patient_group", "id": patientGroup(i)})
	}
	// Somebody has to be the last holder of user:* (A4).
	add(map[string]any{"kind": "role", "id": "root", "permissions": []string{"user:*"}})
	add(map[string]any{"kind": "team_member", "id": "root", "role": "root"})
	h.members["root"] = true
	for i := range 3 + h.r.IntN(10) {
		add(h.memberRecord(i))
	}
	patients := h.r.IntN(40)
	for i := range patients {
		add(h.patientRecord(i))
	}
	h.load(lines...)
	if patients > 0 { // a booking by the patient, or not
		h.book()
	}
}

func (h *hospital) book() {
	_, _ = h.store.Commit(h.Context(), h.name, admin.Change{Edits: []admin.Edit{{Op: admin.Book, Record: &admin.Record{
		Kind: authz.KindBooking, ID: fmt.Sprint("b-", h.r.IntN(100)), Patient: patientName(h.r.IntN(10)), Provider: memberName(h.r.IntN(5)),
	}}}})
}

// change commits something.
func (h *hospital) change() {
	h.Helper()
	switch h.r.IntN(4) {
	case 0:
		h.record(h.memberRecord(h.r.IntN(13)))
	case 1:
		h.record(map[string]any{"kind": "role", "id": name("r", h.r.IntN(3)), "permissions": h.permissions()})
	default:
		h.record(h.patientRecord(h.r.IntN(40)))
	}
}

// ask makes a question: what is looked for in it, what it is called in the
// directory, and whatever else may be named.
func (h *hospital) ask() (question, map[string]bool) {
	member := func() string { return memberName(h.r.IntN(14)) }
	patient := func() string { return patientName(h.r.IntN(41)) }
	r := &authz.Request{}
	r.Subject = authz.Entity{Type: "team_member", ID: member()}
	if h.r.IntN(3) == 0 {
		r.Subject = authz.Entity{Type: "patient", ID: patient()}
	}
	type of struct {
		typ     string
		id      func() string
		actions []string
		all     map[string]bool
	}
	kinds := []of{
		{"patient", patient, []string{"view", "view", "update", "delete", "create", "fly"}, h.patient},
		{"provider", member, []string{"view", "book", "book"}, h.members},
		{"team_member", member, []string{"view"}, h.members},
		{"appointment", member, []string{"view", "create", "create"}, nil},
		{"report", member, []string{"view"}, nil},
		{"stock", member, []string{"view", "update"}, nil},
		{"spaceship", member, []string{"view"}, nil},
	}
	q := question{request: r, subjects: h.r.IntN(2) == 0}
	kind := kinds[[]int{0, 0, 0, 1, 1, 2, 3, 4, 5, 6}[h.r.IntN(10)]]
	if !q.subjects {
		kind = kinds[[]int{0, 0, 0, 1, 1, 2}[h.r.IntN(6)]]
	}
	r.Action.Name = kind.actions[h.r.IntN(len(kind.actions))]
	r.Resource = authz.Entity{Type: kind.typ, ID: kind.id(), Properties: map[string]any{}}
	for _, reference := range [][2]string{{"patient", patient()}, {"provider", member()}, {"patient_group", patientGroup(h.r.IntN(6))}} {
		if h.r.IntN(2) == 0 {
			r.Resource.Properties[reference[0]] = reference[1]
		}
	}
	if r.Subject.Type == "patient" && h.r.IntN(2) == 0 {
		r.Resource.Properties["patient"] = r.Subject.ID
	}
	if !q.subjects {
		return q, kind.all
	}
	if r.Subject.Type == "patient" {
		return q, h.patient
	}
	return q, h.members
}
