package filter_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/search"
)

// clinic is a small world: mark looks after p-1 and p-2.
func clinic() *world {
	fact := func(kind authz.Kind, id string) *authz.Fact {
		return &authz.Fact{Key: authz.Key{Kind: kind, ID: id}, Found: true, Since: authz.Revision{Count: 3, Nonce: "n"}}
	}
	w := &world{byKey: map[authz.Key]*authz.Fact{}}
	for _, id := range []string{"p-2", "p-1", "p-3"} {
		p := fact(authz.KindPatient, id)
		if w.patients = append(w.patients, p); id != "p-3" {
			p.CareTeam = []string{"mark"}
		}
	}
	w.members = []*authz.Fact{fact(authz.KindTeamMember, "mark")}
	for _, f := range append(w.patients, w.members...) {
		w.byKey[f.Key] = f
	}
	return w
}

// asking is a service over a mapping, with a policy that leaves the same residual
// whatever is open.
type asking struct {
	t       *testing.T
	mapping string
	policy  *rules
	store   *store
	request func(*authz.Request)
}

func left(some ...[]authz.Condition) func(authz.Open) (*authz.Residual, error) {
	return func(authz.Open) (*authz.Residual, error) {
		r := &authz.Residual{Any: some}
		r.Simplify()
		return r, nil
	}
}

func leaf(name string) authz.Leaf {
	if reference, fact, ok := strings.Cut(name, "."); ok {
		return authz.Leaf{Reference: reference, Fact: fact}
	}
	return authz.Leaf{Fact: name}
}

func in(name string, values ...string) authz.Condition {
	return authz.Condition{Op: authz.In, Leaf: leaf(name), Values: values}
}

func has(name, value string) authz.Condition {
	return authz.Condition{Op: authz.Has, Leaf: leaf(name), Values: []string{value}}
}

func ask(t *testing.T, mapping string, residual func(authz.Open) (*authz.Residual, error)) *asking {
	t.Helper()
	return &asking{t: t, mapping: mapping, policy: &rules{left: residual}, store: &store{world: clinic(), page: 2}, request: func(*authz.Request) {}}
}

func (a *asking) filter(typ, organisation string) (*filter.Filter, authz.Stated, error) {
	a.t.Helper()
	var tables *filter.Tables
	if a.mapping != "" {
		var err error
		if tables, err = filter.ParseTables([]byte(a.mapping)); err != nil {
			a.t.Fatal(err)
		}
	}
	q := question(typ, filter.SQLite)
	q.Request.Subject.ID = "mark"
	a.request(q.Request)
	return filter.NewService(authz.NewService(a.store.world, a.policy), a.policy, a.store, tables).
		Filter(context.Background(), organisation, q, authz.Freshness{})
}

// matches expects a filter, and parts of its clause.
func (a *asking) matches(typ string, want filter.Matches, parts ...string) *filter.Filter {
	a.t.Helper()
	f, _, err := a.filter(typ, "clinic")
	if err != nil {
		a.t.Fatal(err)
	}
	if f.Matches != want || f.Args == nil {
		a.t.Errorf("matches %q with %q, want %q", f.Matches, f.Args, want)
	}
	for _, part := range parts {
		if !strings.Contains(f.Where, part) {
			a.t.Errorf("%s has no %s", f.Where, part)
		}
	}
	return f
}

// fails expects an error about a field.
func (a *asking) fails(typ string, kind authz.ErrorKind, field, message string) {
	a.t.Helper()
	f, _, err := a.filter(typ, "clinic")
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || e.Kind != kind || e.Field != field || !strings.Contains(e.Message, message) || f != nil {
		a.t.Errorf("%v, %#v; want kind %d about %q: %s", f, err, kind, field, message)
	}
}

const patients = `{"tables": {"patient": {"table": "p", "id": "id", "patient_group": "g", "care_team": "ids"}}}`

func TestAllAndNoneAreSaid(t *testing.T) {
	certain := strings.Replace(patients, `"table": "p"`, `"table": "p", "resolved": true`, 1)
	if f := ask(t, certain, left([]authz.Condition{})).matches("patient", filter.All); f.Where != "(1=1)" {
		t.Errorf("all is %q", f.Where)
	}
	if f := ask(t, certain, left()).matches("patient", filter.None); f.Where != "(1=0)" {
		t.Errorf("none is %q", f.Where)
	}
	ask(t, patients, left([]authz.Condition{})).matches("patient", filter.Some, `"p"."g" IS NOT NULL`, `"p"."id" IS NOT NULL`)
	for dialect, want := range map[filter.Matches]string{
		filter.All:  `{"type":"compound","operator":"or","value":[{"type":"field","operator":"eq","field":"p.id","value":null},{"type":"field","operator":"ne","field":"p.id","value":null}]}`,
		filter.None: `{"type":"compound","operator":"and","value":[{"type":"field","operator":"eq","field":"p.id","value":null},{"type":"field","operator":"ne","field":"p.id","value":null}]}`,
	} {
		policy := &rules{left: left()}
		if dialect == filter.All {
			policy.left = left([]authz.Condition{})
		}
		tables, err := filter.ParseTables([]byte(certain))
		if err != nil {
			t.Fatal(err)
		}
		f, _, err := filter.NewService(authz.NewService(clinic(), policy), policy, nil, tables).
			Filter(context.Background(), "clinic", question("patient", filter.UCAST), authz.Freshness{})
		if err != nil || string(f.UCAST) != want || f.Matches != dialect || f.Where != "" || f.Args == nil {
			t.Errorf("%+v, %v, want %s", f, err, want)
		}
	}
}

