package authz.grants_test

import data.authz.grants

_types := {
	"stock": {"actions": {"view": {}, "create": {}, "update": {}, "delete": {}}},
	"patient": {
		"actions": {"view": {}, "update": {}, "merge": {}},
		"scopes": ["view_all"],
	},
	"provider": {"actions": {"view": {}, "book": {"permission": "patient:update"}}},
	"team_member": {"actions": {}},
}

_granted(permissions) := granted if {
	granted := grants.granted with input as {"type": "role", "id": "r", "permissions": permissions}
		with data.catalogue.types as _types
}

test_p1_a_role_grants_what_it_lists if {
	_granted({"stock:view", "patient:view"}) == {"stock:view", "patient:view"}
	_granted(set()) == set()
}

test_p3_a_wildcard_grants_view_create_update_and_delete if {
	_granted({"stock:*"}) == {"stock:view", "stock:create", "stock:update", "stock:delete"}
}

test_p3_a_wildcard_grants_nothing_else if {
	_granted({"patient:*"}) == {"patient:view", "patient:update"}
}

test_p3_scopes_and_further_actions_are_granted_by_name if {
	_granted({"patient:view_all"}) == {"patient:view_all"}
	_granted({"patient:merge"}) == {"patient:merge"}
}

test_p3_everything_is_everything_the_catalogue_has if {
	_granted({"*:*"}) == {
		"stock:view",
		"stock:create",
		"stock:update",
		"stock:delete",
		"patient:view",
		"patient:update",
		"patient:merge",
		"patient:view_all",
		"provider:view",
	}
}

test_p3_no_other_form_is_a_wildcard[form] if {
	some form in {"*", "*:view", "patient:vi*", "pat*:*", "**:*", "*:**", "patient:**", "", ":", "patient:", " stock:*"}
	_granted({form}) == set()
}

test_p4_a_permission_that_only_an_action_names_can_be_granted if {
	types := {"stock": {"actions": {"view": {}, "audit": {"permission": "stock:special"}}}}
	asked := {"type": "group", "id": "g", "permissions": {"stock:special", "stock:audit"}}
	granted := grants.granted with input as asked with data.catalogue.types as types
	granted == {"stock:special"}
	everything := grants.granted with input.permissions as {"*:*"} with data.catalogue.types as types
	everything == {"stock:view", "stock:special"}
}

test_p3_an_action_that_needs_another_permission_is_none_itself if {
	_granted({"provider:book"}) == set()
	_granted({"provider:*"}) == {"provider:view"}
}

test_p4_what_the_catalogue_does_not_have_is_not_granted[permission] if {
	some permission in {"no_such_type:approve", "stock:approve", "stock:view_all", "team_member:view", "Stock:view"}
	_granted({permission, "stock:view"}) == {"stock:view"}
}

test_p4_the_shipped_catalogue_grants_by_its_own_names if {
	granted := grants.granted with input as {"type": "group", "id": "g", "permissions": {"*:*"}}
	{"patient:view_all", "appointment:create", "settings:update"} - granted == set()
	not "provider:book" in granted
}
