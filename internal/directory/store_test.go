package directory

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/directory/layout"
	"github.com/caregate/caregate/internal/directory/script"
	"github.com/caregate/caregate/internal/redistest"
)

// redisServer is a real redis-server that keeps nothing on disk.
type redisServer struct {
	*redistest.Server
	url string // as whom it is asked; a test may name another user
}

// startRedis starts redis-server on a free port and waits until it answers.
// arguments are further ones.
func startRedis(t testing.TB, arguments ...string) *redisServer {
	t.Helper()
	server, err := redistest.Start(t.TempDir(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return &redisServer{server, server.URL()}
}

// store is a directory under test with a way to its keys.
type store struct {
	*Directory
	raw redis.UniversalClient
	org string
}

// overStores runs a test over a real Redis and over the embedded store.
func overStores(t *testing.T, test func(t *testing.T, s *store)) {
	t.Helper()
	server := startRedis(t)
	t.Run("redis", func(t *testing.T) { test(t, openStore(t, server)) })
	t.Run("embedded", func(t *testing.T) {
		d, err := OpenEmbedded(Config{FactsTimeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closed(t, d) })
		test(t, &store{Directory: d, raw: d.bulk, org: "riverside"})
	})
}

// openStore opens a directory that allows a slow machine its time.
func openStore(t testing.TB, server *redisServer) *store {
	t.Helper()
	d, err := Open(Config{URL: server.url + "?read_timeout=5s", FactsTimeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, d) })
	return &store{Directory: d, raw: d.bulk, org: "riverside"}
}

func closed(t testing.TB, d *Directory) {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// load imports lines and returns the revision.
func (s *store) load(t testing.TB, lines ...string) authz.Revision {
	t.Helper()
	done, err := s.Import(t.Context(), s.org, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if done.Records != len(lines) {
		t.Fatalf("%d records imported, expected %d", done.Records, len(lines))
	}
	return done.Revision
}

// refuse imports lines and expects an error of kind that contains want.
func (s *store) refuse(t testing.TB, kind authz.ErrorKind, want string, lines ...string) {
	t.Helper()
	before := s.dump(t)
	_, err := s.Import(t.Context(), s.org, strings.NewReader(strings.Join(lines, "\n")), ImportOptions{})
	if err == nil || authz.KindOf(err) != kind || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, expected an error of kind %d with %q", err, kind, want)
	}
	if after := s.dump(t); before != after {
		t.Errorf("the refused import changed something:\n%s\nbefore, and after\n%s", before, after)
	}
}

// export returns the organisation as records.
func (s *store) export(t testing.TB) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := s.Export(t.Context(), s.org, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func (s *store) facts(t testing.TB, keys ...authz.Key) *authz.Facts {
	t.Helper()
	facts, err := s.Read(t.Context(), s.org, keys, authz.Freshness{})
	if err != nil {
		t.Fatal(err)
	}
	return facts
}

// dump returns every key of the organisation with its value, in order.
func (s *store) dump(t testing.TB) string {
	t.Helper()
	var out []string
	for key, value := range s.keys(t) {
		out = append(out, fmt.Sprintf("%q: %s", key, value))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// keys returns every key of the organisation, without its prefix, with its
// value: the sorted fields of a hash, the sorted members of a set, the entries of a
// stream.
func (s *store) keys(t testing.TB) map[string]string {
	t.Helper()
	return s.keysAnd(t, true)
}

// keysAnd returns what keys does, without the entries of a stream unless asked for.
func (s *store) keysAnd(t testing.TB, streams bool) map[string]string {
	t.Helper()
	prefix := strings.TrimSuffix(script.HeadKey(s.org), "head")
	reply, err := s.raw.Eval(t.Context(), `
		local out = {}
		for _, key in ipairs(redis.call('KEYS', '*')) do
			local type, value = redis.call('TYPE', key).ok, {}
			if type == 'hash' then value = redis.call('HGETALL', key)
			elseif type == 'zset' then value = redis.call('ZRANGE', key, '0', '-1', 'WITHSCORES')
			elseif type == 'stream' and ARGV[1] == '1' then
				for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
					value[#value + 1] = entry[1]
					value[#value + 1] = table.concat(entry[2], '\0')
				end
			end
			out[#out + 1] = {key, type, value}
		end
		return out`, nil, layout.FlagOf(streams)).Slice()
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]string, len(reply))
	for _, key := range reply {
		name, _ := script.Item[string](key.([]any), 0)
		typ, _ := script.Item[string](key.([]any), 1)
		value, _ := script.Texts(key.([]any), 2)
		if name, ours := strings.CutPrefix(name, prefix); ours {
			out[name] = written(t, name, typ, value)
		}
	}
	return out
}

// written writes the value of a key, given as pairs.
func written(t testing.TB, name, typ string, value []string) string {
	t.Helper()
	var items []string
	for pair := range slices.Chunk(value, 2) {
		switch typ {
		case "zset":
			if pair[1] != "0" {
				t.Errorf("%q: a score is %v", name, pair[1])
			}
			items = append(items, strconv.Quote(pair[0]))
		default:
			items = append(items, fmt.Sprintf("%q=%q", pair[0], pair[1]))
		}
	}
	if typ == "string" {
		return typ
	}
	slices.Sort(items)
	return strings.Join(items, " ")
}

// revisionField is the revision of an entity among its fields.
var revisionField = regexp.MustCompile(` "rev"="\d+\.[\w-]{14}"`)

// entities returns what keys does, without the revisions and the stream of changes:
// what the facts alone decide.
func (s *store) entities(t testing.TB) map[string]string {
	t.Helper()
	out := s.keysAnd(t, false)
	delete(out, "head")
	delete(out, "changes")
	for key, value := range out {
		out[key] = strings.Trim(strings.Replace(" "+value, revisionField.FindString(" "+value), "", 1), " ")
	}
	return out
}

func member(id string) authz.Key  { return authz.Key{Kind: authz.KindTeamMember, ID: id} }
func patient(id string) authz.Key { return authz.Key{Kind: authz.KindPatient, ID: id} }
func role(id string) authz.Key    { return authz.Key{Kind: authz.KindRole, ID: id} }
func group(id string) authz.Key   { return authz.Key{Kind: authz.KindGroup, ID: id} }

// sorted returns a set in order.
func sorted(items []string) []string {
	items = slices.Clone(items)
	slices.Sort(items)
	return items
}
