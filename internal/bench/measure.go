package main

import (
	"slices"
)

// spread is what the rounds of one measurement gave.
type spread []float64

func (s spread) median() float64 {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

func (s spread) min() float64 { return slices.Min(s) }
func (s spread) max() float64 { return slices.Max(s) }

// over returns the ratios of two measurements, round by round.
func (s spread) over(base spread) spread {
	ratios := make(spread, len(s))
	for i := range s {
		ratios[i] = s[i] / base[i]
	}
	return ratios
}

// mean returns the means of several measurements, round by round.
func mean(of []spread) spread {
	m := make(spread, len(of[0]))
	for _, s := range of {
		for i := range s {
			m[i] += s[i] / float64(len(of))
		}
	}
	return m
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
