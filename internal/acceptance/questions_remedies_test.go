package acceptance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// opened counts whom else somebody could now ask the same about: pairs of
// member and patient.
func opened(before, after *world, q question) (pairs int) {
	may := func(w *world, who, whom string) bool {
		one := q
		one.Subject.ID = who
		switch q.Resource.Type {
		case "patient":
			one.Resource.ID = whom
		default:
			one.Resource = one.Resource.of(whom)
		}
		return w.decide(one)
	}
	for who := range after.members {
		for whom := range after.patients {
			if may(after, who, whom) && !may(before, who, whom) {
				pairs++
			}
		}
	}
	return pairs
}

// concerned counts the members whose facts an edit changes.
func (w *world) concerned(e object) (members int) {
	body, _ := e["set"].(object)
	for _, m := range w.members {
		if body["kind"] == "role" && m.role == body["id"] || body["kind"] == "group" && slices.Contains(m.groups, body["id"].(string)) {
			members++
		}
	}
	if body["kind"] == "role" || body["kind"] == "group" {
		return members
	}
	return 1
}

// edit makes an edit of a remedy in a world.
func (w *world) edit(t *testing.T, e object) {
	t.Helper()
	text := func(v any) string { s, _ := v.(string); return s }
	list := func(v any) (out []string) {
		items, _ := v.([]any)
		for _, item := range items {
			out = append(out, item.(string))
		}
		return out
	}
	for verb, v := range e {
		body, _ := v.(object)
		id, from, to := text(body["id"]), text(body["from"]), text(body["to"])
		switch verb + " " + text(body["kind"]) + text(body["relation"]) {
		case "set team_member":
			w.edited(id, func(m *staff) {
				if role, there := body["role"]; there {
					m.role = text(role)
				}
				if provider, there := body["provider"]; there {
					m.provider = provider == true
				}
				if suspended, there := body["suspended"]; there {
					m.suspended = suspended == true
				}
			})
		case "set role":
			w.roles[id] = list(body["permissions"])
		case "set group":
			w.groups[id] = list(body["permissions"])
		case "set patient":
			p := w.patients[id]
			p.group = text(body["patient_group"])
			w.patients[id] = p
		case "link group":
			w.edited(from, func(m *staff) { m.groups = with(m.groups, to) })
		case "link access":
			w.edited(from, func(m *staff) { m.access = with(m.access, to) })
		case "link booking":
			w.edited(from, func(m *staff) { m.booking = with(m.booking, to) })
		case "link care_team":
			p := w.patients[from]
			p.manual = with(p.manual, to)
			w.patients[from] = p
		default:
			t.Fatalf("a remedy is the edit %v", e)
		}
	}
}

// TestRemediesAllow makes the first remedy of each deny exactly as it is
// printed, and every one of some, each on an organisation of its own.
func TestRemediesAllow(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	fresh, counted := 45, 0
	verbs := map[string]int{}
	for i := range 4 {
		d := newDice(n, uint64(52_000+i))
		d.plainly()
		a := asker{newOrganisation(t, redisStore{}, d.records()...), "zqrootvk"}
		for range 120 {
			q := d.decided()
			if d.w.decide(q) {
				continue
			}
			sent, _ := json.Marshal(q)
			e := decode[explanation](t, a.ask(t, "/v1/explanations", q))
			last := -1
			for k, r := range e.Context.Remedies {
				check(t, r.Text != "" && len(r.Edit) == 1, "%s: the remedy %+v", sent, r)
				for verb, what := range r.Edit {
					body, _ := what.(object)
					verbs[fmt.Sprint(verb, " ", body["kind"], body["relation"])]++
				}
				switch {
				case r.Patients == nil:
					last = 1 << 60
				case *r.Patients < last:
					t.Errorf("%s: a remedy that opens %d after one that opens %d", sent, *r.Patients, last)
				default:
					last = *r.Patients
				}
				after := d.w.clone()
				after.edit(t, r.Edit)
				check(t, after.decide(q), "%s: the remedy %v allows nothing by the rules", sent, r.Edit)
				if r.Patients != nil && r.Members != nil && q.Resource.Type == "patient" && q.Action.Name != "create" {
					pairs, members := opened(d.w, after, q), d.w.concerned(r.Edit)
					counted++
					if pairs != *r.Patients || members != *r.Members {
						t.Errorf("%s: the remedy %v opens %d to %d, expected %d to %d", sent, r.Edit, *r.Patients, *r.Members, pairs, members)
					}
				}
				if fresh == 0 || k > 0 && d.often(0.5) {
					continue
				}
				fresh--
				b := asker{newOrganisation(t, redisStore{}, d.records()...), "zqrootvk"}
				made := b.directory().post(t, "/edits", object{"edits": array{r.Edit}})
				if made.status != http.StatusOK {
					t.Errorf("%s: the remedy %v cannot be made: %v", sent, r.Edit, made)
					continue
				}
				b.revision = made.header.Get("Caregate-Revision")
				if got := decode[decision](t, post(t, b.url("/access/v1/evaluation"), q, b.included()...)); !got.allowed() {
					t.Errorf("%s: after the remedy %v: %v", sent, r.Edit, got)
				}
			}
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%v, %d counts", verbs, counted)
	check(t, fresh <= 0 && len(verbs) >= 4 && counted >= 30, "%v, %d counts, %d not tried: too one-sided to show anything", verbs, counted, fresh)
}
