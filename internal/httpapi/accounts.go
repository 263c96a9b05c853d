package httpapi

import (
	"context"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/wire"
)

// Reviewer answers why, and what if. Its methods return within ctx, with errors whose
// kind authz.KindOf knows; Forbidden is for the viewer. *review.Service is one.
type Reviewer interface {
	// Explain decides r and says why, to an administrator more than to others.
	Explain(ctx context.Context, organisation string, r *authz.Request, viewer review.Viewer, fresh authz.Freshness) (
		*review.Explanation, authz.Stated, error)
	// Member reviews what a team member sees, and Patient who sees a patient.
	Member(ctx context.Context, organisation, member string, viewer review.Viewer, fresh authz.Freshness) (
		*review.MemberReview, authz.Stated, error)
	Patient(ctx context.Context, organisation, patient string, viewer review.Viewer, fresh authz.Freshness) (
		*review.PatientReview, authz.Stated, error)
	// Preview says what edits would do to who sees whom, and changes nothing.
	Preview(ctx context.Context, organisation string, edits []admin.Edit, viewer review.Viewer, fresh authz.Freshness) (
		*review.Preview, authz.Stated, error)
}

// explain answers a decision with its account. A deny is a 200.
func (a *API) explain(x *exchange, viewer review.Viewer) error {
	request, fresh, err := question(x, (*wire.Decoder).Strict)
	if err != nil {
		return err
	}
	why, stated, err := a.cfg.Reviewer.Explain(x.ctx, x.organisation(), request, viewer, fresh)
	if err != nil {
		a.cfg.Observer.DecisionMade(x.ctx, Failed)
		return err
	}
	answer, err := wire.NewExplanation(why)
	if err != nil {
		return err
	}
	x.decided(why.Decision)
	return x.answerWith(answer, stated)
}

// review answers what a team member sees, or who sees a patient.
func (a *API) review(x *exchange, viewer review.Viewer) error {
	of, fresh, err := question(x, strictly[wire.ReviewOf])
	if err != nil {
		return err
	}
	if of.Member != "" {
		return x.reviewMember(of.Member, viewer, fresh)
	}
	return x.reviewPatient(of.Patient, viewer, fresh)
}

func (x *exchange) reviewMember(member string, viewer review.Viewer, fresh authz.Freshness) error {
	r, stated, err := x.api.cfg.Reviewer.Member(x.ctx, x.organisation(), member, viewer, fresh)
	if err != nil {
		return err
	}
	if !r.Found {
		return unknown(typeMember)
	}
	return x.answerWith(wire.NewMemberReview(member, r), stated)
}

func (x *exchange) reviewPatient(patient string, viewer review.Viewer, fresh authz.Freshness) error {
	r, stated, err := x.api.cfg.Reviewer.Patient(x.ctx, x.organisation(), patient, viewer, fresh)
	if err != nil {
		return err
	}
	if !r.Found {
		return unknown(typePatient)
	}
	return x.answerWith(wire.NewPatientReview(patient, r), stated)
}

// unknown is the error about an id that nobody of a type has.
func unknown(typ string) error {
	return authz.Errorf(authz.NotFound, typ, "is not known in this organisation; check the id and the organisation")
}

// preview answers what edits would do to who sees whom. It waits for its place before a
// thousand edits are decoded, for those too who are refused.
func (a *API) preview(x *exchange, viewer review.Viewer) error {
	if err := x.receive(); err != nil {
		return err
	}
	ctx, end, err := authz.LongWork(x.ctx)
	if err != nil {
		return err
	}
	defer end()
	edits, fresh, err := decoded(x, func(_ *wire.Decoder, body []byte) ([]admin.Edit, error) { return wire.DecodePreview(body) })
	if err != nil {
		return err
	}
	p, stated, err := a.cfg.Reviewer.Preview(ctx, x.organisation(), edits, viewer, fresh)
	if err != nil {
		return wire.Placed(err, wire.InEdits(edits))
	}
	return x.answerWith(wire.NewPreview(p), stated)
}
