package admin

import "github.com/caregate/caregate/internal/authz"

// dutiesOf returns the duties of making, changing and deleting an entity of a kind. A
// booking is made and changed by duties of its own.
func dutiesOf(kind authz.Kind) (create, update, remove authz.Duty) {
	update = authz.DutyOf(kind, "update")
	if kind == authz.KindPatientGroup {
		return update, update, update
	}
	return authz.DutyOf(kind, "create"), update, authz.DutyOf(kind, "delete")
}

// relationDuties returns the duties of viewing which entities a relation comes from, and of
// making and ending it. A relation without duties of its own is viewed with what it goes
// to, and changed with the record that it comes from.
func relationDuties(r Relation) (view, update authz.Duty) {
	from, to := r.Ends()
	view, update = authz.DutyOf(to, "view"), authz.DutyOf(from, "update")
	switch r {
	case Access:
		view, update = authz.ViewAccess, authz.UpdateAccess
	case Booking:
		view, update = authz.ViewBookingSetting, authz.UpdateBooking
	case CareTeam:
		update = authz.UpdateCareTeam
	}
	return view, update
}
