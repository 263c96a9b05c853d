package directory

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/model"
)

// Facts get the schema of the flag with the first suspended member, by whatever change, and keep it.
func TestP7TheFirstSuspendedMemberRaisesTheSchema(t *testing.T) {
	suspend := func(is bool) []admin.Edit { return []admin.Edit{set(member("mark"), admin.Fields{"suspended": is})} }
	overStores(t, func(t *testing.T, s *store) {
		schema := func() string { return s.raw.HGet(t.Context(), script.HeadKey(s.org), "schema").Val() }
		for name, first := range map[string]func(){
			"set": func() { s.commit(t, suspend(true)...) },
			"put": func() { s.commit(t, put(admin.Record{Kind: authz.KindTeamMember, ID: "new", IsSuspended: true})) },
			"import": func() {
				s.load(t, `{"kind":"team_member","id":"new","suspended":true}`)
			},
			"among others": func() {
				s.commit(t, remove(booking("none")), suspend(true)[0], put(admin.Record{Kind: authz.KindTeamMember, ID: "new"}))
			},
		} {
			t.Run(name, func(t *testing.T) {
				s.raw.FlushAll(t.Context())
				s.load(t, clinic()...)
				s.commit(t, append(suspend(true), suspend(false)...)...) // one change, which makes nobody suspended
				s.commit(t, put(admin.Record{Kind: authz.KindTeamMember, ID: "other", IsProvider: true}))
				facts, err := s.Read(t.Context(), s.org, []authz.Key{member("mark")}, authz.Freshness{Full: true})
				if err != nil || facts.Get(member("mark")).Suspended || schema() != "2" {
					t.Fatalf("schema %s before: %v", schema(), err)
				}
				if done, err := s.Commit(t.Context(), s.org, admin.Change{Edits: suspend(false)}); err != nil || done.Changed {
					t.Errorf("who is not suspended is resumed: %+v, %v", done, err)
				}
				if first(); schema() != "3" {
					t.Errorf("schema %s after the first", schema())
				}
				roundTrip(t, s)
				s.clean(t)
				s.commit(t, suspend(true)[0], put(admin.Record{Kind: authz.KindTeamMember, ID: "new"}))
				s.commit(t, suspend(false)[0])
				if schema() != "3" {
					t.Errorf("schema %s when nobody is suspended any more", schema())
				}
				roundTrip(t, s)
				s.clean(t)
			})
		}
	})
}

// A suspension is told of, read and exported, and leaves everything else as it is.
func TestP7ASuspensionKeepsEveryAssignment(t *testing.T) {
	overStores(t, func(t *testing.T, s *store) {
		s.load(t, clinic()...)
		mark := func() *admin.Stored {
			records, _, err := s.Records(t.Context(), s.org, []authz.Key{member("mark")})
			if err != nil {
				t.Fatal(err)
			}
			records[0].Since = authz.Revision{}
			return records[0]
		}
		before, all := mark(), s.entities(t)
		for _, is := range []bool{true, false} {
			at := s.commit(t, set(member("mark"), admin.Fields{"suspended": is}))
			page, err := s.History(t.Context(), s.org, admin.After(authz.Revision{Count: at.Count - 1}), 0)
			if err != nil || len(page.Events) != 1 || len(page.Events[0].Entities) != 1 {
				t.Fatalf("%+v, %v", page, err)
			}
			e := page.Events[0].Entities[0]
			if !reflect.DeepEqual(e.Before, map[string]any{"suspended": !is}) || !reflect.DeepEqual(e.After, map[string]any{"suspended": is}) {
				t.Errorf("the history says %v, then %v", e.Before, e.After)
			}
			want := *before
			if want.IsSuspended = is; !reflect.DeepEqual(mark(), &want) {
				t.Errorf("the record is %+v", mark())
			}
			if out := s.export(t); strings.Contains(out, `"suspended":true`) != is {
				t.Errorf("exported %s", out)
			}
			facts, err := s.Read(t.Context(), s.org, []authz.Key{member("mark")}, authz.Freshness{Full: true})
			if err != nil || facts.Get(member("mark")).Suspended != is {
				t.Errorf("read: %v", err)
			}
		}
		if now := s.entities(t); !reflect.DeepEqual(now, all) {
			t.Errorf("afterwards there is\n%v, before\n%v", now, all)
		}
		s.clean(t)
	})
}

// A4: an active holder is found behind pages of suspended ones, wherever they are.
func TestA4TheLastActiveHolderBehindManySuspendedOnes(t *testing.T) {
	lines := []string{`{"kind":"role","id":"admin","permissions":["*:*"]}`, `{"kind":"group","id":"hr","permissions":["*:*"]}`}
	for i := range 250 {
		lines = append(lines, fmt.Sprintf(`{"kind":"team_member","id":"l-%03d","groups":["hr"],"suspended":true}`, i))
	}
	active, a := `{"kind":"team_member","id":"z","groups":["hr"]}`, `{"kind":"team_member","id":"a","role":"admin"}`
	losing := map[string][]admin.Edit{
		"suspended": {set(member("a"), admin.Fields{"suspended": true})},
		"deleted":   {remove(member("a"))},
		"narrowed":  {set(role("admin"), admin.Fields{"permissions": []string{"user:view"}})},
		"put":       {put(admin.Record{Kind: authz.KindTeamMember, ID: "a", Role: "admin", IsSuspended: true})},
	}
	overStores(t, func(t *testing.T, s *store) {
		for name, edits := range losing {
			t.Run(name, func(t *testing.T) {
				s.raw.FlushAll(t.Context())
				s.load(t, append(lines, a)...)
				s.refuses(t, admin.Change{Edits: edits}, authz.Conflict, "", "*:*")
				s.commit(t, set(group("hr"), admin.Fields{"permissions": []string{"user:view"}})) // which no holder loses
				s.commit(t, set(group("hr"), admin.Fields{"permissions": []string{"*:*"}}), set(member("l-120"), admin.Fields{"suspended": false}))
				s.commit(t, edits...)
				s.refuses(t, admin.Change{Edits: []admin.Edit{set(member("l-120"), admin.Fields{"suspended": true})}}, authz.Conflict, "", "*:*")
				s.raw.FlushAll(t.Context())
				s.load(t, append(lines, a, active)...)
				s.commit(t, edits...)
				s.refuses(t, admin.Change{Edits: []admin.Edit{unlink(admin.MemberOfGroup, "z", "hr")}}, authz.Conflict, "", "*:*")
				s.refuses(t, admin.Change{Edits: []admin.Edit{set(group("hr"), admin.Fields{"permissions": []string{}})}}, authz.Conflict, "", "*:*")
			})
		}
	})
}

// The flag is the only field that a hash may lack, and the schema is made from the table.
func TestSchemaOfTheTable(t *testing.T) {
	newest := script.FirstSchema
	for _, kind := range model.Kinds() {
		for _, f := range model.Fields(kind) {
			if newest = max(newest, f.Since); f.Since > 0 && (f.Type != model.Flag || f.Since <= script.FirstSchema) {
				t.Errorf("%s.%s came with schema %d", kind, f.Name, f.Since)
			}
		}
	}
	for text, want := range map[string]bool{"1": false, "2": true, "3": true, "4": false, "02": false, "": false, "+3": false} {
		if script.KnowsSchema(text) != want {
			t.Errorf("schema %q is known: %t", text, !want)
		}
	}
	if script.Schema != newest || script.Schemas != " 2 3 " {
		t.Errorf("schemas %q up to %d", script.Schemas, script.Schema)
	}
}
