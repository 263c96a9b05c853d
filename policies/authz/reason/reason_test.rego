package authz.reason_test

import data.authz.example_test as example
import data.authz.reason

_patient := example.patient("diabetes", set())

_missing(subject, action, resource) := missing if {
	missing := reason.missing with input as example.question(subject, action, resource)
}

_granted(subject, action, resource) := granted if {
	granted := reason.granted with input as example.question(subject, action, resource)
}

test_v9_an_unknown_subject_is_reported_alone[type] if {
	some type in {"team_member", "patient"}
	_missing(example.nobody(type), "approve", example.nobody("patient")) == {"subject_unknown"}
}

test_v9_a_subject_the_policy_has_no_rule_for_is_reported_alone[type] if {
	some type in {"service", "provider", "Team_member", ""}
	_missing({"type": type, "id": "x", "found": true}, "approve", example.thing("no_such_type")) == {"subject_unsupported"}
}

test_p7_a_suspended_subject_is_reported_alone if {
	everything := example.suspended(example.with_access({"patient:view"}, {"diabetes"}))
	_missing(everything, "view", _patient) == {"subject_suspended"}
	_missing(everything, "approve", example.nobody("patient")) == {"subject_suspended"}
	_missing(everything, "view", example.thing("no_such_type")) == {"subject_suspended"}
}

test_p7_a_suspended_provider_is_not_booked if {
	provider := example.suspended(example.provider({"diabetes"}))
	_missing(_patient, "view", provider) == {"provider_suspended"}
	_missing(_patient, "book", example.suspended(example.provider(set()))) == {
		"provider_not_bookable",
		"provider_suspended",
	}
	clerk := example.with_access({"appointment:create"}, {"diabetes"})
	_missing(clerk, "book", example.referring(provider, {"patient": _patient})) == {"provider_suspended"}
	appointment := example.referring(example.thing("appointment"), {"patient": _patient, "provider": provider})
	_missing(clerk, "create", appointment) == {"provider_suspended"}
	_missing(clerk, "cancel", appointment) == set()
}

test_p4_an_unknown_type_is_reported_alone if {
	_missing(example.member(set()), "view", example.thing("no_such_type")) == {"resource_type_unknown"}
}

test_p4_an_unknown_action_is_reported_alone if {
	_missing(example.member(set()), "approve", example.thing("stock")) == {"action_unknown"}
	_missing(_patient, "approve", example.thing("stock")) == {"action_unknown"}
}

test_b3_a_patient_asks_about_providers_alone if {
	_missing(_patient, "view", example.thing("stock")) == {"not_for_patients"}
	_missing(_patient, "view", _patient) == {"not_for_patients"}
}

test_v7_permission_and_sight_are_reported_together if {
	_missing(example.member(set()), "view", _patient) == {"permission_missing", "patient_not_visible"}
	_missing(example.member({"patient:view"}), "view", _patient) == {"patient_not_visible"}
	_missing(example.with_access(set(), {"diabetes"}), "view", _patient) == {"permission_missing"}
	_missing(example.with_access({"patient:view"}, {"diabetes"}), "view", _patient) == set()
}

test_v9_an_unknown_patient_is_not_also_invisible if {
	_missing(example.member(set()), "view", example.nobody("patient")) == {"permission_missing", "resource_unknown"}
	_missing(example.member({"patient:view"}), "view", example.nobody("patient")) == {"resource_unknown"}
}

test_v9_creating_what_is_there if {
	_missing(example.member({"patient:create"}), "create", _patient) == {"exists"}
	_missing(example.member({"patient:create"}), "create", example.nobody("patient")) == set()
}

test_p5_references if {
	writer := example.member({"clinical_note:create"})
	_missing(writer, "create", example.thing("clinical_note")) == {"reference_missing"}
	_missing(
		writer,
		"create",
		example.referring(example.thing("clinical_note"), {"patient": example.nobody("patient")}),
	) == {"reference_unknown"}
	_missing(
		writer,
		"create",
		example.referring(example.thing("clinical_note"), {"patient": _patient}),
	) == {"patient_not_visible"}
}

