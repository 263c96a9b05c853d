package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// result is one part of the table.
type result struct {
	title   string
	unit    string // of add
	ratioTo string // of add
	extra   string // of add
	header  []string
	rows    [][]string
	checks  []check
}

// check is a measurement held to its bound.
type check struct {
	name  string
	value spread
	kind  comparison
	bound float64
}

// comparison says on which side of its bound a measurement must be.
type comparison string

const (
	atMost  comparison = "≤"
	atLeast comparison = "≥"
)

func (c check) holds() bool {
	if c.kind == atMost {
		return c.value.median() <= c.bound
	}
	return c.value.median() >= c.bound
}

// add adds a row: a measurement, its ratio to what ratioTo names, nil for
// none, and what extra names.
func (r *result) add(name string, value, ratio, extra spread) {
	if r.header == nil {
		r.header = []string{"", r.unit, "min–max", "÷ " + r.ratioTo, "min–max", r.extra}
	}
	row := []string{name, number(value.median()), between(value), "", "", number(extra.median())}
	if ratio != nil {
		row[3], row[4] = number(ratio.median()), between(ratio)
	}
	r.rows = append(r.rows, row)
}

func (r *result) check(name string, value spread, kind comparison, bound float64) {
	r.checks = append(r.checks, check{name, value, kind, bound})
}

// report writes the parts and then every bound, and reports whether all hold.
func report(w io.Writer, results []*result, markdown bool) (all bool) {
	verdicts := &result{title: "Bounds", header: []string{"", "measured", "min–max", "bound", ""}}
	all = true
	for _, r := range results {
		if len(r.rows) > 0 {
			r.print(w, markdown)
		}
		for _, c := range r.checks {
			verdict := "holds"
			if !c.holds() {
				verdict, all = "DOES NOT HOLD", false
			}
			verdicts.rows = append(verdicts.rows,
				[]string{c.name, number(c.value.median()), between(c.value), string(c.kind) + " " + number(c.bound), verdict})
		}
	}
	verdicts.print(w, markdown)
	return all
}

func (r *result) print(w io.Writer, markdown bool) {
	widths := make([]int, len(r.header))
	for _, row := range append([][]string{r.header}, r.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	if markdown {
		fmt.Fprintf(&b, "**%s**\n\n", r.title)
	} else {
		fmt.Fprintf(&b, "%s\n", r.title)
	}
	line := func(row []string) {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			switch {
			case markdown && i == 0:
				b.WriteString("| " + cell + pad + " |")
			case markdown:
				b.WriteString(" " + pad + cell + " |")
			case i == 0:
				b.WriteString("  " + cell + pad)
			default:
				b.WriteString("   " + pad + cell)
			}
		}
		b.WriteByte('\n')
	}
	line(r.header)
	if markdown {
		for i, width := range widths {
			if i == 0 {
				b.WriteString("|:" + strings.Repeat("-", width+1) + "|")
			} else {
				b.WriteString(strings.Repeat("-", width+1) + ":|")
			}
		}
		b.WriteByte('\n')
	}
	for _, row := range r.rows {
		line(row)
	}
	b.WriteByte('\n')
	_, _ = io.WriteString(w, b.String())
}

func between(s spread) string { return number(s.min()) + "–" + number(s.max()) }

// number writes three digits that matter, and whole numbers in groups of three.
func number(v float64) string {
	switch {
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
