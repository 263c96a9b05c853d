package authz_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/authz"
)

// clinic is a directory in memory. It remembers what it was asked.
type clinic struct {
	facts *authz.Facts
	err   error
	asked []authz.Key
	reads int
}

func (c *clinic) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	c.asked, c.reads = keys, c.reads+1
	return c.facts, c.err
}

// rule is a policy that answers by a function.
type rule struct {
	catalogue *authz.Catalogue
	decide    func(authz.Question) (authz.Decision, error)
}

func (r rule) Catalogue() *authz.Catalogue { return r.catalogue }
func (rule) Digest() string                { return "digest" }

func (rule) Administration() *authz.Administration { return nil }

func (r rule) Decide(_ context.Context, q authz.Question) (authz.Decision, error) { return r.decide(q) }

func (rule) Permissions(context.Context, *authz.Fact, *authz.Facts) (map[string]authz.Grant, error) {
	return map[string]authz.Grant{"patient:view": {Role: "nurse"}}, nil
}

func key(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }

func catalogue() *authz.Catalogue {
	return &authz.Catalogue{Types: map[string]authz.TypeSpec{
		"team_member": {Facts: authz.KindTeamMember},
		"patient":     {Facts: authz.KindPatient},
		"provider":    {Facts: authz.KindTeamMember, RequireProvider: true},
		"appointment": {References: map[string]authz.ReferenceSpec{"patient": {Required: true}, "provider": {}}},
		"stock":       {},
	}}
}

func facts() *authz.Facts {
	return authz.NewFacts(true, authz.Revision{Count: 3, Nonce: "n"},
		&authz.Fact{Key: key(authz.KindTeamMember, "mark"), Found: true, Provider: true},
		&authz.Fact{Key: key(authz.KindTeamMember, "ruth"), Found: true},
		&authz.Fact{Key: key(authz.KindTeamMember, "away"), Found: true, Suspended: true},
		&authz.Fact{Key: key(authz.KindPatient, "p-1"), Found: true},
	)
}

func ask(subject, action, resource string, properties map[string]any) *authz.Request {
	return &authz.Request{
		Subject:  authz.Entity{Type: "team_member", ID: subject},
		Action:   authz.Action{Name: action},
		Resource: authz.Entity{Type: resource, ID: "x", Properties: properties},
	}
}

func yes(authz.Question) (authz.Decision, error) { return authz.Decision{Allow: true}, nil }

func TestDecideReadsWhatTheQuestionNamesAndNoMore(t *testing.T) {
	c := &clinic{facts: facts()}
	var seen authz.Question
	s := authz.NewService(c, rule{catalogue(), func(q authz.Question) (authz.Decision, error) {
		seen = q
		return authz.Decision{Allow: true}, nil
	}})
	r := ask("mark", "create", "appointment", map[string]any{
		"patient": "p-1", "provider": "ruth", "patient_group": "not a reference here", "team_member": "mark",
	})
	d, stated, err := s.Decide(t.Context(), "riverside", r, authz.Freshness{})
	if err != nil || !d.Allow || stated.Revision.String() != "3.n" || stated.Policy != "digest" {
		t.Fatalf("%+v, %+v, %v", d, stated, err)
	}
	for _, want := range []authz.Key{key("team_member", "mark"), key("patient", "p-1"), key("team_member", "ruth")} {
		if !slices.Contains(c.asked, want) {
			t.Errorf("did not read %v of %v", want, c.asked)
		}
	}
	if len(c.asked) != 3 || c.reads != 1 {
		t.Errorf("read %v in %d goes", c.asked, c.reads)
	}
	if seen.Subject == nil || !seen.Subject.Found || seen.Resource != nil || len(seen.References) != 2 {
		t.Fatalf("the policy saw %+v", seen)
	}
	for _, reference := range seen.References {
		if want := reference.Name == "patient"; reference.Fact.Found != want { // ruth is no provider
			t.Errorf("%s found: %v", reference.Name, reference.Fact.Found)
		}
	}
}

