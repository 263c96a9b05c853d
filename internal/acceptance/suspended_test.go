package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// theMember is Mark, who is a provider, on care teams and in groups.
const theMember = "/team-members/mark"

func suspending(yes bool) object { return object{"suspended": yes} }

// suspends sets whether somebody is suspended, as an administrator who may do everything.
func (d directory) suspends(t *testing.T, id string, yes bool) {
	t.Helper()
	d.wrote(t, d.as("amara").patch(t, at("team-members", id), suspending(yes)), http.StatusOK)
}

// everyDecision asks everything that somebody of the example can ask of one resource of each type.
func everyDecision(ids []string) (all []question) {
	for _, id := range ids {
		for _, name := range []string{"patient", "provider", "appointment", "clinical_note", "report", "calendar", "schedule", "stock", "settings", "user"} {
			for does := range theCatalogue[name].actions {
				to := entity{Type: name, ID: "p-1"}
				switch name {
				case "provider":
					to = provider("mark").of("p-1")
				case "appointment", "clinical_note":
					to = to.of("p-1")
				case "report":
					to = to.on("diabetes")
				}
				all = append(all, ask(id, does, to))
			}
		}
	}
	slices.SortFunc(all, func(a, b question) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// account is all answers that have to do with Mark, by question.
func (a asker) account(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	questions := everyDecision([]string{"mark", "ruth", "amara"})
	for _, p := range []string{"p-1", "p-2", "p-4", "p-10"} {
		questions = append(questions, ask(patient(p), "view", provider("mark")), ask(patient(p), "book", provider("mark")), ask("mark", "view", patient(p)))
	}
	for i, got := range a.batch(t, questions) {
		out[questions[i].String()] = got.String()
	}
	for path, body := range everyQuestion("mark", "p-1") {
		if path != "/v1/filters" { // not every server here has a mapping
			out[path] = string(a.ask(t, path, body).body)
		}
	}
	for name, body := range map[string]object{"member": {"team_member": "mark"}, "patient": {"patient": "p-1"}} {
		out["review of a "+name] = string(a.ask(t, "/v1/reviews", body).body)
	}
	out["permissions"] = string(get(t, a.url("/v1/permissions/mark"), a.included()...).body)
	out["providers"] = fmt.Sprint(a.walk(t, searchResource, object{"subject": patient("p-1"), "action": object{"name": "book"}, "resource": object{"type": "provider"}}, 5))
	return out
}

// TestASuspendedMember is P7: nothing is allowed, nobody is seen, nobody books, every assignment stays, and with the end
// of the suspension every answer is what it was.
func TestASuspendedMember(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		a := asker{d.organisation, "amara"}
		d.wrote(t, d.post(t, "/bookings", visitOf("b-90", "p-2", "mark")), http.StatusCreated)
		before, record, all := a.account(t), d.record(t, theMember), d.plain(t)
		bookable := []string{"permission_granted", "patient_visible", "provider_bookable"}
		d.allow(t, "ruth", "book", provider("mark").of("p-1")).because(bookable...)
		d.one(t, "a suspension", func() { d.suspends(t, "mark", true) })

		check(t, sameFields(d.record(t, theMember), merged(record, suspending(true))), "more is changed: %v", d.record(t, theMember))
		for _, q := range append(everyDecision([]string{"mark"}), ask("mark", "frob", patient("p-1")), ask("mark", "view", thing("frob")),
			ask("mark", "view", patient("p-404")), ask("mark", "view", appointment("a"))) {
			if got := d.deny(t, q.Subject, q.Action.Name, q.Resource, "subject_suspended").reasons(); got.Permission != "" || got.Routes != nil || got.GrantedBy != nil || got.References != nil {
				t.Errorf("%v: more is said: %+v", q, got)
			}
		}
		for p, codes := range map[string][]string{"p-1": {"provider_suspended"}, "p-10": {"provider_suspended", "provider_not_bookable"}} {
			d.deny(t, patient(p), "view", provider("mark"), codes...)
			d.deny(t, patient(p), "book", provider("mark"), codes...)
			d.deny(t, "ruth", "book", provider("mark").of(p), codes...)
			d.deny(t, "ruth", "create", appointment("a").of(p).with("mark"), codes...)
		}
		d.allow(t, "ruth", "update", appointment("a").of("p-1").with("mark")) // the one that there is
		d.allow(t, "jordan", "view", patient("p-1"))

		for path, body := range map[string]object{
			"mark sees": {"subject": member("mark"), "action": object{"name": "view"}, "resource": object{"type": "patient"}},
			"mark may":  {"subject": member("mark"), "resource": patient("p-1")},
			"book mark": {"subject": object{"type": "patient"}, "action": object{"name": "book"}, "resource": provider("mark")},
			"p-1 books": {"subject": patient("p-1"), "action": object{"name": "book"}, "resource": object{"type": "provider"}},
		} {
			at := map[bool]string{true: searchResource, false: searchSubject}[body["subject"] != nil && path != "book mark"]
			if body["action"] == nil {
				at = searchAction
			}
			sameIDs(t, a.walk(t, at, body, 100), nil, "%s", path)
		}
		sameIDs(t, a.walk(t, searchSubject, everyQuestion("", "p-1")[searchSubject], 100), []string{"amara", "elena", "jordan", "ruth"}, "who sees p-1")
		check(t, len(decode[struct{ Permissions object }](t, get(t, d.url("/v1/permissions/mark"), d.included()...)).Permissions) == 0, "permissions are left")
		r := decode[review](t, a.ask(t, "/v1/reviews", object{"team_member": "mark"}))
		check(t, r.Permitted != nil && !*r.Permitted && r.Patients == 0, "the review of the member says %+v", r)
		for _, m := range decode[patientReview](t, a.ask(t, "/v1/reviews", object{"patient": "p-1"})).Members {
			check(t, m.TeamMember != "mark", "the review of a patient has %+v", m)
		}

		// The actor is denied as well; the bookings are others' to cancel, and keep their place on the care team.
		d.unchanged(t, "refused", func() {
			for what, do := range map[string]func(*testing.T, directory) reply{"reads": func(t *testing.T, by directory) reply { return by.get(t, "/patients/p-1") },
				"writes": put("/patients/p-1/care-team/noor", nil), "ends it": patch(theMember, suspending(false)), "cancels": submit("/bookings/b-1/cancel", object{})} {
				answeredOneOf(t, do(t, d.as("mark")), hidden, "mark %s", what)
			}
			for _, who := range []string{"patient:p-1", "ruth", "amara"} {
				answeredOneOf(t, d.as(who).post(t, "/bookings", visitOf("b-91", "p-1", "mark")), hidden, "%s books", who)
			}
		})
		d.wrote(t, d.as("patient:p-1").post(t, "/bookings/b-1/cancel", object{}), http.StatusOK)
		d.wrote(t, d.as("ruth").post(t, "/bookings/b-90/cancel", object{}), http.StatusOK)
		d.becauseOf(t, "p-1", "mark", "manual", "booking:b-1")
		d.agree(t)

		d.suspends(t, "mark", false)
		for what, now := range a.account(t) {
			check(t, now == before[what], "%s is not restored: %s, and was %s", what, now, before[what])
		}
		changed := d.plain(t)
		for i, r := range all {
			if r.kind != "booking" {
				check(t, sameFields(changed[i].fields, r.fields), "%v is now %v", r.fields, changed[i].fields)
			}
		}
		d.wrote(t, d.as("patient:p-1").post(t, "/bookings", visitOf("b-91", "p-1", "mark")), http.StatusCreated)
	})
}

