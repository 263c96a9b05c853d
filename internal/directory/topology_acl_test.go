package directory

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/audit"
	"github.com/caregate/caregate/internal/redistest"
	"github.com/caregate/caregate/internal/search"
)

// aclRule is one line of docs/operating.md that makes a user.
type aclRule struct {
	user, password string
	rule           []string // ACL SETUSER …
}

// aclRules reads what operators are told to enter.
func aclRules(t *testing.T) map[string]aclRule {
	t.Helper()
	text, err := os.ReadFile("../../docs/operating.md")
	must(t)(err)
	rules := map[string]aclRule{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[0] != "ACL" || fields[1] != "SETUSER" {
			continue
		}
		r := aclRule{user: fields[2], rule: fields}
		for _, f := range fields {
			if password, ok := strings.CutPrefix(f, ">"); ok {
				r.password = password
			}
		}
		rules[strings.TrimPrefix(r.user, "caregate-")] = r
	}
	for _, user := range []string{"reader", "writer", "auditor", "sentinel"} {
		if rules[user].password == "" {
			t.Fatalf("docs/operating.md makes no user caregate-%s", user)
		}
	}
	return rules
}

// allowed are the commands that the rule gives.
func (r aclRule) allowed() []string {
	var out []string
	for _, f := range r.rule {
		if command, ok := strings.CutPrefix(f, "+"); ok {
			out = append(out, command)
		}
	}
	return out
}

// but returns the rule without one command.
func (r aclRule) but(command string) aclRule {
	r.rule = slices.DeleteFunc(slices.Clone(r.rule), func(f string) bool { return f == "+"+command })
	return r
}

// made makes the user, and lets the default one do nothing.
func (r aclRule) made(t *testing.T, s *redistest.Server) {
	t.Helper()
	_, err := s.Do(r.rule...)
	must(t)(err)
}

func (r aclRule) url(s *redistest.Server) string {
	return "redis://" + r.user + ":" + r.password + "@" + s.Addr()
}

// decides does what a sidecar does that only decides.
func decides(t *testing.T, url string, cfg CacheConfig, change func() authz.Revision) error {
	d, err := Open(Config{URL: url})
	if err != nil {
		return err
	}
	cfg.MaxStaleness = exactStaleness
	c, err := NewCache(d, cfg)
	must(t)(err)
	defer func() { _ = c.Close() }()
	if err := retried(func() error { return c.Ready(t.Context(), exactOrganisation) }); err != nil {
		return err
	}
	keys := []authz.Key{member("eve"), member("nobody"), {Kind: authz.KindPatient, ID: "p-1"}}
	read := func(fresh authz.Freshness) func() error {
		return func() error {
			facts, err := c.Read(t.Context(), exactOrganisation, keys, fresh)
			if err == nil && (!facts.Get(keys[0]).Found || facts.Get(keys[1]).Found) {
				return errors.New("it reads something else")
			}
			return err
		}
	}
	if cfg.MinReplicas > 0 { // which it has to see first
		if err := redistest.Await(5*time.Second, "it believes the master", func() bool { return read(authz.Freshness{})() == nil }); err != nil {
			return err
		}
	}
	if err := retried(read(authz.Freshness{})); err != nil {
		return err
	}
	before := change()
	change()
	if err := retried(read(authz.Freshness{AtLeast: before, Full: true})); err != nil {
		return err
	}
	if err := retried(func() error { // not by what the cache remembers
		_, err := d.Read(t.Context(), exactOrganisation, keys, authz.Freshness{AtLeast: before})
		return err
	}); err != nil {
		return err
	}
	if err := retried(func() error { return searches(t, c) }); err != nil {
		return err
	}
	return redistest.Await(3*time.Second, "it follows the changes and answers from memory", func() bool {
		revision := change()
		for range 20 {
			time.Sleep(5 * time.Millisecond)
			before := c.Stats()
			facts, err := c.Read(t.Context(), exactOrganisation, keys, authz.Freshness{})
			now := c.Stats()
			if err == nil && facts.Revision == revision && facts.Get(keys[0]).Found && !facts.Get(keys[1]).Found && now.Hits > before.Hits && now.Misses == before.Misses {
				return true
			}
		}
		return false
	})
}

