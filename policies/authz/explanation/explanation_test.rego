package authz.explanation_test

import data.authz
import data.authz.example_test as example
import data.authz.explanation
import data.authz.reason
import data.authz.visibility

_account(subject, action, resource) := account if {
	account := explanation.account with input as example.question(subject, action, resource)
}

_admin(subject, action, resource) := _account(subject, action, resource).admin

_unmet(subject, action, resource) := {requirement.requirement: requirement.missing |
	some requirement in _admin(subject, action, resource).requirements
	not requirement.met
}

_met(subject, action, resource) := [requirement.requirement |
	some requirement in _admin(subject, action, resource).requirements
	requirement.met
]

# Mark, who gets one permission from his role and another from one of two groups.
_mark := object.union(example.with_access(set(), {"diabetes"}), {
	"permissions": {
		"patient:view": {"role": "practitioner", "groups": ["clinicians"]},
		"patient:update": {"groups": ["clinicians"]},
	},
	"groups": {"clinicians", "stockroom"},
})

test_sources_are_the_role_and_every_group_matched_or_not if {
	_admin(_mark, "view", example.patient("diabetes", set())).permission == {
		"name": "patient:view",
		"held": true,
		"sources": [
			{"role": "practitioner", "grants": true},
			{"group": "clinicians", "grants": true},
			{"group": "stockroom", "grants": false},
		],
	}
	_admin(_mark, "update", example.patient("diabetes", set())).permission == {
		"name": "patient:update",
		"held": true,
		"sources": [
			{"role": "practitioner", "grants": false},
			{"group": "clinicians", "grants": true},
			{"group": "stockroom", "grants": false},
		],
	}
	_admin(_mark, "delete", example.patient("diabetes", set())).permission == {
		"name": "patient:delete",
		"held": false,
		"sources": [
			{"role": "practitioner", "grants": false},
			{"group": "clinicians", "grants": false},
			{"group": "stockroom", "grants": false},
		],
	}
}

test_a_member_without_role_and_groups_has_no_sources if {
	_admin(object.remove(example.member(set()), ["role"]), "view", example.thing("stock")).permission.sources == []
}

_view_all := {"permission": "patient:view_all", "sources": [{"role": "practitioner", "grants": false}]}

_view_all_held := {"permission": "patient:view_all", "sources": [{"role": "practitioner", "grants": true}]}

_access(group) := {"access": {"member": "mark", "patient_group": group}}

_care_team := {"care_team": {"patient": "p-1", "member": "mark"}}

_to_patient := {"patient": "p-1"}

test_v4_routes_are_all_there_with_what_they_lack if {
	_admin(example.member({"patient:view"}), "view", example.patient("diabetes", {"priya"})).routes == [
		{"route": "view_all_patients", "to": _to_patient, "holds": false, "missing": _view_all},
		{"route": "patient_group_access", "to": _to_patient, "holds": false, "missing": _access("diabetes")},
		{"route": "care_team", "to": _to_patient, "holds": false, "missing": _care_team},
	]
}

test_v4_and_with_what_they_hold_by if {
	subject := example.with_access({"patient:view_all"}, {"diabetes"})
	_admin(subject, "view", example.patient("diabetes", {"mark"})).routes == [
		{"route": "view_all_patients", "to": _to_patient, "holds": true, "by": _view_all_held},
		{"route": "patient_group_access", "to": _to_patient, "holds": true, "by": _access("diabetes")},
		{"route": "care_team", "to": _to_patient, "holds": true, "by": _care_team},
	]
}

test_p5_routes_lead_to_the_patient_referred_to if {
	note := example.referring(example.thing("clinical_note"), {"patient": example.patient("diabetes", {"mark"})})
	_admin(example.member(set()), "create", note).routes == [
		{"route": "view_all_patients", "to": _to_patient, "holds": false, "missing": _view_all},
		{"route": "patient_group_access", "to": _to_patient, "holds": false, "missing": _access("diabetes")},
		{"route": "care_team", "to": _to_patient, "holds": true, "by": _care_team},
	]
}

test_v8_routes_lead_to_the_patient_group_of_a_report if {
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")})
	_admin(example.with_access({"report:view"}, {"diabetes"}), "view", report).routes == [
		{"route": "view_all_patients", "to": {"patient_group": "diabetes"}, "holds": false, "missing": _view_all},
		{
			"route": "patient_group_access",
			"to": {"patient_group": "diabetes"},
			"holds": true,
			"by": _access("diabetes"),
		},
	]
}

test_v9_nothing_leads_to_an_unknown_patient if {
	_admin(example.member({"patient:view_all"}), "view", example.nobody("patient")).routes == []
}

test_what_concerns_no_patient_has_no_routes if {
	not _admin(_mark, "view", example.thing("stock")).routes
	not _admin(_mark, "create", example.nobody("patient")).routes
	not _admin(example.patient("diabetes", set()), "view", example.provider(set())).routes
}

test_v7_requirements_name_what_is_missing if {
	_unmet(example.member(set()), "view", example.patient("diabetes", set())) == {
		"permission_held": {"permission": "patient:view"},
		"patient_visible": {"any_of": [_view_all, _access("diabetes"), _care_team]},
	}
}

