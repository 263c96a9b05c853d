# METADATA
# description: |
#   Whether everything that the resource refers to is there (P5). A reference is a property
#   of the same name as the type that it refers to.
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.reference

import data.authz.resource

# METADATA
# title: Every reference resolves
# description: |
#   A required reference names a known entity, and so does an optional one that is given.
resolved if not _unresolved

# METADATA
# title: Required references that are absent, and given ones that are no strings
missing contains name if {
	some name, reference in resource.type.references
	reference.required
	not given(name)
}

missing contains name if {
	some name, _ in resource.type.references
	not input.resource[name].found
	given(name)
	not is_string(input.resource.properties[name])
}

missing contains "patient" if { # B4: booked for whom?
	input.subject.type == "team_member"
	input.resource.type == "provider"
	input.action.name == "book"
	not given("patient")
}

# METADATA
# title: References that name no known entity
unknown contains name if {
	some name, _ in resource.type.references
	not input.resource[name].found
	is_string(input.resource.properties[name])
}

# METADATA
# title: All references that are missing or unknown
wrong contains name if some name in missing

wrong contains name if some name in unknown

# METADATA
# title: The caller gave a property, whatever its value
given(name) if _ = input.resource.properties[name]

_unresolved if {
	some name, reference in resource.type.references
	reference.required
	not input.resource[name].found
}

_unresolved if {
	some name, _ in resource.type.references
	given(name)
	not input.resource[name].found
}