func TestAnUnknownOrganisationHasNoRows(t *testing.T) {
	a := ask(t, patients, left([]authz.Condition{}))
	f, _, err := a.filter("patient", "elsewhere")
	if err != nil || f.Matches != filter.None || f.Where != "(1=0)" {
		t.Errorf("%+v, %v (V9)", f, err)
	}
}

func TestIDsAreOfOneRevision(t *testing.T) {
	a := ask(t, patients, left([]authz.Condition{has("care_team", "mark")}))
	a.store.page, a.store.moved = 1, 2
	f, stated, err := a.filter("patient", "clinic")
	if err != nil || !slices.Equal(f.Args, []any{"p-1", "p-2", "p-1", "p-2"}) {
		t.Fatalf("%+v, %v", f, err)
	}
	if want := (authz.Revision{Count: 9, Nonce: "n"}); stated.Revision != want || stated.Policy != "digest" {
		t.Errorf("stated %+v, want the revision of the pages", stated)
	}
	basis := []admin.Expectation{{Key: authz.Key{Kind: authz.KindTeamMember, ID: "mark"}, Since: authz.Revision{Count: 3, Nonce: "n"}}}
	for i, r := range a.store.asked {
		first := i < 3 // two moved
		if !slices.Equal(r.Basis, basis) || (r.At == nil) != first || r.Kind != authz.KindPatient ||
			!slices.Equal(r.Indexes, []search.Index{{Relation: admin.CareTeam, To: "mark"}}) {
			t.Errorf("page %d is of %+v", i, r)
		}
		if !first && *r.At != stated.Revision {
			t.Errorf("page %d is at %v", i, *r.At)
		}
	}
	// Who does not exist must not begin to.
	a = ask(t, patients, left([]authz.Condition{has("care_team", "mark")}))
	a.request = func(r *authz.Request) { r.Subject.ID = "nobody" }
	if _, _, err := a.filter("patient", "clinic"); err != nil {
		t.Fatal(err)
	}
	if want := []admin.Expectation{{Key: authz.Key{Kind: authz.KindTeamMember, ID: "nobody"}}}; !slices.Equal(a.store.asked[0].Basis, want) {
		t.Errorf("basis %+v", a.store.asked[0].Basis)
	}
	a.store.moved = 100
	a.fails("patient", authz.Unavailable, "", "ask again")
}

func TestBounds(t *testing.T) {
	a := ask(t, patients, left([]authz.Condition{has("care_team", "mark")}))
	a.store.page, a.store.world.patients = 1000, nil
	for i := range filter.MaxIDs + 1 {
		a.store.world.patients = append(a.store.world.patients, &authz.Fact{Key: authz.Key{ID: fmt.Sprintf("p-%05d", i)}, CareTeam: []string{"mark"}})
	}
	a.fails("patient", authz.TooLarge, "tables.patient.care_team", "map care_team to a table")
	var many []string
	for i := range filter.MaxValues + 1 {
		many = append(many, fmt.Sprintf("g-%05d", i))
	}
	ask(t, patients, left([]authz.Condition{in("patient_group", many...)})).fails("patient", authz.TooLarge, "", "50000 values")
	ask(t, patients, left([]authz.Condition{in("patient_group", many[1:]...)})).matches("patient", filter.Some)
}