test_v8_a_report_on_a_group_without_access if {
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")})
	_missing(example.member({"report:view"}), "view", report) == {"patient_group_not_accessible"}
	_missing(example.member(set()), "view", report) == {"permission_missing", "patient_group_not_accessible"}
	_missing(example.with_access({"report:view"}, {"diabetes"}), "view", report) == set()
}

test_b3_a_provider_who_is_not_bookable if {
	_missing(_patient, "view", example.provider(set())) == {"provider_not_bookable"}
	_missing(_patient, "book", example.provider({"cardiology"})) == {"provider_not_bookable"}
	_missing(_patient, "book", example.nobody("provider")) == {"resource_unknown"}
}

test_b3_a_patient_who_names_another if {
	resource := example.referring(
		example.provider({"diabetes"}),
		{"patient": object.union(_patient, {"id": "p-2"})},
	)
	_missing(_patient, "book", resource) == {"patient_mismatch"}
}

test_a1_a_patient_who_cancels if {
	own := example.referring(example.thing("appointment"), {"patient": _patient})
	_granted(_patient, "cancel", own) == {"own_booking"}
	_missing(_patient, "cancel", own) == set()
	_missing(
		_patient,
		"cancel",
		example.referring(example.thing("appointment"), {"patient": object.union(_patient, {"id": "p-2"})}),
	) == {"patient_mismatch"}
	_missing(_patient, "update", own) == {"not_for_patients"}
}

test_a1_a_team_member_who_cancels if {
	booking := example.referring(example.thing("appointment"), {"patient": _patient})
	_missing(example.member(set()), "cancel", booking) == {"permission_missing", "patient_not_visible"}
	_granted(example.with_access({"appointment:create"}, {"diabetes"}), "cancel", booking) == {
		"permission_granted",
		"patient_visible",
	}
}

test_b4_booking_for_a_patient if {
	clerk := example.with_access({"appointment:create"}, {"diabetes"})
	_missing(
		clerk,
		"book",
		example.referring(example.provider({"cardiology"}), {"patient": _patient}),
	) == {"provider_not_bookable"}
	_missing(clerk, "book", example.provider({"cardiology"})) == {"reference_missing"}
	_missing(
		example.member(set()),
		"book",
		example.referring(example.provider(set()), {"patient": _patient}),
	) == {"permission_missing", "patient_not_visible", "provider_not_bookable"}
}

test_granted_names_what_held if {
	_granted(example.member({"stock:view"}), "view", example.thing("stock")) == {"permission_granted"}
	_granted(
		example.with_access({"patient:view"}, {"diabetes"}),
		"view",
		_patient,
	) == {"permission_granted", "patient_visible"}
	_granted(
		example.with_access({"report:view"}, {"diabetes"}),
		"view",
		example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")}),
	) == {"permission_granted", "patient_group_accessible"}
	_granted(_patient, "book", example.provider({"diabetes"})) == {"provider_bookable"}
	_granted(
		example.with_access({"appointment:create"}, {"diabetes"}),
		"book",
		example.referring(example.provider({"diabetes"}), {"patient": _patient}),
	) == {"permission_granted", "patient_visible", "provider_bookable"}
}

test_granted_does_not_name_what_was_not_asked if {
	_granted(example.with_access({"stock:view"}, {"diabetes"}), "view", example.thing("stock")) == {"permission_granted"}
	_granted(
		example.member({"patient:create", "patient:view_all"}),
		"create",
		example.nobody("patient"),
	) == {"permission_granted"}
	_granted(
		example.with_access({"appointment:create"}, {"diabetes"}),
		"create",
		example.referring(example.thing("appointment"), {"patient": _patient}),
	) == {"permission_granted", "patient_visible"}
}
