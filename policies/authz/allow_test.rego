package authz_test

import data.authz
import data.authz.example_test as example

_diabetes := example.patient("diabetes", set())

_may(subject, action, resource) if {
	authz.allow with input as example.question(subject, action, resource)
}

test_v7_opening_a_record_needs_the_permission_and_a_route if {
	_may(example.with_access({"patient:view"}, {"diabetes"}), "view", _diabetes)
	_may(example.member({"patient:view", "patient:view_all"}), "view", _diabetes)
	_may(example.member({"patient:view"}), "view", example.patient("diabetes", {"mark"}))
	not _may(example.member({"patient:view"}), "view", _diabetes)
	not _may(example.with_access(set(), {"diabetes"}), "view", _diabetes)
}

test_p7_a_suspended_member_may_do_nothing if {
	_may(example.with_access({"patient:view", "stock:view"}, {"diabetes"}), "view", _diabetes)
	suspended := example.suspended(example.with_access({"patient:view", "stock:view"}, {"diabetes"}))
	not _may(suspended, "view", _diabetes)
	not _may(suspended, "view", example.thing("stock"))
	not _may(suspended, "create", example.nobody("patient"))
}

test_p7_nobody_books_a_suspended_provider[action] if {
	some action in {"view", "book"}
	not _may(_diabetes, action, example.suspended(example.provider({"diabetes"})))
}

test_v7_view_all_is_a_route_and_nothing_more[action] if {
	some action in {"view", "update", "delete", "view_all"}
	not _may(example.member({"patient:view_all"}), action, _diabetes)
}

test_v7_each_action_needs_its_own_permission[action] if {
	some action in {"view", "update", "delete"}
	others := {"patient:view", "patient:update", "patient:delete", "patient:create"} - {concat(":", ["patient", action])}
	not _may(example.with_access(others, {"diabetes"}), action, _diabetes)
}

test_v9_who_or_what_is_unknown_is_denied if {
	not _may(
		object.union(example.nobody("team_member"), {"permissions": {"stock:view": {"role": "r"}}}),
		"view",
		example.thing("stock"),
	)
	not _may(example.nobody("patient"), "book", example.provider({"diabetes"}))
	not _may(example.member({"patient:view", "patient:view_all"}), "view", example.nobody("patient"))
	not _may({"type": "service", "id": "s", "found": true, "permissions": {"stock:view": {}}}, "view", example.thing("stock"))
}

test_v9_a_subject_of_whom_nothing_is_known_is_denied if {
	not _may({"type": "team_member", "id": "mark"}, "view", example.thing("stock"))
	not authz.allow with input as {}
}

test_v9_create_is_for_what_is_not_there if {
	_may(example.member({"patient:create"}), "create", example.nobody("patient"))
	not _may(example.member({"patient:create", "patient:view_all"}), "create", _diabetes)
	not _may(example.member(set()), "create", example.nobody("patient"))
}

test_v8_a_report_on_a_group if {
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")})
	_may(example.with_access({"report:view"}, {"diabetes"}), "view", report)
	_may(example.member({"report:view", "patient:view_all"}), "view", report)
	_may(example.member({"report:view"}), "view", example.thing("report"))
	not _may(example.member({"report:view"}), "view", report)
}

test_b3_a_patient_views_and_books_who_is_bookable_for_their_group[action] if {
	some action in {"view", "book"}
	_may(_diabetes, action, example.provider({"diabetes"}))
	not _may(_diabetes, action, example.provider({"cardiology"}))
	not _may(_diabetes, action, example.nobody("provider"))
}

test_b3_a_patient_may_do_nothing_else if {
	not _may(_diabetes, "view", _diabetes)
	not _may(_diabetes, "view", example.thing("calendar"))
	not _may(_diabetes, "cancel", example.provider({"diabetes"}))
	not _may(_diabetes, "create", example.referring(
		example.thing("appointment"),
		{"patient": _diabetes, "provider": example.provider({"diabetes"})},
	))
}

