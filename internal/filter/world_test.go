package filter_test

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// catalogue is of one type of each sort.
func catalogue() *authz.Catalogue {
	return &authz.Catalogue{Types: map[string]authz.TypeSpec{
		"patient":       {Facts: authz.KindPatient},
		"patient_group": {Facts: authz.KindPatientGroup},
		"team_member":   {Facts: authz.KindTeamMember},
		"provider": {
			Facts: authz.KindTeamMember, RequireProvider: true,
			References: map[string]authz.ReferenceSpec{"patient": {}},
		},
		"appointment": {References: map[string]authz.ReferenceSpec{
			"patient": {Required: true}, "provider": {}, "team_member": {},
		}},
		"note":          {References: map[string]authz.ReferenceSpec{"patient": {Required: true}}},
		"clinical_note": {References: map[string]authz.ReferenceSpec{"patient": {Required: true}}},
		"stock":         {},
	}}
}

// hostile are ids that a careless comparison takes for one another, or that break out of
// a careless text.
func hostile() []string {
	return []string{
		"a", "A", "\u00e1", "a\u0301", "a ", "a  ", " a", "\uff41", "\u00e4", "\u00c5", "\u212b", "A\u030a", "ß", "ss", "SS", "ı", "I", "i",
		"0", "00", "1", "01", "1.0", "1e0", "true", "null", "NULL", "a'", "a''", `a"`, `a\`, `a\'`, "a`", "a]", "a]]", "[a]",
		"a' OR '1'='1", `a'; DROP TABLE canary; --`, `a"; DROP TABLE canary; --`, "a/*", "*/a", "a--", "#", "%", "_", "a%", "?", "$1", "@p1", ":a", "{}", "$[*]",
		"‘", "’", "＇", "“", "ʼ", "😀", "😁", "e\u0301", "\u00e9", "\u200ba", "a\u00a0", "a\u2028", "\ufeffa", "\ufb01", "fi",
		strings.Repeat("x", 256), strings.Repeat("X", 256), strings.Repeat("\u00e9", 128), strings.Repeat("'", 256),
	}
}

// world is what a directory holds, and what a host's tables say beside it.
type world struct {
	random   *rand.Rand
	ids      []string // to choose from
	patients []*authz.Fact
	members  []*authz.Fact
	groups   []*authz.Fact
	byKey    map[authz.Key]*authz.Fact
	rows     map[string][]*row // of types of which the directory holds nothing
}

// row is a row of a host's table; nil is NULL.
type row struct {
	fact       *authz.Fact
	id         *string
	references map[string]*string
	noGroup    bool // the group is NULL in the table
}

// pick chooses an id, mostly one of those that are in use.
func (w *world) pick() string {
	if w.random.IntN(4) > 0 {
		return w.ids[w.random.IntN(30)]
	}
	return w.ids[w.random.IntN(len(w.ids))]
}

