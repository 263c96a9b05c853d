package secrecy

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

type (
	object = map[string]any
	array  = []any
)

// request is what an actor asks. It is the same for both organisations; only what a tag or a cursor is called differs.
type request struct {
	sort     string // what kind of request it is, for the count of those that were made
	method   string
	path     string // after /organisations/{organisation}
	body     any    // nil for none; a string as it is, anything else as JSON
	match    string // If-Match: a tag as it is, the name of a record whose tag it is, or ownTag
	noMatch  string // If-None-Match, likewise
	pages    bool   // follows next to the end
	byPost   bool   // next goes into the body
	looks    bool   // on the decisions' listener
	names    []key  // the records that it names
	creating []key  // those of them that it would make, if they are not there
}

// ownTag stands for the tag that the actor reads at the path of the request.
const ownTag = "as read"

func (r request) text() string {
	switch body := r.body.(type) {
	case nil:
		return ""
	case string:
		return body
	default:
		text, err := json.Marshal(body)
		if err != nil {
			panic(err)
		}
		return string(text)
	}
}

func (r request) String() string {
	out := r.method + " " + r.path
	if text := r.text(); text != "" {
		out += " " + text
	}
	if r.match != "" {
		out += " If-Match: " + r.match
	}
	if r.noMatch != "" {
		out += " If-None-Match: " + r.noMatch
	}
	if r.pages {
		out += " (all pages)"
	}
	return out
}

// writes says whether it may change something.
func (r request) writes() bool {
	return r.method != "GET" && !r.looks && !slices.Contains(readings, r.path)
}

// readings are the paths that read by POST.
var readings = []string{base + "records", base + "lists", base + "relations", base + "changes"}

// asker makes requests about a pair of organisations.
type asker struct {
	dice
	a, b   world
	sight  sight // of a
	differ []key
	well   bool // this request is about what the actor sees, and well-formed
	names  []key
	makes  []key
}

var prefixes = map[string]string{"role": "r", "group": "g", "patient_group": "w", "team_member": "m", "patient": "p", "booking": "b"}

// id names a record: one that differs, one that is hidden, one that is visible, or none.
func (q *asker) id(kind string) string {
	var from []key
	switch n := q.IntN(100); {
	case q.well:
		from = slices.DeleteFunc(q.a.keys(), func(k key) bool { return !q.sight.visible[k] })
	case n < 45:
		from = q.differ
	case n < 60:
		from = slices.DeleteFunc(q.a.keys(), func(k key) bool { return q.sight.visible[k] })
	case n < 80:
		from = slices.DeleteFunc(q.a.keys(), func(k key) bool { return !q.sight.visible[k] })
	case n < 90:
		from = union(q.a, q.b)
	}
	from = slices.DeleteFunc(slices.Clone(from), func(k key) bool { return k.kind != kind })
	k := key{kind, fmt.Sprintf("%s%d", prefixes[kind], 8+q.IntN(2))}
	if len(from) > 0 {
		k = pick(q.dice, from)
	}
	q.names = append(q.names, k)
	return k.id
}

// kind is one of from, often one of which a record differs.
func (q *asker) kind(from []string) string {
	if len(q.differ) > 0 && !q.well && q.often(0.6) {
		// Roles and groups are hidden from fewer actors than patients are, and differ in fewer pairs.
		rare := slices.IndexFunc(q.differ, func(k key) bool { return k.kind == "role" || k.kind == "group" })
		k := pick(q.dice, q.differ)
		if rare >= 0 && q.often(0.4) {
			k = q.differ[rare]
		}
		if slices.Contains(from, k.kind) {
			return k.kind
		}
	}
	return pick(q.dice, from)
}

// ids are up to most of them, as JSON has them.
func (q *asker) ids(kind string, most int) array {
	out := array{}
	for range q.IntN(most + 1) {
		if id := q.id(kind); !slices.Contains(out, any(id)) {
			out = append(out, id)
		}
	}
	return out
}

func (q *asker) permissions() array {
	out := array{}
	for _, p := range some(q.dice, granted, 2) {
		out = append(out, p)
	}
	return out
}

var collections = map[string]string{"role": "roles", "group": "groups", "patient_group": "patient-groups",
	"team_member": "team-members", "patient": "patients", "booking": "bookings"}

const base = "/directory/v1/"

// recordPath is where a record is.
func (q *asker) recordPath(kind, id string) string {
	return base + collections[kind] + "/" + url.PathEscape(id)
}

// fields are members of a record: all that a PUT needs, or some for a PATCH.
func (q *asker) fields(kind string, all bool) object {
	out := object{}
	maybe := func(name string, chance float64, value func() any) {
		if all || q.often(chance) {
			out[name] = value()
		}
	}
	list := func(kind string, most int) func() any { return func() any { return q.ids(kind, most) } }
	one := func(kind string) func() any { return func() any { return q.id(kind) } }
	name := func() any { return pick(q.dice, []string{"", "Kim", "Ward", "Nurse", "Other"}) }
	switch kind {
	case "role", "group":
		maybe("permissions", 0.7, func() any { return q.permissions() })
		maybe("name", 0.4, name)
	case "patient_group":
		out["name"] = name()
	case "team_member":
		maybe("name", 0.3, name)
		if q.often(0.5) {
			maybe("role", 0.3, one("role"))
		}
		maybe("groups", 0.3, list("group", 2))
		maybe("access", 0.4, list("patient_group", 2))
		if q.often(0.4) {
			out["provider"] = true
			maybe("booking", 0.5, list("patient_group", 2))
		} else if q.often(0.2) {
			out["booking"] = array{}
			out["provider"] = false
		}
	case "patient":
		maybe("patient_group", 0.7, one("patient_group"))
		maybe("care_team", 0.5, list("team_member", 2))
	}
	return out
}

