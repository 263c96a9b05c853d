package directory

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// changeArgs are the arguments of the script that commits a change.
type changeArgs struct {
	args []any
	// expect are the expectations in the order in which the script counts them.
	expect []admin.Expectation
}

// newChangeArgs begins the arguments of a change to up to most entities.
// Expectations marked IfMatch come first, so that of two that do not hold the
// caller's is reported.
func (d *Directory) newChangeArgs(change admin.Change, most int) *changeArgs {
	c := &changeArgs{expect: slices.Clone(change.Expect)}
	slices.SortStableFunc(c.expect, func(a, b admin.Expectation) int {
		switch {
		case a.IfMatch == b.IfMatch:
			return 0
		case a.IfMatch:
			return -1
		default:
			return 1
		}
	})
	revision := ""
	if change.ExpectRevision != nil {
		revision = change.ExpectRevision.String()
	}
	atLeast := ""
	if change.AtLeast != (authz.Revision{}) {
		atLeast = change.AtLeast.String()
	}
	c.args = []any{
		schema, newNonce(), most, d.changesKept, d.changesBytes,
		change.Author.Actor, change.Author.Via, change.Author.Request, revision, atLeast, len(c.expect),
	}
	for _, e := range c.expect {
		since := ""
		if e.Since != (authz.Revision{}) {
			since = e.Since.String()
		}
		c.text(string(e.Key.Kind), e.Key.ID, since)
	}
	return c
}

// dry lets the script write nothing and say what would change.
func (c *changeArgs) dry() { c.args[1] = "" }

func (c *changeArgs) text(values ...string) {
	for _, v := range values {
		c.args = append(c.args, v)
	}
}

func (c *changeArgs) list(values []string) {
	c.args = append(c.args, len(values))
	c.text(values...)
}

func (c *changeArgs) flag(value bool) { c.text(flagOf(value)) }

// flagOf writes a bool as hashes and scripts have it.
func flagOf(value bool) string {
	if value {
		return "1"
	}
	return "0"
}

// permissionsOf writes permissions as hashes have them: sorted, never null.
func permissionsOf(permissions []string) (string, error) {
	sorted := append([]string{}, permissions...)
	slices.Sort(sorted)
	text, err := json.Marshal(sorted)
	if err != nil {
		return "", fmt.Errorf("write the permissions: %w", err)
	}
	return string(text), nil
}

// add appends an edit, which has been checked, in the form that the script takes
// apart.
func (c *changeArgs) add(e *admin.Edit) error {
	c.text(string(e.Op))
	switch e.Op {
	case admin.Put:
		return c.put(e.Record)
	case admin.Set:
		c.text(string(e.Key.Kind), e.Key.ID)
		return c.set(e.Key.Kind, e.Fields)
	case admin.Link, admin.Unlink:
		c.text(string(e.Relation), e.From, e.To)
	case admin.Delete:
		c.text(string(e.Key.Kind), e.Key.ID)
		c.flag(e.Cascade)
	case admin.Book:
		c.text(e.Record.ID, e.Record.Patient, e.Record.Provider)
	case admin.Cancel:
		c.text(e.Key.ID)
		c.flag(e.Release)
	}
	return nil
}

// put appends a record as the script takes it: its single values in the order of the
// table, and then its lists of ids.
func (c *changeArgs) put(r *admin.Record) error {
	c.text(string(r.Kind), r.ID)
	fields := model.Fields(r.Kind)
	for i := range fields {
		if fields[i].Edge == "" {
			value, err := storedValue(&fields[i], r)
			if err != nil {
				return err
			}
			c.text(value)
		}
	}
	for _, f := range fields {
		if f.Edge != "" {
			c.list(*f.List(r))
		}
	}
	return nil
}

// storedValue returns the value of a field that is no edge as Redis has it.
func storedValue(f *model.Field, r *admin.Record) (string, error) {
	switch {
	case f.Text != nil:
		return *f.Text(r), nil
	case f.Flag != nil:
		return flagOf(*f.Flag(r)), nil
	default:
		return permissionsOf(*f.List(r))
	}
}

func (c *changeArgs) set(kind authz.Kind, fields admin.Fields) error {
	names, values := fields.Names(kind), fields.Applied(&admin.Record{Kind: kind})
	c.args = append(c.args, len(names))
	for _, name := range names {
		value, err := storedValue(model.FieldOf(kind, name), values)
		if err != nil {
			return err
		}
		c.text(name, value)
	}
	return nil
}
