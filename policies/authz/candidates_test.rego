package authz_test

import data.authz

_list := {"a-1": {"patient": "p-1"}, "a-2": {"patient": "p-2"}}

test_candidates_are_the_callers if {
	input_ := {"resource": {"type": "appointment"}, "context": {"candidates": _list}}
	authz.candidates == {"appointment": _list} with input as input_
}

test_candidates_of_held_types_are_the_directorys if {
	not authz.candidates with input as {"resource": {"type": "patient"}, "context": {"candidates": _list}}
}

test_no_candidates_without_a_list if {
	not authz.candidates with input as {"resource": {"type": "appointment"}}
}
