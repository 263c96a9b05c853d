package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// sidecars are two servers on one Redis, each with a cache and a writer.
func sidecars(t *testing.T, records []record, flags ...string) (here, there directory) {
	t.Helper()
	redis := redisWith(t, records)
	flags = append([]string{"--redis", redis.Unhurried(), "--admin-addr", "127.0.0.1:0", "--max-body", "16777216"}, flags...)
	return directory{&organisation{name: "riverside", server: serve(t, flags...)}, "amara"},
		directory{&organisation{name: "riverside", server: serve(t, flags...)}, "amara"}
}

// may asks one question as it comes, from memory if there is one.
func (o *organisation) may(t *testing.T, q question, headers ...string) bool {
	t.Helper()
	return decode[decision](t, post(t, o.url("/access/v1/evaluation"), q, headers...)).allowed()
}

// TestAWriteIsInTheNextDecision has no token and no patience: what was written
// through a sidecar is in its next decision, each of 200 times.
func TestAWriteIsInTheNextDecision(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		q := ask("sam", "view", patient("p-2"))
		batch := map[string]any{"evaluations": []question{q, q}}
		for i := range 200 {
			path, want := "/team-members/sam/access/diabetes", i%2 == 0
			var r reply
			switch {
			case want && i%4 == 0:
				r = d.put(t, path, nil)
			case want:
				r = d.post(t, "/patient-groups/diabetes/access", object{"add": array{"sam"}})
			case i%4 == 1:
				r = d.delete(t, path)
			default:
				r = d.post(t, "/edits", object{"edits": array{object{"unlink": object{"relation": "access", "from": "sam", "to": "diabetes"}}}})
			}
			require(t, r.status < 300, "%v", r)
			if i%3 == 0 {
				if got := decisionsOf(t, post(t, d.url("/access/v1/evaluations"), batch)); !slices.Equal(got, []bool{want, want}) {
					t.Fatalf("write %d: the batch says %v, expected %v", i, got, want)
				}
			} else if got := d.may(t, q); got != want {
				t.Fatalf("write %d: the next decision is %v, expected %v", i, got, want)
			}
		}
	})
}

// staleness is the default of --max-staleness.
const staleness = 2 * time.Second

// TestARevocationReachesTheOtherSidecar takes Access through one sidecar and
// asks the other until it denies, which has to be within --max-staleness.
func TestARevocationReachesTheOtherSidecar(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	q := ask("sam", "view", patient("p-2"))
	var took []time.Duration
	late := 0 // what a busy machine delays is no rule
	for i := range 100 {
		if i%2 == 1 {
			here, there = there, here
		}
		granted := here.wrote(t, here.put(t, "/team-members/sam/access/diabetes", nil), http.StatusNoContent)
		require(t, there.may(t, q, "Caregate-At-Least", granted), "not allowed at %s", granted)
		asked := time.Now()
		for !there.may(t, q) { // from memory, which may still be of before
			require(t, time.Since(asked) < patience, "not allowed after %v", time.Since(asked))
		}
		if time.Since(asked) > staleness+slack {
			late++
		}
		here.wrote(t, here.delete(t, "/team-members/sam/access/diabetes"), http.StatusNoContent)
		took = append(took, there.denies(t, q))
		require(t, !here.may(t, q), "the sidecar that wrote it allows")
	}
	check(t, late <= 3, "%d of 100 grants reached the other sidecar only after %v", late, staleness+slack)
	slices.Sort(took)
	t.Logf("the last allow was answered after: median %v, 99 of 100 %v, most %v", took[50], took[98], took[99])
}

// denies asks one question as it comes until it is denied and stays so, which has to be within --max-staleness. It
// returns when the last allow was answered, 0 when there was none.
func (o *organisation) denies(t *testing.T, q question) (last time.Duration) {
	t.Helper()
	revoked := time.Now()
	for calm := 0; calm < 5; calm++ {
		asked := time.Since(revoked)
		if o.may(t, q) {
			last, calm = time.Since(revoked), -1
			require(t, asked <= staleness, "an allow that was asked for %v after the revocation", asked)
		}
	}
	return last
}

// TestATokenOfOneSidecarIsGoodAtTheOther asks the other sidecar at once, for
// the revision of each write.
func TestATokenOfOneSidecarIsGoodAtTheOther(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	for i := range 100 {
		want := i%2 == 0
		r := here.delete(t, "/team-members/sam/access/diabetes")
		if want {
			r = here.put(t, "/team-members/sam/access/diabetes", nil)
		}
		for _, q := range []question{ask("sam", "view", patient("p-2")), ask("sam", "view", patient("p-3"))} {
			got := post(t, there.url("/access/v1/evaluation"), q, "Caregate-At-Least", r.header.Get("Caregate-Revision"))
			if decode[decision](t, got).allowed() != want || got.header.Get("Caregate-Revision") != r.header.Get("Caregate-Revision") {
				t.Fatalf("%v at %s, expected %v at %s", got, got.header.Get("Caregate-Revision"), want, r.header.Get("Caregate-Revision"))
			}
			if full := there.may(t, q, "Caregate-Consistency", "full"); full != want {
				t.Fatalf("read now it is %v, expected %v", full, want)
			}
		}
	}
}

// TestTheNewEnemyAtTheOtherSidecar ends Access through one sidecar and moves a
// patient into the group through the other: at no time does a third question
// show that patient.
func TestTheNewEnemyAtTheOtherSidecar(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	enemy := ask("sam", "view", patient("p-7"))
	for range 60 {
		here.wrote(t, here.put(t, "/team-members/sam/access/aftercare", nil), http.StatusNoContent)
		there.may(t, ask("sam", "view", patient("p-12")), "Caregate-At-Least", here.revision)
		here.wrote(t, here.delete(t, "/team-members/sam/access/aftercare"), http.StatusNoContent)
		there.wrote(t, there.put(t, "/patient-groups/aftercare/patients/p-7", nil), http.StatusNoContent)
		for range 5 {
			require(t, !here.may(t, enemy) && !there.may(t, enemy), "somebody sees a patient who came after their Access had ended")
		}
		there.wrote(t, there.put(t, "/patient-groups/maternity/patients/p-7", nil), http.StatusNoContent)
	}
}

// TestTwoAdministrators read the same version through two sidecars and write at
// the same time: one of them is told that they are late.
func TestTwoAdministrators(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	for i := range 40 {
		for path, bodies := range map[string][2]object{
			"/groups/stockroom":         {{"name": fmt.Sprint("here ", i), "permissions": array{}}, {"name": fmt.Sprint("there ", i), "permissions": array{}}},
			"/team-members/noor/access": {{"ids": [][]string{{"diabetes"}, {"maternity"}}[i%2]}, {"ids": [][]string{{"cardiology"}, {"aftercare"}}[i%2]}},
		} {
			tag := here.tag(t, path)
			var group sync.WaitGroup
			var won, late atomic.Int64
			for n, d := range []directory{here, there} {
				group.Go(func() {
					r, err := d.try(t.Context(), http.MethodPut, path, bodies[n], "If-Match", tag)
					switch {
					case err == nil && r.status == http.StatusOK:
						won.Add(1)
					case err == nil && r.status == http.StatusPreconditionFailed:
						late.Add(1)
					default:
						t.Errorf("%v %v", r, err)
					}
				})
			}
			group.Wait()
			if won.Load() != 1 || late.Load() != 1 {
				t.Fatalf("%s: %d of two writers of one version won, and %d were late", path, won.Load(), late.Load())
			}
		}
	}
}
