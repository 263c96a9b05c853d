package acceptance

import "testing"

// rule is a rule of the design and the scenarios that show it.
type rule struct {
	name string
	show func(t *testing.T, s store)
}

// TestRules shows every rule by its number, over both stores.
func TestRules(t *testing.T) {
	overBothStores(t, func(t *testing.T, s store) {
		for _, rules := range [][]rule{visibilityRules, validityRules, bookingRules, permissionRules, referenceRules} {
			for _, r := range rules {
				t.Run(r.name, func(t *testing.T) { r.show(t, s) })
			}
		}
	})
}

// clinic is an organisation with two patient groups and someone for every
// route. Nobody in it may do more than its name says.
func clinic() []record {
	return []record{
		role("viewer", "patient:view"),
		role("editor", "patient:view", "patient:update"),
		role("overseer", "patient:view", "patient:view_all"),
		role("scope only", "patient:view_all"),
		group("record keepers", "patient:view", "patient:update"),
		group("overseers", "patient:view_all"),
		patientGroup("diabetes"),
		patientGroup("aftercare"),
		patientGroup("nobody's"),
		teamMember("newcomer").holding("viewer"),
		teamMember("olga").holding("overseer"),
		teamMember("gus").holding("viewer").inGroups("overseers"),
		teamMember("ann").holding("editor").seeing("diabetes"),
		teamMember("cara").holding("viewer"),
		teamMember("drew").holding("viewer").asProvider().seeing("diabetes"),
		teamMember("max").holding("overseer").seeing("diabetes"),
		teamMember("blind").holding("scope only"),
		teamMember("powerless").seeing("diabetes"),
		patientIn("diabetes", "p-1"),
		patientIn("aftercare", "p-2").caredForBy("cara"),
		patientIn("nobody's", "p-3"),
	}
}

