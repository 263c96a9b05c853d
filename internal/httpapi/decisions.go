package httpapi

import (
	"log/slog"
	"net/http"

	"github.com/caregate/caregate/internal/authz"
)

// evaluation answers one question (AuthZEN 1.0, section 6). A deny is a 200.
func (a *API) evaluation(x *exchange) error {
	if err := x.read(); err != nil {
		return err
	}
	request, err := x.in.evaluation()
	if err != nil {
		return err
	}
	return x.decide(request)
}

// decide asks one question and answers it as an evaluation.
func (x *exchange) decide(request *authz.Request) error {
	decision, stated, err := x.ask(request)
	if err != nil {
		return err
	}
	x.out = appendDecision(x.out[:0], decision)
	x.answer(stated)
	return nil
}

// ask asks one question and tells the observer how it ended.
func (x *exchange) ask(request *authz.Request) (authz.Decision, authz.Stated, error) {
	fresh, err := x.freshness()
	if err != nil {
		return authz.Decision{}, authz.Stated{}, err
	}
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
	if err := x.read(); err != nil {
		return err
	}
	b, err := x.in.evaluations(a.cfg.MaxBatch)
	if err != nil {
		return err
	}
	if b.single != nil {
		return x.decide(b.single)
	}
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	decisions, failed, stated, err := a.cfg.Service.DecideAll(x.ctx, x.organisation(), b.requests, b.semantic, fresh)
	if err != nil {
		a.cfg.Observer.DecisionMade(x.ctx, Failed)
		return err
	}
	errs := func(i int) error {
		if b.bad != nil && b.bad[i] != nil {
			return b.bad[i]
		}
		if failed[i] == nil {
			return nil
		}
		return b.at(i, failed[i])
	}
	x.account(decisions, errs)
	x.out = appendBatch(x.out[:0], decisions, errs)
	x.answer(stated)
	return nil
}

// account tells the observer of each item, and logs the first of those that the
// service failed to answer: the caller learns of it as a deny, with status 500.
func (x *exchange) account(decisions []authz.Decision, errs func(int) error) {
	var first error
	faults := 0
	for i, d := range decisions {
		err := errs(i)
		if err == nil {
			x.decided(d)
			continue
		}
		x.api.cfg.Observer.DecisionMade(x.ctx, Failed)
		if p, _, _ := describe(err); p.status >= http.StatusInternalServerError {
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
