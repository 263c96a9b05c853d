package authz_test

import data.authz
import data.authz.example_test as example

_decided(subject, action, resource) := decided if {
	decided := authz.decision with input as example.question(subject, action, resource)
}

test_decision_says_which_routes_and_who_granted if {
	subject := object.union(
		example.with_access(set(), {"diabetes"}),
		{"permissions": {"patient:update": {"role": "practitioner", "groups": ["clinicians"]}}},
	)
	_decided(subject, "update", example.patient("diabetes", {"mark"})) == {
		"allow": true,
		"context": {
			"reasons": {"permission_granted", "patient_visible"},
			"permission": "patient:update",
			"granted_by": {"role": "practitioner", "groups": ["clinicians"]},
			"routes": {"patient_group_access", "care_team"},
		},
	}
}

test_decision_says_what_is_missing if {
	_decided(example.member({"patient:view"}), "delete", example.patient("diabetes", {"mark"})) == {
		"allow": false,
		"context": {
			"reasons": {"permission_missing"},
			"permission": "patient:delete",
			"routes": {"care_team"},
		},
	}
}

test_decision_says_who_granted_what_was_not_enough if {
	_decided(example.member({"patient:view"}), "view", example.patient("diabetes", set())) == {
		"allow": false,
		"context": {
			"reasons": {"patient_not_visible"},
			"permission": "patient:view",
			"granted_by": {"role": "practitioner"},
		},
	}
}

test_decision_says_which_references if {
	_decided(example.member({"appointment:create"}), "create", object.union(
		example.thing("appointment"),
		{"properties": {"provider": "gone"}, "provider": example.nobody("provider")},
	)) == {
		"allow": false,
		"context": {
			"reasons": {"reference_missing", "reference_unknown"},
			"permission": "appointment:create",
			"granted_by": {"role": "practitioner"},
			"references": {"patient", "provider"},
		},
	}
}

test_decision_of_a_patient_names_no_permission if {
	_decided(example.patient("diabetes", set()), "book", example.provider({"diabetes"})) == {
		"allow": true,
		"context": {"reasons": {"provider_bookable"}},
	}
}

test_decision_on_what_is_unknown_says_that_alone if {
	_decided(example.member(set()), "approve", example.thing("stock")) == {
		"allow": false,
		"context": {"reasons": {"action_unknown"}},
	}
}

test_decision_on_nothing_is_a_deny if {
	decided := authz.decision with input as {}
	decided == {"allow": false, "context": {"reasons": {"subject_unsupported"}}}
}

_subjects := {
	"nobody": example.nobody("team_member"),
	"a service": {"type": "service", "id": "s"},
	"without anything": example.member(set()),
	"with everything": example.with_access(
		{concat(":", [type, action]) |
			some type in {"patient", "appointment", "clinical_note", "report", "stock", "provider", "no_such_type"}
			some action in {"view", "create", "update", "delete", "view_all", "approve"}
		},
		{"diabetes"},
	),
	"with access alone": example.with_access(set(), {"diabetes"}),
	"without view all": example.with_access({"patient:view", "appointment:create", "report:view"}, {"diabetes"}),
	"a patient": example.patient("diabetes", set()),
	"an unknown patient": example.nobody("patient"),
}

_resources := {
	"stock": example.thing("stock"),
	"an unknown type": example.thing("no_such_type"),
	"a patient": example.patient("diabetes", set()),
	"another patient": example.patient("cardiology", {"priya"}),
	"an unknown patient": example.nobody("patient"),
	"a bookable provider": example.provider({"diabetes"}),
	"a provider for a patient": example.referring(
		example.provider({"diabetes"}),
		{"patient": example.patient("diabetes", set())},
	),
	"another provider": example.provider({"cardiology"}),
	"a report": example.thing("report"),
	"a report on a group": example.referring(
		example.thing("report"),
		{"patient_group": example.patient_group("cardiology")},
	),
	"an appointment for nobody": example.thing("appointment"),
	"an appointment": example.referring(
		example.thing("appointment"),
		{"patient": example.patient("diabetes", set()), "provider": example.provider({"diabetes"})},
	),
	"a note on an unknown patient": example.referring(
		example.thing("clinical_note"),
		{"patient": example.nobody("patient")},
	),
}

_questions[name] := example.question(subject, action, resource) if {
	some who, subject in _subjects
	some action in {"view", "create", "book", "approve"}
	some what, resource in _resources
	name := sprintf("%s: %s on %s", [who, action, what])
}

_allowed contains name if {
	some name, asked in _questions
	authz.allow with input as asked
}

_decisions[name] := decided if {
	some name, asked in _questions
	decided := authz.decision with input as asked
}

test_allow_and_decision_agree_on_every_question if {
	count(_questions) == 416
	count(_allowed) > 20
	{name | _decisions[name].allow == true} == _allowed
	{name | _decisions[name].allow == false} == object.keys(_questions) - _allowed
}

test_reasons_of_an_allow_are_what_was_granted_and_of_a_deny_what_is_missing if {
	count(_decisions) == 416
	every decided in _decisions {
		reasons := decided.context.reasons
		count(reasons) > 0
		reasons & _grounds == {reason | some reason in reasons; decided.allow}
	}
}

_grounds := {"permission_granted", "patient_visible", "patient_group_accessible", "provider_bookable"}
