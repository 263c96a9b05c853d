package filter_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the embedded database

	"github.com/caregate/caregate/internal/dbtest"
	"github.com/caregate/caregate/internal/filter"
)

// servers are started once, by the first test that needs them.
var (
	postgreSQL = sync.OnceValues(dbtest.StartPostgreSQL)
	mariaDB    = sync.OnceValues(dbtest.StartMariaDB)
	started    []*dbtest.Server
	startedMu  sync.Mutex
)

func TestMain(m *testing.M) {
	code := m.Run()
	for _, s := range started {
		s.Stop()
	}
	os.Exit(code)
}

// database is a database in which filters are executed.
type database struct {
	name    string
	dialect filter.Dialect
	open    func(t *testing.T) *sql.DB
	text    string // the type of columns with texts
	boolean string
}

// databases are the ones that every clause is executed in: with the collations that
// they have without being told otherwise, with the least exact that they know, and with
// settings that change how texts are quoted.
func databases() []database {
	server := func(start func() (*dbtest.Server, error), name string, settings map[string]string) func(*testing.T) *sql.DB {
		return func(t *testing.T) *sql.DB {
			t.Helper()
			s, err := start()
			if err != nil {
				t.Fatal(err)
			}
			startedMu.Lock()
			if !slices.Contains(started, s) {
				started = append(started, s)
			}
			startedMu.Unlock()
			db, err := s.Open(name, settings)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		}
	}
	embedded := func(t *testing.T) *sql.DB {
		t.Helper()
		db, err := sql.Open("sqlite", ":memory:")
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1) // each connection has a memory of its own
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	return []database{
		{"SQLite", filter.SQLite, embedded, "TEXT", "INTEGER"},
		{"SQLite without case", filter.SQLite, embedded, "TEXT COLLATE NOCASE", "INTEGER"},
		{"PostgreSQL", filter.PostgreSQL, server(postgreSQL, "postgres", nil), "text", "boolean"},
		{
			"PostgreSQL not deterministic", filter.PostgreSQL, server(postgreSQL, "postgres", nil),
			`varchar(256) COLLATE "loose"`, "boolean",
		},
		{"PostgreSQL citext", filter.PostgreSQL, server(postgreSQL, "postgres", nil), "citext", "boolean"},
		{"PostgreSQL domain of citext", filter.PostgreSQL, server(postgreSQL, "postgres", nil), "folded", "boolean"},
		{
			"PostgreSQL with backslashes", filter.PostgreSQL,
			server(postgreSQL, "postgres", map[string]string{"standard_conforming_strings": "off", "backslash_quote": "on", "default_query_exec_mode": "exec"}),
			"varchar(256)", "boolean",
		},
		{"MariaDB", filter.MySQL, server(mariaDB, "mysql", nil), "VARCHAR(256) CHARACTER SET utf8mb4", "BOOLEAN"},
		{
			"MariaDB interpolated", filter.MySQL, server(mariaDB, "mysql", map[string]string{"interpolateParams": "true"}),
			"VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci", "BIT(1)",
		},
		{
			"MariaDB with other quotes", filter.MySQL,
			server(mariaDB, "mysql", map[string]string{"interpolateParams": "true", "sql_mode": "'NO_BACKSLASH_ESCAPES,ANSI_QUOTES,HIGH_NOT_PRECEDENCE'"}),
			"VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "BOOLEAN",
		},
	}
}

// quote quotes an identifier, by the manual of each database.
func (d *database) quote(name string) string {
	mark := `"`
	if d.dialect == filter.MySQL {
		mark = "`"
	}
	var b strings.Builder
	b.WriteString(mark)
	for _, r := range name {
		if string(r) == mark {
			b.WriteString(mark)
		}
		b.WriteRune(r)
	}
	return b.String() + mark
}

func (d *database) placeholder(n int) string {
	if d.dialect == filter.PostgreSQL {
		return "$" + strconv.Itoa(n)
	}
	return "?"
}

// names are identifiers that have to be quoted with care.
func names() []string {
	return []string{
		"plain", "Mixed Case", "select", `pa"tients`, "pa`tients", "pa]tients", "pa'tients", `pa\`, `\"`, "x; DROP TABLE canary; --",
		`x"; DROP TABLE canary; --`, "x`; DROP TABLE canary; --", "/* x", "a.b", "%s", "$1", "@p1", ":a", "what?", "“x”", "é", "e\u0301", "cg1", "CG2",
		`""`, "``", "]]", "''", "#",
	}
}

// schema is a world in a database, with the names that its tables have there.
type schema struct {
	*database
	db      *sql.DB
	world   *world
	in      string            // the schema or database of the tables
	tables  map[string]string // by what they are of
	columns map[string]string
}