// searches does what searches, filters and previews do.
func searches(t *testing.T, c *Cache) error {
	asked := search.Range{
		Kind: authz.KindPatient, Indexes: []search.Index{{}, {Relation: admin.PatientGroupOf, To: "open"}}, IDs: []string{"p-1", "p-404"}, Limit: 10,
		Facts: true, Basis: []admin.Expectation{{Key: member("nobody")}},
	}
	found, err := c.Range(t.Context(), exactOrganisation, asked, authz.Freshness{})
	if err != nil {
		return err
	}
	if len(found.IDs) == 0 || !found.Facts.Get(patient("p-1")).Found {
		return fmt.Errorf("it finds %+v", found)
	}
	asked.Basis = []admin.Expectation{{Key: patient("p-1"), Since: found.Facts.Get(patient("p-1")).Since}}
	if _, err := c.Range(t.Context(), exactOrganisation, asked, authz.Freshness{}); err != nil {
		return err
	}
	if _, _, err := c.Sizes(t.Context(), exactOrganisation, authz.KindPatient, asked.Indexes); err != nil {
		return err
	}
	// One ends references, the other looks for them.
	for _, edit := range []admin.Edit{
		{Op: admin.Delete, Key: member("eve"), Cascade: true}, {Op: admin.Delete, Key: patientGroup("open"), Cascade: true},
	} {
		change := admin.Change{Edits: []admin.Edit{edit}, Expect: []admin.Expectation{asked.Basis[0]}}
		preview, err := c.Preview(t.Context(), exactOrganisation, change)
		if err != nil {
			return err
		}
		if len(preview.Altered) == 0 {
			return errors.New("it foresees nothing")
		}
	}
	return nil
}

// retried asks again when a machine is busy.
func retried(do func() error) error {
	err := do()
	for range 2 {
		if err == nil || authz.KindOf(err) != authz.Unavailable && authz.KindOf(err) != authz.Timeout || strings.Contains(err.Error(), "NOPERM") {
			return err
		}
		err = do()
	}
	return err
}

// administers does what who writes does: changes of all kinds, imports, lists,
// history, and waiting for changes.
func administers(t *testing.T, url string) error {
	d, err := Open(Config{URL: url, ChangesKept: 3})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	const organisation = "aclclinic"
	r := rand.New(rand.NewPCG(4, 4))
	refused := func(err error) error {
		switch authz.KindOf(err) {
		case authz.Unavailable, authz.Timeout, authz.Internal:
			return err
		}
		return nil // a change that does not fit
	}
	commit := func(edits ...admin.Edit) error {
		_, err := d.Commit(t.Context(), organisation, admin.Change{Edits: edits, Author: admin.Author{Via: "api"}})
		if err != nil {
			return refused(err)
		}
		return nil
	}
	if err := commit(wholeClinic(r)...); err != nil {
		return err
	}
	for range 150 {
		if err := commit(someEdits(r, anyOf(r, "b", 8))...); err != nil {
			return err
		}
	}
	expected := admin.Change{
		Author: admin.Author{Via: "api"}, Edits: []admin.Edit{{Op: admin.Put, Record: someRecord(r, authz.KindRole, 0)}},
		Expect: []admin.Expectation{{Key: authz.Key{Kind: authz.KindRole, ID: name("role", 0)}, Since: authz.Revision{Count: 1, Nonce: "x"}}},
	}
	if _, err := d.Commit(t.Context(), organisation, expected); refused(err) != nil && err != nil {
		return err
	}
	if _, err := d.Import(t.Context(), organisation, strings.NewReader(strings.Join(smallClinic(), "\n")), ImportOptions{}); err != nil {
		return err
	}
	if _, _, err := d.Records(t.Context(), organisation, []authz.Key{member("eve")}); err != nil {
		return err
	}
	if _, err := d.List(t.Context(), organisation, authz.KindPatient, "", 10); err != nil {
		return err
	}
	history, err := d.History(t.Context(), organisation, admin.Place{}, 10)
	if err != nil {
		return err
	}
	if err := d.Wait(t.Context(), organisation, history.Oldest); err != nil {
		return err
	}
	_, err = d.Export(t.Context(), organisation, new(bytes.Buffer))
	return err
}

