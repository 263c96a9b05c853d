package acceptance

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// directory is the Directory API of an organisation, as somebody uses it.
type directory struct {
	*organisation
	actor string // "" for the operator, who reads, unless the headers say who acts
}

// exampleRecords are the facts that come with the binary.
func exampleRecords(t *testing.T) []record {
	t.Helper()
	text := try(os.ReadFile("../../data/example/organisation.jsonl")).must(t)
	return parseRecords(t, text)
}

func parseRecords(t *testing.T, text []byte) []record {
	t.Helper()
	var out []record
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == "" {
			continue
		}
		var fields map[string]any
		unmarshal(t, []byte(line), &fields)
		out = append(out, newRecord(fields["kind"].(string), fields["id"].(string), fields))
	}
	return out
}

// overTheExample runs a test over the example organisation twice: that of the
// binary itself, in its embedded store, and on a real Redis. The administrator
// there may do everything. It runs beside other tests.
func overTheExample(t *testing.T, test func(t *testing.T, amara directory)) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, directory{&organisation{name: "riverside", records: exampleRecords(t), server: serve(t, "--max-body", "16777216")}, "amara"})
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, directory{newOrganisation(t, redisStore{}, exampleRecords(t)...), "amara"})
	})
}

// as is the same directory, used by another.
func (d directory) as(actor string) directory {
	d.actor = actor
	return d
}

// at returns a path of ids that may hold anything.
func at(segments ...string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(escape(s))
	}
	return b.String()
}

func (d directory) address(path string) string {
	return d.server.admin() + "/organisations/" + url.PathEscape(d.name) + "/directory/v1" + path
}

func (d directory) send(t *testing.T, method, path string, body any, headers ...string) reply {
	t.Helper()
	switch {
	case d.actor != "":
		headers = append([]string{"Caregate-Actor", d.actor}, headers...)
	case !slices.Contains(headers, "Authorization") && !slices.Contains(headers, "Caregate-Actor"):
		headers = append([]string{"Caregate-Actor", "operator"}, headers...)
	}
	return sent(t, method, d.address(path), body, headers...)
}

// try is send for many at once, where nobody may end the test.
func (d directory) try(ctx context.Context, method, path string, body any, headers ...string) (reply, error) {
	return send(ctx, method, d.address(path), body, append([]string{"Caregate-Actor", d.actor}, headers...)...)
}

func (d directory) get(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return d.send(t, http.MethodGet, path, nil, headers...)
}

func (d directory) put(t *testing.T, path string, body any, headers ...string) reply {
	t.Helper()
	return d.send(t, http.MethodPut, path, body, headers...)
}

func (d directory) patch(t *testing.T, path string, body any, headers ...string) reply {
	t.Helper()
	return d.send(t, http.MethodPatch, path, body, headers...)
}

func (d directory) post(t *testing.T, path string, body any, headers ...string) reply {
	t.Helper()
	return d.send(t, http.MethodPost, path, body, headers...)
}

func (d directory) delete(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return d.send(t, http.MethodDelete, path, nil, headers...)
}

// wrote checks that a write was taken, and has the next decisions include it.
func (d directory) wrote(t *testing.T, r reply, status int) string {
	t.Helper()
	revision := r.header.Get("Caregate-Revision")
	require(t, r.status == status && revision != "", "%v with the revision %q, expected %d with one", r, revision, status)
	d.revision = revision
	return revision
}

// now is the newest revision, and what it counts.
func (d directory) now(t *testing.T) (revision string, count int) {
	t.Helper()
	d.actor = ""
	revision = decode[struct{ Newest string }](t, d.get(t, "/changes?limit=1")).Newest
	return revision, countOf(t, revision)
}

func countOf(t *testing.T, revision string) int {
	t.Helper()
	digits, _, _ := strings.Cut(revision, ".")
	n, err := strconv.Atoi(digits)
	if err != nil {
		t.Fatalf("%q is no revision", revision)
	}
	return n
}