// newSchema makes tables for a world and fills them.
func newSchema(t *testing.T, d *database, w *world, number int, hostile bool) *schema {
	t.Helper()
	s := &schema{database: d, db: d.open(t), world: w, tables: map[string]string{}, columns: map[string]string{}}
	switch d.dialect {
	case filter.PostgreSQL:
		s.in = fmt.Sprintf("w%d", number)
		s.exec(t, "DROP SCHEMA IF EXISTS "+s.in+" CASCADE")
		s.exec(t, "CREATE SCHEMA "+s.in)
		s.exec(t, "CREATE COLLATION IF NOT EXISTS public.loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
		s.exec(t, "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public") // of postgresql-contrib
		s.exec(t, "DO $$ BEGIN CREATE DOMAIN public.folded AS public.citext; EXCEPTION WHEN duplicate_object THEN END $$")
	case filter.MySQL:
		s.in = fmt.Sprintf("w%d", number)
		s.exec(t, "DROP DATABASE IF EXISTS "+s.in)
		s.exec(t, "CREATE DATABASE "+s.in+" CHARACTER SET utf8mb4")
	}
	pool := names()
	name := func(what string) string {
		if !hostile {
			return what
		}
		return pool[w.random.IntN(len(pool))] + " " + strconv.Itoa(len(s.tables)+len(s.columns))
	}
	for _, table := range []string{"patient", "team_member", "provider", "appointment", "note", "stock", "care_team", "groups", "access", "booking"} {
		s.tables[table] = name("t_" + table)
	}
	for _, column := range []string{"id", "patient_group", "role", "provider", "owner", "item", "r_patient", "r_provider", "r_team_member"} {
		s.columns[column] = name("c_" + column)
	}
	s.fill(t)
	return s
}

func (s *schema) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := s.db.ExecContext(context.Background(), query, args...); err != nil {
		t.Fatalf("%s: %v\n%s", s.name, err, query)
	}
}

func (s *schema) from(table string) string {
	if s.in == "" {
		return s.quote(s.tables[table])
	}
	return s.quote(s.in) + "." + s.quote(s.tables[table])
}

// create makes a table with some columns and rows, each with its number first.
func (s *schema) create(t *testing.T, table string, columns []string, rows [][]any) {
	t.Helper()
	var definition strings.Builder
	for _, c := range columns {
		typ := s.text
		if c == "provider" {
			typ = s.boolean
		}
		fmt.Fprintf(&definition, ", %s %s", s.quote(s.columns[c]), typ)
	}
	s.exec(t, "CREATE TABLE "+s.from(table)+" (n INTEGER"+definition.String()+")")
	switch index := "(" + s.quote(s.columns[columns[0]]) + ")"; s.dialect {
	case filter.MySQL:
		s.exec(t, "ALTER TABLE "+s.from(table)+" ADD INDEX "+index)
	case filter.PostgreSQL:
		s.exec(t, "CREATE INDEX ON "+s.from(table)+index)
	default:
		s.exec(t, "CREATE INDEX "+s.quote("index of "+s.tables[table])+" ON "+s.from(table)+index)
	}
	for begin := 0; begin < len(rows); begin += 1000 {
		var query strings.Builder
		var args []any
		fmt.Fprintf(&query, "INSERT INTO %s VALUES ", s.from(table))
		for i, values := range rows[begin:min(begin+1000, len(rows))] {
			if i > 0 {
				query.WriteString(", ")
			}
			fmt.Fprintf(&query, "(%d", begin+i)
			for _, v := range values {
				args = append(args, v)
				query.WriteString(", " + s.placeholder(len(args)))
			}
			query.WriteString(")")
		}
		s.exec(t, query.String(), args...)
	}
}

func text(id *string) any {
	if id == nil {
		return nil
	}
	return *id
}

