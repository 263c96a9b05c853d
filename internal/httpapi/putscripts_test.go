package httpapi_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"

	"github.com/caregate/caregate/internal/directory"
	"github.com/caregate/caregate/internal/httpapi"
	"github.com/caregate/caregate/internal/redistest"
)

// A record is put by at most three scripts, whatever its kind and whether it is there: one
// reads what the change is judged by, one commits it, and one reads the answer.
func TestARecordIsPutByThreeScripts(t *testing.T) {
	redis, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Kill)
	store, err := directory.Open(directory.Config{URL: redis.Unhurried()})
	if err != nil {
		t.Fatal(err)
	}
	c := serve(t, newAPI(t, everything(t, filled(t, store, "riverside"), httpapi.Config{})).Admin())
	for _, put := range []struct {
		path, body string
		status     int
		headers    []string
	}{
		{path: "/roles/doctor", body: `{"permissions":["patient:view"]}`, status: 200}, // Redis gets to know the scripts
		{path: "/roles/doctor", body: `{"permissions":["patient:view"]}`, status: 200},
		{path: "/roles/new", body: `{"permissions":["patient:view"]}`, status: 201},
		{path: "/groups/ward", body: `{"permissions":["patient:view"]}`, status: 200},
		{path: "/patient-groups/new", body: `{"name":"New"}`, status: 201},
		{path: "/team-members/mark", body: `{"role":"new","groups":["ward"],"provider":true,"access":["cardio"],"booking":["new"]}`, status: 200},
		{path: "/team-members/new", body: `{"role":"doctor","groups":["ward"]}`, status: 201, headers: []string{"If-None-Match", "*"}},
		{path: "/patients/p-1", body: `{"patient_group":"cardio","care_team":["mark","rita"]}`, status: 200},
		{path: "/patients/p-9", body: `{"patient_group":"cardio"}`, status: 201},
		{path: "/patients/p-9", body: `{"patient_group":"nowhere"}`, status: 400},
		{path: "/roles/new", body: `{"permissions":[]}`, status: 412, headers: []string{"If-Match", `"1.x"`}},
	} {
		if _, err := redis.Do("CONFIG", "RESETSTAT"); err != nil {
			t.Fatal(err)
		}
		c.ada(http.MethodPut, put.path, put.body, put.headers...).wantStatus(t, put.status)
		if n := scriptsRun(t, redis); n > 3 {
			t.Errorf("PUT of %s took %d scripts", put.path, n)
		}
	}
}

// scriptsRun returns how many scripts a server was asked to run, since that was set back, whose
// text it had.
func scriptsRun(t *testing.T, redis *redistest.Server) (n int) {
	t.Helper()
	reply, err := redis.Do("INFO", "commandstats")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := reply.(string)
	for _, found := range regexp.MustCompile(`cmdstat_(?:eval|evalsha|fcall)(?:_ro)?:calls=(\d+)[^\r]*failed_calls=(\d+)`).FindAllStringSubmatch(text, -1) {
		calls, _ := strconv.Atoi(found[1])
		failed, _ := strconv.Atoi(found[2]) // the server did not have the text, which was sent then
		n += calls - failed
	}
	if n == 0 {
		t.Fatalf("no script was run: %s", text)
	}
	return n
}