test_v7_requirements_stand_in_a_fixed_order if {
	_met(_mark, "view", example.patient("diabetes", set())) == [
		"subject_supported", "subject_known", "resource_type_known", "action_known",
		"permission_held", "resource_exists", "patient_visible",
	]
}

test_v8_a_report_needs_its_group if {
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("cardiology")})
	_unmet(example.with_access({"report:view"}, {"diabetes"}), "view", report) == {"patient_group_accessible": {"any_of": [
		_view_all,
		_access("cardiology"),
	]}}
}

test_v9_what_is_unknown_is_named_alone if {
	_unmet({"type": "service", "id": "s"}, "view", example.thing("stock")) == {"subject_supported": {"rules_for": "service"}}
	_unmet(example.nobody("team_member"), "view", example.thing("stock")) == {"subject_known": {"subject": {
		"type": "team_member",
		"id": "gone",
	}}}
	_unmet(_mark, "view", example.thing("x")) == {"resource_type_known": {"resource_type": "x"}}
	_unmet(_mark, "approve", example.thing("stock")) == {"action_known": {"action": {
		"resource_type": "stock",
		"name": "approve",
	}}}
}

test_v9_an_unknown_resource_and_one_that_is_there_already if {
	_unmet(_mark, "view", example.nobody("patient")) == {"resource_exists": {"resource": {"type": "patient", "id": "gone"}}}
	_unmet(example.member({"patient:create"}), "create", example.patient("diabetes", set())) == {"resource_new": {"absence": {
		"type": "patient",
		"id": "p-1",
	}}}
}

test_p5_references_are_named if {
	writer := example.member({"appointment:create"})
	_unmet(writer, "create", object.union(
		example.thing("appointment"),
		{"properties": {"provider": "gone"}, "provider": example.nobody("provider")},
	)) == {
		"references_given": {"references": {"patient"}},
		"references_known": {"entities": {"provider": "gone"}},
	}
	"references_known" in _met(writer, "create", example.thing("appointment"))
}

test_b4_booking_without_a_patient_lacks_the_reference if {
	unmet := _unmet(example.member({"appointment:create"}), "book", example.provider({"diabetes"}))
	unmet == {"references_given": {"references": {"patient"}}}
}

# A catalogue in which a provider refers to nothing.
test_b4_also_where_the_catalogue_has_no_references if {
	book := {"provider": {"facts": "team_member", "actions": {"book": {"permission": "appointment:create"}}}}
	asked := example.question(example.member({"appointment:create"}), "book", example.provider({"diabetes"}))
	account := explanation.account with input as asked with data.catalogue as {"types": book}
	some requirement in account.admin.requirements
	requirement == {"requirement": "references_given", "met": false, "missing": {"references": {"patient"}}}
}

test_b4_a_provider_lacks_the_booking_assignment if {
	patient := example.patient("diabetes", set())
	missing := {"provider_bookable": {"booking": {"provider": "priya", "patient_group": "diabetes"}}}
	clerk := example.with_access({"appointment:create"}, {"diabetes"})
	provider := example.provider({"cardiology"})
	_unmet(clerk, "book", example.referring(provider, {"patient": patient})) == missing
	_unmet(clerk, "create", example.referring(
		example.thing("appointment"),
		{"patient": patient, "provider": provider},
	)) == missing
	_unmet(patient, "book", provider) == missing
}

test_p7_the_end_of_a_suspension_is_named if {
	patient := example.patient("diabetes", set())
	_unmet(example.suspended(_mark), "view", patient) == {"subject_active": {"suspension_ended": {"member": "mark"}}}
	_says(example.suspended(_mark), "view", patient) == [
		"Denied: the subject is suspended.",
		"team_member mark is denied to view patient p-1: the subject is suspended.",
	]
	provider := example.suspended(example.provider({"diabetes"}))
	_unmet(patient, "book", provider) == {"provider_active": {"suspension_ended": {"member": "priya"}}}
	_says(patient, "book", provider) == [
		"Denied: the provider is suspended.",
		"patient p-1 is denied to book provider priya: provider priya is suspended.",
	]
}

test_b3_a_patient_asks_about_providers_and_books_for_themselves if {
	patient := example.patient("diabetes", set())
	_unmet(patient, "view", example.thing("stock")) == {"open_to_patients": {"resource_type": "provider"}}
	another := example.referring(example.provider({"diabetes"}), {"patient": object.union(patient, {"id": "p-2"})})
	_unmet(patient, "book", another) == {"for_oneself": {"properties": {"patient": "p-1"}}}
	"for_oneself" in _met(patient, "book", example.provider({"diabetes"}))
}

_says(subject, action, resource) := [account.user.reason_user.en, account.admin.reason_admin.en] if {
	account := _account(subject, action, resource)
}

test_sentences_of_an_allow if {
	_says(_mark, "view", example.patient("diabetes", {"mark"})) == [
		"Allowed: the patient is visible; the permission is held.",
		concat("", [
			"team_member mark is allowed to view patient p-1: ",
			"patient p-1 is visible by the care team and Access; ",
			"patient:view is granted by role practitioner and group clinicians.",
		]),
	]
}

