package authz

import data.authz.resource

# METADATA
# title: What a search ranges over, for types of which the directory holds no facts
# description: |
#   The caller says which there are: context.candidates is an object of ids, each with the
#   properties of what it names, such as the patient of an appointment. A search answers
#   which of them `allow` allows, so nobody is told of what they did not name.
# scope: document
candidates := {input.resource.type: input.context.candidates} if not resource.type.facts