// A reference that is no string is given, and names nobody.
func TestReferencesThatAreNoStrings(t *testing.T) {
	for _, value := range []any{nil, true, json.Number("1"), []any{"p-1"}, map[string]any{"id": "p-1"}} {
		s := authz.NewService(&clinic{facts: facts()}, rule{catalogue(), func(q authz.Question) (authz.Decision, error) {
			if len(q.References) != 1 || q.References[0].Fact.Found {
				t.Errorf("%v became %+v", value, q.References)
			}
			return authz.Decision{}, nil
		}})
		if _, _, err := s.Decide(t.Context(), "o", ask("mark", "view", "appointment", map[string]any{"patient": value}), authz.Freshness{}); err != nil {
			t.Error(err)
		}
	}
}

// V9: an organisation that does not exist is a deny, without asking the policy.
func TestUnknownOrganisation(t *testing.T) {
	s := authz.NewService(&clinic{facts: authz.NewFacts(false, authz.Revision{})}, rule{catalogue(), yes})
	d, stated, err := s.Decide(t.Context(), "o", ask("mark", "view", "stock", nil), authz.Freshness{})
	if err != nil || d.Allow || string(d.Context) != `{"reasons":["organisation_unknown"]}` || stated.Revision.String() != "0.0" {
		t.Errorf("%+v %s, %v, %v", d, d.Context, stated, err)
	}
}

func TestWithoutCatalogueNothingIsRead(t *testing.T) {
	c := &clinic{err: errors.New("away")}
	s := authz.NewService(c, rule{nil, yes})
	if d, _, err := s.Decide(t.Context(), "o", ask("mark", "view", "stock", nil), authz.Freshness{}); err != nil || !d.Allow || c.reads != 0 {
		t.Errorf("%+v, %v, %d reads", d, err, c.reads)
	}
}

