package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// A batch asks about as many different patients as a list on a screen may need at once.
const batchSize = 1000

// kind is a kind of question, by what it asks and why it is answered as it is.
type kind struct {
	name    string
	allow   bool
	reasons []string // sorted
	routes  []string // sorted; nil for any
	inside  bool     // measured in process too
	draw    func(d *draws) authz.Request
}

// question is one question with the answer it must have.
type question struct {
	kind    string
	request authz.Request
	answer  wireAnswer
}

// kinds are half allows and half denies.
func kinds() []kind {
	granted := []string{"permission_granted"}
	visible := []string{"patient_visible", "permission_granted"}
	return []kind{
		{"patient update, by Access", true, visible, []string{"patient_group_access"}, true, patient("update")},
		{"patient update, by care team", true, visible, []string{"care_team"}, true, patient("update")},
		{"patient view, by View All Patients", true, visible, []string{"view_all_patients"}, true, patient("view")},
		{"stock update", true, granted, nil, true, plain("stock", "update")},
		{"appointment create, patient and provider", true,
			[]string{"patient_visible", "permission_granted", "provider_bookable"}, nil, true, appointment},
		{"clinical note view", true, visible, nil, false, note("view")},
		{"report on a patient group", true, []string{"patient_group_accessible", "permission_granted"}, nil, false, reports},
		{"provider booked by a patient", true, []string{"provider_bookable"}, nil, false, booking("book")},

		{"patient delete, permission missing", false, []string{"permission_missing"}, nil, true, patient("delete")},
		{"patient update, not visible", false, []string{"patient_not_visible"}, nil, true, patient("update")},
		{"stock update, permission missing", false, []string{"permission_missing"}, nil, true, plain("stock", "update")},
		{"appointment create, provider not bookable", false, []string{"provider_not_bookable"}, nil, true, appointment},
		{"patient delete, neither", false, []string{"patient_not_visible", "permission_missing"}, nil, false, patient("delete")},
		{"clinical note create, unknown patient", false, []string{"reference_unknown"}, nil, false, unknownNote},
		{"report, group not accessible", false, []string{"patient_group_not_accessible"}, nil, false, reports},
		{"provider viewed by a patient, not bookable", false, []string{"provider_not_bookable"}, nil, false, booking("view")},
	}
}

