# METADATA
# description: |
#   What the question is about, by the catalogue: its type, the action, and whether it is
#   there. Types and actions come from data (P4).
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.resource

# METADATA
# title: The resource's type, as the catalogue has it
type := data.catalogue.types[input.resource.type]

# METADATA
# title: The action, as the catalogue has it for the type
action := type.actions[input.action.name]

# METADATA
# title: The resource exists, or for `create` does not exist yet
# description: A type of which the directory holds no facts always fits (V9).
fits if {
	input.action.name != "create"
	input.resource.found
}

fits if {
	input.action.name != "create"
	not type.facts
}

fits if {
	input.action.name == "create"
	not input.resource.found
}
