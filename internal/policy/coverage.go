package policy

import (
	"maps"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
)

// FileCoverage says which lines of one file no test evaluated.
type FileCoverage struct {
	File string
	// Lines counts the lines that can be evaluated.
	Lines int
	// Uncovered are those that no test evaluated, in order.
	Uncovered []int
}

// Percent is the share of lines that the tests evaluated, 100 for a file that
// has none.
func (f FileCoverage) Percent() float64 { return percent(f.Lines-len(f.Uncovered), f.Lines) }

func percent(part, whole int) float64 {
	if whole == 0 {
		return 100
	}
	return 100 * float64(part) / float64(whole)
}

// coverageOf reads what the tests evaluated of modules. A line of which a part
// was not evaluated counts as not covered.
func coverageOf(tracer *cover.Cover, modules map[string]*ast.Module) []FileCoverage {
	report := tracer.Report(modules)
	files := make([]FileCoverage, 0, len(modules))
	for _, name := range slices.Sorted(maps.Keys(modules)) {
		f := FileCoverage{File: name}
		if r := report.Files[name]; r != nil {
			all, missed := map[int]bool{}, map[int]bool{}
			for _, covered := range r.Covered {
				all[covered.Start.Row] = true
			}
			for _, uncovered := range r.NotCovered {
				all[uncovered.Start.Row], missed[uncovered.Start.Row] = true, true
			}
			f.Lines, f.Uncovered = len(all), slices.Sorted(maps.Keys(missed))
		}
		files = append(files, f)
	}
	return files
}