// TestSuspensionsAreExplained is why, what would change it, and what the change opens: of the subject and of the provider.
func TestSuspensionsAreExplained(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		a := asker{d.organisation, "amara"}
		edit := object{"set": object{"kind": "team_member", "id": "mark", "suspended": false}}
		missing := `{"suspension_ended":{"member":"mark"}}`
		for reason, c := range map[string]struct {
			q           question
			requirement string
		}{
			"subject_suspended":  {ask("mark", "view", patient("p-1")), "subject_active"},
			"provider_suspended": {ask(patient("p-1"), "book", provider("mark")), "provider_active"},
		} {
			d.suspends(t, "mark", true)
			e := decode[explanation](t, a.ask(t, "/v1/explanations", c.q))
			sameList(t, e.Context.Reasons, []string{reason}, "reasons")
			unmet := map[string]string{}
			for _, r := range e.Context.Requirements {
				if r.Met == nil || !*r.Met {
					unmet[r.Requirement] = string(r.Missing)
				}
			}
			check(t, reflect.DeepEqual(unmet, map[string]string{c.requirement: missing}), "%s: unmet %v", reason, unmet)
			require(t, len(e.Context.Remedies) == 1 && reflect.DeepEqual(e.Context.Remedies[0].Edit, edit), "%s: remedies %+v", reason, e.Context.Remedies)
			if n := e.Context.Remedies[0]; reason == "subject_suspended" && (n.Patients == nil || *n.Patients != 5 || n.Members == nil || *n.Members != 1) {
				t.Errorf("the remedy opens %+v, expected 5 patients to one member", n)
			}
			hasLength(t, decode[explanation](t, a.as("").ask(t, "/v1/explanations", c.q)).Context.Remedies, 0, "for an ordinary caller")
			d.wrote(t, d.post(t, "/edits", object{"edits": array{e.Context.Remedies[0].Edit}}), http.StatusOK)
			d.allow(t, c.q.Subject, c.q.Action.Name, c.q.Resource)
		}
		// A member who would be denied all the same has no such remedy.
		d.suspends(t, "noor", true)
		hasLength(t, decode[explanation](t, a.ask(t, "/v1/explanations", ask("noor", "view", patient("p-1")))).Context.Remedies, 0, "remedies of noor")

		seen := map[string]int{"patient_group_access": 3, "care_team": 3}
		for _, yes := range []bool{true, false} {
			body := object{"edits": array{object{"set": object{"kind": "team_member", "id": "mark", "suspended": yes}}}}
			var p preview
			d.unchanged(t, "a preview", func() { p = decode[preview](t, a.ask(t, "/v1/previews", body)) })
			require(t, p.TeamMembers == 1 && len(p.Members) == 1 && p.Members[0].TeamMember == "mark", "%+v", p)
			m, moved, calm := p.Members[0], p.Lost, p.Gained
			before, after := 5, 0
			if !yes {
				moved, calm, before, after = calm, moved, after, before
			}
			check(t, moved.Patients == 5 && calm.Patients == 0 && p.Still.Patients == 0 && reflect.DeepEqual(moved.counts(), seen) && m.Before == before && m.After == after,
				"suspended %v: %+v", yes, p)
			d.suspends(t, "mark", yes)
		}
	})
}

