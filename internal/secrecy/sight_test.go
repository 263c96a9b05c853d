package secrecy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// question is an evaluation about the actor.
type question struct{ action, typ, id, patient, provider, group string }

// allows asks the policy, as any service would.
func (s *side) allows(ctx context.Context, organisation string, a actor, questions []question) ([]bool, error) {
	type object = map[string]any
	items := make([]object, len(questions))
	for i, q := range questions {
		properties := object{}
		if q.patient != "" {
			properties["patient"] = q.patient
		}
		if q.provider != "" {
			properties["provider"] = q.provider
		}
		if q.group != "" {
			properties["patient_group"] = q.group
		}
		items[i] = object{"action": object{"name": q.action}, "resource": object{"type": q.typ, "id": q.id, "properties": properties}}
	}
	body, err := json.Marshal(object{"subject": object{"type": a.typ, "id": a.id}, "evaluations": items})
	if err != nil {
		return nil, err
	}
	got := send(ctx, s.decisions, http.MethodPost, "/organisations/"+organisation+"/access/v1/evaluations", string(body))
	var answers struct {
		Evaluations []struct{ Decision *bool }
	}
	if err := json.Unmarshal([]byte(got.body), &answers); err != nil || got.status != http.StatusOK || len(answers.Evaluations) != len(questions) {
		return nil, fmt.Errorf("evaluations: %d %s", got.status, got.body)
	}
	out := make([]bool, len(questions))
	for i, e := range answers.Evaluations {
		if e.Decision == nil {
			return nil, fmt.Errorf("evaluations: no decision about %v in %s", questions[i], got.body)
		}
		out[i] = *e.Decision
	}
	return out, nil
}

// sight is what an organisation shows an actor, by the policy's own answers.
type sight struct {
	visible map[key]bool
	// rights are the answers about what the actor may do, to whom they see and to whom they do not.
	rights map[question]bool
	// holds are the names of the permissions that the actor has, which they may pass on (A4).
	holds []string
}

// viewing are the questions of which one has to be allowed for a record to be visible.
func viewing(w world, k key) []question {
	switch k.kind {
	case "patient":
		return []question{{action: "view", typ: "patient", id: k.id}}
	case "booking":
		// Who could make it for the patient may end it (B4), and has to be told whether it is there.
		patient := w[k].patient
		return []question{{action: "view", typ: "appointment", id: k.id, patient: patient, provider: w[k].provider},
			{action: "create", typ: "appointment", id: k.id, patient: patient}}
	case "patient_group":
		return []question{{action: "view", typ: "settings", id: k.id}}
	}
	return []question{{action: "view", typ: "user", id: k.id}}
}

// doing are the questions on which the rules let changes depend (A1), over everything that is there in one of the
// organisations. Left out is create on a patient, whose answer is "exists" for whoever is there: see (*pair).acted.
func doing(all []key) (out []question) {
	for _, action := range []string{"view", "create", "update", "delete"} {
		out = append(out, question{action: action, typ: "user", id: "any"}, question{action: action, typ: "settings", id: "any"})
	}
	out = append(out, question{action: "create", typ: "patient", id: "any"})
	var patients, members []string
	for _, k := range all {
		switch k.kind {
		case "patient_group":
			out = append(out, question{action: "view", typ: "report", id: "any", group: k.id})
		case "patient":
			patients = append(patients, k.id)
			for _, action := range []string{"view", "update", "delete"} {
				out = append(out, question{action: action, typ: "patient", id: k.id})
			}
		case "team_member":
			members = append(members, k.id)
			out = append(out, question{action: "view", typ: "provider", id: k.id}, question{action: "book", typ: "provider", id: k.id})
		}
	}
	for _, patient := range patients {
		for _, member := range members {
			out = append(out, question{action: "book", typ: "provider", id: member, patient: patient})
		}
	}
	return out
}

// sees asks for the sight of an organisation. All are the records of both organisations.
func (s *side) sees(ctx context.Context, organisation string, w world, a actor, all []key) (sight, error) {
	keys, questions := w.keys(), doing(all)
	n := len(questions)
	var of []key // the record of each question about sight
	for _, k := range keys {
		for _, q := range viewing(w, k) {
			questions, of = append(questions, q), append(of, k)
		}
	}
	answers, err := s.allows(ctx, organisation, a, questions)
	if err != nil {
		return sight{}, err
	}
	out := sight{visible: map[key]bool{}, rights: map[question]bool{}}
	if out.holds, err = s.permissions(ctx, organisation, a); err != nil {
		return sight{}, err
	}
	for i, q := range questions[:n] {
		out.rights[q] = answers[i]
	}
	for i, k := range of {
		// What is their own they know: the record that holds their rights, and a patient's bookings, which are theirs to cancel (B3).
		own := k == key{a.typ, a.id} || a.typ == "patient" && k.kind == "booking" && w[k].patient == a.id
		out.visible[k] = out.visible[k] || answers[n+i] || own
	}
	return out, nil
}

// permissions are the names of what a member holds (P6).
func (s *side) permissions(ctx context.Context, organisation string, a actor) ([]string, error) {
	got := send(ctx, s.decisions, http.MethodGet, "/organisations/"+organisation+"/v1/permissions/"+a.id, "")
	var held struct{ Permissions map[string]any }
	if got.status == http.StatusNotFound || a.typ == "patient" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(got.body), &held); err != nil || got.status != http.StatusOK || held.Permissions == nil {
		return nil, fmt.Errorf("permissions: %d %s", got.status, got.body)
	}
	return slices.Sorted(maps.Keys(held.Permissions)), nil
}

// union are the records of both.
func union(a, b world) []key {
	out := append(a.keys(), b.keys()...)
	slices.SortFunc(out, byKind)
	return slices.Compact(out)
}

// apart says in which visible way two organisations differ, and "" if they show the actor the same.
func apart(a, b world, sa, sb sight) string {
	for _, k := range union(a, b) {
		switch {
		case sa.visible[k] != sb.visible[k]:
			return k.String() + " is visible in one of them"
		case sa.visible[k] && a.content(k) != b.content(k):
			return k.String() + " is visible, and not the same"
		}
	}
	for q, allowed := range sa.rights {
		if sb.rights[q] != allowed {
			return fmt.Sprintf("%+v is allowed in one of them", q)
		}
	}
	if !slices.Equal(sa.holds, sb.holds) {
		return "the actor holds other permissions"
	}
	return ""
}
