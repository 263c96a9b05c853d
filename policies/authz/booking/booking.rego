# METADATA
# description: |
#   Which patients may be booked with which provider. Booking gives no visibility and
#   Access makes nobody bookable (B2).
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.booking

import data.authz.reference

# METADATA
# title: If a team member's question is a booking, the provider can be booked for the patient
# description: |
#   `book` on a provider and `create` on an appointment that names one are the same
#   question (B4).
satisfied if not _booked

satisfied if {
	_booked
	bookable
	not provider_suspended
}

# METADATA
# title: The provider in question is bookable for the patient's group
bookable if _patient_group in _booking # B1

# METADATA
# title: The provider in question is suspended (P7)
# description: The assignments stay, so that the end of the suspension restores them.
provider_suspended if {
	input.resource.type == "provider"
	input.resource.suspended
}

provider_suspended if {
	input.resource.type == "appointment"
	input.resource.provider.suspended
}

# METADATA
# title: The question needs a bookable provider
# description: For a patient, even looking at a provider does (B3).
needed if {
	input.subject.type == "team_member"
	_booked
	input.resource.patient.found
}

needed if {
	input.subject.type == "patient"
	input.resource.type == "provider"
}

# METADATA
# title: A booking is cancelled
# description: |
#   It takes what booking takes (A1), but a bookable provider: a booking can be cancelled when its
#   provider is not bookable any more, or no provider any more.
cancelled if {
	input.resource.type == "appointment"
	input.action.name == "cancel"
}

# METADATA
# title: The question is one that patients may ask
# description: They view and book providers (B3), and cancel what is booked for them (A1).
open_to_patients if input.resource.type == "provider"

open_to_patients if cancelled

# METADATA
# title: A patient books, and cancels, for nobody but themselves (B3)
for_oneself if {
	input.resource.type == "provider"
	input.action.name != "book"
}

for_oneself if {
	input.resource.type == "provider"
	not reference.given("patient")
}

for_oneself if input.resource.properties.patient == input.subject.id

# METADATA
# title: The Booking assignment that would make the provider bookable
assignment := {"provider": input.resource.id, "patient_group": _patient_group} if input.resource.type == "provider"

assignment := {"provider": input.resource.provider.id, "patient_group": _patient_group} if {
	input.resource.type == "appointment"
}

_booked if {
	input.resource.type == "provider"
	input.action.name == "book"
}

_booked if {
	input.resource.type == "appointment"
	input.action.name == "create"
	input.resource.provider.found
}

_patient_group := input.subject.patient_group if input.subject.type == "patient"

_patient_group := input.resource.patient.patient_group if input.subject.type == "team_member"

_booking := input.resource.booking if input.resource.type == "provider"

_booking := input.resource.provider.booking if input.resource.type == "appointment"