// TestWritingSuspensions is the field on every way in and out: what is taken and refused, and what is remembered of it.
func TestWritingSuspensions(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		record := d.record(t, theMember)
		delete(record, "suspended") // as if it had never been
		whole := func(yes any) object { return merged(record, object{"suspended": yes}) }
		set := func(verb string, fields object) func(*testing.T, directory) reply {
			return edit(object{verb: merged(fields, object{"kind": "team_member", "id": "mark"})})
		}
		for _, c := range []struct {
			what string
			do   func(*testing.T, directory) reply
			yes  bool
		}{
			{"PATCH", patch(theMember, suspending(true)), true}, {"a PUT without it", put(theMember, record), false},
			{"PUT", put(theMember, whole(true)), true}, {"a PUT with false", put(theMember, whole(false)), false},
			{"an edit that sets", set("set", suspending(true)), true}, {"an edit that puts", set("put", record), false},
			{"an edit that puts it", set("put", whole(true)), true}, {"PATCH of the end", patch(theMember, suspending(false)), false},
		} {
			start, _ := d.now(t)
			d.one(t, c.what, func() { d.wrote(t, c.do(t, d), http.StatusOK) })
			check(t, sameFields(d.record(t, theMember), merged(record, suspending(c.yes))), "%s: %v", c.what, d.record(t, theMember))
			d.unchanged(t, c.what+" again", func() { check(t, c.do(t, d).status == http.StatusOK, "%s again is refused", c.what) })
			got := d.changes(t, start, 10)
			require(t, len(got) == 1 && len(got[0].Entities) == 1, "%s: changes %+v", c.what, got)
			// false is written out on neither side or on both: a reader of the history sees what it was.
			e := got[0].Entities[0]
			check(t, e.ID == "mark" && e.Change == "updated" && e.Before["suspended"] == !c.yes && e.After["suspended"] == c.yes && len(e.Before) == 1 && len(e.After) == 1, "%s: %+v", c.what, e)
		}
		d.unchanged(t, "refusals", func() {
			for _, bad := range []any{"true", 1, array{}, object{}} {
				refusedFor(t, d.patch(t, theMember, object{"suspended": bad}), http.StatusBadRequest, "suspended", "PATCH of %v", bad)
				refusedFor(t, d.put(t, theMember, whole(bad)), http.StatusBadRequest, "suspended", "PUT of %v", bad)
			}
			for _, path := range []string{"/patients/p-1", "/roles/nurse", "/groups/clinicians", "/patient-groups/diabetes"} {
				refusedFor(t, d.patch(t, path, suspending(true)), http.StatusBadRequest, "suspended", "%s", path)
			}
			refused(t, d.patch(t, theMember, suspending(true), "If-Match", `"0.elsewhere"`), http.StatusPreconditionFailed)
		})
		tag := d.tag(t, theMember)
		d.wrote(t, d.patch(t, theMember, suspending(true), "If-Match", tag), http.StatusOK)
		refused(t, d.patch(t, theMember, suspending(false), "If-Match", tag), http.StatusPreconditionFailed)
		check(t, d.tag(t, theMember) != tag, "the ETag is still %s", tag)

		d.wrote(t, d.put(t, "/team-members/new", object{"name": "New", "suspended": true}), http.StatusCreated)
		d.deny(t, "new", "view", patient("p-1"), "subject_suspended")
	})
}

