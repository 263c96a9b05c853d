package authz.reference_test

import data.authz.example_test as example
import data.authz.reference

_patient := example.patient("diabetes", set())

_asked(action, resource) := example.question(example.member(set()), action, resource)

# What is said of the references of a resource.
_said(asked) := {"resolved": _resolved(asked), "missing": missing, "unknown": unknown} if {
	missing := reference.missing with input as asked
	unknown := reference.unknown with input as asked
}

_resolved(asked) if {
	reference.resolved with input as asked
} else := false

_note(properties) := object.union(example.thing("clinical_note"), properties)

test_p5_a_required_reference_names_a_known_entity if {
	_said(_asked("view", example.referring(example.thing("clinical_note"), {"patient": _patient}))) == {
		"resolved": true,
		"missing": set(),
		"unknown": set(),
	}
}

test_p5_a_required_reference_that_is_absent_is_missing[name] if {
	some name, resource in {
		"no properties": _note({}),
		"other properties": _note({"properties": {"provider": "priya"}}),
		"in capitals": _note({"properties": {"Patient": "p-1"}}),
	}
	_said(_asked("view", resource)) == {"resolved": false, "missing": {"patient"}, "unknown": set()}
}

test_p5_what_is_no_string_is_missing[name] if {
	some name, value in {
		"number": 1,
		"true": true,
		"false": false,
		"null": null,
		"list": ["p-1"],
		"object": {"id": "p-1"},
	}
	resource := _note({"properties": {"patient": value}, "patient": example.nobody("patient")})
	_said(_asked("view", resource)) == {"resolved": false, "missing": {"patient"}, "unknown": set()}
}

test_p5_a_string_that_names_nobody_is_unknown[name] if {
	some name, value in {"gone": "gone", "empty": "", "capitals": "P-1"}
	resource := _note({"properties": {"patient": value}, "patient": example.nobody("patient")})
	_said(_asked("view", resource)) == {"resolved": false, "missing": set(), "unknown": {"patient"}}
}

test_p5_an_optional_reference_may_be_absent if {
	_said(_asked("create", example.referring(example.thing("appointment"), {"patient": _patient}))) == {
		"resolved": true,
		"missing": set(),
		"unknown": set(),
	}
}

test_p5_an_optional_reference_that_is_given_names_a_known_entity if {
	_said(_asked("create", example.referring(
		example.thing("appointment"),
		{"patient": _patient, "provider": example.provider(set())},
	))).resolved

	_said(_asked("create", example.referring(
		example.thing("appointment"),
		{"patient": _patient, "provider": example.nobody("provider")},
	))) == {"resolved": false, "missing": set(), "unknown": {"provider"}}
}

test_p5_all_that_is_wrong_is_said_at_once if {
	resource := object.union(
		example.thing("appointment"),
		{"properties": {"provider": 7}, "provider": example.nobody("provider")},
	)
	_said(_asked("create", resource)).missing == {"patient", "provider"}
}

test_p5_a_type_without_references_has_none_to_resolve if {
	resource := object.union(example.thing("stock"), {"properties": {"patient": "gone"}})
	_said(_asked("view", resource)) == {"resolved": true, "missing": set(), "unknown": set()}
}

test_b4_a_team_member_books_for_a_patient if {
	_said(_asked("book", example.provider(set()))).missing == {"patient"}
	_said(_asked("book", example.referring(example.provider(set()), {"patient": _patient}))) == {
		"resolved": true,
		"missing": set(),
		"unknown": set(),
	}
	_said(_asked("view", example.provider(set()))).missing == set()
}

test_b3_a_patient_need_not_name_themselves if {
	asked := example.question(_patient, "book", example.provider(set()))
	_said(asked) == {"resolved": true, "missing": set(), "unknown": set()}
}

test_given_is_whatever_the_value[name] if {
	some name, value in {"string": "p-1", "false": false, "null": null, "empty": ""}
	reference.given("patient") with input as _asked("view", _note({"properties": {"patient": value}}))
}

test_given_is_not_what_is_absent if {
	not reference.given("patient") with input as _asked("view", _note({"properties": {}}))
	not reference.given("patient") with input as _asked("view", _note({}))
}