// unchanged runs what must not be a revision.
func (d directory) unchanged(t *testing.T, what string, do func()) {
	t.Helper()
	before, _ := d.now(t)
	do()
	if after, _ := d.now(t); after != before {
		t.Errorf("%s: the revision is %s, expected %s as before", what, after, before)
	}
}

// one runs what must be exactly one revision.
func (d directory) one(t *testing.T, what string, do func()) {
	t.Helper()
	_, before := d.now(t)
	do()
	if revision, after := d.now(t); after != before+1 {
		t.Errorf("%s: the revision is %s, expected %d", what, revision, before+1)
	} else if d.revision != revision {
		t.Errorf("%s: it answered with the revision %q, expected %s", what, d.revision, revision)
	}
}

// record reads one record, which has to be there.
func (d directory) record(t *testing.T, path string) object {
	t.Helper()
	return decode[object](t, d.get(t, path))
}

func (d directory) tag(t *testing.T, path string) string {
	t.Helper()
	r := d.get(t, path)
	tag := r.header.Get("ETag")
	require(t, r.status == http.StatusOK && len(tag) >= 3 && tag[0] == '"', "%s: %v with the ETag %q", path, r, tag)
	return tag
}

// page is a page of records or of ids.
type page struct {
	Items []object
	IDs   []string
	Next  string
}

// pages reads until the end, limit at a time.
func (d directory) pages(t *testing.T, path string, limit int) page {
	t.Helper()
	var all page
	for after, n := "", 0; ; n++ {
		query := "?limit=" + strconv.Itoa(limit)
		if after != "" {
			query += "&after=" + url.QueryEscape(after)
		}
		p := decode[page](t, d.get(t, path+query))
		require(t, len(p.Items) <= limit && len(p.IDs) <= limit, "%s: %d and %d on a page of %d", path, len(p.Items), len(p.IDs), limit)
		all.Items, all.IDs = append(all.Items, p.Items...), append(all.IDs, p.IDs...)
		if after = p.Next; after == "" {
			return all
		}
		require(t, n <= 10_000, "%s: the pages do not end", path)
	}
}

// ids reads a whole set.
func (d directory) ids(t *testing.T, path string) []string {
	t.Helper()
	return d.pages(t, path, 1000).IDs
}

// collections are the paths of the kinds, in the order of kinds.
var collections = map[string]string{"role": "roles", "group": "groups", "patient_group": "patient-groups",
	"team_member": "team-members", "patient": "patients", "booking": "bookings"}

// everything reads all records of all kinds, a patient's with the sources of
// the care team.
func (d directory) everything(t *testing.T) []record {
	t.Helper()
	var out []record
	for _, kind := range kinds {
		for _, fields := range d.pages(t, "/"+collections[kind], 1000).Items {
			out = append(out, newRecord(kind, fields["id"].(string), fields))
		}
	}
	return out
}

// normal is a record as the one way to write it: without members that are
// empty, lists in order.
func normal(fields object) object {
	out := object{}
	for name, value := range fields {
		switch value := value.(type) {
		case []string:
			if len(value) > 0 {
				out[name] = slices.Sorted(slices.Values(value))
			}
		case []any:
			var items []string
			for _, item := range value {
				items = append(items, item.(string))
			}
			if slices.Sort(items); len(items) > 0 {
				out[name] = items
			}
		case bool:
			if value {
				out[name] = value
			}
		default:
			if value != "" {
				out[name] = value
			}
		}
	}
	delete(out, "care_team_sources")
	return out
}

// sameFields says whether two records are the same but for how they are
// written.
func sameFields(a, b object) bool { return reflect.DeepEqual(normal(a), normal(b)) }

// plain is everything as an export has it.
func (d directory) plain(t *testing.T) []record {
	t.Helper()
	d.actor = ""
	all := d.everything(t)
	for _, r := range all {
		delete(r.fields, "care_team_sources")
	}
	return all
}
