package policy_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/policy"
)

func compiled(t testing.TB, source *policy.Source, config policy.Config) *policy.Snapshot {
	t.Helper()
	s, err := policy.Compile(t.Context(), source, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// change replaces a random fact by another one with the same key, takes one away,
// or brings one back that was there before.
func (w world) change(facts memory, before *memory) memory {
	changed := slices.Clone(facts)
	switch w.IntN(4) {
	case 0:
		i := w.IntN(len(changed))
		*before = append(*before, changed[i])
		return slices.Delete(changed, i, i+1)
	case 1:
		if len(*before) > 0 {
			return changed.with((*before)[w.IntN(len(*before))])
		}
	}
	fresh := w.facts()
	return changed.with(fresh[w.IntN(len(fresh))])
}

// with returns the facts with one more, in the place of the one with its key.
func (m memory) with(fact *authz.Fact) memory {
	return append(slices.DeleteFunc(slices.Clone(m), func(f *authz.Fact) bool { return f.Key == fact.Key }), fact)
}

// differences asks the same questions of a policy that remembers and of one that
// does not, over two organisations whose facts change, and counts the answers that
// are not the same.
func differences(t *testing.T, remembering, plain authz.Policy, seed uint64) (asked, different int) {
	t.Helper()
	w := world{rand.New(rand.NewPCG(seed, 7))}
	for range 8 {
		organisations := [2]memory{w.facts(), w.facts()}
		var before [2]memory
		questions := make([]*authz.Request, 40)
		for i := range questions {
			questions[i] = w.request()
		}
		for range 60 {
			o := w.IntN(2)
			organisations[o] = w.change(organisations[o], &before[o])
			for range 12 {
				facts, r := organisations[w.IntN(2)], questions[w.IntN(len(questions))]
				got, _, err := authz.NewService(facts, remembering).Decide(t.Context(), "o", r, authz.Freshness{})
				want, _, wantErr := authz.NewService(facts, plain).Decide(t.Context(), "o", r, authz.Freshness{})
				asked++
				if got.Allow != want.Allow || got.Undefined != want.Undefined || string(got.Context) != string(want.Context) || (err == nil) != (wantErr == nil) {
					different++
				}
			}
		}
	}
	return asked, different
}

// What is remembered changes no answer, whatever happens to the facts; and the test
// that says so notices a memo that leaves out any kind of fact.
func TestMemoChangesNoAnswer(t *testing.T) {
	source := embedded(t)
	plain := compiled(t, source, policy.Config{MemoBytes: -1})
	for seed := range uint64(2) {
		// A small memo makes room all the time.
		for _, limit := range []int64{0, 8 << 10} {
			if asked, different := differences(t, compiled(t, source, policy.Config{MemoBytes: limit}), plain, seed); different > 0 {
				t.Errorf("%d of %d answers from memory are others than without it", different, asked)
			}
		}
	}
	for _, kind := range []authz.Kind{authz.KindRole, authz.KindGroup, authz.KindTeamMember, authz.KindPatient} {
		wrong := 0
		for seed := uint64(0); wrong == 0 && seed < 10; seed++ {
			_, wrong = differences(t, policy.Forgetful{Snapshot: compiled(t, source, policy.Config{}), Kind: kind}, plain, seed)
		}
		if wrong == 0 {
			t.Errorf("a memo that forgets facts of the kind %s gives no wrong answer here: the test shows nothing", kind)
		}
	}
}

// A fact that changed is another fact, though everything about it but one thing is
// the same.
func TestMemoOfAChangedFact(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{})
	patient := func(group string, team ...string) *authz.Fact {
		return &authz.Fact{Key: authz.Key{Kind: authz.KindPatient, ID: "p"}, Found: true, PatientGroup: group, CareTeam: team}
	}
	in := func(access ...string) *authz.Fact {
		m := member("mark", "r", "g")
		m.Access = access
		return m
	}
	view := request("team_member:mark", "view", "patient:p")
	facts := memory{in("pg"), role("r"), group("g", "patient:view"), patient("pg")}
	for _, step := range []struct {
		name  string
		fact  *authz.Fact
		allow bool
	}{
		{"nothing", facts[0], true},
		{"the group loses the permission", group("g", "patient:update"), false},
		{"the group has it again", group("g", "patient:view"), true},
		{"the member loses Access", in(), false},
		{"the patient gets the member for the care team", patient("pg", "mark"), true},
		{"the patient loses the care team", patient("pg"), false},
		{"the role gets View All Patients", role("r", "patient:view_all"), true},
		{"the role is another one of the same name", role("r", "stock:view"), false},
		{"the member gets Access", in("pg"), true},
		{"the patient moves", patient("other"), false},
	} {
		facts = facts.with(step.fact)
		for range 4 { // evaluated, remembered, given from memory
			if d, err := ask(t, s, facts, view); err != nil || d.Allow != step.allow {
				t.Errorf("%s: %v %s, %v; want %v", step.name, d.Allow, d.Context, err, step.allow)
			}
		}
	}
}

// Two organisations have people and records of the same names, and both are
// remembered.
func TestMemoOfTwoOrganisations(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{})
	view := request("team_member:mark", "view", "stock:1")
	one := memory{member("mark", "r"), role("r", "stock:view")}
	other := memory{member("mark", "r"), role("r", "stock:delete")}
	for range 3 {
		for facts, allow := range map[*memory]bool{&one: true, &other: false} {
			if d, err := ask(t, s, *facts, view); err != nil || d.Allow != allow {
				t.Errorf("%v, %v; want %v", d.Allow, err, allow)
			}
		}
	}
	if n, _, _ := s.Remembered(); n != 2 {
		t.Errorf("%d decisions are remembered, want both", n)
	}
	for i := range 3 { // read anew each time
		if _, err := ask(t, s, memory{member("mark", "r"), role("r", "stock:view")}, view); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := s.Remembered(); n != 2 {
			t.Errorf("facts that were read anew are remembered, the %d. time", i)
		}
	}
}

