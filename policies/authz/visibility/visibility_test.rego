package authz.visibility_test

import data.authz.example_test as example
import data.authz.visibility

# Whether Mark, with Access to groups and permissions, sees a patient.
_sees(permissions, access, patient) if {
	visibility.patient_visible with input as example.question(
		example.with_access(permissions, access),
		"view",
		patient,
	)
}

test_v1_view_all_makes_every_patient_visible if {
	_sees({"patient:view_all"}, set(), example.patient("diabetes", set()))
	_sees({"patient:view_all"}, set(), example.patient("cardiology", {"priya"}))
}

test_p7_no_route_holds_while_a_member_is_suspended if {
	member := example.with_access({"patient:view_all"}, {"diabetes"})
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")})
	every resource in [example.patient("diabetes", {"mark"}), report] {
		routes := visibility.routes with input as example.question(member, "view", resource)
		count(routes) > 1
		held := visibility with input as example.question(example.suspended(member), "view", resource)
		(held.routes | held.patient_routes) | held.patient_group_routes == set()
	}
}

test_v1_view_all_of_another_type_makes_nobody_visible if {
	not _sees({"report:view_all"}, set(), example.patient("diabetes", set()))
}

test_v2_access_makes_the_patients_of_the_group_visible if {
	_sees(set(), {"diabetes"}, example.patient("diabetes", set()))
	_sees(set(), {"cardiology", "diabetes"}, example.patient("diabetes", set()))
}

test_v2_access_to_another_group_does_not if {
	not _sees(set(), {"cardiology"}, example.patient("diabetes", set()))
	not _sees(set(), {"Diabetes"}, example.patient("diabetes", set()))
	not _sees(set(), {"diabetes "}, example.patient("diabetes", set()))
	not _sees(set(), {""}, example.patient("diabetes", set()))
}

test_v3_the_care_team_sees_the_patient if {
	_sees(set(), set(), example.patient("diabetes", {"mark"}))
	_sees(set(), set(), example.patient("diabetes", {"priya", "mark"}))
}

test_v3_others_do_not if {
	not _sees(set(), set(), example.patient("diabetes", {"priya"}))
	not _sees(set(), set(), example.patient("diabetes", {"Mark"}))
	not _sees(set(), set(), example.patient("diabetes", set()))
}

test_v4_routes_add_up if {
	routes := visibility.routes with input as example.question(
		example.with_access({"patient:view_all"}, {"diabetes"}),
		"view",
		example.patient("diabetes", {"mark"}),
	)
	routes == {"view_all_patients", "patient_group_access", "care_team"}
}

test_v4_taking_one_route_away_leaves_the_others[name] if {
	some name, c in {
		"without view all": {"permissions": set(), "access": {"diabetes"}, "team": {"mark"}},
		"without access": {"permissions": {"patient:view_all"}, "access": set(), "team": {"mark"}},
		"without the care team": {"permissions": {"patient:view_all"}, "access": {"diabetes"}, "team": set()},
		"access alone": {"permissions": set(), "access": {"diabetes"}, "team": set()},
	}
	_sees(c.permissions, c.access, example.patient("diabetes", c.team))
}

test_v4_no_route_is_none if {
	routes := visibility.routes with input as example.question(
		example.member({"patient:view"}),
		"view",
		example.patient("diabetes", set()),
	)
	routes == set()
}

test_v5_a_move_takes_sight_from_who_had_access_to_the_old_group_alone if {
	_sees(set(), {"diabetes"}, example.patient("diabetes", set()))
	not _sees(set(), {"diabetes"}, example.patient("aftercare", set()))
	_sees(set(), {"diabetes"}, example.patient("aftercare", {"mark"}))
}

test_v6_provider_or_not_is_the_same[name] if {
	some name, provider in {"provider": true, "no provider": false}
	subject := object.union(example.with_access(set(), {"diabetes"}), {"provider": provider})
	visibility.patient_visible with input as example.question(subject, "view", example.patient("diabetes", set()))
	not visibility.patient_visible with input as example.question(
		subject,
		"view",
		example.patient("cardiology", set()),
	)
}

test_v7_registering_a_patient_has_nobody_to_see if {
	visibility.patient_visible with input as example.question(
		example.member(set()),
		"create",
		example.nobody("patient"),
	)
	not visibility.patient_concerned with input as example.question(
		example.member(set()),
		"create",
		example.nobody("patient"),
	)
}

_report(group) := example.referring(example.thing("report"), {"patient_group": example.patient_group(group)})

test_v8_a_report_needs_access_to_its_group if {
	visibility.patient_group_accessible with input as example.question(
		example.with_access(set(), {"diabetes"}),
		"view",
		_report("diabetes"),
	)
	not visibility.patient_group_accessible with input as example.question(
		example.with_access(set(), {"diabetes"}),
		"view",
		_report("cardiology"),
	)
}

test_v8_or_view_all if {
	asked := example.question(example.member({"patient:view_all"}), "view", _report("cardiology"))
	visibility.patient_group_accessible with input as asked
	routes := visibility.routes with input as asked
	routes == {"view_all_patients"}
}

test_v8_access_to_the_group_is_the_route if {
	routes := visibility.routes with input as example.question(
		example.with_access(set(), {"diabetes"}),
		"view",
		_report("diabetes"),
	)
	routes == {"patient_group_access"}
}

test_v8_a_report_on_no_group_needs_none if {
	visibility.patient_group_accessible with input as example.question(
		example.member(set()),
		"view",
		example.thing("report"),
	)
}

test_v8_the_group_of_a_patient_is_no_patient_group_in_question if {
	not visibility.patient_group_concerned with input as example.question(
		example.member(set()),
		"view",
		example.patient("diabetes", set()),
	)
}

_note(patient) := example.referring(example.thing("clinical_note"), {"patient": patient})

test_p5_what_belongs_to_a_patient_needs_the_patient_visible[name] if {
	some name, c in {
		"view all": {"subject": example.member({"patient:view_all"}), "team": set(), "visible": true},
		"access": {"subject": example.with_access(set(), {"diabetes"}), "team": set(), "visible": true},
		"care team": {"subject": example.member(set()), "team": {"mark"}, "visible": true},
		"none": {"subject": example.with_access(set(), {"cardiology"}), "team": {"priya"}, "visible": false},
	}
	asked := example.question(c.subject, "create", _note(example.patient("diabetes", c.team)))
	c.visible == _visible(asked)
}

_visible(asked) if {
	visibility.patient_visible with input as asked
} else := false

test_p5_a_caller_says_nothing_about_facts if {
	not visibility.patient_visible with input as example.question(
		example.member(set()),
		"view",
		object.union(
			_note(example.patient("diabetes", set())),
			{"properties": {"care_team": ["mark"], "patient_group": "diabetes"}},
		),
	)
}
