package acceptance

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/redistest"
)

// TestReadyIsThatDecisionsCanBeMade has a Redis that answers PING and no question, and
// one that answers questions and no PING. Readiness, the command for probes and the
// answers themselves say the same, and why.
func TestReadyIsThatDecisionsCanBeMade(t *testing.T) {
	t.Parallel()
	reader := func(redis *redistest.Server, rule string) []string {
		try(redis.Do(strings.Fields("ACL SETUSER reader reset on >pw %R~cg:* " + rule)...)).must(t)
		return []string{"--redis", strings.Replace(redis.URL(), "://", "://reader:pw@", 1)}
	}
	do := func(args ...string) func(*redistest.Server) []string {
		return func(redis *redistest.Server) []string {
			if _, err := redis.Do(args...); err != nil {
				t.Error(err)
			}
			return []string{"--redis", redis.URL()}
		}
	}
	const head = "cg:{riverside}:head"
	for name, c := range map[string]struct {
		start []string
		spoil func(*redistest.Server) []string // returns the flags of the sidecar
		word  string                           // "" if decisions can be made
	}{
		"no EVALSHA_RO for the user": {nil, func(r *redistest.Server) []string {
			return reader(r, "+hello +eval_ro +hgetall +zscore +info|replication")
		}, "NOPERM"},
		"no INFO for the user": {nil, func(r *redistest.Server) []string { return reader(r, "+hello +eval_ro +evalsha_ro +hgetall +zscore") }, "NOPERM"},
		"no PING for the user": {nil, func(r *redistest.Server) []string {
			return reader(r, "+hello +eval_ro +evalsha_ro +hgetall +zscore +xread +info|replication")
		}, ""},
		"a wrong password": {nil, func(r *redistest.Server) []string {
			return []string{"--redis", strings.Replace(r.URL(), "://", "://reader:wrong@", 1)}
		}, "WRONGPASS"},
		"a command that was renamed": {[]string{"--rename-command", "EVALSHA_RO", ""}, do("PING"), "unknown command"},
		"too few replicas":           {[]string{"--min-replicas-to-write", "0"}, func(r *redistest.Server) []string { return []string{"--redis", r.URL(), "--min-replicas", "1"} }, "min-replicas"},
		"facts of a newer schema":    {nil, do("HSET", head, "schema", "99"), "schema 99"},
		"a head of another type":     {nil, func(r *redistest.Server) []string { do("DEL", head)(r); return do("SET", head, "x")(r) }, "WRONGTYPE"},
		"a replica":                  {nil, do("REPLICAOF", "127.0.0.1", "1"), "READONLY"},
		"no organisation yet":        {nil, do("FLUSHALL"), ""},
		"a snapshot that failed": {[]string{"--save", "900 1", "--dbfilename", "taken"}, func(r *redistest.Server) []string {
			if err := os.Mkdir(filepath.Join(r.Dir, "taken"), 0o700); err != nil {
				t.Error(err)
			}
			flags := do("BGSAVE")(r)
			eventually(t, "the snapshot has failed", func() bool {
				_, err := r.Do("PING")
				return err != nil && strings.Contains(err.Error(), "MISCONF")
			})
			return flags
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			redis := redisWith(t, clinic(), c.start...)
			s := serveAnyway(t, nil, slices.Concat(c.spoil(redis), shortTimeouts)...)
			eventually(t, "a look at Redis", func() bool {
				return !strings.Contains(string(get(t, s.diagnostic()+"/health/ready").body), "starting")
			})
			health, decided := get(t, s.diagnostic()+"/health/ready"), post(t, s.decisions()+"/access/v1/evaluation", allowedThere)
			probe := run(t, "", "healthcheck", "--diagnostic-addr", strings.TrimPrefix(s.diagnostic(), "http://"))
			want := http.StatusServiceUnavailable
			if c.word == "" {
				want = http.StatusOK
			}
			check(t, health.status == want && strings.Contains(string(health.body), c.word), "readiness: %v, expected %d and %q", health, want, c.word)
			check(t, decided.status == want && strings.Contains(string(decided.body), c.word), "a decision: %v, expected %d and %q", decided, want, c.word)
			if ready := probe.code == 0; ready != (c.word == "") || !strings.Contains(probe.stderr, c.word) {
				t.Errorf("healthcheck: %d %s", probe.code, probe.stderr)
			}
		})
	}
}

// TestNothingOfWhatRedisSaysGoesOn has a server that repeats ids in its errors, as Redis
// does with what it was asked, and looks for them in all that a sidecar says.
func TestNothingOfWhatRedisSaysGoesOn(t *testing.T) {
	t.Parallel()
	traces, redis := newCollector(t), redisWith(t, clinic())
	m := newMeddler(t, redis.Addr())
	s := serveAnyway(t, traces.environment(), append([]string{"--redis", m.url(), "--log-level", "debug", "--max-staleness", "100ms"}, shortTimeouts...)...)
	eventually(t, "a decision", func() bool {
		return post(t, s.decisions()+"/access/v1/evaluation", allowedThere).status == http.StatusOK
	})
	const canary = "zqxcanary9vk"
	answers := ""
	for _, said := range []string{
		"-ERR unknown command 'EVALSHA_RO', with args beginning with: 'team_member' '" + canary + "'\r\n", "-" + canary + " of our own\r\n",
		"-NOPERM no permissions for '" + canary + "'\r\n", "-WRONGTYPE " + canary + "\r\n", "-READONLY " + canary + "\r\n", "-MOVED 1 " + canary + ":1\r\n",
		"-LOADING " + canary + "\r\n", "-ERR " + canary + "\r\n", "+" + canary + "\r\n", "?" + canary + "\r\n", "!12\r\n" + canary + "\r\n",
		"*1\r\n$12\r\n" + canary + "\r\n", "*1\r\n-ERR " + canary + "\r\n", "$3\r\n" + canary + "\r\n", ":" + canary + "\r\n", "%1\r\n+" + canary + "\r\n+" + canary + "\r\n",
	} {
		m.say(func([]byte) ([]byte, bool) { return []byte(said), false })
		eventually(t, "no decision", func() bool {
			r := post(t, s.decisions()+"/access/v1/evaluation", allowedThere)
			answers += string(r.body)
			return r.status != http.StatusOK
		})
		for path, body := range map[string]any{
			"/v1/data/authz/allow": allowedThere.data(), "/v1/permissions": map[string]any{"team_member": "ann"},
			"/access/v1/search/resource": map[string]any{"subject": allowedThere.Subject, "action": allowedThere.Action, "resource": map[string]any{"type": "patient"}},
		} {
			answers += string(post(t, s.decisions()+path, body).body)
		}
		answers += string(get(t, s.diagnostic()+"/health/ready").body)
		time.Sleep(100 * time.Millisecond) // the feed and the looks at the head meet it as well
	}
	metrics := s.metrics(t)
	m.say(nil)
	s.end(t)
	for where, text := range map[string]string{
		"an answer": answers, "the metrics": metrics, "the log": s.Log.String(), "the traces": traces.text(),
	} {
		check(t, len(text) >= 100, "%s says nothing", where)
		if strings.Contains(text, canary) {
			t.Errorf("%s repeats what Redis said: %s", where, around(text, canary))
		}
	}
}
