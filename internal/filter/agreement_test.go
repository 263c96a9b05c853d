package filter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/soak"
)

// worlds is how many worlds the test of agreement makes for each database.
func worlds(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(os.Getenv("CAREGATE_TEST_WORLDS"))
	if err != nil {
		return max(2, soak.Cases(6))
	}
	return n
}

// TestFilterShowsWhatACheckAllows executes filters for random residuals over random
// rows, and compares the rows with what the residual says of the facts of each (V8).
func TestFilterShowsWhatACheckAllows(t *testing.T) {
	for i, d := range databases() {
		t.Run(d.name, func(t *testing.T) {
			var said tally
			for number := range soak.Seeds(t, worlds(t)) {
				agree(t, &d, number<<8|uint64(i), int(number), &said)
			}
			t.Logf("%d filters, %d of them all, %d none, %d of %d rows shown", said.filters, said.all, said.none, said.shown, said.rows)
			if !soak.Repeats() && (said.all == 0 || said.none == 0 || said.shown == 0 || said.shown == said.rows) {
				t.Error("the random rules are too much alike to prove anything")
			}
		})
	}
}

// tally counts what was compared.
type tally struct{ filters, all, none, shown, rows int }

// agree compares filters over one world.
func agree(t *testing.T, d *database, seed uint64, number int, said *tally) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	clean := number%2 == 1
	w := newWorld(random, clean)
	s := newSchema(t, d, w, number, number%4 > 1)
	for _, typ := range []string{"patient", "team_member", "provider", "appointment", "note", "stock"} {
		for round := range 12 {
			o := options{resolved: clean && random.IntN(2) == 0, lists: random.IntN(2) == 0}
			if random.IntN(3) == 0 {
				o.alias = []string{"cg1", "x y", `"`, "`", "]"}[random.IntN(5)]
			}
			r := &rule{world: w, typ: typ, lists: o.lists, made: map[string]*authz.Residual{}, plain: round%3 == 0}
			given := map[string]string{}
			if _, has := catalogue().Types[typ].References["provider"]; has && random.IntN(4) == 0 {
				given["provider"] = w.pick()
			}
			c := &compared{schema: s, typ: typ, options: o, rule: r, given: given}
			if c.agrees(t, said); t.Failed() {
				t.Fatalf("%s, round %d, %+v, given %q", typ, round, o, given)
			}
		}
	}
}

// compared is a filter that is compared with checks.
type compared struct {
	*schema
	typ     string
	options options
	rule    *rule
	given   map[string]string
}

func (c *compared) agrees(t *testing.T, said *tally) {
	t.Helper()
	f := c.filter(t, c.dialect)
	var want []int
	for n, r := range c.world.rows[c.typ] {
		if c.world.allows(c.typ, r, c.given, c.rule.residual) {
			want = append(want, n)
		}
	}
	got := c.rows(t, c.typ, c.options.alias, f)
	if !slices.Equal(got, append([]int{}, want...)) {
		t.Errorf("%s shows rows %v; checks allow %v\n%s\n%q\n%s", c.name, got, want, f.Where, f.Args, c.describe())
	}
	said.filters, said.shown, said.rows = said.filters+1, said.shown+len(got), said.rows+len(c.world.rows[c.typ])
	switch f.Matches {
	case filter.All:
		if said.all++; len(got) != len(c.world.rows[c.typ]) {
			t.Errorf("all rows are not all")
		}
	case filter.None:
		if said.none++; len(got) > 0 {
			t.Errorf("no rows are some")
		}
	}
	if c.options.alias == "" {
		c.agreesUCAST(t, want)
	}
}

// filter makes the filter, as a service does.
func (c *compared) filter(t *testing.T, dialect filter.Dialect) *filter.Filter {
	t.Helper()
	tables, err := filter.ParseTables(c.mapping(c.options))
	if err != nil {
		t.Fatal(err)
	}
	policy := &rules{left: func(open authz.Open) (*authz.Residual, error) { return c.rule.residual(open), nil }}
	service := filter.NewService(authz.NewService(c.world, policy), policy, &store{world: c.world, page: 2}, tables)
	q := question(c.typ, dialect)
	q.First = 3
	for name, id := range c.given {
		q.Request.Resource.Properties = map[string]any{name: id}
	}
	f, _, err := service.Filter(context.Background(), "clinic", q, authz.Freshness{})
	if err != nil {
		t.Fatalf("%v\n%s", err, c.describe())
	}
	return f
}

func question(typ string, dialect filter.Dialect) *filter.Question {
	return &filter.Question{Dialect: dialect, Request: &authz.Request{
		Subject: authz.Entity{Type: "team_member", ID: "a"}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: typ, ID: "ignored"},
	}}
}

// describe writes the residuals for each set of references.
func (c *compared) describe() string {
	out := ""
	for key, r := range c.rule.made {
		out += fmt.Sprintf("open %q:\n", key)
		for _, all := range r.Any {
			out += fmt.Sprintf("  %+v\n", all)
		}
	}
	return out
}
