package authz

import data.authz.permission
import data.authz.reason
import data.authz.reference
import data.authz.resource
import data.authz.visibility

# METADATA
# title: The answer and its account
# description: |
#   `context` says why, in literal codes. Nothing in it can turn a deny into an allow.
# entrypoint: true
decision := {"allow": true, "context": _context} if allow

decision := {"allow": false, "context": _context} if not allow

_context["reasons"] := reason.granted if allow

_context["reasons"] := reason.missing if not allow

_context["permission"] := permission.name if _of_member

_context["granted_by"] := input.subject.permissions[permission.name] if _of_member

_context["routes"] := visibility.routes if {
	_of_member
	resource.fits
	some _ in visibility.routes
}

_context["references"] := reference.wrong if {
	not allow
	reason.question_known
	some _ in reference.wrong
}

# Only a known team member's question is one of permissions and routes.
_of_member if {
	input.subject.type == "team_member"
	reason.question_known
}
