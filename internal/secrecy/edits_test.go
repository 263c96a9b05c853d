package secrecy

import "slices"

// edits are several changes at once, or one.
func (q *asker) edits() request {
	n := 1
	if q.often(0.5) {
		n += 1 + q.IntN(3)
	}
	list := array{}
	for range n {
		list = append(list, q.edit())
	}
	sort := "POST edits, one"
	if n > 1 {
		sort = "POST edits, several"
	}
	return request{sort: sort, method: "POST", path: base + "edits", body: object{"edits": list}}
}

func (q *asker) edit() object {
	kind := q.kind(kinds[:5])
	id := q.id(kind)
	edit := object{}
	with := func(fields object) object {
		fields["kind"], fields["id"] = kind, id
		return fields
	}
	switch n := q.IntN(100); {
	case n < 18:
		q.makes = append(q.makes, key{kind, id})
		edit["put"] = with(q.fields(kind, q.often(0.6)))
	case n < 36:
		fields := q.fields(kind, false)
		for _, name := range []string{"groups", "access", "booking", "care_team"} {
			delete(fields, name)
		}
		edit["set"] = with(fields)
	case n < 66:
		l := pick(q.dice, relations)
		for !slices.Contains([]string{"group", "access", "booking", "care_team"}, l.name) {
			l = pick(q.dice, relations)
		}
		from, to := l.from, l.to
		if l.is == "to" {
			from, to = to, from
		}
		edit[pick(q.dice, []string{"link", "unlink"})] = object{"relation": l.name, "from": q.id(from), "to": q.id(to)}
	case n < 78:
		if q.often(0.2) {
			kind = "booking"
			id = q.id(kind)
		}
		edit["delete"] = object{"kind": kind, "id": id, "cascade": q.often(0.5)}
	case n < 90:
		visit := q.id("booking")
		q.makes = append(q.makes, key{"booking", visit})
		edit["book"] = object{"id": visit, "patient": q.id("patient"), "provider": q.id("team_member")}
	default:
		edit["cancel"] = object{"id": q.id("booking"), "release": q.often(0.5)}
	}
	if q.often(0.1) {
		edit["if_match"] = pick(q.dice, []string{"0.0", "1.abcdef"})
	}
	return edit
}

// look asks why, and what if.
func (q *asker) look() request {
	switch q.IntN(4) {
	case 0:
		body := q.edits().body
		return request{sort: "preview", method: "POST", path: "/v1/previews", looks: true, body: body}
	case 1:
		body := object{"team_member": q.id("team_member")}
		if q.often(0.5) {
			body = object{"patient": q.id("patient")}
		}
		return request{sort: "review", method: "POST", path: "/v1/reviews", looks: true, body: body}
	}
	subject := object{"type": "team_member", "id": q.id("team_member")}
	if q.often(0.6) {
		subject["id"] = actorMember
	}
	resource := object{"type": "patient", "id": q.id("patient")}
	if q.kind(kinds) == "patient_group" {
		resource = object{"type": "report", "id": "any", "properties": object{"patient_group": q.id("patient_group")}}
	}
	switch q.IntN(6) {
	case 0:
		resource = object{"type": "appointment", "id": "a", "properties": object{"patient": q.id("patient"), "provider": q.id("team_member")}}
	case 1:
		resource = object{"type": pick(q.dice, []string{"user", "settings"}), "id": "any"}
	}
	return request{sort: "explanation", method: "POST", path: "/v1/explanations", looks: true, body: object{
		"subject": subject, "action": object{"name": pick(q.dice, []string{"view", "create", "update", "delete", "book"})}, "resource": resource}}
}