func (w *world) some(from []*authz.Fact, most int) []string {
	var out []string
	for range w.random.IntN(most + 1) {
		if id := from[w.random.IntN(len(from))].ID; !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// newWorld makes a world. In a clean one all references name what exists, and no
// row is missing anything.
func newWorld(random *rand.Rand, clean bool) *world {
	w := &world{random: random, ids: hostile(), byKey: map[authz.Key]*authz.Fact{}, rows: map[string][]*row{}}
	random.Shuffle(len(w.ids), func(i, j int) { w.ids[i], w.ids[j] = w.ids[j], w.ids[i] })
	add := func(kind authz.Kind, id string) *authz.Fact {
		f := &authz.Fact{Key: authz.Key{Kind: kind, ID: id}, Found: true, Since: authz.Revision{Count: 1, Nonce: "n"}}
		w.byKey[f.Key] = f
		return f
	}
	if sorted := slices.Sorted(slices.Values(w.ids)); len(slices.Compact(sorted)) < len(w.ids) {
		panic("an id stands there twice")
	}
	for i := range 6 {
		w.groups = append(w.groups, add(authz.KindPatientGroup, w.ids[i]))
	}
	for i := range 12 {
		m := add(authz.KindTeamMember, w.ids[i+3])
		w.members = append(w.members, m)
		if random.IntN(4) > 0 {
			m.Role = w.ids[random.IntN(8)]
		}
		m.Provider = random.IntN(3) > 0
		m.Groups, m.Access = w.some(w.groups, 3), w.some(w.groups, 3)
		if m.Provider {
			m.Booking = w.some(w.groups, 3)
		}
	}
	for i := range 24 {
		p := add(authz.KindPatient, w.ids[i+5])
		w.patients = append(w.patients, p)
		p.PatientGroup = w.groups[random.IntN(len(w.groups))].ID
		p.CareTeam = w.some(w.members, 3)
	}
	for _, typ := range []string{"appointment", "note", "stock"} {
		for range 40 {
			id := w.pick()
			w.rows[typ] = append(w.rows[typ], &row{id: &id, fact: &authz.Fact{Key: authz.Key{ID: id}, Found: true}})
		}
	}
	for typ, facts := range map[string][]*authz.Fact{"patient": w.patients, "team_member": w.members} {
		for _, f := range facts {
			w.rows[typ] = append(w.rows[typ], &row{id: &f.ID, fact: f})
		}
	}
	for _, m := range w.members {
		if m.Provider || !clean {
			w.rows["provider"] = append(w.rows["provider"], &row{id: &m.ID, fact: m})
		}
	}
	if !clean {
		unknown := &authz.Fact{}
		for _, typ := range []string{"patient", "provider", "team_member"} {
			w.rows[typ] = append(w.rows[typ], &row{fact: unknown})
		}
		id := "without a group"
		w.rows["patient"] = append(w.rows["patient"], &row{id: &id, fact: unknown, noGroup: true})
	}
	for _, typ := range []string{"provider", "appointment", "note"} {
		for _, r := range w.rows[typ] {
			r.references = map[string]*string{}
			for name, spec := range catalogue().Types[typ].References {
				r.references[name] = w.reference(name, spec.Required, clean)
			}
		}
	}
	return w
}

// reference chooses what a row refers to.
func (w *world) reference(typ string, required, clean bool) *string {
	if (!clean || !required) && w.random.IntN(4) == 0 {
		return nil
	}
	for {
		from := w.members
		if typ == "patient" {
			from = w.patients
		}
		id := from[w.random.IntN(len(from))].ID
		if !clean && w.random.IntN(6) == 0 {
			id = w.pick()
		}
		if !clean || w.exists(typ, id) != nil {
			return &id
		}
	}
}

// exists returns the facts of an entity, nil if there is none.
func (w *world) exists(typ, id string) *authz.Fact {
	spec := catalogue().Types[typ]
	f := w.byKey[authz.Key{Kind: spec.Facts, ID: id}]
	if f == nil || spec.RequireProvider && !f.Provider {
		return nil
	}
	return f
}

// allows says what a check of a row says, by the facts and not by a table.
func (w *world) allows(typ string, r *row, given map[string]string, residual func(authz.Open) *authz.Residual) bool {
	spec := catalogue().Types[typ]
	candidate := &authz.Candidate{Fact: r.fact}
	if spec.Facts != "" {
		if r.id == nil {
			return false
		}
		if candidate.Fact = w.exists(typ, *r.id); candidate.Fact == nil {
			return false
		}
	}
	open := authz.Open{}
	for name, ref := range spec.References {
		id := r.references[name]
		if want, known := given[name]; known {
			if id == nil || *id != want {
				return false
			}
			continue
		}
		if id == nil {
			if ref.Required {
				return false
			}
			continue
		}
		f := w.exists(name, *id)
		if f == nil {
			return false
		}
		candidate.References = append(candidate.References, authz.Reference{Name: name, Fact: f})
		open.References = append(open.References, name)
	}
	return residual(open).Predicate().Holds(candidate)
}

// leaves are the leaves that a type has.
func leaves(reference, typ string) (texts, sets []authz.Leaf, provider bool) {
	leaf := func(fact string) authz.Leaf { return authz.Leaf{Reference: reference, Fact: fact} }
	texts = []authz.Leaf{leaf(authz.FactID)}
	switch catalogue().Types[typ].Facts {
	case authz.KindPatient:
		return append(texts, leaf(authz.FactPatientGroup)), []authz.Leaf{leaf(authz.FactCareTeam)}, false
	case authz.KindTeamMember:
		return append(texts, leaf(authz.FactRole)),
			[]authz.Leaf{leaf(authz.FactGroups), leaf(authz.FactAccess), leaf(authz.FactBooking)}, true
	}
	return texts, nil, false
}

// rule makes residuals at random, one for each set of open references, all of which
// share some alternatives.
type rule struct {
	world *world
	typ   string
	lists bool // no leaf is asked whether it is in a care team: there is a list of ids
	made  map[string]*authz.Residual
	plain bool // optional references make no difference
}

func (r *rule) residual(open authz.Open) *authz.Residual {
	names := slices.Sorted(slices.Values(open.References))
	key := strings.Join(names, ",")
	if made := r.made[key]; made != nil {
		return made
	}
	residual := &authz.Residual{}
	if r.plain {
		var required []string
		for _, name := range names {
			if catalogue().Types[r.typ].References[name].Required {
				required = append(required, name)
			}
		}
		if len(required) < len(names) {
			for _, all := range r.residual(authz.Open{References: required}).Any {
				residual.Any = append(residual.Any, slices.Clone(all))
			}
			return r.existing(key, residual, names)
		}
	}
	for range r.world.random.IntN(5) {
		var all []authz.Condition
		for range r.world.random.IntN(4) {
			all = append(all, r.condition(names))
		}
		residual.Any = append(residual.Any, all)
	}
	return r.existing(key, residual, names)
}

// existing adds what partial evaluation leaves of the existence of providers.
func (r *rule) existing(key string, residual *authz.Residual, references []string) *authz.Residual {
	for i := range residual.Any {
		if catalogue().Types[r.typ].RequireProvider {
			residual.Any[i] = append(residual.Any[i], authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Fact: authz.FactProvider}})
		}
		for _, name := range references {
			if catalogue().Types[name].RequireProvider {
				residual.Any[i] = append(residual.Any[i],
					authz.Condition{Op: authz.IsTrue, Leaf: authz.Leaf{Reference: name, Fact: authz.FactProvider}})
			}
		}
	}
	residual.Simplify()
	r.made[key] = residual
	return residual
}

