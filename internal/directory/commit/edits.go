package commit

import (
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
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
func (c *Committer) newChangeArgs(change admin.Change, most int) *changeArgs {
	args := &changeArgs{expect: slices.Clone(change.Expect)}
	slices.SortStableFunc(args.expect, func(a, b admin.Expectation) int {
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
	args.args = []any{
		script.Schemas, newNonce(), most, c.Kept, c.Bytes,
		change.Author.Actor, change.Author.Via, change.Author.Request, revision, atLeast, len(args.expect),
	}
	for _, e := range args.expect {
		since := ""
		if e.Since != (authz.Revision{}) {
			since = e.Since.String()
		}
		args.text(string(e.Key.Kind), e.Key.ID, since)
	}
	return args
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

func (c *changeArgs) flag(value bool) { c.text(layout.FlagOf(value)) }

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
			value, err := layout.StoredValue(&fields[i], r)
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

func (c *changeArgs) set(kind authz.Kind, fields admin.Fields) error {
	names, values := fields.Names(kind), fields.Applied(&admin.Record{Kind: kind})
	c.args = append(c.args, len(names))
	for _, name := range names {
		value, err := layout.StoredValue(model.FieldOf(kind, name), values)
		if err != nil {
			return err
		}
		c.text(name, value)
	}
	return nil
}
