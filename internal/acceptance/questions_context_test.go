package acceptance

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// usesContext is a policy that hands what callers say in the context to functions that fail
// on what they cannot use: directly, through a helper, from a list, in the masks and in the
// account.
const usesContext = `package authz

allow if {
	input.subject.type == "team_member"
	input.subject.found
	not _late
	not _odd
	every at in input.context.all {
		time.parse_rfc3339_ns(at) > 0
	}
	input.resource.patient_group in input.subject.access
}

allow if {
	input.resource.type == "appointment"
	input.subject.found
	not _late
	not _odd
}

decision := {"allow": true} if allow

decision := {"allow": false, "context": {"reasons": ["no"]}} if not allow

candidates[input.resource.type] := input.context.candidates

masks := {"patient": ["name"]} if time.parse_rfc3339_ns(input.context.masked_at) > 0

_at := input.context.at

_late if _nanoseconds(_at) < 0

_nanoseconds(at) := time.parse_rfc3339_ns(at)

_odd if not regex.match(input.context.pattern, "x")
`

const usesContextExplained = `package authz.explanation

account := {"user": {"reasons": []}, "admin": {"hour": time.clock(time.parse_rfc3339_ns(input.context.told_at))}}
`

// TestAContextThatThePolicyCannotUseIsTheCallersError asks each question with a context on which
// the policy fails: that is the caller's to correct, at every endpoint, and names the field.
func TestAContextThatThePolicyCannotUseIsTheCallersError(t *testing.T) {
	t.Parallel()
	policies := t.TempDir()
	for name, text := range map[string]string{"allow.rego": usesContext, "account.rego": usesContextExplained} {
		noError(t, os.WriteFile(filepath.Join(policies, name), []byte(text), 0o600))
	}
	s := serve(t, "--facts", writeFacts(t, clinic()), "--policies", policies, "--filters", writeFile(t, "filters.json", mappedToTables))
	a := asker{&organisation{name: "riverside", server: s}, ""}

	appointments := object{"subject": member("ann"), "action": action{Name: "view"}, "resource": object{"type": "appointment"}}
	patients := object{"subject": member("ann"), "action": action{Name: "view"}, "resource": object{"type": "patient"}}
	single := object{"subject": member("ann"), "action": action{Name: "view"}, "resource": patient("p-1")}
	questions := map[string]object{
		"/access/v1/evaluation":   single,
		"/access/v1/evaluations":  merged(single, object{"evaluations": array{}}),
		"/v1/data/authz/allow":    single,
		"/v1/data/authz/decision": single,
		"/v1/explanations":        merged(single, object{"subject": member("cara")}), // denied, so that remedies are tried
		searchResource:            patients,
		searchSubject:             {"subject": object{"type": "team_member"}, "action": action{Name: "view"}, "resource": patient("p-1")},
		searchAction:              {"subject": member("ann"), "resource": patient("p-1")},
		"/v1/filters":             merged(patients, object{"dialect": "sqlite"}),
	}
	sound := object{
		"at": "2030-01-01T00:00:00Z", "pattern": "^x$", "all": array{"2030-01-01T00:00:00Z"}, "told_at": "2030-01-01T00:00:00Z",
		"masked_at": "2030-01-01T00:00:00Z", "candidates": array{"a-1"},
	}
	send := func(path string, body object, context object) reply {
		body = merged(body, object{"context": context})
		if strings.HasPrefix(path, "/v1/data/") {
			body = object{"input": body}
		}
		return a.ask(t, path, body)
	}
	blames := func(path string, body object, name string, value any) {
		t.Run(fmt.Sprintf("%s of %s %v", path, name, value), func(t *testing.T) {
			field := "context." + name
			if strings.HasPrefix(path, "/v1/data/") {
				field = "input." + field
			}
			r := send(path, body, merged(sound, object{name: value}))
			refusedFor(t, r, http.StatusBadRequest, field)
		})
	}
	for path, body := range questions {
		answered(t, send(path, body, sound), http.StatusOK, "%s with a sound context", path)
	}
	for name, value := range map[string]any{"at": "noon", "pattern": "((", "all": array{"noon"}} {
		for path, body := range questions {
			blames(path, body, name, value)
		}
		items := array{object{"context": merged(sound, object{name: value})}, object{}, object{"context": sound}}
		r := a.ask(t, "/access/v1/evaluations", merged(single, object{"context": merged(sound, object{name: value}), "evaluations": items}))
		got := decode[struct {
			Evaluations []struct {
				Decision bool
				Context  struct {
					Error struct {
						Status  int
						Message string
					}
				}
			}
		}](t, r).Evaluations
		for i, item := range got {
			if i == 2 {
				check(t, item.Decision, "an item with a sound context: %v", r)
				continue
			}
			if begins := []string{"evaluations[0].", ""}[i] + "context." + name + ": "; item.Decision || item.Context.Error.Status != http.StatusBadRequest || !strings.HasPrefix(item.Context.Error.Message, begins) {
				t.Errorf("item %d with %s: %v, expected a status 400 and a message that begins with %q", i, name, r, begins)
			}
		}
	}
	blames("/v1/explanations", questions["/v1/explanations"], "told_at", "noon")
	blames("/v1/filters", questions["/v1/filters"], "masked_at", "noon")
	for _, listed := range []any{true, "a-1", array{object{}}, object{"a-1": "p-1"}, 7} {
		blames(searchResource, appointments, "candidates", listed)
	}
	if log := s.Log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the log has errors of the service's:\n%s", log)
	}
}
