package httpapi

import (
	"strconv"

	"github.com/caregate/caregate/internal/review"
)

// appendMemberReview appends what a team member sees.
func appendMemberReview(dst []byte, member string, r *review.MemberReview) []byte {
	dst = appendString(append(dst, `{"team_member":`...), member)
	dst = strconv.AppendBool(append(dst, `,"permitted":`...), r.Permitted)
	dst = appendCount(dst, "patients", r.Patients)
	dst = appendMemberRoutes(append(dst, `,"routes":`...), r.Routes)
	dst = appendList(dst, "notes", r.Notes)
	return append(dst, '}')
}

func appendMemberRoutes(dst []byte, routes []review.MemberRoute) []byte {
	dst = append(dst, '[')
	for i := range routes {
		r := &routes[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"route":`...), r.Name)
		dst = appendCount(dst, "patients", r.Patients)
		dst = appendCount(dst, "alone", r.Alone)
		dst = appendList(dst, "examples", r.Examples)
		dst = append(appendCauses(append(dst, `,"causes":`...), &r.Causes), '}')
	}
	return append(dst, ']')
}

// appendCauses appends the facts that make a route, those that there are.
func appendCauses(dst []byte, c *review.Causes) []byte {
	dst = append(dst, '{')
	begin := len(dst)
	if len(c.Groups) > 0 {
		dst = append(dst, `"patient_groups":[`...)
		for i, g := range c.Groups {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(append(dst, `{"id":`...), g.Group)
			dst = append(appendCount(dst, "patients", g.Patients), '}')
		}
		dst = append(dst, ']')
	}
	if c.Grant != nil {
		dst = appendGrant(append(separated(dst, begin), `"granted_by":`...), *c.Grant)
	}
	if c.CareTeam > 0 {
		dst = strconv.AppendInt(append(separated(dst, begin), `"care_team":`...), int64(c.CareTeam), 10)
	}
	return append(dst, '}')
}

// appendPatientReview appends who sees a patient.
func appendPatientReview(dst []byte, patient string, r *review.PatientReview) []byte {
	dst = appendString(append(dst, `{"patient":`...), patient)
	dst = appendCount(dst, "team_members", r.Total)
	dst = appendRoutes(append(dst, `,"routes":`...), r.Routes, "team_members")
	dst = append(dst, `,"members":[`...)
	for i := range r.Members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"team_member":`...), r.Members[i].Member)
		dst = append(appendList(dst, "routes", r.Members[i].Routes), '}')
	}
	return append(appendTrue(append(dst, ']'), "more_members", r.More), '}')
}

// appendPreview appends what a change would do to who sees whom.
func appendPreview(dst []byte, p *review.Preview) []byte {
	dst = strconv.AppendBool(append(dst, `{"changes":`...), p.Changes)
	dst = appendTallies(dst, &p.Gained, &p.Lost, &p.Still, false)
	dst = appendCount(dst, "team_members", p.Total)
	dst = append(dst, `,"members":[`...)
	for i := range p.Members {
		m := &p.Members[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"team_member":`...), m.Member)
		dst = appendCount(dst, "before", m.Before)
		dst = appendCount(dst, "after", m.After)
		dst = appendTallies(dst, &m.Gained, &m.Lost, &m.Still, true)
		dst = append(appendMemberRoutes(append(dst, `,"remaining":`...), m.Remaining), '}')
	}
	return append(appendTrue(append(dst, ']'), "more_members", p.More), '}')
}

func appendTallies(dst []byte, gained, lost, still *review.Tally, examples bool) []byte {
	dst = appendTally(append(dst, `,"gained":`...), gained, examples)
	dst = appendTally(append(dst, `,"lost":`...), lost, examples)
	return appendTally(append(dst, `,"still":`...), still, examples)
}

func appendTally(dst []byte, t *review.Tally, examples bool) []byte {
	dst = strconv.AppendInt(append(dst, `{"patients":`...), int64(t.Patients), 10)
	dst = appendRoutes(append(dst, `,"routes":`...), t.Routes, "patients")
	if examples {
		dst = appendList(dst, "examples", t.Examples)
	}
	return append(dst, '}')
}

// appendRoutes appends routes with how many of something each leads to.
func appendRoutes(dst []byte, routes []review.RouteCount, of string) []byte {
	dst = append(dst, '[')
	for i, r := range routes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, `{"route":`...), r.Name)
		dst = append(appendCount(dst, of, r.Count), '}')
	}
	return append(dst, ']')
}

// appendCount appends a number as a member of an object that has some already. Name
// is a literal.
func appendCount(dst []byte, name string, n int) []byte {
	dst = append(append(append(dst, `,"`...), name...), `":`...)
	return strconv.AppendInt(dst, int64(n), 10)
}
