package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// agree holds both sides of every relationship, and the records, against each
// other (A2).
func (d directory) agree(t *testing.T) {
	t.Helper()
	d.actor = ""
	sides := map[string]map[[2]string]bool{} // by what said it: pairs of a member or patient and another
	say := func(who, left, right string) {
		if sides[who] == nil {
			sides[who] = map[[2]string]bool{}
		}
		sides[who][[2]string{left, right}] = true
	}
	lists := func(r record, name string) []string {
		var out []string
		items, _ := r.fields[name].([]any)
		for _, item := range items {
			out = append(out, item.(string))
		}
		return out
	}
	for _, r := range d.everything(t) {
		path := at(collections[r.kind], r.id)
		set := func(of string, reversed bool, records []string, compared bool) {
			ids := d.ids(t, path+"/"+of)
			check(t, !compared || sameSet(ids, records), "%s of the %s %q is %q, and the record says %q", of, r.kind, r.id, ids, records)
			for _, id := range ids {
				if reversed {
					say(of+" of a "+r.kind, id, r.id)
				} else {
					say(of+" of a "+r.kind, r.id, id)
				}
			}
		}
		switch r.kind {
		case "role", "group":
			set("members", true, nil, false)
		case "patient_group":
			for _, of := range []string{"access", "booking", "patients"} {
				set(of, true, nil, false)
			}
		case "team_member":
			for _, of := range []string{"groups", "access", "booking"} {
				set(of, false, lists(r, of), true)
			}
			set("patients", true, nil, false)
			set("bookings", true, nil, false)
			if role, _ := r.fields["role"].(string); role != "" {
				say("the role of a team_member", r.id, role)
			}
		case "patient":
			var team, manual []string
			for id, sources := range r.fields["care_team_sources"].(object) {
				if team = append(team, id); slices.Contains(sources.([]any), any("manual")) {
					manual = append(manual, id)
				}
			}
			if !sameSet(manual, lists(r, "care_team")) {
				t.Errorf("the patient %q has the care team %q, and the manual sources %q", r.id, lists(r, "care_team"), manual)
			}
			set("care-team", false, team, true)
			set("bookings", true, nil, false)
			say("the group of a patient", r.id, r.fields["patient_group"].(string))
		case "booking":
			say("the patient of a booking", r.id, r.fields["patient"].(string))
			say("the provider of a booking", r.id, r.fields["provider"].(string))
		}
	}
	for _, c := range [][2]string{
		{"members of a role", "the role of a team_member"}, {"members of a group", "groups of a team_member"},
		{"access of a patient_group", "access of a team_member"}, {"booking of a patient_group", "booking of a team_member"},
		{"patients of a patient_group", "the group of a patient"}, {"patients of a team_member", "care-team of a patient"},
		{"bookings of a team_member", "the provider of a booking"}, {"bookings of a patient", "the patient of a booking"},
	} {
		left, right := sides[c[0]], sides[c[1]]
		for pair := range left {
			if !right[pair] {
				t.Errorf("%q is in the %s and not in the %s", pair, c[0], c[1])
			}
		}
		for pair := range right {
			if !left[pair] {
				t.Errorf("%q is in the %s and not in the %s", pair, c[1], c[0])
			}
		}
	}
}

// relations are the sets with two sides that are written from both.
var relations = []struct {
	name           string
	left, right    string // collections
	member, others []string
	of, from       string // the set seen from the left, and from the right
}{
	{name: "group", left: "team-members", right: "groups", member: []string{"noor", "tomas", "li"}, others: []string{"stockroom", "reporting", "front-desk"}, of: "groups", from: "members"},
	{name: "access", left: "team-members", right: "patient-groups", member: []string{"noor", "tomas", "priya"}, others: []string{"diabetes", "maternity", "aftercare"}, of: "access", from: "access"},
	{name: "booking", left: "team-members", right: "patient-groups", member: []string{"mark", "priya", "oscar"}, others: []string{"aftercare", "cardiology", "diabetes"}, of: "booking", from: "booking"},
	{name: "care_team", left: "patients", right: "team-members", member: []string{"p-2", "p-12", "p-9"}, others: []string{"tomas", "sam", "ruth"}, of: "care-team", from: "patients"},
}

