package acceptance

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// event is one server-sent event.
type event struct{ id, name, data string }

// stream is an open feed of changes.
type stream struct {
	status int
	header http.Header
	events chan event // closed at the end
	cancel context.CancelFunc
}

// listen opens the feed, from a path with its parameters.
func (d directory) listen(t *testing.T, path string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	request := try(http.NewRequestWithContext(ctx, http.MethodGet, d.address(path), nil)).must(t)
	request.Header.Set("Accept", "text/event-stream")
	if d.actor != "" {
		request.Header.Set("Caregate-Actor", d.actor)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Do(request) //nolint:bodyclose // closed by who reads it
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{status: response.StatusCode, header: response.Header, events: make(chan event, 1000), cancel: cancel}
	go func() {
		defer response.Body.Close()
		defer close(s.events)
		var e event
		in := bufio.NewScanner(response.Body)
		in.Buffer(nil, 16<<20)
		for in.Scan() {
			name, value, _ := strings.Cut(in.Text(), ":")
			value = strings.TrimPrefix(value, " ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				e.data += value
			case "":
				if in.Text() == "" && (e.name != "" || e.data != "") {
					s.events <- e
				}
				if in.Text() == "" {
					e = event{}
				}
			}
		}
	}()
	return s
}

// next waits for one event.
func (s *stream) next(t *testing.T) event {
	t.Helper()
	select {
	case e, open := <-s.events:
		if !open {
			t.Fatal("the stream has ended")
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event")
	}
	return event{}
}

// tells waits for the change of a revision.
func (s *stream) tells(t *testing.T, revision string) change {
	t.Helper()
	e := s.next(t)
	var c change
	if err := json.Unmarshal([]byte(e.data), &c); err != nil || e.name != "change" || e.id != revision || c.Revision != revision {
		t.Fatalf("%+v %v, expected the change %s", e, err, revision)
	}
	return c
}

// ends waits for the end of the stream, with nothing before it.
func (s *stream) ends(t *testing.T) {
	t.Helper()
	select {
	case e, open := <-s.events:
		if open {
			t.Errorf("%+v, expected the end", e)
		}
	case <-time.After(patience):
		t.Error("the stream does not end")
	}
}

func (d directory) rename(t *testing.T, to string) string {
	t.Helper()
	return d.wrote(t, d.patch(t, "/groups/stockroom", object{"name": to}), http.StatusOK)
}

// TestStream has each change told as it is made, and again to who comes back.
func TestStream(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		d.rename(t, "before anybody listened")
		live := d.listen(t, "/changes")
		require(t, live.status == http.StatusOK && strings.HasPrefix(live.header.Get("Content-Type"), "text/event-stream"), "%d %v", live.status, live.header)
		time.Sleep(100 * time.Millisecond)
		var revisions []string
		for _, to := range []string{"a", "b", "c"} {
			revisions = append(revisions, d.rename(t, to))
			c := live.tells(t, revisions[len(revisions)-1])
			check(t, c.Actor == "team_member:amara" && len(c.Entities) == 1 && c.Entities[0].After["name"] == to, "%+v", c)
		}
		live.cancel()

		for _, headers := range [][]string{{"Last-Event-ID", "1.AAAAAAAA"}, {"Last-Event-ID", "999999.AAAAAAAA"}} {
			s := d.listen(t, "/changes", headers...)
			if s.status == http.StatusPreconditionFailed {
				continue
			}
			if e := s.next(t); e.name != "reset" {
				t.Errorf("%+v to a lost history, expected a reset", e)
			}
			s.ends(t)
		}
	})
}

// TestStreamResumes is what comes after a break, by each of the ways to say
// where it was.
func TestStreamResumes(t *testing.T) {
	overTheExample(t, func(t *testing.T, d directory) {
		seen := d.rename(t, "seen")
		missed := []string{d.rename(t, "missed"), d.rename(t, "missed, too")}
		streams := []*stream{d.listen(t, "/changes", "Last-Event-ID", seen), d.listen(t, "/changes?after="+seen),
			d.listen(t, "/changes?after=1.lost", "Last-Event-ID", seen), d.as("elena").listen(t, "/changes", "Last-Event-ID", seen)}
		for _, s := range streams {
			s.tells(t, missed[0])
			s.tells(t, missed[1])
		}
		// Many changes at once come in order, to all, once.
		var want []string
		for i := range 50 {
			want = append(want, d.rename(t, strings.Repeat("x", i+1)))
		}
		for _, s := range streams {
			for _, revision := range want {
				s.tells(t, revision)
			}
		}
	})
}

