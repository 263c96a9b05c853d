package authz.booking_test

import data.authz.booking
import data.authz.example_test as example

_as_patient(resource) := example.question(example.patient("diabetes", set()), "book", resource)

_as_member(action, resource) := example.question(example.member({"appointment:create"}), action, resource)

_for_patient(resource) := example.referring(resource, {"patient": example.patient("diabetes", set())})

_appointment(provider) := example.referring(
	example.thing("appointment"),
	{"patient": example.patient("diabetes", set()), "provider": provider},
)

test_b1_a_booking_assignment_makes_bookable if {
	booking.bookable with input as _as_patient(example.provider({"diabetes"}))
	booking.bookable with input as _as_patient(example.provider({"cardiology", "diabetes"}))
}

test_b1_for_the_patients_of_that_group_alone if {
	not booking.bookable with input as _as_patient(example.provider({"cardiology"}))
	not booking.bookable with input as _as_patient(example.provider(set()))
}

test_b2_access_makes_nobody_bookable if {
	provider := object.union(example.provider(set()), {"access": {"diabetes"}})
	not booking.bookable with input as _as_patient(provider)
	not booking.bookable with input as _as_member("book", _for_patient(provider))
}

test_p7_a_suspended_provider_is_not_booked_and_keeps_the_assignment if {
	provider := example.suspended(example.provider({"diabetes"}))
	booking.bookable with input as _as_patient(provider)
	booking.provider_suspended with input as _as_patient(provider)
	not booking.satisfied with input as _as_member("create", _appointment(provider))
	booking.satisfied with input as _as_member("cancel", _appointment(provider))
	not booking.provider_suspended with input as _as_member("create", _appointment(example.provider({"diabetes"})))
}

test_b3_a_patient_needs_a_bookable_provider_to_view_and_to_book[action] if {
	some action in {"view", "book"}
	booking.needed with input as example.question(
		example.patient("diabetes", set()),
		action,
		example.provider(set()),
	)
}

test_b3_and_for_nothing_else if {
	not booking.needed with input as example.question(
		example.patient("diabetes", set()),
		"view",
		example.thing("calendar"),
	)
}

test_b3_a_patient_books_for_themselves if {
	booking.for_oneself with input as _as_patient(example.provider({"diabetes"}))
	booking.for_oneself with input as _as_patient(_for_patient(example.provider({"diabetes"})))
}

test_b3_and_for_nobody_else[name] if {
	some name, patient in {"another": "p-2", "in capitals": "P-1", "empty": "", "no string": 1, "null": null}
	resource := object.union(example.provider({"diabetes"}), {"properties": {"patient": patient}})
	not booking.for_oneself with input as _as_patient(resource)
}

test_b4_booking_for_a_patient_needs_a_provider_bookable_for_their_group if {
	booking.satisfied with input as _as_member("book", _for_patient(example.provider({"diabetes"})))
	not booking.satisfied with input as _as_member("book", _for_patient(example.provider({"cardiology"})))
}

test_b4_creating_an_appointment_with_a_provider_is_the_same_question if {
	booking.satisfied with input as _as_member("create", _appointment(example.provider({"diabetes"})))
	not booking.satisfied with input as _as_member("create", _appointment(example.provider({"cardiology"})))
	booking.needed with input as _as_member("create", _appointment(example.provider(set())))
}

test_b4_what_is_no_booking_needs_no_bookable_provider[name] if {
	some name, asked in {
		"looking at a provider": _as_member("view", example.provider(set())),
		"an appointment with nobody": _as_member("create", _for_patient(example.thing("appointment"))),
		"changing an appointment": _as_member("update", _appointment(example.provider(set()))),
		"a patient": _as_member("view", example.patient("diabetes", set())),
	}
	booking.satisfied with input as asked
	not booking.needed with input as asked
}

test_b4_the_caller_does_not_say_the_group if {
	resource := object.union(
		_for_patient(example.provider({"cardiology"})),
		{"properties": {"patient_group": "cardiology", "booking": ["diabetes"]}},
	)
	not booking.satisfied with input as _as_member("book", resource)
}

_cancelling(patient) := example.referring(example.thing("appointment"), {"patient": patient})

test_a1_cancelling_needs_no_bookable_provider if {
	booking.satisfied with input as _as_member("cancel", _appointment(example.provider(set())))
	not booking.needed with input as _as_member("cancel", _appointment(example.provider(set())))
}

test_a1_a_patient_cancels_for_themselves if {
	patient := example.patient("diabetes", set())
	another := object.union(patient, {"id": "p-2"})
	booking.for_oneself with input as example.question(patient, "cancel", _cancelling(patient))
	not booking.for_oneself with input as example.question(patient, "cancel", _cancelling(another))
	not booking.for_oneself with input as example.question(patient, "cancel", example.thing("appointment"))
}

test_b3_patients_may_ask_to_cancel_and_nothing_else_of_an_appointment if {
	patient := example.patient("diabetes", set())
	booking.open_to_patients with input as example.question(patient, "cancel", _cancelling(patient))
	not booking.open_to_patients with input as example.question(patient, "view", _cancelling(patient))
	not booking.open_to_patients with input as example.question(patient, "cancel", example.thing("stock"))
}
