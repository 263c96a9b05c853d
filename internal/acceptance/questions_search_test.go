package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// wanted is a random search with what the rules say that it finds.
type wanted struct {
	path       string
	body       object
	universe   []question // in the order of the answer
	expected   []string
	candidates bool
}

// wanted makes a search of a random question by leaving something open.
func (d *dice) wanted() wanted {
	q := d.question()
	s := wanted{body: object{"subject": q.Subject, "action": q.Action, "resource": q.Resource}}
	if q.Context != nil {
		s.body["context"] = q.Context
	}
	try := func(id string, q question) {
		s.universe = append(s.universe, q)
		if d.w.decide(q) {
			s.expected = append(s.expected, id)
		}
	}
	switch n := d.IntN(10); {
	case n < 2:
		s.path = searchAction
		delete(s.body, "action")
		for _, name := range slices.Sorted(maps.Keys(theCatalogue[q.Resource.Type].actions)) {
			q.Action = action{Name: name}
			try(name, q)
		}
	case n < 5:
		s.path = searchSubject
		q.Subject.Type = pick(d, []string{"team_member", "team_member", "team_member", "patient"})
		s.body["subject"] = object{"type": q.Subject.Type, "properties": q.Subject.Properties}
		if q.Subject.Properties == nil {
			s.body["subject"] = object{"type": q.Subject.Type}
		}
		all := d.members
		if q.Subject.Type == "patient" {
			all = d.patients
		}
		for _, id := range slices.Sorted(slices.Values(all)) {
			q.Subject.ID = id
			try(id, q)
		}
	default:
		s.path = searchResource
		resource := object{"type": q.Resource.Type}
		if q.Resource.Properties != nil {
			resource["properties"] = q.Resource.Properties
		}
		if d.often(0.2) {
			resource["id"] = q.Resource.ID // one that is given is not looked at
		}
		s.body["resource"] = resource
		switch q.Resource.Type {
		case "patient":
			for _, id := range slices.Sorted(slices.Values(d.patients)) {
				q.Resource.ID = id
				try(id, q)
			}
		case "provider", "team_member":
			for _, id := range slices.Sorted(slices.Values(d.members)) {
				q.Resource.ID = id
				try(id, q)
			}
		case "patient_group":
		default:
			s.candidates = true
			d.candidates(&s, q, try)
		}
	}
	return s
}

// candidates names what the directory does not hold, each with its properties.
func (d *dice) candidates(s *wanted, q question, try func(string, question)) {
	all := object{}
	ids := append(some(d, unruly, 12), "a-1", "a-2", "a-10")
	given := q.Resource.Properties
	for _, id := range slices.Sorted(slices.Values(ids)) {
		q.Resource.ID, q.Resource.Properties = id, maps.Clone(given)
		properties := object{}
		for _, name := range slices.Concat(theCatalogue[q.Resource.Type].required, theCatalogue[q.Resource.Type].optional) {
			if _, there := given[name]; !there && d.often(0.8) {
				properties[name] = d.reference(name, q.Subject)
				q.Resource = q.Resource.naming(name, properties[name])
			}
		}
		all[id] = properties
		try(id, q)
	}
	s.body["context"] = object{"candidates": all}
	for i := range s.universe {
		s.universe[i].Context = nil
	}
}

