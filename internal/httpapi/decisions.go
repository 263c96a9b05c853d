package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/wire"
)

// evaluation answers one question (AuthZEN 1.0, section 6). A deny is a 200.
func (a *API) evaluation(x *exchange) error {
	request, fresh, err := question(x, (*wire.Decoder).Evaluation)
	if err != nil {
		return err
	}
	return x.evaluate(request, fresh)
}

// evaluate asks one question and answers it as an evaluation.
func (x *exchange) evaluate(request *authz.Request, fresh authz.Freshness) error {
	decision, stated, err := x.decide(request, fresh)
	if err != nil {
		return err
	}
	x.out = wire.AppendDecision(x.out[:0], decision)
	return x.answer(stated)
}

// decide asks one question and tells the observer how it ended.
func (x *exchange) decide(request *authz.Request, fresh authz.Freshness) (authz.Decision, authz.Stated, error) {
	decision, stated, err := x.api.cfg.Service.Decide(x.ctx, x.organisation(), request, fresh)
	if err != nil {
		x.api.cfg.Observer.DecisionMade(x.ctx, Failed)
		return authz.Decision{}, stated, err
	}
	x.decided(decision)
	return decision, stated, nil
}

func (x *exchange) decided(d authz.Decision) {
	outcome := Denied
	if d.Allow {
		outcome = Allowed
	}
	x.api.cfg.Observer.DecisionMade(x.ctx, outcome)
}

// evaluations answers a batch at one revision (AuthZEN 1.0, section 7), and a
// request without items as one evaluation.
func (a *API) evaluations(x *exchange) error {
	batch, fresh, err := question(x, func(d *wire.Decoder, body []byte) (*wire.Batch, error) { return d.Evaluations(body, a.cfg.MaxBatch) })
	if err != nil {
		return err
	}
	if batch.Single != nil {
		return x.evaluate(batch.Single, fresh)
	}
	decisions, failed, stated, err := a.cfg.Service.DecideAll(x.ctx, x.organisation(), batch.Requests, batch.Semantic, fresh)
	if err != nil {
		a.cfg.Observer.DecisionMade(x.ctx, Failed)
		return err
	}
	x.account(batch, decisions, failed)
	x.out = wire.AppendDecisions(x.out[:0], decisions, func(i int) (status int, message string) {
		if err := batch.Failed(i, failed[i]); err != nil {
			p := describe(err)
			return p.Status, p.Detail
		}
		return 0, ""
	})
	return x.answer(stated)
}

// account tells the observer of each item, and logs the first of those that the
// service failed to answer: the caller learns of it as a deny, with status 500.
func (x *exchange) account(batch *wire.Batch, decisions []authz.Decision, failed []error) {
	var first error
	faults := 0
	for i, d := range decisions {
		err := batch.Failed(i, failed[i])
		if err == nil {
			x.decided(d)
			continue
		}
		x.api.cfg.Observer.DecisionMade(x.ctx, Failed)
		if problemOf(authz.KindOf(err)).status >= http.StatusInternalServerError {
			faults++
			if first == nil {
				first = err
			}
		}
	}
	if first != nil {
		x.log(slog.LevelError, "items of a batch failed", slog.Int("failed", faults), slog.String("error", first.Error()))
	}
}

// dataAllow answers OPA's clients (OPA REST API, "Get a Document (with Input)")
// at the policy's entry point authz/allow: true, or no result.
func (a *API) dataAllow(x *exchange) error { return x.data(wire.AppendAllowResult) }

// dataDecision answers at authz/decision: whether and why, or no result when
// the policy said nothing.
func (a *API) dataDecision(x *exchange) error { return x.data(wire.AppendDecisionResult) }

// data asks the question in OPA's input and answers with the result that
// appendResult makes of the decision. Parameters of the query, such as pretty
// and explain, change nothing.
func (x *exchange) data(appendResult func(dst []byte, d authz.Decision, id string) []byte) error {
	request, fresh, err := question(x, (*wire.Decoder).Input)
	if err != nil {
		return err
	}
	decision, stated, err := x.decide(request, fresh)
	if err != nil {
		return wire.Placed(err, wire.InInput)
	}
	x.out = appendResult(x.out[:0], decision, newID())
	return x.answer(stated)
}

// dataUnknown answers every other path of OPA's: the policy has two entry
// points, and its rules and data are not for reading.
func (a *API) dataUnknown(*exchange) error {
	return authz.Errorf(authz.NotFound, "", "the policy answers at /v1/data/authz/allow and /v1/data/authz/decision alone")
}
