package main

import (
	"context"
	"fmt"
	"math"
)

const (
	// batchCount is how many batches are asked, about different team members.
	batchCount = 16
	// comparedBatches are those of which each item is asked of the OPA server too.
	comparedBatches = 3
)

// overHTTP measures servers that are asked the same questions in turn, and compares
// their answers before.
func overHTTP(ctx context.Context, s *stage) *table {
	redis := s.startFilled(ctx, s.organisation)
	caregate := s.startCaregate(ctx, redis, cacheDefault).process
	once := s.startCaregate(ctx, redis, cacheDefault).process
	uncached := s.startCaregate(ctx, redis, cacheOff).process
	bare := s.startSelf(ctx, serveBare).process
	opa, version := s.startOPA(ctx, s.organisation, s.service)
	var lists []question
	d := newDraws(s.organisation, 2)
	for i := range batchCount {
		lists = append(lists, d.batch([]string{"view", "update", "delete"}[i%3])...)
	}
	for i := range lists {
		lists[i].decide(ctx, s.service)
	}

	s.say("asking each server %d questions, and comparing the answers", len(s.questions))
	single := newTarget(ctx, "Caregate, facts in Redis and cached", caregate, singles(), s.questions, 1)
	echo := newTarget(ctx, "bare Echo handler, the same JSON, no decision", bare, singles(), s.questions, 1)
	opaSingle := newTarget(ctx, "OPA server "+version+", facts in data", opa, opaSingles(), s.questions, 1)
	targets := []*target{
		single, echo, opaSingle,
		newTarget(ctx, "Caregate, no question asked twice", once, singles(), unrepeated(s.questions), 1),
		newTarget(ctx, "Caregate, cache off: each question reads Redis", uncached, singles(), s.questions, 1),
		newTarget(ctx, "Caregate, batches of "+number(batchSize), caregate, batches(), lists, batchSize),
		newTarget(ctx, "the same, no item asked twice", once, batches(), unrepeated(lists), batchSize),
	}
	for _, t := range targets {
		if t != echo {
			t.agree()
		}
	}
	newTarget(ctx, opaSingle.name, opa, opaSingles(), lists[:comparedBatches*batchSize], 1).agree()
	resemble(echo, single)

	var all []*contender
	for _, t := range targets {
		all = append(all, t.contender(s.connections, s.turn))
	}
	opaInTurn, batchesInTurn := opaSingle.contender(1, s.turn), targets[6].contender(1, s.turn)
	opaInTurn.name, batchesInTurn.name = "OPA server on one connection", "Caregate on one connection, batches whose items do not repeat"
	inTurn := []*contender{opaInTurn, batchesInTurn}
	for _, group := range [][]*contender{all, inTurn} {
		warmUp(ctx, group)
		s.takeTurns(ctx, s.rounds, "answers/s", group)
	}

	singles, never, cacheless, batch, batchNever := all[0], all[3], all[4], all[5], all[6]
	t := &table{
		title: fmt.Sprintf("Over HTTP: loopback, %d connections, %d questions, answers of %.0f bytes",
			s.connections, len(s.questions), single.answerSize()),
		header: []string{"", "decisions/s", "min–max", "Caregate ÷ it", "min–max", "CPU of the server, µs a decision"},
		bounds: []bound{
			{"over HTTP, rate of Caregate ÷ bare Echo handler", singles.over(all[1]), atLeast, 0.75},
			{"over HTTP, rate of Caregate ÷ OPA server", singles.over(all[2]), atLeast, 2},
			{"over HTTP, rate of Caregate with the cache off ÷ bare Echo handler", cacheless.over(all[1]), atLeast, 0.25},
			{"batch of 1,000 over HTTP, per decision ÷ single", batch.over(singles), atLeast, 3},
			{
				"batch of 1,000 different patients, none asked twice, ÷ OPA server asked one question after another, per decision",
				batchesInTurn.over(opaInTurn), atLeast, 30,
			},
			{"the same, no question and no item asked twice", batchNever.over(never), atLeast, 3},
		},
	}
	for i, c := range all {
		ratio, cpu := singles.over(c), "–"
		if i == 0 {
			ratio = nil
		}
		if c.further.median() > 0 {
			cpu = number(c.further.median())
		}
		t.row(c.name, c.value, ratio, cpu)
	}
	for _, c := range inTurn {
		t.row(c.name, c.value, spread(nil), "")
	}
	return t
}

// resemble makes sure that the bare handler's answers are well-formed and of about the
// same size as Caregate's.
func resemble(bare, caregate *target) {
	for i, text := range bare.answers {
		if answers := must(bare.protocol.read(text)); len(answers[0].Context.Reasons) == 0 {
			check(fmt.Errorf("%s: question %d has no answer: %s", bare.name, i, text))
		}
	}
	const tolerance = 0.15
	if ours, theirs := caregate.answerSize(), bare.answerSize(); math.Abs(theirs-ours) > tolerance*ours {
		check(fmt.Errorf("the bare handler answers %.0f bytes in the mean and Caregate %.0f; they should be about the same", theirs, ours))
	}
}
