package acceptance

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/caregate/caregate/internal/soak"
)

// mappedToTables maps every type that has rows of its own, with all
// relationships in tables.
const mappedToTables = `{"tables": {
  "patient": {"table": "patients", "id": "id", "patient_group": "ward", "care_team": {"table": "care_team", "patient": "patient_id", "member": "member_id"}},
  "patient_group": {"table": "wards", "id": "id"},
  "provider": {"table": "staff", "id": "id", "provider": "books", "suspended": "away", "booking": {"table": "bookable", "member": "member_id", "patient_group": "ward"}, "references": {"patient": "none"}},
  "appointment": {"table": "appointments", "id": "id", "references": {"patient": {"column": "patient_id"}, "provider": {"column": "provider_id"}}},
  "clinical_note": {"table": "notes", "id": "id", "references": {"patient": {"column": "patient_id"}}},
  "report": {"table": "reports", "id": "id", "references": {"patient_group": {"column": "ward"}}},
  "stock": {"table": "supplies", "id": "id"}
}}`

// mappedToIDs keeps no care teams.
var mappedToIDs = strings.Replace(mappedToTables, `{"table": "care_team", "patient": "patient_id", "member": "member_id"}`, `"ids"`, 1)

var filterTables = map[string]string{"patient": "patients", "provider": "staff", "appointment": "appointments", "clinical_note": "notes", "report": "reports", "stock": "supplies"}

// hostDatabase is a service's own, with the facts of an organisation in it and
// what belongs to the service.
type hostDatabase struct {
	*sql.DB
	rows map[string][]entity // by type, what a check is asked about; nil properties for NULL
}

func newHostDatabase(t *testing.T, d *dice) hostDatabase {
	t.Helper()
	db := try(sql.Open("sqlite", ":memory:")).must(t)
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	h := hostDatabase{db, map[string][]entity{}}
	// A column that folds cases must not make two ids one.
	text := "TEXT COLLATE " + pick(d, []string{"NOCASE", "BINARY", "RTRIM"})
	for _, table := range []string{"patients (id, ward)", "wards (id)", "care_team (patient_id, member_id)", "bookable (member_id, ward)", "appointments (id, patient_id, provider_id)",
		"notes (id, patient_id)", "reports (id, ward)", "supplies (id)"} {
		h.must(t, "CREATE TABLE "+strings.NewReplacer(",", " "+text+",", ")", " "+text+")").Replace(table))
	}
	h.must(t, "CREATE TABLE staff (id "+text+", books BOOLEAN, away BOOLEAN)")
	try(db.Exec("BEGIN")).must(t)
	for _, id := range d.patients {
		p := d.w.patients[id]
		h.must(t, "INSERT INTO patients VALUES (?, ?)", id, p.group)
		h.rows["patient"] = append(h.rows["patient"], patient(id))
		for _, m := range slices.Compact(slices.Sorted(slices.Values(p.careTeam()))) {
			h.must(t, "INSERT INTO care_team VALUES (?, ?)", id, m)
		}
	}
	h.must(t, "INSERT INTO patients VALUES (NULL, ?), (NULL, NULL)", d.w.patientGroups[0])
	for _, id := range d.w.patientGroups {
		h.must(t, "INSERT INTO wards VALUES (?)", id)
	}
	for _, id := range d.members {
		m := d.w.members[id]
		h.must(t, "INSERT INTO staff VALUES (?, ?, ?)", id, m.provider, m.suspended)
		h.rows["provider"] = append(h.rows["provider"], provider(id))
		for _, g := range m.booking {
			h.must(t, "INSERT INTO bookable VALUES (?, ?)", id, g)
		}
	}
	reference := func(name string, from []string) (any, func(entity) entity) {
		switch {
		case d.often(0.1):
			return nil, func(e entity) entity { return e }
		case d.often(0.1):
			id := d.stranger()
			return id, func(e entity) entity { return e.naming(name, id) }
		}
		id := pick(d, from)
		return id, func(e entity) entity { return e.naming(name, id) }
	}
	for i := range 60 {
		id := fmt.Sprint(i)
		p, of := reference("patient", d.patients)
		m, by := reference("provider", append(d.members, d.providers...))
		g, on := reference("patient_group", d.w.patientGroups)
		h.must(t, "INSERT INTO appointments VALUES (?, ?, ?)", id, p, m)
		h.must(t, "INSERT INTO notes VALUES (?, ?)", id, p)
		h.must(t, "INSERT INTO reports VALUES (?, ?)", id, g)
		h.must(t, "INSERT INTO supplies VALUES (?)", id)
		h.rows["appointment"] = append(h.rows["appointment"], by(of(appointment(id))))
		h.rows["clinical_note"] = append(h.rows["clinical_note"], of(clinicalNote(id)))
		h.rows["report"] = append(h.rows["report"], on(report(id)))
		h.rows["stock"] = append(h.rows["stock"], entity{Type: "stock", ID: id})
	}
	h.must(t, "COMMIT")
	return h
}

