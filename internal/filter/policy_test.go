package filter_test

import (
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/filter"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/orgtest/orgstore"
)

// TestTheDefaultPolicyBecomesFilters asks for the filters of the example organisation,
// with the mapping of the document.
func TestTheDefaultPolicyBecomesFilters(t *testing.T) {
	store, snapshot := orgstore.Embedded(t), orgtest.Policy(t)
	orgstore.Example(t, store)
	tables, _ := documented(t)
	if err := tables.Check(snapshot.Catalogue()); err != nil {
		t.Error(err)
	}
	service := filter.NewService(authz.NewService(store, snapshot), snapshot, store, tables)
	for _, c := range []struct {
		subject authz.Entity
		action  string
		typ     string
		patient string // given in the question
		want    filter.Matches
	}{
		{authz.Entity{Type: "team_member", ID: "mark"}, "view", "patient", "", filter.Some},
		{authz.Entity{Type: "team_member", ID: "mark"}, "delete", "patient", "", filter.None},
		{authz.Entity{Type: "team_member", ID: "mark"}, "view", "appointment", "", filter.Some},
		{authz.Entity{Type: "team_member", ID: "mark"}, "view", "appointment", "p-1", filter.Some},
		{authz.Entity{Type: "team_member", ID: "mark"}, "view", "clinical_note", "", filter.Some},
		{authz.Entity{Type: "team_member", ID: "mark"}, "book", "provider", "p-1", filter.Some},
		{authz.Entity{Type: "team_member", ID: "mark"}, "book", "provider", "nobody", filter.None},
		{authz.Entity{Type: "patient", ID: "p-1"}, "book", "provider", "", filter.Some},
		{authz.Entity{Type: "team_member", ID: "nobody"}, "view", "patient", "", filter.None},
	} {
		for _, dialect := range []filter.Dialect{filter.PostgreSQL, filter.MySQL, filter.SQLite, filter.SQLServer, filter.UCAST} {
			q := &filter.Question{Dialect: dialect, Request: &authz.Request{
				Subject: c.subject, Action: authz.Action{Name: c.action}, Resource: authz.Entity{Type: c.typ},
			}}
			if c.patient != "" {
				q.Request.Resource.Properties = map[string]any{"patient": c.patient}
			}
			f, stated, err := service.Filter(t.Context(), "riverside", q, authz.Freshness{})
			if err != nil || f.Matches != c.want || stated.Revision.Count != 1 {
				t.Errorf("%+v in %s: %+v at %v, %v", c, dialect, f, stated.Revision, err)
			}
		}
	}
}
