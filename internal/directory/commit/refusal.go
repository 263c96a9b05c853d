package commit

import (
	"strconv"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
)

// Refusal is why the script refused a change.
type Refusal struct {
	moved *authz.Error // an expectation, or AtLeast, that does not hold; nothing else counts then

	Edit   int // the number of the edit, from 1; 0 for the change as a whole
	reason string
	field  string // "" when it is about no field
	inUse  []authz.Key
	count  int
}

// StrangeRefusal is the error for a refusal that does not say why.
func StrangeRefusal() *authz.Error {
	return authz.Errorf(authz.Internal, "", "the script refused the change and did not say why")
}

func refusalOf(reply []any) (*Refusal, error) {
	edit, ok := script.Item[int64](reply, 1)
	reason, ok2 := script.Item[string](reply, 2)
	field, ok3 := script.Item[string](reply, 3)
	item, ok4 := script.Item[int64](reply, 4)
	if !ok || !ok2 || !ok3 || !ok4 || edit < 0 {
		return nil, StrangeRefusal()
	}
	if item >= 0 {
		field += "[" + strconv.FormatInt(item, 10) + "]"
	}
	r := &Refusal{Edit: int(edit), reason: reason, field: field}
	if count, ok := script.Item[int64](reply, 5); ok {
		r.count = int(count)
	}
	for i := 6; i+1 < len(reply); i += 2 {
		kind, ok := script.Item[string](reply, i)
		id, ok2 := script.Item[string](reply, i+1)
		if !ok || !ok2 {
			return nil, StrangeRefusal()
		}
		r.inUse = append(r.inUse, authz.Key{Kind: authz.Kind(kind), ID: id})
	}
	return r, nil
}

// movedError is the error for an expectation that does not hold; number is its
// place from 1, or 0 for that about the revision.
func movedError(expect []admin.Expectation, number int) *authz.Error {
	if number > 0 && expect[number-1].IfMatch {
		return authz.Errorf(authz.Changed, expect[number-1].Field,
			"the record is not the version that the request is about, for it changed in the meantime; read it again and decide anew")
	}
	return &authz.Error{
		Kind: authz.Conflict, Err: admin.ErrMoved,
		Message: "the facts that the change was decided from have changed in the meantime; try again",
	}
}

// ofChange returns the error for a change that was refused.
func (r *Refusal) ofChange(change *admin.Change) *authz.Error {
	if r.moved != nil {
		return r.moved
	}
	if r.Edit == 0 {
		return r.Explain("")
	}
	if r.Edit > len(change.Edits) {
		return StrangeRefusal()
	}
	err := r.Explain("create it first, or correct the id")
	err.Field = admin.FieldOfEdit(r.Edit-1, change.Edits[r.Edit-1].Op, r.field)
	return err
}

// Explain says what is wrong and what to do about it; remedy is what to do about a
// name of what does not exist.
func (r *Refusal) Explain(remedy string) *authz.Error {
	unknown := func(what string) *authz.Error {
		return authz.Errorf(authz.Malformed, r.field, "names a %s that the organisation does not have; %s", what, remedy)
	}
	switch r.reason {
	case "unknown_role":
		return unknown("role")
	case "unknown_group":
		return unknown("group")
	case "unknown_patient_group":
		return unknown("patient group")
	case "unknown_team_member":
		return unknown("team member")
	case "unknown_patient":
		return unknown("patient")
	case "missing":
		return authz.Errorf(authz.NotFound, r.field, "names what the organisation does not have; create it first, or correct the id")
	case "no_provider":
		return authz.Errorf(authz.Malformed, r.field, "names a team member who is no provider, and only providers can be booked; make the member one first")
	case "has_booking":
		return authz.Errorf(authz.Malformed, r.field, "cannot become false while the team member has Booking assignments; take them away first")
	case "rebooked":
		return authz.Errorf(authz.Conflict, r.field,
			"is another one than that of the booking with this id; a booking keeps its patient and its provider: release it and make a new one")
	case "ended":
		return authz.Errorf(authz.Conflict, r.field, "is that of a booking which has been cancelled; make a new one under another id")
	case "in_use":
		e := authz.Errorf(authz.Conflict, r.field, "is in use; end what refers to it first, or ask for the deletion to cascade")
		e.InUse, e.InUseCount = r.inUse, r.count
		return e
	case "last_of_all":
		return authz.Errorf(authz.Conflict, "",
			"nobody in the organisation would hold *:* any more, and nobody could grant everything again; give it to somebody else first")
	case "last_holder":
		return authz.Errorf(authz.Conflict, "",
			"nobody in the organisation would hold user:* any more, and nobody could give it back; give it to somebody else first")
	case "too_many":
		return authz.Errorf(authz.TooLarge, "", "the change touches more than %d records; divide it into several", admin.MaxEdits)
	default:
		return authz.Errorf(authz.Internal, r.field, "the script refused the change for a reason that this build does not know")
	}
}
