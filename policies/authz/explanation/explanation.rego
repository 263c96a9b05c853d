# METADATA
# description: |
#   Why a question is answered as it is, for whoever asked and for administrators. It is
#   made of the rules that `allow` is made of, and decides nothing. policies/README.md says
#   what is in it.
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.explanation

import data.authz
import data.authz.booking
import data.authz.permission
import data.authz.reason
import data.authz.reference
import data.authz.resource
import data.authz.visibility

# METADATA
# title: The account of an answer
# description: |
#   `user` is for whoever asked: codes and a sentence, and no fact that they did not say
#   themselves. `admin` is everything: each route and each source of the permission,
#   whether it holds or not, and each requirement with the fact that it lacks.
# entrypoint: true
account := {"user": _user, "admin": _admin}

_user := {"reasons": _reasons, "reason_user": {"en": _sentence(_answer, [_plain[code] | some code in _reasons])}}

_admin["reason_admin"] := {"en": _sentence(_question, [_named(code) | some code in _reasons])}

_admin["requirements"] := _requirements

_admin["permission"] := {
	"name": permission.name,
	"held": "permission_granted" in reason.granted,
	"sources": _sources(permission.name),
} if {
	_of_member
}

_admin["routes"] := _routes if {
	_of_member
	_sight_needed
}

_of_member if {
	input.subject.type == "team_member"
	reason.question_known
}

_sight_needed if visibility.patient_concerned

_sight_needed if visibility.patient_group_concerned

# Sources: each role and group of the member, whether it grants a permission or not.

_sources(wanted) := array.concat(
	[{"role": role, "grants": role in _roles(wanted)} | role := input.subject.role],
	[{"group": group, "grants": group in _groups(wanted)} | some group in input.subject.groups],
)

_roles(wanted) := {role | role := input.subject.permissions[wanted].role}

_groups(wanted) := {group | some group in input.subject.permissions[wanted].groups}

# Routes: to the patient in question, then to the patient group.

_routes := array.concat(
	[_route(route, visibility.patient_routes) | some route in _to_patient],
	[_route(route, visibility.patient_group_routes) | some route in _to_patient_group],
)

_route(route, held) := {"route": route.name, "to": route.to, "holds": true, "by": route.fact} if {
	route.name in held
}

_route(route, held) := {"route": route.name, "to": route.to, "holds": false, "missing": route.fact} if {
	not route.name in held
}

_to_patient := [
	{"name": "view_all_patients", "to": {"patient": _patient.id}, "fact": _view_all},
	{"name": "patient_group_access", "to": {"patient": _patient.id}, "fact": _access(_patient.patient_group)},
	{"name": "care_team", "to": {"patient": _patient.id}, "fact": _care_team},
]

_to_patient_group := [
	{"name": "view_all_patients", "to": {"patient_group": _patient_group}, "fact": _view_all},
	{"name": "patient_group_access", "to": {"patient_group": _patient_group}, "fact": _access(_patient_group)},
]

_view_all := {"permission": "patient:view_all", "sources": _sources("patient:view_all")}

_access(group) := {"access": {"member": input.subject.id, "patient_group": group}}

_care_team := {"care_team": {"patient": _patient.id, "member": input.subject.id}}

_patient := input.resource if {
	visibility.patient_concerned
	input.resource.type == "patient"
	input.resource.found
}

_patient := input.resource.patient if {
	visibility.patient_concerned
	input.resource.type != "patient"
}

_patient_group := input.resource.patient_group.id if visibility.patient_group_concerned

# Requirements: those that the question has, in this order. A requirement is met while the
# reason that it stands for is not among those of a deny. The end of a suspension is one only
# where somebody is suspended.

_checks := [
	{"name": "subject_supported", "reason": "subject_unsupported"},
	{"name": "subject_known", "reason": "subject_unknown"},
	{"name": "subject_active", "reason": "subject_suspended"},
	{"name": "resource_type_known", "reason": "resource_type_unknown"},
	{"name": "action_known", "reason": "action_unknown"},
	{"name": "open_to_patients", "reason": "not_for_patients"},
	{"name": "permission_held", "reason": "permission_missing"},
	{"name": "resource_exists", "reason": "resource_unknown"},
	{"name": "resource_new", "reason": "exists"},
	{"name": "references_given", "reason": "reference_missing"},
	{"name": "references_known", "reason": "reference_unknown"},
	{"name": "patient_visible", "reason": "patient_not_visible"},
	{"name": "patient_group_accessible", "reason": "patient_group_not_accessible"},
	{"name": "for_oneself", "reason": "patient_mismatch"},
	{"name": "provider_bookable", "reason": "provider_not_bookable"},
	{"name": "provider_active", "reason": "provider_suspended"},
]

_requirements := [_requirement(check) |
	some check in _checks
	check.name in _applicable
]

_requirement(check) := {"requirement": check.name, "met": true} if not check.reason in reason.missing

_requirement(check) := {"requirement": check.name, "met": false, "missing": _missing(check.name)} if {
	check.reason in reason.missing
}

_applicable contains "subject_supported"

_applicable contains "subject_known" if not "subject_unsupported" in reason.missing

_applicable contains "subject_active" if {
	reason.subject_known
	not reason.subject_active
}

_applicable contains "resource_type_known" if reason.subject_active

_applicable contains "action_known" if {
	reason.subject_active
	resource.type
}

_applicable contains "open_to_patients" if _of_patient

_applicable contains "permission_held" if _of_member

_applicable contains "resource_exists" if {
	reason.question_known
	resource.type.facts
	input.action.name != "create"
}

_applicable contains "resource_new" if {
	reason.question_known
	resource.type.facts
	input.action.name == "create"
}

_applicable contains "references_given" if _refers

