package admin

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"github.com/caregate/caregate/internal/authz"
)

// maxSet is the most ids of a set that is replaced.
const maxSet = 10 * MaxEdits

// SetTag returns the entity tag of a set of ids: equal for equal sets, whatever
// their order.
func SetTag(ids []string) string {
	sorted := slices.Sorted(slices.Values(ids))
	sum := sha256.Sum256([]byte(strings.Join(sorted, "\x00"))) // no id has a zero byte
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// Replace makes ids all that relate to the entity to: with Access and a patient
// group, all team members who have Access to it (A2). It is judged as the edits
// that make the difference, at most MaxEdits of them, and if there is none as one
// of them. The set is replaced only as a whole: when anything in the organisation
// changes meanwhile it is looked at again.
//
// Relation is RoleOf, MemberOfGroup, Access, Booking or CareTeam. CareTeam is about
// manual places: bookings keep theirs. It is about those whom the actor sees, which are
// those that Related lists: others stay as they are.
//
// ifMatch, when not empty, is the SetTag of the set that Related lists in all its
// pages; if it is another set by now the error is of kind Changed. Errors are as for
// Apply, with Field named as ids[3].
func (s *Service) Replace(
	ctx context.Context, organisation string, actor Actor, relation Relation, to string, ids []string, ifMatch string, o Options,
) (Committed, error) {
	if _, err := floorOf(relation); err != nil {
		return Committed{}, err
	}
	if err := checkList("ids", ids, CheckID); err != nil {
		return Committed{}, err
	}
	if len(ids) > maxSet {
		return Committed{}, tooLarge("ids", "are more than %d; link and unlink single ones", maxSet)
	}
	return s.decideAndCommit(ctx, organisation, actor, o, func(ctx context.Context) (*plan, error) {
		return s.replacement(ctx, organisation, actor, relation, to, ids, ifMatch)
	})
}

// floorOf returns what is asked for a replacement that changes nothing.
func floorOf(relation Relation) (question, error) {
	if relation == RoleOf {
		relation = MemberOfGroup // both change members
	}
	if !relation.IsLinked() {
		return question{}, bad("relation", "is not one that is replaced as a set; change the records, one by one")
	}
	_, duty := relationDuties(relation)
	return question{duty: duty}, nil
}

// replacement plans to make ids all that relate to an entity.
func (s *Service) replacement(
	ctx context.Context, organisation string, actor Actor, relation Relation, to string, ids []string, ifMatch string,
) (*plan, error) {
	floor, err := floorOf(relation)
	if err != nil {
		return nil, err
	}
	p := &plan{floor: []question{floor}}
	_, kind := relation.Ends()
	key := authz.Key{Kind: kind, ID: to}
	records, _, err := s.records(ctx, organisation, []authz.Key{key})
	if err != nil {
		return nil, err
	}
	p.basis.expect(key, sinceOf(records[0]))
	sees, err := s.seenOf(ctx, organisation, actor, kind, []string{to}, &p.basis)
	if err != nil {
		return nil, err
	}
	if records[0] == nil || len(sees) == 0 {
		p.outcome = notFound(kind)
		return p, nil
	}
	current, revision, err := s.related(ctx, organisation, relation, to, maxSet)
	if authz.KindOf(err) == authz.TooLarge {
		p.outcome = err // for whoever may replace it
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	p.basis.expectWhole(revision)
	var listed []string
	if relation == CareTeam {
		listed, current, err = s.manualPlaces(ctx, organisation, actor, to, current, &p.basis)
	} else {
		listed, err = s.seenOf(ctx, organisation, actor, authz.KindTeamMember, current, &p.basis)
		current = listed
	}
	if err != nil {
		return nil, err
	}
	if ifMatch != "" && ifMatch != SetTag(listed) {
		p.outcome = authz.Errorf(authz.Changed, "", "the set is not the one that the request is about; read it again")
	}
	// A place that a booking made stays one when the set is read and written back.
	joining, leaving := added(listed, ids), added(ids, current)
	if len(joining)+len(leaving) > MaxEdits {
		p.outcome = tooLarge("ids", "change more than %d records; link and unlink them in several changes", MaxEdits)
		return p, nil
	}
	for _, id := range joining {
		p.edits = append(p.edits, edge(relation, id, to, true))
	}
	for _, id := range leaving {
		p.edits = append(p.edits, edge(relation, id, to, false))
	}
	p.rename = func(field string) string { return idField(field, joining, ids) }
	return p, nil
}

// edge returns the edit that makes or ends a relation.
func edge(relation Relation, from, to string, holds bool) Edit {
	if relation == RoleOf {
		role := ""
		if holds {
			role = to
		}
		return Edit{Op: Set, Key: authz.Key{Kind: authz.KindTeamMember, ID: from}, Fields: Fields{"role": role}}
	}
	op := Unlink
	if holds {
		op = Link
	}
	return Edit{Op: op, Relation: relation, From: from, To: to}
}

// idField turns the field of an edit into that of the id it was made from.
func idField(field string, joining, ids []string) string {
	var n int
	if _, err := fmt.Sscanf(field, "edits[%d]", &n); err != nil || n < 0 {
		return field
	}
	if n >= len(joining) { // something that was left out of ids
		return "ids"
	}
	return fmt.Sprintf("ids[%d]", slices.Index(ids, joining[n]))
}

// seenOf returns which entities of a kind the actor sees.
func (s *Service) seenOf(
	ctx context.Context, organisation string, actor Actor, kind authz.Kind, ids []string, l *basis,
) (seen []string, err error) {
	keys := make([]authz.Key, len(ids))
	for i, id := range ids {
		keys[i] = authz.Key{Kind: kind, ID: id}
	}
	j, err := s.judge(ctx, organisation, actor, keys)
	if err != nil {
		return nil, err
	}
	l.expectConsultation(j.read)
	for _, key := range keys {
		sees, err := j.sees(ctx, key)
		if err != nil {
			return nil, err
		}
		if sees {
			seen = append(seen, key.ID)
		}
	}
	return seen, nil
}

// manualPlaces returns which patients of a member the actor sees, and on whose care
// team of those the member has a manual place.
func (s *Service) manualPlaces(
	ctx context.Context, organisation string, actor Actor, member string, patients []string, l *basis,
) (listed, manual []string, err error) {
	for chunk := range slices.Chunk(patients, MaxEdits) {
		keys := make([]authz.Key, len(chunk))
		for i, id := range chunk {
			keys[i] = authz.Key{Kind: authz.KindPatient, ID: id}
		}
		records, revision, err := s.records(ctx, organisation, keys)
		if err != nil {
			return nil, nil, err
		}
		l.expectWhole(revision)
		j, err := s.judge(ctx, organisation, actor, keys)
		if err != nil {
			return nil, nil, err
		}
		l.expectWhole(j.read.Facts.Revision)
		for i, r := range records {
			sees, err := j.sees(ctx, keys[i])
			if err != nil {
				return nil, nil, err
			}
			if r == nil || !sees {
				continue
			}
			listed = append(listed, r.ID)
			if slices.Contains(r.CareTeam, member) {
				manual = append(manual, r.ID)
			}
		}
	}
	return listed, manual, nil
}
