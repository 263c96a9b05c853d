package directory

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// model is what an organisation holds, written from the rules in plain Go.
type model struct {
	roles, groups, patientGroups, members map[string]Record
	patients                              map[string]string                     // → patient group
	careTeams                             map[string]map[string]map[string]bool // patient → member → sources
	bookings                              map[string]Record
}

func newModel() *model {
	return &model{
		roles: map[string]Record{}, groups: map[string]Record{}, patientGroups: map[string]Record{},
		members: map[string]Record{}, patients: map[string]string{},
		careTeams: map[string]map[string]map[string]bool{}, bookings: map[string]Record{},
	}
}

func (m *model) clone() *model {
	out := &model{
		roles: maps.Clone(m.roles), groups: maps.Clone(m.groups), patientGroups: maps.Clone(m.patientGroups),
		members: maps.Clone(m.members), patients: maps.Clone(m.patients),
		careTeams: map[string]map[string]map[string]bool{}, bookings: maps.Clone(m.bookings),
	}
	for p, team := range m.careTeams {
		out.careTeams[p] = map[string]map[string]bool{}
		for member, sources := range team {
			out.careTeams[p][member] = maps.Clone(sources)
		}
	}
	return out
}

// apply reports whether the record fits.
func (m *model) apply(r Record) bool {
	has := func(of map[string]Record, ids ...string) bool {
		return !slices.ContainsFunc(ids, func(id string) bool { _, ok := of[id]; return !ok })
	}
	switch r.Kind {
	case authz.KindRole:
		m.roles[r.ID] = r
	case authz.KindGroup:
		m.groups[r.ID] = r
	case authz.KindPatientGroup:
		m.patientGroups[r.ID] = r
	case authz.KindTeamMember:
		if r.Role != "" && !has(m.roles, r.Role) || !has(m.groups, r.Groups...) ||
			!has(m.patientGroups, r.Access...) || !has(m.patientGroups, r.Booking...) {
			return false
		}
		m.members[r.ID] = r
	case authz.KindPatient:
		if !has(m.patientGroups, r.PatientGroup) || !has(m.members, r.CareTeam...) {
			return false
		}
		m.patients[r.ID] = r.PatientGroup
		if m.careTeams[r.ID] == nil {
			m.careTeams[r.ID] = map[string]map[string]bool{}
		}
		for member := range m.careTeams[r.ID] {
			m.removeSource(r.ID, member, "manual")
		}
		for _, member := range r.CareTeam {
			m.addSource(r.ID, member, "manual")
		}
	case authz.KindBooking:
		if _, ok := m.patients[r.Patient]; !ok || !has(m.members, r.Provider) {
			return false
		}
		if old, ok := m.bookings[r.ID]; ok && (old.Patient != r.Patient || old.Provider != r.Provider) {
			return false
		}
		m.bookings[r.ID] = r
		if r.State == stateReleased { // B6
			m.removeSource(r.Patient, r.Provider, "booking:"+r.ID)
		} else { // B5
			m.addSource(r.Patient, r.Provider, "booking:"+r.ID)
		}
	}
	return true
}

func (m *model) addSource(patient, member, source string) {
	if m.careTeams[patient][member] == nil {
		m.careTeams[patient][member] = map[string]bool{}
	}
	m.careTeams[patient][member][source] = true
}

func (m *model) removeSource(patient, member, source string) {
	delete(m.careTeams[patient][member], source)
	if len(m.careTeams[patient][member]) == 0 {
		delete(m.careTeams[patient], member)
	}
}

// keys returns what Redis is to hold, in the form of store.keys, without the
// head.
func (m *model) keys() map[string]string {
	k := builder{}
	for kind, of := range map[string]map[string]Record{"role": m.roles, "group": m.groups} {
		for id, r := range of {
			permissions, _ := json.Marshal(append([]string{}, sorted(r.Permissions)...))
			k.hash(kind, id, "name", r.Name, "permissions", string(permissions))
		}
	}
	for id, r := range m.patientGroups {
		k.hash("patient_group", id, "name", r.Name)
	}
	for id, r := range m.members {
		provider := "0"
		if r.IsProvider {
			provider = "1"
		}
		fields := []string{"name", r.Name, "role", r.Role, "provider", provider}
		if r.Role != "" {
			k.member("role-members:"+r.Role, id)
		}
		for _, g := range r.Groups {
			fields = append(fields, "g:"+g, "")
			k.member("group-members:"+g, id)
		}
		for _, g := range r.Access {
			fields = append(fields, "a:"+g, "")
			k.member("access:"+g, id)
		}
		for _, g := range r.Booking {
			fields = append(fields, "b:"+g, "")
			k.member("bookable:"+g, id)
		}
		k.hash("team_member", id, fields...)
	}
	for id, patientGroup := range m.patients {
		fields := []string{"patient_group", patientGroup}
		k.member("patients:"+patientGroup, id)
		for member, sources := range m.careTeams[id] {
			fields = append(fields, "c:"+member, strings.Join(slices.Sorted(maps.Keys(sources)), "\n"))
			k.member("care:"+member, id)
		}
		k.hash("patient", id, fields...)
	}
	for id, r := range m.bookings {
		k.hash("booking", id, "patient", r.Patient, "provider", r.Provider, "state", r.State)
		k.member("bookings-of:"+r.Patient, id)
	}
	out := make(map[string]string, len(k))
	for key, items := range k {
		slices.Sort(items)
		out[key] = strings.Join(items, " ")
	}
	return out
}

// builder collects the items of each key.
type builder map[string][]string

