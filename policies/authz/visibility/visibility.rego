# METADATA
# description: |
#   Which patients a team member sees. A route says yes and nothing says no: the routes are
#   independent and add up (V4), for every team member, provider or not (V6).
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.visibility

import data.authz.resource

# METADATA
# title: The patient in question, if there is one, is visible
# description: |
#   Opening or changing a patient, or what belongs to one, needs a route to that patient
#   (V7, P5). Registering a patient has nobody to see yet.
patient_visible if not patient_concerned

patient_visible if _view_all

patient_visible if _patient_group_access

patient_visible if _care_team

# METADATA
# title: The patient group in question, if there is one, is accessible
# description: A report on a patient group needs a route to the group (V8).
patient_group_accessible if not patient_group_concerned

patient_group_accessible if _view_all

patient_group_accessible if _access

# METADATA
# title: The routes that hold
# description: While a member is suspended none does (P7). `allow` says no for itself.
routes contains "view_all_patients" if {
	not input.subject.suspended
	patient_concerned
	_view_all
}

routes contains "view_all_patients" if {
	not input.subject.suspended
	patient_group_concerned
	_view_all
}

routes contains "patient_group_access" if {
	not input.subject.suspended
	patient_concerned
	_patient_group_access
}

routes contains "patient_group_access" if {
	not input.subject.suspended
	_access
}

routes contains "care_team" if {
	not input.subject.suspended
	patient_concerned
	_care_team
}

# METADATA
# title: The routes that hold to the patient in question
patient_routes contains "view_all_patients" if {
	not input.subject.suspended
	patient_concerned
	_view_all
}

patient_routes contains "patient_group_access" if {
	not input.subject.suspended
	patient_concerned
	_patient_group_access
}

patient_routes contains "care_team" if {
	not input.subject.suspended
	patient_concerned
	_care_team
}

# METADATA
# title: The routes that hold to the patient group in question
patient_group_routes contains "view_all_patients" if {
	not input.subject.suspended
	patient_group_concerned
	_view_all
}

patient_group_routes contains "patient_group_access" if {
	not input.subject.suspended
	_access
}

# METADATA
# title: A patient is in question
patient_concerned if {
	input.resource.type == "patient"
	input.action.name != "create"
}

patient_concerned if _patient_referred_to

# METADATA
# title: A patient group is in question
patient_group_concerned if {
	resource.type.references.patient_group
	input.resource.patient_group.found
}

# V1
_view_all if input.subject.permissions["patient:view_all"]

# V2
_patient_group_access if {
	input.resource.type == "patient"
	input.resource.patient_group in input.subject.access
}

_patient_group_access if {
	_patient_referred_to
	input.resource.patient.patient_group in input.subject.access
}

_access if { # V8
	patient_group_concerned
	input.resource.patient_group.id in input.subject.access
}

# V3
_care_team if {
	input.resource.type == "patient"
	input.subject.id in input.resource.care_team
}

_care_team if {
	_patient_referred_to
	input.subject.id in input.resource.patient.care_team
}

_patient_referred_to if {
	resource.type.references.patient
	input.resource.patient.found
}
