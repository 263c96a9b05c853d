package acceptance

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// record is one line of facts. Its builders return copies.
type record struct {
	kind, id string
	fields   map[string]any
}

func newRecord(kind, id string, fields map[string]any) record {
	all := map[string]any{"kind": kind, "id": id}
	maps.Copy(all, fields)
	return record{kind: kind, id: id, fields: all}
}

func (r record) having(name string, value any) record {
	r.fields = maps.Clone(r.fields)
	r.fields[name] = value
	return r
}

// list makes sure that none is [], not null.
func list(items []string) []string { return append([]string{}, items...) }

func role(id string, permissions ...string) record {
	return newRecord("role", id, map[string]any{"name": "Role", "permissions": list(permissions)})
}

func group(id string, permissions ...string) record {
	return newRecord("group", id, map[string]any{"name": "Group", "permissions": list(permissions)})
}

func patientGroup(id string) record {
	return newRecord("patient_group", id, map[string]any{"name": "Patients"})
}

func teamMember(id string) record {
	return newRecord("team_member", id, map[string]any{"name": "Member"})
}

func (r record) holding(role string) record       { return r.having("role", role) }
func (r record) inGroups(groups ...string) record { return r.having("groups", list(groups)) }
func (r record) seeing(groups ...string) record   { return r.having("access", list(groups)) }
func (r record) asProvider() record               { return r.having("provider", true) }
func (r record) onLeave() record                  { return r.having("suspended", true) }
func (r record) bookableBy(groups ...string) record {
	return r.asProvider().having("booking", list(groups))
}
func (r record) caredForBy(members ...string) record { return r.having("care_team", list(members)) }
func patientIn(group, id string) record {
	return newRecord("patient", id, map[string]any{"patient_group": group})
}
func booking(id, patient, provider, state string) record {
	return newRecord("booking", id, map[string]any{"patient": patient, "provider": provider, "state": state})
}

// kinds is the order in which records may refer to each other.
var kinds = []string{"role", "group", "patient_group", "team_member", "patient", "booking"}

// merge replaces the records that later ones restate, and sorts the rest so
// that each refers to earlier ones only.
func merge(records []record, changes ...record) []record {
	out := slices.Clone(records)
	for _, change := range changes {
		at := slices.IndexFunc(out, func(r record) bool { return r.kind == change.kind && r.id == change.id })
		if at < 0 {
			out = append(out, change)
		} else {
			out[at] = change
		}
	}
	slices.SortStableFunc(out, func(a, b record) int { return slices.Index(kinds, a.kind) - slices.Index(kinds, b.kind) })
	return out
}

// lines writes records as JSON Lines.
func lines(records []record) []byte {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, r := range records {
		if err := encoder.Encode(r.fields); err != nil {
			panic(err) // strings, lists of strings and booleans always encode
		}
	}
	return b.Bytes()
}
