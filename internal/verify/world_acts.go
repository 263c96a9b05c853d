package verify

import (
	"context"
	"slices"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
)

// trying is a store in which a change is looked at as if it were made, and not made: what
// is asked next is about the same facts.
type trying struct{ Store }

// Commit implements admin.Store.
func (t trying) Commit(ctx context.Context, organisation string, change admin.Change) (admin.Committed, error) {
	p, err := t.Preview(ctx, organisation, change)
	return admin.Committed{Revision: p.Revision, Changed: len(p.Altered) > 0}, err
}

// administer does each of several acts and compares what administration lets happen with
// what the oracle is asked for the same (A1, A4). What the store itself refuses shows nothing.
func (w *world) administer(ctx context.Context, sh *shelf, of []act) ([]answer, error) {
	change, read := answer{shape: "directory, changes"}, answer{shape: "directory, reads"}
	for i := range of {
		a := &of[i]
		if !w.means(a) {
			continue
		}
		in, does, should := &change, w.changes, w.warden(a.actor).changes
		if a.edit.Op == "" {
			in, does, should = &read, w.reads, w.warden(a.actor).reads
		}
		got, err := does(ctx, sh, a, i)
		if incomparable(err) {
			continue
		}
		if err != nil {
			in.err = err
			break
		}
		against, err := should(ctx, a, i)
		if err != nil {
			return nil, err
		}
		in.looked += max(1, len(against), len(got))
		in.got, in.against = append(in.got, got...), append(in.against, against...)
	}
	return []answer{change, read}, nil
}

// means reports whether all that an act names is there, which may not be so any more in a
// smaller organisation.
func (w *world) means(a *act) bool {
	return !slices.ContainsFunc(append(a.names(), authz.Key{Kind: authz.Kind(a.actor.Type), ID: a.actor.ID}), func(key authz.Key) bool {
		return !w.scene.records.has(key)
	})
}

func onlyIf(is bool, what string) []string {
	if !is {
		return nil
	}
	return []string{what}
}

// changes says whether administration lets an edit be made.
func (w *world) changes(ctx context.Context, sh *shelf, a *act, i int) ([]string, error) {
	_, err := sh.admin.Apply(ctx, w.organisation, a.actor, []admin.Edit{a.edit}, admin.Options{})
	if err != nil && isRefusal(err) {
		return nil, nil
	}
	return onlyIf(err == nil, number(i)), err
}

// isRefusal reports whether an error says that the actor may not: something that they do
// not see is not found.
func isRefusal(err error) bool {
	kind := authz.KindOf(err)
	return kind == authz.Forbidden || kind == authz.NotFound
}

// incomparable reports whether an error is about what the store makes of an edit that the
// policy allows: the last holder of everything, a provider with assignments.
func incomparable(err error) bool {
	if err == nil {
		return false
	}
	switch authz.KindOf(err) {
	case authz.Malformed, authz.Conflict, authz.Changed, authz.TooLarge:
		return true
	}
	return false
}

// reads returns what administration shows: of a list each id.
func (w *world) reads(ctx context.Context, sh *shelf, a *act, i int) ([]string, error) {
	if a.read.ID != "" {
		_, _, err := sh.admin.Get(ctx, w.organisation, a.actor, a.read)
		if err != nil && isRefusal(err) {
			return nil, nil
		}
		return onlyIf(err == nil, number(i)), err
	}
	var out []string
	for after := ""; ; {
		page, err := sh.admin.List(ctx, w.organisation, a.actor, a.read.Kind, after, 0)
		if err != nil {
			if isRefusal(err) {
				err = nil
			}
			return out, err
		}
		for _, r := range page.Records {
			out, after = append(out, number(i)+" "+r.ID), r.ID
		}
		if !page.More {
			return out, nil
		}
		if page.Next != "" {
			after = page.Next
		}
	}
}