// Every error is without an allow, whatever else came with it.
func TestErrorsNeverAllow(t *testing.T) {
	away := authz.Errorf(authz.Unavailable, "", "away")
	broken := rule{catalogue(), func(authz.Question) (authz.Decision, error) {
		return authz.Decision{Allow: true}, errors.New("broken")
	}}
	for name, s := range map[string]*authz.Service{
		"directory": authz.NewService(&clinic{facts: facts(), err: away}, rule{catalogue(), yes}),
		"policy":    authz.NewService(&clinic{facts: facts()}, broken),
	} {
		if d, _, err := s.Decide(t.Context(), "o", ask("mark", "view", "stock", nil), authz.Freshness{}); err == nil || d.Allow {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	decisions, failed, _, err := authz.NewService(&clinic{facts: facts()}, broken).
		DecideAll(t.Context(), "o", []*authz.Request{ask("mark", "view", "stock", nil)}, authz.ExecuteAll, authz.Freshness{})
	if err != nil || len(decisions) != 1 || decisions[0].Allow || failed[0] == nil {
		t.Errorf("%+v, %v, %v", decisions, failed, err)
	}
}

func TestUndefinedDenies(t *testing.T) {
	s := authz.NewService(&clinic{facts: facts()}, rule{catalogue(), func(authz.Question) (authz.Decision, error) {
		return authz.Decision{Undefined: true}, nil
	}})
	d, _, err := s.Decide(t.Context(), "o", ask("mark", "view", "stock", nil), authz.Freshness{})
	if err != nil || d.Allow || !d.Undefined || string(d.Context) != `{"reasons":["undefined"]}` {
		t.Errorf("%+v %s, %v", d, d.Context, err)
	}
}

func TestBatches(t *testing.T) {
	byAction := rule{catalogue(), func(q authz.Question) (authz.Decision, error) {
		return authz.Decision{Allow: q.Action.Name == "view"}, nil
	}}
	view, update := ask("mark", "view", "stock", nil), ask("mark", "update", "stock", nil)
	for _, test := range []struct {
		name     string
		semantic authz.Semantic
		requests []*authz.Request
		want     []bool
	}{
		{"all", authz.ExecuteAll, []*authz.Request{view, update, nil, view}, []bool{true, false, false, true}},
		{"first deny", authz.DenyOnFirstDeny, []*authz.Request{view, update, view}, []bool{true, false}},
		{"a request that could not be read denies", authz.DenyOnFirstDeny, []*authz.Request{view, nil, view}, []bool{true, false}},
		{"first permit", authz.PermitOnFirstPermit, []*authz.Request{update, nil, view, view}, []bool{false, false, true}},
		{"none", authz.ExecuteAll, nil, nil},
	} {
		c := &clinic{facts: facts()}
		decisions, failed, stated, err := authz.NewService(c, byAction).DecideAll(t.Context(), "o", test.requests, test.semantic, authz.Freshness{})
		var got []bool
		for _, d := range decisions {
			got = append(got, d.Allow)
		}
		if err != nil || !slices.Equal(got, test.want) || len(failed) != len(got) || c.reads != 1 || stated.Revision.Count != 3 {
			t.Errorf("%s: %v, %v, %v in %d reads", test.name, got, failed, err, c.reads)
		}
	}
}

// The subject that a batch is about is asked for once.
func TestBatchReadsItsSubjectOnce(t *testing.T) {
	c := &clinic{facts: facts()}
	requests := []*authz.Request{
		ask("mark", "view", "patient", nil), nil, ask("mark", "update", "patient", nil), ask("ruth", "view", "stock", nil),
		ask("mark", "view", "stock", nil),
	}
	if _, _, _, err := authz.NewService(c, rule{catalogue(), yes}).DecideAll(t.Context(), "o", requests, authz.ExecuteAll, authz.Freshness{}); err != nil {
		t.Fatal(err)
	}
	times := map[authz.Key]int{}
	for _, k := range c.asked {
		times[k]++
	}
	if times[key(authz.KindTeamMember, "mark")] != 1 || times[key(authz.KindTeamMember, "ruth")] != 1 || len(times) != 3 {
		t.Errorf("asked for %v", c.asked)
	}
}

func TestBatchOutOfTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := authz.NewService(&clinic{facts: facts()}, rule{catalogue(), func(authz.Question) (authz.Decision, error) {
		cancel()
		return authz.Decision{Allow: true}, nil
	}})
	decisions, _, _, err := s.DecideAll(ctx, "o", []*authz.Request{ask("mark", "view", "stock", nil)}, authz.ExecuteAll, authz.Freshness{})
	if authz.KindOf(err) != authz.Timeout || decisions != nil {
		t.Errorf("%v, %v", decisions, err)
	}
}

func TestPermissions(t *testing.T) {
	s := authz.NewService(&clinic{facts: facts()}, rule{catalogue(), yes})
	if grants, stated, err := s.Permissions(t.Context(), "o", "mark", authz.Freshness{}); err != nil || grants["patient:view"].Role != "nurse" || stated.Revision.Count != 3 {
		t.Errorf("%v, %v, %v", grants, stated, err)
	}
	if grants, stated, err := s.Permissions(t.Context(), "o", "away", authz.Freshness{}); err != nil || grants == nil || len(grants) > 0 || stated.Revision.Count != 3 { // P7
		t.Error(grants, stated, err)
	}
	if _, _, err := s.Permissions(t.Context(), "o", "nobody", authz.Freshness{}); authz.KindOf(err) != authz.NotFound {
		t.Errorf("nobody: %v", err)
	}
}

func TestFactsOfAnySize(t *testing.T) {
	for _, n := range []int{0, 1, 16, 17, 1000} {
		var all []*authz.Fact
		for i := range n {
			all = append(all, &authz.Fact{Key: key(authz.KindPatient, string(rune('a'+i))), Found: true})
		}
		f := authz.NewFacts(true, authz.Revision{Count: 1}, all...)
		for _, fact := range all {
			if f.Get(fact.Key) != fact {
				t.Errorf("%d facts: %v is another", n, fact.Key)
			}
		}
		if got := f.Get(key(authz.KindTeamMember, "a")); got == nil || got.Found {
			t.Errorf("%d facts: found %v", n, got)
		}
	}
}

func FuzzRevision(f *testing.F) {
	for _, seed := range []string{"0.0", "12.ab34", "18446744073709551615.x", "1", "1.", ".x", "-1.x", "+1.x", "01.x", "1.0", "1.x.y", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		r, err := authz.ParseRevision(token)
		if err != nil {
			return
		}
		again, err := authz.ParseRevision(r.String())
		if err != nil || again != r {
			t.Errorf("%q is %+v, and %q is %+v, %v", token, r, r.String(), again, err)
		}
	})
}
