# METADATA
# description: |
#   The same rules as Caregate's default policy, written for an OPA server that keeps the
#   organisation in `data` and is asked for `data.authz.decision`. It does what makes OPA
#   fast: one rule is asked for, everything is looked up in objects by key, rules are told
#   apart by equalities that OPA indexes, and what depends on a member or on the catalogue
#   alone is expanded when the data is made: wildcards, the union of a role and groups with
#   where each permission comes from, and the permission that each action needs.
package authz

decision := {"allow": allow, "context": account}

default allow := false

allow if count(missing) == 0

account.reasons := granted if allow

account.reasons := missing if not allow

account.permission := permission if member

account.granted_by := member.permissions[permission]

account.routes := routes if {
	fits
	count(routes) > 0
}

account.references := references if {
	question_known
	references := references_missing | references_unknown
	count(references) > 0
}

# Who asks.

member := data.organisation.members[input.subject.id] if input.subject.type == "team_member"

self := data.organisation.patients[input.subject.id] if input.subject.type == "patient"

subject_supported if input.subject.type == "team_member"

subject_supported if input.subject.type == "patient"

subject_known if member

subject_known if self

# What is asked.

type := data.catalogue.types[input.resource.type]

permission := type.actions[input.action.name]

question_known if {
	subject_known
	permission
}

found if {
	input.resource.type == "patient"
	data.organisation.patients[input.resource.id]
}

found if {
	input.resource.type == "provider"
	data.organisation.providers[input.resource.id]
}

fits if {
	input.action.name != "create"
	found
}

fits if {
	input.action.name != "create"
	not type.facts
}

fits if {
	input.action.name == "create"
	not found
}

# What it refers to.

references_missing contains name if {
	some name, reference in type.references
	reference.required
	not given(name)
}

references_missing contains name if {
	some name, _ in type.references
	given(name)
	not is_string(input.resource.properties[name])
}

references_missing contains "patient" if {
	input.subject.type == "team_member"
	input.resource.type == "provider"
	input.action.name == "book"
	not given("patient")
}

references_unknown contains name if {
	some name, _ in type.references
	is_string(input.resource.properties[name])
	not known(name, input.resource.properties[name])
}

given(name) if _ = input.resource.properties[name]

known("patient", id) if data.organisation.patients[id]

known("provider", id) if data.organisation.providers[id]

known("patient_group", id) if data.organisation.patient_groups[id]

# Which patient, or group of patients, and who sees them.

patient := data.organisation.patients[input.resource.id] if {
	input.resource.type == "patient"
	input.action.name != "create"
}

patient := data.organisation.patients[input.resource.properties.patient] if type.references.patient

patient_group := input.resource.properties.patient_group if {
	type.references.patient_group
	data.organisation.patient_groups[input.resource.properties.patient_group]
}

routes contains "view_all_patients" if {
	patient
	member.permissions["patient:view_all"]
}

routes contains "view_all_patients" if {
	patient_group
	member.permissions["patient:view_all"]
}

routes contains "patient_group_access" if member.access[patient.patient_group]

routes contains "patient_group_access" if member.access[patient_group]

routes contains "care_team" if {
	member
	patient.care_team[input.subject.id]
}

# Whether the provider is bookable, where that matters.

provider := data.organisation.providers[input.resource.id] if input.resource.type == "provider"

provider := data.organisation.providers[input.resource.properties.provider] if input.resource.type == "appointment"

booked_group := self.patient_group if input.resource.type == "provider"

booked_group := patient.patient_group if {
	input.resource.type == "provider"
	input.action.name == "book"
	member
}

booked_group := patient.patient_group if {
	input.resource.type == "appointment"
	input.action.name == "create"
	provider
	member
}

# Why.

granted contains "permission_granted" if member.permissions[permission]

granted contains "patient_visible" if patient

granted contains "patient_group_accessible" if patient_group

granted contains "provider_bookable" if booked_group

missing contains "subject_unsupported" if not subject_supported

missing contains "subject_unknown" if {
	subject_supported
	not subject_known
}

missing contains "resource_type_unknown" if {
	subject_known
	not type
}

missing contains "action_unknown" if {
	subject_known
	type
	not permission
}

missing contains "not_for_patients" if {
	self
	permission
	input.resource.type != "provider"
}

missing contains "permission_missing" if {
	member
	permission
	not member.permissions[permission]
}

missing contains "exists" if {
	input.action.name == "create"
	question_known
	found
}

missing contains "resource_unknown" if {
	question_known
	not fits
	not found
}

missing contains "reference_missing" if {
	question_known
	count(references_missing) > 0
}

missing contains "reference_unknown" if {
	question_known
	count(references_unknown) > 0
}

missing contains "patient_not_visible" if {
	member
	question_known
	fits
	patient
	count(routes) == 0
}

missing contains "patient_group_not_accessible" if {
	member
	question_known
	patient_group
	count(routes) == 0
}

missing contains "patient_mismatch" if {
	self
	question_known
	input.resource.type == "provider"
	given("patient")
	input.resource.properties.patient != input.subject.id
}

missing contains "provider_not_bookable" if {
	question_known
	fits
	not provider.booking[booked_group]
	booked_group
}
