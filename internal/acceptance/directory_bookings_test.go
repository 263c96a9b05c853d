package acceptance

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// sources are why a member is on a patient's care team.
func (d directory) sources(t *testing.T, patient, member string) []string {
	t.Helper()
	d.actor = ""
	var out []string
	items, _ := d.record(t, at("patients", patient))["care_team_sources"].(object)[member].([]any)
	for _, item := range items {
		out = append(out, item.(string))
	}
	return out
}

func (d directory) becauseOf(t *testing.T, patient, member string, want ...string) {
	t.Helper()
	sameIDs(t, d.sources(t, patient, member), want, "%s is on the care team of %s for", member, patient)
}

func visitOf(id, patient, provider string) object {
	return object{"id": id, "patient": patient, "provider": provider}
}

// stands says in which state a booking is.
func (d directory) stands(t *testing.T, id, state string) {
	t.Helper()
	got := d.record(t, at("bookings", id))
	check(t, got["state"] == state, "the booking is %v, expected it %s", got, state)
}

// TestBookings is B3 to B6 over the wire: decided, recorded, on the care team,
// in one step.
func TestBookings(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		t.Run("B3_a_patient_books_exactly_the_bookable", func(t *testing.T) {
			d.unchanged(t, "refused bookings", func() {
				for patient, providers := range map[string][]string{"p-4": {"mark", "hana", "oscar", "noor", "nobody"}, "p-7": {"priya", "mark"}} {
					for _, provider := range providers {
						answeredOneOf(t, d.as("patient:"+patient).post(t, "/bookings", visitOf("b-no", patient, provider)), hidden, "%s books %s", patient, provider)
					}
				}
				for _, whom := range []string{"p-5", "p-404"} { // nobody books for another
					answeredOneOf(t, d.as("patient:p-4").post(t, "/bookings", visitOf("b-no", whom, "priya")), hidden, "p-4 books for %s", whom)
				}
				refused(t, d.as("patient:p-404").post(t, "/bookings", visitOf("b-no", "p-404", "priya")), http.StatusForbidden)
			})
			d.deny(t, "priya", "view", patient("p-4"), "patient_not_visible")
			d.one(t, "a booking", func() {
				d.wrote(t, d.as("patient:p-4").post(t, "/bookings", visitOf("b-40", "p-4", "priya")), http.StatusCreated)
			})
			d.allow(t, "priya", "view", patient("p-4")).through("care_team")
			d.becauseOf(t, "p-4", "priya", "booking:b-40")
			if got := d.record(t, "/bookings/b-40"); !sameFields(got, booking("b-40", "p-4", "priya", "booked").fields) {
				t.Errorf("the booking is %v", got)
			}
			d.agree(t)
		})
		t.Run("B4_booking_for_a_patient", func(t *testing.T) {
			for _, c := range []struct {
				who  string
				want int
			}{{"hana", 403}, {"ruth", 201}, {"oscar", 201}, {"li", 403}, {"sam", 403}, {"elena", 403}, {"ines", 403}, {"noor", 403}, {"amara", 201}, {"patient:p-12", 201}, {"nobody", 403}} {
				who, want := c.who, c.want
				r := d.as(who).post(t, "/bookings", visitOf("b-of "+who, "p-12", "hana"))
				check(t, r.status == want || want == 403 && r.status == http.StatusNotFound, "%s books for p-12: %v, expected %d", who, r, want)
			}
			d.as("hana").wrote(t, d.as("hana").post(t, "/bookings", visitOf("b-of hana", "p-12", "hana")), http.StatusCreated) // whom she sees by now (B5)
			d.becauseOf(t, "p-12", "hana", "booking:b-of hana", "booking:b-of ruth", "booking:b-of oscar", "booking:b-of amara", "booking:b-of patient:p-12")
			d.unchanged(t, "a provider who is not bookable", func() {
				refused(t, d.as("ruth").post(t, "/bookings", visitOf("b-no", "p-2", "priya")), http.StatusForbidden)
				refused(t, d.post(t, "/bookings", visitOf("b-no", "p-2", "oscar")), http.StatusForbidden)
			})
		})
		t.Run("B6_the_same_booking_twice_is_one", func(t *testing.T) {
			same := visitOf("b-41", "p-1", "mark")
			d.one(t, "the first", func() { d.wrote(t, d.as("ruth").post(t, "/bookings", same), http.StatusCreated) })
			d.unchanged(t, "the second", func() { d.wrote(t, d.as("ruth").post(t, "/bookings", same), http.StatusOK) })
			d.becauseOf(t, "p-1", "mark", "manual", "booking:b-1", "booking:b-41")
			d.unchanged(t, "another of that id", func() {
				refused(t, d.post(t, "/bookings", visitOf("b-41", "p-2", "mark")), http.StatusConflict)
				refused(t, d.post(t, "/bookings", visitOf("b-41", "p-11", "hana")), http.StatusConflict)
				refused(t, d.post(t, "/bookings", visitOf("b-41", "p-2", "priya")), http.StatusForbidden) // and not bookable either
			})
		})
		t.Run("B6_cancelling_keeps_the_place", func(t *testing.T) {
			d.allow(t, "priya", "view", patient("p-5")).through("care_team")
			tag := d.tag(t, "/bookings/b-2")
			d.unchanged(t, "a lost race", func() {
				refused(t, d.post(t, "/bookings/b-2/cancel", object{}, "If-Match", `"0.elsewhere"`), http.StatusPreconditionFailed)
			})
			d.one(t, "a cancellation", func() {
				d.wrote(t, d.as("patient:p-5").post(t, "/bookings/b-2/cancel", object{}, "If-Match", tag), http.StatusOK)
			})
			d.allow(t, "priya", "view", patient("p-5")).through("care_team")
			d.becauseOf(t, "p-5", "priya", "booking:b-2")
			d.stands(t, "b-2", "cancelled")
			d.unchanged(t, "the same cancellation", func() { d.wrote(t, d.post(t, "/bookings/b-2/cancel", object{"release": false}), http.StatusOK) })
			d.unchanged(t, "the booking, sent once more", func() {
				answeredOneOf(t, d.post(t, "/bookings", visitOf("b-2", "p-5", "priya")), []int{http.StatusOK, http.StatusConflict})
			})
			d.one(t, "then a release", func() { d.wrote(t, d.post(t, "/bookings/b-2/cancel", object{"release": true}), http.StatusOK) })
			d.deny(t, "priya", "view", patient("p-5"), "patient_not_visible")
			d.becauseOf(t, "p-5", "priya")
			d.unchanged(t, "what is released", func() { d.post(t, "/bookings/b-2/cancel", object{"release": false}) })
			d.stands(t, "b-2", "released")
		})
		t.Run("B6_a_place_with_two_sources", func(t *testing.T) {
			d.one(t, "release of one", func() { d.wrote(t, d.post(t, "/bookings/b-41/cancel", object{"release": true}), http.StatusOK) })
			d.becauseOf(t, "p-1", "mark", "manual", "booking:b-1")
			d.one(t, "the end of the manual one", func() { d.wrote(t, d.delete(t, "/patients/p-1/care-team/mark"), http.StatusNoContent) })
			d.becauseOf(t, "p-1", "mark", "booking:b-1")
			d.wrote(t, d.delete(t, "/team-members/mark/access/diabetes"), http.StatusNoContent)
			d.allow(t, "mark", "view", patient("p-1")).through("care_team")
			d.unchanged(t, "by hand the last one does not go", func() {
				for _, r := range []reply{d.delete(t, "/patients/p-1/care-team/mark"), d.put(t, "/patients/p-1/care-team", object{"ids": array{}}),
					d.put(t, "/team-members/mark/patients", object{"ids": []string{"p-4", "p-11"}})} {
					check(t, r.status < 500, "%v", r)
				}
			})
			d.becauseOf(t, "p-1", "mark", "booking:b-1")
			d.one(t, "release of the last", func() { d.wrote(t, d.post(t, "/bookings/b-1/cancel", object{"release": true}), http.StatusOK) })
			d.deny(t, "mark", "view", patient("p-1"), "patient_not_visible")
			sameIDs(t, d.ids(t, "/team-members/mark/patients"), []string{"p-4", "p-11"}, "mark cares for")
		})
		t.Run("who_may_cancel", func(t *testing.T) {
			d.unchanged(t, "refused cancellations", func() {
				for _, who := range []string{"patient:p-8", "li", "sam", "mark", "ines", "noor", "nobody", ""} {
					answeredOneOf(t, d.as(who).post(t, "/bookings/b-5/cancel", object{}), hidden, "%q cancels b-5", who)
				}
				refused(t, d.post(t, "/bookings/b-404/cancel", object{}), http.StatusNotFound)
			})
			d.wrote(t, d.as("patient:p-7").post(t, "/bookings/b-5/cancel", object{}), http.StatusOK)
		})
		d.agree(t)
	})
}

