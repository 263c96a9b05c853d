package directory

import (
	"maps"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// modelClinic is a plain-Go model of an organisation, and of the rules of visibility,
// permission and booking over it. It knows nothing of revisions, scripts or caches.
type modelClinic struct {
	roles, groups map[string][]string // permissions
	patientGroups map[string]bool
	members       map[string]*modelMember
	patients      map[string]*modelPatient
	bookings      map[string]*admin.Record
}

type modelMember struct {
	role                    string
	provider, suspended     bool
	groups, access, booking map[string]bool
}

type modelPatient struct {
	group string
	team  map[string]map[string]bool // member → sources
}

func newClinic() *modelClinic {
	return &modelClinic{
		roles: map[string][]string{}, groups: map[string][]string{}, patientGroups: map[string]bool{},
		members: map[string]*modelMember{}, patients: map[string]*modelPatient{}, bookings: map[string]*admin.Record{},
	}
}

func setOf(ids []string) map[string]bool {
	set := map[string]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}

// apply does what an edit says. The edit was committed, so it fits.
func (c *modelClinic) apply(e admin.Edit) {
	switch e.Op {
	case admin.Put:
		c.put(e.Record)
	case admin.Set:
		c.set(e)
	case admin.Link, admin.Unlink:
		c.link(e)
	case admin.Delete:
		c.remove(e.Key)
	case admin.Book:
		if c.bookings[e.Record.ID] == nil {
			r := *e.Record
			r.State = admin.Booked
			c.bookings[r.ID] = &r
			c.source(r.Patient, r.Provider, "booking:"+r.ID, true)
		}
	case admin.Cancel:
		b := *c.bookings[e.Key.ID]
		if e.Release {
			b.State = admin.Released
			c.source(b.Patient, b.Provider, "booking:"+b.ID, false)
		} else if b.State == admin.Booked {
			b.State = admin.Cancelled
		}
		c.bookings[b.ID] = &b
	}
}

func (c *modelClinic) put(r *admin.Record) {
	switch r.Kind {
	case authz.KindRole:
		c.roles[r.ID] = r.Permissions
	case authz.KindGroup:
		c.groups[r.ID] = r.Permissions
	case authz.KindPatientGroup:
		c.patientGroups[r.ID] = true
	case authz.KindTeamMember:
		c.members[r.ID] = &modelMember{r.Role, r.IsProvider, r.IsSuspended, setOf(r.Groups), setOf(r.Access), setOf(r.Booking)}
	case authz.KindPatient:
		p := &modelPatient{group: r.PatientGroup, team: map[string]map[string]bool{}}
		if old := c.patients[r.ID]; old != nil {
			p.team = old.team
			for member := range old.team {
				delete(p.team[member], "manual")
				if len(p.team[member]) == 0 {
					delete(p.team, member)
				}
			}
		}
		c.patients[r.ID] = p
		for _, member := range r.CareTeam {
			c.source(r.ID, member, "manual", true)
		}
	}
}

func (c *modelClinic) set(e admin.Edit) {
	switch e.Key.Kind {
	case authz.KindRole:
		if permissions, given := e.Fields["permissions"]; given {
			c.roles[e.Key.ID] = permissions.([]string)
		}
	case authz.KindGroup:
		if permissions, given := e.Fields["permissions"]; given {
			c.groups[e.Key.ID] = permissions.([]string)
		}
	case authz.KindTeamMember:
		if role, given := e.Fields["role"]; given {
			c.members[e.Key.ID].role = role.(string)
		}
		if provider, given := e.Fields["provider"]; given {
			c.members[e.Key.ID].provider = provider.(bool)
		}
		if suspended, given := e.Fields["suspended"]; given {
			c.members[e.Key.ID].suspended = suspended.(bool)
		}
	case authz.KindPatient:
		if group, given := e.Fields["patient_group"]; given {
			c.patients[e.Key.ID].group = group.(string)
		}
	}
}

func (c *modelClinic) link(e admin.Edit) {
	if e.Relation == admin.CareTeam {
		c.source(e.From, e.To, "manual", e.Op == admin.Link)
		return
	}
	m := c.members[e.From]
	if m == nil { // there is nothing to end
		return
	}
	set := map[admin.Relation]map[string]bool{admin.MemberOfGroup: m.groups, admin.Access: m.access, admin.Booking: m.booking}[e.Relation]
	if e.Op == admin.Link {
		set[e.To] = true
	} else {
		delete(set, e.To)
	}
}

// source gives a member's place on a care team a source, or takes it away.
func (c *modelClinic) source(patient, member, source string, there bool) {
	p := c.patients[patient]
	if p == nil { // there is nothing to end
		return
	}
	team := p.team
	if there {
		if team[member] == nil {
			team[member] = map[string]bool{}
		}
		team[member][source] = true
		return
	}
	delete(team[member], source)
	if len(team[member]) == 0 {
		delete(team, member)
	}
}

// remove deletes an entity and what refers to it.
func (c *modelClinic) remove(key authz.Key) {
	id := key.ID
	switch key.Kind {
	case authz.KindRole:
		delete(c.roles, id)
		for _, m := range c.members {
			if m.role == id {
				m.role = ""
			}
		}
	case authz.KindGroup:
		delete(c.groups, id)
		for _, m := range c.members {
			delete(m.groups, id)
		}
	case authz.KindPatientGroup:
		delete(c.patientGroups, id)
		for _, m := range c.members {
			delete(m.access, id)
			delete(m.booking, id)
		}
		for patient, p := range c.patients {
			if p.group == id {
				c.remove(authz.Key{Kind: authz.KindPatient, ID: patient})
			}
		}
	case authz.KindTeamMember:
		delete(c.members, id)
		for _, p := range c.patients {
			delete(p.team, id)
		}
		maps.DeleteFunc(c.bookings, func(_ string, b *admin.Record) bool { return b.Provider == id })
	case authz.KindPatient:
		delete(c.patients, id)
		maps.DeleteFunc(c.bookings, func(_ string, b *admin.Record) bool { return b.Patient == id })
	case authz.KindBooking:
		if b := c.bookings[id]; b != nil {
			delete(c.bookings, id)
			if b.State != admin.Released {
				c.source(b.Patient, b.Provider, "booking:"+id, false)
			}
		}
	}
}

// holds reports whether a member has a permission (P2, P3).
func (c *modelClinic) holds(m *modelMember, typ, action string) bool {
	all := slices.Clone(c.roles[m.role])
	for group := range m.groups {
		all = append(all, c.groups[group]...)
	}
	crud := slices.Contains([]string{"view", "create", "update", "delete"}, action)
	return slices.Contains(all, "*:*") || slices.Contains(all, typ+":"+action) || crud && slices.Contains(all, typ+":*")
}

// visible reports whether a member sees a patient (V1, V2, V3).
func (c *modelClinic) visible(member string, p *modelPatient) bool {
	m := c.members[member]
	return c.holds(m, "patient", "view_all") || m.access[p.group] || len(p.team[member]) > 0
}

// bookable reports whether a patient may book a member, nil for nobody (B1, P7).
func (m *modelMember) bookable(p *modelPatient) bool {
	return m != nil && m.provider && !m.suspended && m.booking[p.group]
}

// allows answers a request by the rules.
func (c *modelClinic) allows(r *authz.Request) bool {
	if r.Subject.Type == "patient" {
		p, provider := c.patients[r.Subject.ID], c.members[r.Resource.ID]
		return p != nil && provider.bookable(p) // B3
	}
	m := c.members[r.Subject.ID]
	if m == nil || m.suspended { // P7
		return false
	}
	patientID, _ := r.Resource.Properties["patient"].(string)
	switch r.Resource.Type {
	case "patient":
		p := c.patients[r.Resource.ID]
		return p != nil && c.holds(m, "patient", r.Action.Name) && c.visible(r.Subject.ID, p) // V7
	case "appointment":
		p := c.patients[patientID]
		return p != nil && c.holds(m, "appointment", r.Action.Name) && c.visible(r.Subject.ID, p) // P5
	case "provider":
		p, provider := c.patients[patientID], c.members[r.Resource.ID]
		return p != nil && provider.bookable(p) &&
			c.holds(m, "appointment", "create") && c.visible(r.Subject.ID, p) // B4
	case "report":
		group, _ := r.Resource.Properties["patient_group"].(string)
		return c.patientGroups[group] && c.holds(m, "report", "view") &&
			(m.access[group] || c.holds(m, "patient", "view_all")) // V8
	default:
		return c.holds(m, r.Resource.Type, r.Action.Name)
	}
}
