package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/caregate/caregate/internal/authz"
)

// What is asked to see whether decision agrees with allow. A policy of which more could be
// asked is asked this much.
const (
	maxSampled  = 20_000
	sampledTime = 10 * time.Second
	maxTypes    = 16  // texts of the rules, where no catalogue says which types there are
	maxWords    = 256 // texts of the rules that may be actions
)

// agreement asks a policy sample questions over an invented organisation, and reports where
// data.authz.decision says something else than data.authz.allow: each such decision would be a
// 500. Only what the policy makes of other facts, or of a context, is not seen by it. notes say
// what was not asked.
func agreement(ctx context.Context, source *Source, compiler *ast.Compiler, s *Snapshot) (findings []Finding, notes []string, err error) {
	if !s.has[entryDecision] {
		return nil, nil, nil
	}
	over := authz.NewService(sampledOrganisation(source), s)
	until := time.Now().Add(sampledTime)
	found := map[string]int{} // index of a finding by its form
	var counts []int
	asked := 0
	for r := range sampled(source, s.catalogue) {
		if asked++; asked > maxSampled || time.Now().After(until) {
			notes = append(notes, "only some of the questions that can be asked were tried to see whether data.authz.decision agrees with data.authz.allow")
			break
		}
		said, err := s.disagreement(ctx, over, r)
		if err != nil {
			return nil, nil, fmt.Errorf("%s on %s: %w", r.Action.Name, r.Resource.Type, err)
		}
		if said == "" {
			continue
		}
		if i, known := found[said]; known {
			counts[i]++
			continue
		}
		found[said] = len(findings)
		f := placeOfEntry(compiler, entryDecision)
		other := placeOfEntry(compiler, entryAllow)
		f.Text = fmt.Sprintf("data.authz.decision %s where a %s asks %s on %s; make it agree with data.authz.allow, which is at %s:%d: each decision on which they differ is answered with 500",
			said, r.Subject.Type, r.Action.Name, r.Resource.Type, other.File, other.Row)
		findings, counts = append(findings, f), append(counts, 1)
	}
	for i := range findings {
		if n := counts[i]; n > 1 {
			findings[i].Text += fmt.Sprintf(" (and %d questions more)", n-1)
		}
	}
	return findings, notes, nil
}

// disagreement says how decision differs from allow for a question, "" where it does not.
func (s *Snapshot) disagreement(ctx context.Context, over *authz.Service, r *authz.Request) (said string, err error) {
	_, err = over.Whole(ctx, probeID, r, authz.Freshness{}, func(survey *authz.Survey) error {
		in, err := s.input(ctx, survey.Question)
		if err != nil {
			return err
		}
		values, err := s.evaluator.evaluate(ctx, &in.term, entryAllow, entryDecision)
		switch {
		case ctx.Err() != nil:
			return evaluationError(ctx, err, s.places)
		case err != nil:
			return nil //nolint:nilerr // it is no decision, and why is not what is looked for
		}
		allow := values[0] != nil && values[0].Equal(ast.BooleanTerm(true))
		if values[1] == nil {
			if allow {
				said = "is undefined, and data.authz.allow is true,"
			}
			return nil
		}
		object, ok := values[1].Value.(ast.Object)
		if !ok {
			return nil
		}
		if decided, ok := valueOf(object.Get(s.allow)).(ast.Boolean); ok && bool(decided) != allow {
			said = fmt.Sprintf("says allow %v, and data.authz.allow is %s,", decided, map[bool]string{true: "true", false: "not"}[allow])
		}
		return nil
	})
	return said, err
}

// placeOfEntry is where an entry point is written first.
func placeOfEntry(compiler *ast.Compiler, entry string) Finding {
	for _, rule := range compiler.GetRulesWithPrefix((&entryPoint{path: entry}).ref()) {
		return findingAt(rule.Location)
	}
	return Finding{}
}

