package httpapi_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/search"
)

// clinic is the organisation of these tests: ada administers, mark treats, rita has
// no permission to change anything.
const clinic = `{"kind":"role","id":"admin","name":"Administrator","permissions":["*:*","patient:view_all"]}
{"kind":"role","id":"doctor","permissions":["patient:view","patient:update","appointment:create","appointment:view"]}
{"kind":"role","id":"spare","permissions":[]}
{"kind":"group","id":"ward","name":"Ward","permissions":["stock:view"]}
{"kind":"patient_group","id":"diabetes","name":"Diabetes"}
{"kind":"patient_group","id":"cardio"}
{"kind":"team_member","id":"ada","role":"admin"}
{"kind":"team_member","id":"mark","name":"Mark Smith","role":"doctor","provider":true,"access":["diabetes"],"booking":["diabetes"]}
{"kind":"team_member","id":"rita","groups":["ward"]}
{"kind":"patient","id":"p-1","patient_group":"diabetes","care_team":["rita"]}
{"kind":"patient","id":"p-2","patient_group":"cardio"}
{"kind":"patient","id":"p-3","patient_group":"diabetes"}
{"kind":"booking","id":"b-1","patient":"p-1","provider":"mark","state":"booked"}
`

// parts returns what administers the clinic, and what decides about it, over the embedded store and with the
// default policy.
func parts(t *testing.T) (*admin.Service, *authz.Service) {
	t.Helper()
	store := clinics(t, "riverside", "hill/side")
	cfg := everything(t, store, httpapi.Config{})
	return cfg.Administration.(*admin.Service), cfg.Service.(*authz.Service)
}

// clinics is an embedded store with the clinic in each of organisations.
func clinics(t *testing.T, organisations ...string) *directory.Directory {
	t.Helper()
	store, err := directory.OpenEmbedded(directory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return filled(t, store, organisations...)
}

// filled puts the clinic into each of organisations of a store, which it closes in the end.
func filled(t *testing.T, store *directory.Directory, organisations ...string) *directory.Directory {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	for _, organisation := range organisations {
		if _, err := store.Import(t.Context(), organisation, strings.NewReader(clinic), directory.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// everything adds to a configuration all that answers questions about a store, by the default
// policy.
func everything(t *testing.T, store *directory.Directory, cfg httpapi.Config) httpapi.Config {
	t.Helper()
	snapshot := orgtest.Policy(t)
	tables, err := filter.ParseTables([]byte(`{"tables":{"patient":{"table":"patients","id":"id","patient_group":"patient_group","care_team":"ids"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	service := authz.NewService(store, snapshot)
	cfg.Service, cfg.Administration = service, admin.NewService(service, store)
	cfg.Searcher = search.NewService(service, snapshot, store, nil)
	cfg.Filterer = filter.NewService(service, snapshot, store, tables)
	cfg.Reviewer = review.NewService(service, snapshot, store)
	return cfg
}

// administration serves the admin listener of a clinic.
func administration(t *testing.T) *client {
	t.Helper()
	service, decisions := parts(t)
	return serve(t, newAPI(t, httpapi.Config{Service: decisions, Administration: service}).Admin())
}

const base = "/directory/v1"

// as sends a request on behalf of somebody.
func (c *client) as(actor, method, path, body string, headers ...string) answer {
	c.t.Helper()
	return c.do(method, base+path, body, append([]string{"Caregate-Actor", actor}, headers...)...)
}

// ada sends a request on behalf of the administrator.
func (c *client) ada(method, path, body string, headers ...string) answer {
	c.t.Helper()
	return c.as("ada", method, path, body, headers...)
}

// read gets a path as the operator.
func (c *client) read(path string, headers ...string) answer {
	c.t.Helper()
	return c.get(base+path, append([]string{"Caregate-Actor", "operator"}, headers...)...)
}

// wantStatus checks an answer's status, and that what went well states a revision.
func (a answer) wantStatus(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("%s\ngot %d %s\nwant %d", a.asked, a.status, a.body, status)
	}
	if a.status < 400 && a.status != http.StatusNoContent && a.header.Get("Caregate-Revision") == "" {
		t.Errorf("no revision with %d %s", a.status, a.body)
	}
	return a
}

// wantBody checks the status and the body.
func (a answer) wantBody(t *testing.T, status int, body string) answer {
	t.Helper()
	a.wantStatus(t, status)
	if a.body != body {
		t.Errorf("got  %s\nwant %s", a.body, body)
	}
	return a
}

// refused checks a problem's status, code and field, that its detail says what it should, and
// that it names nobody.
func (a answer) refused(t *testing.T, status int, code, field string, says ...string) {
	t.Helper()
	gotCode, gotField, detail := a.problem(t)
	if a.status != status || gotCode != code || gotField != field {
		t.Errorf("%s\ngot %d %s\nwant %d %s %q", a.asked, a.status, a.body, status, code, field)
	}
	for _, text := range says {
		if !strings.Contains(detail, text) {
			t.Errorf("%s\nthe detail does not say %s: %s", a.asked, text, detail)
		}
	}
	if regexp.MustCompile(`\b(mark|rita|p-1|b-1|ada)\b`).MatchString(detail) {
		t.Errorf("the detail names somebody: %s", detail)
	}
}

// scripted is an Administration that answers as its functions say; what has none
// is not asked.
type scripted struct {
	httpapi.Administration
	apply   func(ctx context.Context, actor admin.Actor, edits []admin.Edit, o admin.Options) (admin.Committed, error)
	get     func(key authz.Key) (*admin.Stored, authz.Revision, error)
	list    func(after string, limit int) (admin.Page, error)
	history func(ctx context.Context, after authz.Revision, limit int) (admin.History, error)
	wait    func(ctx context.Context, after authz.Revision) error
}

func (s *scripted) Apply(
	ctx context.Context, _ string, actor admin.Actor, edits []admin.Edit, o admin.Options,
) (admin.Committed, error) {
	return s.apply(ctx, actor, edits, o)
}

func (s *scripted) Get(_ context.Context, _ string, _ admin.Actor, key authz.Key) (*admin.Stored, authz.Revision, error) {
	return s.get(key)
}

func (s *scripted) List(_ context.Context, _ string, _ admin.Actor, _ authz.Kind, after string, limit int) (admin.Page, error) {
	return s.list(after, limit)
}

func (s *scripted) History(ctx context.Context, _ string, _ admin.Actor, after admin.Place, limit int) (admin.History, error) {
	return s.history(ctx, after.Revision, limit)
}

func (s *scripted) Wait(ctx context.Context, _ string, after authz.Revision) error {
	return s.wait(ctx, after)
}