// TestWhoSuspends is A1 and A4: suspending takes user:update, its end whatever the member gets back, and somebody who may
// give back is always left.
func TestWhoSuspends(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		ines := d.as("ines") // user:* and settings:*
		d.unchanged(t, "refused", func() {
			for _, who := range []string{"mark", "elena", "tomas", "noor", "ruth", "nobody", "patient:p-1", ""} {
				answeredOneOf(t, d.as(who).patch(t, theMember, suspending(true)), hidden, "%q suspends", who)
			}
			for _, who := range []directory{ines, d} {
				p := refused(t, who.patch(t, "/team-members/amara", suspending(true)), http.StatusConflict)
				check(t, strings.Contains(p.Detail, "*:*"), "the last who holds everything: %v", p)
			}
		})
		ines.wrote(t, ines.patch(t, theMember, suspending(true)), http.StatusOK)
		record := d.record(t, theMember)
		delete(record, "suspended")
		d.unchanged(t, "what she lacks", func() {
			for what, do := range map[string]func(*testing.T, directory) reply{
				"ends it": patch(theMember, suspending(false)), "ends it by PUT": put(theMember, record), "leaves it out": put(theMember, object{"name": "M", "role": "practitioner"}),
				"ends it by an edit": edit(object{"set": object{"kind": "team_member", "id": "mark", "suspended": false}}),
				"gives and ends":     edit(object{"link": object{"relation": "group", "from": "mark", "to": "administrators"}}, object{"set": object{"kind": "team_member", "id": "mark", "suspended": false}}),
				"gives more":         put("/team-members/mark/groups/reporting", nil), "gives another role": patch(theMember, object{"role": "auditor"}),
				"a member to be": put("/team-members/x", object{"name": "X", "role": "nurse", "suspended": true}),
			} {
				answeredOneOf(t, do(t, ines), hidden, "ines %s", what)
			}
		})
		// Less may be taken. The suspension of somebody may end who has nothing that she lacks: noor is on a care team.
		ines.wrote(t, ines.patch(t, theMember, object{"role": "", "groups": array{}}), http.StatusOK)
		d.wrote(t, d.put(t, "/team-members/clerk", object{"name": "Clerk"}), http.StatusCreated)
		for id, status := range map[string]int{"noor": http.StatusForbidden, "clerk": http.StatusOK} {
			ines.wrote(t, ines.patch(t, at("team-members", id), suspending(true)), http.StatusOK)
			answered(t, ines.patch(t, at("team-members", id), suspending(false)), status, "ines ends the suspension of %s", id)
			d.suspends(t, id, false)
		}
		d.suspends(t, "mark", false)
	})
	overBothStores(t, func(t *testing.T, s store) {
		d := directory{newOrganisation(t, s, group("holders", "user:*"), group("changers", "user:view", "user:update"), teamMember("a").inGroups("holders"), teamMember("b").inGroups("holders"),
			teamMember("changer").inGroups("changers"), teamMember("c").inGroups("holders").onLeave(), teamMember("clerk")), ""}
		changer, a := d.as("changer"), d.as("a")
		changer.wrote(t, changer.patch(t, "/team-members/clerk", suspending(true)), http.StatusOK)
		changer.wrote(t, changer.patch(t, "/team-members/clerk", suspending(false)), http.StatusOK)
		refused(t, d.as("c").patch(t, "/team-members/clerk", suspending(true)), http.StatusForbidden)
		changer.wrote(t, changer.patch(t, "/team-members/b", suspending(true)), http.StatusOK)
		d.unchanged(t, "the last who is not suspended", func() { // b and c hold it, and are no help
			answeredOneOf(t, changer.patch(t, "/team-members/b", suspending(false)), hidden, "a holder comes back by less")
			for what, do := range map[string]func(*testing.T, directory) reply{
				"suspends herself": patch("/team-members/a", suspending(true)), "is replaced": put("/team-members/a", object{"name": "A", "groups": array{"holders"}, "suspended": true}),
				"leaves": remove("/groups/holders/members/a"), "goes": remove("/team-members/a?cascade=true"),
				"suspends herself by an edit": edit(object{"set": object{"kind": "team_member", "id": "a", "suspended": true}}),
			} {
				answered(t, do(t, a), http.StatusConflict, "a %s", what)
			}
		})
		a.one(t, "a handover", func() {
			a.wrote(t, a.post(t, "/edits", object{"edits": array{object{"set": object{"kind": "team_member", "id": "b", "suspended": false}}, object{"set": object{"kind": "team_member", "id": "a", "suspended": true}}}}), http.StatusOK)
		})
		refused(t, a.patch(t, "/team-members/clerk", suspending(true)), http.StatusForbidden)
		d.as("b").wrote(t, d.as("b").patch(t, "/team-members/a", suspending(false)), http.StatusOK)
		if _, inRedis := s.(redisStore); inRedis {
			ends(t, run(t, string(lines([]record{teamMember("a").inGroups("holders").onLeave(), teamMember("b").inGroups("holders").onLeave()})), "import", "--redis", workbench.redis.URL(), "--organisation", d.name), 1,
				"an import that suspends the last holders")
		}
	})
}