// ask makes each questions of every kind, shuffled, the same every time. Whether
// one is of its kind is what service decides.
func ask(ctx context.Context, o *organisation, service *authz.Service, each int) []question {
	d := newDraws(o, 1)
	var all []question
	for _, k := range kinds() {
		for range each {
			all = append(all, k.find(ctx, d, service))
		}
	}
	d.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// find draws until a question is of kind k.
func (k *kind) find(ctx context.Context, d *draws, service *authz.Service) question {
	for range 100_000 {
		q := question{kind: k.name, request: k.draw(d)}
		q.decide(ctx, service)
		why := q.answer.Context
		if q.answer.Decision == k.allow && slices.Equal(why.Reasons, k.reasons) && (k.routes == nil || slices.Equal(why.Routes, k.routes)) {
			return q
		}
	}
	check(fmt.Errorf("no question is a %q; the policy or the organisation has changed", k.name))
	return question{}
}

// decide has the question answered by service.
func (q *question) decide(ctx context.Context, service *authz.Service) {
	decision, _, err := service.Decide(ctx, organisationName, &q.request, authz.Freshness{})
	check(err)
	q.answer = wireAnswer{Decision: decision.Allow}
	check(json.Unmarshal(decision.Context, &q.answer.Context))
}

// unrepeated are questions with a number in their context that changes whenever
// they are sent.
func unrepeated(all []question) []question {
	once := slices.Clone(all)
	for i := range once {
		again := map[string]any{differing: differingZero}
		maps.Copy(again, once[i].request.Context)
		once[i].request.Context = again
	}
	return once
}

// draws makes random questions that are near to being allowed.
type draws struct {
	*organisation
	r *rand.Rand
	n int
}

func newDraws(o *organisation, seed uint64) *draws {
	return &draws{organisation: o, r: rand.New(rand.NewPCG(organisationSeed, seed))} //nolint:gosec // the same every time
}

// batch draws a member and patients, half of them such as the member often sees.
func (d *draws) batch(action string) (batch []question) {
	member := one(d.r, d.members)
	taken := map[string]bool{}
	add := func(patient *authz.Fact) {
		if !taken[patient.ID] {
			taken[patient.ID] = true
			batch = append(batch, question{kind: "patient " + action + ", in a batch", request: authz.Request{
				Subject:  authz.Entity{Type: string(authz.KindTeamMember), ID: member.ID},
				Action:   authz.Action{Name: action},
				Resource: authz.Entity{Type: string(authz.KindPatient), ID: patient.ID},
			}})
		}
	}
	near := d.caredForBy[member.ID]
	for _, group := range member.Access {
		near = append(near[:len(near):len(near)], d.patientsOf[group]...)
	}
	for _, patient := range near[:min(len(near), batchSize/2)] {
		add(patient)
	}
	for len(batch) < batchSize {
		add(one(d.r, d.patients))
	}
	d.r.Shuffle(batchSize, func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
	return batch
}

// pair draws a team member, and a patient they often see.
func (d *draws) pair() (member, patient *authz.Fact) {
	member = one(d.r, d.members)
	near := d.patients
	switch d.r.IntN(3) {
	case 0:
		near = d.patientsOf[one(d.r, member.Access)]
	case 1:
		near = d.caredForBy[member.ID]
	}
	if len(near) == 0 {
		near = d.patients
	}
	return member, one(d.r, near)
}

// provider draws a provider, often one bookable for the patient.
func (d *draws) provider(patient *authz.Fact) *authz.Fact {
	if d.r.IntN(2) == 0 {
		start := d.r.IntN(len(d.providers))
		for i := range d.providers {
			p := d.providers[(start+i)%len(d.providers)]
			if slices.Contains(p.Booking, patient.PatientGroup) {
				return p
			}
		}
	}
	return one(d.r, d.providers)
}

// request makes a request; every fourth has a context.
func (d *draws) request(subject *authz.Fact, action, typ, id string, properties map[string]any) authz.Request {
	d.n++
	r := authz.Request{
		Subject:  authz.Entity{Type: string(subject.Kind), ID: subject.ID},
		Action:   authz.Action{Name: action},
		Resource: authz.Entity{Type: typ, ID: id, Properties: properties},
	}
	if d.n%4 == 0 {
		r.Context = map[string]any{"time": "2026-06-27T18:03:00Z"}
	}
	return r
}

// number names something that the directory holds no facts of.
func (d *draws) number(prefix string) string { return fmt.Sprintf("%s-%d", prefix, d.r.IntN(100_000)) }

func patient(action string) func(*draws) authz.Request {
	return func(d *draws) authz.Request {
		member, patient := d.pair()
		return d.request(member, action, "patient", patient.ID, nil)
	}
}

func plain(typ, action string) func(*draws) authz.Request {
	return func(d *draws) authz.Request {
		return d.request(one(d.r, d.members), action, typ, d.number(typ), nil)
	}
}

func note(action string) func(*draws) authz.Request {
	return func(d *draws) authz.Request {
		member, patient := d.pair()
		return d.request(member, action, "clinical_note", d.number("n"), map[string]any{"patient": patient.ID})
	}
}

func unknownNote(d *draws) authz.Request {
	return d.request(one(d.r, d.members), "create", "clinical_note", d.number("n"), map[string]any{"patient": d.number("p-0")})
}

func appointment(d *draws) authz.Request {
	member, patient := d.pair()
	provider := d.provider(patient)
	return d.request(member, "create", "appointment", d.number("a"), map[string]any{"patient": patient.ID, "provider": provider.ID})
}

func reports(d *draws) authz.Request {
	member := one(d.r, d.members)
	group := one(d.r, d.patientGroups)
	if d.r.IntN(2) == 0 {
		group = one(d.r, member.Access)
	}
	return d.request(member, "view", "report", d.number("r"), map[string]any{"patient_group": group})
}

func booking(action string) func(*draws) authz.Request {
	return func(d *draws) authz.Request {
		patient := one(d.r, d.patients)
		return d.request(patient, action, "provider", d.provider(patient).ID, nil)
	}
}
