package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"time"

	"github.com/caregate/caregate/internal/authz"
)

// How many times the rate of the others Caregate must have, and how many times the
// rate of single questions a batch.
const (
	boundBare     = 0.75
	boundOPA      = 2
	boundUncached = 0.25 // of the bare handler
	boundBatch    = 3
	boundOnce     = 3  // of a batch, when neither is answered from memory
	boundInTurn   = 30 // of a batch over the OPA server, each on one connection
)

// sizeTolerance is how far the bare handler's answers may be from Caregate's in
// their mean size.
const sizeTolerance = 0.15

// The path of single questions, that of batches, and that of the OPA server.
const (
	pathSingle = "/access/v1/evaluation"
	pathBatch  = "/access/v1/evaluations"
	pathOPA    = "/v1/data/authz/decision"
)

// overHTTP measures servers that are asked the same questions in turn.
func overHTTP(
	ctx context.Context, o *organisation, service *authz.Service, all []question, root string, cfg config, progress io.Writer,
) (*result, error) {
	folder, err := os.MkdirTemp("", "caregate-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	l, err := newLineup(ctx, o, service, all, root, folder, progress)
	if err != nil {
		return nil, err
	}
	defer l.stop()
	targets := l.all()
	rates, cpus, err := loads(ctx, targets, cfg.connections, cfg, progress)
	if err != nil {
		return nil, err
	}
	inTurn, _, err := loads(ctx, []*target{l.opa, l.batches}, 1, cfg, progress)
	if err != nil {
		return nil, err
	}
	res := &result{
		title: fmt.Sprintf("Over HTTP: loopback, %d connections, %d questions, answers of %.0f bytes",
			cfg.connections, len(all), meanSize(l.caregate)),
		header: []string{"", "decisions/s", "min–max", "Caregate ÷ it", "min–max", "CPU of the server, µs a decision"},
	}
	rateOf := map[*target]spread{}
	for i, t := range targets {
		rateOf[t] = rates[i]
		ratio := rates[0].over(rates[i])
		row := []string{t.name, number(rates[i].median()), between(rates[i]), "", "", "–"}
		if i > 0 {
			row[3], row[4] = number(ratio.median()), between(ratio)
		}
		if m := cpus[i].median(); m > 0 {
			row[5] = number(m)
		}
		res.rows = append(res.rows, row)
	}
	for i, name := range []string{"OPA server on one connection", "Caregate on one connection, batches whose items do not repeat"} {
		res.rows = append(res.rows, []string{name, number(inTurn[i].median()), between(inTurn[i]), "", "", ""})
	}
	caregate := rateOf[l.caregate]
	res.check("over HTTP, rate of Caregate ÷ bare Echo handler", caregate.over(rateOf[l.bare]), atLeast, boundBare)
	res.check("over HTTP, rate of Caregate ÷ OPA server", caregate.over(rateOf[l.opa]), atLeast, boundOPA)
	res.check("over HTTP, rate of Caregate with the cache off ÷ bare Echo handler", rateOf[l.uncached].over(rateOf[l.bare]), atLeast, boundUncached)
	res.check("batch of 1,000 over HTTP, per decision ÷ single", rateOf[l.batch].over(caregate), atLeast, boundBatch)
	res.check("batch of 1,000 different patients, none asked twice, ÷ OPA server asked one question after another, per decision",
		inTurn[1].over(inTurn[0]), atLeast, boundInTurn)
	res.check("the same, no question and no item asked twice", rateOf[l.batches].over(rateOf[l.never]), atLeast, boundOnce)
	return res, nil
}

// loads lets the targets take turns.
func loads(ctx context.Context, targets []*target, connections int, cfg config, progress io.Writer) (rates, cpus []spread, err error) {
	rates, cpus = make([]spread, len(targets)), make([]spread, len(targets))
	for _, t := range targets { // once for nothing: heaps grow to their size
		if _, err := t.run(ctx, connections, cfg.turn); err != nil {
			return nil, nil, err
		}
	}
	for round := range cfg.rounds {
		for _, i := range turns(len(targets), round) {
			l, err := targets[i].run(ctx, connections, cfg.turn)
			if err != nil {
				return nil, nil, err
			}
			rates[i], cpus[i] = append(rates[i], l.rate), append(cpus[i], l.cpu)
		}
		_, _ = fmt.Fprintf(progress, "round %d of %d:", round+1, cfg.rounds)
		for i := range targets {
			_, _ = fmt.Fprintf(progress, " %s", number(rates[i][round]))
		}
		_, _ = fmt.Fprintln(progress, " answers/s")
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(10 * time.Millisecond): // connections close
		}
	}
	return rates, cpus, nil
}

// agree makes sure that Caregate and OPA gave the same decision to every question,
// the one that its kind has, with the same account.
func agree(all []question, caregate, opa *target) error {
	allows := 0
	for i, q := range all {
		var ours wireResponse
		var theirs struct {
			Result struct {
				Allow   bool    `json:"allow"`
				Context account `json:"context"`
			} `json:"result"`
			ID string `json:"decision_id"`
		}
		if err := errors.Join(strictly(caregate.answers[i], &ours), strictly(opa.answers[i], &theirs)); err != nil {
			return fmt.Errorf("question %s: %w", q.body, err)
		}
		if ours.Decision != q.kind.allow || theirs.Result.Allow != q.kind.allow ||
			!reflect.DeepEqual(ours.Context, theirs.Result.Context) {
			return fmt.Errorf("the servers disagree about a question of the kind %q:\n%s\nCaregate: %s\nOPA: %s",
				q.kind.name, q.body, caregate.answers[i], opa.answers[i])
		}
		if ours.Decision {
			allows++
		}
	}
	if share := float64(allows) / float64(len(all)); share < 0.4 || share > 0.6 {
		return fmt.Errorf("%.0f %% of the questions are allowed; they should be about half", 100*share)
	}
	return nil
}

// resembles makes sure that what the bare handler answers is well-formed and of
// about the same size.
func resembles(bare, caregate *target) error {
	for i, answer := range bare.answers {
		var w wireResponse
		if err := strictly(answer, &w); err != nil {
			return fmt.Errorf("%s: question %d: %w", bare.name, i, err)
		}
		if len(w.Context.Reasons) == 0 {
			return fmt.Errorf("%s: question %d has no answer: %s", bare.name, i, answer)
		}
	}
	ours, theirs := meanSize(caregate), meanSize(bare)
	if theirs < ours*(1-sizeTolerance) || theirs > ours*(1+sizeTolerance) {
		return fmt.Errorf("the bare handler answers %.0f bytes in the mean and Caregate %.0f; they should be about the same", theirs, ours)
	}
	return nil
}

func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w in %s", err, text)
	}
	return nil
}

func meanSize(t *target) float64 {
	total := 0
	for _, answer := range t.answers {
		total += len(answer)
	}
	return float64(total) / float64(len(t.answers))
}
