package main

import (
	"context"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/search"
	"github.com/caregate/caregate/internal/telemetry"
)

// measuredSearcher is a Searcher of which each page is measured.
type measuredSearcher struct {
	next httpapi.Searcher
	t    *telemetry.Telemetry
}

func (m measuredSearcher) Resources(
	ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness,
) (result *search.Result, stated authz.Stated, err error) {
	ctx, done := m.t.Search(ctx, telemetry.SearchForResources)
	defer func() { done(err) }()
	return m.next.Resources(ctx, organisation, r, p, fresh)
}

func (m measuredSearcher) Subjects(
	ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness,
) (result *search.Result, stated authz.Stated, err error) {
	ctx, done := m.t.Search(ctx, telemetry.SearchForSubjects)
	defer func() { done(err) }()
	return m.next.Subjects(ctx, organisation, r, p, fresh)
}

func (m measuredSearcher) Actions(
	ctx context.Context, organisation string, r *authz.Request, p search.Page, fresh authz.Freshness,
) (result *search.Result, stated authz.Stated, err error) {
	ctx, done := m.t.Search(ctx, telemetry.SearchForActions)
	defer func() { done(err) }()
	return m.next.Actions(ctx, organisation, r, p, fresh)
}
