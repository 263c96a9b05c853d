package review_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/orgtest"
	"github.com/caregate/caregate/internal/review"
	"github.com/caregate/caregate/internal/soak"
)

// overheard keeps the account that the policy gave last.
type overheard struct {
	authz.Rules
	account authz.Account
}

func (o *overheard) Explain(ctx context.Context, q authz.Question) (authz.Account, error) {
	account, err := o.Rules.Explain(ctx, q)
	o.account = account
	return account, err
}

// memory is a directory of the facts given.
type memory []*authz.Fact

func (m memory) Read(context.Context, string, []authz.Key, authz.Freshness) (*authz.Facts, error) {
	return authz.NewFacts(true, authz.Revision{Count: 1, Nonce: "n"}, m...), nil
}

// dice makes random facts and questions out of so few names that they meet.
type dice struct{ *rand.Rand }

func roll[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }

func (d dice) some(names ...string) []string {
	var out []string
	for _, name := range names {
		if d.IntN(5) < 2 {
			out = append(out, name)
		}
	}
	return out
}

// The ids that facts and questions are made of. Nothing that the policy says of its
// own has them in it.
var (
	diceRoles   = []string{"xr1", "xr2", "xr3"}
	diceGroups  = []string{"xg1", "xg2", "xg3"}
	dicePG      = []string{"xpg1", "xpg2 \"q\"", "xpg3"}
	diceMembers = []string{"xm1", "xm2", "xm3%'", "xm4"}
	dicePeople  = []string{"xp1", "xp2\\", "xp3é", "xp4"}
)

func diceIDs() []string {
	var out []string
	for _, ids := range [][]string{diceRoles, diceGroups, dicePG, diceMembers, dicePeople} {
		out = append(out, ids...)
	}
	return out
}

func (d dice) facts() memory {
	named := []string{
		"patient:view", "patient:update", "patient:view_all", "patient:*", "patient:delete", "patient:create", "stock:*", "stock:delete",
		"appointment:create", "appointment:*", "clinical_note:*", "report:view", "provider:view", "*:*", "*:view", "invoice:approve", "provider:book",
	}
	var out memory
	add := func(f *authz.Fact) {
		f.Found = true
		out = append(out, f)
	}
	for i := range diceRoles {
		var held []string
		for range 1 + d.IntN(6) {
			held = append(held, roll(d, named...))
		}
		add(&authz.Fact{Key: authz.Key{Kind: authz.KindRole, ID: diceRoles[i]}, Permissions: held})
		add(&authz.Fact{Key: authz.Key{Kind: authz.KindGroup, ID: diceGroups[i]}, Permissions: []string{roll(d, named...)}})
		add(&authz.Fact{Key: authz.Key{Kind: authz.KindPatientGroup, ID: dicePG[i]}})
	}
	for i := range diceMembers {
		add(&authz.Fact{
			Key: authz.Key{Kind: authz.KindTeamMember, ID: diceMembers[i]}, Role: roll(d, "", "gone", diceRoles[0], diceRoles[1], diceRoles[2]),
			Groups: d.some("gone", "xg1", "xg2", "xg3"), Access: d.some(dicePG...), Booking: d.some(dicePG...), Provider: d.IntN(3) > 0, Suspended: d.IntN(12) == 0,
		})
		add(&authz.Fact{
			Key: authz.Key{Kind: authz.KindPatient, ID: dicePeople[i]}, PatientGroup: roll(d, dicePG...), CareTeam: d.some(diceMembers...),
		})
	}
	return out
}

func (d dice) id(typ string) string {
	if d.IntN(12) == 0 {
		return "nobody"
	}
	switch typ {
	case "patient":
		return roll(d, dicePeople...)
	case "team_member", "provider":
		return roll(d, diceMembers...)
	case "patient_group":
		return roll(d, dicePG...)
	}
	return roll(d, "", "1", "new")
}

