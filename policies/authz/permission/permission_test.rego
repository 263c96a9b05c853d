package authz.permission_test

import data.authz.example_test as example
import data.authz.permission

_name(action, resource) := name if {
	name := permission.name with input as example.question(example.member(set()), action, resource)
}

_held(permissions, action, resource) if {
	permission.held with input as example.question(example.member(permissions), action, resource)
}

test_p2_what_role_or_groups_grant_is_held if {
	_held({"stock:view", "stock:delete"}, "delete", example.thing("stock"))
}

test_p2_a_grant_by_a_group_counts_like_one_by_the_role if {
	subject := object.union(example.member(set()), {"permissions": {"stock:delete": {"groups": ["stockroom"]}}})
	permission.held with input as example.question(subject, "delete", example.thing("stock"))
}

test_p3_what_is_not_granted_is_not_held[name] if {
	some name, permissions in {
		"nothing": set(),
		"another action": {"stock:view"},
		"another type": {"calendar:delete"},
		"a wildcard that nobody resolved": {"stock:*", "*:*"},
		"capitals": {"Stock:delete"},
		"a scope": {"patient:view_all"},
	}
	not _held(permissions, "delete", example.thing("stock"))
}

test_p3_a_patient_holds_none if {
	not permission.held with input as example.question(
		example.patient("diabetes", set()),
		"view",
		example.thing("stock"),
	)
}

test_p4_the_catalogue_names_the_permission if {
	_name("delete", example.thing("stock")) == "stock:delete"
	_name("book", example.provider(set())) == "appointment:create"
}

test_p4_what_the_catalogue_does_not_have_needs_one_that_nobody_can_hold[name] if {
	some name, c in {
		"action": {"action": "approve", "type": "stock"},
		"type": {"action": "view", "type": "no_such_type"},
		"scope": {"action": "view_all", "type": "patient"},
		"empty": {"action": "", "type": ""},
	}
	not _name(c.action, example.thing(c.type))
	not _held({"stock:approve", "no_such_type:view", "patient:view_all", ":"}, c.action, example.thing(c.type))
}

test_p4_a_new_action_is_an_edit_of_data if {
	types := {"no_such_type": {"actions": {"approve": {}}}}
	permission.held with input as example.question(
		example.member({"no_such_type:approve"}),
		"approve",
		example.thing("no_such_type"),
	)
		with data.catalogue.types as types
}
