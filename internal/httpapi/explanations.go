package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/review"
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
	if err := x.read(); err != nil {
		return err
	}
	request, err := x.in.strictEvaluation()
	if err != nil {
		return err
	}
	fresh, err := x.freshness()
	if err != nil {
		return err
	}
	why, stated, err := a.cfg.Reviewer.Explain(x.ctx, x.organisation(), request, viewer, fresh)
	if err != nil {
		a.cfg.Observer.DecisionMade(x.ctx, Failed)
		return err
	}
	if x.out, err = AppendExplanation(x.out[:0], why); err != nil {
		return err
	}
	x.decided(why.Decision)
	x.answer(stated)
	return nil
}

// AppendExplanation appends an explanation as /v1/explanations answers it: a decision
// in AuthZEN's form whose context is all that the viewer may know.
func AppendExplanation(dst []byte, why *review.Explanation) ([]byte, error) {
	dst = append(dst, `{"decision":`...)
	dst = strconv.AppendBool(dst, why.Decision.Allow)
	dst = append(dst, `,"context":{`...)
	members, err := joined(why.User, why.Admin)
	if err != nil {
		return nil, err
	}
	begin := len(dst)
	for _, m := range members {
		if m.name == "remedies" || m.name == "more_remedies" { // they are what was tried, and nobody else's to give
			continue
		}
		dst = append(appendString(separated(dst, begin), m.name), ':')
		dst = append(dst, m.value...)
	}
	if len(why.Remedies) > 0 || len(why.Admin) > 0 && !why.Decision.Allow {
		dst = append(separated(dst, begin), `"remedies":[`...)
		for i := range why.Remedies {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendRemedy(dst, &why.Remedies[i])
		}
		dst = append(dst, ']')
	}
	if why.More {
		dst = append(separated(dst, begin), `"more_remedies":true`...)
	}
	return append(dst, `}}`...), nil
}

// separated appends a comma, unless nothing stands after begin.
func separated(dst []byte, begin int) []byte {
	if len(dst) > begin {
		dst = append(dst, ',')
	}
	return dst
}

// appendRemedy appends a change that would allow what was denied. How many patients it
// would open is null where that cannot be counted.
func appendRemedy(dst []byte, r *review.Remedy) []byte {
	dst = appendString(append(dst, `{"text":`...), r.Text)
	dst = appendEdit(append(dst, `,"edit":`...), &r.Edit)
	dst = append(dst, `,"members":`...)
	dst = strconv.AppendInt(dst, int64(r.Members), 10)
	dst = append(dst, `,"patients":`...)
	if r.Patients < 0 {
		return append(dst, `null}`...)
	}
	return append(strconv.AppendInt(dst, int64(r.Patients), 10), '}')
}

// jsonMember is a member of a JSON object.
type jsonMember struct {
	name  string
	value json.RawMessage
}

// joined returns the members of objects, each of which may be nil. A name that several
// have stands once, with the value of the last.
func joined(objects ...json.RawMessage) (members []jsonMember, err error) {
	for _, object := range objects {
		if len(object) == 0 {
			continue
		}
		d := jsontext.NewDecoder(bytes.NewReader(object))
		if d.PeekKind() != '{' {
			return nil, errors.New("an explanation that is no object")
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
	next:
		for d.PeekKind() == '"' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			m := jsonMember{name: name.String()}
			value, err := d.ReadValue()
			if err != nil {
				return nil, err
			}
			m.value = bytes.Clone(value)
			for i := range members {
				if members[i].name == m.name {
					members[i].value = m.value
					continue next
				}
			}
			members = append(members, m)
		}
		if _, err := d.ReadToken(); err != nil {
			return nil, err
		}
	}
	return members, nil
}
