package acceptance

import (
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
)

// organisation is a tenant of a running server, as the sentences of the
// scenario tests see it.
type organisation struct {
	name    string
	store   store
	records []record
	server  *server

	revision string // of the last change, which every answer has to include
}

// store is where an organisation's facts are kept.
type store interface {
	name() string
	// install brings the organisation's records into force; changed are those
	// that differ from what was installed before.
	install(t *testing.T, o *organisation, changed []record)
}

// overBothStores runs a test over the embedded store and over a real Redis.
func overBothStores(t *testing.T, test func(t *testing.T, s store)) {
	for _, s := range []store{embeddedStore{}, redisStore{}} {
		t.Run(s.name(), func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// embeddedStore gives each organisation a server of its own, which reads the
// facts when it starts. A change is a new start.
type embeddedStore struct{}

func (embeddedStore) name() string { return "embedded" }

func (embeddedStore) install(t *testing.T, o *organisation, _ []record) {
	t.Helper()
	file := writeFacts(t, o.records)
	if o.server != nil {
		o.server.end(t)
	}
	o.server = serve(t, "--facts", file, "--organisation", o.name, "--admin-addr", "127.0.0.1:0", "--max-body", "16777216")
}

// redisStore keeps all organisations in the common Redis, read by one server.
type redisStore struct{}

func (redisStore) name() string { return "redis" }

func (redisStore) install(t *testing.T, o *organisation, changed []record) {
	t.Helper()
	o.imported(t, mustRun(t, "", "import", "--redis", workbench.redis.URL(), "--organisation", o.name, writeFacts(t, changed)))
	o.server = workbench.server(t)
}

func writeFacts(t *testing.T, records []record) string {
	t.Helper()
	return writeFile(t, "facts.jsonl", string(lines(records)))
}

var organisationCount atomic.Int64

// newOrganisation makes an organisation that no other test knows.
func newOrganisation(t *testing.T, s store, records ...record) *organisation {
	t.Helper()
	return namedOrganisation(t, s, "clinic-"+strconv.FormatInt(organisationCount.Add(1), 10), records...)
}

func namedOrganisation(t *testing.T, s store, name string, records ...record) *organisation {
	t.Helper()
	o := &organisation{name: name, store: s, records: merge(nil, records...)}
	s.install(t, o, o.records)
	return o
}

// change restates records, or adds them.
func (o *organisation) change(t *testing.T, changed ...record) {
	t.Helper()
	o.records = merge(o.records, changed...)
	o.store.install(t, o, changed)
}

// imported takes the revision that an import ended with.
func (o *organisation) imported(t *testing.T, got result) {
	t.Helper()
	said := regexp.MustCompile(`revision (\d+\.\S+)`).FindStringSubmatch(got.stderr + got.stdout)
	require(t, said != nil, "an import does not say its revision: %s%s", got.stdout, got.stderr)
	o.revision = said[1]
}

// included are the headers that ask for an answer which includes the last
// change. Without them a server may answer from what it still remembers.
func (o *organisation) included() []string {
	if o.revision == "" {
		return nil
	}
	return []string{"Caregate-At-Least", o.revision}
}

// url returns the address of a path of this organisation.
func (o *organisation) url(path string) string {
	return o.server.decisions() + "/organisations/" + url.PathEscape(o.name) + path
}

// answer is a decision that a sentence goes on about.
type answer struct {
	t        *testing.T
	question question
	decision
}

// decide asks in every way there is, and all of them have to agree.
func (o *organisation) decide(t *testing.T, q question) answer {
	t.Helper()
	got := decode[decision](t, post(t, o.url("/access/v1/evaluation"), q, o.included()...))
	require(t, got.Decision != nil, "%v: an answer without a decision", q)
	batch := decode[struct{ Evaluations []decision }](t, post(t, o.url("/access/v1/evaluations"),
		map[string]any{"evaluations": []question{q}}, o.included()...))
	check(t, len(batch.Evaluations) == 1 && reflect.DeepEqual(batch.Evaluations[0], got), "%v: evaluation says %v, evaluations %v", q, got, batch.Evaluations)
	whole := decode[struct {
		Result struct {
			Allow   *bool
			Context *reasons
		}
	}](t, post(t, o.url("/v1/data/authz/decision"), q.data(), o.included()...)).Result
	if whole.Allow == nil || *whole.Allow != got.allowed() || !reflect.DeepEqual(whole.Context, got.Context) {
		t.Errorf("%v: evaluation says %v, /v1/data/authz/decision %+v", q, got, whole)
	}
	short := decode[map[string]any](t, post(t, o.url("/v1/data/authz/allow"), q.data(), o.included()...))
	if result, there := short["result"]; there != got.allowed() || there && result != true {
		t.Errorf("%v: evaluation says %v, /v1/data/authz/allow %v", q, got, short)
	}
	return answer{t, q, got}
}

// allow says that the subject may.
func (o *organisation) allow(t *testing.T, who any, does string, to entity) answer {
	t.Helper()
	a := o.decide(t, ask(who, does, to))
	check(t, a.allowed(), "%v: denied with %v, expected an allow", a.question, a.decision)
	return a
}

// deny says that the subject may not, for exactly these reasons.
func (o *organisation) deny(t *testing.T, who any, does string, to entity, codes ...string) answer {
	t.Helper()
	a := o.decide(t, ask(who, does, to))
	if a.allowed() {
		t.Errorf("%v: allowed with %v, expected a deny with %q", a.question, a.decision, codes)
	} else if got := a.reasons().Reasons; !sameSet(got, codes) {
		t.Errorf("%v: denied for %q, expected %q", a.question, got, codes)
	}
	return a
}

// because says that these are among the reasons.
func (a answer) because(codes ...string) answer {
	a.t.Helper()
	for _, code := range codes {
		if !slices.Contains(a.reasons().Reasons, code) {
			a.t.Errorf("%v: reasons %q, expected %q among them", a.question, a.reasons().Reasons, code)
		}
	}
	return a
}

// through says which routes hold, all of them.
func (a answer) through(routes ...string) answer {
	a.t.Helper()
	if got := a.reasons().Routes; !sameSet(got, routes) {
		a.t.Errorf("%v: routes %q, expected %q", a.question, got, routes)
	}
	return a
}

// grantedBy says who grants the permission: the role, "" for none of it, and
// the groups.
func (a answer) grantedBy(role string, groups ...string) answer {
	a.t.Helper()
	got := a.reasons().GrantedBy
	if got == nil || got.Role != role || !sameSet(got.Groups, groups) {
		a.t.Errorf("%v: granted by %+v, expected the role %q and the groups %q", a.question, got, role, groups)
	}
	return a
}

// needing says which permission the question is about.
func (a answer) needing(permission string) answer {
	a.t.Helper()
	if got := a.reasons().Permission; got != permission {
		a.t.Errorf("%v: permission %q, expected %q", a.question, got, permission)
	}
	return a
}

// pointingAt says which references are missing or unknown.
func (a answer) pointingAt(references ...string) answer {
	a.t.Helper()
	if got := a.reasons().References; !sameSet(got, references) {
		a.t.Errorf("%v: references %q, expected %q", a.question, got, references)
	}
	return a
}
