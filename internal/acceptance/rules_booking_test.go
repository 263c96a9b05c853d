package acceptance

import "testing"

// practice is an organisation with providers that some patients can book and
// others cannot, and a desk that books for them.
func practice() []record {
	return []record{
		role("desk", "appointment:create", "appointment:view", "appointment:update", "appointment:delete"),
		role("desk view", "appointment:view", "provider:view"),
		role("provider", "patient:view"),
		patientGroup("diabetes"),
		patientGroup("aftercare"),
		teamMember("bookable").holding("provider").bookableBy("diabetes"),
		teamMember("sighted").holding("provider").asProvider().seeing("diabetes"),
		teamMember("both").holding("provider").bookableBy("diabetes").seeing("diabetes"),
		teamMember("for-aftercare").holding("provider").bookableBy("aftercare"),
		teamMember("idle").holding("provider").asProvider(),
		teamMember("clerk").holding("provider"),
		teamMember("desk").holding("desk").seeing("diabetes"),
		teamMember("window").holding("desk view").seeing("diabetes"),
		patientIn("diabetes", "p-1"),
		patientIn("aftercare", "p-2"),
		patientIn("aftercare", "p-3").caredForBy("desk"),
	}
}

var bookingRules = []rule{
	{"B1_an_assignment_makes_a_provider_bookable", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		o.allow(t, patient("p-1"), "book", provider("bookable")).because("provider_bookable")
		o.deny(t, patient("p-2"), "book", provider("bookable"), "provider_not_bookable")
		o.deny(t, patient("p-1"), "book", provider("idle"), "provider_not_bookable")
		o.change(t, teamMember("idle").holding("provider").bookableBy("diabetes"))
		o.allow(t, patient("p-1"), "book", provider("idle"))
		o.change(t, teamMember("idle").holding("provider").asProvider())
		o.deny(t, patient("p-1"), "book", provider("idle"), "provider_not_bookable")
	}},
	{"B1_only_providers_can_have_one", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		o.deny(t, patient("p-1"), "book", provider("clerk"), "resource_unknown")
		o.deny(t, "desk", "book", provider("clerk").of("p-1"), "resource_unknown")
		got := run(t, string(lines(merge(practice(), teamMember("clerk").having("booking", []string{"diabetes"})))),
			"import", "--redis", workbench.redis.URL(), "--organisation", o.name+"-refused")
		check(t, got.code == 1, "import took a Booking assignment of somebody who is no provider: exit code %d, %s", got.code, got.stderr)
	}},
	{"B2_booking_shows_nothing_and_access_books_nobody", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		o.deny(t, "bookable", "view", patient("p-1"), "patient_not_visible").through()
		o.allow(t, "sighted", "view", patient("p-1")).through("patient_group_access")
		o.deny(t, patient("p-1"), "book", provider("sighted"), "provider_not_bookable")
		o.deny(t, patient("p-1"), "view", provider("sighted"), "provider_not_bookable")
		o.allow(t, "both", "view", patient("p-1"))
		o.allow(t, patient("p-1"), "book", provider("both"))
		// Taking one away leaves the other.
		o.change(t, teamMember("both").holding("provider").bookableBy("diabetes"))
		o.deny(t, "both", "view", patient("p-1"), "patient_not_visible")
		o.allow(t, patient("p-1"), "book", provider("both"))
		o.change(t, teamMember("both").holding("provider").asProvider().seeing("diabetes"))
		o.allow(t, "both", "view", patient("p-1"))
		o.deny(t, patient("p-1"), "book", provider("both"), "provider_not_bookable")
	}},
	{"B3_a_patient_views_and_books_exactly_the_bookable", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		bookable := map[string][]string{"p-1": {"bookable", "both"}, "p-2": {"for-aftercare"}, "p-3": {"for-aftercare"}}
		for id, providers := range bookable {
			may := map[string]bool{}
			for _, p := range providers {
				may[p] = true
			}
			for _, p := range []string{"bookable", "sighted", "both", "for-aftercare", "idle"} {
				for _, does := range []string{"view", "book"} {
					if may[p] {
						o.allow(t, patient(id), does, provider(p)).because("provider_bookable")
					} else {
						o.deny(t, patient(id), does, provider(p), "provider_not_bookable")
					}
				}
			}
		}
		o.deny(t, patient("p-1"), "book", provider("nobody"), "resource_unknown")
		for _, does := range []string{"create", "update", "delete", "view_all", "*"} {
			o.deny(t, patient("p-1"), does, provider("bookable"), "action_unknown")
		}
		for _, to := range []entity{
			patient("p-1"), patient("p-2"), appointment("a").of("p-1").with("bookable"), clinicalNote("n").of("p-1"),
			report("r"), {Type: "user", ID: "bookable"}, {Type: "settings", ID: "s"},
		} {
			o.deny(t, patient("p-1"), "view", to, "not_for_patients")
		}
		o.deny(t, patient("p-1"), "create", appointment("a").of("p-1").with("bookable"), "not_for_patients")
	}},
	{"B3_the_group_is_the_patient_s_own_and_moves_with_them", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		o.change(t, patientIn("aftercare", "p-1"))
		o.deny(t, patient("p-1"), "book", provider("bookable"), "provider_not_bookable")
		o.allow(t, patient("p-1"), "book", provider("for-aftercare"))
		o.allow(t, patient("p-1"), "view", provider("for-aftercare"))
	}},
	{"B3_a_patient_books_for_themselves_alone", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		o.allow(t, patient("p-1"), "book", provider("bookable").of("p-1"))
		o.deny(t, patient("p-1"), "book", provider("bookable").of("p-2"), "patient_mismatch")
		for value, code := range map[any]string{1: "reference_missing", nil: "reference_missing", "nobody": "reference_unknown"} {
			a := o.decide(t, ask(patient("p-1"), "book", provider("bookable").naming("patient", value)))
			if a.because(code).pointingAt("patient"); a.allowed() {
				t.Errorf("%v: allowed for %v", a.question, value)
			}
		}
	}},
	{"B4_booking_for_a_patient", func(t *testing.T, s store) {
		o := newOrganisation(t, s, practice()...)
		// Both ways of asking have the same answer.
		both := func(who, p, pr string, codes ...string) {
			t.Helper()
			if codes == nil {
				o.allow(t, who, "book", provider(pr).of(p)).needing("appointment:create").
					because("permission_granted", "patient_visible", "provider_bookable")
				o.allow(t, who, "create", appointment("a-1").of(p).with(pr)).needing("appointment:create").
					because("permission_granted", "patient_visible", "provider_bookable")
				return
			}
			o.deny(t, who, "book", provider(pr).of(p), codes...).needing("appointment:create")
			o.deny(t, who, "create", appointment("a-1").of(p).with(pr), codes...).needing("appointment:create")
		}
		both("desk", "p-1", "bookable")
		both("desk", "p-1", "both")
		both("desk", "p-1", "sighted", "provider_not_bookable")
		both("desk", "p-1", "for-aftercare", "provider_not_bookable")
		both("desk", "p-3", "for-aftercare") // through the care team
		both("desk", "p-2", "for-aftercare", "patient_not_visible")
		both("desk", "p-2", "bookable", "patient_not_visible", "provider_not_bookable")
		both("window", "p-1", "bookable", "permission_missing") // provider:view is not asked for, and does not help
		both("window", "p-2", "bookable", "permission_missing", "patient_not_visible", "provider_not_bookable")
		o.allow(t, "desk", "book", provider("bookable").of("p-1")).through("patient_group_access").grantedBy("desk")
		o.allow(t, "desk", "book", provider("for-aftercare").of("p-3")).through("care_team")
		o.deny(t, "desk", "book", provider("bookable").of("nobody"), "reference_unknown").pointingAt("patient")
		o.deny(t, "desk", "book", provider("bookable"), "reference_missing").pointingAt("patient")
		o.deny(t, "desk", "create", appointment("a-1").of("p-1").with("nobody"), "reference_unknown").pointingAt("provider")
		o.deny(t, "desk", "create", appointment("a-1").of("p-1").with("clerk"), "reference_unknown").pointingAt("provider")
		// An appointment without a provider needs only the patient and the permission.
		o.allow(t, "desk", "create", appointment("a-1").of("p-1")).because("permission_granted", "patient_visible")
		o.deny(t, "desk", "create", appointment("a-1").of("p-2"), "patient_not_visible")
	}},
}
