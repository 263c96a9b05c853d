package verify

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is what a run found.
type Report struct {
	Seed          uint64        `json:"seed"`
	Organisations int           `json:"organisations"`
	Shapes        []Shape       `json:"shapes"` // in order
	Notes         []string      `json:"notes"`
	Disagreement  *Disagreement `json:"disagreement,omitempty"`
}

// Shape says what was compared of one shape.
type Shape struct {
	Name     string `json:"shape"`
	Asked    int    `json:"asked"`    // questions
	Answered int    `json:"answered"` // of those
	Compared int    `json:"compared"` // resources, subjects or actions that the answers are about
	Allowed  int    `json:"allowed"`  // of those
}

// Disagreement is the smallest that was found.
type Disagreement struct {
	What         string   `json:"what"` // which organisation it began in
	Seed         uint64   `json:"seed"`
	Repeated     bool     `json:"repeated"`         // it was seen again in another organisation
	Before       []string `json:"before,omitempty"` // the organisation while the same was asked before, where that matters
	Organisation []string `json:"organisation"`     // JSON Lines
	Question     string   `json:"question"`
	Numbered     []string `json:"numbered,omitempty"` // what the numbers in the answers mean
	Answers      []Said   `json:"answers"`
}

// Said is the answer of one shape.
type Said struct {
	Shape    string   `json:"shape"`
	Agrees   bool     `json:"agrees"`
	Expected []string `json:"expected"`
	Answer   []string `json:"answer"`
	Error    string   `json:"error,omitempty"`
	Filter   string   `json:"filter,omitempty"`
}

func newReport(seed uint64) *Report { return &Report{Seed: seed, Shapes: []Shape{}, Notes: []string{}} }

// count adds answers to what was compared.
func (r *Report) count(answers []answer) {
	for i := range answers {
		a := &answers[i]
		n := slices.IndexFunc(r.Shapes, func(s Shape) bool { return s.Name == a.shape })
		if n < 0 {
			n = len(r.Shapes)
			r.Shapes = append(r.Shapes, Shape{Name: a.shape})
		}
		s := &r.Shapes[n]
		if s.Asked++; a.refused == "" {
			s.Answered++
			s.Compared += a.looked
			s.Allowed += len(a.got)
		}
	}
}

// allowed returns how much was allowed by any shape.
func (r *Report) allowed() int {
	n := 0
	for _, s := range r.Shapes {
		n += s.Allowed
	}
	return n
}

// disagreement writes a counterexample.
func (c *counterexample) disagreement(what string, seed uint64) *Disagreement {
	d := &Disagreement{
		What: what, Seed: seed, Repeated: c.repeated, Question: c.question.describe(),
		Organisation: c.scene.records.lines(), Before: c.scene.before.lines(),
	}
	switch c.question.sought {
	case resources:
		rows := c.scene.rows[c.question.request.Resource.Type]
		for i := range rows {
			d.Numbered = append(d.Numbered, number(i)+" "+rows[i].describe())
		}
	case administering:
		for i := range c.question.acts {
			d.Numbered = append(d.Numbered, number(i)+" "+c.question.acts[i].describe())
		}
	case nothing:
		for i := range c.question.batch {
			d.Numbered = append(d.Numbered, number(i)+" "+single(&c.question.batch[i]))
		}
	}
	for i := range c.answers {
		a := &c.answers[i]
		s := Said{Shape: a.shape, Agrees: !a.disagrees(), Expected: orEmpty(a.against), Answer: orEmpty(a.got), Error: a.wrong}
		if a.refused != "" {
			s.Error = "refused: " + a.refused
		}
		if !s.Agrees {
			s.Filter = a.detail
		}
		d.Answers = append(d.Answers, s)
	}
	return d
}

func orEmpty(list []string) []string { return append([]string{}, list...) }

// Print writes a report for a reader.
func (r *Report) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d\n", r.Seed)
	width := len("shape")
	for _, s := range r.Shapes {
		width = max(width, len(s.Name))
	}
	fmt.Fprintf(&b, "%-*s  %9s  %9s  %9s  %9s\n", width, "shape", "questions", "answered", "compared", "allowed")
	for _, s := range r.Shapes {
		fmt.Fprintf(&b, "%-*s  %9d  %9d  %9d  %9d\n", width, s.Name, s.Asked, s.Answered, s.Compared, s.Allowed)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	if r.Disagreement != nil {
		r.Disagreement.print(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Disagreement) print(b *strings.Builder) {
	fmt.Fprintf(b, "\nThe answers disagree in the %s of seed %d. ", d.What, d.Seed)
	if d.Repeated {
		b.WriteString("The smallest organisation that was found in which they do:\n\n")
	} else {
		b.WriteString("They did not in the same organisation made anew: the answers depend on what was asked before. The organisation:\n\n")
	}
	if len(d.Before) > 0 {
		for _, line := range d.Before {
			fmt.Fprintf(b, "%s\n", line)
		}
		b.WriteString("\nThe question below was asked of that, and again after this change:\n\n")
	}
	for _, line := range d.Organisation {
		if !slices.Contains(d.Before, line) {
			fmt.Fprintf(b, "%s\n", line)
		}
	}
	fmt.Fprintf(b, "\n%s\n", d.Question)
	for _, line := range d.Numbered {
		fmt.Fprintf(b, "  %s\n", line)
	}
	b.WriteString("\n")
	for _, a := range d.Answers {
		mark := "      "
		if !a.Agrees {
			mark = "WRONG "
		}
		fmt.Fprintf(b, "%s%s: %s", mark, a.Shape, ids(a.Answer))
		if !a.Agrees {
			fmt.Fprintf(b, "; the policy evaluated plainly allows %s", ids(a.Expected))
		}
		if a.Error != "" {
			fmt.Fprintf(b, "; %s", a.Error)
		}
		b.WriteString("\n")
		if a.Filter != "" {
			fmt.Fprintf(b, "      %s\n", a.Filter)
		}
	}
}

func ids(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}
