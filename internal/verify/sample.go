package verify

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// The bounds up to which the whole of a given organisation is asked about, and those of
// a sample of a larger one.
const (
	wholeMembers   = 40
	wholePatients  = 200
	samples        = 5
	sampleMembers  = 12
	samplePatients = 60
)

// sample is a given organisation, or a part of one with all that it needs.
type sample struct {
	records   records
	questions int
	seed      uint64
	what      string
}

// samples draws from the given organisation. Each sample is some members and patients with
// all roles, groups, patient groups and bookings that are between them.
func (v *verifier) samples() []sample {
	given := slices.Clone(records(v.Given))
	if len(given) == 0 {
		return nil
	}
	slices.SortStableFunc(given, func(a, b admin.Record) int {
		return slices.Index(model.Kinds(), a.Kind) - slices.Index(model.Kinds(), b.Kind)
	})
	members, patients := given.ids(authz.KindTeamMember), given.ids(authz.KindPatient)
	if len(members) <= wholeMembers && len(patients) <= wholePatients {
		v.note("the given organisation was asked about as a whole")
		return []sample{{given, samples * v.Questions, v.Seed, "given organisation"}}
	}
	v.note(fmt.Sprintf("of the given organisation %d samples were asked about, each of up to %d of its %d members and %d of its %d patients",
		samples, sampleMembers, len(members), samplePatients, len(patients)))
	out := make([]sample, samples)
	for i := range out {
		seed := v.Seed + uint64(i)
		r := random(seed)
		kept := map[authz.Key]bool{}
		keep := func(kind authz.Kind, ids []string, most int) {
			ids = slices.Clone(ids)
			r.Shuffle(len(ids), func(a, b int) { ids[a], ids[b] = ids[b], ids[a] })
			for _, id := range ids[:min(most, len(ids))] {
				kept[authz.Key{Kind: kind, ID: id}] = true
			}
		}
		keep(authz.KindTeamMember, members, sampleMembers)
		// Half of the patients are of care teams of those members, where there are so many.
		var theirs []string
		for j := range given {
			p := &given[j]
			if p.Kind == authz.KindPatient && slices.ContainsFunc(p.CareTeam, func(m string) bool { return kept[authz.Key{Kind: authz.KindTeamMember, ID: m}] }) {
				theirs = append(theirs, p.ID)
			}
		}
		keep(authz.KindPatient, theirs, samplePatients/2)
		keep(authz.KindPatient, patients, samplePatients/2)
		needed := map[authz.Key]bool{}
		for j := range given {
			if !kept[given[j].Key()] {
				continue
			}
			for relation, key := range given[j].References() {
				if relation != admin.CareTeam {
					needed[key] = true
				}
			}
		}
		out[i] = sample{questions: 2 * v.Questions, seed: seed, what: fmt.Sprintf("sample %d of the given organisation", i+1)}
		out[i].records = given.remaining(func(r *admin.Record) bool {
			return !kept[r.Key()] && !needed[r.Key()] && r.Kind != authz.KindBooking
		})
	}
	return out
}

// remaining returns the records that are not dropped, and of those what still refers to
// something.
func (rs records) remaining(drop func(*admin.Record) bool) records {
	there := map[authz.Key]bool{}
	var out records
next:
	for i := range rs {
		r := rs[i]
		if drop(&r) {
			continue
		}
		for _, f := range model.Fields(r.Kind) {
			_, to := f.Relation.Ends()
			gone := func(id string) bool { return !there[authz.Key{Kind: to, ID: id}] }
			switch {
			case f.Type == model.IDs:
				*f.List(&r) = slices.DeleteFunc(slices.Clone(*f.List(&r)), gone)
			case f.Type != model.ID || !gone(*f.Text(&r)):
			case f.Always:
				continue next
			default:
				*f.Text(&r) = ""
			}
		}
		there[r.Key()] = true
		out = append(out, r)
	}
	return out
}

// ReadOrganisation reads all records of an organisation.
func ReadOrganisation(list func(kind authz.Kind, after string) (admin.Page, error)) ([]admin.Record, error) {
	var out []admin.Record
	for _, kind := range model.Kinds() {
		after := ""
		for {
			page, err := list(kind, after)
			if err != nil {
				return nil, err
			}
			for _, r := range page.Records {
				out = append(out, r.Record)
				after = r.ID
			}
			if page.More && len(page.Records) == 0 {
				return nil, errors.New("the records of the organisation could not be read")
			}
			if !page.More {
				break
			}
		}
	}
	return out, nil
}
