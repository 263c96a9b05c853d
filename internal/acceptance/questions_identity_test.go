package acceptance

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// looks is what somebody is told: why, and what would happen.
func (a asker) looks(t *testing.T, what string, administrator bool, headers ...string) {
	t.Helper()
	q := ask("oscar", "view", patient("p-1"))
	r := a.ask(t, "/v1/explanations", q, headers...)
	if own := len(headers) > 1 && strings.Count(headers[1], ".") == 2; own && !administrator { // a signed token, and nobody trusted
		refusedFor(t, r, http.StatusForbidden, "subject", "%s about somebody else", what)
	} else if e := decode[explanation](t, r); *e.Decision || (len(e.Context.Remedies) > 0) != administrator || (len(e.Context.Routes) > 0) != administrator {
		t.Errorf("%s is told %+v", what, e)
	}
	for path, body := range map[string]object{"/v1/reviews": {"team_member": "mark"}, "/v1/previews": {"edits": array{object{"unlink": object{"relation": "access", "from": "mark", "to": "diabetes"}}}}} {
		r := a.ask(t, path, body, headers...)
		answered(t, r, map[bool]int{true: http.StatusOK, false: http.StatusForbidden}[administrator], "%s at %s", what, path)
	}
}

// stranger is somebody who says who they are, and is not believed.
func (a asker) stranger(t *testing.T, what string, headers ...string) {
	t.Helper()
	for path, body := range everyQuestion("mark", "p-1") {
		r := a.ask(t, path, body, headers...)
		if path[:3] == "/v1" && path != "/v1/filters" {
			if r.status != http.StatusUnauthorized && r.status != http.StatusForbidden {
				t.Errorf("%s at %s: %v", what, path, r)
				continue
			}
			refused(t, r, r.status)
		}
	}
}

// TestWhoLooks tries every way of saying who asks, at sidecars that believe
// different things.
func TestWhoLooks(t *testing.T) {
	t.Parallel()
	bearer := func(token string, more ...string) []string {
		return append([]string{"Authorization", "Bearer " + token}, more...)
	}
	t.Run("an issuer alone", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t)
		a := asker{guarded(t, i, "--jwt-organisation-claim", "clinic").organisation, ""}
		a.looks(t, "nobody", false)
		a.looks(t, "mark", false, bearer(i.rs256(t, claims("mark")))...)
		a.looks(t, "amara", true, bearer(i.rs256(t, claims("amara")))...)
		a.looks(t, "amara, who says it twice", true, bearer(i.es256(t, claims("amara")), "Caregate-Actor", "amara")...)
		a.stranger(t, "a mere name", "Caregate-Actor", "amara")
		a.stranger(t, "mark's token in amara's name", bearer(i.rs256(t, claims("mark")), "Caregate-Actor", "amara")...)
		a.stranger(t, "amara's token in mark's name", bearer(i.rs256(t, claims("amara")), "Caregate-Actor", "mark")...)
		a.stranger(t, "an expired token", bearer(i.rs256(t, claimsOf(claims("amara")).but("exp", time.Now().Add(-time.Hour).Unix())))...)
		a.stranger(t, "a token for somebody else", bearer(i.rs256(t, claimsOf(claims("amara")).but("aud", "another")))...)
		a.stranger(t, "a token of another clinic", bearer(i.rs256(t, claimsOf(claims("amara")).but("clinic", "hillside")))...)
		a.stranger(t, "a token of another issuer", bearer(newIssuer(t).rs256(t, claims("amara")))...)
		a.stranger(t, "an unsigned token", bearer(i.token(t, object{"alg": "none"}, claims("amara"), ""))...)
		a.stranger(t, "the token of administration", bearer(serviceToken, "Caregate-Actor", "amara")...)
		a.stranger(t, "rubbish in amara's name", bearer("rubbish", "Caregate-Actor", "amara")...)
		a.looks(t, "a token that is no JWT", false, bearer("rubbish")...) // of something else on the way
	})
	t.Run("services alone", func(t *testing.T) {
		t.Parallel()
		a := asker{&organisation{name: "riverside", server: serve(t, "--tokens", writeFile(t, "tokens", "portal "+serviceToken+"\n"))}, ""}
		a.looks(t, "a service", false, bearer(serviceToken)...)
		a.looks(t, "a service for mark", false, bearer(serviceToken, "Caregate-Actor", "mark")...)
		a.looks(t, "a service for amara", true, bearer(serviceToken, "Caregate-Actor", "team_member:amara")...)
		for path, body := range everyQuestion("mark", "p-1") {
			for _, headers := range [][]string{nil, {"Caregate-Actor", "amara"}, bearer("wrong", "Caregate-Actor", "amara"), {"Authorization", "Basic " + serviceToken}} {
				refused(t, a.ask(t, path, body, headers...), http.StatusUnauthorized)
			}
		}
	})
	t.Run("both", func(t *testing.T) {
		t.Parallel()
		i := newIssuer(t)
		a := asker{guarded(t, i, "--tokens", writeFile(t, "tokens", "portal "+serviceToken+"\n")).organisation, ""}
		a.looks(t, "a service for amara", true, bearer(serviceToken, "Caregate-Actor", "amara")...)
		a.looks(t, "a service for mark", false, bearer(serviceToken, "Caregate-Actor", "mark")...)
		a.stranger(t, "a mere name", "Caregate-Actor", "amara")
		a.stranger(t, "an expired token", bearer(i.rs256(t, claimsOf(claims("amara")).but("exp", time.Now().Add(-time.Hour).Unix())), "Caregate-Actor", "amara")...)
	})
}