// TestRelationsFromBothSides sets each relationship from each side, one at a
// time and many at once, and reads it from the other (A2).
func TestRelationsFromBothSides(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		for _, r := range relations {
			for _, reversed := range []bool{false, true} {
				// One relationship, two views: the second run swaps the sides.
				here, there, own, far, of, from := r.left, r.right, r.member, r.others, r.of, r.from
				if reversed {
					here, there, own, far, of, from = there, here, far, own, from, of
				}
				t.Run(r.name+" from the "+here, func(t *testing.T) {
					set, back := at(here, own[0], of), func(id string) []string { return d.ids(t, at(there, id, from)) }
					before := d.ids(t, set)
					joined := func(ids ...string) {
						t.Helper()
						sameIDs(t, d.ids(t, set), ids, "%s is", set)
						for _, id := range slices.Concat(far, before) {
							if slices.Contains(back(id), own[0]) != slices.Contains(ids, id) {
								t.Errorf("seen from %s %q: %q, and %s has %q", there, id, back(id), set, ids)
							}
						}
					}
					d.wrote(t, d.put(t, set, object{"ids": array{}}), http.StatusOK)
					joined()
					d.one(t, "one", func() { d.wrote(t, d.put(t, at(here, own[0], of, far[0]), nil), http.StatusNoContent) })
					joined(far[0])
					d.unchanged(t, "the same one", func() { d.wrote(t, d.put(t, at(here, own[0], of, far[0]), nil), http.StatusNoContent) })
					d.one(t, "one more, from the other side", func() { d.wrote(t, d.put(t, at(there, far[1], from, own[0]), nil), http.StatusNoContent) })
					joined(far[0], far[1])
					d.one(t, "a different set", func() {
						r := d.put(t, set, object{"ids": []string{far[1], far[2]}}, "If-Match", d.tag(t, set))
						d.wrote(t, r, http.StatusOK)
						if got := decode[written](t, r); !got.Changed || got.Revision != d.revision {
							t.Errorf("%v at %s", r, d.revision)
						}
					})
					joined(far[1], far[2])
					d.unchanged(t, "the same set", func() {
						if got := decode[written](t, d.put(t, set, object{"ids": []string{far[2], far[1]}})); got.Changed {
							t.Error("the same set in another order is said to be a change")
						}
					})
					d.one(t, "some come and some go", func() {
						d.wrote(t, d.post(t, set, object{"add": []string{far[0]}, "remove": []string{far[1]}}), http.StatusOK)
					})
					joined(far[0], far[2])
					stale := d.tag(t, set)
					d.one(t, "one less, from the other side", func() { d.wrote(t, d.delete(t, at(there, far[0], from, own[0])), http.StatusNoContent) })
					joined(far[2])
					d.unchanged(t, "a lost race", func() {
						refused(t, d.put(t, set, object{"ids": far}, "If-Match", stale), http.StatusPreconditionFailed)
					})
					d.one(t, "one less", func() { d.wrote(t, d.delete(t, at(here, own[0], of, far[2])), http.StatusNoContent) })
					joined()
					d.unchanged(t, "the same one less", func() { d.wrote(t, d.delete(t, at(here, own[0], of, far[2])), http.StatusNoContent) })
					d.unchanged(t, "a name that is nobody's", func() {
						for _, r := range []reply{
							d.put(t, at(here, own[0], of, "nobody"), nil), d.put(t, at(here, "nobody", of, far[0]), nil),
							d.put(t, set, object{"ids": []string{far[0], "nobody"}}), d.post(t, set, object{"add": []string{far[0], "nobody"}}),
						} {
							answeredOneOf(t, r, []int{http.StatusNotFound, http.StatusBadRequest, http.StatusConflict})
						}
					})
					joined()
					d.wrote(t, d.put(t, set, object{"ids": append(array{}, anys(before)...)}), http.StatusOK)
					joined(before...)
				})
			}
		}
		d.agree(t)
	})
}

// written is the answer to a write of a set.
type written struct {
	Revision string
	Changed  bool
}

func anys(ids []string) array {
	out := array{}
	for _, id := range ids {
		out = append(out, id)
	}
	return out
}

// TestManyAtOnce assigns forty people to a group in one request, which is one
// revision; then gives a role to all, and takes it from most.
func TestManyAtOnce(t *testing.T) {
	var people []string
	for i := range 40 {
		people = append(people, fmt.Sprintf("nurse-%02d", i))
	}
	overTheExample(t, func(t *testing.T, d directory) {
		var edits array
		for _, id := range people {
			edits = append(edits, object{"put": object{"kind": "team_member", "id": id, "name": id}})
		}
		d.one(t, "forty arrive", func() { d.wrote(t, d.post(t, "/edits", object{"edits": edits}), http.StatusOK) })
		for _, id := range people {
			d.deny(t, id, "view", thing("stock"), "permission_missing")
		}
		d.one(t, "forty join a group", func() {
			d.wrote(t, d.post(t, "/groups/stockroom/members", object{"add": people}), http.StatusOK)
		})
		for _, id := range people {
			d.allow(t, id, "view", thing("stock")).grantedBy("", "stockroom")
		}
		hasLength(t, d.ids(t, "/groups/stockroom/members"), 42, "the group has")
		d.one(t, "forty get a role", func() {
			d.wrote(t, d.post(t, "/roles/nurse/members", object{"add": people}), http.StatusOK)
		})
		d.allow(t, people[39], "view", thing("calendar")).grantedBy("nurse")
		d.one(t, "two keep it", func() {
			d.wrote(t, d.put(t, "/roles/nurse/members", object{"ids": []string{people[0], "li"}}, "If-Match", d.tag(t, "/roles/nurse/members")), http.StatusOK)
		})
		sameIDs(t, d.ids(t, "/roles/nurse/members"), []string{people[0], "li"}, "the role has")
		d.deny(t, people[39], "view", thing("calendar"), "permission_missing")
		d.one(t, "all change the role", func() {
			d.wrote(t, d.post(t, "/roles/auditor/members", object{"add": []string{people[0], "li"}}), http.StatusOK)
		})
		hasLength(t, d.ids(t, "/roles/nurse/members"), 0)
		d.one(t, "forty leave", func() {
			d.wrote(t, d.post(t, "/groups/stockroom/members", object{"remove": people}), http.StatusOK)
		})
		d.deny(t, people[7], "view", thing("stock"), "permission_missing")
		d.allow(t, "mark", "view", thing("stock"))
		d.unchanged(t, "more than a request may name", func() {
			many := make([]string, 1001)
			for i := range many {
				many[i] = people[i%40]
			}
			answeredOneOf(t, d.post(t, "/groups/stockroom/members", object{"add": many}), []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge})
		})
		d.agree(t)
	})
}