_applicable contains "references_known" if _refers

_applicable contains "patient_visible" if {
	_of_member
	resource.fits
	visibility.patient_concerned
}

_applicable contains "patient_group_accessible" if {
	_of_member
	visibility.patient_group_concerned
}

_applicable contains "for_oneself" if {
	_of_patient
	booking.open_to_patients
}

_applicable contains "provider_bookable" if {
	reason.question_known
	resource.fits
	booking.needed
}

_applicable contains "provider_active" if "provider_suspended" in reason.missing

_of_patient if {
	input.subject.type == "patient"
	reason.question_known
}

_refers if {
	reason.question_known
	some _, _ in resource.type.references
}

_refers if {
	reason.question_known
	some _ in reference.missing
}

_missing("subject_supported") := {"rules_for": input.subject.type}

_missing("subject_known") := {"subject": _subject}

_missing("subject_active") := {"suspension_ended": {"member": input.subject.id}}

_missing("resource_type_known") := {"resource_type": input.resource.type}

_missing("action_known") := {"action": {"resource_type": input.resource.type, "name": input.action.name}}

_missing("open_to_patients") := {"resource_type": "provider"}

_missing("permission_held") := {"permission": permission.name}

_missing("resource_exists") := {"resource": _resource}

_missing("resource_new") := {"absence": _resource}

_missing("references_given") := {"references": reference.missing}

_missing("references_known") := {"entities": {name: input.resource.properties[name] | some name in reference.unknown}}

_missing("patient_visible") := {"any_of": [route.fact | some route in _to_patient]}

_missing("patient_group_accessible") := {"any_of": [route.fact | some route in _to_patient_group]}

_missing("for_oneself") := {"properties": {"patient": input.subject.id}}

_missing("provider_bookable") := {"booking": booking.assignment}

_missing("provider_active") := {"suspension_ended": {"member": booking.assignment.provider}}

_subject := {"type": input.subject.type, "id": input.subject.id}

_resource := {"type": input.resource.type, "id": input.resource.id}

# Sentences: what is said first, then a phrase for each reason.

_reasons := reason.granted if authz.allow

_reasons := reason.missing if not authz.allow

_answer := "Allowed" if authz.allow

_answer := "Denied" if not authz.allow

_question := sprintf("%s is %s %s %s", [_text(_subject), _may, input.action.name, _text(_resource)])

_may := "allowed to" if authz.allow

_may := "denied to" if not authz.allow

_text(entity) := concat(" ", [part | some part in [entity.type, entity.id]; part != ""])

_sentence(first, phrases) := sprintf("%s: %s.", [first, concat("; ", phrases)])

_plain := {
	"permission_granted": "the permission is held",
	"patient_visible": "the patient is visible",
	"patient_group_accessible": "the patient group is accessible",
	"provider_bookable": "the provider is bookable",
	"own_booking": "the booking is the patient's own",
	"subject_unsupported": "there are no rules for this type of subject",
	"subject_unknown": "the subject is not known",
	"subject_suspended": "the subject is suspended",
	"resource_type_unknown": "the type of resource is not known",
	"action_unknown": "the action is not known for this type of resource",
	"not_for_patients": "patients view and book providers, cancel their own bookings, and do nothing else",
	"permission_missing": "the permission is not held",
	"resource_unknown": "the resource is not known",
	"exists": "the resource exists already",
	"reference_missing": "something that the resource has to refer to is not given",
	"reference_unknown": "something that the resource refers to is not known",
	"patient_not_visible": "the patient is not visible",
	"patient_group_not_accessible": "the patient group is not accessible",
	"patient_mismatch": "patients book and cancel for nobody but themselves",
	"provider_not_bookable": "the provider is not bookable",
	"provider_suspended": "the provider is suspended",
}

# What is said to administrators where facts can be named, and else what is said to all.
_named(code) := _fact(code)

_named(code) := _plain[code] if not _fact(code)

_fact("permission_granted") := sprintf("%s is granted by %s", [permission.name, concat(" and ", _granting)])

_fact("permission_missing") := sprintf("no role or group of the member grants %s", [permission.name])

_fact("patient_visible") := sprintf("patient %s is visible by %s", [_patient.id, concat(" and ", _ways(visibility.patient_routes))])

_fact("patient_not_visible") := sprintf(
	"the member has no patient:view_all, no Access to patient group %s and no place on the care team of patient %s",
	[_patient.patient_group, _patient.id],
)

_fact("patient_group_accessible") := sprintf(
	"patient group %s is accessible by %s",
	[_patient_group, concat(" and ", _ways(visibility.patient_group_routes))],
)

_fact("patient_group_not_accessible") := sprintf(
	"the member has no patient:view_all and no Access to patient group %s",
	[_patient_group],
)

_fact("provider_bookable") := sprintf(
	"provider %s is bookable for patient group %s",
	[booking.assignment.provider, booking.assignment.patient_group],
)

_fact("provider_not_bookable") := sprintf(
	"provider %s has no Booking assignment for patient group %s",
	[booking.assignment.provider, booking.assignment.patient_group],
)

_fact("provider_suspended") := sprintf("provider %s is suspended", [booking.assignment.provider])

_fact("reference_missing") := sprintf("the reference %s is not given", [concat(" and ", reference.missing)])

_fact("reference_unknown") := sprintf("the reference %s names nothing that is known", [concat(" and ", reference.unknown)])

_granting := array.concat(
	[sprintf("role %s", [role]) | some role in _roles(permission.name)],
	[sprintf("group %s", [group]) | some group in _groups(permission.name)],
)

_ways(routes) := [_way[route] | some route in routes]

_way := {
	"view_all_patients": "patient:view_all",
	"patient_group_access": "Access",
	"care_team": "the care team",
}