test_b3_a_patient_books_for_nobody_else if {
	_may(_diabetes, "book", example.referring(example.provider({"diabetes"}), {"patient": _diabetes}))
	not _may(_diabetes, "book", example.referring(
		example.provider({"diabetes"}),
		{"patient": object.union(_diabetes, {"id": "p-2"})},
	))
}

test_a1_a_patient_cancels_their_own_bookings_alone if {
	another := object.union(_diabetes, {"id": "p-2"})
	_may(_diabetes, "cancel", example.referring(example.thing("appointment"), {"patient": _diabetes}))
	not _may(_diabetes, "cancel", example.referring(example.thing("appointment"), {"patient": another}))
	not _may(_diabetes, "cancel", example.thing("appointment"))
	not _may(example.nobody("patient"), "cancel", example.referring(example.thing("appointment"), {"patient": _diabetes}))
	not _may(_diabetes, "cancel", example.referring(
		example.thing("appointment"),
		{"patient": example.nobody("patient")},
	))
}

test_a1_a_team_member_cancels_what_they_could_book_were_the_provider_bookable if {
	booking := example.referring(example.thing("appointment"), {"patient": _diabetes})
	_may(example.with_access({"appointment:create"}, {"diabetes"}), "cancel", booking)
	_may(example.member({"appointment:create", "patient:view_all"}), "cancel", booking)
	not _may(example.with_access({"appointment:update", "appointment:delete"}, {"diabetes"}), "cancel", booking)
	not _may(example.member({"appointment:create"}), "cancel", booking)
	not _may(example.with_access({"appointment:create"}, {"diabetes"}), "cancel", example.thing("appointment"))
}

test_b4_a_team_member_books_for_a_patient_they_see if {
	resource := example.referring(example.provider({"diabetes"}), {"patient": _diabetes})
	_may(example.with_access({"appointment:create"}, {"diabetes"}), "book", resource)
	not _may(example.with_access({"provider:view"}, {"diabetes"}), "book", resource)
	not _may(example.member({"appointment:create"}), "book", resource)
}

test_b4_an_appointment_with_a_provider_is_the_same if {
	clerk := example.with_access({"appointment:create"}, {"diabetes"})
	_may(clerk, "create", example.referring(
		example.thing("appointment"),
		{"patient": _diabetes, "provider": example.provider({"diabetes"})},
	))
	not _may(clerk, "create", example.referring(
		example.thing("appointment"),
		{"patient": _diabetes, "provider": example.provider({"cardiology"})},
	))
	_may(clerk, "create", example.referring(example.thing("appointment"), {"patient": _diabetes}))
}

test_p4_a_new_type_is_an_edit_of_data if {
	no_such_type := {
		"actions": {"view": {}, "approve": {}},
		"references": {"patient": {"required": true}},
	}
	asked := example.question(
		example.with_access({"no_such_type:approve"}, {"diabetes"}),
		"approve",
		example.referring(example.thing("no_such_type"), {"patient": _diabetes}),
	)
	authz.allow with input as asked with data.catalogue.types.no_such_type as no_such_type
	not authz.allow with input as object.union(asked, {"subject": {"access": {"cardiology"}}})
		with data.catalogue.types.no_such_type as no_such_type
	not authz.allow with input as asked
}

test_p5_what_belongs_to_a_patient if {
	writer := example.with_access({"clinical_note:create"}, {"diabetes"})
	_may(writer, "create", example.referring(example.thing("clinical_note"), {"patient": _diabetes}))
	not _may(writer, "create", example.thing("clinical_note"))
	not _may(writer, "create", example.referring(
		example.thing("clinical_note"),
		{"patient": example.nobody("patient")},
	))
	not _may(writer, "create", example.referring(
		example.thing("clinical_note"),
		{"patient": example.patient("cardiology", set())},
	))
}
