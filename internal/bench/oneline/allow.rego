package authz

allow if input.subject.id == "m-1"
