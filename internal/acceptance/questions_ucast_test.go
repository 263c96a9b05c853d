package acceptance

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// columns is what an ORM has of a row, with what it refers to joined: nil is
// NULL, a list is the rows of a set.
type columns map[string]any

// columns joins a row of the host's with the facts.
func (w *world) columns(row entity) columns {
	c := columns{}
	text := func(name string) (any, string) {
		id, given := row.Properties[name].(string)
		if !given {
			return nil, ""
		}
		return id, id
	}
	joinPatient := func(id string) {
		if p, there := w.patients[id]; there {
			c["patients.id"], c["patients.ward"] = id, p.group
			c["patients.care_team"] = setOf("member_id", p.careTeam())
		}
	}
	joinStaff := func(id string) {
		if m, there := w.members[id]; there {
			c["staff.id"], c["staff.books"], c["staff.away"] = id, m.provider, m.suspended
			c["staff.bookable"] = setOf("ward", m.booking)
		}
	}
	of, patientID := text("patient")
	by, providerID := text("provider")
	on, ward := text("patient_group")
	switch row.Type {
	case "patient":
		joinPatient(row.ID)
	case "provider":
		joinStaff(row.ID)
	case "appointment":
		c["appointments.id"], c["appointments.patient_id"], c["appointments.provider_id"] = row.ID, of, by
		joinPatient(patientID)
		joinStaff(providerID)
	case "clinical_note":
		c["notes.id"], c["notes.patient_id"] = row.ID, of
		joinPatient(patientID)
	case "report":
		c["reports.id"], c["reports.ward"] = row.ID, on
		if slices.Contains(w.patientGroups, ward) {
			c["wards.id"] = ward
		}
	case "stock":
		c["supplies.id"] = row.ID
	}
	return c
}

func setOf(column string, values []string) []columns {
	var out []columns
	for _, v := range values {
		out = append(out, columns{column: v})
	}
	return out
}

// fields are all columns there are: reading another is a mistake.
var fields = strings.Fields("patients.id patients.ward patients.care_team staff.id staff.books staff.away staff.bookable appointments.id appointments.patient_id appointments.provider_id " +
	"notes.id notes.patient_id reports.id reports.ward wards.id supplies.id member_id ward")

// shows says whether the conditions hold for a row, as an ORM would.
func (u ucast) shows(t *testing.T, c columns) bool {
	t.Helper()
	if u.Type == "compound" {
		var parts []ucast
		noError(t, json.Unmarshal(u.Value, &parts))
		holds := func(part ucast) bool { return part.shows(t, c) }
		switch u.Operator {
		case "or":
			return slices.ContainsFunc(parts, holds)
		case "not":
			return !slices.ContainsFunc(parts, holds)
		}
		return !slices.ContainsFunc(parts, func(part ucast) bool { return !holds(part) })
	}
	require(t, slices.Contains(fields, u.Field), "there is no %s", u.Field)
	has := c[u.Field]
	if u.Operator == "elemMatch" {
		var inner ucast
		noError(t, json.Unmarshal(u.Value, &inner))
		rows, _ := has.([]columns)
		return slices.ContainsFunc(rows, func(row columns) bool {
			all := columns{}
			for _, from := range []columns{c, row} {
				for name, value := range from {
					all[name] = value
				}
			}
			return inner.shows(t, all)
		})
	}
	var value any
	noError(t, json.Unmarshal(u.Value, &value))
	if bytes.HasPrefix(u.Value, []byte("{")) {
		value = c[value.(object)["field"].(string)]
		if value == nil || has == nil {
			return false // NULL is not compared
		}
	}
	switch list, _ := value.([]any); u.Operator {
	case "eq":
		return has == value
	case "ne":
		return has != value && (has != nil || value == nil)
	case "in":
		return has != nil && slices.Contains(list, has)
	default: // nin
		return has != nil && !slices.Contains(list, has)
	}
}