// TestSearchesEqualTheRules holds searches of every sort, read in pages of
// several lengths, against the rules in plain Go and against checks.
func TestSearchesEqualTheRules(t *testing.T) {
	n := soak.Seed(t)
	const total = 1200
	overBothStores(t, func(t *testing.T, s store) {
		organisations := 6
		if _, alone := s.(embeddedStore); alone {
			organisations = 2
		}
		results, empty, checked := 0, 0, 0
		for i := range organisations {
			d := newDice(n, uint64(len(s.name())*5000+i))
			a := asker{newOrganisation(t, s, d.records()...), ""}
			if i == 0 {
				nowhere := *a.organisation
				nowhere.name, nowhere.revision = a.name+"-not-there", ""
				for range 10 {
					q := d.wanted()
					if r := (asker{&nowhere, ""}).ask(t, q.path, q.body); r.status == http.StatusOK && len(decode[search](t, r).Results) > 0 {
						t.Errorf("an organisation that is not there: %v", r)
					}
				}
			}
			for range total / organisations / 2 {
				q := d.wanted()
				limit := pick(d, []int{1, 2, 3, 7, 100, 1000})
				got := a.walk(t, q.path, q.body, limit)
				results += len(got)
				if len(got) == 0 {
					empty++
				}
				if !slices.Equal(got, q.expected) {
					asked, _ := json.Marshal(q.body)
					t.Errorf("%s by %d: %s\n  found    %q\n  expected %q", q.path, limit, asked, got, q.expected)
				}
				if len(q.universe) > 0 && d.often(0.3) {
					var allowed []string
					for k, one := range a.batch(t, q.universe) {
						if one.allowed() {
							allowed = append(allowed, q.name(k))
						}
					}
					checked += len(q.universe)
					check(t, slices.Equal(allowed, got), "%s: found %q, checks allow %q", q.path, got, allowed)
				}
			}
			if t.Failed() {
				return
			}
		}
		t.Logf("%d results, %d searches that found nothing, %d checks", results, empty, checked)
		check(t, results >= 200 && empty <= total*9/20 && checked >= 200, "%d results, %d empty, %d checks: too one-sided to show anything", results, empty, checked)
	})
}

// name is what the answer calls the k-th of what was searched.
func (s wanted) name(k int) string {
	switch s.path {
	case searchAction:
		return s.universe[k].Action.Name
	case searchSubject:
		return s.universe[k].Subject.ID
	}
	return s.universe[k].Resource.ID
}

