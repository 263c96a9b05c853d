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
	caregate := s.startCaregate(ctx, redis, cacheDefault)
	once := s.startCaregate(ctx, redis, cacheDefault)
	uncached := s.startCaregate(ctx, redis, cacheOff)
	bare := s.startSelf(ctx, serveBare)
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
	single := s.newTarget(ctx, "Caregate, facts in Redis and cached", caregate, pathSingle, s.questions)
	echo := s.newTarget(ctx, "bare Echo handler, the same JSON, no decision", bare, pathSingle, s.questions)
	opaSingle := s.newTarget(ctx, "OPA server "+version+", facts in data", opa, pathOPA, s.questions)
	never := s.newTarget(ctx, "Caregate, no question asked twice", once, pathSingle, unrepeated(s.questions))
	reading := s.newTarget(ctx, "Caregate, cache off: each question reads Redis", uncached, pathSingle, s.questions)
	batch := s.newTarget(ctx, "Caregate, batches of "+number(batchSize), caregate, pathBatch, lists)
	neverBatch := s.newTarget(ctx, "the same, no item asked twice", once, pathBatch, unrepeated(lists))
	opaItems := s.newTarget(ctx, opaSingle.name, opa, pathOPA, lists[:comparedBatches*batchSize])
	for _, t := range []*target{single, opaSingle, never, reading, batch, neverBatch, opaItems} {
		t.agree()
	}
	resemble(echo, single)

	all := []*contender{
		&single.contender, &echo.contender, &opaSingle.contender, &never.contender, &reading.contender, &batch.contender, &neverBatch.contender,
	}
	opaInTurn := &contender{name: "OPA server on one connection", turn: opaSingle.turnOn(1, s.turn)}
	inTurn := &contender{name: "Caregate on one connection, batches whose items do not repeat", turn: neverBatch.turnOn(1, s.turn)}
	onOne := []*contender{opaInTurn, inTurn}
	for _, contenders := range [][]*contender{all, onOne} {
		warmUp(ctx, contenders)
		s.takeTurns(ctx, s.rounds, "answers/s", contenders)
	}

	t := &table{
		title: fmt.Sprintf("Over HTTP: loopback, %d connections, %d questions, answers of %.0f bytes",
			s.connections, len(s.questions), single.answerSize()),
		header: []string{"", "decisions/s", "min–max", "Caregate ÷ it", "min–max", "CPU of the server, µs a decision"},
		bounds: []bound{
			{"over HTTP, rate of Caregate ÷ bare Echo handler", single.over(&echo.contender), atLeast, 0.75},
			{"over HTTP, rate of Caregate ÷ OPA server", single.over(&opaSingle.contender), atLeast, 2},
			{"over HTTP, rate of Caregate with no question asked twice ÷ bare Echo handler", never.over(&echo.contender), atLeast, 0.5},
			{"over HTTP, rate of Caregate with the cache off ÷ bare Echo handler", reading.over(&echo.contender), atLeast, 0.25},
			{"batch of 1,000 over HTTP, per decision ÷ single", batch.over(&single.contender), atLeast, 3},
			{
				"batch of 1,000 different patients, none asked twice, ÷ OPA server asked one question after another, per decision",
				inTurn.over(opaInTurn), atLeast, 30,
			},
			{"the same, no question and no item asked twice", neverBatch.over(&never.contender), atLeast, 3},
		},
	}
	for _, c := range all {
		cpu := "–"
		if c.further.median() > 0 {
			cpu = number(c.further.median())
		}
		t.row(c.name, c.value, single.over(c), cpu)
	}
	for _, c := range onOne {
		t.row(c.name, c.value, spread(nil), "")
	}
	return t
}

// resemble makes sure that the bare handler's answers are well-formed and of about the
// same size as Caregate's.
func resemble(bare, caregate *target) {
	for i, text := range bare.answers {
		if answers := answersOf(text); len(answers[0].Context.Reasons) == 0 {
			check(fmt.Errorf("%s: question %d has no answer: %s", bare.name, i, text))
		}
	}
	const tolerance = 0.15
	if ours, theirs := caregate.answerSize(), bare.answerSize(); math.Abs(theirs-ours) > tolerance*ours {
		check(fmt.Errorf("the bare handler answers %.0f bytes in the mean and Caregate %.0f; they should be about the same", theirs, ours))
	}
}
