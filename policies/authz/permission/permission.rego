# METADATA
# description: Which permission an action needs, and whether the subject holds it.
# schemas:
#   - input: schema.input
#   - data.catalogue: schema.catalogue
package authz.permission

import data.authz.resource

# METADATA
# title: The permission that the action needs
# description: |
#   `type:action`, unless the catalogue names another one for the action. Undefined for a
#   type or an action that the catalogue does not have (P4).
name := resource.action.permission

name := concat(":", [input.resource.type, input.action.name]) if {
	resource.action
	not resource.action.permission
}

# METADATA
# title: The subject holds the permission
# description: |
#   Members hold the union of what their role and their groups grant, and nothing that
#   neither grants (P2, P3).
held if input.subject.permissions[name]