// audits does what audits and exports do.
func audits(t *testing.T, url string) error {
	d, err := Open(Config{URL: url})
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	audited, err := d.Audit(t.Context(), exactOrganisation, audit.Config{})
	if err != nil {
		return err
	}
	if audited.Breaches > 0 {
		return fmt.Errorf("audit: %+v", audited)
	}
	_, err = d.Export(t.Context(), exactOrganisation, new(bytes.Buffer))
	return err
}

// aclScene is a Redis with an organisation, and something of others.
func aclScene(t *testing.T) (*redistest.Server, func() authz.Revision) {
	t.Helper()
	server, err := redistest.Start(t.TempDir())
	must(t)(err)
	t.Cleanup(server.Kill)
	direct := openFor(t, server.URL())
	t.Cleanup(func() { closed(t, direct) })
	lines := append(smallClinic(),
		`{"kind":"team_member","id":"doc","provider":true,"booking":["open"]}`,
		`{"kind":"booking","id":"b-1","patient":"p-1","provider":"doc","state":"booked"}`)
	_, err = direct.Import(t.Context(), exactOrganisation, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{})
	must(t)(err)
	_, err = server.Do("HSET", "other:x", "a", "1")
	must(t)(err)
	op := admin.Link
	return server, func() authz.Revision {
		t.Helper()
		if op == admin.Link {
			op = admin.Unlink
		} else {
			op = admin.Link
		}
		done, err := direct.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(op, "closed")}, Author: admin.Author{Via: "api"}})
		must(t)(err)
		return done.Revision
	}
}

// With the rules of docs/operating.md every user can do what it is for. Without any
// one of the commands it cannot: none of them is there for nothing.
func TestUsersOfDeploy(t *testing.T) {
	t.Parallel()
	rules := aclRules(t)
	server, change := aclScene(t)
	for user, does := range map[string]func(url string) error{
		"reader": func(url string) error { return decides(t, url, CacheConfig{}, change) },
		"writer": func(url string) error {
			return errors.Join(administers(t, url), decides(t, url, CacheConfig{}, change))
		},
		"auditor": func(url string) error { return audits(t, url) },
	} {
		t.Run(user, func(t *testing.T) {
			rule := rules[user]
			rule.made(t, server)
			if err := does(rule.url(server)); err != nil {
				t.Fatalf("%s: %v", user, err)
			}
			for _, command := range rule.allowed() {
				if command == "hello" {
					continue // go-redis does without as well
				}
				rule.but(command).made(t, server)
				_, err := server.Do("SCRIPT", "FLUSH") // as after a start of Redis
				must(t)(err)
				if does(rule.url(server)) == nil {
					t.Errorf("caregate-%s does not need +%s", user, command)
				}
			}
		})
	}
}