// request makes a question: mostly one that is sensible.
func (d dice) request() *authz.Request {
	subject := roll(d, "team_member", "team_member", "team_member", "patient")
	resource := roll(d, "patient", "patient", "appointment", "provider", "report", "clinical_note", "stock")
	action := roll(d, "view", "view", "update", "create", "delete")
	properties := map[string]any{}
	refer := func(name string) { properties[name] = d.id(name) }
	if subject == "patient" && d.IntN(4) > 0 {
		resource = "provider"
	}
	if resource == "provider" {
		action = roll(d, "view", "book", "book")
	}
	switch resource {
	case "provider", "clinical_note":
		refer("patient")
	case "appointment":
		refer("patient")
		if d.IntN(2) == 0 {
			refer("provider")
		}
	case "report":
		refer("patient_group")
	}
	r := &authz.Request{
		Subject:  authz.Entity{Type: subject, ID: d.id(subject)},
		Action:   authz.Action{Name: action},
		Resource: authz.Entity{Type: resource, ID: d.id(resource), Properties: properties},
	}
	if subject == "patient" && d.IntN(2) == 0 {
		properties["patient"] = r.Subject.ID
	}
	if d.IntN(4) == 0 {
		d.spoil(r)
	}
	return r
}

// spoil makes something of a question that nobody would ask.
func (d dice) spoil(r *authz.Request) {
	switch d.IntN(6) {
	case 0:
		r.Subject.Type = roll(d, "service", "provider", "", "patient_group")
	case 1:
		r.Action.Name = roll(d, "approve", "view_all", "", "book")
	case 2:
		r.Resource.Type = roll(d, "invoice", "team_member", "patient_group", "")
	case 3:
		r.Resource.Properties[roll(d, "patient", "provider", "patient_group")] = roll[any](d,
			nil, true, json.Number("1"), "", []any{"xp1"}, map[string]any{"id": "xp1"})
	case 4:
		r.Resource.Properties = nil
	case 5:
		r.Resource.Properties["permissions"], r.Resource.Properties["care_team"] = "*:*", []any{r.Subject.ID}
		r.Context = map[string]any{"role": "xr1"}
	}
}

// Of 100,000 random questions each account is exactly what the model says: each route,
// each source and each requirement. What is said to whoever asked names nobody and nothing
// that they did not name themselves.
func TestExplainEqualsTheModel(t *testing.T) {
	const parts, questions = 4, 50
	worlds := soak.Cases(500)
	rules, types := orgtest.Policy(t), accountTypes(t)
	for part := range parts {
		t.Run(fmt.Sprint("part", part), func(t *testing.T) {
			t.Parallel()
			allowed := 0
			for seed := range soak.Seeds(t, worlds) {
				d := dice{rand.New(rand.NewPCG(seed, uint64(42+part)))}
				facts := d.facts()
				m := &accountModel{types: types, facts: map[authz.Key]*authz.Fact{}}
				for _, f := range facts {
					m.facts[f.Key] = f
				}
				heard := &overheard{Rules: rules}
				service := review.NewService(authz.NewService(facts, rules), heard, nil)
				for range questions {
					r := d.request()
					e, _, err := service.Explain(t.Context(), "o", r, review.Viewer{}, authz.Freshness{})
					if err != nil {
						t.Fatalf("%+v: %v", r, err)
					}
					if e.Decision.Allow {
						allowed++
					}
					if e.Admin != nil || e.Decision.Context != nil || e.Remedies != nil {
						t.Fatalf("%+v: an ordinary caller is told %s, %s, %v", r, e.Admin, e.Decision.Context, e.Remedies)
					}
					sameAccount(t, heard.account, m.account(r), r, e)
				}
			}
			if !soak.Repeats() && allowed < worlds*questions/10 {
				t.Errorf("only %d of the questions are allowed: too few to show anything", allowed)
			}
		})
	}
}

// sameAccount compares an account with the model's.
func sameAccount(t *testing.T, got authz.Account, want object, r *authz.Request, e *review.Explanation) {
	t.Helper()
	if !bytes.Equal(got.Admin, written(t, want["admin"])) {
		t.Errorf("%+v:\ngot  %s\nwant %s", r, got.Admin, written(t, want["admin"]))
	}
	if !bytes.Equal(e.User, written(t, want["user"])) {
		t.Errorf("%+v: the user is told %s and not %s", r, e.User, written(t, want["user"]))
	}
	for _, id := range diceIDs() {
		if strings.Contains(string(e.User), strings.Trim(string(written(t, id)), `"`)) {
			t.Errorf("%+v: the user is told of %s: %s", r, id, e.User)
		}
	}
	allowed := true
	for _, requirement := range want["admin"].(object)["requirements"].([]object) {
		allowed = allowed && requirement["met"] == true
	}
	if e.Decision.Allow != allowed {
		t.Errorf("%+v: the decision is %v and not %v", r, e.Decision.Allow, allowed)
	}
}

// written writes a value as the policy does.
func written(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
