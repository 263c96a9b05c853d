package acceptance

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/soak"
)

// tally counts what a property test has seen, so that it cannot pass by asking
// only easy questions.
type tally struct {
	mu         sync.Mutex
	decisions  int
	allowed    int
	codes      map[string]int
	complaints map[string]int // by what is wrong
}

func (c *tally) add(got decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.decisions++
	if got.allowed() {
		c.allowed++
	}
	for _, code := range got.reasons().Reasons {
		c.codes[code]++
	}
}

// complain says whether a failure is among the first of its sort, which are
// printed.
func (c *tally) complain(wrong string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.complaints == nil {
		c.complaints = map[string]int{}
	}
	sort, _, _ := strings.Cut(wrong, ":")
	c.complaints[sort]++
	return c.complaints[sort] <= 3 && len(c.complaints) <= 10
}

// TestDecisionsEqualTheRules compares the server's answers about random
// organisations with the rules written in plain Go, over both stores.
func TestDecisionsEqualTheRules(t *testing.T) {
	const organisations = 16 // of each store
	n := soak.Seed(t)
	total := int(soak.Number(t, "CAREGATE_TEST_DECISIONS", uint64(max(30_000, soak.Cases(120_000)))))
	seen := tally{codes: map[string]int{}}
	start := time.Now()
	t.Run("stores", func(t *testing.T) {
		overBothStores(t, func(t *testing.T, s store) {
			for i := range organisations {
				d := newDice(n, uint64(len(s.name())*1000+i)) // other organisations in the other store
				o := newOrganisation(t, s, d.records()...)
				compare(t, &seen, o, d, d.w, (total+2*organisations-1)/(2*organisations))
				if i == 0 {
					nowhere := *o
					nowhere.name, nowhere.revision = o.name+"-not-there", ""
					compare(t, &seen, &nowhere, d, nil, 20)
				}
				if _, alone := s.(embeddedStore); alone {
					o.server.end(t)
				}
			}
		})
	})
	t.Logf("%d decisions in %v, %d allowed, reasons %v", seen.decisions, time.Since(start).Round(time.Millisecond), seen.allowed, seen.codes)
	check(t, len(seen.complaints) == 0, "wrong answers: %v", seen.complaints)
	if seen.decisions < total || seen.allowed < total/10 || seen.allowed > total*7/10 {
		t.Errorf("%d decisions and %d allowed of %d: the questions are too one-sided to show anything", seen.decisions, seen.allowed, total)
	}
	for _, code := range []string{"permission_granted", "patient_visible", "patient_group_accessible", "provider_bookable", "own_booking",
		"organisation_unknown", "subject_unknown", "subject_unsupported", "subject_suspended", "not_for_patients", "resource_type_unknown", "action_unknown",
		"resource_unknown", "exists", "reference_missing", "reference_unknown", "permission_missing", "patient_not_visible",
		"patient_group_not_accessible", "provider_not_bookable", "provider_suspended", "patient_mismatch"} {
		check(t, total < 50_000 || seen.codes[code] != 0, "the reason %s was never seen", code)
	}
}

// compare asks count random questions, most of them in batches, and holds the
// answers against w.
func compare(t *testing.T, seen *tally, o *organisation, d *dice, w *world, count int) {
	t.Helper()
	hold := func(how string, q question, got decision) {
		t.Helper()
		seen.add(got)
		if wrong := w.check(q, got); wrong != "" && seen.complain(wrong) {
			asked, _ := json.Marshal(q)
			t.Errorf("%s: %s\n  asked    %s\n  answered %v\n  facts    %s", how, wrong, asked, got, w.facts(q))
		}
	}
	for count > 0 {
		questions := make([]question, min(count, 1+d.IntN(600)))
		for i := range questions {
			questions[i] = d.question()
		}
		count -= len(questions)
		for i, got := range o.batch(t, questions) {
			hold("evaluations", questions[i], got)
			if i%25 == 0 {
				hold("evaluation", questions[i], decode[decision](t, post(t, o.url("/access/v1/evaluation"), questions[i], o.included()...)))
				hold("/v1/data/authz/decision", questions[i], o.dataDecision(t, questions[i]))
			}
		}
	}
}

// dataDecision asks as an OPA client does.
func (o *organisation) dataDecision(t *testing.T, q question) decision {
	t.Helper()
	got := decode[struct {
		Result struct {
			Allow   *bool
			Context *reasons
		}
	}](t, post(t, o.url("/v1/data/authz/decision"), q.data(), o.included()...))
	return decision{Decision: got.Result.Allow, Context: got.Result.Context}
}

// facts prints what the organisation holds about a question.
func (w *world) facts(q question) string {
	if w == nil {
		return "no such organisation"
	}
	m, member := w.members[q.Subject.ID]
	out := fmt.Sprintf("member %v %+v role %q", member, m, w.roles[m.role])
	for _, id := range m.groups {
		out += fmt.Sprintf(" group %q %q", id, w.groups[id])
	}
	for _, id := range slices.Compact([]string{q.Subject.ID, q.Resource.ID, fmt.Sprint(q.Resource.Properties["patient"])}) {
		if p, there := w.patients[id]; there {
			out += fmt.Sprintf(" patient %q %+v", id, p)
		}
	}
	for _, id := range []string{q.Resource.ID, fmt.Sprint(q.Resource.Properties["provider"])} {
		if p, there := w.members[id]; there {
			out += fmt.Sprintf(" provider %q %+v", id, p)
		}
	}
	return out
}
