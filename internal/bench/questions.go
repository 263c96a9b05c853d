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
	name        string
	typ, action string // of the resource
	allow       bool
	inside      bool     // measured in process too
	reasons     []string // sorted
	routes      []string // sorted; nil for any
}

// question is one question with the answer it must have.
type question struct {
	kind    string
	request authz.Request
	answer  wireAnswer
}

// wire is the question as AuthZEN writes it.
func (q question) wire() wireRequest {
	r := q.request
	return wireRequest{Subject: wireEntity(r.Subject), Action: wireAction(r.Action), Resource: wireEntity(r.Resource), Context: r.Context}
}

// kinds are half allows and half denies.
func kinds() []kind {
	visible := []string{"patient_visible", "permission_granted"}
	return []kind{
		{"patient update, by Access", "patient", "update", true, true, visible, []string{"patient_group_access"}},
		{"patient update, by care team", "patient", "update", true, true, visible, []string{"care_team"}},
		{"patient view, by View All Patients", "patient", "view", true, true, visible, []string{"view_all_patients"}},
		{"stock update", "stock", "update", true, true, []string{"permission_granted"}, nil},
		{"appointment create, patient and provider", "appointment", "create", true, true, append(visible, "provider_bookable"), nil},
		{"clinical note view", "clinical_note", "view", true, false, visible, nil},
		{"report on a patient group", "report", "view", true, false, []string{"patient_group_accessible", "permission_granted"}, nil},
		{"provider booked by a patient", "provider", "book", true, false, []string{"provider_bookable"}, nil},

		{"patient delete, permission missing", "patient", "delete", false, true, []string{"permission_missing"}, nil},
		{"patient update, not visible", "patient", "update", false, true, []string{"patient_not_visible"}, nil},
		{"stock update, permission missing", "stock", "update", false, true, []string{"permission_missing"}, nil},
		{"appointment create, provider not bookable", "appointment", "create", false, true, []string{"provider_not_bookable"}, nil},
		{"patient delete, neither", "patient", "delete", false, false, []string{"patient_not_visible", "permission_missing"}, nil},
		{"clinical note create, unknown patient", "clinical_note", "create", false, false, []string{"reference_unknown"}, nil},
		{"report, group not accessible", "report", "view", false, false, []string{"patient_group_not_accessible"}, nil},
		{"provider viewed by a patient, not bookable", "provider", "view", false, false, []string{"provider_not_bookable"}, nil},
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
		q := question{kind: k.name, request: d.request(k.typ, k.action)}
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

// request draws a question to do an action to a resource of a type; every fourth has a
// context.
func (d *draws) request(typ, action string) authz.Request {
	var subject, patient *authz.Fact
	var id string
	var properties map[string]any
	// number names something that the directory holds no facts of.
	number := func(prefix string) string { return fmt.Sprintf("%s-%d", prefix, d.r.IntN(100_000)) }
	switch typ + ":" + action {
	case "patient:view", "patient:update", "patient:delete":
		subject, patient = d.pair()
		id = patient.ID
	case "clinical_note:view":
		subject, patient = d.pair()
		id, properties = number("n"), map[string]any{"patient": patient.ID}
	case "clinical_note:create":
		subject = one(d.r, d.members)
		id, properties = number("n"), map[string]any{"patient": number("p-0")}
	case "appointment:create":
		subject, patient = d.pair()
		properties = map[string]any{"patient": patient.ID, "provider": d.provider(patient).ID}
		id = number("a")
	case "report:view":
		subject = one(d.r, d.members)
		group := one(d.r, d.patientGroups)
		if d.r.IntN(2) == 0 {
			group = one(d.r, subject.Access)
		}
		id, properties = number("r"), map[string]any{"patient_group": group}
	case "provider:book", "provider:view":
		subject = one(d.r, d.patients)
		id = d.provider(subject).ID
	default:
		subject, id = one(d.r, d.members), number(typ)
	}
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
