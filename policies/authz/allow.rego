# METADATA
# description: |
#   The answer. `allow` is what a check, a batch, a list, a search and a filter all mean; it
#   stays in the fragment that partial evaluation turns into a filter: no default, no else,
#   no counting, no reasons. `decision` is the same answer with its account.
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz

import data.authz.booking
import data.authz.permission
import data.authz.reference
import data.authz.resource
import data.authz.visibility

# METADATA
# title: May this subject do this to that?
# description: |
#   A team member who is not suspended (P7) needs the permission (P2, P3), a resource that exists,
#   or does not yet for `create` (V9), references that resolve (P5), sight of the patients in
#   question (V7, V8), and to book a provider bookable for the patient's group (B4). A patient views
#   and books these for their own group, for themselves (B3), and cancels what is theirs (A1).
# entrypoint: true
allow if {
	input.subject.type == "team_member"
	input.subject.found
	permission.held
	resource.fits
	reference.resolved
	visibility.patient_visible
	visibility.patient_group_accessible
	booking.satisfied
	not input.subject.suspended
}

allow if {
	input.subject.type == "patient"
	input.subject.found
	input.resource.type == "provider"
	resource.action
	resource.fits
	reference.resolved
	booking.for_oneself
	booking.bookable
	not booking.provider_suspended
}

allow if {
	input.subject.type == "patient"
	input.subject.found
	booking.cancelled
	resource.action
	reference.resolved
	booking.for_oneself
}
