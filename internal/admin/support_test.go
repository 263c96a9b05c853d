package admin_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
)

const organisation = data.ExampleOrganisation

// clinic is an organisation in an embedded store, with the default policy.
type clinic struct {
	testing.TB
	*admin.Service
	store   *directory.Directory
	policy  authz.Policy
	answers *authz.Service
}

// empty returns a store with nothing in it.
func empty(t testing.TB, p authz.Policy) *clinic {
	t.Helper()
	store := orgstore.Embedded(t)
	answers := authz.NewService(store, p)
	return &clinic{TB: t, Service: admin.NewService(answers, store), store: store, policy: p, answers: answers}
}

// example returns the example organisation.
func example(t testing.TB, p authz.Policy) *clinic {
	t.Helper()
	c := empty(t, p)
	orgstore.Example(t, c.store)
	return c
}

// over returns the clinic with another store in between.
func (c *clinic) over(store admin.Store) *clinic {
	out := *c
	out.Service = admin.NewService(c.answers, store)
	return &out
}

func member(id string) admin.Actor { return admin.Actor{Type: "team_member", ID: id} }
func client(id string) admin.Actor { return admin.Actor{Type: "patient", ID: id} }

func key(kind authz.Kind, id string) authz.Key { return authz.Key{Kind: kind, ID: id} }

// commit changes the organisation without asking anybody.
func (c *clinic) commit(edits ...admin.Edit) admin.Committed {
	c.Helper()
	done, err := c.store.Commit(context.Background(), organisation, admin.Change{Edits: edits})
	if err != nil {
		c.Fatalf("commit: %v", err)
	}
	return done
}

// allow makes a change that has to be allowed and to change something.
func (c *clinic) allow(actor admin.Actor, edits ...admin.Edit) {
	c.Helper()
	done, err := c.Apply(context.Background(), organisation, actor, edits, admin.Options{Request: "r-1"})
	if err != nil {
		c.Fatalf("%s: %v", actor, err)
	}
	if !done.Changed {
		c.Fatalf("%s: nothing changed", actor)
	}
}

// deny makes a change that has to be refused about a field and for a reason.
func (c *clinic) deny(actor admin.Actor, field, reason string, edits ...admin.Edit) {
	c.Helper()
	_, err := c.Apply(context.Background(), organisation, actor, edits, admin.Options{})
	c.refused(err, authz.Forbidden, field, reason)
}

// refused checks an error, which must name nobody.
func (c *clinic) refused(err error, kind authz.ErrorKind, field, reason string) {
	c.Helper()
	e, ok := errors.AsType[*authz.Error](err)
	if !ok {
		c.Fatalf("the error is %v; it should be of kind %d", err, kind)
	}
	if e.Kind != kind || e.Field != field || !strings.Contains(e.Message, reason) {
		c.Fatalf("the error is of kind %d about %q: %v; it should be of kind %d about %q and say %q", e.Kind, e.Field, e, kind, field, reason)
	}
	for _, id := range []string{"mark", "jordan", "elena", "ines", "p-1", "p-5", "b-1"} {
		for word := range strings.FieldsFuncSeq(e.Message, func(r rune) bool { return strings.ContainsRune(" ,:;()", r) }) {
			if word == id {
				c.Fatalf("the message names somebody: %v", e)
			}
		}
	}
}

func (c *clinic) get(k authz.Key) *admin.Stored {
	c.Helper()
	records, _, err := c.store.Records(context.Background(), organisation, []authz.Key{k})
	if err != nil {
		c.Fatal(err)
	}
	return records[0]
}

// The edits, in short.

func put(r admin.Record) admin.Edit { return admin.Edit{Op: admin.Put, Record: &r} }

func set(kind authz.Kind, id string, f admin.Fields) admin.Edit {
	return admin.Edit{Op: admin.Set, Key: key(kind, id), Fields: f}
}

func link(r admin.Relation, from, to string) admin.Edit {
	return admin.Edit{Op: admin.Link, Relation: r, From: from, To: to}
}

func unlink(r admin.Relation, from, to string) admin.Edit {
	return admin.Edit{Op: admin.Unlink, Relation: r, From: from, To: to}
}

func remove(kind authz.Kind, id string) admin.Edit {
	return admin.Edit{Op: admin.Delete, Key: key(kind, id)}
}

func cascade(kind authz.Kind, id string) admin.Edit {
	return admin.Edit{Op: admin.Delete, Key: key(kind, id), Cascade: true}
}

func book(id, patient, provider string) admin.Edit {
	return admin.Edit{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: id, Patient: patient, Provider: provider}}
}

func cancel(id string) admin.Edit {
	return admin.Edit{Op: admin.Cancel, Key: key(authz.KindBooking, id)}
}

func move(patient, group string) admin.Edit {
	return set(authz.KindPatient, patient, admin.Fields{"patient_group": group})
}

func role(id string, permissions ...string) admin.Edit {
	return put(admin.Record{Kind: authz.KindRole, ID: id, Permissions: permissions})
}

func group(id string, permissions ...string) admin.Edit {
	return put(admin.Record{Kind: authz.KindGroup, ID: id, Permissions: permissions})
}

func patientGroup(id string) admin.Edit {
	return put(admin.Record{Kind: authz.KindPatientGroup, ID: id})
}

func staff(id string) admin.Edit { return put(admin.Record{Kind: authz.KindTeamMember, ID: id}) }

func patient(id, group string, team ...string) admin.Edit {
	return put(admin.Record{Kind: authz.KindPatient, ID: id, PatientGroup: group, CareTeam: team})
}
