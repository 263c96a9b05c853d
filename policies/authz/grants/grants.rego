# METADATA
# description: |
#   What the permissions listed in one role or group grant. It is asked once for each
#   version of a role or group, not for each decision.
# schemas:
#   - input: schema.grants
#   - data.catalogue: schema.catalogue
package authz.grants

# METADATA
# title: The permissions granted
# description: |
#   By name; `t:*` for view, create, update and delete of type t and nothing else; `*:*` for
#   everything the catalogue has, scopes and further actions included (P3, P4).
# entrypoint: true
granted contains permission if {
	some permission in input.permissions
	permission in _catalogue
}

granted contains permission if {
	some type, _ in data.catalogue.types
	sprintf("%s:*", [type]) in input.permissions
	some action in {"view", "create", "update", "delete"}
	permission := sprintf("%s:%s", [type, action])
	permission in _catalogue
}

granted contains permission if {
	"*:*" in input.permissions
	some permission in _catalogue
}

_catalogue contains sprintf("%s:%s", [type, action]) if {
	some type, spec in data.catalogue.types
	some action, how in spec.actions
	not how.permission
}

_catalogue contains how.permission if {
	some spec in data.catalogue.types
	some how in spec.actions
}

_catalogue contains sprintf("%s:%s", [type, scope]) if {
	some type, spec in data.catalogue.types
	some scope in spec.scopes
}
