//go:build !race

// The race detector makes allocations larger, so that this file is for builds without it:
// go test ./internal/httpapi -run TestTheLargestRequests -v, and make soak.

package httpapi_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/redistest"
)

// wide returns an id of the most bytes.
func wide(prefix string, i int) string {
	id := fmt.Sprintf("%s-%05d-", prefix, i)
	return id + strings.Repeat("x", admin.MaxID-len(id))
}

// The organisation has this many groups and patient groups, all of which "many" is in, this many patients, all of whom
// "many" sees, and this many members who see those of one patient group.
const (
	wideGroups   = 1000
	wideMembers  = 1500
	widePatients = 5000
)

func wideOrganisation() string {
	var b strings.Builder
	var groups, access []string
	b.WriteString(`{"kind":"role","id":"admin","permissions":["*:*","patient:view_all"]}` + "\n")
	b.WriteString(`{"kind":"role","id":"doctor","permissions":["patient:view","patient:update"]}` + "\n")
	for i := range wideGroups {
		groups, access = append(groups, `"`+wide("g", i)+`"`), append(access, `"`+wide("d", i)+`"`)
		fmt.Fprintf(&b, `{"kind":"group","id":%s,"permissions":["report:view","thing-%05d:%s"]}`+"\n", groups[i], i, strings.Repeat("v", 200))
	}
	for i := range wideGroups {
		fmt.Fprintf(&b, `{"kind":"patient_group","id":%s,"name":%q}`+"\n", access[i], strings.Repeat("n", admin.MaxName))
	}
	b.WriteString(`{"kind":"team_member","id":"ada","role":"admin"}` + "\n" + `{"kind":"team_member","id":"few","role":"doctor"}` + "\n")
	fmt.Fprintf(&b, `{"kind":"team_member","id":"many","role":"doctor","groups":[%s],"access":[%s]}`+"\n", strings.Join(groups, ","), strings.Join(access, ","))
	for i := range wideMembers {
		fmt.Fprintf(&b, `{"kind":"team_member","id":%q,"role":"doctor","access":[%s]}`+"\n", wide("m", i), access[1])
	}
	for i := range widePatients {
		fmt.Fprintf(&b, `{"kind":"patient","id":%q,"patient_group":%s}`+"\n", wide("p", i), access[i%wideGroups])
	}
	return b.String()
}

// discarding counts what is answered, and keeps the beginning of it.
type discarding struct {
	header http.Header
	status int
	bytes  int
	begin  []byte
}

func (d *discarding) Header() http.Header { return d.header }
func (d *discarding) WriteHeader(s int)   { d.status = s }
func (d *discarding) Write(p []byte) (int, error) {
	d.bytes += len(p)
	d.begin = append(d.begin, p[:min(len(p), 300-min(len(d.begin), 300))]...)
	return len(p), nil
}

// largest is a request of a kind, and the most MB that it may allocate: those of
// "What one request can take" in docs/operating.md.
type largest struct {
	kind   string
	atMost uint64
	admin  bool
	method string
	path   string
	body   string
	status int
}

