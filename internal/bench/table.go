package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// table is what a section reports: rows, unless there are only bounds to tell.
type table struct {
	title  string
	header []string
	rows   [][]string
	bounds []bound
}

// bound is a measurement held to a limit by its median.
type bound struct {
	name  string
	value spread
	side  side
	limit float64
}

// side says on which side of its limit a measurement must be.
type side string

const (
	atMost  side = "≤"
	atLeast side = "≥"
)

func (b bound) holds() bool {
	if b.side == atMost {
		return b.value.median() <= b.limit
	}
	return b.value.median() >= b.limit
}

// row adds a row. A spread takes two cells, for its median and its range, which are
// empty if it is nil; a number or a text takes one.
func (t *table) row(name string, cells ...any) {
	row := []string{name}
	for _, cell := range cells {
		switch cell := cell.(type) {
		case spread:
			if cell == nil {
				row = append(row, "", "")
			} else {
				row = append(row, number(cell.median()), number(slices.Min(cell))+"–"+number(slices.Max(cell)))
			}
		case float64:
			row = append(row, number(cell))
		default:
			row = append(row, fmt.Sprint(cell))
		}
	}
	t.rows = append(t.rows, row)
}

// report writes the tables and then every bound, and reports whether all hold.
func report(w io.Writer, tables []*table, markdown bool) (all bool) {
	verdicts := &table{title: "Bounds", header: []string{"", "measured", "min–max", "bound", ""}}
	all = true
	for _, t := range tables {
		if len(t.rows) > 0 {
			t.print(w, markdown)
		}
		for _, b := range t.bounds {
			verdict := "holds"
			if !b.holds() {
				verdict, all = "DOES NOT HOLD", false
			}
			verdicts.row(b.name, b.value, string(b.side)+" "+number(b.limit), verdict)
		}
	}
	verdicts.print(w, markdown)
	return all
}

func (t *table) print(w io.Writer, markdown bool) {
	title, start, between, end := "%s\n", "  ", "   ", "\n"
	if markdown {
		title, start, between, end = "**%s**\n\n", "| ", " | ", " |\n"
	}
	lines := slices.Concat([][]string{t.header}, t.rows)
	widths := make([]int, len(t.header))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, title, t.title)
	for n, line := range lines {
		for i, cell := range line {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				b.WriteString(start + cell + pad)
			} else {
				b.WriteString(between + pad + cell)
			}
		}
		b.WriteString(end)
		if n == 0 && markdown {
			b.WriteString("|:" + strings.Repeat("-", widths[0]+1))
			for _, width := range widths[1:] {
				b.WriteString("|" + strings.Repeat("-", width+1) + ":")
			}
			b.WriteString("|\n")
		}
	}
	b.WriteByte('\n')
	_, _ = io.WriteString(w, b.String())
}

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
