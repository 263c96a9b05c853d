package directory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/transfer"
	"github.com/caregate/caregate/internal/model"
	"github.com/caregate/caregate/internal/review"
)

// boss makes every change of a ledger.
func boss() admin.Actor { return admin.Actor{Type: "team_member", ID: "boss"} }

// asEdits is what edits ask for.
func asEdits(edits []admin.Edit) func(*reference) (*reference, bool) {
	return func(before *reference) (*reference, bool) {
		after, kind := before.commit(admin.Change{Edits: edits})
		return after, kind == fits
	}
}

// asPatch is what a patch of one record asks for.
func asPatch(key authz.Key, p admin.Fields) func(*reference) (*reference, bool) {
	return func(before *reference) (*reference, bool) {
		r, there := before.records[key]
		if !there {
			return before, false
		}
		r.CareTeam = before.manual(key.ID)
		take(&r, p)
		return asEdits([]admin.Edit{put(r)})(before)
	}
}

// manual returns who has a manual place on the care team of a patient.
func (m *reference) manual(patient string) []string {
	var out []string
	for member, sources := range m.sources[patient] {
		if _, is := sources["manual"]; is {
			out = append(out, member)
		}
	}
	return sorted(out)
}

// asSet is what the replacement of a set asks for (A2): afterwards it has ids and nobody
// else. On care teams it has manual places only, and who is there by a booking stays so.
func asSet(relation admin.Relation, to string, ids []string) func(*reference) (*reference, bool) {
	return func(before *reference) (*reference, bool) {
		fromKind, toKind := relation.Ends()
		if !before.has(toKind, to) || !before.has(fromKind, ids...) {
			return before, false
		}
		after := before.clone()
		for key, r := range before.records {
			if key.Kind != fromKind {
				continue
			}
			in := slices.Contains(ids, key.ID)
			switch relation {
			case admin.RoleOf:
				if in {
					r.Role = to
				} else if r.Role == to {
					r.Role = ""
				}
			case admin.MemberOfGroup:
				r.Groups = linked(r.Groups, to, in)
			case admin.Access:
				r.Access = linked(r.Access, to, in)
			case admin.Booking:
				if in && !r.IsProvider {
					return before, false
				}
				r.Booking = linked(r.Booking, to, in)
			default:
				if _, listed := before.sources[key.ID][to]; !in || !listed {
					after.source(key.ID, to, "manual", in)
				}
			}
			after.records[key] = r
		}
		return after, true
	}
}

// sightPermissions are permissions that decide who sees whom.
func sightPermissions(r *rand.Rand) []string {
	return [][]string{{}, {"patient:view"}, {"patient:view"}, {"patient:view", "user:*"}, {"patient:view", "patient:view_all"}, {"patient:view_all"}, {"*:*"}}[r.IntN(7)]
}

func ledgerEdit(r *rand.Rand) admin.Edit {
	e := randomEdit(r)
	if e.Record != nil && e.Op == admin.Put && (e.Record.Kind == authz.KindRole || e.Record.Kind == authz.KindGroup) {
		e.Record.Permissions = sightPermissions(r)
	}
	if e.Fields["permissions"] != nil {
		e.Fields["permissions"] = sightPermissions(r)
	}
	return e
}

// someSet makes a relation, what its other end is, and the ids that are to be all of it.
func someSet(r *rand.Rand) (relation admin.Relation, to string, ids []string) {
	relation = []admin.Relation{admin.RoleOf, admin.MemberOfGroup, admin.Access, admin.Booking, admin.CareTeam, admin.CareTeam}[r.IntN(6)]
	from, kind := relation.Ends()
	to = pickID(r, kind)
	prefix := "m"
	if from == authz.KindPatient {
		prefix = "p"
	}
	switch r.IntN(3) {
	case 0:
	case 1:
		ids = []string{pick(r, prefix, 6)}
	default:
		ids = pickSome(r, prefix, 6)
	}
	if len(ids) == 0 {
		ids = []string{}
	}
	return relation, to, ids
}

// somePatch makes a patch as people make them.
func somePatch(r *rand.Rand) (authz.Key, admin.Fields) {
	fields := admin.Fields{}
	list := func(name, prefix string, n int) {
		if r.IntN(2) > 0 {
			fields[name] = append([]string{}, pickSome(r, prefix, n)...)
		}
	}
	switch r.IntN(4) {
	case 0:
		key := patient(pick(r, "p", 6))
		fields = randomFields(r, key.Kind)
		list("care_team", "m", 6)
		return key, fields
	case 1:
		return group(pick(r, "g", 3)), admin.Fields{"permissions": sightPermissions(r)}
	case 2:
		return member(pick(r, "m", 6)), admin.Fields{"role": []string{"", pick(r, "r", 3)}[r.IntN(2)]}
	default:
		list("groups", "g", 3)
		list("access", "pg", 4)
		list("booking", "pg", 4)
		return member(pick(r, "m", 6)), fields
	}
}