var visibilityRules = []rule{
	{"V1_view_all_shows_every_patient", func(t *testing.T, s store) {
		o := newOrganisation(t, s, clinic()...)
		for _, id := range []string{"p-1", "p-2", "p-3"} {
			o.allow(t, "olga", "view", patient(id)).because("patient_visible", "permission_granted").
				through("view_all_patients").needing("patient:view").grantedBy("overseer")
			o.allow(t, "gus", "view", patient(id)).through("view_all_patients").grantedBy("viewer")
			o.deny(t, "newcomer", "view", patient(id), "patient_not_visible").through()
		}
	}},
	{"V2_access_shows_the_patients_of_that_group", func(t *testing.T, s store) {
		o := newOrganisation(t, s, clinic()...)
		o.allow(t, "ann", "view", patient("p-1")).because("patient_visible").through("patient_group_access")
		o.allow(t, "ann", "update", patient("p-1")).through("patient_group_access")
		o.deny(t, "ann", "view", patient("p-2"), "patient_not_visible")
		o.deny(t, "ann", "view", patient("p-3"), "patient_not_visible")
		o.change(t, teamMember("ann").holding("editor").seeing("diabetes", "nobody's"))
		o.allow(t, "ann", "view", patient("p-1"))
		o.allow(t, "ann", "view", patient("p-3")).through("patient_group_access")
		o.deny(t, "ann", "view", patient("p-2"), "patient_not_visible")
	}},
	{"V3_the_care_team_sees_its_patient", func(t *testing.T, s store) {
		o := newOrganisation(t, s, clinic()...)
		o.allow(t, "cara", "view", patient("p-2")).because("patient_visible").through("care_team")
		o.deny(t, "cara", "view", patient("p-1"), "patient_not_visible")
		o.change(t, patientIn("aftercare", "p-2"))
		o.deny(t, "cara", "view", patient("p-2"), "patient_not_visible")
	}},
	{"V3_a_booking_puts_its_provider_on_the_care_team", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			teamMember("booked").holding("viewer").bookableBy("aftercare"),
			teamMember("cancelled").holding("viewer").bookableBy("aftercare"),
			teamMember("released").holding("viewer").bookableBy("aftercare"),
			booking("b-1", "p-2", "booked", "booked"),
			booking("b-2", "p-2", "cancelled", "cancelled"),
			booking("b-3", "p-2", "released", "released"))...)
		o.allow(t, "booked", "view", patient("p-2")).through("care_team")
		o.allow(t, "cancelled", "view", patient("p-2")).through("care_team")
		o.deny(t, "released", "view", patient("p-2"), "patient_not_visible")
		o.deny(t, "booked", "view", patient("p-1"), "patient_not_visible")
	}},
	{"V4_routes_add_up_and_leave_each_other_alone", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			patientIn("diabetes", "p-4").caredForBy("max"))...)
		o.allow(t, "max", "view", patient("p-1")).through("view_all_patients", "patient_group_access")
		o.allow(t, "max", "view", patient("p-2")).through("view_all_patients")
		o.allow(t, "max", "view", patient("p-4")).through("care_team", "view_all_patients", "patient_group_access")

		o.change(t, role("overseer", "patient:view")) // View All Patients is turned off
		o.allow(t, "max", "view", patient("p-1")).through("patient_group_access")
		o.deny(t, "max", "view", patient("p-2"), "patient_not_visible")
		o.allow(t, "max", "view", patient("p-4")).through("care_team", "patient_group_access")

		o.change(t, teamMember("max").holding("overseer")) // and Access is taken away
		o.deny(t, "max", "view", patient("p-1"), "patient_not_visible")
		o.allow(t, "max", "view", patient("p-4")).through("care_team")
	}},
	{"V5_a_patient_is_in_one_group_and_moves_at_once", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			teamMember("bea").holding("viewer").seeing("aftercare"),
			patientIn("diabetes", "mover").caredForBy("cara"))...)
		o.allow(t, "ann", "view", patient("mover"))
		o.deny(t, "bea", "view", patient("mover"), "patient_not_visible")
		o.change(t, patientIn("aftercare", "mover").caredForBy("cara"))
		o.deny(t, "ann", "view", patient("mover"), "patient_not_visible")
		o.allow(t, "bea", "view", patient("mover")).through("patient_group_access")
		o.allow(t, "cara", "view", patient("mover")).through("care_team")
		o.allow(t, "olga", "view", patient("mover")).through("view_all_patients")
		o.allow(t, "ann", "view", patient("p-1")) // who stayed is still seen
		o.change(t, patientIn("diabetes", "mover").caredForBy("cara"))
		o.allow(t, "ann", "view", patient("mover"))
		o.deny(t, "bea", "view", patient("mover"), "patient_not_visible")
	}},
	{"V6_it_holds_for_providers_and_for_everybody_else", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			teamMember("doctor all").holding("overseer").asProvider(),
			patientIn("nobody's", "p-5").caredForBy("drew", "newcomer"))...)
		o.allow(t, "drew", "view", patient("p-1")).through("patient_group_access")
		o.allow(t, "drew", "view", patient("p-5")).through("care_team")
		o.allow(t, "newcomer", "view", patient("p-5")).through("care_team")
		o.allow(t, "doctor all", "view", patient("p-5")).through("view_all_patients")
		o.deny(t, "drew", "view", patient("p-2"), "patient_not_visible")
	}},
	{"V7_a_record_needs_the_route_and_the_permission", func(t *testing.T, s store) {
		o := newOrganisation(t, s, clinic()...)
		o.deny(t, "blind", "view", patient("p-1"), "permission_missing").
			through("view_all_patients").needing("patient:view")
		o.deny(t, "powerless", "view", patient("p-1"), "permission_missing").through("patient_group_access")
		o.deny(t, "powerless", "view", patient("p-2"), "patient_not_visible", "permission_missing")
		o.deny(t, "ann", "delete", patient("p-1"), "permission_missing").needing("patient:delete")
		o.deny(t, "ann", "delete", patient("p-2"), "patient_not_visible", "permission_missing")
		o.deny(t, "ann", "update", patient("p-2"), "patient_not_visible").grantedBy("editor")
		o.deny(t, "blind", "view_all", patient("p-1"), "action_unknown")
		o.deny(t, "olga", "view_all", patient("p-1"), "action_unknown")
		// Being able to change is not being able to open.
		o.change(t, role("editor", "patient:update"))
		o.deny(t, "ann", "view", patient("p-1"), "permission_missing")
		o.allow(t, "ann", "update", patient("p-1")).grantedBy("editor")
		// Somebody's grant is nobody else's, and a group grants as well as a role.
		o.change(t, teamMember("ann").inGroups("record keepers").seeing("diabetes"))
		o.allow(t, "ann", "update", patient("p-1")).grantedBy("", "record keepers")
	}},
	{"V8_a_report_needs_view_and_the_group_it_names", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			role("reporter", "report:view"),
			role("chief", "report:view", "patient:view_all"),
			teamMember("rita").holding("reporter").seeing("diabetes"),
			teamMember("chief").holding("chief"),
			teamMember("carer").holding("reporter"),
			patientIn("aftercare", "p-6").caredForBy("carer"))...)
		o.allow(t, "rita", "view", report("monthly").on("diabetes")).
			because("patient_group_accessible", "permission_granted").through("patient_group_access").grantedBy("reporter")
		o.deny(t, "rita", "view", report("monthly").on("aftercare"), "patient_group_not_accessible")
		o.allow(t, "chief", "view", report("monthly").on("aftercare")).through("view_all_patients")
		o.allow(t, "rita", "view", report("monthly")).because("permission_granted").through()
		o.allow(t, "carer", "view", report("monthly"))
		o.deny(t, "carer", "view", report("monthly").on("aftercare"), "patient_group_not_accessible") // one patient is not the group
		o.deny(t, "ann", "view", report("monthly").on("diabetes"), "permission_missing")
		o.deny(t, "ann", "view", report("monthly"), "permission_missing")
		o.deny(t, "ann", "view", report("monthly").on("aftercare"), "patient_group_not_accessible", "permission_missing")
		o.deny(t, "chief", "view", report("monthly").on("no such group"), "reference_unknown").pointingAt("patient_group")
		o.deny(t, "chief", "view", report("monthly").naming("patient_group", []string{"diabetes"}), "reference_missing").pointingAt("patient_group")
		o.deny(t, "chief", "view", report("monthly").naming("patient_group", nil), "reference_missing").pointingAt("patient_group")
	}},
}
