package authz.resource_test

import data.authz.example_test as example
import data.authz.resource

_fits(action, thing) if {
	resource.fits with input as example.question(example.member(set()), action, thing)
}

test_v9_what_is_there_can_be_worked_with[action] if {
	some action in {"view", "update", "delete"}
	_fits(action, example.patient("diabetes", set()))
}

test_v9_what_is_not_there_can_not[action] if {
	some action in {"view", "update", "delete"}
	not _fits(action, example.nobody("patient"))
}

test_v9_only_what_is_not_there_can_be_created if {
	_fits("create", example.nobody("patient"))
	not _fits("create", example.patient("diabetes", set()))
}

test_v9_what_the_directory_holds_no_facts_of_always_fits[action] if {
	some action in {"view", "create", "update", "delete"}
	_fits(action, example.thing("stock"))
}

test_v9_a_provider_who_is_none_is_not_there if {
	not _fits("book", example.nobody("provider"))
}

_known(action, type) if {
	resource.action with input as example.question(example.member(set()), action, example.thing(type))
}

test_p4_types_and_actions_are_those_of_the_catalogue if {
	_known("view", "patient")
	_known("book", "provider")
	_known("delete", "stock")
}

test_p4_others_are_unknown[name] if {
	some name, c in {
		"type": {"action": "view", "type": "no_such_type"},
		"action": {"action": "approve", "type": "stock"},
		"scope": {"action": "view_all", "type": "patient"},
		"capitals": {"action": "View", "type": "patient"},
		"empty": {"action": "", "type": "patient"},
		"a member of the type": {"action": "actions", "type": "patient"},
	}
	not _known(c.action, c.type)
}

test_p4_a_type_is_an_edit_of_data if {
	asked := example.question(example.member(set()), "approve", example.thing("no_such_type"))
	resource.action == {"permission": "settings:update"} with input as asked
		with data.catalogue.types.no_such_type as {"actions": {"approve": {"permission": "settings:update"}}}
}
