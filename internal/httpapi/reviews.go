package httpapi

import (
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
)

// review answers what a team member sees, or who sees a patient.
func (a *API) review(x *exchange, viewer review.Viewer) error {
	f, err := x.fields(map[string]want{typeMember: wantText, typePatient: wantText})
	if err != nil {
		return err
	}
	if len(f.names) != 1 || f.texts[f.names[0]] == "" {
		return authz.Errorf(authz.Malformed, "", "names neither or both of team_member and patient; give the id of one")
	}
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	id := f.texts[f.names[0]]
	var stated authz.Stated
	if f.names[0] == typeMember {
		var r *review.MemberReview
		if r, stated, err = a.cfg.Reviewer.Member(x.ctx, x.organisation(), id, viewer, fresh); err != nil {
			return err
		}
		if !r.Found {
			return unknown(typeMember)
		}
		x.out = appendMemberReview(x.out[:0], id, r)
	} else {
		var r *review.PatientReview
		if r, stated, err = a.cfg.Reviewer.Patient(x.ctx, x.organisation(), id, viewer, fresh); err != nil {
			return err
		}
		if !r.Found {
			return unknown(typePatient)
		}
		x.out = appendPatientReview(x.out[:0], id, r)
	}
	x.answer(stated)
	return nil
}

// unknown is the error about an id that nobody of a type has.
func unknown(typ string) error {
	return authz.Errorf(authz.NotFound, typ, "is not known in this organisation; check the id and the organisation")
}

// preview answers what edits would do to who sees whom.
func (a *API) preview(x *exchange, viewer review.Viewer) error {
	if err := x.read(); err != nil {
		return err
	}
	ctx, end, err := authz.LongWork(x.ctx) // before a thousand edits are decoded, for those too who are refused
	if err != nil {
		return err
	}
	defer end()
	edits, _, err := x.in.edits(false)
	if err != nil {
		return err
	}
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	p, stated, err := a.cfg.Reviewer.Preview(ctx, x.organisation(), edits, viewer, fresh)
	if err != nil {
		return placed(err, func(field string) string { return inEdits(field, edits) })
	}
	x.out = appendPreview(x.out[:0], p)
	x.answer(stated)
	return nil
}
