package wire

import (
	numbers "encoding/json"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
)

// ReviewOf is who is asked about: a team member, or a patient.
type ReviewOf struct {
	Member  string `json:"team_member"`
	Patient string `json:"patient"`
}

// Check makes sure that one of them is named.
func (r ReviewOf) Check() error {
	if (r.Member == "") == (r.Patient == "") {
		return malformed("", "names neither or both of team_member and patient; give the id of one")
	}
	return nil
}

// MemberReview is what a team member sees.
type MemberReview struct {
	Member    string               `json:"team_member"`
	Permitted bool                 `json:"permitted"`
	Patients  int                  `json:"patients"`
	Routes    []review.MemberRoute `json:"routes"`
	Notes     []string             `json:"notes"`
}

// NewMemberReview returns the answer that is a review of a team member.
func NewMemberReview(member string, r *review.MemberReview) *MemberReview {
	return &MemberReview{member, r.Permitted, r.Patients, r.Routes, r.Notes}
}

// PatientReview is who sees a patient.
type PatientReview struct {
	Patient string                 `json:"patient"`
	Total   int                    `json:"team_members"`
	Routes  []membersBy            `json:"routes"`
	Members []review.PatientViewer `json:"members"`
	More    bool                   `json:"more_members,omitzero"`
}

// NewPatientReview returns the answer that is a review of a patient.
func NewPatientReview(patient string, r *review.PatientReview) *PatientReview {
	routes := each(r.Routes, func(c review.RouteCount) membersBy { return membersBy(c) })
	return &PatientReview{patient, r.Total, routes, r.Members, r.More}
}

// Preview is what a change would do to who sees whom.
type Preview struct {
	Changes bool            `json:"changes"`
	Gained  tally           `json:"gained"`
	Lost    tally           `json:"lost"`
	Still   tally           `json:"still"`
	Total   int             `json:"team_members"`
	Members []memberPreview `json:"members"`
	More    bool            `json:"more_members,omitzero"`
}

type memberPreview struct {
	Member    string               `json:"team_member"`
	Before    int                  `json:"before"`
	After     int                  `json:"after"`
	Gained    tally                `json:"gained"`
	Lost      tally                `json:"lost"`
	Still     tally                `json:"still"`
	Remaining []review.MemberRoute `json:"remaining"`
}

// tally has examples for one member, and not for all of them together.
type tally struct {
	Patients int          `json:"patients"`
	Routes   []patientsBy `json:"routes"`
	Examples []string     `json:"examples,omitzero"`
}

// NewPreview returns the answer that is a preview.
func NewPreview(p *review.Preview) *Preview {
	members := each(p.Members, func(m review.MemberPreview) memberPreview {
		return memberPreview{m.Member, m.Before, m.After, tallyOf(m.Gained, true), tallyOf(m.Lost, true), tallyOf(m.Still, true), m.Remaining}
	})
	return &Preview{p.Changes, tallyOf(p.Gained, false), tallyOf(p.Lost, false), tallyOf(p.Still, false), p.Total, members, p.More}
}

func tallyOf(t review.Tally, examples bool) tally {
	out := tally{Patients: t.Patients, Routes: each(t.Routes, func(c review.RouteCount) patientsBy { return patientsBy(c) })}
	if examples {
		out.Examples = append([]string{}, t.Examples...)
	}
	return out
}

func each[D, W any](list []D, of func(D) W) []W {
	out := make([]W, len(list))
	for i := range list {
		out[i] = of(list[i])
	}
	return out
}

// The twins of what the domain says: the same fields, with their names. They do not compile
// when the domain says something else.
type (
	memberRoute struct {
		Name     string        `json:"route"`
		Patients int           `json:"patients"`
		Alone    int           `json:"alone"`
		Examples []string      `json:"examples"`
		Causes   review.Causes `json:"causes"`
	}
	causes struct {
		Groups   []review.GroupCount `json:"patient_groups,omitempty"`
		Grant    *authz.Grant        `json:"granted_by,omitzero"`
		CareTeam int                 `json:"care_team,omitzero"`
	}
	groupCount struct {
		Group    string `json:"id"`
		Patients int    `json:"patients"`
	}
	patientViewer struct {
		Member string   `json:"team_member"`
		Routes []string `json:"routes"`
	}
	patientsBy struct {
		Name  string `json:"route"`
		Count int    `json:"patients"`
	}
	membersBy struct {
		Name  string `json:"route"`
		Count int    `json:"team_members"`
	}
	grant struct {
		Role   string   `json:"role,omitempty"`
		Groups []string `json:"groups,omitempty"`
	}
)

// twins returns how values of the domain that an answer has in it are encoded.
func twins() *json.Marshalers {
	return json.JoinMarshalers(
		twin(func(r review.MemberRoute) memberRoute { return memberRoute(r) }),
		twin(func(c review.Causes) causes { return causes(c) }),
		twin(func(g review.GroupCount) groupCount { return groupCount(g) }),
		twin(func(v review.PatientViewer) patientViewer { return patientViewer(v) }),
		twin(func(g authz.Grant) grant { return grant{g.Role, slices.Sorted(slices.Values(g.Groups))} }),
		twin(func(n numbers.Number) jsontext.Value { return jsontext.Value(n) }),
	)
}

func twin[D, W any](of func(D) W) *json.Marshalers {
	return json.MarshalToFunc(func(e *jsontext.Encoder, d D) error { return json.MarshalEncode(e, of(d)) })
}
