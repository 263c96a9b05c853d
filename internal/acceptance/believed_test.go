package acceptance

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/redistest"
)

// started starts a sidecar over a Redis that may not be right, and stops it with the
// test.
func started(t *testing.T, options serverOptions, flags ...string) *server {
	t.Helper()
	s, err := launch(options, append(flags, shortTimeouts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, startTimeout, "it listens", func() bool { return s.health("/health/live") == http.StatusOK })
	return s
}

// TestReadyIsThatDecisionsCanBeMade has a Redis that answers PING and no question, and
// one that answers questions and no PING. Readiness, the command for probes and the
// answers themselves say the same, and why.
func TestReadyIsThatDecisionsCanBeMade(t *testing.T) {
	t.Parallel()
	reader := func(redis *redisServer, rule string) []string {
		if _, err := redis.do(strings.Fields("ACL SETUSER reader reset on >pw %R~cg:* " + rule)...); err != nil {
			t.Fatal(err)
		}
		return []string{"--redis", strings.Replace(redis.url(), "://", "://reader:pw@", 1)}
	}
	do := func(args ...string) func(*redisServer) []string {
		return func(redis *redisServer) []string {
			if _, err := redis.do(args...); err != nil {
				t.Error(err)
			}
			return []string{"--redis", redis.url()}
		}
	}
	const head = "cg:{riverside}:head"
	for name, c := range map[string]struct {
		start []string
		spoil func(*redisServer) []string // returns the flags of the sidecar
		word  string                      // "" if decisions can be made
	}{
		"no EVALSHA_RO for the user": {nil, func(r *redisServer) []string { return reader(r, "+hello +eval_ro +hgetall +zscore +info|replication") }, "NOPERM"},
		"no INFO for the user":       {nil, func(r *redisServer) []string { return reader(r, "+hello +eval_ro +evalsha_ro +hgetall +zscore") }, "NOPERM"},
		"no PING for the user": {nil, func(r *redisServer) []string {
			return reader(r, "+hello +eval_ro +evalsha_ro +hgetall +zscore +xread +info|replication")
		}, ""},
		"a wrong password": {nil, func(r *redisServer) []string {
			return []string{"--redis", strings.Replace(r.url(), "://", "://reader:wrong@", 1)}
		}, "WRONGPASS"},
		"a command that was renamed": {[]string{"--rename-command", "EVALSHA_RO", ""}, do("PING"), "unknown command"},
		"too few replicas":           {[]string{"--min-replicas-to-write", "0"}, func(r *redisServer) []string { return []string{"--redis", r.url(), "--min-replicas", "1"} }, "min-replicas"},
		"facts of a newer schema":    {nil, do("HSET", head, "schema", "99"), "schema 99"},
		"a head of another type":     {nil, func(r *redisServer) []string { do("DEL", head)(r); return do("SET", head, "x")(r) }, "WRONGTYPE"},
		"a replica":                  {nil, do("REPLICAOF", "127.0.0.1", "1"), "READONLY"},
		"no organisation yet":        {nil, do("FLUSHALL"), ""},
		"a snapshot that failed": {[]string{"--save", "900 1", "--dbfilename", "taken"}, func(r *redisServer) []string {
			if err := os.Mkdir(filepath.Join(r.Dir, "taken"), 0o700); err != nil {
				t.Error(err)
			}
			flags := do("BGSAVE")(r)
			eventually(t, 10*time.Second, "the snapshot has failed", func() bool {
				_, err := r.do("PING")
				return err != nil && strings.Contains(err.Error(), "MISCONF")
			})
			return flags
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			own, err := redistest.Start(t.TempDir(), c.start...)
			if err != nil {
				t.Fatal(err)
			}
			redis := &redisServer{own, own.Port}
			t.Cleanup(redis.kill)
			mustRun(t, string(lines(clinic())), "import", "--redis", redis.url(), "--organisation", "riverside")
			s := started(t, serverOptions{}, c.spoil(redis)...)
			eventually(t, startTimeout, "a look at Redis", func() bool {
				return !strings.Contains(string(get(t, s.diagnostic()+"/health/ready").body), "starting")
			})
			health, decided := get(t, s.diagnostic()+"/health/ready"), post(t, s.decisions()+"/access/v1/evaluation", allowedThere)
			probe := run(t, "", "healthcheck", "--diagnostic-addr", strings.TrimPrefix(s.diagnostic(), "http://"))
			want := http.StatusServiceUnavailable
			if c.word == "" {
				want = http.StatusOK
			}
			if health.status != want || !strings.Contains(string(health.body), c.word) {
				t.Errorf("readiness: %v, expected %d and %q", health, want, c.word)
			}
			if decided.status != want || !strings.Contains(string(decided.body), c.word) {
				t.Errorf("a decision: %v, expected %d and %q", decided, want, c.word)
			}
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
	traces := &collector{}
	receiver := httptest.NewServer(traces)
	t.Cleanup(receiver.Close)
	redis, err := startRedis(t.TempDir(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.kill)
	mustRun(t, string(lines(clinic())), "import", "--redis", redis.url(), "--organisation", "riverside")
	m := newMeddler(t, redis.addr())
	s := started(t, serverOptions{env: []string{
		"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_ENDPOINT=" + receiver.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50",
	}}, "--redis", m.url(), "--log-level", "debug", "--max-staleness", "100ms")
	eventually(t, 10*time.Second, "a decision", func() bool {
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
		eventually(t, 10*time.Second, "no decision", func() bool {
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
	metrics := get(t, s.diagnostic()+"/metrics")
	m.say(nil)
	if err := s.stop(); err != nil { // and the last spans are sent
		t.Error(err)
	}
	for where, text := range map[string]string{
		"an answer": answers, "the metrics": string(metrics.body), "the log": s.log.String(), "the traces": traces.text(),
	} {
		if len(text) < 100 {
			t.Errorf("%s says nothing", where)
		}
		if strings.Contains(text, canary) {
			t.Errorf("%s repeats what Redis said: %s", where, around(text, canary))
		}
	}
}

// around returns a text where something stands in it.
func around(text, what string) string {
	at := strings.Index(text, what)
	return text[max(0, at-200):min(len(text), at+200)]
}
