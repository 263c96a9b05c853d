package acceptance

import "testing"

// notStrings are JSON values that name nothing.
var notStrings = []any{nil, true, 1, 1.5, []string{"p-1"}, map[string]any{"id": "p-1"}, []any{}}

var referenceRules = []rule{
	{"P5_what_belongs_to_a_patient_needs_the_patient_visible", func(t *testing.T, s store) {
		o := newOrganisation(t, s, scribes()...)
		for _, does := range crud {
			for _, kind := range []func(string) entity{appointment, clinicalNote} {
				o.allow(t, "scribe", does, kind("1").of("p-1")).because("permission_granted", "patient_visible").through("patient_group_access")
				o.deny(t, "scribe", does, kind("1").of("p-2"), "patient_not_visible").grantedBy("scribe")
				o.deny(t, "reader", does, kind("1").of("p-1"), "permission_missing").through("patient_group_access")
				o.deny(t, "reader", does, kind("1").of("p-2"), "patient_not_visible", "permission_missing")
			}
		}
		// A permission on patients is none on what belongs to them, and the reverse.
		o.deny(t, "scribe", "view", patient("p-1"), "permission_missing")
	}},
	{"P5_a_required_reference_is_a_string_that_names_something", func(t *testing.T, s store) {
		o := newOrganisation(t, s, scribes()...)
		for _, does := range crud {
			o.deny(t, "scribe", does, clinicalNote("1"), "reference_missing").pointingAt("patient")
			o.deny(t, "scribe", does, appointment("1").with("doc"), "reference_missing").pointingAt("patient")
			o.deny(t, "scribe", does, clinicalNote("1").of("nobody"), "reference_unknown").pointingAt("patient")
			o.deny(t, "scribe", does, clinicalNote("1").of("scribe"), "reference_unknown").pointingAt("patient")
			o.deny(t, "scribe", does, clinicalNote("1").of("P-1"), "reference_unknown").pointingAt("patient")
			for _, value := range notStrings {
				o.deny(t, "scribe", does, clinicalNote("1").naming("patient", value), "reference_missing").pointingAt("patient")
			}
		}
		// The permission does not depend on it, and is reported with it when it is missing too.
		a := o.decide(t, ask("reader", "view", clinicalNote("1")))
		if a.because("reference_missing"); a.allowed() {
			t.Errorf("%v: allowed", a.question)
		}
	}},
	{"P5_an_optional_reference_likewise_when_given", func(t *testing.T, s store) {
		o := newOrganisation(t, s, scribes()...)
		for _, does := range crud {
			o.allow(t, "scribe", does, appointment("1").of("p-1"))
			o.allow(t, "scribe", does, appointment("1").of("p-1").with("doc"))
			o.deny(t, "scribe", does, appointment("1").of("p-1").with("nobody"), "reference_unknown").pointingAt("provider")
			o.deny(t, "scribe", does, appointment("1").of("p-1").with("reader"), "reference_unknown").pointingAt("provider") // no provider
			for _, value := range notStrings {
				o.deny(t, "scribe", does, appointment("1").of("p-1").naming("provider", value), "reference_missing").pointingAt("provider")
			}
			o.deny(t, "scribe", does, appointment("1").naming("patient", 7).naming("provider", 7), "reference_missing").
				pointingAt("patient", "provider")
			o.deny(t, "scribe", does, appointment("1").of("nobody").naming("provider", nil), "reference_missing", "reference_unknown").
				pointingAt("patient", "provider")
			o.deny(t, "scribe", does, appointment("1").of("nobody").with("nobody"), "reference_unknown").
				pointingAt("patient", "provider")
		}
		for _, value := range notStrings {
			a := o.decide(t, ask(patient("p-1"), "view", provider("doc").naming("patient", value)))
			if a.because("reference_missing").pointingAt("patient"); a.allowed() {
				t.Errorf("%v: allowed with the patient %v", a.question, value)
			}
		}
		// A patient whom a question names at all has to be visible.
		o.allow(t, "viewer", "view", provider("doc"))
		o.allow(t, "viewer", "view", provider("doc").of("p-1")).through("patient_group_access")
		o.deny(t, "viewer", "view", provider("doc").of("p-2"), "patient_not_visible")
	}},
	{"P5_a_property_that_is_no_reference_is_the_caller_s_own", func(t *testing.T, s store) {
		o := newOrganisation(t, s, scribes()...)
		o.allow(t, "scribe", "view", clinicalNote("1").of("p-1").with("nobody").naming("patient_group", 5))
		o.allow(t, "scribe", "view", clinicalNote("1").of("p-1").naming("Patient", "p-2").naming("patient ", nil))
		o.deny(t, "scribe", "view", clinicalNote("1").of("p-2").naming("Patient", "p-1"), "patient_not_visible")
		o.deny(t, "scribe", "view", clinicalNote("1").naming("PATIENT", "p-1"), "reference_missing")
	}},
}

// scribes is an organisation whose scribe writes about the patients of one
// group.
func scribes() []record {
	return []record{
		role("scribe", "appointment:*", "clinical_note:*"), role("reader", "patient:*"), role("viewer", "provider:view"),
		patientGroup("g"), patientGroup("other"),
		teamMember("scribe").holding("scribe").seeing("g"), teamMember("reader").holding("reader").seeing("g"),
		teamMember("doc").bookableBy("g"), teamMember("viewer").holding("viewer").seeing("g"),
		patientIn("g", "p-1"), patientIn("other", "p-2"),
	}
}