func (h hostDatabase) must(t *testing.T, statement string, args ...any) {
	t.Helper()
	if _, err := h.Exec(statement, args...); err != nil {
		t.Fatalf("%v: %s", err, statement)
	}
}

// filterAnswer is what /v1/filters says.
type filterAnswer struct {
	Matches, Dialect string
	Where            *string
	Args             []any
	UCAST            *ucast
}

type ucast struct {
	Type, Operator, Field string
	Value                 json.RawMessage
}

// shown is the ids of the rows that a filter shows, in the order of bytes.
func (h hostDatabase) shown(t *testing.T, kind string, f filterAnswer) []string {
	t.Helper()
	require(t, f.Where != nil && f.Args != nil && f.UCAST == nil, "a filter without a clause: %+v", f)
	rows, err := h.QueryContext(context.Background(), `SELECT id FROM `+filterTables[kind]+` WHERE 1 = ? AND `+*f.Where+` AND 2 = ?`, slices.Concat([]any{1}, f.Args, []any{2})...)
	if err != nil {
		t.Fatalf("%v: %s", err, *f.Where)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var id *string
		noError(t, rows.Scan(&id))
		if id == nil {
			t.Errorf("a row without an id is shown by %s", *f.Where)
			continue
		}
		out = append(out, *id)
	}
	noError(t, rows.Err())
	slices.Sort(out)
	return out
}

// sound looks at the explicit yes and no.
func (f filterAnswer) sound(t *testing.T) {
	t.Helper()
	switch f.Matches {
	case "all", "none":
		if want := map[string]string{"all": "(1=1)", "none": "(1=0)"}[f.Matches]; f.Where != nil && (*f.Where != want || len(f.Args) > 0) {
			t.Errorf("%s is written as %q with %d values", f.Matches, *f.Where, len(f.Args))
		}
	case "some":
		if f.Where != nil && (!strings.HasPrefix(*f.Where, "(") || !strings.HasSuffix(*f.Where, ")") || strings.Count(*f.Where, "?") != len(f.Args)) {
			t.Errorf("%d values for %q", len(f.Args), *f.Where)
		}
	default:
		t.Errorf("it matches %q", f.Matches)
	}
}

// wellFormed reads UCAST to its leaves, and returns them.
func (u ucast) wellFormed(t *testing.T) []ucast {
	t.Helper()
	switch {
	case u.Type == "compound" && slices.Contains([]string{"and", "or", "not"}, u.Operator):
		var parts []ucast
		if err := json.Unmarshal(u.Value, &parts); err != nil {
			t.Errorf("%v in %s", err, u.Value)
		}
		if len(parts) == 0 {
			t.Errorf("%s of nothing, which a library may leave out", u.Operator)
		}
		var out []ucast
		for _, part := range parts {
			out = append(out, part.wellFormed(t)...)
		}
		return out
	case u.Type == "field" && u.Operator == "elemMatch":
		var inner ucast
		if err := json.Unmarshal(u.Value, &inner); err != nil {
			t.Errorf("%v in %s", err, u.Value)
		}
		inner.wellFormed(t)
	case u.Type == "field" && slices.Contains([]string{"in", "nin"}, u.Operator):
		var list []any
		if err := json.Unmarshal(u.Value, &list); err != nil {
			t.Errorf("%v in %s", err, u.Value)
		}
	case u.Type == "field" && slices.Contains([]string{"eq", "ne"}, u.Operator):
	default:
		t.Errorf("no UCAST: %+v", u)
	}
	check(t, u.Field != "" && len(u.Value) != 0, "no UCAST: %+v", u)
	return []ucast{u}
}

