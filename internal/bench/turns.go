package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// contender takes turns with others. A turn gives the value that is compared, and
// further what is reported next to it.
type contender struct {
	name           string
	turn           func(context.Context) (value, further float64)
	value, further spread
}

func (c *contender) take(ctx context.Context) (value, further float64) {
	err := attempt(func() { value, further = c.turn(ctx) })
	if err != nil {
		err = fmt.Errorf("%s: %w", c.name, err)
	}
	check(err)
	check(ctx.Err())
	return value, further
}

// over returns the ratios of two contenders, round by round, and nil of one to itself.
func (c *contender) over(base *contender) spread {
	if c == base {
		return nil
	}
	ratios := make(spread, len(c.value))
	for i := range ratios {
		ratios[i] = c.value[i] / base.value[i]
	}
	return ratios
}

// warmUp has each contender take a turn that does not count: heaps grow to their size,
// and it is seen that each works.
func warmUp(ctx context.Context, contenders []*contender) {
	for _, c := range contenders {
		c.take(ctx)
	}
}

// takeTurns has every contender measured once in each round, so that whatever else the
// machine does slows all of them. The values of a round are told in unit.
func (s *stage) takeTurns(ctx context.Context, rounds int, unit string, contenders []*contender) {
	for round := range rounds {
		for _, i := range turns(len(contenders), round) {
			value, further := contenders[i].take(ctx)
			contenders[i].value = append(contenders[i].value, value)
			contenders[i].further = append(contenders[i].further, further)
		}
		var values strings.Builder
		for _, c := range contenders {
			values.WriteString(" " + number(c.value[round]))
		}
		s.say("round %d of %d:%s %s", round+1, rounds, &values, unit)
		time.Sleep(10 * time.Millisecond) // connections close
	}
}

// turns returns the order of n contenders in a round: each goes first as often as
// any other, and forwards as often as backwards.
func turns(n, round int) []int {
	order := make([]int, n)
	for i := range n {
		order[i] = (i + round/2) % n
	}
	if round%2 == 1 {
		slices.Reverse(order)
	}
	return order
}

// mean returns a contender whose rounds are the means of others'.
func mean(name string, of []*contender) *contender {
	m := &contender{name: name, value: make(spread, len(of[0].value)), further: make(spread, len(of[0].value))}
	for _, c := range of {
		for i := range c.value {
			m.value[i] += c.value[i] / float64(len(of))
			m.further[i] += c.further[i] / float64(len(of))
		}
	}
	return m
}

// spread is what the rounds of one measurement gave.
type spread []float64

func (s spread) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// late returns the smallest value that 99 in 100 do not exceed.
func (s spread) late() float64 {
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(math.Ceil(0.99*float64(len(sorted))))-1]
}

// milliseconds since a moment, as they are reported.
func milliseconds(since time.Time) float64 { return float64(time.Since(since).Nanoseconds()) / 1e6 }
