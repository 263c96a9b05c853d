package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/caregate/caregate/internal/authz"
)

// kind is a kind of question, by what it asks and why it is answered as it is.
type kind struct {
	name    string
	allow   bool
	reasons []string // sorted
	routes  []string // sorted; nil for any
	inside  bool     // measured in process too
	draw    func(d *draws) authz.Request
}

// account is what the context of a decision says; it is compared, and encoded by
// the bare handler.
type account struct {
	GrantedBy  *authz.Grant `json:"granted_by,omitempty"`
	Permission string       `json:"permission,omitempty"`
	Reasons    []string     `json:"reasons"`
	References []string     `json:"references,omitempty"`
	Routes     []string     `json:"routes,omitempty"`
}

// question is one question with the answer it must have.
type question struct {
	kind    *kind
	request *authz.Request
	body    []byte // as AuthZEN 1.0 writes it
}

// kinds are half allows and half denies.
func kinds() []*kind {
	granted := []string{"permission_granted"}
	visible := []string{"patient_visible", "permission_granted"}
	return []*kind{
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
func ask(ctx context.Context, o *organisation, service *authz.Service, each int) ([]question, error) {
	d := &draws{organisation: o, r: rand.New(rand.NewPCG(organisationSeed, 1))} //nolint:gosec // the same every time
	var all []question
	for _, k := range kinds() {
		for range each {
			q, err := k.find(ctx, d, service)
			if err != nil {
				return nil, err
			}
			all = append(all, q)
		}
	}
	d.r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, nil
}

// find draws until a question is of kind k.
func (k *kind) find(ctx context.Context, d *draws, service *authz.Service) (question, error) {
	for range 100_000 {
		r := k.draw(d)
		decision, _, err := service.Decide(ctx, organisationName, &r, authz.Freshness{})
		if err != nil {
			return question{}, err
		}
		var a account
		if err := json.Unmarshal(decision.Context, &a); err != nil {
			return question{}, err
		}
		if decision.Allow == k.allow && slices.Equal(a.Reasons, k.reasons) && (k.routes == nil || slices.Equal(a.Routes, k.routes)) {
			body, err := encode(&r)
			return question{k, &r, body}, err
		}
	}
	return question{}, fmt.Errorf("no question is a %q; the policy or the organisation has changed", k.name)
}

// encode writes a request as AuthZEN does.
func encode(r *authz.Request) ([]byte, error) {
	var w wireRequest
	w.Subject = wireEntity{r.Subject.Type, r.Subject.ID, r.Subject.Properties}
	w.Action.Name = r.Action.Name
	w.Resource = wireEntity{r.Resource.Type, r.Resource.ID, r.Resource.Properties}
	w.Context = r.Context
	return json.Marshal(w)
}

// draws makes random questions that are near to being allowed.
type draws struct {
	*organisation
	r *rand.Rand
	n int
}

func one[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

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
