package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/search"
)

// searcher finds n-000 to n-249 of whatever it is asked for, and remembers what that
// was. It stands for the domain, which has tests of its own.
type searcher struct {
	what         string
	organisation string
	request      *authz.Request
	page         search.Page
	hidden       bool // pages end with an id that is not among the results
	err          error
}

func (s *searcher) find(
	what, typ, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness,
) (*search.Result, authz.Stated, error) {
	s.what, s.organisation, s.request, s.page = what, organisation, r, p
	stated := authz.Stated{Revision: authz.Revision{Count: 7, Nonce: "ab"}, Policy: "c0ffee"}
	if !stated.Revision.MayInclude(fresh.AtLeast) {
		return nil, stated, authz.NotIncluded()
	}
	if s.err != nil {
		return nil, stated, s.err
	}
	found := &search.Result{Type: typ, IDs: []string{}}
	begin := 0
	if p.From != nil {
		_, _ = fmt.Sscanf(p.From.After, "n-%d", &begin)
		begin++
	}
	for i := begin; i < min(begin+p.Limit, 250); i++ {
		found.IDs = append(found.IDs, fmt.Sprintf("n-%03d", i))
	}
	if begin+p.Limit < 250 {
		found.Next = &search.Cursor{After: fmt.Sprintf("n-%03d", begin+p.Limit-1), Hidden: s.hidden, Revision: stated.Revision, Policy: "c0ffee", Question: what}
	}
	return found, stated, nil
}

func (s *searcher) Resources(_ context.Context, o string, r *authz.Request, p search.Page, f authz.Freshness) (*search.Result, authz.Stated, error) {
	return s.find("resource", r.Resource.Type, o, r, p, f)
}

func (s *searcher) Subjects(_ context.Context, o string, r *authz.Request, p search.Page, f authz.Freshness) (*search.Result, authz.Stated, error) {
	return s.find("subject", r.Subject.Type, o, r, p, f)
}

func (s *searcher) Actions(_ context.Context, o string, r *authz.Request, p search.Page, f authz.Freshness) (*search.Result, authz.Stated, error) {
	return s.find("action", "", o, r, p, f)
}

const searchBase = "/access/v1/search/"

