package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/caregate/caregate/internal/authz"
)

// lineup are the servers of a comparison, as they are asked.
type lineup struct {
	caregate *target // the questions over and over
	uncached *target // the same, each of which reads Redis
	bare     *target
	opa      *target
	never    *target // questions that do not repeat
	batch    *target // batches over and over
	batches  *target // batches whose items do not repeat
	children []*process
}

// all are the targets, Caregate first.
func (l *lineup) all() []*target {
	return []*target{l.caregate, l.bare, l.opa, l.never, l.uncached, l.batch, l.batches}
}

func (l *lineup) stop() {
	for _, child := range l.children {
		child.stop()
	}
}

// newLineup starts the servers and asks each everything once, to compare the
// answers.
func newLineup(
	ctx context.Context, o *organisation, service *authz.Service, all []question, root, folder string, progress io.Writer,
) (l *lineup, err error) {
	l = new(lineup)
	defer func() {
		if err != nil {
			l.stop()
		}
	}()
	redis, err := startRedis(ctx, folder)
	if err != nil {
		return l, err
	}
	l.children = append(l.children, redis.process)
	if _, _, err := redis.fillAll(ctx, o); err != nil {
		return l, err
	}
	self := func(args ...string) (*process, string) {
		if err != nil {
			return nil, ""
		}
		var child *process
		var addr string
		if child, addr, err = startSelf(ctx, args...); err == nil {
			l.children = append(l.children, child)
		}
		return child, addr
	}
	caregate, caregateAddr := self(serveCaregate, redis.url(), "0")
	once, onceAddr := self(serveCaregate, redis.url(), "0")
	uncached, uncachedAddr := self(serveCaregate, redis.url(), "-1")
	bare, bareAddr := self(serveBare)
	if err != nil {
		return l, err
	}
	program, version, err := installOPA(ctx, root, progress)
	if err != nil {
		return l, err
	}
	opa, opaAddr, err := startOPA(ctx, program, folder, o, service)
	if err != nil {
		return l, err
	}
	l.children = append(l.children, opa)

	asIs := func(q question) []byte { return q.body }
	l.caregate = newTarget("Caregate, facts in Redis and cached", caregateAddr, pathSingle, caregate, all, asIs)
	l.uncached = newTarget("Caregate, cache off: each question reads Redis", uncachedAddr, pathSingle, uncached, all, asIs)
	l.bare = newTarget("bare Echo handler, the same JSON, no decision", bareAddr, pathSingle, bare, all, asIs)
	l.opa = newTarget("OPA server "+version+", facts in data", opaAddr, pathOPA, opa, all,
		func(q question) []byte { return fmt.Appendf(nil, `{"input":%s}`, q.body) })
	changing, err := unrepeated(all)
	if err != nil {
		return l, err
	}
	l.never = newTarget("Caregate, no question asked twice", onceAddr, pathSingle, once, changing, asIs)
	l.never.differ = true
	lists, err := batches(ctx, o, service)
	if err != nil {
		return l, err
	}
	l.batch, err = newBatchTarget(fmt.Sprintf("Caregate, batches of %s", number(batchSize)), caregateAddr, caregate, lists, false)
	if err != nil {
		return l, err
	}
	l.batches, err = newBatchTarget("the same, no item asked twice", onceAddr, once, lists, true)
	if err != nil {
		return l, err
	}
	return l, l.compare(ctx, all, lists, progress)
}

// compare asks everything once and compares the answers.
func (l *lineup) compare(ctx context.Context, all []question, lists []batchQuestion, progress io.Writer) error {
	_, _ = fmt.Fprintf(progress, "asking each server %d questions, and comparing the answers\n", len(all))
	for range 2 { // the first answers come before the organisation is followed
		for _, t := range l.all() {
			if err := t.learn(ctx); err != nil {
				return err
			}
		}
	}
	return errors.Join(
		agree(all, l.caregate, l.opa), agree(all, l.never, l.opa), agree(all, l.uncached, l.opa), resembles(l.bare, l.caregate),
		agreeBatches(lists, l.batch), agreeBatches(lists, l.batches), agreeWithOPA(ctx, lists[:comparedBatches], l.opa))
}

// unrepeated are questions with a number in their context that changes whenever
// they are sent.
func unrepeated(all []question) ([]question, error) {
	once := make([]question, len(all))
	for i, q := range all {
		r := *q.request
		if r.Context = maps.Clone(r.Context); r.Context == nil {
			r.Context = map[string]any{}
		}
		r.Context[differing] = differingZero
		body, err := encode(&r)
		if err != nil {
			return nil, err
		}
		once[i] = question{q.kind, &r, body}
	}
	return once, nil
}
