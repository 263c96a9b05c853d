package acceptance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caregate/caregate/internal/redistest"
)

// TestCorruptedFacts damages every key in Redis, one after the other and all
// together: what the facts deny is never allowed.
func TestCorruptedFacts(t *testing.T) {
	t.Parallel()
	o := newOutage(t, (*redistest.Server).URL, uncached...) // what is in memory is not what was damaged
	o.imported(t, mustRun(t, string(lines(append(practiceForDamage(), booking("b-1", "p-1", "bookable", "booked")))),
		"import", "--redis", o.redis.URL(), "--organisation", o.name))
	questions, allowed := o.sorted(t)
	keys := o.keys(t)
	t.Logf("%d keys, %d questions of which %d allowed", len(keys), len(questions), allowed)

	damaged, refusals := 0, 0
	for _, key := range keys {
		for what, commands := range o.damages(t, key) {
			saved := o.redo(t, "DUMP", key)
			for _, command := range commands {
				o.redo(t, command[0], command[1:]...)
			}
			damaged++
			r := post(t, o.url("/access/v1/evaluations"), map[string]any{"evaluations": questions})
			switch r.status {
			case http.StatusServiceUnavailable, http.StatusInternalServerError:
				refused(t, r, r.status)
				refusals++ // for one bad key; so ask some that need not read it
				for i := allowed + damaged%31; i < len(questions); i += 31 {
					one := post(t, o.url("/access/v1/evaluation"), questions[i])
					if one.status == http.StatusOK && decode[decision](t, one).allowed() {
						t.Errorf("%s of %q: %v is allowed: %v", what, key, questions[i], one)
					}
				}
			default:
				got := decode[struct{ Evaluations []decision }](t, r).Evaluations
				for i, q := range questions[allowed:] {
					if len(got) != len(questions) || got[allowed+i].allowed() {
						t.Errorf("%s of %q: %v is allowed: %v", what, key, q, got[allowed+i])
					}
				}
			}
			o.redo(t, "DEL", key)
			o.redo(t, "RESTORE", key, "0", saved.(string))
		}
	}
	t.Logf("%d damages, %d batches refused", damaged, refusals)
	if again, n := o.sorted(t); n != allowed || len(again) != len(questions) {
		t.Errorf("%d questions are allowed after everything was put back, expected %d", n, allowed)
	}

	for what, command := range map[string][]string{"a string": {"SET", "", "rubbish"}, "a set": {"SADD", "", "a"}, "a hash": {"HSET", "", "found", "1"}, "a list": {"RPUSH", "", "1"}} {
		for _, key := range o.keys(t) {
			o.redo(t, "DEL", key)
			o.redo(t, command[0], append([]string{key}, command[2:]...)...)
		}
		o.nothingAllowed(t, "every key is "+what, questions)
	}
	o.redo(t, "FLUSHALL")
	o.revision = ""
	o.nothingAllowed(t, "flushed", questions)
	o.deny(t, "ann", "view", patient("p-1"), "organisation_unknown")
	o.load(t)
	o.recovers(t)
}

func (o *outage) nothingAllowed(t *testing.T, what string, questions []question) {
	t.Helper()
	for _, q := range questions {
		r := post(t, o.url("/access/v1/evaluation"), q)
		if r.status == http.StatusOK && decode[decision](t, r).allowed() {
			t.Errorf("%s: %v is allowed", what, q)
		} else if r.status != http.StatusOK {
			refusedWithOneOf(t, what, r, []int{http.StatusServiceUnavailable, http.StatusInternalServerError})
		}
	}
}

// practiceForDamage is the practice without what the clinic says otherwise.
func practiceForDamage() []record {
	return merge(clinic(), merge(practice(), patientIn("diabetes", "p-1"), patientIn("aftercare", "p-2").caredForBy("cara"), patientIn("nobody's", "p-3"))...)
}