func TestSearch(t *testing.T) {
	s := new(searcher)
	c := decisions(t, httpapi.Config{Searcher: s})
	for _, test := range []struct {
		what, body string
		want       string
		asked      authz.Request
	}{
		{
			"resource", `{` + mark + `,` + view + `,"resource":{"type":"patient"},"page":{"limit":2}}`,
			`{"type":"patient","id":"n-000"},{"type":"patient","id":"n-001"}`,
			authz.Request{Subject: authz.Entity{Type: "team_member", ID: "mark"}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient"}},
		},
		{ // what is looked for has no id: one that is given is not looked at, whatever it is
			"resource", `{` + mark + `,` + view + `,"resource":{"id":{"not":["read"]},"type":"patient","more":1},"page":{"limit":2},"more":{}}`,
			`{"type":"patient","id":"n-000"},{"type":"patient","id":"n-001"}`,
			authz.Request{Subject: authz.Entity{Type: "team_member", ID: "mark"}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient"}},
		},
		{
			"subject", `{"subject":{"type":"team_member","id":"mark"},` + view + `,` + p1 + `,"page":{"limit":1,"properties":{"sort":"id"},"x":null}}`,
			`{"type":"team_member","id":"n-000"}`,
			authz.Request{Subject: authz.Entity{Type: "team_member"}, Action: authz.Action{Name: "view"}, Resource: authz.Entity{Type: "patient", ID: "p-1"}},
		},
		{
			"action", `{` + mark + `,` + p1 + `,"page":{"limit":3,"token":null}}`,
			`{"name":"n-000"},{"name":"n-001"},{"name":"n-002"}`,
			authz.Request{Subject: authz.Entity{Type: "team_member", ID: "mark"}, Resource: authz.Entity{Type: "patient", ID: "p-1"}},
		},
		{
			"action", `{"action":["anything"],` + mark + `,` + p1 + `,"page":{"limit":1}}`, `{"name":"n-000"}`,
			authz.Request{Subject: authz.Entity{Type: "team_member", ID: "mark"}, Resource: authz.Entity{Type: "patient", ID: "p-1"}},
		},
	} {
		for base, organisation := range map[string]string{"": "riverside", "/organisations/a%2Fb": "a/b"} {
			got := c.post(base+searchBase+test.what, test.body)
			begin, results, _ := strings.Cut(got.body, `},"results":`)
			if got.status != 200 || results != `[`+test.want+`]}` || !strings.HasPrefix(begin, `{"page":{"next_token":"`) {
				t.Errorf("%s\n got %d %s\nwant %s", test.body, got.status, got.body, test.want)
			}
			if got.header.Get("Caregate-Revision") != "7.ab" || got.header.Get("Caregate-Policy") != "c0ffee" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", got.header)
			}
			if s.what != test.what || s.organisation != organisation || fmt.Sprint(*s.request) != fmt.Sprint(test.asked) {
				t.Errorf("%s asked for %s of %s: %v", test.body, s.what, s.organisation, *s.request)
			}
		}
	}
}

// The last page has an empty token, and nothing found is an answer like any other.
func TestSearchEnds(t *testing.T) {
	s := new(searcher)
	c := decisions(t, httpapi.Config{Searcher: s})
	body := func(page string) string {
		return `{` + mark + `,` + view + `,"resource":{"type":"patient"},"page":` + page + `}`
	}
	for _, page := range []string{`{"limit":250}`, `{"limit":1000}`} {
		got := c.post(searchBase+"resource", body(page))
		if !strings.HasPrefix(got.body, `{"page":{"next_token":"","count":250},"results":[{`) {
			t.Errorf("%s: %.200s", page, got.body)
		}
	}
	for _, page := range []string{`null`, `{}`, `{"limit":null}`} {
		if c.post(searchBase+"resource", body(page)).status != 200 || s.page.Limit != search.DefaultLimit || s.page.From != nil {
			t.Errorf("%s asks for %v", page, s.page)
		}
	}
	token := ""
	for n := 0; ; n++ {
		page := `{"limit":60}`
		if token != "" {
			page = `{"token":"` + token + `"}` // the limit may be repeated and may not
			if n%2 == 0 {
				page = `{"limit":60,"token":"` + token + `"}`
			}
		}
		got := c.post(searchBase+"resource", body(page))
		if got.status != 200 || s.page.Limit != 60 {
			t.Fatalf("page %d of %v: %s", n, s.page, got.body)
		}
		token = nextToken(t, got)
		if token == "" {
			if n != 4 || !strings.HasSuffix(got.body, `{"type":"patient","id":"n-249"}]}`) || !strings.Contains(got.body, `"count":10}`) {
				t.Errorf("page %d ends with %s", n, got.body)
			}
			break
		}
		if want := fmt.Sprintf("n-%03d", 60*n+59); s.page.Limit != 60 || !strings.HasSuffix(got.body, want+`"}]}`) {
			t.Errorf("page %d ends with %s", n, got.body)
		}
	}
}

func nextToken(t *testing.T, a answer) string {
	t.Helper()
	_, rest, ok := strings.Cut(a.body, `{"page":{"next_token":"`)
	token, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no token in %s", a.body)
	}
	return token
}