// ask makes a request.
func (q *asker) ask() request {
	q.names, q.makes, q.well = nil, nil, q.often(0.3)
	r := q.any()
	if r.body != nil && q.often(0.08) && !q.well {
		r.body, r.pages = q.spoil(r.text()), false
		r.sort += ", malformed"
	}
	r.names, r.creating = q.names, q.makes
	return r
}

func (q *asker) any() request {
	switch n := q.IntN(100); {
	case n < 10:
		return q.read()
	case n < 16:
		return q.list()
	case n < 34:
		return q.write()
	case n < 44:
		return q.relationRead()
	case n < 64:
		return q.relationWrite()
	case n < 72:
		return q.visit()
	case n < 90:
		return q.edits()
	case n < 93:
		return q.changes()
	}
	return q.look()
}

func (q *asker) tag(r *request, kind, id string) {
	switch n := q.IntN(100); {
	case n < 12:
		r.match = kind + "/" + id
	case n < 18:
		r.match = `"1.abcdef"`
	case n < 22:
		r.match = "*"
	case n < 26:
		r.noMatch = "*"
	case n < 28:
		r.match = `"0.0"`
	case n < 36:
		r.match = ownTag
	}
}

func (q *asker) read() request {
	kind := q.kind(kinds)
	id := q.id(kind)
	if q.often(0.4) {
		return request{sort: "POST records", method: "POST", path: base + "records", body: object{"kind": kind, "id": id}}
	}
	r := request{sort: "GET record", method: "GET", path: q.recordPath(kind, id)}
	switch n := q.IntN(10); {
	case n < 2:
		r.noMatch = kind + "/" + id
	case n < 3:
		r.noMatch = "*"
	case n < 4:
		r.match = `"1.abcdef"`
	}
	return r
}

// paged adds a limit, and reads all pages.
func (q *asker) paged(r *request) {
	if q.often(0.7) {
		n := 1 + q.IntN(3)
		if r.byPost = r.method == "POST"; r.byPost {
			r.body.(object)["limit"] = n
		} else {
			r.path += fmt.Sprintf("?limit=%d", n)
		}
	}
	r.pages = true
}

func (q *asker) list() request {
	kind := q.kind(kinds)
	r := request{sort: "GET list", method: "GET", path: base + collections[kind]}
	if q.often(0.4) {
		r = request{sort: "POST lists", method: "POST", path: base + "lists", body: object{"kind": kind}}
	}
	q.paged(&r)
	for _, k := range q.differ {
		if k.kind == kind {
			q.names = append(q.names, k)
		}
	}
	return r
}

func (q *asker) write() request {
	kind := q.kind(kinds[:5])
	id := q.id(kind)
	k := key{kind, id}
	var r request
	switch n := q.IntN(11); {
	case n < 4:
		r = request{sort: "PUT record", method: "PUT", path: q.recordPath(kind, id), body: q.fields(kind, q.often(0.6))}
		q.makes = append(q.makes, k)
	case n < 7:
		r = request{sort: "PATCH record", method: "PATCH", path: q.recordPath(kind, id), body: q.fields(kind, false)}
	default:
		if q.often(0.2) {
			kind = "booking"
			id = q.id(kind)
		}
		r = request{sort: "DELETE record", method: "DELETE", path: q.recordPath(kind, id)}
		if q.often(0.5) {
			r.sort, r.path = "DELETE cascade", r.path+"?cascade=true"
		}
	}
	q.tag(&r, kind, id)
	return r
}

func (q *asker) visit() request {
	id := q.id("booking")
	switch n := q.IntN(10); {
	case n < 5:
		q.makes = append(q.makes, key{"booking", id})
		return request{sort: "POST bookings", method: "POST", path: base + "bookings",
			body: object{"id": id, "patient": q.id("patient"), "provider": q.id("team_member")}}
	case n < 9:
		r := request{sort: "POST cancel", method: "POST", path: q.recordPath("booking", id) + "/cancel", body: object{}}
		if q.often(0.5) {
			r.body = object{"release": q.often(0.6)}
		}
		q.tag(&r, "booking", id)
		return r
	}
	r := request{sort: "DELETE record", method: "DELETE", path: q.recordPath("booking", id)}
	q.tag(&r, "booking", id)
	return r
}

func (q *asker) changes() request {
	r := request{sort: "GET changes", method: "GET", path: base + "changes", names: q.differ}
	if q.often(0.4) {
		r = request{sort: "POST changes", method: "POST", path: base + "changes", body: object{"limit": 10}}
	}
	q.names = append(q.names, q.differ...)
	return r
}

// spoil makes a body that is refused, mostly.
func (q *asker) spoil(text string) string {
	switch q.IntN(6) {
	case 0:
		return text[:len(text)/2]
	case 1:
		return strings.Replace(text, "{", `{"nonsense":1,`, 1)
	case 2:
		return strings.Replace(text, "[", "[1,", 1)
	case 3:
		return strings.Replace(text, "[", `[null,`, 1)
	case 4:
		return strings.Replace(text, "[", `["",`, 1)
	}
	return text + "x"
}