func (k builder) hash(kind, id string, fields ...string) {
	for i := 0; i < len(fields); i += 2 {
		k[kind+":"+id] = append(k[kind+":"+id], fmt.Sprintf("%q=%q", fields[i], fields[i+1]))
	}
	k.member("ids:"+kind, id)
}

func (k builder) member(key, id string) { k[key] = append(k[key], strconv.Quote(id)) }

// randomRecord makes a record about few ids, so that references mostly hold and
// the same entities are replaced again and again.
func randomRecord(r *rand.Rand) Record {
	pick := func(prefix string, n int) string { return prefix + strconv.Itoa(r.IntN(n)) }
	some := func(prefix string, n int) []string {
		var out []string
		for i := range n {
			if r.IntN(3) == 0 {
				out = append(out, prefix+strconv.Itoa(i))
			}
		}
		r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		return out
	}
	switch kind := kinds()[r.IntN(6)]; kind {
	case authz.KindRole, authz.KindGroup:
		return Record{Kind: kind, ID: pick(string(kind[0]), 3), Name: pick("n", 2), Permissions: some("t:a", 4)}
	case authz.KindPatientGroup:
		return Record{Kind: kind, ID: pick("pg", 4), Name: pick("n", 2)}
	case authz.KindTeamMember:
		out := Record{
			Kind: kind, ID: pick("m", 6), Name: pick("n", 2), Groups: some("g", 3),
			Access: some("pg", 4), IsProvider: r.IntN(2) == 0,
		}
		if out.IsProvider {
			out.Booking = some("pg", 4)
		}
		if r.IntN(3) > 0 {
			out.Role = pick("r", 3)
		}
		return out
	case authz.KindPatient:
		return Record{Kind: kind, ID: pick("p", 6), PatientGroup: pick("pg", 4), CareTeam: some("m", 6)}
	default:
		n := r.IntN(20) // mostly the same patient and provider for a booking
		out := Record{
			Kind: authz.KindBooking, ID: "b" + strconv.Itoa(n), Patient: "p" + strconv.Itoa(n%6), Provider: "m" + strconv.Itoa(n%5),
			State: []string{stateBooked, stateCancelled, stateReleased}[r.IntN(3)],
		}
		if r.IntN(12) == 0 {
			out.Patient = pick("p", 6)
		}
		return out
	}
}

// TestImportAgainstModel imports random batches: after each, Redis holds exactly
// what the rules say, in entities and on the other side of each relationship, and
// the revision has moved by one if anything changed.
func TestImportAgainstModel(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		const rounds = 400
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		r := rand.New(rand.NewPCG(seed, 0))
		m := newModel()
		want := m.keys()
		revision := authz.Revision{}
		committed, refused, unchanged := 0, 0, 0
		for round := range rounds {
			next, fits := m.clone(), true
			var batch []byte
			for range 1 + r.IntN(8) {
				record := randomRecord(r)
				batch, _ = record.appendLine(batch)
				fits = fits && next.apply(record)
			}
			done, err := s.Import(t.Context(), s.org, strings.NewReader(string(batch)), nil)
			if fits != (err == nil) {
				t.Fatalf("round %d: fits is %v and the error %v\n%s", round, fits, err, batch)
			}
			got := s.keys(t)
			head := got["head"]
			delete(got, "head")
			if !fits {
				refused++
			} else {
				m = next
				before := want
				want = m.keys()
				switch {
				case maps.Equal(before, want):
					unchanged++
					if done.Revision != revision {
						t.Fatalf("round %d: nothing changed and the revision went from %v to %v", round, revision, done.Revision)
					}
				default:
					committed++
					if done.Revision.Count != revision.Count+1 || done.Revision.Nonce == revision.Nonce {
						t.Fatalf("round %d: the revision went from %v to %v", round, revision, done.Revision)
					}
					revision = done.Revision
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("round %d: Redis differs from the model\n%s\n%s", round, batch, difference(got, want))
			}
			if wantHead := fmt.Sprintf("%q=%q %q=%q %q=%q", "nonce", revision.Nonce, "rev", strconv.FormatUint(revision.Count, 10), "schema", "1"); committed > 0 && head != wantHead {
				t.Fatalf("round %d: the head is %s, expected %s", round, head, wantHead)
			}
		}
		t.Logf("%d committed, %d refused, %d without a change", committed, refused, unchanged)
		if committed < rounds/8 || refused < rounds/8 || unchanged == 0 {
			t.Error("the batches are too much alike to show anything")
		}
		roundTrip(t, s)
	})
}

func difference(got, want map[string]string) string {
	var out []string
	for key, value := range want {
		if got[key] != value {
			out = append(out, fmt.Sprintf("%s: got %s, expected %s", key, got[key], value))
		}
	}
	for key, value := range got {
		if _, ok := want[key]; !ok {
			out = append(out, fmt.Sprintf("%s: got %s, expected nothing", key, value))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// roundTrip exports, imports into an empty store and exports again.
func roundTrip(t *testing.T, s *store) {
	t.Helper()
	whole := s.export(t)
	d, err := OpenEmbedded(Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, d)
	other := &store{Directory: d, raw: d.bulk, org: "another"}
	if _, err := other.Import(t.Context(), other.org, strings.NewReader(whole), nil); err != nil {
		t.Fatalf("the export cannot be imported: %v\n%s", err, whole)
	}
	if again := other.export(t); again != whole {
		t.Errorf("exported\n%s\nimported and exported again\n%s", whole, again)
	}
	got, want := other.keys(t), s.keys(t)
	delete(got, "head")
	delete(want, "head")
	if !maps.Equal(got, want) {
		t.Errorf("the import of an export differs:\n%s", difference(got, want))
	}
}