// TestBookingsArePostedAlone has a booking made in no other way.
func TestBookingsArePostedAlone(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.unchanged(t, "other ways", func() {
			body := object{"patient": "p-2", "provider": "mark", "state": "booked"}
			refused(t, d.patch(t, "/bookings/b-1", body), http.StatusMethodNotAllowed)
			refused(t, d.put(t, "/bookings/b-50", body), http.StatusMethodNotAllowed)
			refused(t, d.post(t, "/edits", object{"edits": array{object{"put": object{"kind": "booking", "id": "b-50", "patient": "p-2", "provider": "mark", "state": "booked"}}}}),
				http.StatusBadRequest)
			refused(t, d.put(t, "/patients/p-2/bookings", object{"ids": array{}}), http.StatusMethodNotAllowed)
			refused(t, d.put(t, "/team-members/mark/bookings", object{"ids": array{}}), http.StatusMethodNotAllowed)
		})
		d.one(t, "a booking and its cancellation in one", func() {
			d.wrote(t, d.post(t, "/edits", object{"edits": array{object{"book": visitOf("b-51", "p-2", "mark")}, object{"cancel": object{"id": "b-51"}}}}), http.StatusOK)
		})
		d.stands(t, "b-51", "cancelled")
		d.becauseOf(t, "p-2", "mark", "booking:b-51")
	})
}

// TestBookingsAtTheSameTime sends one booking from many callers: one is told
// that it is new.
func TestBookingsAtTheSameTime(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		var group sync.WaitGroup
		var fresh, known atomic.Int64
		d.one(t, "twenty at once", func() {
			for range 20 {
				group.Go(func() {
					r, err := d.as("ruth").try(t.Context(), http.MethodPost, "/bookings", visitOf("b-60", "p-2", "mark"))
					switch {
					case err == nil && r.status == http.StatusCreated:
						fresh.Add(1)
						d.revision = r.header.Get("Caregate-Revision")
					case err == nil && r.status == http.StatusOK:
						known.Add(1)
					default:
						t.Errorf("%v %v", r, err)
					}
				})
			}
			group.Wait()
		})
		if fresh.Load() != 1 || known.Load() != 19 {
			t.Errorf("%d callers are told that it is new and %d that it was there, expected 1 and 19", fresh.Load(), known.Load())
		}
		d.becauseOf(t, "p-2", "mark", "booking:b-60")
	})
}