// No user can do anything else.
func TestUsersOfDeployCanDoNothingElse(t *testing.T) {
	t.Parallel()
	rules := aclRules(t)
	server, change := aclScene(t)
	change()
	const head = headOfExact
	writes := [][]string{
		{"SET", "cg:{x}:a", "b"}, {"DEL", head}, {"HSET", head, "rev", "1"}, {"HDEL", head, "rev"}, {"EXPIRE", head, "1"}, {"RENAME", head, "cg:{x}:a"},
		{"ZADD", "cg:{riverside}:access:open", "0", "eve"}, {"XADD", "cg:{riverside}:changes", "*", "a", "b"}, {"XTRIM", "cg:{riverside}:changes", "MAXLEN", "0"},
		{"EVAL", "return redis.call('DEL', KEYS[1])", "1", head}, {"RESTORE", head, "0", "x", "REPLACE"}, {"COPY", head, "cg:{x}:a"},
		{"EVAL_RO", "return redis.call('DEL', KEYS[1])", "1", head},
	}
	never := [][]string{
		{"KEYS", "*"}, {"FLUSHALL"}, {"FLUSHDB"}, {"CONFIG", "GET", "*"}, {"CONFIG", "SET", "appendonly", "no"}, {"ACL", "LIST"}, {"ACL", "WHOAMI"},
		{"INFO"}, {"CLIENT", "LIST"}, {"CLIENT", "KILL", "TYPE", "normal"}, {"SHUTDOWN", "NOSAVE"}, {"REPLICAOF", "NO", "ONE"},
		{"MIGRATE", "127.0.0.1", "1", head, "0", "1"}, {"DUMP", head}, {"SAVE"}, {"BGREWRITEAOF"}, {"MONITOR"}, {"SCRIPT", "FLUSH"}, {"SCRIPT", "LOAD", "return 1"},
		{"FUNCTION", "LIST"}, {"MODULE", "LIST"}, {"SUBSCRIBE", "x"}, {"PUBLISH", "x", "y"}, {"RANDOMKEY"}, {"DBSIZE"}, {"SLOWLOG", "GET"}, {"LATENCY", "LATEST"},
		{"SWAPDB", "0", "1"}, {"OBJECT", "HELP"}, {"CLUSTER", "INFO"}, {"WAIT", "0", "1"}, {"MEMORY", "USAGE", head}, {"SORT", head}, {"XINFO", "STREAM", head},
		{"HGETALL", "other:x"}, {"XREAD", "STREAMS", "other:s", "0"}, {"EVAL_RO", "return redis.call('HGETALL', 'other:x')", "0"},
		{"EVAL_RO", "return redis.call('HGETALL', KEYS[1])", "1", "other:x"},
	}
	foreign := [][]string{
		{"DEL", "other:x"}, {"HSET", "other:x", "a", "2"}, {"EVAL", "return redis.call('HSET', 'other:x', 'a', '2')", "0"}, {"SCAN", "0"}, {"EXPIRE", head, "1"},
		{"RENAME", head, "cg:{x}:a"}, {"SET", "cg:{x}:a", "b"}, {"XTRIM", "cg:{riverside}:changes", "MAXLEN", "0"}, {"RESTORE", head, "0", "x", "REPLACE"},
	}
	before, err := server.Do("HGETALL", head)
	must(t)(err)
	for user, refused := range map[string][][]string{
		"reader": slices.Concat(writes, never, [][]string{{"SCAN", "0"}}), "writer": slices.Concat(never, foreign), "auditor": slices.Concat(writes, never),
	} {
		rule := rules[user]
		rule.made(t, server)
		options, err := redis.ParseURL(rule.url(server))
		must(t)(err)
		client := redis.NewClient(options)
		for _, command := range refused {
			args := make([]any, len(command))
			for i := range command {
				args[i] = command[i]
			}
			err := client.Do(t.Context(), args...).Err()
			if err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "can't run this command") &&
				!strings.Contains(err.Error(), "can't access at least one of the keys") {
				t.Errorf("caregate-%s: %q: %v", user, command, err)
			}
		}
		must(t)(client.Close())
	}
	if after, err := server.Do("HGETALL", head); err != nil || fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the head is %v now: %v", after, err)
	}

	rules["reader"].made(t, server)
	d := openFor(t, rules["reader"].url(server))
	defer closed(t, d)
	_, err = d.Commit(t.Context(), exactOrganisation, admin.Change{Edits: []admin.Edit{access(admin.Link, "open")}, Author: admin.Author{Via: "api"}})
	if err == nil || authz.KindOf(err) != authz.Unavailable {
		t.Errorf("the reader changes something: %v", err)
	}
	wrong := rules["reader"]
	wrong.password = "hunter2"
	if err := connects(t, Config{URL: wrong.url(server)}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("with a wrong password: %v", err)
	}
}
