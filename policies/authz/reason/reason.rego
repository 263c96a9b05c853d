# METADATA
# description: |
#   The literal codes of a decision. They are read beside the answer and never decide it.
#   policies/README.md says what each means and what to do about it.
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.reason

import data.authz.booking
import data.authz.permission
import data.authz.reference
import data.authz.resource
import data.authz.visibility

# METADATA
# title: What allowed it
granted contains "permission_granted" if permission.held

granted contains "patient_visible" if {
	input.subject.type == "team_member"
	visibility.patient_concerned
}

granted contains "patient_group_accessible" if visibility.patient_group_concerned

granted contains "provider_bookable" if {
	booking.needed
	booking.bookable
}

granted contains "own_booking" if {
	input.subject.type == "patient"
	booking.cancelled
	booking.for_oneself
}

# METADATA
# title: What is missing
# description: |
#   An unknown or suspended subject and an unknown type or action are reported alone: nothing
#   can be said of permissions or routes. Everything else that is missing is reported together.
missing contains "subject_unsupported" if not _subject_supported

missing contains "subject_unknown" if {
	_subject_supported
	not input.subject.found
}

missing contains "subject_suspended" if {
	subject_known
	not subject_active
}

missing contains "resource_type_unknown" if {
	subject_active
	not resource.type
}

missing contains "action_unknown" if {
	subject_active
	resource.type
	not resource.action
}

missing contains "not_for_patients" if {
	question_known
	input.subject.type == "patient"
	not booking.open_to_patients
}

missing contains "permission_missing" if {
	question_known
	input.subject.type == "team_member"
	not permission.held
}

missing contains "exists" if {
	question_known
	input.action.name == "create"
	input.resource.found
}

missing contains "resource_unknown" if {
	question_known
	not resource.fits
	not input.resource.found
}

missing contains "reference_missing" if {
	question_known
	some _ in reference.missing
}

missing contains "reference_unknown" if {
	question_known
	some _ in reference.unknown
}

missing contains "patient_not_visible" if {
	question_known
	input.subject.type == "team_member"
	resource.fits
	not visibility.patient_visible
}

missing contains "patient_group_not_accessible" if {
	question_known
	input.subject.type == "team_member"
	not visibility.patient_group_accessible
}

missing contains "patient_mismatch" if {
	question_known
	input.subject.type == "patient"
	booking.open_to_patients
	not booking.for_oneself
}

missing contains "provider_not_bookable" if {
	question_known
	resource.fits
	booking.needed
	not booking.bookable
}

missing contains "provider_suspended" if {
	question_known
	resource.fits
	booking.needed
	booking.provider_suspended
}

# METADATA
# title: The subject exists, and the policy has rules for its type
subject_known if {
	_subject_supported
	input.subject.found
}

# METADATA
# title: The subject is known and not suspended (P7)
subject_active if {
	subject_known
	not input.subject.suspended
}

# METADATA
# title: The subject may ask, and the catalogue has the action
question_known if {
	subject_active
	resource.action
}

_subject_supported if input.subject.type == "team_member"

_subject_supported if input.subject.type == "patient"
