package secrecy

import (
	"net/url"
	"slices"
	"strings"
)

// relation is a relationship as it is seen from one side.
type relation struct {
	name       string // as /edits and /relations have it
	from, path string // the kind of record it is seen from, and the last part of the path
	to         string // the kind of those on the other side
	is         string // "from" or "to": the end that the record is
	writes     string // the methods on the set
	ones       string // the methods on one
}

var relations = []relation{
	{"group", "team_member", "groups", "group", "from", "PUT POST", "PUT DELETE"},
	{"access", "team_member", "access", "patient_group", "from", "PUT POST", "PUT DELETE"},
	{"booking", "team_member", "booking", "patient_group", "from", "PUT POST", "PUT DELETE"},
	{"care_team", "team_member", "patients", "patient", "to", "PUT POST", "PUT DELETE"},
	{"provider", "team_member", "bookings", "booking", "to", "", ""},
	{"group", "group", "members", "team_member", "to", "PUT POST", "PUT DELETE"},
	{"role", "role", "members", "team_member", "to", "PUT POST", "PUT DELETE"},
	{"access", "patient_group", "access", "team_member", "to", "PUT POST", "PUT DELETE"},
	{"booking", "patient_group", "booking", "team_member", "to", "PUT POST", "PUT DELETE"},
	{"patient_group", "patient_group", "patients", "patient", "to", "POST", "PUT"},
	{"care_team", "patient", "care-team", "team_member", "from", "PUT POST", "PUT DELETE"},
	{"patient", "patient", "bookings", "booking", "to", "", ""},
}

// relation is one that is seen from a kind of record.
func (q *asker) relation() relation {
	kind := q.kind(kinds[:5])
	return pick(q.dice, slices.DeleteFunc(slices.Clone(relations), func(l relation) bool { return l.from != kind }))
}

func (q *asker) relationRead() request {
	l := q.relation()
	id := q.id(l.from)
	r := request{sort: "GET relation", method: "GET", path: q.recordPath(l.from, id) + "/" + l.path}
	if q.often(0.4) {
		r = request{sort: "POST relations", method: "POST", path: base + "relations", body: object{"relation": l.name, l.is: id}}
	}
	q.paged(&r)
	return r
}

func (q *asker) relationWrite() request {
	l := q.relation()
	for l.writes == "" {
		l = q.relation()
	}
	id := q.id(l.from)
	path := q.recordPath(l.from, id) + "/" + l.path
	if q.often(0.5) {
		method := pick(q.dice, strings.Fields(l.ones))
		return request{sort: method + " one", method: method, path: path + "/" + url.PathEscape(q.id(l.to))}
	}
	method := pick(q.dice, strings.Fields(l.writes))
	r := request{sort: method + " set", method: method, path: path, body: object{"ids": q.ids(l.to, 3)}}
	if method == "POST" {
		body := object{}
		if q.often(0.7) {
			body["add"] = q.ids(l.to, 2)
		}
		if q.often(0.5) && l.from != "role" && l.path != "patients" {
			body["remove"] = q.ids(l.to, 2)
		}
		r.body = body
	} else if q.often(0.3) {
		r.match = pick(q.dice, []string{`"1.abcdef"`, ownTag})
	}
	return r
}
