package authz

same := input.subject.id == "m-1"