// TestFiltersShowWhatChecksAllow executes filters on a database with the facts
// of random organisations, and holds the rows against the rules and checks.
func TestFiltersShowWhatChecksAllow(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	servers := []*server{questioned(t, mappedToTables), questioned(t, mappedToIDs)}
	types := []string{"patient", "patient", "provider", "appointment", "appointment", "clinical_note", "report", "stock"}
	asked, showed, checked, matches := 0, 0, 0, map[string]int{}
	for i := range 6 {
		d := newDice(n, uint64(41_000+i))
		h := newHostDatabase(t, d)
		a := over(t, servers[0], d.records()...)
		for range 80 {
			q := question{Subject: member(pick(d, d.members)), Resource: entity{Type: pick(d, types)}}
			switch {
			case d.often(0.15):
				q.Subject = patient(pick(d, d.patients))
				q.Resource.Type = "provider"
			case d.often(0.05):
				q.Subject = member(d.stranger())
			}
			d.act(&q)
			if q.Resource.Type == "provider" && q.Action.Name == "book" && q.Subject.Type == "team_member" || d.often(0.15) {
				for _, name := range slices.Concat(theCatalogue[q.Resource.Type].required, theCatalogue[q.Resource.Type].optional) {
					q.Resource = q.Resource.naming(name, d.reference(name, q.Subject))
				}
			}
			var expected []string
			var rows []question
			for _, row := range h.rows[q.Resource.Type] {
				one := q
				one.Resource, rows = row, append(rows, q)
				same := true
				for name, value := range q.Resource.Properties {
					if has, there := row.Properties[name]; q.Resource.Type != "provider" && (!there || has != value) {
						same = false // a known reference is a condition on its column
					}
					one.Resource = one.Resource.naming(name, value)
				}
				rows[len(rows)-1] = one
				if same && d.w.decide(one) {
					expected = append(expected, row.ID)
				}
			}
			slices.Sort(expected)
			resource := object{"type": q.Resource.Type}
			if q.Resource.Properties != nil {
				resource["properties"] = q.Resource.Properties
			}
			body := object{"subject": q.Subject, "action": q.Action, "resource": resource, "dialect": "sqlite"}
			for k, s := range servers {
				a.server = s
				r := a.ask(t, "/v1/filters", body)
				if r.status == http.StatusBadRequest && slices.ContainsFunc(slices.Collect(maps.Values(q.Resource.Properties)), func(v any) bool { _, text := v.(string); return !text }) {
					continue
				}
				f := decode[filterAnswer](t, r)
				f.sound(t)
				check(t, r.header.Get("Caregate-Revision") == a.revision, "a filter at %q, expected %q", r.header.Get("Caregate-Revision"), a.revision)
				got := h.shown(t, q.Resource.Type, f)
				asked++
				showed += len(got)
				matches[f.Matches]++
				if !slices.Equal(got, expected) {
					sent, _ := json.Marshal(body)
					t.Errorf("mapping %d: %s\n  shows    %q\n  expected %q\n  by %s %v", k, sent, got, expected, *f.Where, f.Args)
				}
				if k == 0 && d.often(0.2) && q.Resource.Properties == nil {
					var allowed []string
					for k, one := range a.batch(t, rows) {
						if one.allowed() {
							allowed = append(allowed, rows[k].Resource.ID)
						}
					}
					checked += len(rows)
					if slices.Sort(allowed); !slices.Equal(allowed, got) {
						t.Errorf("a filter shows %q, checks allow %q", got, allowed)
					}
				}
				u := decode[filterAnswer](t, a.ask(t, "/v1/filters", merged(body, object{"dialect": "ucast"})))
				require(t, u.UCAST != nil && u.Where == nil && u.Args == nil && u.Matches == f.Matches, "UCAST %+v of what matches %q", u, f.Matches)
				leaves := u.UCAST.wellFormed(t)
				if want := map[string]string{"all": "or", "none": "and"}[u.Matches]; want != "" && (u.UCAST.Operator != want || len(leaves) != 2) {
					t.Errorf("%s as UCAST is %+v", u.Matches, *u.UCAST)
				}
				var shown []string
				for i, row := range h.rows[q.Resource.Type] {
					if u.UCAST.shows(t, d.w.columns(row)) {
						shown = append(shown, h.rows[q.Resource.Type][i].ID)
					}
				}
				if slices.Sort(shown); !slices.Equal(shown, expected) {
					t.Errorf("mapping %d: %v: UCAST shows %q, expected %q: %+v", k, body, shown, expected, *u.UCAST)
				}
				for dialect, parameter := range map[string]string{"postgresql": "$7", "sqlserver": "@p7", "mysql": "?"} {
					o := decode[filterAnswer](t, a.ask(t, "/v1/filters", merged(body, object{"dialect": dialect, "first_parameter": 7})))
					if o.Matches != f.Matches || o.Where == nil || o.Dialect != dialect || (len(o.Args) > 0) != strings.Contains(*o.Where, parameter) {
						t.Errorf("%s: %+v of what matches %q", dialect, o, f.Matches)
					}
					for _, value := range o.Args {
						if text := value.(string); len(text) > 12 && strings.Contains(*o.Where, text) {
							t.Errorf("%s has the value %q in the text %s", dialect, text, *o.Where)
						}
					}
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d filters, %d rows, %d checks, %v", asked, showed, checked, matches)
	if asked < 700 || showed < 300 || matches["none"] == 0 || matches["some"] == 0 || matches["all"] == 0 || checked < 100 {
		t.Errorf("%d filters, %d rows, %v: too one-sided to show anything", asked, showed, matches)
	}
}
