package search_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

const riverside = "riverside"

// organisation is one organisation in memory, with every state that it ever had. It
// is the directory of decisions, and the store of searches.
type organisation struct {
	testing.TB
	r      *rand.Rand
	states []map[authz.Key]*authz.Fact // by revision
	// edits is how likely a change is before something is read.
	edits float64
	// meanwhile, when not nil, is called before a range is read, with how many there
	// were before.
	meanwhile func(n int)
	// lag is how many revisions a reading that may be old is behind.
	lag int

	ranges []search.Range // that were read
	reads  int
}

func newOrganisation(t testing.TB, r *rand.Rand) *organisation {
	o := &organisation{TB: t, r: r, states: []map[authz.Key]*authz.Fact{{}, {}}}
	state := o.states[1]
	for _, permission := range []string{"p:a", "p:b", "p:c"} {
		o.set(state, &authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: "r-" + permission}, Permissions: []string{permission}})
		o.set(state, &authz.Fact{Key: authz.Key{Kind: authz.KindGroup, ID: "g-" + permission}, Permissions: []string{permission}})
	}
	for i := range 5 {
		o.set(state, &authz.Fact{Key: authz.Key{Kind: authz.KindPatientGroup, ID: fmt.Sprintf("pg%d", i)}})
	}
	for range 8 {
		o.set(state, o.member())
	}
	for range 40 {
		o.set(state, o.patient())
	}
	return o
}

