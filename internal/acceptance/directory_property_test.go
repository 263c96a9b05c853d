package acceptance

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/soak"
)

// step makes a random edit.
func (d *dice) step(ids []string) step {
	switch n := d.IntN(100); {
	case n < 12:
		return d.relate("group")
	case n < 24:
		return d.relate("access")
	case n < 36:
		return d.relate("booking")
	case n < 41:
		return d.rewriteMember()
	case n < 45:
		return d.suspend()
	case n < 52:
		return d.rewritePatient()
	case n < 58:
		return d.bundle("role", "roles")
	case n < 64:
		return d.bundle("group", "groups")
	case n < 74:
		return d.move()
	case n < 82:
		return d.care()
	case n < 93:
		return d.book(ids)
	case n < 97:
		return d.cancel(ids)
	}
	return d.end(ids)
}

// canonical is a world as text, to see whether something changed.
func (w *world) canonical() string {
	d := &dice{w: w}
	var out []string
	for _, r := range d.records() {
		text, err := json.Marshal(normal(r.fields))
		if err != nil {
			panic(err)
		}
		out = append(out, string(text))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// takes makes one change through a sidecar, of one step or of several at once,
// and holds the answer against the model.
func (d *dice) takes(t *testing.T, by directory, ids []string) {
	t.Helper()
	steps := []step{d.step(ids)}
	if d.often(0.25) {
		for range d.IntN(6) {
			if next := d.step(ids); next.edit["delete"] == nil && steps[0].edit["delete"] == nil {
				steps = append(steps, next)
			}
		}
	}
	after, fits, repeated := d.w.clone(), true, false
	var names []string
	for _, s := range steps {
		fits = fits && s.apply(after)
		repeated = repeated || s.repeated
		names = append(names, s.name)
	}
	if !fits {
		after = d.w
	}
	method, path, body, status := http.MethodPost, "/edits", any(nil), http.StatusOK
	if s := steps[0]; len(steps) == 1 && s.direct != nil && d.often(0.6) {
		method, path, body = s.direct(by)
		if s.status != 0 {
			status = s.status
		}
	} else {
		var edits array
		for _, s := range steps {
			edits = append(edits, s.edit)
		}
		body = object{"edits": edits}
	}
	before, count := by.now(t)
	r := by.send(t, method, path, body)
	revision, counted := by.now(t)
	if len(steps) > 1 && r.status == http.StatusBadRequest && strings.Contains(string(r.body), "in a change of its own") {
		fits, after = false, d.w // who is booked in one change is not edited in the same
	}
	changes := d.w.canonical() != after.canonical()
	wrong := ""
	switch taken := r.status < 300; {
	case r.status >= 500:
		wrong = "it failed"
	case !fits && taken:
		wrong = "the rules refuse it"
	case fits && changes && !taken:
		wrong = "the rules take it"
	case fits && !changes && !taken && !repeated && r.status != http.StatusNotFound:
		wrong = "it changes nothing, and is refused"
	case (changes && taken) != (counted == count+1) || counted > count+1:
		wrong = fmt.Sprintf("the revision before is %s, and %s after", before, revision)
	case changes && r.status != status && r.status != http.StatusCreated && r.status != http.StatusOK:
		wrong = fmt.Sprintf("expected %d", status)
	case taken && r.header.Get("Caregate-Revision") != revision:
		wrong = "it answers with another revision than " + revision
	}
	if wrong != "" {
		asked, _ := json.Marshal(body)
		t.Fatalf("%s: %v: %s %s %s\n  answered %v %q\n  facts before:\n%s", wrong, names, method, path, asked, r, r.header.Get("Caregate-Revision"), d.w.canonical())
	}
	d.w = after
	d.learn()
}

// learn has the questions ask about who is there now.
func (d *dice) learn() {
	d.members, d.patients, d.providers = slices.Sorted(maps.Keys(d.w.members)), slices.Sorted(maps.Keys(d.w.patients)), nil
	for _, id := range d.members {
		if d.w.members[id].provider {
			d.providers = append(d.providers, id)
		}
	}
}

// TestDirectoryEqualsTheModel makes random changes through two sidecars, and
// holds what is there then, and what both decide, against plain Go.
func TestDirectoryEqualsTheModel(t *testing.T) {
	t.Parallel()
	n := soak.Seed(t)
	total := int(soak.Number(t, "CAREGATE_TEST_EDITS", uint64(max(500, soak.Cases(1500)))))
	seen := tally{codes: map[string]int{}}
	const organisations = 5
	for i := range organisations {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			d := newDice(n, uint64(77_000+i))
			d.w.roles["root role"], d.w.members["root"] = []string{"*:*"}, staff{role: "root role"}
			d.learn()
			here, there := sidecars(t, d.records())
			here.actor, there.actor = "root", "root"
			var ids []string
			for k := range 12 {
				ids = append(ids, fmt.Sprintf("b-%d", k))
			}
			for k := range total / organisations {
				by := here
				if d.often(0.5) {
					by = there
				}
				d.takes(t, by, ids)
				if k%20 == 19 || k == total/organisations-1 {
					revision, _ := by.now(t)
					here.revision, there.revision = revision, revision
					compare(t, &seen, here.organisation, d, d.w, 60)
					compare(t, &seen, there.organisation, d, d.w, 60)
				}
				if t.Failed() {
					return
				}
			}
			d.holds(t, here, there)
		})
	}
	t.Logf("%d decisions, %d allowed, reasons %v", seen.decisions, seen.allowed, seen.codes)
}

// holds compares everything that is there with the model.
func (d *dice) holds(t *testing.T, here, there directory) {
	t.Helper()
	redis := here.flag("--redis")
	exported := mustRun(t, "", "export", "--redis", redis, "--organisation", here.name).stdout
	sameRecords(t, d.records(), []byte(exported))
	for _, by := range []directory{here, there} {
		sameRecords(t, d.records(), lines(by.plain(t)))
		by.agree(t)
		for id, p := range d.w.patients {
			want := object{}
			for _, m := range p.manual {
				want[m] = []string{"manual"}
			}
			for _, v := range p.bookings {
				if sources, _ := want[v.provider].([]string); v.state != "released" {
					want[v.provider] = append(slices.Clone(sources), "booking:"+v.id)
				}
			}
			got, _ := by.record(t, at("patients", id))["care_team_sources"].(object)
			check(t, reflect.DeepEqual(normal(got), normal(want)), "%q has the sources %v, expected %v", id, got, want)
		}
	}
	ends(t, run(t, "", "audit", "--redis", redis, "--organisation", here.name, "--all"), 0, "the audit")
	again := &organisation{name: here.name + "-again", server: here.server}
	again.imported(t, mustRun(t, exported, "import", "--redis", redis, "--organisation", again.name, "-"))
	if second := mustRun(t, "", "export", "--redis", redis, "--organisation", again.name).stdout; second != exported {
		t.Error("the export of an import of the export is another")
	}
}

// flag returns what the server was given for a flag.
func (d directory) flag(name string) string {
	args := d.server.Args()
	return args[slices.Index(args, name)+1]
}
