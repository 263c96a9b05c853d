package verify

import (
	"fmt"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// administering is what a question of acts of administration looks for: nothing, but
// whether each of them may be.
const administering sought = "administration"

// acts is how many acts are tried in an organisation, before and after a change.
const acts = 16

// act is one thing that somebody does to the facts of an organisation: to make an edit,
// to read a record, or to list those of a kind.
type act struct {
	actor admin.Actor
	edit  admin.Edit // its Op is "" for a reading
	read  authz.Key  // its ID is "" for a list
}

// describe writes an act for a reader.
func (a *act) describe() string {
	who := a.actor.Type + " " + encoded(a.actor.ID) + " "
	e := &a.edit
	switch e.Op {
	case "":
		if a.read.ID == "" {
			return who + "lists records of kind " + string(a.read.Kind)
		}
		return who + "reads " + keyText(a.read)
	case admin.Put, admin.Book:
		return who + string(e.Op) + "s " + encode(e.Record)
	case admin.Set:
		text := who + "sets of " + keyText(e.Key)
		for _, name := range e.Fields.Names(e.Key.Kind) {
			text += " " + name + " " + encoded(e.Fields[name])
		}
		return text
	case admin.Link, admin.Unlink:
		return fmt.Sprintf("%s%ss %s %s → %s", who, e.Op, e.Relation, encoded(e.From), encoded(e.To))
	case admin.Delete:
		return who + "deletes " + keyText(e.Key) + " with all that refers to it"
	default:
		return who + string(e.Op) + "s " + keyText(e.Key)
	}
}

func keyText(key authz.Key) string { return string(key.Kind) + " " + encoded(key.ID) }

// names returns the entities that have to be there for the act to mean anything.
func (a *act) names() []authz.Key {
	from, to := a.edit.Relation.Ends()
	keys := []authz.Key{a.read, a.edit.Key, {Kind: from, ID: a.edit.From}, {Kind: to, ID: a.edit.To}}
	records := []*admin.Record{a.edit.Fields.Applied(&admin.Record{Kind: a.edit.Key.Kind})}
	if a.edit.Record != nil {
		records = append(records, a.edit.Record)
	}
	for _, r := range records {
		for _, key := range r.References() {
			keys = append(keys, key)
		}
	}
	return slices.DeleteFunc(keys, func(key authz.Key) bool { return key.ID == "" })
}

// acts draws acts of the people of a scene, most of them about what is there.
func (g *generator) acts(s *scene) []act {
	d := &acting{generator: g, records: s.records}
	if len(d.ids(authz.KindTeamMember)) == 0 {
		return nil
	}
	out := make([]act, acts)
	for i := range out {
		out[i] = d.act(i)
	}
	return out
}

type acting struct {
	*generator
	records records
}

func (d *acting) ids(kind authz.Kind) []string { return d.records.ids(kind) }

// id draws one of a kind, "" where there is none.
func (d *acting) id(kind authz.Kind) string {
	ids := d.ids(kind)
	if len(ids) == 0 {
		return ""
	}
	return d.pick(ids)
}

func (d *acting) act(n int) act {
	a := act{actor: admin.Actor{Type: string(authz.KindTeamMember), ID: d.id(authz.KindTeamMember)}}
	if patient := d.id(authz.KindPatient); patient != "" && d.one(8) {
		a.actor = admin.Actor{Type: string(authz.KindPatient), ID: patient}
	}
	for {
		if d.one(4) {
			a.read = authz.Key{Kind: model.Kinds()[d.random.IntN(len(model.Kinds()))]}
			if !d.one(4) || a.read.Kind != authz.KindPatient && a.read.Kind != authz.KindBooking {
				a.read.ID = d.id(a.read.Kind)
			}
			if a.read.ID == "" && a.read.Kind != authz.KindPatient && a.read.Kind != authz.KindBooking {
				continue
			}
			return a
		}
		if a.edit = d.edit(&a, n); a.edit.Op != "" {
			return a
		}
	}
}

// edit draws an edit, the zero one where what it needs is not there.
func (d *acting) edit(a *act, n int) admin.Edit {
	fresh := fmt.Sprintf("new-%d", n)
	member, patient, ward := d.id(authz.KindTeamMember), d.id(authz.KindPatient), d.id(authz.KindPatientGroup)
	role, group, booking := d.id(authz.KindRole), d.id(authz.KindGroup), d.id(authz.KindBooking)
	link := func(relation admin.Relation, from, to string) admin.Edit {
		if from == "" || to == "" {
			return admin.Edit{}
		}
		return admin.Edit{Op: []admin.Op{admin.Link, admin.Link, admin.Unlink}[d.random.IntN(3)], Relation: relation, From: from, To: to}
	}
	set := func(kind authz.Kind, id string, f admin.Fields) admin.Edit {
		if id == "" {
			return admin.Edit{}
		}
		return admin.Edit{Op: admin.Set, Key: authz.Key{Kind: kind, ID: id}, Fields: f}
	}
	choice := d.random.IntN(11)
	if a.actor.Type == string(authz.KindPatient) && !d.one(4) { // who does little else
		choice = 9 + d.random.IntN(2)
	}
	switch choice {
	case 0:
		return link(admin.MemberOfGroup, member, group)
	case 1:
		return link(admin.Access, member, ward)
	case 2:
		providers := d.records.providers()
		if len(providers) == 0 {
			return admin.Edit{}
		}
		return link(admin.Booking, d.pick(providers), ward)
	case 3, 4:
		return link(admin.CareTeam, patient, member)
	case 5:
		return set(authz.KindTeamMember, member, admin.Fields{"role": role})
	case 6:
		fields := admin.Fields{"permissions": d.granted()}
		if d.one(3) { // which gives nobody anything (A4)
			fields = admin.Fields{"name": fresh}
		}
		if d.one(2) {
			return set(authz.KindRole, role, fields)
		}
		return set(authz.KindGroup, group, fields)
	case 7:
		if patient != "" && d.one(2) {
			return set(authz.KindPatient, patient, admin.Fields{"patient_group": ward})
		}
		if ward == "" {
			return admin.Edit{}
		}
		return admin.Edit{Op: admin.Put, Record: &admin.Record{Kind: authz.KindPatient, ID: fresh, PatientGroup: ward}}
	case 8:
		key := []authz.Key{
			{Kind: authz.KindRole, ID: role}, {Kind: authz.KindGroup, ID: group}, {Kind: authz.KindTeamMember, ID: member},
			{Kind: authz.KindPatient, ID: patient}, {Kind: authz.KindBooking, ID: booking},
		}[d.random.IntN(5)]
		if key.ID == "" {
			return admin.Edit{}
		}
		return admin.Edit{Op: admin.Delete, Key: key, Cascade: key.Kind != authz.KindBooking}
	case 9:
		if patient == "" {
			return admin.Edit{}
		}
		if a.actor.Type == string(authz.KindPatient) && !d.one(4) {
			patient = a.actor.ID
		}
		return admin.Edit{Op: admin.Book, Record: &admin.Record{Kind: authz.KindBooking, ID: fresh, Patient: patient, Provider: member}}
	default:
		if booking == "" {
			return admin.Edit{}
		}
		return admin.Edit{Op: admin.Cancel, Key: authz.Key{Kind: authz.KindBooking, ID: booking}}
	}
}

// act renames whoever and whatever an act is about.
func (n rename) act(a *act) {
	a.actor.ID = n.id(authz.Kind(a.actor.Type), a.actor.ID)
	a.read.ID = n.id(a.read.Kind, a.read.ID)
	e := &a.edit
	e.Key.ID = n.id(e.Key.Kind, e.Key.ID)
	from, to := e.Relation.Ends()
	e.From, e.To = n.id(from, e.From), n.id(to, e.To)
	if e.Record != nil {
		r := *e.Record
		n.record(&r)
		e.Record = &r
	}
	renamed := e.Fields.Applied(&admin.Record{Kind: e.Key.Kind})
	n.record(renamed)
	fields := admin.Fields{}
	for _, name := range e.Fields.Names(e.Key.Kind) {
		fields.Take(name, renamed)
	}
	e.Fields = fields
}
