package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/model"
)

// List returns a page of records of a kind in the order of their ids, those after
// the id after, as Store.List does. For a team member patients and bookings are
// those that a check of view allows (V8), all decided at the revision of the page.
// The work for one page is bounded: it may have fewer records than limit, and none,
// and still say that there are more; Next is then where the next one goes on.
func (s *Service) List(
	ctx context.Context, organisation string, actor Actor, kind authz.Kind, after string, limit int,
) (Page, error) {
	if err := actor.reads(); err != nil {
		return Page{}, err
	}
	limit = pageLimit(limit)
	if actor.nobody() || !isHidden(kind) {
		page, err := s.store.List(ctx, organisation, kind, after, limit)
		if err != nil || actor.nobody() {
			return page, err
		}
		// Decided after it was read, and so with nothing in it that is newer.
		q, err := viewOf(authz.Key{Kind: kind}, "", "")
		if err == nil {
			err = s.mayAsk(ctx, organisation, actor, q)
		}
		if err != nil {
			return Page{}, err
		}
		return page, nil
	}
	f := &pageFilter{service: s, organisation: organisation, actor: actor, limit: limit}
	err := f.fill(ctx, after, func(ctx context.Context, after string, limit int) (Page, error) {
		return s.store.List(ctx, organisation, kind, after, limit)
	})
	return f.page, err
}

// Related returns a page of the ids of the entities that relate to the entity to,
// as Store.Related does. For a team member patients and bookings are filtered as by
// List, and those of a patient take sight of the patient; those of another entity which
// is not for the actor to see are none if it does not exist. Who has a role or is in a group
// takes view on the role or group, and who has Access or Booking the duty to view those; of
// them only members whom the actor sees are told.
func (s *Service) Related(
	ctx context.Context, organisation string, actor Actor, relation Relation, to, after string, limit int,
) (RelatedPage, error) {
	if err := actor.reads(); err != nil {
		return RelatedPage{}, err
	}
	limit = pageLimit(limit)
	kind, toKind := relation.Ends()
	if kind == "" {
		return RelatedPage{}, bad("relation", "is no relation; write role, group, access, booking, patient_group, care_team, patient or provider")
	}
	if actor.nobody() {
		return s.store.Related(ctx, organisation, relation, to, after, limit)
	}
	if !isHidden(kind) {
		view, _ := relationDuties(relation)
		if err := s.mayAsk(ctx, organisation, actor, question{duty: view, id: to}); err != nil {
			return RelatedPage{}, err
		}
	}
	if toKind == authz.KindPatient {
		if _, _, err := s.Get(ctx, organisation, actor, authz.Key{Kind: toKind, ID: to}); err != nil {
			return RelatedPage{}, err
		}
	}
	f := &pageFilter{service: s, organisation: organisation, actor: actor, limit: limit}
	err := f.fill(ctx, after, func(ctx context.Context, after string, limit int) (Page, error) {
		return s.relatedRecords(ctx, organisation, relation, to, after, limit)
	})
	if authz.KindOf(err) == authz.NotFound {
		err = s.unrelated(ctx, organisation, actor, authz.Key{Kind: toKind, ID: to}, &f.page, err)
	}
	if err != nil {
		return RelatedPage{}, err
	}
	out := RelatedPage{More: f.page.More, Next: f.page.Next, Revision: f.page.Revision}
	for _, r := range f.page.Records {
		out.IDs = append(out.IDs, r.ID)
	}
	return out, nil
}

// unrelated makes an empty page of what relates to an entity that does not exist, for an
// actor who would not see it either; others are told, by err.
func (s *Service) unrelated(ctx context.Context, organisation string, actor Actor, to authz.Key, page *Page, err error) error {
	q, viewErr := viewOf(to, "", "")
	if viewErr != nil {
		return viewErr
	}
	j, judgeErr := s.judge(ctx, organisation, actor, []authz.Key{to})
	if judgeErr != nil {
		return judgeErr
	}
	sees, judgeErr := j.allows(ctx, q)
	switch {
	case judgeErr != nil:
		return judgeErr
	case sees:
		return err
	}
	*page = Page{Revision: j.read.Facts.Revision}
	return nil
}

// mayAsk reports a question that the policy denies as an error.
func (s *Service) mayAsk(ctx context.Context, organisation string, actor Actor, q question) error {
	j, err := s.judge(ctx, organisation, actor, nil)
	if err != nil {
		return err
	}
	return j.permits(ctx, "", q)
}

