package acceptance

import (
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestFiltersRefuse has requests that try to become SQL, or say what nobody
// knows.
func TestFiltersRefuse(t *testing.T) {
	t.Parallel()
	s := serve(t) // the embedded example, with its own mapping
	a := asker{&organisation{name: "riverside", server: s}, ""}
	good := object{"subject": member("mark"), "action": object{"name": "view"}, "resource": object{"type": "patient"}, "dialect": "sqlite"}
	hostile := `zq"]` + "`" + `'; DROP TABLE patients; --zq`
	for name, c := range map[string]struct {
		change   object
		statuses []int
		field    string
	}{
		"another member":           {object{"table": "patients"}, []int{400}, "table"},
		"a mapping":                {object{"tables": object{"patient": object{"table": "x"}}}, []int{400}, "tables"},
		"a column":                 {object{"resource": object{"type": "patient", "column": "x"}}, []int{400}, "resource.column"},
		"another in the subject":   {object{"subject": object{"type": "team_member", "id": "mark", "where": "1=1"}}, []int{400}, "subject.where"},
		"another in the action":    {object{"action": object{"name": "view", "sql": "1=1"}}, []int{400}, "action.sql"},
		"a type that is SQL":       {object{"resource": object{"type": hostile}}, []int{400, 404}, "resource.type"},
		"a type that is no table":  {object{"resource": object{"type": "clinical_note"}}, []int{404}, "resource.type"},
		"a type of no catalogue":   {object{"resource": object{"type": "invoice"}}, []int{404}, "resource.type"},
		"a dialect that is SQL":    {object{"dialect": hostile}, []int{400}, "dialect"},
		"a dialect of nobody":      {object{"dialect": "oracle"}, []int{400}, "dialect"},
		"no dialect":               {object{"dialect": ""}, []int{400}, "dialect"},
		"a dialect that is a list": {object{"dialect": array{"sqlite"}}, []int{400}, "dialect"},
		"no first parameter":       {object{"first_parameter": 0}, []int{400}, "first_parameter"},
		"a negative one":           {object{"first_parameter": -1}, []int{400}, "first_parameter"},
		"text for one":             {object{"first_parameter": "1) OR (1=1"}, []int{400}, "first_parameter"},
		"half a parameter":         {object{"first_parameter": 1.5}, []int{400}, "first_parameter"},
		"a list for a subject":     {object{"subject": array{}}, []int{400}, "subject"},
		"nobody":                   {object{"subject": object{"type": "team_member"}}, []int{400}, "subject.id"},
		"no action":                {object{"action": object{}}, []int{400}, "action.name"},
		"null":                     {object{"resource": nil}, []int{400}, "resource"},
		"a list for a context":     {object{"context": array{1}}, []int{400}, "context"},
	} {
		r := a.ask(t, "/v1/filters", merged(good, c.change))
		if !slices.Contains(c.statuses, r.status) {
			t.Errorf("%s: %v, expected %v", name, r, c.statuses)
			continue
		}
		refusedFor(t, r, r.status, c.field, "%s", name)
		check(t, !strings.Contains(string(r.body), "DROP") || strings.Contains(string(r.body), "detail"), "%s: %v", name, r)
	}
	for _, body := range []string{``, `{`, `[]`, `null`, `{}{}`, `{"subject":1}`, `{"dialect":"sqlite","dialect":"mysql","subject":{"type":"team_member","id":"mark"},"action":{"name":"view"},"resource":{"type":"patient"}}`} {
		if r := a.ask(t, "/v1/filters", body); r.status != http.StatusBadRequest {
			t.Errorf("%s: %v", body, r)
		} else {
			refused(t, r, http.StatusBadRequest)
		}
	}
	// Whatever else is hostile is a value, or nothing.
	for name, change := range map[string]object{
		"subject": {"subject": member(hostile)}, "subject's type": {"subject": entity{Type: hostile, ID: hostile}}, "action": {"action": object{"name": hostile}},
		"property": {"resource": object{"type": "appointment", "properties": object{"patient": hostile}}}, "name of a property": {"resource": object{"type": "patient", "properties": object{hostile: hostile}}},
		"context": {"context": object{hostile: hostile}}, "action's properties": {"action": object{"name": "view", "properties": object{hostile: hostile}}},
	} {
		for _, dialect := range []string{"sqlite", "postgresql", "mysql", "sqlserver"} {
			f := decode[filterAnswer](t, a.ask(t, "/v1/filters", merged(merged(good, change), object{"dialect": dialect})))
			check(t, f.Where != nil && !strings.Contains(*f.Where, "DROP") && !strings.Contains(*f.Where, "zq"), "a hostile %s in %s: %+v", name, dialect, f)
		}
	}
	// A sidecar without a mapping says what is missing.
	plain := asker{newOrganisation(t, redisStore{}, clinic()...), ""}
	if p := refused(t, plain.ask(t, "/v1/filters", merged(good, object{"subject": member("ann")})), http.StatusNotFound); !strings.Contains(p.Detail, "--filters") && !strings.Contains(p.Detail, "mapping") {
		t.Errorf("without a mapping: %+v", p)
	}
}

// TestFiltersOfVeryMany is a member with 5,000 patient groups, 5,000 groups of
// permissions or 5,000 patients on whose care team they are.
func TestFiltersOfVeryMany(t *testing.T) {
	t.Parallel()
	servers := []*server{questioned(t, mappedToTables), questioned(t, mappedToIDs)}
	var w world
	w.roles = map[string][]string{"viewer": {"patient:view", "appointment:view"}}
	w.groups, w.members, w.patients = map[string][]string{}, map[string]staff{}, map[string]person{}
	var wards, groups []string
	for i := range 5_000 {
		wards, groups = append(wards, fmt.Sprintf("ward %d", i)), append(groups, fmt.Sprintf("group %d", i))
		w.groups[groups[i]] = nil
	}
	w.groups[groups[4_321]] = []string{"patient:view"}
	w.patientGroups = append(slices.Clone(wards), "elsewhere")
	w.members["wide"] = staff{role: "viewer", access: wards}
	w.members["carer"] = staff{role: "viewer"}
	w.members["joiner"] = staff{groups: groups, access: wards[:1]}
	for i := range 11_000 {
		p := person{group: "elsewhere"}
		switch {
		case i < 5_000:
			p.manual = []string{"carer"}
		case i < 7_000:
			p.group = wards[(i-5_000)*2]
		}
		w.patients[fmt.Sprintf("p-%d", i)] = p
	}
	d := &dice{w: &w}
	d.learn()
	a := over(t, servers[0], d.records()...)
	db := try(sql.Open("sqlite", ":memory:")).must(t)
	db.SetMaxOpenConns(1)
	defer db.Close()
	h := hostDatabase{DB: db}
	for _, table := range []string{"patients (id TEXT PRIMARY KEY, ward TEXT)", "care_team (patient_id TEXT, member_id TEXT, PRIMARY KEY (patient_id, member_id))", "appointments (id TEXT, patient_id TEXT, provider_id TEXT)", "staff (id TEXT, books BOOLEAN)"} {
		h.must(t, "CREATE TABLE "+table)
	}
	h.must(t, "BEGIN")
	for id, p := range w.patients {
		h.must(t, "INSERT INTO patients VALUES (?, ?)", id, p.group)
		h.must(t, "INSERT INTO appointments VALUES (?, ?, NULL)", "a of "+id, id)
		for _, m := range p.manual {
			h.must(t, "INSERT INTO care_team VALUES (?, ?)", id, m)
		}
	}
	h.must(t, "COMMIT")
	for who, want := range map[string]int{"wide": 2_000, "carer": 5_000, "joiner": 1} {
		for k, s := range servers {
			a.server = s
			for _, kind := range []string{"patient", "appointment"} {
				rows := want
				if who == "joiner" && kind == "appointment" {
					rows = 0 // a group grants patient:view alone
				}
				body := object{"subject": member(who), "action": object{"name": "view"}, "resource": object{"type": kind}, "dialect": "sqlite"}
				f := decode[filterAnswer](t, a.ask(t, "/v1/filters", body))
				got := h.shown(t, kind, f)
				check(t, len(got) == rows && len(f.Args) <= 200, "mapping %d: %s sees %d of %s with %d values, expected %d", k, who, len(got), kind, len(f.Args), rows)
			}
		}
		if got := a.walk(t, searchResource, object{"subject": member(who), "action": object{"name": "view"}, "resource": object{"type": "patient"}}, 1000); len(got) != want {
			t.Errorf("a search finds %d for %s, expected %d", len(got), who, want)
		}
	}
	// Past the bound it says what else there is.
	var more []record
	for i := range 10_500 {
		more = append(more, patientIn("elsewhere", fmt.Sprintf("p-%d", i)).caredForBy("carer"))
	}
	a.change(t, more...)
	body := object{"subject": member("carer"), "action": object{"name": "view"}, "resource": object{"type": "patient"}, "dialect": "sqlite"}
	a.server = servers[1]
	if p := refused(t, a.ask(t, "/v1/filters", body), http.StatusRequestEntityTooLarge); !strings.Contains(p.Detail, "care_team") || !strings.Contains(p.Detail, "table") {
		t.Errorf("past the bound: %+v", p)
	}
	a.server = servers[0]
	if f := decode[filterAnswer](t, a.ask(t, "/v1/filters", body)); f.Matches != "some" {
		t.Errorf("with a table: %+v", f)
	}
}