// TestSearchesOfTheExample are the questions that people ask, on the
// organisation that comes with the binary.
func TestSearchesOfTheExample(t *testing.T) {
	t.Parallel()
	s := serve(t)
	a := asker{&organisation{name: "riverside", server: s}, ""}
	for _, c := range []struct {
		path, body string
		want       []string
	}{
		{searchResource, `{"subject":{"type":"team_member","id":"mark"},"action":{"name":"update"},"resource":{"type":"patient"}}`, []string{"p-1", "p-11", "p-2", "p-3", "p-4"}},
		{searchResource, `{"subject":{"type":"patient","id":"p-10"},"action":{"name":"book"},"resource":{"type":"provider"}}`, []string{"hana"}},
		{searchResource, `{"subject":{"type":"patient","id":"p-7"},"action":{"name":"view"},"resource":{"type":"provider","properties":{"patient":"p-7"}}}`, []string{"hana"}},
		{searchResource, `{"subject":{"type":"team_member","id":"amara"},"action":{"name":"book"},"resource":{"type":"provider","properties":{"patient":"p-4"}}}`, []string{"priya"}},
		{searchResource, `{"subject":{"type":"team_member","id":"mark"},"action":{"name":"view"},"resource":{"type":"appointment"},"context":{"candidates":{"a-1":{"patient":"p-1"},"a-2":{"patient":"p-9"},"a-3":{"patient":"p-11","provider":"hana"}}}}`, []string{"a-1", "a-3"}},
		{searchResource, `{"subject":{"type":"team_member","id":"mark","x":1},"action":{"name":"view"},"resource":{"type":"appointment","properties":{"patient":"p-1"},"y":{}},"context":{"candidates":{"a-2":{},"a-1":{}}},"z":[]}`, []string{"a-1", "a-2"}},
		{searchSubject, `{"subject":{"type":"team_member"},"action":{"name":"view"},"resource":{"type":"patient","id":"p-1"}}`, []string{"amara", "elena", "jordan", "mark", "ruth"}},
		{searchSubject, `{"subject":{"type":"patient"},"action":{"name":"book"},"resource":{"type":"provider","id":"hana"}}`, []string{"p-10", "p-11", "p-12", "p-7", "p-8", "p-9"}},
		{searchSubject, `{"subject":{"type":"team_member"},"action":{"name":"view"},"resource":{"type":"patient","id":"p-404"}}`, nil},
		{searchAction, `{"subject":{"type":"team_member","id":"mark"},"resource":{"type":"patient","id":"p-1"}}`, []string{"update", "view"}},
		{searchAction, `{"subject":{"type":"team_member","id":"jordan"},"action":{"name":"view"},"resource":{"type":"patient","id":"p-1"}}`, []string{"delete", "update", "view"}},
		{searchAction, `{"subject":{"type":"patient","id":"p-1"},"resource":{"type":"provider","id":"mark"}}`, []string{"book", "view"}},
	} {
		r := a.ask(t, c.path, c.body)
		page := searched(t, r, 100)
		if got := page.found(t); !slices.Equal(got, c.want) || *page.Page.Next != "" {
			t.Errorf("%s %s: %q and the token %q, expected %q and none", c.path, c.body, got, *page.Page.Next, c.want)
		}
		short := post(t, s.decisions()+c.path, c.body) // the default organisation
		check(t, string(short.body) == string(r.body), "%s: %v without an organisation, %v with", c.path, short, r)
	}
	good := object{"subject": member("mark"), "action": object{"name": "view"}, "resource": object{"type": "patient"}}
	for name, c := range map[string]struct {
		path  string
		body  any
		field string
	}{
		"no limit of results":  {searchResource, merged(good, object{"page": object{"limit": 0}}), "page.limit"},
		"too many results":     {searchResource, merged(good, object{"page": object{"limit": 1001}}), "page.limit"},
		"a part of a result":   {searchResource, merged(good, object{"page": object{"limit": 1.5}}), "page.limit"},
		"a limit that is text": {searchResource, merged(good, object{"page": object{"limit": "2"}}), "page.limit"},
		"a page that is none":  {searchResource, merged(good, object{"page": 7}), "page"},
		"a number for a token": {searchResource, merged(good, object{"page": object{"token": 7}}), "page.token"},
		"no resource":          {searchResource, object{"subject": member("mark"), "action": object{"name": "view"}}, "resource"},
		"no type":              {searchResource, merged(good, object{"resource": object{}}), "resource.type"},
		"no subject":           {searchResource, object{"action": object{"name": "view"}, "resource": object{"type": "patient"}}, "subject"},
		"a subject without id": {searchResource, merged(good, object{"subject": object{"type": "team_member"}}), "subject.id"},
		"no action":            {searchResource, object{"subject": member("mark"), "resource": object{"type": "patient"}}, "action"},
		"nobody to look at":    {searchSubject, good, "resource.id"},
		"no subject's type":    {searchSubject, object{"subject": object{}, "action": object{"name": "view"}, "resource": patient("p-1")}, "subject.type"},
		"not whole":            {searchAction, good, "resource.id"},
		"not JSON":             {searchAction, `{"subject":`, "subject"},
	} {
		refusedFor(t, a.ask(t, c.path, c.body), http.StatusBadRequest, c.field, "%s", name)
	}
	for path := range everyQuestion("mark", "p-1") {
		refused(t, get(t, a.url(path)), http.StatusMethodNotAllowed)
	}
	var metadata object
	if r := get(t, s.decisions()+"/.well-known/authzen-configuration"); json.Unmarshal(r.body, &metadata) != nil {
		t.Fatalf("metadata: %v", r)
	}
	for name, path := range map[string]string{"search_subject_endpoint": searchSubject, "search_resource_endpoint": searchResource, "search_action_endpoint": searchAction} {
		if at, _ := metadata[name].(string); !strings.HasSuffix(at, path) {
			t.Errorf("the metadata has %s %q", name, at)
		}
	}
}

// TestManyCandidates searches as many appointments as may be named.
func TestManyCandidates(t *testing.T) {
	t.Parallel()
	a := asker{&organisation{name: "riverside", server: serve(t, "--max-body", "16777216")}, ""}
	many := object{}
	for i := range 10_001 {
		many[fmt.Sprint(i)] = object{}
	}
	asked := object{"subject": member("mark"), "action": object{"name": "view"}, "context": object{"candidates": many},
		"resource": object{"type": "appointment", "properties": object{"patient": "p-1"}}} // with one of its own for each they are more than 20,000 values
	refused(t, a.ask(t, searchResource, asked), http.StatusRequestEntityTooLarge)
	delete(many, "7")
	r := a.ask(t, searchResource, paged(asked, 1000, ""))
	require(t, r.status == http.StatusOK, "the first page of 10,000 appointments: %v", r)
	hasLength(t, a.walk(t, searchResource, asked, 1000), 10_000, "of 10,000 appointments of a patient whom he sees")
}