// relatedRecords reads a page of entities that relate to another one, which are
// records that have not changed since.
func (s *Service) relatedRecords(
	ctx context.Context, organisation string, relation Relation, to, after string, limit int,
) (Page, error) {
	kind, _ := relation.Ends()
	ids, err := s.store.Related(ctx, organisation, relation, to, after, limit)
	if err != nil {
		return Page{}, err
	}
	keys := make([]authz.Key, len(ids.IDs))
	for i, id := range ids.IDs {
		keys[i] = authz.Key{Kind: kind, ID: id}
	}
	records, _, err := s.records(ctx, organisation, keys)
	if err != nil {
		return Page{}, err
	}
	for _, r := range records {
		if r == nil || r.Since.Count > ids.Revision.Count {
			return Page{}, Moved()
		}
	}
	return Page{Records: records, More: ids.More, Revision: ids.Revision}, nil
}

// pageFilter makes a page of the records that a member may view.
type pageFilter struct {
	service      *Service
	organisation string
	actor        Actor
	limit        int
	page         Page
}

// fill reads records from read, chunk by chunk, until the page is full, the records
// are at an end, or enough was looked at. All of them are decided on at one revision:
// a page ends where the facts changed.
func (f *pageFilter) fill(ctx context.Context, after string, read func(context.Context, string, int) (Page, error)) error {
	ctx, end, err := authz.LongWork(ctx)
	if err != nil {
		return err
	}
	defer end()
	for scanned := 0; scanned < maxScan; {
		authz.GiveWay(ctx)
		var chunk Page
		var visible []bool
		err := retryMoved(ctx, func() (err error) {
			if chunk, err = read(ctx, after, scanChunk); err == nil {
				visible, err = f.service.visible(ctx, f.organisation, f.actor, chunk.Revision, chunk.Records)
			}
			return err
		})
		if err != nil {
			f.page = Page{}
			return err
		}
		if scanned > 0 && chunk.Revision != f.page.Revision {
			break
		}
		f.page.Revision = chunk.Revision
		for i, r := range chunk.Records {
			if visible[i] {
				if len(f.page.Records) == f.limit {
					f.page.More = true
					return nil
				}
				f.page.Records = append(f.page.Records, r)
			}
			after = r.ID
		}
		if !chunk.More {
			return nil
		}
		scanned += max(len(chunk.Records), 1)
	}
	f.page.More = true
	if n := len(f.page.Records); n == 0 || f.page.Records[n-1].ID != after {
		f.page.Next = after
	}
	return nil
}

// visible reports of each record, which were read at a revision, whether a member
// may view it.
func (s *Service) visible(
	ctx context.Context, organisation string, actor Actor, revision authz.Revision, stored []*Stored,
) ([]bool, error) {
	records := make([]*Record, len(stored))
	for i, r := range stored {
		records[i] = &r.Record
	}
	j, err := s.judgeAt(ctx, organisation, actor, revision, records, stored)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(records))
	for i, r := range records {
		q, err := viewOf(r.Key(), r.Patient, r.Provider)
		if err != nil {
			return nil, err
		}
		if out[i], err = j.allows(ctx, q); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// discreet returns err without the entities in the way of a change that its actor
// may not view, in names and in number.
func (s *Service) discreet(ctx context.Context, organisation string, actor Actor, err error) error {
	e, ok := errors.AsType[*authz.Error](err)
	if !ok || len(e.InUse) == 0 || actor.nobody() {
		return err
	}
	out := *e
	out.InUse = nil
	byKind := map[authz.Kind][]authz.Key{}
	for _, key := range e.InUse {
		byKind[key.Kind] = append(byKind[key.Kind], key)
	}
	for _, kind := range model.Kinds() {
		if len(byKind[kind]) == 0 {
			continue
		}
		records, revision, err := s.records(ctx, organisation, byKind[kind])
		if err != nil {
			continue // what cannot be judged is not told
		}
		records = slices.DeleteFunc(records, func(r *Stored) bool { return r == nil })
		visible, err := s.visible(ctx, organisation, actor, revision, records)
		for i, r := range records {
			if err == nil && visible[i] {
				out.InUse = append(out.InUse, r.Key())
			}
		}
	}
	out.InUseCount -= len(e.InUse) - len(out.InUse)
	return &out
}

func pageLimit(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}