// TestASuspensionReachesTheOtherSidecar suspends through one sidecar and asks the other, from memory and at the revision.
func TestASuspensionReachesTheOtherSidecar(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	view, book := ask("mark", "view", patient("p-1")), ask(patient("p-1"), "book", provider("mark"))
	for range 10 {
		for _, q := range []question{view, book} {
			here.suspends(t, "mark", false)
			require(t, there.may(t, q, "Caregate-At-Least", here.revision), "%v: denied after the suspension", q)
			eventually(t, "it is allowed from memory", func() bool { return there.may(t, q) })
			here.suspends(t, "mark", true)
			there.denies(t, q)
			check(t, !there.may(t, q, "Caregate-At-Least", here.revision) && !here.may(t, q), "%v: allowed", q)
		}
	}
}

// TestSuspensionsInFilters executes filters of a suspended member and of the providers that a patient can book.
func TestSuspensionsInFilters(t *testing.T) {
	t.Parallel()
	w := &world{roles: map[string][]string{"r": {"patient:view"}}, patientGroups: []string{"g"}, patients: map[string]person{"p-1": {group: "g"}},
		members: map[string]staff{"here": {role: "r", access: []string{"g"}, provider: true, booking: []string{"g"}}, "away": {role: "r", access: []string{"g"}, provider: true, booking: []string{"g"}, suspended: true}}}
	d := newDice(1, 1)
	d.w = w
	d.learn()
	h, a := newHostDatabase(t, d), over(t, questioned(t, mappedToTables), d.records()...)
	for _, c := range []struct {
		who     entity
		does    string
		of      string
		matches string
		shows   []string
	}{
		{member("here"), "view", "patient", "some", []string{"p-1"}}, {member("away"), "view", "patient", "none", nil},
		{patient("p-1"), "book", "provider", "some", []string{"here"}}, {patient("p-1"), "view", "provider", "some", []string{"here"}},
	} {
		f := decode[filterAnswer](t, a.ask(t, "/v1/filters", object{"subject": c.who, "action": object{"name": c.does}, "resource": object{"type": c.of}, "dialect": "sqlite"}))
		equal(t, f.Matches, c.matches, "%v %s", c.who, c.does)
		sameList(t, h.shown(t, c.of, f), c.shows, "%v %s", c.who, c.does)
	}
}

