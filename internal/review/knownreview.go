package review

import (
	"context"
	"errors"
	"fmt"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/search"
)

// inMember takes out of a review of a member whom the viewer may not view, and all of it
// if that is the member.
func (k *viewerKnowledge) inMember(ctx context.Context, member string, r *MemberReview) error {
	may, err := k.viewable(ctx, authz.KindTeamMember, []string{member})
	if err != nil {
		return err
	}
	if !may[member] && member != k.selfMember() {
		*r = MemberReview{}
		return nil
	}
	return k.inRoutes(ctx, r.Routes)
}

// selfMember is the id of the viewer if they are a team member, else "".
func (k *viewerKnowledge) selfMember() string {
	if key := k.self(); key.Kind == authz.KindTeamMember {
		return key.ID
	}
	return ""
}

func (k *viewerKnowledge) inRoutes(ctx context.Context, all ...[]MemberRoute) error {
	var examples []*[]string
	for _, routes := range all {
		for i := range routes {
			examples = append(examples, &routes[i].Examples)
		}
	}
	return k.inExamples(ctx, examples)
}

// inExamples keeps the patients whom the viewer may view.
func (k *viewerKnowledge) inExamples(ctx context.Context, all []*[]string) error {
	var ids []string
	for _, examples := range all {
		ids = append(ids, *examples...)
	}
	may, err := k.viewable(ctx, authz.KindPatient, ids)
	if err != nil {
		return err
	}
	for _, examples := range all {
		var kept []string
		for _, id := range *examples {
			if may[id] {
				kept = append(kept, id)
			}
		}
		*examples = kept
	}
	return nil
}

// inPatient takes the members out of a review of a patient whom the viewer may not view,
// and all of it if that is the patient.
func (k *viewerKnowledge) inPatient(ctx context.Context, patient string, r *PatientReview) error {
	may, err := k.viewable(ctx, authz.KindPatient, []string{patient})
	if err != nil {
		return err
	}
	if !may[patient] {
		*r = PatientReview{}
		return nil
	}
	ids := make([]string, len(r.Members))
	for i := range r.Members {
		ids[i] = r.Members[i].Member
	}
	if may, err = k.viewable(ctx, authz.KindTeamMember, ids); err != nil {
		return err
	}
	kept := r.Members[:0]
	for _, m := range r.Members {
		if may[m.Member] || m.Member == k.selfMember() {
			kept = append(kept, m)
		}
	}
	r.More = r.More || len(kept) < len(ids)
	r.Members = kept
	return nil
}

// inPreview takes the members and the patients out of a preview whom the viewer may not
// view. The counts stay.
func (k *viewerKnowledge) inPreview(ctx context.Context, p *Preview) error {
	ids := make([]string, len(p.Members))
	var examples []*[]string
	for i := range p.Members {
		m := &p.Members[i]
		ids[i] = m.Member
		examples = append(examples, &m.Gained.Examples, &m.Lost.Examples, &m.Still.Examples)
	}
	if err := k.inExamples(ctx, examples); err != nil {
		return err
	}
	may, err := k.viewable(ctx, authz.KindTeamMember, ids)
	if err != nil {
		return err
	}
	kept := p.Members[:0]
	for _, m := range p.Members {
		if may[m.Member] || m.Member == k.selfMember() {
			kept = append(kept, m)
		}
	}
	p.More = p.More || len(kept) < len(ids)
	p.Members = kept
	return nil
}

// mayName refuses edits that name a patient whom the viewer may not view, in the words
// for one who does not exist (A5). Whether a patient or a booking is new, only those are
// told who may view every patient.
func (k *viewerKnowledge) mayName(ctx context.Context, edits []admin.Edit) (everybody bool, err error) {
	if everybody, err = k.everybody(ctx); err != nil || everybody {
		return everybody, err
	}
	var patients []string
	for i := range edits {
		e := &edits[i]
		if e.Key.Kind == authz.KindBooking || e.Record != nil && (e.Record.Kind == authz.KindBooking || e.Record.Kind == authz.KindPatient) {
			return false, authz.Errorf(authz.Forbidden, fmt.Sprintf("edits[%d]", i),
				"is about a booking, or is a whole patient; ask as one who may view every patient, or change single fields of a patient")
		}
		for _, key := range namedBy(e) {
			if key.Kind == authz.KindPatient {
				patients = append(patients, key.ID)
			}
		}
	}
	may, err := k.viewable(ctx, authz.KindPatient, patients)
	if err != nil {
		return false, err
	}
	for i := range edits {
		for _, key := range namedBy(&edits[i]) {
			if key.Kind == authz.KindPatient && !may[key.ID] {
				return false, authz.Errorf(authz.NotFound, fmt.Sprintf("edits[%d]", i), "names a patient who is not known; check the id and the organisation")
			}
		}
	}
	return false, nil
}

// everybody reports whether the viewer may view every patient there is.
func (k *viewerKnowledge) everybody(ctx context.Context) (bool, error) {
	key := k.self()
	if k.viewer.Operator || key.Kind != authz.KindTeamMember {
		return k.viewer.Operator, nil
	}
	found, err := k.store.Range(ctx, k.organisation, search.Range{Kind: key.Kind, IDs: []string{key.ID}, Limit: 1, Facts: true}, authz.Freshness{Full: true})
	if err != nil {
		return false, err
	}
	sight, err := k.counter(k.organisation, found.Revision).ofMember(ctx, key.ID, withSources(found.Facts.Get(key), found.Facts), authz.NewHoldings(k.rules))
	if err != nil {
		return false, err
	}
	return sight.allow.Always(), nil
}

// unnamed is an error about edits without what stands in their way, which may be whom the
// viewer may not view.
func unnamed(err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || len(e.InUse) == 0 {
		return err
	}
	out := *e
	out.InUse, out.InUseCount = nil, 0
	return &out
}