func largestRequests() []largest {
	const who, may = `"subject":{"type":"team_member","id":"many"}`, `"action":{"name":"view"}`
	rest := `,"context":{"a":[` + strings.Repeat("1,", 19_990) + `1],"b":"`
	open := `{` + who + `,` + may + `,"resource":{"type":"patient","id":"` + wide("p", 1) + `"}` + rest
	single := open + strings.Repeat("x", httpapi.DefaultMaxBody-len(open)-3) + `"}}`
	items, edits := make([]string, httpapi.DefaultMaxBatch), make([]string, admin.MaxEdits)
	grants, links := make([]string, admin.MaxEdits), make([]string, admin.MaxEdits)
	for i := range items {
		items[i] = `{"resource":{"type":"patient","id":"` + wide("p", i) + `","properties":{"note":"` + strings.Repeat("x", 600) + `"}}}`
	}
	for i := range edits {
		edits[i] = `{"put":{"kind":"patient_group","id":"` + wide("e", i) + `","name":"` + strings.Repeat("n", 700) + `"}}`
		grants[i] = `{"link":{"relation":"access","from":"few","to":"` + wide("d", i%wideGroups) + `"}}`
		links[i] = `{"unlink":{"relation":"access","from":"many","to":"` + wide("d", i%wideGroups) + `"}}`
	}
	return []largest{
		{"evaluation", 24, false, "POST", "/access/v1/evaluation", single, 200},
		{"evaluations", 48, false, "POST", "/access/v1/evaluations", `{` + who + `,` + may + `,"evaluations":[` + strings.Join(items, ",") + `]}`, 200},
		{"search for resources", 16, false, "POST", searchBase + "resource", `{` + who + `,` + may + `,"resource":{"type":"patient"},"page":{"limit":1000}}`, 200},
		{"search for subjects", 16, false, "POST", searchBase + "subject", `{"subject":{"type":"team_member"},` + may + `,"resource":{"type":"patient","id":"` + wide("p", 1) + `"},"page":{"limit":1000}}`, 200},
		{"search for actions", 8, false, "POST", searchBase + "action", `{` + who + `,"resource":{"type":"patient","id":"` + wide("p", 1) + `"}}`, 200},
		{"filter", 8, false, "POST", "/v1/filters", `{` + who + `,` + may + `,"resource":{"type":"patient"},"dialect":"postgresql"}`, 200},
		{"permissions", 8, false, "POST", "/v1/permissions", `{"team_member":"many"}`, 200},
		{"explanation", 96, false, "POST", "/v1/explanations", `{` + who + `,"action":{"name":"delete"},"resource":{"type":"patient","id":"` + wide("p", 1) + `"}}`, 200},
		{"review", 24, false, "POST", "/v1/reviews", `{"team_member":"many"}`, 200},
		{"preview, gained", 40, false, "POST", "/v1/previews", `{"edits":[` + strings.Join(grants, ",") + `]}`, 200},
		{"preview, lost", 40, false, "POST", "/v1/previews", `{"edits":[` + strings.Join(links, ",") + `]}`, 200},
		{"list", 16, true, "GET", base + "/patient-groups?limit=1000", "", 200},
		{"relation", 8, true, "GET", base + "/team-members/many/access?limit=1000", "", 200},
		{"changes", 16, true, "GET", base + "/changes?limit=1000&after=0", "", 200},
		{"edits", 40, true, "POST", base + "/edits", `{"edits":[` + strings.Join(edits, ",") + `]}`, 200},
	}
}

// What one request allocates has the bounds of the operators' page.
func TestTheLargestRequestsAllocateNoMoreThanIsStated(t *testing.T) {
	redis, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Kill)
	store, err := directory.Open(directory.Config{URL: redis.Unhurried(), FactsTimeout: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	if _, err := store.Import(t.Context(), "riverside", strings.NewReader(wideOrganisation()), directory.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
	api := newAPI(t, everything(t, store, httpapi.Config{RequestTimeout: 20 * time.Second}))
	for _, l := range largestRequests() {
		if len(l.body) > httpapi.DefaultMaxBody {
			t.Fatalf("%s: a body of %d bytes is not accepted", l.kind, len(l.body))
		}
		h := api.Decisions()
		if l.admin {
			h = api.Admin()
		}
		least, answered, begin := uint64(math.MaxUint64), 0, ""
		for try := range 4 { // the first warms up
			// What edits make is made anew in each try: what changes nothing writes nothing.
			body := strings.ReplaceAll(l.body, `"name":"nn`, fmt.Sprintf(`"name":"n%d`, try))
			r := httptest.NewRequestWithContext(t.Context(), l.method, "http://127.0.0.1:8181"+l.path, strings.NewReader(body))
			r.RemoteAddr = "127.0.0.1:1"
			r.Header.Set("Caregate-Actor", "ada")
			if body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			w := &discarding{header: http.Header{}}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			h.ServeHTTP(w, r)
			runtime.ReadMemStats(&after)
			if w.status != l.status {
				t.Errorf("%s: %d %s", l.kind, w.status, w.begin)
			}
			answered, begin = w.bytes, string(w.begin)
			if try > 0 {
				least = min(least, after.TotalAlloc-before.TotalAlloc)
			}
		}
		t.Logf("%-22s asked %8d B, answered %8d B, allocated %6.1f MB of %d: %.60s", l.kind, len(l.body), answered, float64(least)/1e6, l.atMost, begin)
		if least > l.atMost*1e6 {
			t.Errorf("%s: %.1f MB allocated, and %d MB are stated; find what grew, or state more in docs/operating.md", l.kind, float64(least)/1e6, l.atMost)
		}
	}
}