// write makes one write at a desk, and asks the desk at once: the write has to be in the
// answer.
func (l *ledger) write(d *desk, r *rand.Rand) {
	l.gate.RLock()
	defer l.gate.RUnlock()
	ctx, cancel := context.WithTimeout(l.t.Context(), 2*time.Second)
	defer cancel()
	var id string
	var a *attempted
	options := func(what string, asked func(*reference) (*reference, bool)) admin.Options {
		id, a = l.begin(&attempted{what: what, asked: asked})
		return admin.Options{Request: id}
	}
	kind := "edits"
	switch n := r.IntN(20); {
	case n < 3:
		kind = "patch"
		key, p := somePatch(r)
		a2 := options(fmt.Sprintf("patch of %s %s to %+v", key.Kind, key.ID, p), asPatch(key, p))
		a.done, a.err = d.admin.Change(ctx, exactOrganisation, boss(), key, p, a2)
	case n < 9:
		relation, to, ids := someSet(r)
		kind = "replace " + string(relation)
		o := options(fmt.Sprintf("%s of %s with %v", kind, to, ids), asSet(relation, to, ids))
		a.done, a.err = d.admin.Replace(ctx, exactOrganisation, boss(), relation, to, ids, "", o)
	case n == 9:
		kind = "import"
		l.imports(ctx, r, options, &a)
	default:
		var edits []admin.Edit
		for range 1 + r.IntN(3)*r.IntN(2) {
			edits = append(edits, ledgerEdit(r))
		}
		if r.IntN(4) == 0 {
			l.preview(ctx, d, edits)
		}
		o := options(describe(admin.Change{Edits: edits}), asEdits(edits))
		if r.IntN(6) == 0 {
			key := edits[0].Key
			if edits[0].Record != nil {
				key = edits[0].Record.Key()
			}
			if stored, _, err := d.admin.Get(ctx, exactOrganisation, boss(), key); err == nil {
				a.expects = &admin.Expectation{Key: key, Since: stored.Since}
				o.IfMatch = []admin.Expectation{*a.expects}
			}
		}
		a.done, a.err = d.admin.Apply(ctx, exactOrganisation, boss(), edits, o)
	}
	l.mu.Lock()
	a.ended = true
	if a.err == nil {
		l.kinds[kind]++
	}
	l.mu.Unlock()
	if a.err != nil {
		time.Sleep(time.Millisecond)
		return
	}
	l.stated(a.what, a.since, a.done.Revision, true, nil)
	if _, stated, err := d.service.Decide(ctx, exactOrganisation, views(), authz.Freshness{}); err == nil && kind != "import" && stated.Revision.Count < a.done.Revision.Count {
		l.report("a sidecar answered from revision %s after it had acknowledged %s: %s", stated.Revision, a.done.Revision, a.what)
	}
}

// imports imports some records by themselves, as the command does.
func (l *ledger) imports(ctx context.Context, r *rand.Rand, options func(string, func(*reference) (*reference, bool)) admin.Options, a **attempted) {
	var edits []admin.Edit
	var text []byte
	for range 1 + r.IntN(3) {
		record := randomRecord(r)
		edits = append(edits, put(record))
		text, _ = transfer.AppendLine(text, &record)
	}
	o := options("import of "+describe(admin.Change{Edits: edits}), asEdits(edits))
	done, err := l.direct.Import(ctx, exactOrganisation, strings.NewReader(string(text)), ImportOptions{Author: admin.Author{Request: o.Request}})
	(*a).imported, (*a).done.Revision, (*a).err = true, done.Revision, err
}

// preview notes what a preview says that edits would do.
func (l *ledger) preview(ctx context.Context, d *desk, edits []admin.Edit) {
	since := l.now()
	change := admin.Change{Edits: edits}
	if p, err := d.cache.Preview(ctx, exactOrganisation, change); err == nil {
		l.stated("a preview", since, p.Revision, true, &sight{"the preview of " + describe(change), func(m *reference) string {
			after, _ := asEdits(edits)(m)
			told := map[authz.Key]map[string]any{}
			for _, altered := range p.Altered {
				told[keyOf(altered)] = viewOf(altered.After)
			}
			was, is := m.view(), after.view()
			for key := range changedKeys(was, is) {
				if !reflect.DeepEqual(told[key], is[key]) {
					return fmt.Sprintf("says %v of %v, and it would be %v", told[key], key, is[key])
				}
				delete(told, key)
			}
			if len(told) > 0 {
				return fmt.Sprintf("says %v, which would not change", told)
			}
			return ""
		}})
	}
	since = l.now()
	if p, stated, err := d.reviews.Preview(ctx, exactOrganisation, edits, review.Viewer{Operator: true}, authz.Freshness{}); err == nil {
		l.stated("a preview of sight", since, stated.Revision, true, &sight{"who sees whom after " + describe(change), func(m *reference) string {
			next, _ := asEdits(edits)(m)
			was, is := m.seen(), next.seen()
			gained, lost := 0, 0
			for pair := range is {
				if !was[pair] {
					gained++
				}
			}
			for pair := range was {
				if !is[pair] {
					lost++
				}
			}
			if p.Gained.Patients != gained || p.Lost.Patients != lost || p.Changes != (len(changedKeys(m.view(), next.view())) > 0) {
				return fmt.Sprintf("says %d more and %d fewer, changes %t; they are %d and %d", p.Gained.Patients, p.Lost.Patients, p.Changes, gained, lost)
			}
			return ""
		}})
	}
}

