package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caregate/caregate/internal/admin"
	"github.com/caregate/caregate/internal/authz"
	"github.com/caregate/caregate/internal/httpapi"
)

func TestChanges(t *testing.T) {
	c := administration(t)
	c.ada(http.MethodPut, "/patient-groups/cardio/patients/p-1", "", "X-Request-ID", "r-1").wantStatus(t, 204)
	c.ada(http.MethodDelete, "/bookings/b-1", "").wantStatus(t, 204)
	type page struct {
		Changes []struct {
			Revision, Previous, Actor, Via, Request string
			At                                      time.Time
			Entities                                []json.RawMessage
		}
		Next, Oldest, Newest string
	}
	ask := func(a answer) (p page) {
		t.Helper()
		if err := json.Unmarshal([]byte(a.wantStatus(t, 200).body), &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	all := ask(c.read("/changes"))
	if len(all.Changes) != 3 || all.Changes[0].Via != "import" || all.Changes[0].Previous != "0.0" ||
		all.Oldest != all.Changes[0].Revision || all.Newest != all.Changes[2].Revision || all.Next != all.Newest {
		t.Fatalf("%+v", all)
	}
	moved := all.Changes[1]
	if moved.Actor != "team_member:ada" || moved.Via != "api" || moved.Request != "r-1" || time.Since(moved.At).Abs() > time.Minute ||
		moved.Previous != all.Changes[0].Revision ||
		string(moved.Entities[0]) != `{"kind":"patient","id":"p-1","change":"updated","before":{"patient_group":"diabetes"},"after":{"patient_group":"cardio"}}` {
		t.Errorf("%+v %s", moved, moved.Entities)
	}
	gone := fmt.Sprintf("%s", all.Changes[2].Entities)
	if !strings.Contains(gone, `{"kind":"booking","id":"b-1","change":"deleted","before":{"patient":"p-1","provider":"mark","state":"booked"}}`) ||
		!strings.Contains(gone, `"before":{"care_team":{"mark":["booking:b-1"]}}`) {
		t.Errorf("%s", gone)
	}
	first := ask(c.read("/changes?limit=1"))
	if len(first.Changes) != 1 || first.Next != first.Changes[0].Revision || first.Newest != all.Newest {
		t.Errorf("%+v", first)
	}
	rest := c.read("/changes?after=" + first.Next)
	c.as("operator", http.MethodPost, "/changes", fmt.Sprintf(`{"after":%q,"limit":10}`, first.Next)).wantBody(t, 200, rest.body)
	if got := ask(rest); len(got.Changes) != 2 {
		t.Errorf("%+v", got)
	}
	if got := ask(c.read("/changes?after=" + all.Next)); len(got.Changes) != 0 || got.Next != all.Next {
		t.Errorf("%+v", got)
	}
	c.read("/changes?after=1.AAAAAAAA").refused(t, 412, "behind", "after")
	c.read("/changes?after=99.AAAAAAAA", "Accept", "text/event-stream").refused(t, 412, "behind", "after")
	c.read("/changes?after=x").refused(t, 400, "malformed", "after")
	c.read("/changes", "Accept", "text/event-stream", "Last-Event-ID", "x").refused(t, 400, "malformed", "Last-Event-ID")
	c.as("rita", http.MethodGet, "/changes", "").wantStatus(t, 403)
	c.as("rita", http.MethodGet, "/changes", "", "Accept", "text/event-stream").wantStatus(t, 403)
}

// A page ends before it is too long, and says where it goes on.
func TestPagesOfChangesAreBounded(t *testing.T) {
	newest := authz.Revision{Count: 500, Nonce: "x"}
	a := &scripted{history: func(_ context.Context, after authz.Revision, limit int) (h admin.History, _ error) {
		h.Newest = newest
		if limit > 100 {
			t.Errorf("%d changes are read at a time", limit)
		}
		for count := after.Count + 1; count <= min(newest.Count, after.Count+8); count++ {
			h.Events = append(h.Events, admin.Event{
				Revision: authz.Revision{Count: count, Nonce: "x"},
				Entities: []admin.EntityEvent{{Exists: true, After: map[string]any{"name": strings.Repeat("x", 50_000)}}},
			})
		}
		return h, nil
	}}
	c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
	got := c.read("/changes?limit=1000")
	if n := len(got.body); n < 1<<19 || n > 1<<20 || !strings.Contains(got.body, `"next":"20.x"`) {
		t.Errorf("%d bytes, %s", n, got.body[n-60:])
	}
}

// listener reads a stream of changes.
type listener struct {
	t      *testing.T
	lines  *bufio.Scanner
	close  func()
	answer *http.Response
}

func (c *client) listen(headers ...string) *listener {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+base+"/changes", nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	if len(headers) == 0 || headers[0] != "Authorization" {
		r.Header.Set("Caregate-Actor", "operator")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := c.server.Client().Do(r) //nolint:bodyclose // the listener closes it
	if err != nil {
		c.t.Fatal(err)
	}
	l := &listener{c.t, bufio.NewScanner(w.Body), func() { cancel(); _ = w.Body.Close() }, w}
	c.t.Cleanup(l.close)
	return l
}

// event returns the next event, without its data when that is long; nothing at the end.
func (l *listener) event() (event string) {
	for l.lines.Scan() {
		switch line := l.lines.Text(); {
		case line == "" && event != "":
			return event
		case line == "" || strings.HasPrefix(line, ":"):
		default:
			event += line + "\n"
		}
	}
	return event
}

func TestStream(t *testing.T) {
	service, decisions := parts(t)
	api := newAPI(t, httpapi.Config{Service: decisions, Administration: service, RequestTimeout: 500 * time.Millisecond})
	c := serve(t, api.Admin())
	l := c.listen()
	if l.answer.StatusCode != 200 || l.answer.Header.Get("Content-Type") != "text/event-stream" || l.answer.Header.Get("Caregate-Revision") == "" {
		t.Fatalf("%v", l.answer)
	}
	var revisions []string
	put := func(path string) string {
		t.Helper()
		revision := c.ada(http.MethodPut, path, "").wantStatus(t, 204).header.Get("Caregate-Revision")
		revisions = append(revisions, revision)
		return revision
	}
	first := put("/groups/ward/members/mark")
	want := "id: " + first + "\nevent: change\ndata: {\"revision\":\"" + first + "\","
	if got := l.event(); !strings.HasPrefix(got, want) {
		t.Errorf("got %s\nwant %s", got, want)
	}
	time.Sleep(600 * time.Millisecond) // longer than a request may take
	second := put("/groups/ward/members/ada")
	if got := l.event(); !strings.HasPrefix(got, "id: "+second) {
		t.Errorf("got %s", got)
	}
	l.close()
	third := put("/patient-groups/cardio/access/rita")
	resumed := c.listen("Last-Event-ID", first)
	for _, revision := range []string{second, third} {
		if got := resumed.event(); !strings.HasPrefix(got, "id: "+revision) {
			t.Errorf("got %s", got)
		}
	}
	ended := make(chan string)
	go func() { ended <- resumed.event() }()
	api.EndStreams()
	select {
	case got := <-ended:
		if got != "" {
			t.Errorf("at the end: %s", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("the stream does not end")
	}
}

// follows is an administration whose changes wait for more.
func follows(history func(after authz.Revision) (admin.History, error)) *scripted {
	return &scripted{
		history: func(_ context.Context, after authz.Revision, _ int) (admin.History, error) { return history(after) },
		wait: func(ctx context.Context, _ authz.Revision) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
}

func one(count uint64) authz.Revision { return authz.Revision{Count: count, Nonce: "x"} }

func TestStreamsAreBounded(t *testing.T) {
	a := follows(func(authz.Revision) (admin.History, error) { return admin.History{Newest: one(1)}, nil })
	c := serve(t, newAPI(t, httpapi.Config{Administration: a, MaxInFlight: 4}).Admin())
	var open []*listener
	for range 64 { // which are no requests in flight
		open = append(open, c.listen())
	}
	c.read("/changes", "Accept", "text/event-stream").refused(t, 429, "too-many", "")
	c.read("/changes").wantStatus(t, 200)
	for _, l := range open {
		l.close()
	}
	for range 100 {
		if l := c.listen(); l.answer.StatusCode == 200 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("streams that ended still count")
}

func TestStreamResets(t *testing.T) {
	var lost atomic.Bool
	a := follows(func(after authz.Revision) (admin.History, error) {
		if lost.Load() {
			return admin.History{}, authz.Errorf(authz.Behind, "after", "not remembered")
		}
		lost.Store(true)
		return admin.History{Newest: one(2), Events: []admin.Event{{Revision: one(2), Previous: after}}}, nil
	})
	a.wait = func(context.Context, authz.Revision) error { return nil }
	c := serve(t, newAPI(t, httpapi.Config{Administration: a}).Admin())
	l := c.listen("Last-Event-ID", "1.x")
	if got := l.event(); !strings.HasPrefix(got, "id: 2.x\nevent: change\n") {
		t.Errorf("got %s", got)
	}
	if got := l.event(); !strings.HasPrefix(got, "event: reset\ndata: {") {
		t.Errorf("got %s", got)
	}
	if got := l.event(); got != "" {
		t.Errorf("after the reset: %s", got)
	}
}

// Whoever is no longer known hears no more.
func TestStreamEndsWithItsToken(t *testing.T) {
	a := follows(func(after authz.Revision) (admin.History, error) {
		next := one(after.Count + 1)
		return admin.History{Newest: next, Events: []admin.Event{{Revision: next}}}, nil
	})
	a.wait = func(context.Context, authz.Revision) error { time.Sleep(5 * time.Millisecond); return nil }
	v := new(revocable)
	c := serve(t, newAPI(t, httpapi.Config{Administration: a, Verifier: v}).Admin())
	l := c.listen("Authorization", "Bearer a.b.c")
	if got := l.event(); !strings.Contains(got, "event: change") {
		t.Fatalf("got %s", got)
	}
	v.revoked.Store(true)
	for range 1000 {
		if l.event() == "" {
			return
		}
	}
	t.Error("the stream goes on")
}

type revocable struct{ revoked atomic.Bool }

func (r *revocable) Verify(context.Context, string) (httpapi.Bearer, error) {
	if r.revoked.Load() {
		return httpapi.Bearer{}, authz.Errorf(authz.Unauthenticated, "", "revoked")
	}
	return httpapi.Bearer{Actor: admin.Actor{Type: "team_member", ID: "mark"}}, nil
}

// The server's limits on a connection are for requests.
func TestStreamOutlivesTheLimitsOfAConnection(t *testing.T) {
	var count atomic.Uint64
	a := follows(func(after authz.Revision) (h admin.History, _ error) {
		h.Newest = one(count.Load())
		if after != h.Newest {
			h.Events = []admin.Event{{Revision: h.Newest}}
		}
		return h, nil
	})
	a.wait = func(ctx context.Context, _ authz.Revision) error {
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
		return ctx.Err()
	}
	count.Store(1)
	api := newAPI(t, httpapi.Config{Administration: a, RequestTimeout: 100 * time.Millisecond})
	server, l := started(t, httpapi.ServerConfig{ReadTimeout: 200 * time.Millisecond, WriteTimeout: 200 * time.Millisecond}, api.Admin(), nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+l.Addr().String()+base+"/changes", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Caregate-Actor", "operator")
	r.Header.Set("Accept", "text/event-stream")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	got := &listener{t, bufio.NewScanner(w.Body), nil, w}
	for n := range uint64(3) {
		time.Sleep(300 * time.Millisecond)
		count.Store(n + 2)
		if event := got.event(); !strings.HasPrefix(event, fmt.Sprintf("id: %d.x\n", n+2)) {
			t.Fatalf("got %q", event)
		}
	}
	api.EndStreams()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(w.Body); err != nil {
		t.Errorf("the stream was cut off: %v", err)
	}
}

func TestStreamGivesSignsOfLife(t *testing.T) {
	a := follows(func(authz.Revision) (admin.History, error) { return admin.History{Newest: one(1)}, nil })
	api := newAPI(t, httpapi.Config{Administration: a})
	api.SetStreamTimes(20*time.Millisecond, time.Second)
	l := serve(t, api.Admin()).listen()
	for range 6 { // each a comment and an empty line
		if !l.lines.Scan() {
			t.Fatal("the stream ended")
		}
	}
	if got := l.lines.Text(); got != "" && !strings.HasPrefix(got, ":") {
		t.Errorf("got %q", got)
	}
}

// Who does not take what is sent is cut off, and what was sent is all that is held.
func TestSlowListenerIsCutOff(t *testing.T) {
	var read atomic.Int64
	a := follows(func(after authz.Revision) (admin.History, error) {
		read.Add(1)
		next := one(after.Count + 1)
		return admin.History{Newest: one(1 << 40), Events: []admin.Event{{
			Revision: next, Entities: []admin.EntityEvent{{Exists: true, After: map[string]any{"name": strings.Repeat("x", 1<<20)}}},
		}}}, nil
	})
	api := newAPI(t, httpapi.Config{Administration: a})
	api.SetStreamTimes(time.Second, 100*time.Millisecond)
	c := serve(t, api.Admin())
	c.listen() // and reads nothing
	for range 200 {
		before := read.Load()
		time.Sleep(50 * time.Millisecond)
		if api.OpenStreams() == 0 {
			if before > 100 {
				t.Errorf("%d MiB were sent to nobody", before)
			}
			return
		}
	}
	t.Error("the stream stays open")
}
