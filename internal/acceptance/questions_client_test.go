package acceptance

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// asker is an organisation behind a server that answers all questions, with a
// mapping for filters.
type asker struct {
	*organisation
	actor string // "" for nobody
}

// administered is for organisations that are changed, and for large requests.
var administered = []string{"--admin-addr", "127.0.0.1:0", "--max-body", "16777216"}

// questioned is a server on the common Redis with a mapping of its own.
func questioned(t *testing.T, mapping string, flags ...string) *server {
	t.Helper()
	return serve(t, slices.Concat([]string{"--redis", workbench.redis.Unhurried(), "--filters", writeFile(t, "filters.json", mapping)}, administered, flags)...)
}

// over brings records into the common Redis, to be asked about at s.
func over(t *testing.T, s *server, records ...record) asker {
	t.Helper()
	o := newOrganisation(t, redisStore{}, records...)
	o.server = s
	return asker{o, ""}
}

func (a asker) as(actor string) asker {
	a.actor = actor
	return a
}

func (a asker) ask(t *testing.T, path string, body any, headers ...string) reply {
	t.Helper()
	if a.actor != "" {
		headers = append([]string{"Caregate-Actor", a.actor}, headers...)
	}
	return post(t, a.url(path), body, append(a.included(), headers...)...)
}

func (a asker) directory() directory { return directory(a) }

// search is the answer to a search.
type search struct {
	Page struct {
		Next  *string `json:"next_token"`
		Count *int    `json:"count"`
	}
	Results []json.RawMessage
}

// found is the ids, or the names, of the results, which have to be written as
// AuthZEN has them: the type, if there is one, before the id.
func (s search) found(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, raw := range s.Results {
		var one struct{ Type, ID, Name string }
		unmarshal(t, raw, &one)
		var members map[string]any
		_ = json.Unmarshal(raw, &members)
		switch named := strings.HasPrefix(string(raw), `{"name":`); {
		case named && len(members) == 1:
			out = append(out, one.Name)
		case !named && len(members) == 2 && strings.HasPrefix(string(raw), `{"type":`) && strings.Contains(string(raw), `,"id":`):
			out = append(out, one.ID)
		default:
			t.Errorf("a result is written as %s", raw)
		}
	}
	return out
}

// searched reads one page, which has to be sound in itself.
func searched(t *testing.T, r reply, limit int) search {
	t.Helper()
	s := decode[search](t, r)
	require(t, s.Page.Next != nil && s.Page.Count != nil && s.Results != nil, "a page without a next_token, a count or results: %v", r)
	if *s.Page.Count != len(s.Results) || len(s.Results) > limit {
		t.Errorf("a page of at most %d says %d and has %d", limit, *s.Page.Count, len(s.Results))
	}
	check(t, r.header.Get("Caregate-Revision") != "" && r.header.Get("Caregate-Policy") != "", "a page without a revision or a policy: %v", r.header)
	return s
}

// paged is the body of a search with a page.
func paged(body object, limit int, token string) object {
	page := object{"limit": limit}
	if token != "" {
		page["token"] = token
	}
	return merged(body, object{"page": page})
}

func merged(a, b object) object {
	out := object{}
	for _, m := range []object{a, b} {
		for name, value := range m {
			out[name] = value
		}
	}
	return out
}

// walk reads all pages of a search, and holds them together.
func (a asker) walk(t *testing.T, path string, body object, limit int) []string {
	t.Helper()
	var all []string
	token := ""
	for n := 0; ; n++ {
		r := a.ask(t, path, paged(body, limit, token))
		s := searched(t, r, limit)
		all = append(all, s.found(t)...)
		if got := r.header.Get("Caregate-Revision"); a.revision != "" && got != a.revision {
			t.Errorf("a page at %s, expected %s", got, a.revision)
		}
		if token = *s.Page.Next; token == "" {
			break
		}
		require(t, n <= 20_000, "the pages do not end")
	}
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("pages of %d are not in the order of their bytes, or say something twice: %q", limit, all)
	}
	return all
}

// refusedToken says that a token is not taken, and that the answer says which
// member was wrong.
func refusedToken(t *testing.T, what string, r reply, statuses ...int) {
	t.Helper()
	if !slices.Contains(statuses, r.status) {
		t.Errorf("%s: %v, expected one of %v", what, r, statuses)
		return
	}
	refusedFor(t, r, r.status, "page.token", "%s", what)
}

const (
	searchResource = "/access/v1/search/resource"
	searchSubject  = "/access/v1/search/subject"
	searchAction   = "/access/v1/search/action"
)

// everyQuestion is a body for each path of questions about the clinic, and
// where it does not say what a check says, what makes it a good answer.
func everyQuestion(who, whom string) map[string]object {
	return map[string]object{
		searchResource:     {"subject": member(who), "action": action{Name: "view"}, "resource": object{"type": "patient"}},
		searchSubject:      {"subject": object{"type": "team_member"}, "action": action{Name: "view"}, "resource": patient(whom)},
		searchAction:       {"subject": member(who), "resource": patient(whom)},
		"/v1/filters":      {"subject": member(who), "action": action{Name: "view"}, "resource": object{"type": "patient"}, "dialect": "sqlite"},
		"/v1/explanations": {"subject": member(who), "action": action{Name: "update"}, "resource": patient(whom)},
		"/v1/reviews":      {"team_member": who},
		"/v1/previews":     {"edits": array{object{"unlink": object{"relation": "access", "from": who, "to": "diabetes"}}}},
	}
}

// good says that none of these statuses is anything but an answer.
func (a asker) everyAnswer(t *testing.T, who, whom string) {
	t.Helper()
	for path, body := range everyQuestion(who, whom) {
		answered(t, a.ask(t, path, body), http.StatusOK, "%s", path)
	}
	answered(t, a.ask(t, "/v1/reviews", object{"patient": whom}), http.StatusOK, "/v1/reviews of a patient")
}
