package review

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// pageSize is how much is read at once: little, for a decision that has to read waits
// meanwhile.
const pageSize = 200

// patientReference is the reference that a residual may be about in place of the
// patient itself: that of what belongs to a patient.
const patientReference = "patient"

// nobody is the id of a made-up patient. It has a control character, so that no
// patient has it.
const nobody = "\x00"

// opened counts the patients for whom after holds and before does not, at a revision,
// by group and index. Both residuals are about patients, or about what belongs to a
// patient by the patient alone. It is -1 for residuals that cannot be counted so. A
// Conflict because of admin.ErrMoved says that the organisation is at another revision.
func (s *Service) opened(ctx context.Context, organisation string, before, after *authz.Residual, at authz.Revision) (int, error) {
	return s.counter(organisation, at).opened(ctx, before, after)
}

// counter counts patients of an organisation at one revision. It keeps what it reads,
// and is not safe for concurrent use. Its errors are those of search.Store; a Conflict
// because of admin.ErrMoved says that the organisation is at another revision.
type counter struct {
	rules        authz.Rules
	store        Store
	organisation string
	at           authz.Revision

	groups []GroupCount // those that have patients
	known  bool         // groups were read
	teams  map[string][]*authz.Fact
	ahead  int                    // places on care teams that were to be read ahead
	named  map[string]*authz.Fact // nil for an id that no patient has
	pages  map[string]*listed     // patients by group, for examples

	general      *sight // anybody's, nil where there is none
	generalKnown bool
}

func (s *Service) counter(organisation string, at authz.Revision) *counter {
	return &counter{
		rules: s.rules, store: s.store, organisation: organisation, at: at,
		teams: map[string][]*authz.Fact{}, named: map[string]*authz.Fact{}, pages: map[string]*listed{},
	}
}

// opened is Service.opened.
func (c *counter) opened(ctx context.Context, before, after *authz.Residual) (int, error) {
	before, countable := aboutPatients(before)
	after, also := aboutPatients(after)
	if !countable || !also {
		return -1, nil
	}
	if after.Never() || before.Always() {
		return 0, nil
	}
	apart, err := c.exceptions(ctx, before, after)
	if err != nil {
		return 0, err
	}
	was, is, n := before.Predicate(), after.Predicate(), 0
	err = c.eachPatient(ctx, apart, func(patient *authz.Fact, many int) {
		candidate := &authz.Candidate{Fact: patient}
		if is.Holds(candidate) && !was.Holds(candidate) {
			n += many
		}
	})
	return n, err
}

// aboutPatients returns a residual as one about patients themselves, and false for
// one that cannot be counted by group and care team.
func aboutPatients(r *authz.Residual) (*authz.Residual, bool) {
	if r == nil {
		return nil, false
	}
	out := &authz.Residual{Any: make([][]authz.Condition, len(r.Any))}
	reference, first := "", true
	for i, all := range r.Any {
		out.Any[i] = slices.Clone(all)
		for j := range out.Any[i] {
			condition := &out.Any[i][j]
			if first {
				reference, first = condition.Leaf.Reference, false
			}
			if condition.Leaf.Reference != reference || !countable(condition) {
				return nil, false
			}
			condition.Leaf.Reference = ""
			if condition.Leaf.Fact == authz.FactID { // what no patient is called would only name nobody
				condition.Values = slices.DeleteFunc(slices.Clone(condition.Values), func(id string) bool { return !admin.ValidID(id) })
			}
		}
	}
	return out, reference == "" || reference == patientReference
}

func countable(c *authz.Condition) bool {
	switch c.Leaf.Fact {
	case authz.FactID, authz.FactPatientGroup:
		return c.Op == authz.In
	case authz.FactCareTeam:
		return c.Op == authz.Has
	}
	return false
}

// exceptions returns the patients whom residuals may tell apart from the others of
// their group: those whom they name, and those on a care team that they name.
func (c *counter) exceptions(ctx context.Context, residuals ...*authz.Residual) (map[string]*authz.Fact, error) {
	members, patients := map[string]bool{}, map[string]bool{}
	for _, r := range residuals {
		for _, all := range r.Any {
			for i := range all {
				switch all[i].Leaf.Fact {
				case authz.FactCareTeam:
					members[all[i].Values[0]] = true
				case authz.FactID:
					for _, id := range all[i].Values {
						patients[id] = true
					}
				}
			}
		}
	}
	out := map[string]*authz.Fact{}
	for member := range members {
		team, err := c.team(ctx, member)
		if err != nil {
			return nil, err
		}
		for _, patient := range team {
			out[patient.ID] = patient
		}
	}
	if err := c.readNamed(ctx, slices.Sorted(maps.Keys(patients))); err != nil {
		return nil, err
	}
	for id := range patients {
		if patient := c.named[id]; patient != nil {
			out[id] = patient
		}
	}
	return out, nil
}

// eachPatient visits all patients: those apart one by one, in the order of their ids, and
// then the others of each group as one made-up patient who stands for many.
func (c *counter) eachPatient(ctx context.Context, apart map[string]*authz.Fact, visit func(patient *authz.Fact, many int)) error {
	groups, err := c.sizes(ctx)
	if err != nil {
		return err
	}
	of := map[string]int{}
	for _, id := range slices.Sorted(maps.Keys(apart)) {
		of[apart[id].PatientGroup]++
		visit(apart[id], 1)
	}
	for _, group := range groups {
		many := group.Patients - of[group.Group]
		if many < 0 {
			return authz.Errorf(authz.Internal, "", "a patient group has fewer patients than were read of it; run caregate audit")
		}
		if many > 0 {
			visit(&authz.Fact{
				Key: authz.Key{Kind: authz.KindPatient, ID: nobody}, Found: true, PatientGroup: group.Group,
			}, many)
		}
	}
	return nil
}

// attempts is how often an answer is begun before it is given up.
const attempts = 8

// atOneRevision runs attempt, again while the facts change in between.
func atOneRevision(ctx context.Context, attempt func() error) error {
	for range attempts {
		err := attempt()
		if !errors.Is(err, admin.ErrMoved) {
			return err
		}
		if ctx.Err() != nil {
			return &authz.Error{Kind: authz.Timeout, Message: "the time allowed ran out while the facts kept changing; try again", Err: ctx.Err()}
		}
	}
	return authz.Errorf(authz.Unavailable, "",
		"the facts changed each time before all of them were read at one revision; try again when fewer changes are made")
}
