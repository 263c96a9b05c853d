package acceptance

import (
	"net/http"
	"strings"
	"testing"
)

// validityRules are V9: what is not there is denied, with the reason.
var validityRules = []rule{
	{"V9_unknown_subjects_patients_and_organisations", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			role("everything", "*:*"),
			teamMember("root").holding("everything").seeing("diabetes"))...)
		o.deny(t, "nobody", "view", patient("p-1"), "subject_unknown").through()
		o.deny(t, "nobody", "view", patient("p-404"), "subject_unknown")
		o.deny(t, patient("p-404"), "view", provider("drew"), "subject_unknown")
		o.deny(t, "p-1", "view", patient("p-1"), "subject_unknown") // a patient is no team member
		o.deny(t, patient("ann"), "view", provider("drew"), "subject_unknown")
		o.deny(t, entity{Type: "service", ID: "root"}, "view", patient("p-1"), "subject_unsupported")
		o.deny(t, entity{Type: "Team_Member", ID: "root"}, "view", patient("p-1"), "subject_unsupported")
		o.deny(t, entity{Type: "provider", ID: "drew"}, "view", patient("p-1"), "subject_unsupported")
		for _, does := range []string{"view", "update", "delete"} {
			o.deny(t, "root", does, patient("p-404"), "resource_unknown")
		}
		o.deny(t, "root", "view", provider("p-1"), "resource_unknown")
		o.deny(t, "root", "view", provider("ann"), "resource_unknown") // she takes no bookings
		o.allow(t, "root", "view", provider("drew"))

		elsewhere := *o
		elsewhere.name, elsewhere.revision = o.name+"-that-is-not-there", ""
		elsewhere.deny(t, "root", "view", patient("p-1"), "organisation_unknown")
		elsewhere.deny(t, "root", "create", patient("p-new"), "organisation_unknown")
		elsewhere.deny(t, patient("p-1"), "view", provider("drew"), "organisation_unknown")
	}},
	{"V9_create_names_what_is_not_there_yet", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(),
			role("registrar", "patient:create"),
			teamMember("reg").holding("registrar"))...)
		o.allow(t, "reg", "create", patient("p-new")).because("permission_granted").through().
			needing("patient:create").grantedBy("registrar")
		o.deny(t, "ann", "create", patient("p-new"), "permission_missing")
		o.deny(t, "nobody", "create", patient("p-new"), "subject_unknown")
		a := o.decide(t, ask("reg", "create", patient("p-1")))
		a.because("exists")
		check(t, !a.allowed(), "%v: allowed, though it exists", a.question)
		o.change(t, patientIn("diabetes", "p-new"))
		a = o.decide(t, ask("reg", "create", patient("p-new")))
		a.because("exists")
		check(t, !a.allowed(), "%v: allowed, though it exists by now", a.question)
	}},
	{"V9_nothing_crosses_from_one_organisation_to_another", func(t *testing.T, s store) {
		here := newOrganisation(t, s, clinic()...)
		there := newOrganisation(t, s, patientGroup("diabetes"), patientGroup("elsewhere"),
			role("viewer", "patient:view"), teamMember("ann"), teamMember("zoe").holding("viewer").seeing("diabetes"),
			patientIn("diabetes", "p-9"), patientIn("elsewhere", "p-1"))
		here.allow(t, "ann", "view", patient("p-1"))
		here.deny(t, "zoe", "view", patient("p-1"), "subject_unknown")
		here.deny(t, "ann", "view", patient("p-9"), "resource_unknown")
		there.deny(t, "ann", "view", patient("p-1"), "patient_not_visible", "permission_missing")
		there.allow(t, "zoe", "view", patient("p-9"))
		there.deny(t, "olga", "view", patient("p-9"), "subject_unknown")
	}},
	{"V9_ids_are_opaque_and_case_sensitive", hostileIDs},
	{"V9_an_id_outside_the_limits_is_not_found", func(t *testing.T, s store) {
		o := newOrganisation(t, s, append(clinic(), role("everything", "*:*"), teamMember("root").holding("everything"))...)
		for _, id := range []string{strings.Repeat("x", 257), strings.Repeat("é", 129), "p-1\n", "\x00", "p-1\x00", "\x7f", "a\tb"} {
			o.deny(t, "root", "view", patient(id), "resource_unknown")
			o.deny(t, id, "view", patient("p-1"), "subject_unknown")
			o.deny(t, "root", "view", clinicalNote("n").of(id), "reference_unknown").pointingAt("patient")
		}
		// Whether an empty id is a malformed question or names nothing, it is never a yes.
		for _, q := range []question{ask("root", "view", patient("")), ask("", "view", patient("p-1"))} {
			r := post(t, o.url("/access/v1/evaluation"), q)
			if r.status == http.StatusOK && decode[decision](t, r).allowed() {
				t.Errorf("%v: allowed", q)
			} else if r.status != http.StatusOK && r.status != http.StatusBadRequest {
				t.Errorf("%v: %v", q, r)
			}
		}
	}},
}

