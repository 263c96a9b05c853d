package directory

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
)

// view returns each record as the history names its fields.
func (m *reference) view() map[authz.Key]map[string]any {
	out := make(map[authz.Key]map[string]any, len(m.records))
	for key, r := range m.records {
		v := map[string]any{}
		for name, text := range map[string]string{
			"name": r.Name, "role": r.Role, "patient_group": r.PatientGroup, "patient": r.Patient, "state": string(r.State),
		} {
			if text != "" {
				v[name] = text
			}
		}
		for name, list := range map[string][]string{"permissions": r.Permissions, "groups": r.Groups, "access": r.Access, "booking": r.Booking} {
			if len(list) > 0 {
				v[name] = sorted(list)
			}
		}
		switch key.Kind {
		case authz.KindTeamMember:
			v["provider"] = r.IsProvider
			if r.IsSuspended { // the history tells of it where it is true, or ends
				v["suspended"] = true
			}
		case authz.KindBooking:
			v["provider"] = r.Provider
		}
		if team := m.sources[key.ID]; key.Kind == authz.KindPatient && len(team) > 0 {
			named := map[string][]string{}
			for member, sources := range team {
				named[member] = slices.Sorted(maps.Keys(sources))
			}
			v["care_team"] = named
		}
		out[key] = v
	}
	return out
}

// changed notes a revision in which everything that differs from before changed.
func (m *reference) changed(before *reference, revision authz.Revision) {
	was := before.view()
	for key, is := range m.view() {
		if !reflect.DeepEqual(was[key], is) {
			m.since[key] = revision
		}
	}
}

// keys returns what Redis is to hold, in the form of store.keys, without the head
// and the stream.
func (m *reference) keys() map[string]string {
	k := builder{}
	for key, r := range m.records {
		id := key.ID
		fields := []string{"rev", m.since[key].String()}
		edges := func(begin, index string, list []string) {
			for _, to := range list {
				fields = append(fields, begin+to, "")
				k.member(index+to, id)
			}
		}
		switch key.Kind {
		case authz.KindRole, authz.KindGroup:
			permissions, _ := json.Marshal(append([]string{}, sorted(r.Permissions)...))
			fields = append(fields, "name", r.Name, "permissions", string(permissions))
			if slices.Contains(r.Permissions, "user:*") || slices.Contains(r.Permissions, "*:*") {
				k.member("user-admins", string(key.Kind)+":"+id)
			}
		case authz.KindPatientGroup:
			fields = append(fields, "name", r.Name)
		case authz.KindTeamMember:
			fields = append(fields, "name", r.Name, "role", r.Role, "provider", layout.FlagOf(r.IsProvider))
			if r.IsSuspended { // only where it is true
				fields = append(fields, "suspended", "1")
			}
			if r.Role != "" {
				k.member("role-members:"+r.Role, id)
			}
			edges("g:", "group-members:", r.Groups)
			edges("a:", "access:", r.Access)
			edges("b:", "bookable:", r.Booking)
		case authz.KindPatient:
			fields = append(fields, "patient_group", r.PatientGroup)
			k.member("patients:"+r.PatientGroup, id)
			for member, sources := range m.sources[id] {
				fields = append(fields, "c:"+member, strings.Join(slices.Sorted(maps.Keys(sources)), "\n"))
				k.member("care:"+member, id)
			}
		case authz.KindBooking:
			fields = append(fields, "patient", r.Patient, "provider", r.Provider, "state", string(r.State))
			k.member("bookings-of:"+r.Patient, id)
			k.member("bookings-with:"+r.Provider, id)
		}
		k.hash(string(key.Kind), id, fields...)
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
	if _, err := other.Import(t.Context(), other.org, strings.NewReader(whole), ImportOptions{}); err != nil {
		t.Fatalf("the export cannot be imported: %v\n%s", err, whole)
	}
	if again := other.export(t); again != whole {
		t.Errorf("exported\n%s\nimported and exported again\n%s", whole, again)
	}
	if got, want := other.entities(t), s.entities(t); !maps.Equal(got, want) {
		t.Errorf("the import of an export differs:\n%s", difference(got, want))
	}
}