func (s *schema) fill(t *testing.T) {
	t.Helper()
	w := s.world
	link := func(table string, of map[string][]string) {
		var rows [][]any
		for owner, items := range of {
			for _, item := range items {
				rows = append(rows, []any{owner, item})
			}
		}
		s.create(t, table, []string{"owner", "item"}, append(rows, []any{nil, nil}))
	}
	careTeam, groups, access, booking := map[string][]string{}, map[string][]string{}, map[string][]string{}, map[string][]string{}
	for _, p := range w.patients {
		careTeam[p.ID] = p.CareTeam
	}
	for _, m := range w.members {
		groups[m.ID], access[m.ID], booking[m.ID] = m.Groups, m.Access, m.Booking
	}
	link("care_team", careTeam)
	link("groups", groups)
	link("access", access)
	link("booking", booking)
	rows := func(typ string, of func(*row) []any) [][]any {
		var out [][]any
		for _, r := range w.rows[typ] {
			out = append(out, of(r))
		}
		return out
	}
	s.create(t, "patient", []string{"id", "patient_group"}, rows("patient", func(r *row) []any {
		if r.noGroup || r.id == nil {
			return []any{text(r.id), nil}
		}
		return []any{*r.id, r.fact.PatientGroup}
	}))
	member := func(r *row) []any {
		var role any
		if r.fact.Role != "" {
			role = r.fact.Role
		}
		var provider any = r.fact.Provider
		switch {
		case !r.fact.Provider && len(r.fact.Groups) == 1:
			provider = nil // nobody said so
		case s.boolean == "BIT(1)" && r.fact.Provider:
			provider = 1
		case s.boolean == "BIT(1)":
			provider = 0
		}
		return []any{text(r.id), role, provider}
	}
	s.create(t, "team_member", []string{"id", "role", "provider"}, rows("team_member", member))
	s.create(t, "provider", []string{"id", "role", "provider", "r_patient"}, rows("provider", func(r *row) []any {
		return append(member(r), text(r.references["patient"]))
	}))
	s.create(t, "appointment", []string{"id", "r_patient", "r_provider", "r_team_member"}, rows("appointment", func(r *row) []any {
		return []any{text(r.id), text(r.references["patient"]), text(r.references["provider"]), text(r.references["team_member"])}
	}))
	s.create(t, "note", []string{"id", "r_patient"}, rows("note", func(r *row) []any {
		return []any{text(r.id), text(r.references["patient"])}
	}))
	s.create(t, "stock", []string{"id"}, rows("stock", func(r *row) []any { return []any{text(r.id)} }))
}

// options are how a mapping is written.
type options struct {
	resolved bool // tables and references
	lists    bool // of the ids of patients
	alias    string
}

// mapping writes the mapping for a schema.
func (s *schema) mapping(o options) []byte {
	name := func(table string) any {
		if s.in == "" {
			return []string{s.tables[table]}
		}
		return []string{s.in, s.tables[table]}
	}
	type object = map[string]any
	link := func(table, owner, item string) object {
		return object{"table": name(table), owner: s.columns["owner"], item: s.columns["item"]}
	}
	reference := func(to string) object {
		return object{"column": s.columns["r_"+to], "resolved": o.resolved}
	}
	member := func(table string) object {
		return object{
			"table": name(table), "id": s.columns["id"], "role": s.columns["role"], "provider": s.columns["provider"], "resolved": o.resolved,
			"groups": link("groups", "member", "group"), "access": link("access", "member", "patient_group"),
			"booking": link("booking", "member", "patient_group"),
		}
	}
	provider := member("provider")
	provider["references"] = object{"patient": reference("patient")}
	patient := object{
		"table": name("patient"), "id": s.columns["id"], "patient_group": s.columns["patient_group"], "resolved": o.resolved,
		"care_team": link("care_team", "patient", "member"),
	}
	if o.lists {
		patient["care_team"] = "ids"
	}
	tables := object{
		"patient": patient, "team_member": member("team_member"), "provider": provider,
		"appointment": object{"table": name("appointment"), "id": s.columns["id"], "references": object{
			"patient": reference("patient"), "provider": reference("provider"), "team_member": reference("team_member"),
		}},
		"note":  object{"table": name("note"), "id": s.columns["id"], "references": object{"patient": reference("patient")}},
		"stock": object{"table": name("stock"), "id": s.columns["id"]},
	}
	if o.alias != "" {
		for _, t := range tables {
			t.(object)["alias"] = o.alias
		}
	}
	text, err := json.Marshal(object{"tables": tables})
	if err != nil {
		panic(err)
	}
	return text
}

// rows returns the numbers of the rows that a filter shows, in a query that has
// parameters of its own before it.
func (s *schema) rows(t *testing.T, typ, alias string, f *filter.Filter) []int {
	t.Helper()
	query := "SELECT n FROM " + s.from(typ)
	if alias != "" {
		query += " AS " + s.quote(alias)
	}
	before := s.placeholder(1) + " <> " + s.placeholder(2)
	if s.dialect == filter.PostgreSQL {
		before = "$1::text <> $2::text"
	}
	query += " WHERE " + before + " AND " + f.Where + " ORDER BY n"
	result, err := s.db.QueryContext(context.Background(), query, append([]any{"a", "b"}, f.Args...)...)
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%q", s.name, err, query, f.Args)
	}
	defer func() { _ = result.Close() }()
	out := []int{}
	for result.Next() {
		var n int
		if err := result.Scan(&n); err != nil {
			t.Fatal(err)
		}
		out = append(out, n)
	}
	if err := result.Err(); err != nil {
		t.Fatalf("%s: %v\n%s\n%q", s.name, err, query, f.Args)
	}
	return out
}