func keyOf(a admin.Altered) authz.Key {
	if a.After != nil {
		return a.After.Key()
	}
	return a.Before.Key()
}

// look notes what is read at a desk: a record, a set, and with full a decision.
func (l *ledger) look(d *desk, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(l.t.Context(), time.Second)
	defer cancel()
	since := l.now()
	switch r.IntN(3) {
	case 0:
		key := authz.Key{Kind: model.Kinds()[r.IntN(6)]}
		key.ID = pickID(r, key.Kind)
		stored, revision, err := d.admin.Get(ctx, exactOrganisation, boss(), key)
		if err == nil {
			l.stated("a record", since, revision, true, &sight{fmt.Sprint("the record of ", key), func(m *reference) string {
				if want := m.view()[key]; !reflect.DeepEqual(viewOf(stored), want) {
					return fmt.Sprintf("is %v, not %v", viewOf(stored), want)
				}
				return ""
			}})
		}
	case 1:
		relation, to, _ := someSet(r)
		page, err := d.admin.Related(ctx, exactOrganisation, boss(), relation, to, "", 100)
		if err == nil {
			l.stated("a set", since, page.Revision, true, &sight{fmt.Sprintf("the set of %s with %s", relation, to), func(m *reference) string {
				if want := m.related(relation, to); !slices.Equal(page.IDs, want) {
					return fmt.Sprintf("is %v, not %v", page.IDs, want)
				}
				return ""
			}})
		}
	default:
		who, whom := pick(r, "m", 6), pick(r, "p", 6)
		question := &authz.Request{
			Subject: authz.Entity{Type: "team_member", ID: who}, Action: authz.Action{Name: "view"},
			Resource: authz.Entity{Type: "patient", ID: whom},
		}
		full := r.IntN(2) == 0
		decision, stated, err := d.service.Decide(ctx, exactOrganisation, question, authz.Freshness{Full: full})
		if err == nil {
			l.stated("a decision with full", since, stated.Revision, full, &sight{inWords(question), func(m *reference) string {
				if want := m.seen()[[2]string{who, whom}]; want != decision.Allow {
					return fmt.Sprintf("is answered %t, the rules say %t", decision.Allow, want)
				}
				return ""
			}})
		}
	}
}

// related returns the ids at the other end of a relation, in order.
func (m *reference) related(relation admin.Relation, to string) []string {
	var out []string
	for key, r := range m.records {
		in := false
		switch {
		case relation == admin.CareTeam && key.Kind == authz.KindPatient:
			_, in = m.sources[key.ID][to]
		case key.Kind != authz.KindTeamMember:
		case relation == admin.RoleOf:
			in = r.Role == to
		case relation == admin.MemberOfGroup:
			in = slices.Contains(r.Groups, to)
		case relation == admin.Access:
			in = slices.Contains(r.Access, to)
		case relation == admin.Booking:
			in = slices.Contains(r.Booking, to)
		}
		if in {
			out = append(out, key.ID)
		}
	}
	slices.Sort(out)
	return out
}

// seen returns who may view whom (V1-V3, V7, P7): pairs of a member and a patient.
func (m *reference) seen() map[[2]string]bool {
	out := map[[2]string]bool{}
	for who, r := range m.records {
		if who.Kind != authz.KindTeamMember || r.IsSuspended {
			continue
		}
		var all []string
		for _, key := range append([]authz.Key{role(r.Role)}, keysOf(authz.KindGroup, r.Groups)...) {
			all = append(all, m.records[key].Permissions...)
		}
		if !slices.Contains(all, "patient:view") && !slices.Contains(all, "*:*") {
			continue
		}
		everybody := slices.Contains(all, "patient:view_all") || slices.Contains(all, "*:*")
		for whom, p := range m.records {
			if whom.Kind != authz.KindPatient {
				continue
			}
			_, cares := m.sources[whom.ID][who.ID]
			if everybody || cares || slices.Contains(r.Access, p.PatientGroup) {
				out[[2]string{who.ID, whom.ID}] = true
			}
		}
	}
	return out
}