func TestTextsThatNoColumnHas(t *testing.T) {
	for _, text := range []string{"a\x00", "\xff", strings.Repeat("x", 257), ""} {
		want := filter.None
		if text == "" {
			want = filter.Some
		}
		ask(t, patients, left([]authz.Condition{in("id", text)})).matches("patient", want)
		if text != "" {
			not := in("id", text)
			not.Not = true
			ask(t, patients, left([]authz.Condition{not})).fails("patient", authz.Malformed, "", "NUL")
		}
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	ask(t, "", left()).fails("patient", authz.NotFound, "tables", "--filters")
	ask(t, patients, left()).fails("stock", authz.NotFound, "resource.type", "add it to tables")
	ask(t, `{"tables": {"patient": {"table": "p"}}}`, left([]authz.Condition{in("patient_group", "g")})).
		fails("patient", authz.NotFound, "tables.patient.patient_group", "column")
	ask(t, `{"tables": {"patient": {"table": "p"}}}`, left([]authz.Condition{in("id", "g")})).
		fails("patient", authz.NotFound, "tables.patient.id", "column")
	ask(t, `{"tables": {"patient": {"table": "p", "id": "id"}}}`, left([]authz.Condition{has("care_team", "mark")})).
		fails("patient", authz.NotFound, "tables.patient.care_team", "table")
	ask(t, patients, left([]authz.Condition{{Op: authz.Within, Leaf: leaf("id"), Other: leaf("care_team")}})).
		fails("patient", authz.NotFound, "tables.patient.care_team", "must be a table")
	ask(t, `{"tables": {"note": {"table": "n"}}}`, left()).fails("note", authz.NotFound, "tables.note.references.patient", "required")
	ask(t, `{"tables": {"note": {"table": "n", "references": {"patient": "none"}}}}`, left()).
		fails("note", authz.NotFound, "tables.note.references.patient", "required")
	note := `{"tables": {"note": {"table": "n", "references": {"patient": {"column": "p"}}}}}`
	ask(t, note, left([]authz.Condition{})).fails("note", authz.NotFound, "tables.patient", `"resolved": true to tables.note.references.patient`)
	ask(t, strings.Replace(note, `"p"`, `"p", "resolved": true`, 1), left([]authz.Condition{})).matches("note", filter.Some, `"n"."p" IS NOT NULL`)
	ask(t, `{"tables": {"provider": {"table": "s", "id": "id", "references": {"patient": "none"}}}}`, left([]authz.Condition{})).
		fails("provider", authz.NotFound, "tables.provider.provider", "resolved")
	ask(t, `{"tables": {"team_member": {"table": "s", "id": "id"}}}`, left([]authz.Condition{has("permissions", "a:b")})).
		fails("team_member", authz.Unsupported, "", "permissions are in no column; use a search")
}

func TestOptionalReferencesThatAreNotMapped(t *testing.T) {
	differing := func(open authz.Open) (*authz.Residual, error) {
		r := &authz.Residual{Any: [][]authz.Condition{{}}}
		if slices.Contains(open.References, "patient") {
			r.Any[0] = []authz.Condition{in("patient.id", "p")}
		}
		return r, nil
	}
	mapping := `{"tables": {"provider": {"table": "s", "id": "id", "resolved": true}}}`
	ask(t, mapping, differing).fails("provider", authz.NotFound, "tables.provider.references.patient", "makes a difference")
	ask(t, mapping, left([]authz.Condition{})).matches("provider", filter.All)
	ask(t, strings.Replace(mapping, `"resolved"`, `"references": {"patient": "none"}, "resolved"`, 1), differing).matches("provider", filter.All)
	// The caller may vouch for it.
	a := ask(t, mapping, differing)
	a.request = func(r *authz.Request) { r.Resource.Properties = map[string]any{"patient": "p-1"} }
	a.matches("provider", filter.All)
	// What is given and has a column is asked for, and is a string.
	a.mapping = strings.Replace(mapping, `"resolved"`, `"references": {"patient": {"column": "pid"}}, "resolved"`, 1)
	a.matches("provider", filter.Some, `"s"."pid" = ?`)
	a.request = func(r *authz.Request) { r.Resource.Properties = map[string]any{"patient": 7} }
	a.fails("provider", authz.Malformed, "resource.properties.patient", "must be a string")
}

func TestAPolicyOutsideTheFragment(t *testing.T) {
	outside := &authz.Outside{Where: []string{"authz/allow.rego:3 count"}}
	a := ask(t, patients, func(authz.Open) (*authz.Residual, error) {
		return nil, &authz.Error{Kind: authz.Internal, Message: "no", Err: outside}
	})
	a.fails("patient", authz.Unsupported, "", "authz/allow.rego:3 count); list with a search or ask in batches")
	if _, _, err := a.filter("patient", "clinic"); !errors.Is(err, outside) {
		t.Errorf("%v hides its cause", err)
	}
}

func TestMasks(t *testing.T) {
	a := ask(t, patients, left([]authz.Condition{in("id", "p-1")}))
	a.policy.masks = func(authz.Open) json.RawMessage { return json.RawMessage(`{"name":"***"}`) }
	if f := a.matches("patient", filter.Some); string(f.Masks) != `{"name":"***"}` {
		t.Errorf("masks %s", f.Masks)
	}
	a.policy.left = left()
	if f := a.matches("patient", filter.None); f.Masks != nil {
		t.Errorf("masks %s of nothing", f.Masks)
	}
	a = ask(t, `{"tables": {"provider": {"table": "s", "id": "id", "resolved": true, "references": {"patient": {"column": "p", "resolved": true}}}}}`, left([]authz.Condition{}))
	a.policy.masks = func(open authz.Open) json.RawMessage { return json.RawMessage(fmt.Sprint(len(open.References))) }
	a.fails("provider", authz.Unsupported, "", "masks")
}
