package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/soak"
)

// crash is an organisation on a Redis that keeps a log of what is written, and
// who changes it, all at once.
type crash struct {
	redis *redistest.Server
	seed  uint64

	mu           sync.Mutex
	acknowledged string // the highest revision that anybody was told of
	count        uint64
	changes      int
}

const crashGroups, crashMembers, crashPatients = 4, 6, 40

func newCrash(t *testing.T, fsync string) *crash {
	t.Helper()
	redis := try(redistest.Start(t.TempDir(), "--appendonly", "yes", "--appendfsync", fsync)).must(t)
	c := &crash{redis: redis, seed: soak.Seed(t)}
	records := []record{role("admin", "*:*", "patient:view_all"), role("nurse", "patient:view")}
	for i := range crashGroups {
		records = append(records, patientGroup(id("g", i)))
	}
	records = append(records, teamMember("ada").holding("admin"))
	for i := range crashMembers {
		records = append(records, teamMember(id("m", i)).holding("nurse").bookableBy(id("g", i%crashGroups)))
	}
	for i := range crashPatients {
		records = append(records, patientIn(id("g", i%crashGroups), id("p", i)))
	}
	mustRun(t, string(lines(records)), "import", "--redis", redis.URL())
	return c
}

func id(kind string, i int) string { return kind + "-" + strconv.Itoa(i) }

func (c *crash) administer(t *testing.T) *server {
	t.Helper()
	s := start(t, nil, "--redis", c.redis.URL(), "--admin-addr", "127.0.0.1:0")
	noError(t, s.WaitReady())
	return s
}

// write changes something through a sidecar, and remembers what it acknowledged.
func (c *crash) write(ctx context.Context, s *server, r *rand.Rand) {
	member, patient, group := id("m", r.IntN(crashMembers)), id("p", r.IntN(crashPatients)), id("g", r.IntN(crashGroups))
	method, path, body := http.MethodPut, "", any(nil)
	switch r.IntN(6) {
	case 0, 1: // a move
		path, body = "patients/"+patient, map[string]any{"patient_group": group, "care_team": []string{member}}
	case 2:
		path, body = "team-members/"+member, map[string]any{
			"role": "nurse", "provider": true, "access": []string{group, id("g", r.IntN(crashGroups))}, "booking": []string{group},
		}
	case 3:
		method, path = http.MethodDelete, "patients/"+patient+"?cascade=true"
	default:
		method, path = http.MethodPost, "bookings"
		body = map[string]any{"id": id("b", r.IntN(200)), "patient": patient, "provider": member}
	}
	got, err := send(ctx, method, s.URL("admin")+"/directory/v1/"+path, body, "Caregate-Actor", "ada")
	if err != nil || got.status >= http.StatusMultipleChoices {
		return
	}
	token := got.header.Get("Caregate-Revision")
	text, _, _ := strings.Cut(token, ".")
	count, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	if count > c.count {
		c.count, c.acknowledged = count, token
	}
}

// during lets four writers at each sidecar change what they can until meddle
// returns.
func (c *crash) during(t *testing.T, round int, sidecars []*server, meddle func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for i, s := range sidecars {
		for j := range 4 {
			group.Go(func() {
				r := rand.New(rand.NewPCG(c.seed, uint64(100*round+10*i+j)))
				for ctx.Err() == nil {
					c.write(ctx, s, r)
				}
			})
		}
	}
	meddle()
	cancel()
	group.Wait()
}

// wrote waits until so many more changes were acknowledged.
func (c *crash) wrote(t *testing.T, more int) {
	t.Helper()
	number := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.changes
	}
	before := number()
	eventually(t, "changes are acknowledged", func() bool { return number() >= before+more })
}

// intact fails the test unless an audit finds no breach.
func (c *crash) intact(t *testing.T, organisation string) {
	t.Helper()
	ends(t, run(t, "", "audit", "--redis", c.redis.URL(), "--organisation", organisation), 0, "caregate audit")
}

// kept fails the test unless what was acknowledged is there.
func (c *crash) kept(t *testing.T, s *server) {
	t.Helper()
	eventually(t, "the sidecar answers for what was acknowledged", func() bool {
		got, err := send(t.Context(), http.MethodPost, s.decisions()+"/access/v1/evaluation", ask("ada", "view", patient("p-0")), "Caregate-At-Least", c.acknowledged)
		require(t, err != nil || got.status != http.StatusPreconditionFailed, "revision %s was acknowledged and is lost: %v", c.acknowledged, got)
		return err == nil && got.status == http.StatusOK
	})
}

