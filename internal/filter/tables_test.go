package filter_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
)

func TestTheMappingIsReadStrictly(t *testing.T) {
	long := strings.Repeat("x", 129)
	for text, want := range map[string]string{
		``:                                 ": the mapping is not JSON",
		`[]`:                               ": must be an object",
		`{}`:                               "tables: is missing",
		`{"tables": 1}`:                    "tables: must be an object",
		`{"tables": {}} {}`:                ": there is something after",
		`{"tables": {}, "table": {}}`:      "table: is not known; there are tables",
		`{"tables": {"": {"table": "p"}}}`: "tables: has a member without a name",
		`{"tables": {"p": {}}}`:            "tables.p.table: is missing",
		`{"tables": {"p": {"table": "p"}, "p": {}}}`:                                             "tables.p: stands there twice",
		`{"tables": {"p": {"table": "p", "table": "q"}}}`:                                        "tables.p.table: stands there twice",
		`{"tables": {"p": {"table": "p", "tabel": 1}}}`:                                          "tables.p.tabel: is not known; there are table, alias",
		`{"tables": {"p": {"table": 7}}}`:                                                        "tables.p.table: must be a name, or an array",
		`{"tables": {"p": {"table": null}}}`:                                                     "tables.p.table: must be a name, or an array",
		`{"tables": {"p": {"table": ""}}}`:                                                       "tables.p.table: must have 1 to 128",
		`{"tables": {"p": {"table": "a..b"}}}`:                                                   "tables.p.table: must have 1 to 128",
		`{"tables": {"p": {"table": "a.b.c.d"}}}`:                                                "tables.p.table: must be of one to three parts",
		`{"tables": {"p": {"table": []}}}`:                                                       "tables.p.table: must be of one to three parts",
		`{"tables": {"p": {"table": ["a", 7]}}}`:                                                 "tables.p.table[1]: must be a string",
		`{"tables": {"p": {"table": "p", "id": "` + long + `"}}}`:                                "tables.p.id: must have 1 to 128",
		`{"tables": {"p": {"table": "p", "id": "a\u0000b"}}}`:                                    "tables.p.id: has a control character",
		`{"tables": {"p": {"table": "p", "id": {}}}}`:                                            "tables.p.id: must be a string",
		`{"tables": {"p": {"table": "p", "alias": false}}}`:                                      "tables.p.alias: must be a string",
		`{"tables": {"p": {"table": "p", "resolved": "yes"}}}`:                                   "tables.p.resolved: must be true or false",
		`{"tables": {"p": {"table": "p", "care_team": "ids"}}}`:                                  "tables.p.id: is missing; care_team goes by it",
		`{"tables": {"p": {"table": "p", "id": "i", "care_team": "id"}}}`:                        `tables.p.care_team: must be "ids" or an object`,
		`{"tables": {"p": {"table": "p", "id": "i", "booking": "ids"}}}`:                         "tables.p.booking: must be an object",
		`{"tables": {"p": {"table": "p", "id": "i", "booking": {"table": "b", "member": "m"}}}}`: "tables.p.booking.patient_group: is missing",
		`{"tables": {"p": {"table": "p", "id": "i", "booking": {"table": "b", "group": "m"}}}}`:  "tables.p.booking.group: is not known; there are table, member, patient_group",
		`{"tables": {"p": {"table": "p", "references": {"q": "column"}}}}`:                       `tables.p.references.q: must be "none" or an object`,
		`{"tables": {"p": {"table": "p", "references": {"q": {}}}}}`:                             "tables.p.references.q.column: is missing",
		`{"tables": {"p": {"table": "p", "references": {"q": null}}}}`:                           "tables.p.references.q: must be an object",
		`{"tables": {"p": {"table": [[[[[[[[["a"]]]]]]]]]}}}`:                                    "stands too deep",
		"{\"tables\": {\"p\": {\"table\": \"\xff\"}}}":                                           ": the mapping is not in UTF-8",
		`{"tables": {"p": {"table": "p"}}`:                                                       ": the mapping is not JSON, at byte",
	} {
		_, err := filter.ParseTables([]byte(text))
		e, ok := errors.AsType[*authz.Error](err)
		if !ok || e.Kind != authz.Malformed || !strings.Contains(e.Field+": "+e.Message, want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
	if _, err := filter.ParseTables(make([]byte, 1<<20+1)); authz.KindOf(err) != authz.TooLarge {
		t.Errorf("a megabyte: %v", err)
	}
}

func TestTheMappingFitsTheCatalogue(t *testing.T) {
	for text, want := range map[string]string{
		`{"tables": {"patient": {"table": "p", "id": "i", "patient_group": "g", "care_team": "ids"}}}`:               "",
		`{"tables": {"patient_s": {"table": "p"}}}`:                                                                  "tables.patient_s: is not a type",
		`{"tables": {"patient": {"table": "p", "role": "r"}}}`:                                                       "tables.patient.role: is no fact of this type",
		`{"tables": {"stock": {"table": "p", "patient_group": "r"}}}`:                                                "tables.stock.patient_group: is no fact",
		`{"tables": {"note": {"table": "p", "references": {"provider": "none"}}}}`:                                   "tables.note.references.provider: is not a reference",
		`{"tables": {"provider": {"table": "p", "id": "i", "provider": "q", "references": {"patient": "none"}}}}`:    "",
		`{"tables": {"provider": {"table": "p", "id": "i", "care_team": "ids", "references": {"patient": "none"}}}}`: "tables.provider.care_team: is no fact",
	} {
		tables, err := filter.ParseTables([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		err = tables.Check(catalogue())
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if err := tables.Check(nil); err != nil {
			t.Errorf("without a catalogue: %v", err)
		}
	}
}

func FuzzParseTables(f *testing.F) {
	f.Add(`{"tables": {"patient": {"table": "clinic.p", "id": "id", "care_team": {"table": ["c"], "patient": "p", "member": "m"}}}}`)
	f.Add(`{"tables": {"note": {"table": "n", "references": {"patient": {"column": "p", "resolved": true}, "x": "none"}, "alias": "\""}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		tables, err := filter.ParseTables([]byte(text))
		if (tables == nil) == (err == nil) {
			t.Fatalf("%v and %v", tables, err)
		}
		if _, ok := errors.AsType[*authz.Error](err); err != nil && !ok {
			t.Fatalf("an error nobody classed: %v", err)
		}
	})
}

// FuzzIdentifiers gives a table and its columns any names, and executes the filter.
func FuzzIdentifiers(f *testing.F) {
	for _, name := range names() {
		f.Add(name, name+"x", "value")
	}
	f.Add("a\u00a0", "\u202e", "'; DROP TABLE canary; --")
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		f.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	d := &database{name: "SQLite", dialect: filter.SQLite, open: func(*testing.T) *sql.DB { return db }, text: "TEXT"}
	f.Fuzz(func(t *testing.T, table, column, value string) {
		if strings.HasPrefix(strings.ToLower(table), "sqlite_") || strings.EqualFold(column, "n") || strings.ContainsRune(value, 0) {
			return // names that SQLite keeps for itself, that of the row, and values it cuts off
		}
		s := &schema{database: d, db: db, world: &world{}, tables: map[string]string{"stock": table}, columns: map[string]string{"id": column}}
		tables, err := filter.ParseTables(s.stock())
		if err != nil {
			return
		}
		if s.create(t, "stock", []string{"id"}, [][]any{{value}, {value + "x"}, {nil}}); t.Failed() {
			return
		}
		policy := &rules{left: left([]authz.Condition{in("id", value)})}
		made, _, err := filter.NewService(authz.NewService(&world{}, policy), policy, nil, tables).
			Filter(context.Background(), "clinic", question("stock", filter.SQLite), authz.Freshness{})
		if err == nil && made.Matches == filter.Some {
			if got := s.rows(t, "stock", "", made); len(got) != 1 || got[0] != 0 {
				t.Errorf("rows %v of %q in %q.%q", got, value, table, column)
			}
		}
		s.exec(t, "DROP TABLE "+s.from("stock"))
		var left int
		if err := db.QueryRow("SELECT count(*) FROM sqlite_master").Scan(&left); err != nil || left != 0 {
			t.Errorf("%d tables are left, %v", left, err)
		}
	})
}
