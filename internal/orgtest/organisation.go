package orgtest

import (
	"context"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// Revision is the revision of every organisation of this package.
func Revision() authz.Revision { return authz.Revision{Count: 1, Nonce: "n"} }

// Entity is one entity of an organisation while it is described:
//
//	orgtest.Member("mark").WithRole("practitioner").InGroups("clinicians").Access("diabetes")
//
// Nothing checks that it is sensible: tests need facts too that no store would take.
type Entity model.Record

// Role returns a role that grants permissions.
func Role(id string, permissions ...string) *Entity {
	return &Entity{Kind: authz.KindRole, ID: id, Permissions: permissions}
}

// Group returns a group that grants permissions.
func Group(id string, permissions ...string) *Entity {
	return &Entity{Kind: authz.KindGroup, ID: id, Permissions: permissions}
}

// PatientGroup returns a patient group.
func PatientGroup(id string) *Entity { return &Entity{Kind: authz.KindPatientGroup, ID: id} }

// Member returns a team member.
func Member(id string) *Entity { return &Entity{Kind: authz.KindTeamMember, ID: id} }

// Provider returns a team member whom the patients of groups can book.
func Provider(id string, bookableBy ...string) *Entity {
	return &Entity{Kind: authz.KindTeamMember, ID: id, IsProvider: true, Booking: bookableBy}
}

// WithRole gives a team member a role.
func (e *Entity) WithRole(id string) *Entity { e.Role = id; return e }

// InGroups puts a team member in groups.
func (e *Entity) InGroups(ids ...string) *Entity { e.Groups = ids; return e }

// WithAccess gives a team member Access to patient groups.
func (e *Entity) WithAccess(ids ...string) *Entity { e.Access = ids; return e }

// Patient returns a patient of a patient group.
func Patient(id, group string) *Entity {
	return &Entity{Kind: authz.KindPatient, ID: id, PatientGroup: group}
}

// CaredForBy puts team members on the care team of a patient.
func (e *Entity) CaredForBy(ids ...string) *Entity { e.CareTeam = ids; return e }

// Record returns the record of the entity.
func (e *Entity) Record() *model.Record { return (*model.Record)(e) }

// Fact returns what the policy is told of the entity, with its lists in order.
func (e *Entity) Fact() *authz.Fact {
	e.Record().SortLists()
	return model.FactOf(e.Record().Key(), Revision(), e.Record(), e.CareTeam)
}

// Edits returns the edits that make an organisation of entities, each of which names only
// earlier ones.
func Edits(entities ...*Entity) []admin.Edit {
	edits := make([]admin.Edit, len(entities))
	for i, e := range entities {
		edits[i] = admin.Edit{Op: admin.Put, Record: e.Record()}
	}
	return edits
}

// Clinic returns a small organisation. Ada administers. Mark, a doctor, has Access to
// diabetes and can be booked by its patients. Rita sees p-1 from the care team. Noor has
// nothing.
func Clinic() []*Entity {
	return []*Entity{
		Role("admin", "*:*"),
		Role("doctor", "patient:view", "patient:update", "appointment:create"),
		Group("ward", "patient:view", "stock:view"),
		PatientGroup("diabetes"),
		PatientGroup("cardio"),
		Member("ada").WithRole("admin"),
		Provider("mark", "diabetes").WithRole("doctor").WithAccess("diabetes"),
		Member("rita").InGroups("ward"),
		Member("noor"),
		Patient("p-1", "diabetes").CaredForBy("rita"),
		Patient("p-2", "cardio"),
		Patient("p-3", "diabetes"),
	}
}

// Directory is an authz.Directory in memory, of one organisation or of every one: it does
// not ask for a name.
type Directory map[authz.Key]*authz.Fact

// DirectoryOf returns a directory of entities.
func DirectoryOf(entities ...*Entity) Directory {
	d := Directory{}
	for _, e := range entities {
		d[e.Record().Key()] = e.Fact()
	}
	return d
}

// Read returns the facts for keys, with the roles and the groups of team members, at
// Revision. It implements authz.Directory.
func (d Directory) Read(_ context.Context, _ string, keys []authz.Key, _ authz.Freshness) (*authz.Facts, error) {
	return authz.NewFacts(true, Revision(), d.Select(keys)...), nil
}

// Select returns the facts for keys that there are, each once, with the roles and the
// groups of team members.
func (d Directory) Select(keys []authz.Key) (out []*authz.Fact) {
	selected := map[authz.Key]bool{}
	selects := func(key authz.Key) *authz.Fact {
		fact := d[key]
		if fact != nil && !selected[key] {
			selected[key] = true
			out = append(out, fact)
		}
		return fact
	}
	for _, key := range keys {
		fact := selects(key)
		if fact == nil {
			continue
		}
		for source := range fact.Sources() {
			selects(source)
		}
	}
	return out
}
