package admin

import (
	"context"
	"errors"
	"slices"

	"github.com/caregate/caregate/internal/authz"
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
		q, err := viewQuestion(&Record{Kind: kind, ID: string(kind)})
		if err != nil {
			return Page{}, err
		}
		return page, s.mayAsk(ctx, organisation, actor, q, &page)
	}
	f := &filter{service: s, organisation: organisation, actor: actor, limit: limit}
	err := f.run(ctx, after, func(ctx context.Context, after string, limit int) (Page, error) {
		return s.store.List(ctx, organisation, kind, after, limit)
	})
	return f.page, err
}

// Related returns a page of the ids of the entities that relate to the entity to,
// as Store.Related does. For a team member patients and bookings are filtered as by
// List, and those of a patient take view on the patient; who has a role or is in a
// group takes view on user, and who has Access or Booking view on settings.
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
	if actor.nobody() || !isHidden(kind) {
		page, err := s.store.Related(ctx, organisation, relation, to, after, limit)
		if actor.nobody() {
			return page, err
		}
		var none Page
		if mayErr := s.mayAsk(ctx, organisation, actor, relationQuestion(relation, to), &none); mayErr != nil {
			return RelatedPage{}, mayErr
		}
		return page, err
	}
	if toKind == authz.KindPatient {
		if _, _, err := s.Get(ctx, organisation, actor, authz.Key{Kind: toKind, ID: to}); err != nil {
			return RelatedPage{}, err
		}
	}
	f := &filter{service: s, organisation: organisation, actor: actor, limit: limit}
	err := f.run(ctx, after, func(ctx context.Context, after string, limit int) (Page, error) {
		return s.relatedRecords(ctx, organisation, relation, to, after, limit)
	})
	if err != nil {
		return RelatedPage{}, err
	}
	out := RelatedPage{More: f.page.More, Next: f.page.Next, Revision: f.page.Revision}
	for _, r := range f.page.Records {
		out.IDs = append(out.IDs, r.ID)
	}
	return out, nil
}

// relationQuestion returns what is asked for the team members of a relation.
func relationQuestion(relation Relation, to string) question {
	if relation == Access || relation == Booking {
		return settings("view", string(relation))
	}
	return userQuestion("view", to)
}

// mayAsk reports a question that the policy denies as an error, and empties a page
// that was read for it.
func (s *Service) mayAsk(ctx context.Context, organisation string, actor Actor, q question, page *Page) error {
	j, err := s.consult(ctx, organisation, actor, []question{q}, nil)
	if err == nil {
		err = j.permits("", q)
	}
	if err != nil {
		*page = Page{}
	}
	return err
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

// filter makes a page of the records that a member may view.
type filter struct {
	service      *Service
	organisation string
	actor        Actor
	limit        int
	page         Page
}

// run reads records from read, chunk by chunk, until the page is full, the records
// are at an end, or enough was looked at. All of them are decided on at one revision:
// a page ends where the facts changed.
func (f *filter) run(ctx context.Context, after string, read func(context.Context, string, int) (Page, error)) error {
	for scanned := 0; scanned < maxScan; {
		var chunk Page
		var visible []bool
		err := again(ctx, func() (err error) {
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
// may view it. Nobody may view any without the permission: then it is an error.
func (s *Service) visible(
	ctx context.Context, organisation string, actor Actor, revision authz.Revision, records []*Stored,
) ([]bool, error) {
	questions := make([]question, len(records))
	for i, r := range records {
		var err error
		if questions[i], err = viewQuestion(&r.Record); err != nil {
			return nil, err
		}
	}
	j, err := s.consultAt(ctx, organisation, actor, revision, questions, records)
	if err != nil {
		return nil, err
	}
	out := make([]bool, len(records))
	for i, q := range questions {
		d := j.answers[q]
		out[i] = d.Allow
		// A permission does not depend on the record.
		if reasons, _ := accountOf(d); !d.Allow && isHidden(records[i].Kind) &&
			(slices.Contains(reasons, "permission_missing") || slices.Contains(reasons, "subject_unknown")) {
			return nil, j.permits("", q)
		}
	}
	return out, nil
}

// discreet returns err without the entities in the way of a change that its actor
// may not view. How many there are it still says.
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
	for _, kind := range Kinds() {
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
	return &out
}

func pageLimit(limit int) int {
	if limit < 1 || limit > maxPage {
		return maxPage
	}
	return limit
}
