package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/wire"
)

// account is what a policy says of a decision as far as it is laid out for a reader; a policy
// may say other things, which follow as they are.
type account struct {
	reasons                 []string
	reasonUser, reasonAdmin sentence
	permission              *struct {
		Name    string        `json:"name"`
		Held    bool          `json:"held"`
		Sources []grantSource `json:"sources"`
	}
	routes []struct {
		Route   string         `json:"route"`
		To      map[string]any `json:"to"`
		Holds   bool           `json:"holds"`
		By      any            `json:"by"`
		Missing any            `json:"missing"`
	}
	requirements []struct {
		Requirement string `json:"requirement"`
		Met         bool   `json:"met"`
		Missing     any    `json:"missing"`
	}
}

type sentence struct {
	EN string `json:"en"`
}

type grantSource struct {
	Role   string `json:"role"`
	Group  string `json:"group"`
	Grants bool   `json:"grants"`
}

// accountOf returns what the policy says in an explanation.
func accountOf(e *wire.Explanation) (a account, err error) {
	for name, into := range map[string]any{
		"reasons": &a.reasons, "reason_user": &a.reasonUser, "reason_admin": &a.reasonAdmin,
		"permission": &a.permission, "routes": &a.routes, "requirements": &a.requirements,
	} {
		if said := e.Said(name); said != nil {
			err = errors.Join(err, json.Unmarshal(said, into))
		}
	}
	return a, err
}

// printExplanation prints an explanation for a reader: as it is answered, where the policy has
// a form of its own.
func printExplanation(w io.Writer, why *review.Explanation, answer *wire.Explanation, stated authz.Stated) error {
	verdict := word(why.Decision.Allow)
	a, err := accountOf(answer)
	if err != nil {
		context, err := wire.Append(nil, answer.Context)
		if err == nil {
			_, err = fmt.Fprintf(w, "%s\n  %s\n  at revision %s\n", verdict, context, stated.Revision)
		}
		return err
	}
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s  %s\n", verdict, strings.Join(a.reasons, " "))
	if s := cmp.Or(a.reasonAdmin.EN, a.reasonUser.EN); s != "" {
		_, _ = fmt.Fprintf(&b, "  %s\n", s)
	}
	a.print(&b)
	if !why.Decision.Allow {
		printRemedies(&b, why)
	}
	_, _ = fmt.Fprintf(&b, "\nat revision %s\n", stated.Revision)
	_, err = io.Copy(w, &b)
	return err
}

// print prints the tables of what decides.
func (a *account) print(w io.Writer) {
	if len(a.requirements) > 0 {
		t := table(w, "what it takes")
		for _, r := range a.requirements {
			row(t, r.Met, r.Requirement, needs(r.Missing))
		}
		_ = t.Flush()
	}
	if p := a.permission; p != nil {
		t := table(w, "permission "+p.Name)
		for _, s := range p.Sources {
			kind, name := "role", s.Role
			if s.Group != "" {
				kind, name = "group", s.Group
			}
			row(t, s.Grants, kind+" "+name, "")
		}
		if len(p.Sources) == 0 {
			row(t, p.Held, "no role and no group", "")
		}
		_ = t.Flush()
	}
	if len(a.routes) > 0 {
		t := table(w, "routes")
		for _, r := range a.routes {
			said := facts(r.By)
			if !r.Holds {
				said = needs(r.Missing)
			}
			row(t, r.Holds, r.Route+" to "+facts(r.To), said)
		}
		_ = t.Flush()
	}
}

// printRemedies prints the table of what would change a deny.
func printRemedies(w io.Writer, why *review.Explanation) {
	t := table(w, "what would allow it")
	for _, r := range why.Remedies {
		adds := "adds patients that cannot be counted"
		if r.Patients >= 0 {
			adds = "adds " + count(r.Patients, "patient")
		}
		if r.Members != 1 {
			adds += " for " + count(r.Members, "member")
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", adds, r.Text)
	}
	if len(why.Remedies) == 0 {
		_, _ = fmt.Fprintf(t, "  no single change\n")
	}
	if why.More {
		_, _ = fmt.Fprintf(t, "  and there is more that was not tried\n")
	}
	_ = t.Flush()
}

// table begins a table under a heading.
func table(w io.Writer, heading string) *tabwriter.Writer {
	_, _ = fmt.Fprintf(w, "\n%s\n", heading)
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
}

// row is one line of a table: a mark, what it is about, and what is said of it.
func row(t io.Writer, yes bool, what, said string) {
	mark := "no"
	if yes {
		mark = "yes"
	}
	if said != "" {
		what += "\t" + said
	}
	_, _ = fmt.Fprintf(t, "  %s\t%s\n", mark, what)
}

func word(allowed bool) string {
	if allowed {
		return "allow"
	}
	return "deny"
}

func needs(missing any) string {
	if text := facts(missing); text != "" {
		return "needs " + text
	}
	return ""
}

// facts writes a JSON value in a few words: {"access":{"member":"mark"}} is access
// (member mark). Sources have a table of their own.
func facts(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch inner := v[name].(type) {
			case map[string]any:
				parts = append(parts, name+" ("+facts(inner)+")")
			case []any:
				texts := facts(inner)
				if texts != "" && name != "any_of" {
					texts = name + " " + texts
				}
				if texts != "" && name != "sources" {
					parts = append(parts, texts)
				}
			default:
				parts = append(parts, strings.TrimSpace(name+" "+facts(inner)))
			}
		}
		return strings.Join(parts, ", ")
	case []any:
		var parts []string
		for _, item := range v {
			if text := facts(item); text != "" {
				parts = append(parts, text)
			}
		}
		return strings.Join(parts, " or ")
	case string:
		return v
	case nil:
		return ""
	default:
		return asJSON(v)
	}
}

// count writes a number with its noun, thousands apart: 18,204 patients.
func count(n int, noun string) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if n != 1 {
		noun += "s"
	}
	return digits + " " + noun
}

// asJSON writes a value that can be written.
func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