// question is another one for each i, about what the directory knows nothing of.
func question(i int) authz.Question {
	r := request("service:s", "view", fmt.Sprint("thing:", i))
	return authz.Question{Request: r, Facts: authz.NewFacts(true, authz.Revision{})}
}

// The memo takes what it was given and no more, counts what it takes, and keeps
// what is asked again and again before what is not.
func TestMemoIsBounded(t *testing.T) {
	const limit = 64 << 10
	s := compiled(t, embedded(t), policy.Config{MemoBytes: limit})
	decide := func(q authz.Question) {
		if _, err := s.Decide(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	hot := question(-1)
	kept := 0
	const rounds = 5000
	for i := range rounds {
		decide(hot)
		decide(question(i))
		decide(question(i))
		if s.Knows(hot) {
			kept++
		}
	}
	decisions, counted, bytes := s.Remembered()
	if decisions == 0 || counted != bytes || bytes > limit {
		t.Errorf("%d decisions of %d bytes, counted as %d; the limit is %d", decisions, bytes, counted, limit)
	}
	if kept < rounds*9/10 {
		t.Errorf("what is asked all the time was there %d times in %d", kept, rounds)
	}
	for i := range rounds {
		decide(question(rounds + i))
	}
	if n, _, _ := s.Remembered(); n < decisions-10 || !s.Knows(hot) {
		t.Errorf("questions asked once have dropped %d of %d decisions", decisions-n, decisions)
	}
	for name, q := range map[string]*authz.Request{
		"a long id":      request("service:s", "view", "thing:"+strings.Repeat("x", 1000)),
		"a large object": {Subject: entity("service:s"), Action: authz.Action{Name: "view"}, Resource: entity("thing:1"), Context: map[string]any{"a": strings.Repeat("x", 1000)}},
		"what no JSON is": {Subject: entity("service:s"), Action: authz.Action{Name: "view"}, Resource: entity("thing:1"), Context: map[string]any{
			"a": 1.5,
		}},
	} {
		q := authz.Question{Request: q, Facts: authz.NewFacts(true, authz.Revision{})}
		decide(q)
		decide(q)
		if s.Knows(q) {
			t.Errorf("%s is remembered", name)
		}
	}
}

// What is remembered keeps no fact alive, and a fact keeps no policy alive.
func TestMemoKeepsNothingAlive(t *testing.T) {
	source := embedded(t)
	s := compiled(t, source, policy.Config{})
	view := request("team_member:mark", "view", "patient:p")
	remember := func(s *policy.Snapshot) (facts memory) {
		facts = memory{member("mark", "r"), role("r", "patient:view"), {Key: authz.Key{Kind: authz.KindPatient, ID: "p"}, Found: true}}
		for range 2 {
			if _, err := ask(t, s, facts, view); err != nil {
				t.Fatal(err)
			}
		}
		return facts
	}
	var dropped []weak.Pointer[authz.Fact]
	for _, fact := range remember(s) {
		dropped = append(dropped, weak.Make(fact))
	}
	facts, policyDropped := func() (memory, weak.Pointer[policy.Snapshot]) {
		old := compiled(t, source, policy.Config{})
		return remember(old), weak.Make(old)
	}()
	for range 3 {
		runtime.GC()
	}
	for i, fact := range dropped {
		if fact.Value() != nil {
			t.Errorf("fact %d is kept alive", i)
		}
	}
	if policyDropped.Value() != nil {
		t.Error("a policy that answers no more is kept alive by the facts")
	}
	if n, _, _ := s.Remembered(); n != 1 {
		t.Errorf("%d decisions are remembered", n)
	}
	runtime.KeepAlive(facts)
	runtime.KeepAlive(s)
}

// A policy that asks for more than its input and data is evaluated each time.
func TestMemoOfPoliciesThatVary(t *testing.T) {
	for rule, remembers := range map[string]bool{
		`allow if input.subject.id == "mark"`:                                      true,
		`allow if time.parse_rfc3339_ns(input.context.now) < 5`:                    true,
		`allow if time.now_ns() > 5`:                                               false,
		`allow if rand.intn("x", 5) > 2`:                                           false,
		`allow if uuid.rfc4122("x") != input.subject.id`:                           false,
		`allow if count([y | y := time.now_ns(); y > 5]) > 0`:                      false,
		`allow if f(1) > 5` + "\n\n" + `f(x) := x + time.now_ns()`:                 false,
		`allow if io.jwt.decode_verify(input.context.token, {"secret": "s"})[0]`:   false,
		`allow if crypto.x509.parse_and_verify_certificates(input.context.pem)[0]`: false,
		`allow if input.context.time.now_ns`:                                       true,
	} {
		s := compiled(t, written(t, one("package authz\n\n"+rule+"\n"), nil), policy.Config{})
		if s.Remembers() != remembers {
			t.Errorf("%s: remembers %v, want %v", rule, s.Remembers(), remembers)
		}
	}
}

// An error is no answer to remember.
func TestMemoOfErrors(t *testing.T) {
	s := compiled(t, written(t, one("package authz\n\nallow if input.context.n / input.context.d > 1\n"), nil), policy.Config{})
	zero := question(1)
	zero.Context = map[string]any{"n": nil, "d": true}
	for range 3 {
		if d, err := s.Decide(t.Context(), zero); err == nil || d.Allow || s.Knows(zero) {
			t.Errorf("%v, %v, known %v", d, err, s.Knows(zero))
		}
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	s = compiled(t, embedded(t), policy.Config{})
	for range 3 {
		if _, err := s.Decide(over, question(1)); authz.KindOf(err) != authz.Timeout || s.Knows(question(1)) {
			t.Errorf("cancelled: %v, known %v", err, s.Knows(question(1)))
		}
	}
	for range 2 {
		if _, err := s.Decide(t.Context(), question(1)); err != nil {
			t.Fatal(err)
		}
	}
	if !s.Knows(question(1)) {
		t.Error("what was not cancelled is not remembered")
	}
}

// Many ask at once while facts change; each gets the answer for its own facts.
func TestMemoConcurrently(t *testing.T) {
	s := compiled(t, embedded(t), policy.Config{MemoBytes: 8 << 10})
	view := request("team_member:mark", "view", "stock:1")
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 300 {
				allow := (i+n)%3 == 0
				permission := "stock:delete"
				if allow {
					permission = "stock:view"
				}
				facts := memory{member("mark", "r"), role("r", permission)}
				for range 4 {
					if d, err := ask(t, s, facts, view); err != nil || d.Allow != allow {
						t.Errorf("%v, %v; want %v", d.Allow, err, allow)
					}
				}
			}
		})
	}
	wg.Wait()
	if _, counted, bytes := s.Remembered(); counted != bytes {
		t.Errorf("%d bytes, counted as %d", bytes, counted)
	}
}