// sorted returns the questions that the damage is judged by, the allowed ones
// first, and how many these are.
func (o *outage) sorted(t *testing.T) ([]question, int) {
	t.Helper()
	var yes, no []question
	var all []question
	for _, who := range []string{"ann", "cara", "drew", "max", "newcomer", "blind", "powerless", "desk", "window", "bookable", "nobody"} {
		for _, p := range []string{"p-1", "p-2", "p-3", "p-404"} {
			all = append(all, ask(who, "view", patient(p)), ask(who, "update", patient(p)), ask(who, "create", patient(p)), ask(who, "delete", patient(p)),
				ask(who, "book", provider("bookable").of(p)), ask(who, "create", appointment("a").of(p).with("for-aftercare")))
		}
		all = append(all, ask(who, "view", report("r").on("diabetes")), ask(who, "view", thing("stock")), ask(who, "view", provider("idle")))
	}
	for _, p := range []string{"p-1", "p-2", "p-404"} {
		for _, pr := range []string{"bookable", "for-aftercare", "idle", "clerk", "nobody"} {
			all = append(all, ask(patient(p), "book", provider(pr)), ask(patient(p), "view", provider(pr)))
		}
	}
	for i, got := range o.batch(t, all) {
		if got.allowed() {
			yes = append(yes, all[i])
		} else {
			no = append(no, all[i])
		}
	}
	require(t, len(yes) >= 10 && len(no) >= 100, "%d allowed and %d denied questions are too few", len(yes), len(no))
	return append(yes, no...), len(yes)
}

func (o *outage) redo(t *testing.T, command string, args ...string) any {
	t.Helper()
	return try(o.redis.Do(append([]string{command}, args...)...)).must(t)
}

func (o *outage) keys(t *testing.T) []string {
	t.Helper()
	return slices.Sorted(slices.Values(textsOf(o.redo(t, "KEYS", "*").([]any))))
}

// damages returns what can be done to a key: lists of commands by what they
// do.
func (o *outage) damages(t *testing.T, key string) map[string][][]string {
	t.Helper()
	remove := []string{"DEL", key}
	out := map[string][][]string{
		"deletion":               {remove},
		"a string in the place":  {{"SET", key, "rubbish"}},
		"a set in the place":     {remove, {"SADD", key, "rubbish"}},
		"a hash in the place":    {remove, {"HSET", key, "rubbish", "rubbish"}},
		"a list in the place":    {remove, {"RPUSH", key, "rubbish"}},
		"a sorted set":           {remove, {"ZADD", key, "1", "rubbish"}},
		"a stream in the place":  {remove, {"XADD", key, "*", "rubbish", "rubbish"}},
		"a huge number in place": {{"SET", key, "18446744073709551616"}},
	}
	rubbish := []string{"", "null", "{}", "[]", "rubbish", "1", "-1", "\x00\xff", `{"found":true}`, `{"id":`, strings.Repeat("[", 10_000)}
	switch kind := o.redo(t, "TYPE", key); kind {
	case "hash":
		for _, field := range textsOf(o.redo(t, "HKEYS", key).([]any)) {
			out["removal of the field "+field] = [][]string{{"HDEL", key, field}}
			for i, value := range rubbish {
				out[fmt.Sprintf("value %d in the field %s", i, field)] = [][]string{{"HSET", key, field, value}}
			}
		}
		out["an unknown field"] = [][]string{{"HSET", key, "superuser", "true"}}
	case "zset":
		out["rubbish in the set"] = [][]string{{"ZADD", key, "0", "rubbish", "0", "", "0", "{}"}}
		out["half of the set"] = [][]string{{"ZREMRANGEBYRANK", key, "0", "0"}}
		out["another order of the set"] = [][]string{{"ZADD", key, "1e300", "rubbish"}}
	case "stream":
		out["an entry too many"] = [][]string{{"XADD", key, "*", "prev", "rubbish"}}
		out["an entry like ours"] = [][]string{{"XADD", key, "3-0", "prev", "", "nonce", "rubbish", "at", "0", "by", "", "via", "api", "req", "", "images", ""}}
		out["no entry"] = [][]string{{"XTRIM", key, "MAXLEN", "0"}}
	default:
		t.Fatalf("%q is a %v, and nobody knows how to damage it", key, kind)
	}
	return out
}

// textsOf are the texts of a list in a reply of Redis.
func textsOf(list []any) []string {
	out := make([]string, 0, len(list))
	for _, item := range list {
		out = append(out, fmt.Sprint(item))
	}
	return out
}
