# METADATA
# title: Document sharing
# description: Owners do everything to their documents, and share them to be read.
package authz

_document := data.documents[input.resource.id]

allow if {
	input.subject.type == "user"
	input.resource.type == "document"
	input.action.name in {"read", "write", "share"}
	input.subject.id == _document.owner
}

allow if {
	input.subject.type == "user"
	input.resource.type == "document"
	input.action.name == "read"
	input.subject.id in _document.shared_with
}

# A link that was handed out, with the request saying so.
allow if {
	input.resource.type == "document"
	input.action.name == "read"
	input.resource.properties.link == _document.link
	input.context.signed_in == true
}

decision := {"allow": true, "context": {"because": _because, "seen": {"subject": input.subject, "context": object.get(input, "context", {})}}} if allow

decision := {"allow": false, "context": {"because": {"not_shared"}}} if {
	not allow
	_document
}

_because contains "owner" if input.subject.id == _document.owner

_because contains "shared" if input.subject.id in _document.shared_with

_because contains "link" if input.resource.properties.link == _document.link