// A page that ends among what is not shown has a token that shows nothing, and that
// only the process that made it can read, for a search alone.
func TestSealedTokens(t *testing.T) {
	s := &searcher{hidden: true}
	c := decisions(t, httpapi.Config{Searcher: s})
	body := func(token string) string {
		return `{` + mark + `,` + view + `,"resource":{"type":"patient"},"page":{"limit":5,"token":"` + token + `"}}`
	}
	first := `{` + mark + `,` + view + `,"resource":{"type":"patient"},"page":{"limit":5}}`
	sealed := nextToken(t, c.post(searchBase+"resource", first))
	if again := nextToken(t, c.post(searchBase+"resource", first)); again == sealed || !strings.HasPrefix(sealed, "s.") {
		t.Errorf("tokens %s and %s", sealed, again)
	}
	if got := c.post(searchBase+"resource", body(sealed)); got.status != 200 || s.page.From.After != "n-004" || !s.page.From.Hidden {
		t.Errorf("%v %s", s.page.From, got.body)
	}
	s.hidden = false
	plain := nextToken(t, c.post(searchBase+"resource", first))
	if c.post(searchBase+"resource", body(plain)).status != 200 || s.page.From.Revision.Count != 7 || s.page.From.Hidden {
		t.Errorf("%v", s.page.From)
	}
	other := decisions(t, httpapi.Config{Searcher: s})
	if got := other.post(searchBase+"resource", body(plain)); got.status != 200 {
		t.Errorf("a token with nothing to hide is good anywhere: %s", got.body)
	}
	flipped := sealed[:len(sealed)-2] + string(sealed[len(sealed)-2]^1) + sealed[len(sealed)-1:]
	forged, _ := (&search.Cursor{After: "n-004", Hidden: true}).MarshalText()
	for what, ask := range map[string]func() answer{
		"sealed elsewhere":         func() answer { return other.post(searchBase+"resource", body(sealed)) },
		"changed":                  func() answer { return c.post(searchBase+"resource", body(flipped)) },
		"cut":                      func() answer { return c.post(searchBase+"resource", body(sealed[:20])) },
		"sealed and opened":        func() answer { return c.post(searchBase+"resource", body("s."+plain)) },
		"without a seal":           func() answer { return c.post(searchBase+"resource", body(sealed[2:])) },
		"hidden and not sealed":    func() answer { return c.post(searchBase+"resource", body("5."+string(forged))) },
		"without a limit":          func() answer { return c.post(searchBase+"resource", body(strings.TrimPrefix(plain, "5"))) },
		"with a limit of its own":  func() answer { return c.post(searchBase+"resource", body("1001"+plain[1:])) },
		"with nothing but a limit": func() answer { return c.post(searchBase+"resource", body("5.")) },
		"text":                     func() answer { return c.post(searchBase+"resource", body("n-004")) },
	} {
		s.request = nil
		ask().refused(t, 400, "malformed", "page.token", "begin again")
		if s.request != nil {
			t.Errorf("%s: it is searched for", what)
		}
	}
}

// A token of a list of records is none of a search, and the other way round.
func TestSealedTokensAreForOnePurpose(t *testing.T) {
	s := &searcher{hidden: true}
	service, service2 := parts(t)
	api := newAPI(t, httpapi.Config{Service: service2, Administration: service, Searcher: s})
	c, adminClient := serve(t, api.Decisions()), serve(t, api.Admin())
	token := nextToken(t, c.post(searchBase+"resource", `{`+mark+`,`+view+`,"resource":{"type":"patient"}}`))
	adminClient.as("operator", http.MethodPost, "/lists", `{"kind":"patient","after":"`+token+`"}`).refused(t, 400, "malformed", "after")
}

