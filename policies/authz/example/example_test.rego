# METADATA
# description: |
#   The people, records and questions that the tests are made of. Each test says by
#   itself what matters to it, with object.union where a fact differs.
package authz.example_test

# METADATA
# title: Mark, who holds permissions through his role and nothing else
member(permissions) := {
	"type": "team_member",
	"id": "mark",
	"found": true,
	"role": "practitioner",
	"permissions": {permission: {"role": "practitioner"} | some permission in permissions},
	"groups": set(),
	"access": set(),
	"booking": set(),
	"provider": false,
	"suspended": false,
}

# METADATA
# title: Mark, with Access to patient groups
with_access(permissions, groups) := object.union(member(permissions), {"access": groups})

# METADATA
# title: A patient of one patient group, with a care team
patient(patient_group, care_team) := {
	"type": "patient",
	"id": "p-1",
	"found": true,
	"patient_group": patient_group,
	"care_team": care_team,
}

# METADATA
# title: Priya, bookable by patient groups, as a resource or as a reference
provider(booking) := {
	"type": "provider",
	"id": "priya",
	"found": true,
	"permissions": {},
	"groups": set(),
	"access": set(),
	"booking": booking,
	"provider": true,
	"suspended": false,
}

# METADATA
# title: A member or a provider on leave
suspended(member) := object.union(member, {"suspended": true})

# METADATA
# title: A patient group that a report is about
patient_group(id) := {"type": "patient_group", "id": id, "found": true}

# METADATA
# title: Somebody or something that the directory does not have
nobody(type) := {"type": type, "id": "gone", "found": false}

# METADATA
# title: A thing of a type that the directory holds no facts of
thing(type) := {"type": type, "id": "1"}

# METADATA
# title: A thing with what it refers to, by name
referring(resource, references) := object.union(
	object.union(resource, references),
	{"properties": {name: reference.id | some name, reference in references}},
)

# METADATA
# title: The question whether a subject may do something to a resource
question(subject, action, resource) := {
	"subject": subject,
	"action": {"name": action},
	"resource": resource,
}