// Redis is killed in mid-write, again and again. What it comes back with is whole, and has
// everything that was acknowledged if it syncs always: otherwise it puts off what it
// writes while the disk is slow, and acknowledges all the same.
func TestRedisKilledInMidWrite(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"always", "everysec"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			c := newCrash(t, fsync)
			sidecars := []*server{c.administer(t), c.administer(t)}
			for round := range 3 {
				c.during(t, round, sidecars, func() {
					c.wrote(t, 100)
					c.redis.Kill()
				})
				noError(t, c.redis.Restart())
				c.intact(t, "riverside")
				if fsync == "always" {
					c.kept(t, sidecars[round%2])
				}
			}
			c.during(t, 9, sidecars, func() { c.wrote(t, 50) })
			c.intact(t, "riverside")
		})
	}
}

// A sidecar is killed while it is written through. The facts are whole, another one
// goes on, and a third that was there all the time notices nothing.
func TestSidecarKilledInMidWrite(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "everysec")
	stays := c.administer(t)
	for round := range 3 {
		dies := c.administer(t)
		c.during(t, round, []*server{dies, stays}, func() {
			c.wrote(t, 100)
			dies.Kill()
			c.wrote(t, 20)
		})
		c.intact(t, "riverside")
		c.kept(t, stays)
	}
}

// An import is killed in the middle. What is there is whole; the same import again
// finishes it, and leaves what one that nobody disturbed leaves.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "everysec")
	file := filepath.Join(t.TempDir(), "facts.jsonl")
	var b strings.Builder
	b.Write(lines([]record{role("admin", "*:*"), teamMember("ada").holding("admin"), teamMember("m-0").asProvider(), patientGroup("g-0"), patientGroup("g-1")}))
	const patients = 40_000
	for i := range patients {
		fmt.Fprintf(&b, `{"kind":"patient","id":"p-%d","patient_group":"g-%d","care_team":["m-0"]}`+"\n", i, i%2)
	}
	noError(t, os.WriteFile(file, []byte(b.String()), 0o600))
	revision := func() int {
		text, _ := c.redis.Do("HGET", "cg:{disturbed}:head", "rev")
		number, _ := text.(string)
		n, _ := strconv.Atoi(number)
		return n
	}
	for _, at := range []int{3, 12, 20} {
		command := caregate(nil, "import", "--redis", c.redis.URL(), "--organisation", "disturbed", file)
		noError(t, command.Start())
		eventually(t, "the import has come some way", func() bool { return revision() >= at })
		_ = command.Process.Kill()
		_ = command.Wait()
		if command.ProcessState.Success() {
			t.Fatalf("the import was over at revision %d: the test shows little", revision())
		}
		c.intact(t, "disturbed")
	}
	for _, organisation := range []string{"disturbed", "calm"} {
		mustRun(t, "", "import", "--redis", c.redis.URL(), "--organisation", organisation, file)
	}
	c.intact(t, "disturbed")
	export := func(organisation string) string {
		return mustRun(t, "", "export", "--redis", c.redis.URL(), "--organisation", organisation).stdout
	}
	if disturbed, calm := export("disturbed"), export("calm"); disturbed != calm || strings.Count(calm, `"patient"`) != patients {
		t.Errorf("%d bytes after a disturbed import, %d after a calm one", len(disturbed), len(calm))
	}
}

// Each kind of damage that half a change could leave is a breach, and the exit code
// says so.
func TestAuditFindsHalfAChange(t *testing.T) {
	t.Parallel()
	c := newCrash(t, "everysec")
	c.intact(t, "riverside")
	for what, command := range map[string][]string{
		"one side of a relationship":  {"ZREM", "cg:{riverside}:bookable:g-0", "m-0"},
		"the other side":              {"HDEL", "cg:{riverside}:team_member:m-1", "b:g-1"},
		"a patient without a group":   {"HDEL", "cg:{riverside}:patient:p-0", "patient_group"},
		"a patient in another group":  {"HSET", "cg:{riverside}:patient:p-1", "patient_group", "g-3"},
		"an entity that is gone":      {"DEL", "cg:{riverside}:patient:p-2"},
		"one that is not listed":      {"ZREM", "cg:{riverside}:ids:patient", "p-3"},
		"a revision without a change": {"HSET", "cg:{riverside}:head", "rev", "77"},
		"a change that is gone":       {"DEL", "cg:{riverside}:changes"},
		"a key that nobody wrote":     {"SET", "cg:{riverside}:patients", "1"},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCrash(t, "everysec")
			try(c.redis.Do(command...)).must(t)
			got := run(t, "", "audit", "--redis", c.redis.URL())
			check(t, got.code == 2 && got.stdout != "", "exit code %d\n%s%s", got.code, got.stdout, got.stderr)
		})
	}
}