// ids are such that their order is that of bytes alone.
func (o *organisation) id(prefix string, n int) string {
	return prefix + []string{"", "A", "a", "é", "e\u0301", " ", "'", `\`, "%", "😀"}[n%10] + fmt.Sprint(n)
}

func (o *organisation) memberID() string  { return o.id("m", o.r.IntN(14)) }
func (o *organisation) patientID() string { return o.id("p", o.r.IntN(60)) }

func (o *organisation) some(prefix string, ids ...string) []string {
	var out []string
	for _, id := range ids {
		if o.r.IntN(3) == 0 {
			out = append(out, prefix+id)
		}
	}
	return out
}

func (o *organisation) member() *authz.Fact {
	f := &authz.Fact{
		Key: authz.Key{Kind: authz.KindTeamMember, ID: o.memberID()}, Provider: o.r.IntN(2) == 0, Suspended: o.r.IntN(3) == 0,
		Groups: o.some("g-", "p:a", "p:b", "p:c"), Access: o.some("pg", "0", "1", "2", "3", "4"),
	}
	if f.Provider {
		f.Booking = o.some("pg", "0", "1", "2", "3", "4")
	}
	if o.r.IntN(3) > 0 {
		f.Role = "r-" + []string{"p:a", "p:b", "p:c"}[o.r.IntN(3)]
	}
	return f
}

func (o *organisation) patient() *authz.Fact {
	f := &authz.Fact{
		Key:          authz.Key{Kind: authz.KindPatient, ID: o.patientID()},
		PatientGroup: fmt.Sprintf("pg%d", o.r.IntN(5)),
	}
	for range o.r.IntN(3) {
		f.CareTeam = append(f.CareTeam, o.memberID())
	}
	slices.Sort(f.CareTeam)
	f.CareTeam = slices.Compact(f.CareTeam)
	return f
}

func revisionOf(n int) authz.Revision {
	return authz.Revision{Count: uint64(n), Nonce: fmt.Sprintf("n%d", n)}
}

func (o *organisation) now() int { return len(o.states) - 1 }

func (o *organisation) set(state map[authz.Key]*authz.Fact, f *authz.Fact) {
	f.Found, f.Since = true, revisionOf(o.now())
	state[f.Key] = f
}

// change commits edits as one revision.
func (o *organisation) change(edit func(state map[authz.Key]*authz.Fact)) {
	o.states = append(o.states, maps.Clone(o.states[o.now()]))
	edit(o.states[o.now()])
}

func (o *organisation) randomChange() {
	o.change(func(state map[authz.Key]*authz.Fact) {
		switch o.r.IntN(8) {
		case 0, 1, 2:
			o.set(state, o.patient())
		case 3:
			o.set(state, o.member())
		case 4:
			delete(state, authz.Key{Kind: authz.KindPatient, ID: o.patientID()})
		case 5:
			delete(state, authz.Key{Kind: authz.KindTeamMember, ID: o.memberID()})
		case 6:
			kind := []authz.Kind{authz.KindRole, authz.KindGroup}[o.r.IntN(2)]
			permission := []string{"p:a", "p:b", "p:c"}[o.r.IntN(3)]
			key := authz.Key{Kind: kind, ID: string(kind[0]) + "-" + permission}
			o.set(state, &authz.Fact{Key: key, Permissions: append(o.some("p:", "a", "b"), permission)})
		default: // nothing that is asked about
			o.set(state, &authz.Fact{Key: authz.Key{Kind: authz.KindPatientGroup, ID: "other"}})
		}
	})
}

func (o *organisation) perhapsChange() {
	for o.r.Float64() < o.edits {
		o.randomChange()
	}
}

// facts are the facts for keys at a revision, with the roles and groups of members.
func (o *organisation) facts(at int, keys []authz.Key) *authz.Facts {
	state := o.states[at]
	var out []*authz.Fact
	seen := map[authz.Key]bool{}
	add := func(key authz.Key) *authz.Fact {
		f := state[key]
		if f != nil && !seen[key] {
			seen[key] = true
			out = append(out, f)
		}
		return f
	}
	for _, key := range keys {
		if f := add(key); f != nil && f.Kind == authz.KindTeamMember {
			add(authz.Key{Kind: authz.KindRole, ID: f.Role})
			for _, g := range f.Groups {
				add(authz.Key{Kind: authz.KindGroup, ID: g})
			}
		}
	}
	return authz.NewFacts(true, revisionOf(at), out...)
}

func (o *organisation) includes(revision authz.Revision) bool {
	return revision == authz.Revision{} || revision.Count < uint64(len(o.states)) && revision == revisionOf(int(revision.Count))
}

// Includes implements search.Store.
func (o *organisation) Includes(_ context.Context, _ string, have, want authz.Revision) error {
	if !o.includes(have) || !o.includes(want) || have.Count < want.Count {
		return authz.NotIncluded()
	}
	return nil
}

// Read implements authz.Directory, as a cache does: behind by lag, unless asked for more.
func (o *organisation) Read(_ context.Context, name string, keys []authz.Key, fresh authz.Freshness) (*authz.Facts, error) {
	o.perhapsChange()
	o.reads++
	if name != riverside {
		return authz.NewFacts(false, authz.Revision{}), nil
	}
	if !o.includes(fresh.AtLeast) {
		return nil, authz.NotIncluded()
	}
	at := o.now()
	if !fresh.Full {
		at = max(1, at-o.lag, int(fresh.AtLeast.Count))
	}
	return o.facts(at, keys), nil
}

// inIndex reports whether an entity is in an index.
func inIndex(f *authz.Fact, index search.Index) bool {
	switch index.Relation {
	case "":
		return true
	case admin.RoleOf:
		return f.Role != "" && f.Role == index.To
	case admin.MemberOfGroup:
		return slices.Contains(f.Groups, index.To)
	case admin.Access:
		return slices.Contains(f.Access, index.To)
	case admin.Booking:
		return slices.Contains(f.Booking, index.To)
	case admin.PatientGroupOf:
		return f.PatientGroup == index.To
	case admin.CareTeam:
		return slices.Contains(f.CareTeam, index.To)
	}
	return false
}

// Range implements search.Store.
func (o *organisation) Range(_ context.Context, name string, r search.Range, fresh authz.Freshness) (search.Found, error) {
	if o.meanwhile != nil {
		o.meanwhile(len(o.ranges))
	}
	o.perhapsChange()
	o.ranges = append(o.ranges, r)
	if r.Limit < 1 || r.Limit > search.MaxLimit {
		o.Errorf("a range of %d ids", r.Limit)
	}
	if !slices.IsSorted(r.IDs) {
		o.Errorf("the further ids are not in order: %q", r.IDs)
	}
	for _, index := range r.Indexes {
		if from, _ := index.Relation.Ends(); index != (search.Index{}) && from != r.Kind {
			o.Errorf("an index by %s, of %s", index.Relation, r.Kind)
		}
	}
	if name != riverside || o.states[o.now()] == nil {
		return search.Found{}, authz.Errorf(authz.NotFound, "organisation", "does not exist")
	}
	if !o.includes(fresh.AtLeast) {
		return search.Found{}, authz.NotIncluded()
	}
	state := o.states[o.now()]
	for _, e := range r.Basis {
		if !admin.ValidID(e.Key.ID) {
			o.Errorf("a basis of what cannot exist: %v", e)
		}
		since := authz.Revision{}
		if f := state[e.Key]; f != nil {
			since = f.Since
		}
		if since != e.Since {
			return search.Found{}, &authz.Error{Kind: authz.Conflict, Message: "moved", Err: admin.ErrMoved}
		}
	}
	if r.At != nil && *r.At != revisionOf(o.now()) {
		return search.Found{}, &authz.Error{Kind: authz.Conflict, Message: "moved", Err: admin.ErrMoved}
	}
	found := search.Found{Revision: revisionOf(o.now())}
	var keys []authz.Key
	for key, f := range state {
		in := slices.ContainsFunc(r.Indexes, func(i search.Index) bool { return inIndex(f, i) }) || slices.Contains(r.IDs, key.ID)
		if key.Kind == r.Kind && in && key.ID > r.After {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b authz.Key) int { return strings.Compare(a.ID, b.ID) })
	found.More = len(keys) > r.Limit
	keys = keys[:min(len(keys), r.Limit)]
	for _, key := range keys {
		found.IDs = append(found.IDs, key.ID)
	}
	if r.Facts {
		found.Facts = o.facts(o.now(), keys)
	}
	return found, nil
}

// Sizes implements search.Store.
func (o *organisation) Sizes(context.Context, string, authz.Kind, []search.Index) ([]int, authz.Revision, error) {
	o.Error("nobody needs sizes to search")
	return nil, authz.Revision{}, nil
}
