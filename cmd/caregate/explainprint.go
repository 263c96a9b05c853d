package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/caregate/caregate/internal/authz"
)

// account is an explanation as far as it is laid out for a reader; a policy may say
// other things, which follow as they are.
type account struct {
	Reasons     []string `json:"reasons"`
	ReasonUser  sentence `json:"reason_user"`
	ReasonAdmin sentence `json:"reason_admin"`
	Permission  *struct {
		Name    string        `json:"name"`
		Held    bool          `json:"held"`
		Sources []grantSource `json:"sources"`
	} `json:"permission"`
	Routes []struct {
		Route   string         `json:"route"`
		To      map[string]any `json:"to"`
		Holds   bool           `json:"holds"`
		By      any            `json:"by"`
		Missing any            `json:"missing"`
	} `json:"routes"`
	Requirements []struct {
		Requirement string `json:"requirement"`
		Met         bool   `json:"met"`
		Missing     any    `json:"missing"`
	} `json:"requirements"`
	Remedies []struct {
		Text     string `json:"text"`
		Members  int    `json:"members"`
		Patients *int   `json:"patients"`
	} `json:"remedies"`
	More bool `json:"more_remedies"`
}

type sentence struct {
	EN string `json:"en"`
}

type grantSource struct {
	Role   string `json:"role"`
	Group  string `json:"group"`
	Grants bool   `json:"grants"`
}

// printExplanation prints an explanation, as /v1/explanations has it, for a reader.
func printExplanation(w io.Writer, text []byte, stated authz.Stated) error {
	var answered struct {
		Decision bool            `json:"decision"`
		Context  json.RawMessage `json:"context"`
	}
	var a account
	if err := json.Unmarshal(text, &answered); err != nil {
		return err
	}
	if err := json.Unmarshal(answered.Context, &a); err != nil {
		// A policy of somebody else's has forms of its own.
		_, err = fmt.Fprintf(w, "%s\n  %s\n  at revision %s\n", word(answered.Decision), answered.Context, stated.Revision)
		return err
	}
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, "%s  %s\n", word(answered.Decision), strings.Join(a.Reasons, " "))
	for _, s := range []string{a.ReasonAdmin.EN, a.ReasonUser.EN} {
		if s != "" {
			_, _ = fmt.Fprintf(&b, "  %s\n", s)
			break
		}
	}
	a.print(&b, answered.Decision)
	_, _ = fmt.Fprintf(&b, "\nat revision %s\n", stated.Revision)
	_, err := io.Copy(w, &b)
	return err
}

// print prints the tables: what decides, what would change it.
func (a *account) print(w io.Writer, allowed bool) {
	if len(a.Requirements) > 0 {
		t := table(w, "what it takes")
		for _, r := range a.Requirements {
			row(t, r.Met, r.Requirement, needs(r.Missing))
		}
		_ = t.Flush()
	}
	if p := a.Permission; p != nil {
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
	if len(a.Routes) > 0 {
		t := table(w, "routes")
		for _, r := range a.Routes {
			said := facts(r.By)
			if !r.Holds {
				said = needs(r.Missing)
			}
			row(t, r.Holds, r.Route+" to "+facts(r.To), said)
		}
		_ = t.Flush()
	}
	if !allowed {
		a.printRemedies(w)
	}
}

func (a *account) printRemedies(w io.Writer) {
	t := table(w, "what would allow it")
	for _, r := range a.Remedies {
		adds := "adds patients that cannot be counted"
		if r.Patients != nil {
			adds = "adds " + count(*r.Patients, "patient")
		}
		if r.Members != 1 {
			adds += " for " + count(r.Members, "member")
		}
		_, _ = fmt.Fprintf(t, "  %s\t%s\n", adds, r.Text)
	}
	if len(a.Remedies) == 0 {
		_, _ = fmt.Fprintf(t, "  no single change\n")
	}
	if a.More {
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