// The identifiers of the sampled organisation, beside those of the invented one.
const (
	sampledNobody   = probeID + "-nobody"   // is there, and holds nothing
	sampledStranger = probeID + "-stranger" // a patient whom nobody is near
	sampledAbsent   = probeID + "-absent"   // is not there
)

// sampledOrganisation has a member who holds everything and is near a patient, a provider, a
// member without anything, and a patient of another group.
func sampledOrganisation(source *Source) invented {
	known := permissionsOf(source.Data)
	of := inventedOrganisation("").facts.All()
	for _, f := range of {
		if f.Kind == authz.KindRole {
			f.Permissions = slices.Concat(known.needed, known.scope)
		}
	}
	key := func(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }
	return invented{authz.NewFacts(true, authz.Revision{Count: 1}, append(slices.Clone(of),
		&authz.Fact{Key: key(authz.KindPatientGroup, sampledStranger), Found: true},
		&authz.Fact{Key: key(authz.KindTeamMember, sampledNobody), Found: true},
		&authz.Fact{Key: key(authz.KindPatient, sampledStranger), Found: true, PatientGroup: sampledStranger},
	)...)}
}

// idsOf are the ids that are asked about of entities of a type.
func idsOf(catalogue *authz.Catalogue, typ string) []string {
	spec := authz.TypeSpec{}
	if catalogue != nil {
		spec = catalogue.Types[typ]
	}
	switch spec.Facts {
	case authz.KindTeamMember:
		return []string{probeID, inventedProvider, sampledNobody, sampledAbsent}
	case authz.KindPatient:
		return []string{inventedPatient, sampledStranger, sampledAbsent}
	}
	return []string{sampledAbsent}
}

// sampled are the questions of a catalogue: whoever asks for each action on each type, with and
// without what it refers to; and in short for what may be an action by the texts that the rules
// compare with. Without a catalogue types are such texts too.
func sampled(source *Source, catalogue *authz.Catalogue) func(yield func(*authz.Request) bool) {
	known, words := permissionsOf(source.Data), slices.Sorted(maps.Keys(source.compared()))
	words = append(words[:min(len(words), maxWords)], sampledAbsent)
	types := words[:min(len(words), maxTypes)]
	if catalogue != nil {
		types = slices.Sorted(maps.Keys(catalogue.Types))
	}
	return func(yield func(*authz.Request) bool) {
		for _, subject := range types {
			if catalogue != nil && catalogue.Types[subject].Facts == "" {
				continue
			}
			for _, typ := range types {
				for _, action := range known.actions[typ] {
					if !sampledOf(catalogue, subject, action, typ, yield) {
						return
					}
				}
				for _, word := range words {
					if !yield(&authz.Request{
						Subject: authz.Entity{Type: subject, ID: idsOf(catalogue, subject)[0]}, Action: authz.Action{Name: word},
						Resource: authz.Entity{Type: typ, ID: idsOf(catalogue, typ)[0]},
					}) {
						return
					}
				}
			}
		}
	}
}

// sampledOf are the questions of one kind of subject about an action on one type.
func sampledOf(catalogue *authz.Catalogue, subject, action, typ string, yield func(*authz.Request) bool) bool {
	properties := []map[string]any{nil}
	for _, name := range slices.Sorted(maps.Keys(catalogue.Types[typ].References)) {
		for _, before := range properties {
			for _, id := range idsOf(catalogue, name) {
				with := map[string]any{name: id}
				maps.Copy(with, before)
				properties = append(properties, with)
			}
		}
	}
	for _, who := range idsOf(catalogue, subject) {
		for _, what := range idsOf(catalogue, typ) {
			for _, given := range properties {
				if !yield(&authz.Request{
					Subject: authz.Entity{Type: subject, ID: who}, Action: authz.Action{Name: action},
					Resource: authz.Entity{Type: typ, ID: what, Properties: given},
				}) {
					return false
				}
			}
		}
	}
	return true
}
