package filter

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// asked is what a question asks of a table.
type asked struct {
	request *authz.Request // without the id of the resource
	tables  map[string]*table
	types   map[string]authz.TypeSpec
	spec    authz.TypeSpec // of the type of the resource
	table   *table
	given   []string // references that the question gives, with a column
	// Open references: those required, and the optional ones, with a column and
	// without.
	required, optional, unmapped []string
}

// references returns the references that are open.
func (a *asked) references() []string { return slices.Concat(a.required, a.optional, a.unmapped) }

// tableFor finds the table for a question and what is open in it.
func (s *Service) tableFor(r *authz.Request) (*asked, error) {
	if s.tables == nil {
		return nil, authz.Errorf(authz.NotFound, "tables", "no tables are configured; start with --filters and a mapping of types to tables")
	}
	request := *r
	request.Resource.ID = ""
	a := &asked{request: &request, tables: s.tables.types, table: s.tables.types[r.Resource.Type]}
	if a.table == nil {
		return nil, authz.Errorf(authz.NotFound, "resource.type", "no table is configured for this type; add it to tables in the mapping")
	}
	if c := s.rules.Catalogue(); c != nil {
		a.types, a.spec = c.Types, c.Types[r.Resource.Type]
	}
	for _, name := range slices.Sorted(maps.Keys(a.spec.References)) {
		mapped, known := a.table.references[name]
		property, given := r.Resource.Properties[name]
		required := a.spec.References[name].Required
		switch {
		case given && known && mapped.column != "":
			if _, ok := property.(string); !ok {
				return nil, bad("resource.properties."+name, "must be a string, the id of what the rows refer to")
			}
			a.given = append(a.given, name)
		case given: // it is about the question, or the caller vouches for the rows
		case required && (!known || mapped.column == ""):
			return nil, authz.Errorf(authz.NotFound, a.table.path+".references."+name,
				"is required of this type; add the column that has its id to the mapping")
		case required:
			a.required = append(a.required, name)
		case known && mapped.column == "": // no row has it
		case known:
			a.optional = append(a.optional, name)
		default:
			a.unmapped = append(a.unmapped, name)
		}
	}
	if n := len(a.optional) + len(a.unmapped); n > MaxReferences {
		return nil, authz.Errorf(authz.TooLarge, a.table.path+".references",
			`%d optional references are open, of %d at most; map some as "none", or give them in the question`, n, MaxReferences)
	}
	return a, nil
}

// plan is what a filter is made of.
type plan struct {
	*asked
	branches []branch
	// indifferent are optional references which have to exist where they are given,
	// and make no other difference.
	indifferent []string
	masks       json.RawMessage
	basis       []admin.Expectation // what the branches were made from
}

// branch is what is left of the rule for the rows that have some of the optional
// references and not others.
type branch struct {
	given, absent []string
	residual      *authz.Residual
}

// plan asks the policy what is left of the rule.
func (s *Service) plan(ctx context.Context, a *asked, survey *authz.Survey) (*plan, error) {
	p := &plan{asked: a, basis: search.Basis(survey)}
	if !survey.Facts.Organisation {
		return p, nil // V9: nothing exists there
	}
	optional := slices.Concat(a.optional, a.unmapped)
	residuals := make([]*authz.Residual, 1<<len(optional))
	for given := range residuals {
		var err error
		if residuals[given], err = s.rules.Residual(ctx, survey.Question, a.openWith(optional, given)); err != nil {
			return nil, outside(err)
		}
	}
	mapped := 1 << len(a.optional)
	for given, r := range residuals {
		if !equal(r, residuals[given%mapped]) {
			for i, name := range a.unmapped {
				if given&(mapped<<i) != 0 {
					return nil, authz.Errorf(authz.NotFound, a.table.path+".references."+name,
						`makes a difference; add the column that has its id to the mapping, or "none" where no row has one`)
				}
			}
		}
	}
	residuals = residuals[:mapped]
	for i, r := range residuals {
		residuals[i] = p.existing(r)
	}
	differing := 0 // a set of bits
	for i, name := range a.optional {
		bit := 1 << i
		for given, r := range residuals {
			if given&bit != 0 && !equal(r, residuals[given&^bit]) {
				differing |= bit
			}
		}
		if differing&bit == 0 {
			p.indifferent = append(p.indifferent, name)
		}
	}
	for given, r := range residuals {
		if given&^differing != 0 || r.Never() {
			continue
		}
		b := branch{residual: r}
		for i, name := range a.optional {
			switch bit := 1 << i; {
			case given&bit != 0:
				b.given = append(b.given, name)
			case differing&bit != 0:
				b.absent = append(b.absent, name)
			}
		}
		p.branches = append(p.branches, b)
	}
	return p, s.mask(ctx, p, survey)
}

// openWith returns what is open when those optional references are given whose bits are
// set.
func (a *asked) openWith(optional []string, given int) authz.Open {
	open := authz.Open{References: slices.Clone(a.required)}
	for i, name := range optional {
		if given&(1<<i) != 0 {
			open.References = append(open.References, name)
		}
	}
	return open
}

// mask asks the policy what to hide of the rows. It has to be the same for all of
// them.
func (s *Service) mask(ctx context.Context, p *plan, survey *authz.Survey) error {
	first := true
	for _, b := range p.branches {
		for given := range 1 << len(p.indifferent) {
			open := p.openWith(p.indifferent, given)
			open.References = append(open.References, b.given...)
			masks, err := s.rules.Masks(ctx, survey.Question, open)
			if err != nil {
				return outside(err)
			}
			if !first && !bytes.Equal(masks, p.masks) {
				return authz.Errorf(authz.Unsupported, "", "the masks of the policy depend on which references a row has, "+
					"and a filter has the same for all rows; make them depend on the subject alone")
			}
			p.masks, first = masks, false
		}
	}
	return nil
}

// existing returns what is left of a residual once all that is referred to, and the
// entity itself, are known to exist: a clause asks for that by itself.
func (p *plan) existing(r *authz.Residual) *authz.Residual {
	out := &authz.Residual{}
	for _, all := range r.Any {
		kept := make([]authz.Condition, 0, len(all))
		possible := true
		for _, c := range all {
			spec := p.spec
			if c.Leaf.Reference != "" {
				spec = p.types[c.Leaf.Reference]
			}
			if c.Op == authz.IsTrue && c.Leaf.Fact == authz.FactProvider && spec.RequireProvider {
				possible = possible && !c.Not
				continue
			}
			kept = append(kept, c)
		}
		if possible {
			out.Any = append(out.Any, kept)
		}
	}
	out.Simplify()
	return out
}

// equal reports whether two residuals are written alike.
func equal(a, b *authz.Residual) bool {
	return slices.EqualFunc(a.Any, b.Any, func(all, other []authz.Condition) bool {
		return slices.EqualFunc(all, other, func(c, d authz.Condition) bool {
			return c.Op == d.Op && c.Not == d.Not && c.Leaf == d.Leaf && c.Other == d.Other && slices.Equal(c.Values, d.Values)
		})
	})
}
