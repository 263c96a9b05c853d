package verify

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// Config says what is verified and how much.
type Config struct {
	// Rules is the policy as it is served.
	Rules authz.Rules
	// Oracle is the same policy evaluated plainly. What administration asks is what its
	// Administration says; a policy that declares none has no such shapes.
	Oracle authz.Policy
	// Stores are where organisations are made; each is asked.
	Stores []NamedStore
	// Databases are where filters are executed.
	Databases []Database
	// Constants are texts that the policy compares with, so that some ids are those.
	Constants []string

	Organisations int // random ones
	Questions     int // about each of them, before and after a change; 0 for DefaultQuestions
	Seed          uint64
	// Given is an organisation that is looked at before the random ones, nil for none. Of
	// a large one samples are.
	Given []admin.Record
	// Shrink is for how long a smaller counterexample is looked for, 0 for DefaultShrink.
	Shrink time.Duration
	// Patience is for how long one question is asked in all shapes, 0 for DefaultPatience. One
	// that takes longer ends the run with an error that names the rule.
	Patience time.Duration
}

// What is done where a Config does not say.
const (
	DefaultQuestions = 10
	DefaultShrink    = 20 * time.Second
	DefaultPatience  = time.Minute
)

// verifier is a run.
type verifier struct {
	Config
	layout *layout
	opened int // organisations
	notes  []string
	report *Report
}

// Run verifies. The report has a disagreement where one was found, at which the run
// ends. An error means that nothing is known: what was to be asked could not be, or
// nothing was ever allowed, of which nothing can be concluded.
func Run(ctx context.Context, config Config) (*Report, error) {
	catalogue := config.Rules.Catalogue()
	if catalogue == nil {
		return nil, authz.Errorf(authz.Malformed, "", "the policy has no data.catalogue, so that there are no organisations and no lists to verify; "+
			"its checks are tested with caregate policy test")
	}
	if config.Questions == 0 {
		config.Questions = DefaultQuestions
	}
	if config.Shrink == 0 {
		config.Shrink = DefaultShrink
	}
	if config.Patience == 0 {
		config.Patience = DefaultPatience
	}
	v := &verifier{Config: config, layout: newLayout(catalogue), report: newReport(config.Seed)}
	for _, s := range v.samples() {
		if err := v.verify(ctx, &s); err != nil || v.report.Disagreement != nil {
			return v.done(err)
		}
	}
	for n := range v.Organisations {
		seed := config.Seed + uint64(n)
		g := newGenerator(random(seed), catalogue, v.Constants)
		if err := v.verify(ctx, &sample{g.organisation(), v.Questions, seed, "random organisation"}); err != nil || v.report.Disagreement != nil {
			return v.done(err)
		}
	}
	return v.done(nil)
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x63617265)) }

// done ends the run.
func (v *verifier) done(err error) (*Report, error) {
	v.report.Notes = append(v.report.Notes, v.notes...)
	slices.SortFunc(v.report.Shapes, func(a, b Shape) int { return cmp.Compare(a.Name, b.Name) })
	if err != nil {
		return nil, err
	}
	if v.report.Disagreement == nil && v.report.allowed() == 0 {
		return v.report, errors.New("nothing was allowed in any organisation, of which nothing can be concluded; " +
			"ask about more organisations, or give one with --facts in which the policy allows something")
	}
	return v.report, nil
}

// verify asks about one organisation, and the same once more after a change: what is
// remembered of the first time has no place in the second. The seed says again what was
// asked.
func (v *verifier) verify(ctx context.Context, of *sample) error {
	catalogue := v.Rules.Catalogue()
	g := newGenerator(random(^of.seed), catalogue, v.Constants)
	first := g.scene(of.records, catalogue)
	later := first.copied()
	later.before, later.records = of.records, g.changed(of.records)
	later.dropGone(catalogue)
	organisation := v.fresh()
	v.report.Organisations++
	questions := g.questions(first, catalogue, of.questions)
	if v.Rules.Administration() != nil && v.Oracle.Administration() != nil {
		if of := g.acts(first); len(of) > 0 {
			questions = append(questions, question{sought: administering, acts: of})
		}
	}
	for _, s := range []*scene{first, later} {
		w, err := v.newWorld(ctx, s, organisation)
		if err != nil {
			return err
		}
		for _, q := range questions {
			answers, err := w.ask(ctx, &q)
			if err != nil {
				return err
			}
			if v.report.count(answers); !disagree(answers) {
				continue
			}
			smallest, err := v.shrink(ctx, &counterexample{scene: s, question: q, answers: answers})
			if err == nil {
				v.report.Disagreement = smallest.disagreement(of.what, of.seed)
			}
			return err
		}
	}
	return nil
}

func disagree(answers []answer) bool {
	for i := range answers {
		if answers[i].disagrees() {
			return true
		}
	}
	return false
}