// TestStreamHearsTheOtherSidecar has a change told wherever it was made, and an
// import with it.
func TestStreamHearsTheOtherSidecar(t *testing.T) {
	t.Parallel()
	here, there := sidecars(t, exampleRecords(t))
	live := there.listen(t, "/changes")
	time.Sleep(100 * time.Millisecond)
	live.tells(t, here.rename(t, "heard"))
	got := mustRun(t, string(lines([]record{group("stockroom", "stock:view")})), "import", "--redis", here.flag("--redis"), "--organisation", here.name, "--actor", "ines")
	here.imported(t, got)
	if c := live.tells(t, here.revision); c.Via != "import" || c.Actor != "team_member:ines" || len(c.Entities) != 1 {
		t.Errorf("an import is told as %+v", c)
	}
}

// TestStreamWhereChangesAreForgotten keeps five changes.
func TestStreamWhereChangesAreForgotten(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T, flags ...string) directory {
		return directory{&organisation{name: "riverside", server: serve(t, append(flags, "--changes-kept", "5")...)}, "amara"}
	}
	for name, flags := range map[string][]string{
		"embedded": nil,
		"redis":    {"--redis", workbench.redis.Unhurried(), "--organisation", "forgetful", "--admin-addr", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := start(t, flags...)
			if name == "redis" {
				d.name = "forgetful"
				mustRun(t, "", "import", "--redis", workbench.redis.URL(), "--organisation", "forgetful", writeFacts(t, exampleRecords(t)))
			}
			live := d.listen(t, "/changes")
			time.Sleep(100 * time.Millisecond)
			var revisions []string
			for i := range 12 {
				revisions = append(revisions, d.rename(t, strings.Repeat("y", i+1)))
				live.tells(t, revisions[i]) // who listens misses nothing
			}
			p := decode[changesPage](t, d.get(t, "/changes"))
			if len(p.Changes) != 5 || p.Oldest != revisions[7] || p.Newest != revisions[11] {
				t.Errorf("%d changes from %s to %s, expected five to %s", len(p.Changes), p.Oldest, p.Newest, revisions[11])
			}
			hasLength(t, d.changes(t, revisions[6], 2), 5)
			for _, old := range revisions[:5] {
				gone := d.listen(t, "/changes", "Last-Event-ID", old)
				if gone.status != http.StatusPreconditionFailed {
					if e := gone.next(t); e.name != "reset" {
						t.Errorf("%+v after what is forgotten, expected a reset", e)
					}
					gone.ends(t)
				}
				refused(t, d.get(t, "/changes?after="+old), http.StatusPreconditionFailed)
			}
			resumed := d.listen(t, "/changes", "Last-Event-ID", revisions[8])
			for _, revision := range revisions[9:] {
				resumed.tells(t, revision)
			}
			// Decisions go on as before, and a writer of old is told.
			d.allow(t, "mark", "view", thing("stock"))
			refused(t, d.put(t, "/groups/stockroom", object{"name": "z"}, "If-Match", `"`+revisions[0]+`"`), http.StatusPreconditionFailed)
		})
	}
}

// TestStreamsEnd with the server, and are not without number.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	d := directory{&organisation{name: "riverside", server: serve(t, "--shutdown-timeout", "1m")}, "amara"}
	var open []*stream
	for range 64 {
		s := d.listen(t, "/changes")
		require(t, s.status == http.StatusOK, "the stream %d is refused with %d", len(open)+1, s.status)
		open = append(open, s)
	}
	if s := d.listen(t, "/changes"); s.status != http.StatusTooManyRequests || s.header.Get("Retry-After") == "" {
		t.Errorf("the stream 65 is answered with %d, Retry-After %q, expected 429", s.status, s.header.Get("Retry-After"))
	}
	if r := d.get(t, "/roles"); r.status != http.StatusOK { // other requests have room
		t.Errorf("%v", r)
	}
	open[0].cancel()
	eventually(t, "room for another", func() bool {
		s := d.listen(t, "/changes")
		if s.status == http.StatusOK {
			open[0] = s
		}
		return s.status == http.StatusOK
	})
	revision := d.rename(t, "all hear it")
	var group sync.WaitGroup
	for _, s := range open {
		group.Go(func() {
			select {
			case e := <-s.events:
				if e.id != revision {
					t.Errorf("%+v, expected %s", e, revision)
				}
			case <-time.After(patience):
				t.Error("nothing is heard")
			}
		})
	}
	group.Wait()
	start := time.Now()
	d.server.end(t)
	check(t, time.Since(start) < time.Minute, "streams keep it for %v", time.Since(start)) // of --shutdown-timeout
	open[1].ends(t)
}
