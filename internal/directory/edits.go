package directory

import (
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
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
		return c.set(e.Fields)
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

func (c *changeArgs) put(r *admin.Record) error {
	c.text(string(r.Kind), r.ID)
	switch r.Kind {
	case authz.KindRole, authz.KindGroup:
		permissions, err := permissionsOf(r.Permissions)
		if err != nil {
			return err
		}
		c.text(r.Name, permissions)
	case authz.KindPatientGroup:
		c.text(r.Name)
	case authz.KindTeamMember:
		c.text(r.Name, r.Role)
		c.flag(r.IsProvider)
		c.list(r.Groups)
		c.list(r.Access)
		c.list(r.Booking)
	case authz.KindPatient:
		c.text(r.PatientGroup)
		c.list(r.CareTeam)
	case authz.KindBooking:
		c.text(r.Patient, r.Provider, string(r.State))
	}
	return nil
}

func (c *changeArgs) set(f admin.Fields) error {
	var fields []string
	if f.Name != nil {
		fields = append(fields, "name", *f.Name)
	}
	if f.Permissions != nil {
		permissions, err := permissionsOf(f.Permissions)
		if err != nil {
			return err
		}
		fields = append(fields, "permissions", permissions)
	}
	if f.Role != nil {
		fields = append(fields, "role", *f.Role)
	}
	if f.IsProvider != nil {
		fields = append(fields, "provider", flagOf(*f.IsProvider))
	}
	if f.PatientGroup != nil {
		fields = append(fields, "patient_group", *f.PatientGroup)
	}
	c.args = append(c.args, len(fields)/2)
	c.text(fields...)
	return nil
}
