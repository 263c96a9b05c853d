package filter_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/soak"
)

// stock is a mapping of one type, whose table has only an id.
func (s *schema) stock() []byte {
	name := []string{s.tables["stock"]}
	if s.in != "" {
		name = []string{s.in, s.tables["stock"]}
	}
	text, err := json.Marshal(map[string]any{"tables": map[string]any{"stock": map[string]any{"table": name, "id": s.columns["id"]}}})
	if err != nil {
		panic(err)
	}
	return text
}

// TestNothingBreaksOut asks for every hostile id, alone, in a short list and in a long
// one, in tables with every hostile name, and looks whether exactly its rows are shown
// and nothing else was touched.
func TestNothingBreaksOut(t *testing.T) {
	for nth, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			ids := hostile()
			var rows [][]any
			for _, id := range ids {
				rows = append(rows, []any{id})
			}
			rows = append(rows, []any{nil}) // neither one of some texts nor none of them
			for i, name := range append([]string{"stock"}, names()...) {
				if i > 0 && (i+nth)%4 > 0 && !soak.All() { // each name in a few of the databases
					continue
				}
				s := newSchema(t, &d, &world{}, 100, false)
				s.tables = map[string]string{"stock": fmt.Sprint(name, " ", i), "canary": "canary"}
				s.columns = map[string]string{"id": name + "!", "item": "item"}
				s.create(t, "stock", []string{"id"}, rows)
				s.create(t, "canary", []string{"item"}, [][]any{{"sings"}})
				asked := ids
				if i > 0 { // the names are the point, not the ids
					asked = ids[i : i+2]
				}
				s.untouched(t, func() {
					for _, id := range asked {
						s.finds(t, ids, id)
						s.finds(t, ids, id, "none", "other")
						s.finds(t, ids, append(sixty(), id)...)
					}
				})
			}
		})
	}
}

func sixty() []string {
	var out []string
	for i := range 60 {
		out = append(out, fmt.Sprint("row ", i))
	}
	return out
}

// finds expects a filter for ids to show their rows, and the negated one the others.
func (s *schema) finds(t *testing.T, ids []string, wanted ...string) {
	t.Helper()
	tables, err := filter.ParseTables(s.stock())
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(wanted)
	for _, not := range []bool{false, true} {
		c := in("id", wanted...)
		c.Not = not
		policy := &rules{left: left([]authz.Condition{c})}
		q := question("stock", s.dialect)
		q.First = 3
		f, _, err := filter.NewService(authz.NewService(&world{}, policy), policy, nil, tables).
			Filter(context.Background(), "clinic", q, authz.Freshness{})
		if err != nil {
			t.Fatal(err)
		}
		want := []int{}
		for n, id := range ids {
			if slices.Contains(wanted, id) != not {
				want = append(want, n)
			}
		}
		if got := s.rows(t, "stock", "", f); !slices.Equal(got, want) {
			t.Errorf("%s in %q: not %t %q shows rows %v, want %v\n%s", s.name, s.tables["stock"], not, wanted, got, want, f.Where)
		}
	}
}

// untouched expects everything in the database to stay as it is.
func (s *schema) untouched(t *testing.T, do func()) {
	t.Helper()
	before := s.contents(t)
	do()
	if after := s.contents(t); after != before || !strings.Contains(before, "sings") {
		t.Errorf("%s was\n%s\nand is\n%s", s.name, before, after)
	}
}

// contents writes the names of all tables and what is in them.
func (s *schema) contents(t *testing.T) string {
	t.Helper()
	of := "SELECT table_name FROM information_schema.tables WHERE table_schema = '" + s.in + "' ORDER BY 1"
	if s.dialect == filter.SQLite {
		of = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1"
	}
	out := ""
	for _, table := range s.strings(t, of) {
		from := s.quote(table)
		if s.in != "" {
			from = s.quote(s.in) + "." + from
		}
		out += fmt.Sprintf("%s: %q\n", table, s.strings(t, "SELECT * FROM "+from+" ORDER BY 1"))
	}
	return out
}

// strings returns the last column of what a query finds.
func (s *schema) strings(t *testing.T, query string) []string {
	t.Helper()
	rows, err := s.db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%v: %s", err, query)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		switch v := (*values[len(values)-1].(*any)).(type) {
		case []byte:
			out = append(out, string(v))
		default:
			out = append(out, fmt.Sprint(v))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestThousandsOfGroupsAndPatients asks for a member with 5,000 patient groups who looks
// after 5,000 patients.
func TestThousandsOfGroupsAndPatients(t *testing.T) {
	const many = 5000
	w := &world{byKey: map[authz.Key]*authz.Fact{}, rows: map[string][]*row{}}
	var groups []string
	for i := range 2 * many {
		id := fmt.Sprintf("p'%05d", i)
		p := &authz.Fact{Key: authz.Key{Kind: authz.KindPatient, ID: id}, Found: true, PatientGroup: fmt.Sprintf(`g"\%05d`, i)}
		if i < many && i%2 == 0 {
			p.PatientGroup = fmt.Sprintf(`G"\%05d`, i) // another group, but for its case
		}
		if i < many {
			groups = append(groups, fmt.Sprintf(`g"\%05d`, i))
		} else {
			p.CareTeam = []string{"mark"}
		}
		w.patients, w.byKey[p.Key] = append(w.patients, p), p
		r := &row{id: &p.ID, fact: p, references: map[string]*string{"patient": &p.ID}}
		w.rows["patient"], w.rows["note"] = append(w.rows["patient"], r), append(w.rows["note"], r)
	}
	for _, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			s := newSchema(t, &d, w, 101, false)
			for _, lists := range []bool{true, false} {
				for _, typ := range []string{"patient", "note"} {
					s.showsThousands(t, typ, lists, groups)
				}
			}
		})
	}
}

// showsThousands expects the patients of the groups and those of the care team, or what
// belongs to them.
func (s *schema) showsThousands(t *testing.T, typ string, lists bool, groups []string) {
	t.Helper()
	tables, err := filter.ParseTables(s.mapping(options{lists: lists}))
	if err != nil {
		t.Fatal(err)
	}
	policy := &rules{left: left([]authz.Condition{in("patient_group", groups...)}, []authz.Condition{has("care_team", "mark")})}
	if typ == "note" {
		policy.left = left([]authz.Condition{in("patient.patient_group", groups...)}, []authz.Condition{has("patient.care_team", "mark")})
	}
	q := question(typ, s.dialect)
	q.First = 3
	f, _, err := filter.NewService(authz.NewService(s.world, policy), policy, &store{world: s.world, page: 1000}, tables).
		Filter(context.Background(), "clinic", q, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	got := s.rows(t, typ, "", f)
	var want []int
	for n := range s.world.patients {
		if n >= len(groups) || n%2 == 1 {
			want = append(want, n)
		}
	}
	if !slices.Equal(got, want) || len(f.Args) > 8 {
		t.Errorf("%s, lists %t: %d rows with %d parameters, want %d", typ, lists, len(got), len(f.Args), len(want))
	}
}
