package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/caregate/caregate/internal/authz"
)

// A batch asks about as many different patients as a list on a screen may need at
// once.
const (
	batchSize  = 1000
	batchCount = 16
	// comparedBatches are those of which each item is asked of the OPA server too.
	comparedBatches = 3
)

// wireBatch is an AuthZEN evaluations request whose items share subject, action and
// context.
type wireBatch struct {
	Subject wireEntity `json:"subject"`
	Action  struct {
		Name string `json:"name"`
	} `json:"action"`
	Context     map[string]any `json:"context,omitempty"`
	Evaluations []wireItem     `json:"evaluations"`
}

type wireItem struct {
	Resource wireEntity `json:"resource"`
}

// batchQuestion is a batch with the decisions that it must have.
type batchQuestion struct {
	body  wireBatch
	allow []bool
}

// batches makes batches about different team members, with the decision that the
// same question alone has.
func batches(ctx context.Context, o *organisation, service *authz.Service) ([]batchQuestion, error) {
	d := &draws{organisation: o, r: rand.New(rand.NewPCG(organisationSeed, 2))} //nolint:gosec // the same every time
	actions := []string{"view", "update", "delete"}
	all := make([]batchQuestion, batchCount)
	for i := range all {
		all[i] = d.batch(actions[i%len(actions)])
		b := &all[i].body
		for _, item := range b.Evaluations {
			decision, _, err := service.Decide(ctx, organisationName, &authz.Request{
				Subject:  authz.Entity{Type: b.Subject.Type, ID: b.Subject.ID},
				Action:   authz.Action{Name: b.Action.Name},
				Resource: authz.Entity{Type: item.Resource.Type, ID: item.Resource.ID},
			}, authz.Freshness{})
			if err != nil {
				return nil, err
			}
			all[i].allow = append(all[i].allow, decision.Allow)
		}
	}
	return all, nil
}

// batch draws a member and patients, half of them such as the member often sees.
func (d *draws) batch(action string) (q batchQuestion) {
	member := one(d.r, d.members)
	b := &q.body
	b.Subject = wireEntity{Type: string(authz.KindTeamMember), ID: member.ID}
	b.Action.Name = action
	taken := map[string]bool{}
	add := func(patient *authz.Fact) {
		if !taken[patient.ID] {
			taken[patient.ID] = true
			b.Evaluations = append(b.Evaluations, wireItem{wireEntity{Type: string(authz.KindPatient), ID: patient.ID}})
		}
	}
	near := d.caredForBy[member.ID]
	for _, group := range member.Access {
		near = append(near[:len(near):len(near)], d.patientsOf[group]...)
	}
	for _, patient := range near[:min(len(near), batchSize/2)] {
		add(patient)
	}
	for len(taken) < batchSize {
		add(one(d.r, d.patients))
	}
	d.r.Shuffle(batchSize, func(i, j int) { b.Evaluations[i], b.Evaluations[j] = b.Evaluations[j], b.Evaluations[i] })
	return q
}

// newBatchTarget writes the requests of batches. differ puts a number into each
// that changes whenever it is sent.
func newBatchTarget(name, addr string, child *process, all []batchQuestion, differ bool) (*target, error) {
	t := &target{name: name, addr: addr, child: child, decisions: batchSize, differ: differ}
	for _, q := range all {
		if differ {
			q.body.Context = map[string]any{differing: differingZero}
		}
		body, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		t.add(pathBatch, body)
	}
	return t, nil
}

// agreeBatches makes sure that every item of every batch was decided as it is when
// it is asked alone.
func agreeBatches(all []batchQuestion, t *target) error {
	for i, q := range all {
		var w struct {
			Evaluations []wireResponse `json:"evaluations"`
		}
		if err := strictly(t.answers[i], &w); err != nil {
			return err
		}
		if len(w.Evaluations) != batchSize {
			return fmt.Errorf("%s: batch %d has %d answers", t.name, i, len(w.Evaluations))
		}
		for j, e := range w.Evaluations {
			if e.Decision != q.allow[j] || len(e.Context.Reasons) == 0 {
				return fmt.Errorf("%s: batch %d decides item %d otherwise than the same question alone", t.name, i, j)
			}
		}
	}
	return nil
}

// agreeWithOPA asks the OPA server about each item of batches, and makes sure that it
// decides as they were.
func agreeWithOPA(ctx context.Context, lists []batchQuestion, opa *target) error {
	c, err := dial(ctx, opa.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.conn.Close() }()
	for i, q := range lists {
		for j, item := range q.body.Evaluations {
			body, err := encode(&authz.Request{
				Subject:  authz.Entity{Type: q.body.Subject.Type, ID: q.body.Subject.ID},
				Action:   authz.Action{Name: q.body.Action.Name},
				Resource: authz.Entity{Type: item.Resource.Type, ID: item.Resource.ID},
			})
			if err != nil {
				return err
			}
			one := target{addr: opa.addr}
			one.add(pathOPA, fmt.Appendf(nil, `{"input":%s}`, body))
			answer, err := c.ask(one.requests[0])
			if err != nil {
				return fmt.Errorf("%s: %w", opa.name, err)
			}
			var w struct {
				Result struct {
					Allow bool `json:"allow"`
				} `json:"result"`
			}
			if err := json.Unmarshal(answer, &w); err != nil {
				return err
			}
			if w.Result.Allow != q.allow[j] {
				return fmt.Errorf("the OPA server decides item %d of batch %d otherwise than the batch did", j, i)
			}
		}
	}
	return nil
}