// unruly are ids that something on the way could take apart, fold or escape.
// No two of them are the same id.
var unruly = []string{
	"Ann", "ANN", "ann ", " ann", "ann\u00a0", "ａｎｎ", "аnn", // the last begins with a Cyrillic letter
	"é", "e\u0301", "日本語", "👩‍⚕️", "ß", "ss", "ﬁ", "fi", "İ", "i̇", "\u202eann", "\u200bann", "\u2028", "\ufeffann",
	"a/b", "a//b", "/", "..", "../ann", "a%2Fb", "%00", "a\\b", `"`, `'`, "`", `\"`, `a"b`, "''", `{"id":"ann"}`,
	"{}", "{ann}", "}{", "{", "}", ":", "a:b", "a:b:c", "team_member:ann", "ann:", "*", "*:*", "?", "a?b=c", "#", "a#b", "a&b", "a=b", "a+b", "a b",
	"null", "true", "false", "0", "-1", "1e3", "NaN", "[]", "[1]", "nil", "undefined", "__proto__", "constructor", "id", "found", "role",
	"$x", "${HOME}", "%s%n", "<script>", "data.authz.allow", "input.subject.id", "internal.member_2", "KEYS[1]", `"x`,
	"あ" + strings.Repeat("x", 253), strings.Repeat("y", 256), strings.Repeat("Y", 256), strings.Repeat("é", 128), strings.Repeat("{", 256),
}

// hostileIDs gives each id to a member, a group and a patient of its own. Each
// member sees their own patient and nobody else's.
func hostileIDs(t *testing.T, s store) {
	records := []record{role("viewer", "patient:view")}
	for _, id := range unruly {
		records = append(records, group(id, "patient:update"), patientGroup(id),
			teamMember(id).holding("viewer").inGroups(id).seeing(id), patientIn(id, id))
	}
	o := newOrganisation(t, s, records...)
	var questions []question
	for _, who := range unruly {
		for _, whom := range unruly {
			questions = append(questions, ask(who, "update", patient(whom)))
		}
	}
	got := o.batch(t, questions)
	for i, q := range questions {
		switch own := q.Subject.ID == q.Resource.ID; {
		case got[i].allowed() != own:
			t.Errorf("%v: %v, expected allow=%v", q, got[i], own)
		case own && !sameSet(got[i].reasons().GrantedBy.groups(), []string{q.Subject.ID}):
			t.Errorf("%v: granted by %+v, expected the group of that id", q, got[i].reasons().GrantedBy)
		}
	}
	o.allow(t, unruly[0], "view", patient(unruly[0]))
}

func (g *grant) groups() []string {
	if g == nil {
		return nil
	}
	return g.Groups
}

// batch asks many questions at once, in order.
func (o *organisation) batch(t *testing.T, questions []question) []decision {
	t.Helper()
	const most = 1000 // --max-batch
	var out []decision
	for len(questions) > 0 {
		n := min(most, len(questions))
		got := decode[struct{ Evaluations []decision }](t,
			post(t, o.url("/access/v1/evaluations"), map[string]any{"evaluations": questions[:n]}, o.included()...))
		require(t, len(got.Evaluations) == n, "%d answers to %d questions", len(got.Evaluations), n)
		out, questions = append(out, got.Evaluations...), questions[n:]
	}
	return out
}