func (r *rule) condition(references []string) authz.Condition {
	var texts, sets, providers []authz.Leaf
	add := func(reference, typ string) {
		t, s, provider := leaves(reference, typ)
		texts, sets = append(texts, t...), append(sets, s...)
		if provider {
			providers = append(providers, authz.Leaf{Reference: reference, Fact: authz.FactProvider})
		}
	}
	add("", r.typ)
	for _, name := range references {
		add(name, name)
	}
	random := r.world.random
	c := authz.Condition{Not: random.IntN(3) == 0}
	c.Leaf = texts[random.IntN(len(texts))]
	switch random.IntN(6) {
	case 0:
		if len(providers) > 0 {
			c.Op, c.Leaf = authz.IsTrue, providers[random.IntN(len(providers))]
			return c
		}
	case 1:
		c.Op, c.Other = authz.Same, texts[random.IntN(len(texts))]
		return c
	case 2:
		if len(sets) > 0 {
			c.Op, c.Other = authz.Within, sets[random.IntN(len(sets))]
			if !r.lists || c.Other.Fact != authz.FactCareTeam {
				return c
			}
		}
	case 3, 4:
		if len(sets) > 0 {
			c.Op, c.Leaf, c.Values = authz.Has, sets[random.IntN(len(sets))], []string{r.world.pick()}
			return c
		}
	}
	c.Op, c.Other = authz.In, authz.Leaf{}
	for range 1 + random.IntN(8) {
		c.Values = append(c.Values, r.world.pick())
	}
	if random.IntN(5) == 0 {
		for i := range 60 {
			c.Values = append(c.Values, "long "+strconv.Itoa(i))
		}
	}
	slices.Sort(c.Values)
	c.Values = slices.Compact(c.Values)
	return c
}

// rules is a policy that leaves what it is told to.
type rules struct {
	authz.Rules
	left  func(authz.Open) (*authz.Residual, error)
	masks func(authz.Open) json.RawMessage
}

func (r *rules) Catalogue() *authz.Catalogue { return catalogue() }
func (r *rules) Digest() string              { return "digest" }

func (r *rules) Residual(_ context.Context, _ authz.Question, open authz.Open) (*authz.Residual, error) {
	return r.left(open)
}

func (r *rules) Masks(_ context.Context, _ authz.Question, open authz.Open) (json.RawMessage, error) {
	if r.masks == nil {
		return nil, nil
	}
	return r.masks(open), nil
}

// Read gives the facts of a world, as a directory does.
func (w *world) Read(_ context.Context, organisation string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	if organisation != "clinic" {
		return authz.NewFacts(false, authz.Revision{}), nil
	}
	var facts []*authz.Fact
	for _, key := range keys {
		if f := w.byKey[key]; f != nil {
			facts = append(facts, f)
		}
	}
	return authz.NewFacts(true, authz.Revision{Count: 7, Nonce: "n"}, facts...), nil
}

// store gives care teams, in pages, and notes what it was asked.
type store struct {
	search.Store
	world *world
	page  int
	moved int // how often facts move
	asked []search.Range
}

func (s *store) Range(_ context.Context, _ string, r search.Range, _ authz.Freshness) (search.Found, error) {
	s.asked = append(s.asked, r)
	if s.moved > 0 {
		s.moved--
		return search.Found{}, &authz.Error{Kind: authz.Conflict, Message: "moved", Err: admin.ErrMoved}
	}
	found := search.Found{Revision: authz.Revision{Count: 9, Nonce: "n"}}
	for _, p := range s.world.patients {
		if slices.Contains(p.CareTeam, r.Indexes[0].To) && p.ID > r.After {
			found.IDs = append(found.IDs, p.ID)
		}
	}
	slices.Sort(found.IDs)
	if limit := min(s.page, r.Limit); len(found.IDs) > limit {
		found.IDs, found.More = found.IDs[:limit], true
	}
	return found, nil
}