// TestSuspensionsOnTheCommandLine asks a file and Redis with Mark suspended, imports and exports the field, and audits.
func TestSuspensionsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	records := exampleRecords(t)
	for i, r := range records {
		if r.id == "mark" {
			records[i] = r.onLeave()
		}
	}
	facts, mapping := writeFacts(t, records), writeFile(t, "filters.json", mappedToTables)
	name := fmt.Sprintf("on-leave-%d", organisationCount.Add(1))
	inRedis := []string{"--redis", workbench.redis.Unhurried(), "--organisation", name}
	mustRun(t, "", append([]string{"import", facts}, inRedis...)...)
	for where, flags := range map[string][]string{"file": {"--facts", facts}, "Redis": inRedis} {
		for i, c := range []struct {
			code  int
			says  string
			never string
			args  string
		}{
			{2, "subject_suspended", "permission", "check --subject team_member:mark --action view --resource patient:p-1"},
			{2, "provider_suspended", "", "check --subject patient:p-1 --action book --resource provider:mark"},
			{2, "suspended", "", "explain --subject team_member:mark --action view --resource patient:p-1"},
			{2, `"edit":{"set":{"kind":"team_member","id":"mark","suspended":false}}`, "", "explain --json --subject team_member:mark --action view --resource patient:p-1"},
			{2, "", "p-", "list --subject team_member:mark --action view --resource patient"},
			{2, "", "mark", "list --subject patient:p-1 --action book --resource provider"},
			{0, "jordan", "mark", "list --subject team_member --action view --resource patient:p-1"},
			{2, "none", "", "filter --subject team_member:mark --action view --resource patient --filters " + mapping},
			{0, `"id":"mark","name":"Mark Smith","role":"practitioner"`, "", "export"},
			{0, `"suspended":true`, `"suspended":false`, "export"},
			{0, "", "breach of", "audit"},
			{0, "", "breach of", "audit --all"},
			{2, "subject_suspended", "", "check --subject team_member:mark --action update --resource stock:1"},
		} {
			if export := c.args == "export"; where == "file" && export || where == "Redis" && !export && i%3 != 0 { // a process each: some will do
				continue
			}
			got := run(t, "", append(strings.Fields(c.args), flags...)...)
			ends(t, got, c.code, "%s of a %s", c.args, where)
			check(t, strings.Contains(got.stdout, c.says) && (c.never == "" || !strings.Contains(got.stdout, c.never)), "%s of a %s: %s", c.args, where, got.stdout)
		}
	}
	// What is exported can be imported, and a line without the field ends the suspension.
	file := filepath.Join(t.TempDir(), "out.jsonl")
	mustRun(t, "", append([]string{"export", file}, inRedis...)...)
	again := []string{"--redis", workbench.redis.Unhurried(), "--organisation", name + "-again"}
	mustRun(t, "", append([]string{"import", file}, again...)...)
	equal(t, mustRun(t, "", append([]string{"export"}, again...)...).stdout, mustRun(t, "", append([]string{"export"}, inRedis...)...).stdout, "exported again")
	mustRun(t, string(lines(exampleRecords(t))), append([]string{"import"}, again...)...)
	ends(t, run(t, "", append(strings.Fields("check --subject team_member:mark --action view --resource patient:p-1"), again...)...), 0, "after the end")
	bad, _ := json.Marshal(teamMember("x").having("suspended", "yes").fields)
	got := run(t, string(bad), append([]string{"import"}, again...)...)
	check(t, got.code == 1 && strings.Contains(got.stderr, "suspended"), "an import of a string: %d %s", got.code, got.stderr)
}