func TestMalformedSearches(t *testing.T) {
	s := new(searcher)
	c := decisions(t, httpapi.Config{Searcher: s, MaxBody: 7000})
	const anybody, patients = `"subject":{"type":"team_member"}`, `"resource":{"type":"patient"}`
	paged := func(page string) string { return `{` + mark + `,` + view + `,` + patients + `,"page":` + page + `}` }
	for _, test := range []struct {
		what, body string
		field      string
	}{
		{"resource", ``, ""},
		{"resource", `[]`, ""},
		{"resource", `{` + mark + `,` + view + `,` + patients + `} x`, ""},
		{"resource", `{` + view + `,` + patients + `}`, "subject"},
		{"resource", `{` + anybody + `,` + view + `,` + patients + `}`, "subject.id"},
		{"resource", `{` + mark + `,` + patients + `}`, "action"},
		{"resource", `{` + mark + `,"action":{},` + patients + `}`, "action.name"},
		{"resource", `{` + mark + `,` + view + `}`, "resource"},
		{"resource", `{` + mark + `,` + view + `,"resource":{"id":"p-1"}}`, "resource.type"},
		{"resource", `{` + mark + `,` + view + `,"resource":{"type":7}}`, "resource.type"},
		{"resource", `{` + mark + `,` + view + `,"resource":{"type":"patient","properties":7}}`, "resource.properties"},
		{"resource", `{` + mark + `,` + view + `,` + patients + `,"context":7}`, "context"},
		{"resource", `{` + mark + `,` + view + `,` + patients + `,"page":{},"page":{}}`, "page"},
		{"resource", paged(`7`), "page"},
		{"resource", paged(`"next"`), "page"},
		{"resource", paged(`{"limit":0}`), "page.limit"},
		{"resource", paged(`{"limit":-1}`), "page.limit"},
		{"resource", paged(`{"limit":1001}`), "page.limit"},
		{"resource", paged(`{"limit":1.5}`), "page.limit"},
		{"resource", paged(`{"limit":1e2}`), "page.limit"},
		{"resource", paged(`{"limit":99999999999999999999}`), "page.limit"},
		{"resource", paged(`{"limit":"7"}`), "page.limit"},
		{"resource", paged(`{"token":7}`), "page.token"},
		{"resource", paged(`{"token":""}`), "page.token"},
		{"resource", paged(`{"limit":}`), "page.limit"},
		{"resource", paged(`{"limit":7`), ""},
		{"subject", `{` + view + `,` + p1 + `}`, "subject"},
		{"subject", `{"subject":{"id":"mark"},` + view + `,` + p1 + `}`, "subject.type"},
		{"subject", `{` + anybody + `,` + p1 + `}`, "action"},
		{"subject", `{` + anybody + `,` + view + `,` + patients + `}`, "resource.id"},
		{"action", `{` + anybody + `,` + p1 + `}`, "subject.id"},
		{"action", `{` + mark + `,` + patients + `}`, "resource.id"},
		{"action", `{` + mark + `}`, "resource"},
	} {
		c.post(searchBase+test.what, test.body).refused(t, 400, "malformed", test.field)
	}
	c.post(searchBase+"action", `{`+mark+`,"x":"`+strings.Repeat("x", 8000)+`"}`).wantStatus(t, 413)
	if s.request != nil {
		t.Error("something malformed was searched for")
	}
}

func TestSearchRefused(t *testing.T) {
	tokens, _ := writeTokens(t, "scheduling one-1")
	s := new(searcher)
	c := decisions(t, httpapi.Config{Searcher: s, Tokens: tokens})
	body := `{` + mark + `,` + view + `,"resource":{"type":"patient"},"page":{"limit":2}}`
	c.post(searchBase+"resource", body).wantStatus(t, 401)
	bearing := []string{"Authorization", "Bearer one-1"}
	c.post(searchBase+"resource", body, append(bearing, "Caregate-At-Least", "8.cd")...).wantStatus(t, 412)
	c.post(searchBase+"resource", body, append(bearing, "Caregate-Consistency", "eventual")...).wantStatus(t, 400)
	token := nextToken(t, c.post(searchBase+"resource", body, bearing...))
	got := c.post(searchBase+"resource", strings.Replace(body, `"limit":2`, `"limit":3,"token":"`+token+`"`, 1), bearing...)
	got.refused(t, 400, "malformed", "page.limit")
	for err, status := range map[error]int{
		authz.Errorf(authz.Malformed, "page.token", "is of another search"):            400,
		authz.Errorf(authz.Conflict, "page.token", "is of another policy"):             409,
		authz.Errorf(authz.Behind, "page.token", "is of facts that were lost"):         412,
		authz.Errorf(authz.TooLarge, "resource.type", "has too many candidates"):       413,
		authz.Errorf(authz.Unavailable, "", "the facts cannot be read; try again"):     503,
		fmt.Errorf("read the index of mark: %w", authz.Errorf(authz.Internal, "", "")): 500,
	} {
		s.err = err
		got := c.post(searchBase+"resource", body, bearing...)
		if _, _, detail := got.problem(t); got.status != status || strings.Contains(detail, "mark") {
			t.Errorf("%v: %d %s", err, got.status, got.body)
		}
	}
	none := decisions(t, httpapi.Config{})
	for _, path := range []string{searchBase + "resource", "/v1/filters", "/v1/explanations", "/v1/reviews", "/v1/previews"} {
		none.post(path, body).wantStatus(t, 404)
	}
}