test_sentences_of_a_deny if {
	_says(example.member(set()), "view", example.patient("diabetes", set())) == [
		"Denied: the patient is not visible; the permission is not held.",
		concat("", [
			"team_member mark is denied to view patient p-1: the member has no patient:view_all, no Access to ",
			"patient group diabetes and no place on the care team of patient p-1; ",
			"no role or group of the member grants patient:view.",
		]),
	]
}

test_sentences_about_a_patient_group if {
	report := example.referring(example.thing("report"), {"patient_group": example.patient_group("diabetes")})
	_says(example.with_access({"report:view"}, {"diabetes"}), "view", report)[1] == concat("", [
		"team_member mark is allowed to view report 1: patient group diabetes is accessible by Access; ",
		"report:view is granted by role practitioner.",
	])
	_says(example.member({"report:view"}), "view", report)[1] == concat("", [
		"team_member mark is denied to view report 1: ",
		"the member has no patient:view_all and no Access to patient group diabetes.",
	])
}

test_sentences_about_a_provider if {
	patient := example.patient("diabetes", set())
	_says(patient, "book", example.provider({"diabetes"})) == [
		"Allowed: the provider is bookable.",
		"patient p-1 is allowed to book provider priya: provider priya is bookable for patient group diabetes.",
	]
	_says(patient, "book", example.provider(set())) == [
		"Denied: the provider is not bookable.",
		"patient p-1 is denied to book provider priya: provider priya has no Booking assignment for patient group diabetes.",
	]
}

test_sentences_about_references if {
	writer := example.member({"appointment:create"})
	_says(writer, "create", object.union(
		{"type": "appointment", "id": ""},
		{"properties": {"provider": "gone"}, "provider": example.nobody("provider")},
	))[1] == concat("", [
		"team_member mark is denied to create appointment: the reference patient is not given; ",
		"the reference provider names nothing that is known.",
	])
}

_subjects := {
	"nobody": example.nobody("team_member"),
	"a service": {"type": "service", "id": "s"},
	"without anything": example.member(set()),
	"with view all": example.member({"patient:view_all", "patient:view", "report:view", "appointment:create"}),
	"with access": example.with_access({"patient:view", "patient:create", "report:view", "appointment:create"}, {"diabetes"}),
	"suspended": example.suspended(_mark),
	"a patient": example.patient("diabetes", set()),
}

_resources := {
	"stock": example.thing("stock"),
	"an unknown type": example.thing("no_such_type"),
	"a patient": example.patient("diabetes", set()),
	"another patient": example.patient("cardiology", {"mark"}),
	"an unknown patient": example.nobody("patient"),
	"a provider": example.provider({"diabetes"}),
	"a provider for a patient": example.referring(
		example.provider({"cardiology"}),
		{"patient": example.patient("diabetes", set())},
	),
	"a suspended provider": example.suspended(example.provider({"diabetes"})),
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

_accounts[name] := account if {
	some name, asked in _questions
	account := explanation.account with input as asked
}

_decisions[name] := decision if {
	some name, asked in _questions
	decision := authz.decision with input as asked
}

test_every_question_has_an_account_with_the_codes_of_its_decision if {
	count(_questions) == 364
	{name: account.user.reasons | some name, account in _accounts} == {name: decision.context.reasons |
		some name, decision in _decisions
	}
}

test_all_requirements_are_met_by_what_is_allowed_and_by_nothing_else if {
	allowed := {name | _decisions[name].allow == true}
	count(allowed) > 10
	allowed == {name |
		some name, account in _accounts
		every requirement in account.admin.requirements {
			requirement.met
		}
	}
}

test_there_is_an_unmet_requirement_for_each_reason_of_a_deny if {
	every name, asked in _questions {
		missing := reason.missing with input as asked
		count(missing) == count([requirement | some requirement in _accounts[name].admin.requirements; not requirement.met])
	}
}

test_routes_are_those_of_the_decision if {
	every name, account in _accounts {
		held := {route.route | some route in object.get(account.admin, "routes", []); route.holds}
		held == object.get(_decisions[name].context, "routes", set())
	}
}

test_routes_to_patient_and_to_patient_group_are_all_routes if {
	every asked in _questions {
		routes := visibility.routes with input as asked
		patient := visibility.patient_routes with input as asked
		group := visibility.patient_group_routes with input as asked
		routes == patient | group
	}
}

test_a1_a_patient_who_cancels if {
	patient := example.patient("diabetes", set())
	own := example.referring(example.thing("appointment"), {"patient": patient})
	_account(patient, "cancel", own).user.reason_user.en == "Allowed: the booking is the patient's own."
	another := example.referring(example.thing("appointment"), {"patient": object.union(patient, {"id": "p-2"})})
	_unmet(patient, "cancel", another) == {"for_oneself": {"properties": {"patient": "p-1"}}}
	_met(patient, "cancel", own) == [
		"subject_supported", "subject_known", "resource_type_known", "action_known",
		"open_to_patients", "references_given", "references_known", "for_oneself",
	]
}
