package directory

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/directory/transfer"
	"github.com/caregate/caregate/internal/search"
)

// large is an organisation in which every question of the directory can be asked at
// its largest: many of everything, long lists and long ids.
type large struct {
	keys []authz.Key // what a large batch is about
}

const (
	largeGroups   = 3000   // that one member is in
	largeWards    = 10_000 // patient groups
	largeMembers  = 1000   // with long lists
	largePatients = 10_000 // of one patient group, with long ids and care teams
)

// longID returns an id of the greatest length.
func longID(what string, i int) string {
	id := fmt.Sprintf("%s-%05d-", what, i)
	return id + strings.Repeat("x", admin.MaxID-len(id))
}

func ids(n int, name func(int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = name(i)
	}
	return out
}

func wardName(i int) string  { return "ward-" + strconv.Itoa(i) }
func groupName(i int) string { return "group-" + strconv.Itoa(i) }

func loadLarge(t testing.TB, s *store) *large {
	t.Helper()
	var text bytes.Buffer
	add := func(r admin.Record) {
		line, err := transfer.AppendLine(nil, &r)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(line)
	}
	permissions := ids(30, func(i int) string { return "thing-" + strconv.Itoa(i) + ":view" })
	add(admin.Record{Kind: authz.KindRole, ID: "role", Permissions: permissions})
	for i := range largeGroups {
		add(admin.Record{Kind: authz.KindGroup, ID: groupName(i), Permissions: permissions})
	}
	for i := range largeWards {
		add(admin.Record{Kind: authz.KindPatientGroup, ID: wardName(i)})
	}
	add(admin.Record{Kind: authz.KindTeamMember, ID: "wide", Role: "role", Groups: ids(largeGroups, groupName), Access: ids(5000, wardName)})
	l := &large{}
	for i := range largeMembers {
		id := fmt.Sprintf("member-%04d", i)
		add(admin.Record{
			Kind: authz.KindTeamMember, ID: id, Role: "role", IsProvider: true,
			Groups: ids(10, func(j int) string { return groupName((10*i + j) % largeGroups) }),
			Access: ids(100, wardName), Booking: ids(20, wardName),
		})
		l.keys = append(l.keys, member(id))
	}
	for i := range largePatients {
		id := longID("patient", i)
		add(admin.Record{
			Kind: authz.KindPatient, ID: id, PatientGroup: wardName(0),
			CareTeam: ids(10, func(j int) string { return fmt.Sprintf("member-%04d", (7*i+j)%largeMembers) }),
		})
		if i < 2000 {
			l.keys = append(l.keys, patient(id))
		}
	}
	add(admin.Record{Kind: authz.KindPatientGroup, ID: "closing"})
	for i := range 998 {
		add(admin.Record{Kind: authz.KindPatient, ID: longID("leaving", i), PatientGroup: "closing", CareTeam: ids(10, func(j int) string { return fmt.Sprintf("member-%04d", (i+j)%largeMembers) })})
	}
	for i := range largeWards {
		add(admin.Record{Kind: authz.KindPatient, ID: fmt.Sprintf("p-%05d", i), PatientGroup: wardName(i % largeWards), CareTeam: []string{"wide"}})
	}
	for i := range 5000 {
		add(admin.Record{
			Kind: authz.KindBooking, ID: longID("booking", i), Patient: longID("patient", i), Provider: "member-0000", State: admin.Booked,
		})
	}
	if _, err := s.Import(t.Context(), s.org, &text, ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	return l
}

// question is one that is asked at its largest.
type question struct {
	name string
	ask  func() error
}

func (l *large) cases(t testing.TB, s *store) []question {
	ctx, org := t.Context(), s.org
	none := authz.Freshness{}
	relations := func(n int, relation admin.Relation, name func(int) string) []search.Index {
		out := make([]search.Index, n)
		for i := range out {
			out[i] = search.Index{Relation: relation, To: name(i)}
		}
		return out
	}
	read := func(keys ...authz.Key) func() error {
		return func() error { _, err := s.Read(ctx, org, keys, none); return err }
	}
	list := func(kind authz.Kind) func() error {
		return func() error { _, err := s.List(ctx, org, kind, "", 0); return err }
	}
	find := func(r search.Range) func() error {
		return func() error { _, err := s.Range(ctx, org, r, none); return err }
	}
	related := func(relation admin.Relation, to string) func() error {
		return func() error { _, err := s.Related(ctx, org, relation, to, "", 0); return err }
	}
	sizes := func(n int) func() error {
		return func() error {
			_, _, err := s.Sizes(ctx, org, authz.KindPatient, relations(n, admin.PatientGroupOf, wardName))
			return err
		}
	}
	history := func(limit int) func() error {
		return func() error {
			for after := (admin.Place{}); ; {
				h, err := s.History(ctx, org, after, limit)
				if err != nil || len(h.Events) == 0 {
					return err
				}
				after = admin.Place{Revision: h.Events[len(h.Events)-1].Revision}
			}
		}
	}
	turn := 0
	edits := func() []admin.Edit {
		turn++
		out := make([]admin.Edit, admin.MaxEdits)
		for i := range out {
			out[i] = put(admin.Record{
				Kind: authz.KindPatient, ID: longID("patient", i), PatientGroup: wardName(turn % 2),
				CareTeam: ids(10, func(j int) string { return fmt.Sprintf("member-%04d", (i+10*turn+j)%largeMembers) }),
			})
		}
		return out
	}
	cascade := []admin.Edit{{Op: admin.Delete, Key: authz.Key{Kind: authz.KindPatientGroup, ID: "closing"}, Cascade: true}}
	return []question{
		{"read/3000_keys", read(l.keys...)},
		{"read/1000_members", read(l.keys[:largeMembers]...)},
		{"read/one_of_3000_groups", read(member("wide"))},
		{"records/1000_members", func() error { _, _, err := s.Records(ctx, org, l.keys[:largeMembers]); return err }},
		{"records/3000", func() error { _, _, err := s.Records(ctx, org, l.keys); return err }},
		{"list/members", list(authz.KindTeamMember)},
		{"list/patients", list(authz.KindPatient)},
		{"list/groups", list(authz.KindGroup)},
		{"list/bookings", list(authz.KindBooking)},
		{"related/patients", related(admin.PatientGroupOf, wardName(0))},
		{"related/bookings", related(admin.BookingsWith, "member-0000")},
		{"range/all", find(search.Range{Kind: authz.KindPatient, Indexes: make([]search.Index, 1)})},
		{"range/all_facts", find(search.Range{Kind: authz.KindPatient, Indexes: make([]search.Index, 1), Facts: true})},
		{"range/members_facts", find(search.Range{Kind: authz.KindTeamMember, Indexes: make([]search.Index, 1), Facts: true})},
		{"range/250", find(search.Range{Kind: authz.KindPatient, Indexes: relations(250, admin.PatientGroupOf, wardName)})},
		{"range/250_facts", find(search.Range{Kind: authz.KindPatient, Indexes: relations(250, admin.PatientGroupOf, wardName), Facts: true})},
		{"range/250_alike", find(search.Range{Kind: authz.KindTeamMember, Indexes: relations(100, admin.Access, wardName)})},
		{"range/10000", find(search.Range{Kind: authz.KindPatient, Indexes: relations(largeWards, admin.PatientGroupOf, wardName)})},
		{"range/10000_facts", find(search.Range{Kind: authz.KindPatient, Indexes: relations(largeWards, admin.PatientGroupOf, wardName), Facts: true})},
		{"range/wide_facts", find(search.Range{Kind: authz.KindTeamMember, Indexes: relations(250, admin.MemberOfGroup, groupName), Facts: true})},
		{"sizes/10000", sizes(largeWards)},
		{"history/all", history(0)},
		{"export", func() error { _, err := s.Export(ctx, org, io.Discard); return err }},
		{"audit", func() error { _, err := s.Audit(ctx, org, audit.Config{}); return err }},
		{"preview/1000", func() error { _, err := s.Preview(ctx, org, admin.Change{Edits: edits()}); return err }},
		{"commit/1000", func() error { _, err := s.Commit(ctx, org, admin.Change{Edits: edits()}); return err }},
		{"preview/cascade", func() error { _, err := s.Preview(ctx, org, admin.Change{Edits: slices.Clone(cascade)}); return err }},
	}
}
