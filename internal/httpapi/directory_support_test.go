package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/data"
	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/policy"
	"github.com/caregate/caregate/policies"
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

// defaultPolicy is compiled once for all tests.
var defaultPolicy = sync.OnceValues(func() (*policy.Snapshot, error) {
	source, err := policy.Read(policies.Files, data.Files())
	if err != nil {
		return nil, err
	}
	return policy.Compile(context.Background(), source, policy.Config{})
})

// parts returns what administers the clinic, and what decides about it, over the embedded store and with the
// default policy.
func parts(t *testing.T) (*admin.Service, *authz.Service) {
	t.Helper()
	store, err := directory.OpenEmbedded(directory.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return partsOver(t, store)
}

// partsOver is parts over a store without facts, which it closes in the end.
func partsOver(t *testing.T, store *directory.Directory) (*admin.Service, *authz.Service) {
	t.Helper()
	t.Cleanup(func() { _ = store.Close() })
	for _, organisation := range []string{"riverside", "hill/side"} {
		if _, err := store.Import(t.Context(), organisation, strings.NewReader(clinic), directory.ImportOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := defaultPolicy()
	if err != nil {
		t.Fatal(err)
	}
	service := authz.NewService(store, snapshot)
	return admin.NewService(service, store), service
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
		t.Errorf("got %d %s\nwant %d", a.status, a.body, status)
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

// refused checks a problem's code and field, and that its detail names nobody.
func (a answer) refused(t *testing.T, status int, code, field string) {
	t.Helper()
	var p struct {
		Type, Detail, Field string
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if a.status != status || p.Type != "urn:caregate:problem:"+code || p.Field != field {
		t.Errorf("got %d %s\nwant %d %s %q", a.status, a.body, status, code, field)
	}
	for _, id := range []string{"mark", "rita", "p-1", "b-1", "ada"} {
		if strings.Contains(p.Detail, id) {
			t.Errorf("the detail names somebody: %s", p.Detail)
		}
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
